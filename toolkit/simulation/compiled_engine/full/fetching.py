"""From the queue to an instance: who has room, who asks, who is chosen, as in ``dispatch``."""

from __future__ import annotations

import math

from toolkit.simulation.compiled_engine.full.moments import is_full, new_chore, urgently
from toolkit.simulation.compiled_engine.full.queue import (
    IN_NO_LIST,
    KEPT,
    first_live,
    free_lease,
    lock_group,
    next_luck,
)
from toolkit.simulation.compiled_engine.full.words import close, settle
from toolkit.simulation.compiled_engine.full.world import (
    AT_RANDOM,
    BLOCKING_POP,
    C_MATCH_LATER,
    C_START_LATER,
    DEAD,
    E_CHORE,
    E_WATCH,
    EACH,
    IN_MEMORY,
    NO_RUN,
    NONE,
    SHORTEST_QUEUE,
    TURNED_AWAY,
    YES,
    bucket_at,
    chore_at,
    instance_at,
    lease_at,
    message_at,
    trip_at,
)
from toolkit.simulation.compiled_engine.memory import called, inline, read_int, write_int
from toolkit.simulation.compiled_engine.rules import admits, ready_s


@inline
def load(instance):
    """Return how many messages an instance has, waiting and running."""
    return instance.buffer_count + instance.running_count


@called
def room(stage, instance):
    """Return how many more messages an instance may fetch."""
    if not instance.is_up or instance.is_stopping:
        return 0.0
    if stage.prefetch == 0:
        return float(instance.idle_count - instance.buffer_count)
    most = stage.prefetch + instance.held_count
    if stage.delayed == IN_MEMORY:
        most = min(most, stage.most_held)
    return most - instance.unacked


@called
def wanted(stage, instance):
    """Return how often an instance should stand in line."""
    has_room = room(stage, instance)
    if has_room < 1 or (stage.refill_at >= 0 and load(instance) > stage.refill_at):
        return 0
    return int(has_room) if stage.prefetch == 0 and stage.refill_at < 0 else 1


@called
def stand_in_line(w, stage, i):
    """Let an instance ask as often as it wants messages."""
    instance = instance_at(w.instances, i)
    while instance.asks < wanted(stage, instance):
        instance.asks += 1
        place = (stage.line_first + stage.line_count) & stage.line_mask
        write_int(stage.line, place, i)
        stage.line_count += 1


@inline
def line_up(w, stage, i):
    """Do the same where messages are fetched by those in line; some never want more than one."""
    if stage.fetch == BLOCKING_POP:
        wants_one = stage.prefetch > 0 or stage.refill_at >= 0
        if not (wants_one and instance_at(w.instances, i).asks):
            stand_in_line(w, stage, i)


@called
def next_in_line(w, stage):
    """Return the next instance in line that still wants messages, -1 for none."""
    while stage.line_count:
        i = read_int(stage.line, stage.line_first)
        stage.line_first = (stage.line_first + 1) & stage.line_mask
        stage.line_count -= 1
        instance = instance_at(w.instances, i)
        instance.asks -= 1
        if wanted(stage, instance):
            return i
    return NONE


@called
def place_by_luck(w, stage, count):
    """Return a place below ``count``, all alike."""
    luck = next_luck(w, stage.choice_seed, stage.choice_draws)
    stage.choice_draws += 1
    return int(luck * count)


@called
def least_loaded(w, stage, count):
    """Return the instance that holds the fewest of those that are looked at, the first of equals."""
    looks = count if stage.choices < 0 else stage.choices
    if stage.choices >= 0 and not stage.replacement:
        looks = min(looks, count)
    best, fewest = NONE, 0
    for k in range(looks):
        i = read_int(stage.ready, k) if stage.choices < 0 else NONE
        if i < 0 and stage.replacement:
            i = read_int(stage.ready, place_by_luck(w, stage, count))
        elif i < 0:
            place = k + place_by_luck(w, stage, count - k)
            i = read_int(stage.ready, place)
            write_int(stage.ready, place, read_int(stage.ready, k))
            write_int(stage.ready, k, i)
        has = load(instance_at(w.instances, i))
        if best < 0 or has < fewest:
            best, fewest = i, has
    return best


