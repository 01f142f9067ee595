"""From the queue to a slot, and what comes of it: the same steps as in ``simpy_engine``.

``match`` brings messages and instances together, and whatever it starts asks for a match again; in
SimPy's engine a flag sends the inner one back at once.  Compiled functions cannot call each other in
a ring, so what may ask for a match is built twice: for use within a match, where asking only stands
in line, and for use everywhere else.
"""

from __future__ import annotations

import math

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.events import (
    put_event,
    put_number,
    take_number,
)
from toolkit.simulation.compiled_engine.full_queue import (
    HELD,
    IN_BUFFER,
    IN_NO_LIST,
    RUNNING,
    append,
    first_live,
    lock_group,
    next_luck,
    pop,
    push,
    rank,
    release_lease,
    remove,
    unqueue,
)
from toolkit.simulation.compiled_engine.full_world import (
    ABANDONED,
    AT_RANDOM,
    BLOCKING_POP,
    BY_ALWAYS,
    BY_DELIVERY,
    BY_SERIES,
    C_MATCH_LATER,
    C_START_LATER,
    CANCELLED,
    DEAD,
    E_CHORE,
    E_HOLD,
    E_PATIENCE,
    E_POLL,
    E_RUN,
    E_RUN_INTERRUPT,
    E_TRIP,
    E_WATCH,
    E_WOKEN,
    EACH,
    IN_MEMORY,
    NO,
    NO_RUN,
    NONE,
    ON_FETCH,
    ON_START,
    POLL,
    POLL_WAITS_FOR_ROOM,
    PREEMPTED,
    PREEMPTIVE,
    PUSH,
    REJECTED,
    RUN_OVER,
    RUN_STARTS,
    SERVICE,
    SHORTEST_QUEUE,
    TURNED_AWAY,
    YES,
    at_once,
    bucket_at,
    chore_at,
    close_row,
    duration_s,
    instance_at,
    lease_at,
    message_at,
    new_chore,
    new_row,
    open_row,
    stage_at,
    trip_at,
    urgently,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import (
    answering_unit,
    called,
    inline,
    read_int,
    unit,
    write_int,
)
from toolkit.simulation.compiled_engine.rules import admits, ready_s

# --- words and places ---


@called
def close(w, row, outcome):
    """Write down how an attempt ended, now; it is under way no longer."""
    close_row(w, row, outcome)
    w.open_rows -= 1


@called
def leave_place(w, stage):
    """Leave the stage, and hand the place to whoever waits for one."""
    t = stage.first_place
    if t < 0:
        stage.inside -= 1
        return
    trip = trip_at(w.trips, t)
    stage.first_place = trip.next
    if trip.next < 0:
        stage.last_place = NONE
    trip.granted = 1
    trip.wait = at_once(w, E_TRIP | t << 8)


@unit
def settle(here, s, m, outcome):
    """Tell whoever waits for the message what came of it; only the first word counts."""
    w = world_at(here, 0)
    stage = stage_at(w.stages, s)
    message = message_at(w.messages, m)
    if not message.is_settled:
        message.is_settled = 1
        leave_place(w, stage)
        message.answer = outcome
        trip_at(w.trips, message.trip).wait = at_once(w, E_TRIP | message.trip << 8)


@called
def uncount(w, lease):
    """Count a message no longer as unacknowledged."""
    if lease.is_counted:
        lease.is_counted = 0
        instance_at(w.instances, lease.instance).unacked -= 1


@called
def end_lease(w, stage, lease):
    """End a lease; the next of its group may go."""
    lease.is_open = 0
    group = message_at(w.messages, lease.message).group
    if group >= 0:
        lock_group(stage, group, -1)


@called
def let_go(w, number, lease):
    """Forget a message."""
    lease.is_alive = 0
    remove(w, lease.instance, number)
    uncount(w, lease)


@called
def interrupt_run(w, number, lease):
    """Stop a run; not one that is at its end by itself."""
    if lease.run not in (NO_RUN, RUN_OVER) and w.active != number:
        urgently(w, E_RUN_INTERRUPT | number << 8)


# --- fetching ---


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
def line_up(w, stage, i):
    """Let an instance ask as often as it wants messages."""
    if stage.fetch == BLOCKING_POP:
        instance = instance_at(w.instances, i)
        while instance.asks < wanted(stage, instance):
            instance.asks += 1
            place = (stage.line_first + stage.line_count) & stage.line_mask
            write_int(stage.line, place, i)
            stage.line_count += 1


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


@called
def lend(w, s, stage, m, i):
    """Lend a message to an instance; -1 if it has been delivered too often already."""
    message = message_at(w.messages, m)
    if message.deliveries == stage.max_deliveries:
        close(w, message.row, TURNED_AWAY)
        message.is_deleted = 1
        settle(w.here, s, m, DEAD)  # nobody is left to be matched with it
        return NONE
    message.deliveries += 1
    number = w.free_lease
    if number >= 0:
        w.free_lease = lease_at(w.leases, number).next
    else:
        number = w.lease_count
        w.lease_count += 1
    w.live_leases += 1
    before, message.lease = message.lease, number
    lease = lease_at(w.leases, number)
    lease.message, lease.instance, lease.row, lease.given_s = m, i, message.row, w.now
    lease.is_open = lease.is_counted = lease.is_alive = lease.is_used = 1
    lease.started_s = lease.ended_s = math.nan
    lease.run, lease.pins, lease.sweep, lease.is_in = NO_RUN, 0, NONE, IN_NO_LIST
    lease.run_wait = lease.watch_wait = lease.hold_wait = NONE
    lease.next = lease.previous = lease.after = NONE
    message.leases += 1
    if before >= 0 and lease_at(w.leases, before).is_used == 2:  # it was kept for the message
        older = lease_at(w.leases, before)
        older.is_used, older.next = 0, w.free_lease
        w.free_lease = before
        w.live_leases -= 1
    if message.group >= 0:
        lock_group(stage, message.group, 1)
    if stage.has_visibility:
        lease.watch_wait = urgently(w, E_WATCH | number << 8)
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


def with_match(seek):
    """Return what may ask for a match, with that match."""

    @called
    def acknowledge_(w, s, stage, number):
        """Delete a message on its holder's word, if that still counts."""
        lease = lease_at(w.leases, number)
        message = message_at(w.messages, lease.message)
        uncount(w, lease)
        if lease.is_open:
            end_lease(w, stage, lease)
            message.is_deleted = 1
            seek(w.here, s, NONE)
        elif stage.has_visibility and not message.is_deleted:
            is_latest = stage.receipt == BY_DELIVERY and message.lease == number
            if is_latest or stage.receipt in (BY_SERIES, BY_ALWAYS):
                message.is_deleted = 1
                if message.is_queued and stage.receipt != BY_SERIES:
                    unqueue(w, stage, lease.message)
                    close(w, message.row, CANCELLED)

    @called
    def ask_(w, s, stage, i):
        """Ask for more if there is room."""
        instance = instance_at(w.instances, i)
        if stage.fetch == POLL and not instance.freed:
            instance.freed = 1
            if instance.poll_state == POLL_WAITS_FOR_ROOM:
                instance.poll_wait = at_once(w, E_POLL | i << 8)
        seek(w.here, s, i)

    @called
    def is_dropped(w, s, stage, number):
        """Let go of a message that is too late to start; say whether it was."""
        lease = lease_at(w.leases, number)
        m = lease.message
        message = message_at(w.messages, m)
        is_expired = trip_at(w.trips, message.trip).deadline_s < w.now
        waited_s = w.now - row_at(w.rows, message.row).queued_s
        if not is_expired and waited_s <= message.longest_wait_s:
            return False
        close(w, lease.row, CANCELLED if is_expired else TURNED_AWAY)
        let_go(w, number, lease)
        acknowledge_(w, s, stage, number)
        settle(w.here, s, m, ABANDONED if is_expired else REJECTED)
        release_lease(w.here, number)
        return True

    @called
    def start_next_(w, s, stage, i):
        """Start what can be started."""
        instance = instance_at(w.instances, i)
        has_started = False
        while (
            instance.buffer_count
            and instance.idle_count
            and stage.outages == 0
            and not waits_for_token(w, instance, i)
        ):
            number = instance.buffer_first
            remove(w, i, number)
            if not is_dropped(w, s, stage, number):
                slot = take_number(instance.idle, instance.idle_count)
                instance.idle_count -= 1
                lease = lease_at(w.leases, number)
                append(w, i, number, RUNNING)
                lease.slot, lease.started_s = slot, w.now
                row = row_at(w.rows, lease.row)
                row.started_s, row.worker = w.now, slot
                if stage.ack == ON_START:
                    acknowledge_(w, s, stage, number)
                lease.run = RUN_STARTS
                lease.run_wait = urgently(w, E_RUN | number << 8)
            has_started = True
        if has_started:
            ask_(w, s, stage, i)

    @called
    def receive(w, s, stage, number):
        """Take a message into memory."""
        lease = lease_at(w.leases, number)
        i = lease.instance
        instance_at(w.instances, i).unacked += 1
        if stage.ack == ON_FETCH:
            acknowledge_(w, s, stage, number)
        if message_at(w.messages, lease.message).due_s > w.now:
            append(w, i, number, HELD)
            lease.hold_wait = urgently(w, E_HOLD | number << 8)
        else:
            append(w, i, number, IN_BUFFER)
            start_next_(w, s, stage, i)

    @called
    def take_(w, s, stage, i, most):
        """Lend an instance up to ``most`` messages, as it has room; return how many it got."""
        first = last = NONE
        count, most_now = 0, min(most, room(stage, instance_at(w.instances, i)))
        while count < most_now and stage.live and not has_no_token(w, s, stage):
            m = pop(w, stage, first)
            if m < 0:
                break
            bucket = bucket_at(stage.queue_bucket, 0)
            if bucket.kind:
                admits(bucket, w.now)
            number = lend(w, s, stage, m, i)
            if number >= 0:
                if last >= 0:
                    lease_at(w.leases, last).next = number
                else:
                    first = number
                last = number
                count += 1
        number = first
        while number >= 0:
            follower = lease_at(w.leases, number).next
            lease_at(w.leases, number).next = NONE
            receive(w, s, stage, number)
            number = follower
        return count

    return acknowledge_, ask_, start_next_, take_


@called
def match_within(here, s, i):
    """Ask for a match during a match: stand in line, and the match under way will see to it."""
    if i >= 0:
        w = world_at(here, 0)
        line_up(w, stage_at(w.stages, s), i)


_, _, _, take_within = with_match(match_within)


@called
def deliver(w, s, stage):
    """Give one instance what it may take; say whether anything moved."""
    if stage.live == 0 or stage.fetch == POLL or (stage.outages and stage.prefetch == 0):
        return False
    if stage.fetch == PUSH:
        i = choose(w, stage)
        return i >= 0 and take_within(w, s, stage, i, YES) > 0
    while stage.line_count:
        i = read_int(stage.line, stage.line_first)
        stage.line_first = (stage.line_first + 1) & stage.line_mask
        stage.line_count -= 1
        instance = instance_at(w.instances, i)
        instance.asks -= 1
        if wanted(stage, instance):
            moved = take_within(w, s, stage, i, stage.batch) > 0
            if not moved:
                instance.asks += 1
                stage.line_first = (stage.line_first - 1) & stage.line_mask
                stage.line_count += 1
                write_int(stage.line, stage.line_first, i)
            line_up(w, stage, i)
            return moved
    return False


@unit
def match(here, s, i):
    """Bring messages and instances together, as long as there are both."""
    w = world_at(here, 0)
    stage = stage_at(w.stages, s)
    if i >= 0:
        line_up(w, stage, i)
    while deliver(w, s, stage):
        pass


_acknowledge, _ask, _start_next, _take = with_match(match)


@unit
def acknowledge(here, s, number):
    """Delete a message on its holder's word, if that still counts."""
    w = world_at(here, 0)
    _acknowledge(w, s, stage_at(w.stages, s), number)


@unit
def ask(here, s, i):
    """Ask for more if there is room."""
    w = world_at(here, 0)
    _ask(w, s, stage_at(w.stages, s), i)


@unit
def start_next(here, s, i):
    """Start what can be started."""
    w = world_at(here, 0)
    _start_next(w, s, stage_at(w.stages, s), i)


@answering_unit
def take(here, s, i, most):
    """Lend an instance up to ``most`` messages, as it has room; return how many it got."""
    w = world_at(here, 0)
    return _take(w, s, stage_at(w.stages, s), i, most)


# --- slots ---


@unit
def free(here, s, i, slot):
    """Give a slot back, and find it work."""
    w = world_at(here, 0)
    instance = instance_at(w.instances, i)
    put_number(instance.idle, instance.idle_count, slot)
    instance.idle_count += 1
    start_next(w.here, s, i)
    ask(w.here, s, i)


@unit
def stop(here, s, number):
    """Take a message out of its slot, and find the slot other work."""
    w = world_at(here, 0)
    lease = lease_at(w.leases, number)
    i, slot, was_running = lease.instance, lease.slot, lease.is_in == RUNNING
    interrupt_run(w, number, lease)
    let_go(w, number, lease)
    release_lease(w.here, number)
    if was_running:
        free(w.here, s, i, slot)
    else:
        ask(w.here, s, i)


# --- the queue's other end ---


@called
def preempt(w, s, stage, number):
    """Put a running message back in its place in line, with what is left of its service."""
    lease = lease_at(w.leases, number)
    m, row = lease.message, row_at(w.rows, lease.row)
    message = message_at(w.messages, m)
    job, attempt = int(row.job), int(row.attempt)
    if math.isnan(message.left_s):
        message.left_s = duration_s(w, s, SERVICE, attempt, job)
    message.left_s -= w.now - lease.started_s
    close(w, lease.row, PREEMPTED)
    lease.is_open = 0
    message.row = new_row(w, job, s, attempt, w.now, 0.0)
    w.open_rows += 1
    push(w, s, stage, m, YES)
    stop(w.here, s, number)


@called
def make_way(w, s, stage, m):
    """Interrupt the least important run for a more important message, if no slot is idle."""
    instance = instance_at(w.instances, stage.first_instance)
    if instance.idle_count:
        return
    victim, highest, latest_s = NONE, 0.0, 0.0
    number = instance.running_first
    while number >= 0:
        lease = lease_at(w.leases, number)
        if math.isnan(lease.ended_s):
            its = rank(w, s, stage, lease.message)
            if victim < 0 or its > highest or (its == highest and lease.started_s > latest_s):
                victim, highest, latest_s = number, its, lease.started_s
        number = lease.next
    if victim >= 0 and highest > rank(w, s, stage, m):
        preempt(w, s, stage, victim)


@unit
def enqueue(here, s, m, to_head):
    """Put a message in line, and see whether somebody can take it."""
    w = world_at(here, 0)
    stage = stage_at(w.stages, s)
    message = message_at(w.messages, m)
    if stage.has_shed:
        if stage.live == 0:
            stage.empty_s = w.now
        is_standing = stage.empty_s < w.now - stage.shed_interval_s
        message.longest_wait_s = stage.shed_target_s if is_standing else stage.shed_interval_s
    push(w, s, stage, m, to_head)
    if stage.order == PREEMPTIVE:
        make_way(w, s, stage, m)
    if stage.wakes:
        at_once(w, E_WOKEN | (s | stage.woken << 16) << 8)
        stage.woken += 1
    match(w.here, s, NONE)


@unit
def publish(here, s, m):
    """Put a new message where it belongs: in the queue, or with the poller until it is due."""
    w = world_at(here, 0)
    stage = stage_at(w.stages, s)
    message = message_at(w.messages, m)
    if stage.has_patience:
        message.patience_wait = urgently(w, E_PATIENCE | m << 8)
    if stage.kept and message.due_s > w.now:
        stage.entries += 1
        put_event(stage.kept, stage.kept_count, message.due_s, stage.entries, m)
        stage.kept_count += 1
        message.entries += 1
    else:
        enqueue(w.here, s, m, NO)


@called
def bury(w, s, m):
    """Make a message a dead letter."""
    message_at(w.messages, m).is_deleted = 1
    settle(w.here, s, m, DEAD)
    match(w.here, s, NONE)


@called
def deliver_again(w, s, stage, m, to_head):
    """Put a message that is not done back in the queue, or bury it."""
    message = message_at(w.messages, m)
    if stage.dead_on_return and message.deliveries == stage.max_deliveries:
        bury(w, s, m)
        return
    job = trip_at(w.trips, message.trip).job
    message.row = open_row(w, job, s, max(w.now, message.due_s), 0.0)
    if w.gave_up:
        return
    w.open_rows += 1
    enqueue(w.here, s, m, to_head)


@unit
def put_back(here, s, number):
    """Put a message back in the queue that is the holder's own or still lent to it."""
    w = world_at(here, 0)
    stage = stage_at(w.stages, s)
    lease = lease_at(w.leases, number)
    m = lease.message
    message = message_at(w.messages, m)
    is_own = message.is_deleted and not message.is_settled and message.lease == number
    if lease.is_open:
        end_lease(w, stage, lease)
    elif not is_own:
        return  # its time was up, and the broker has given it back already
    message.is_deleted = 0
    deliver_again(w, s, stage, m, stage.requeue_head)


@unit
def give_back(here, s, number):
    """End a lease that has run out, if it has not ended before."""
    w = world_at(here, 0)
    stage = stage_at(w.stages, s)
    lease = lease_at(w.leases, number)
    if lease.is_open:
        end_lease(w, stage, lease)
        m = lease.message
        if message_at(w.messages, m).is_deleted:
            match(w.here, s, NONE)
        else:
            deliver_again(w, s, stage, m, stage.give_back_head)


@unit
def withdraw(here, s, m, outcome):
    """Take a message back wherever it is; nobody waits for its answer any more."""
    w = world_at(here, 0)
    stage = stage_at(w.stages, s)
    message = message_at(w.messages, m)
    if message.is_settled:
        return
    message.is_settled = message.is_deleted = 1
    leave_place(w, stage)
    number, was_queued = message.lease, message.is_queued
    if was_queued:
        unqueue(w, stage, m)
    is_alive = False
    if number >= 0:
        lease = lease_at(w.leases, number)
        is_alive = lease.is_alive != 0
        if lease.is_open:
            end_lease(w, stage, lease)
    if was_queued or number < 0 or is_alive:
        close(w, message.row, outcome)
    if is_alive and not was_queued:
        stop(w.here, s, number)
    match(w.here, s, NONE)