@called
def choose(w, stage):
    """Choose an instance with room for a push; -1 for none."""
    if stage.push_to == EACH:
        m = first_live(w, stage)
        branch = trip_at(w.trips, message_at(w.messages, m).trip).branch if m >= 0 else 0
        i = stage.first_instance + branch
        return i if room(stage, instance_at(w.instances, i)) >= 1 else NONE
    count = 0
    for k in range(stage.instances):
        i = stage.first_instance + k
        if room(stage, instance_at(w.instances, i)) >= 1:
            write_int(stage.ready, count, i)
            count += 1
    if count == 0:
        return NONE
    if stage.push_to == AT_RANDOM:
        return read_int(stage.ready, place_by_luck(w, stage, count))
    if stage.push_to == SHORTEST_QUEUE:
        return least_loaded(w, stage, count)
    chosen = read_int(stage.ready, 0)
    for k in range(count):
        i = read_int(stage.ready, k)
        if i - stage.first_instance >= stage.turn:
            chosen = i
            break
    stage.turn = (chosen - stage.first_instance + 1) % stage.instances
    return chosen


@inline
def new_lease(w, m, i):
    """Return a new lease on a message, held by an instance."""
    message = message_at(w.messages, m)
    number = w.free_lease
    if number >= 0:
        w.free_lease = lease_at(w.leases, number).next
    else:
        number = w.lease_count
        w.lease_count += 1
        if number == w.lease_room:
            w.lease_count -= 1
            number += is_full(w)
    w.live_leases += 1
    lease = lease_at(w.leases, number)
    lease.message, lease.instance, lease.row, lease.given_s = m, i, message.row, w.now
    lease.is_open = lease.is_counted = lease.is_alive = lease.is_used = 1
    lease.started_s = lease.ended_s = math.nan
    lease.run, lease.pins, lease.sweep, lease.is_in = NO_RUN, 0, NONE, IN_NO_LIST
    lease.run_wait = lease.watch_wait = lease.hold_wait = NONE
    lease.next = lease.previous = lease.after = NONE
    return number


@called
def lend(w, s, stage, m, i):
    """Lend a message to an instance; -1 if it has been delivered too often already."""
    message = message_at(w.messages, m)
    if message.deliveries == stage.max_deliveries:
        close(w, message.row, TURNED_AWAY)
        message.is_deleted = 1
        settle(w.here, s, m, DEAD)  # nobody is left to be matched with it
        return NONE
    number = new_lease(w, m, i)
    before, message.lease = message.lease, number
    message.deliveries += 1
    message.leases += 1
    if before >= 0 and lease_at(w.leases, before).is_used == KEPT:
        free_lease(w, before)
    if message.group >= 0:
        lock_group(stage, message.group, YES)
    if stage.has_visibility:
        lease_at(w.leases, number).watch_wait = urgently(w, E_WATCH | number << 8)
    return number


@called
def has_no_token(w, s, stage):
    """Say whether the queue's rate limit makes all wait; then it is looked at again later."""
    bucket = bucket_at(stage.queue_bucket, 0)
    if bucket.kind == 0:
        return False
    at_s = ready_s(bucket, w.now)
    if w.now < at_s and stage.next_token_s < at_s:
        stage.next_token_s = at_s
        chore = new_chore(w, C_MATCH_LATER, s)
        chore_at(w.chores, chore).at_s = at_s
        urgently(w, E_CHORE | chore << 8)
    return at_s > w.now


@called
def waits_for_token(w, instance, i):
    """Say whether the rate limit makes the head of the buffer wait; then it is started later."""
    bucket = bucket_at(instance.bucket, 0)
    if bucket.kind == 0:
        return False
    at_s = ready_s(bucket, w.now)
    if at_s > w.now:
        if instance.next_start_s < at_s:
            instance.next_start_s = at_s
            chore = new_chore(w, C_START_LATER, i)
            chore_at(w.chores, chore).at_s = at_s
            urgently(w, E_CHORE | chore << 8)
        return True
    return not admits(bucket, w.now)
