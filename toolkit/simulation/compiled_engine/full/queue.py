"""A stage's queue of messages, and lists of leases: who is next, and who is where.

As in ``simpy_engine/queues.py``: a heap by key and place, in which a message that was withdrawn stays
as a shell; for a random order a plain list.
"""

from __future__ import annotations

import numpy as np

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.draws import generator_at, uniform_after
from toolkit.simulation.compiled_engine.events import drop_first, event_at, put_event
from toolkit.simulation.compiled_engine.full.moments import duration_s, is_full
from toolkit.simulation.compiled_engine.full.world import (
    FIFO,
    LIFO,
    NO_RUN,
    NONE,
    RANDOM,
    RUN_OVER,
    SERVICE,
    SHORTEST,
    instance_at,
    lease_at,
    message_at,
    numbers,
    trip_at,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import (
    called,
    inline,
    read_int,
    unit,
    write_int,
)

IN_NO_LIST, IN_BUFFER, HELD, RUNNING = numbers(4)
KEPT = np.int64(2)  # a lease that is over, but the latest of its message

LAST_PLACE = 2.0**52  # beyond any place: keys must not be negative


@called
def next_luck(w, seed, count):
    """Return number ``count`` of a sequence of uniform numbers that belongs to no job."""
    return uniform_after(generator_at(w.sequences, seed), w.jumps, count)


@called
def rank(w, number, stage, m):
    """Return what decides who is next, where it is not the time of arrival."""
    message = message_at(w.messages, m)
    job = trip_at(w.trips, message.trip).job
    if stage.order == SHORTEST:
        attempt = int(row_at(w.rows, message.row).attempt)
        # of two zeros the one without a sign, so that keys rank as their bits do
        return duration_s(w, number, SERVICE, attempt, job) + 0.0
    return 0.0 if w.classes == 0 else float(read_int(w.classes, job))


@called
def push(w, number, stage, m, to_head):
    """Put a message in line; one that comes back to the head has its old place."""
    message = message_at(w.messages, m)
    if stage.queue_count == stage.queue_room:
        stage.queue_count += is_full(w)
    if message.place == NONE or not to_head:
        message.place = stage.next_place
        stage.next_place += 1
    message.is_queued = 1
    message.entries += 1
    stage.live += 1
    key = 0.0
    if stage.order == RANDOM:
        event_at(stage.queue, stage.queue_count).what = m
    else:
        if stage.order == LIFO:
            key = LAST_PLACE - float(message.place)
        elif stage.order != FIFO:
            key = rank(w, number, stage, m)
        put_event(stage.queue, stage.queue_count, key, message.place, m)
    stage.queue_count += 1


@called
def take_entry(stage):
    """Take the first entry out of the heap; return its message."""
    m = event_at(stage.queue, 0).what
    drop_first(stage.queue, stage.queue_count)
    stage.queue_count -= 1
    return m


@called
def has_group(w, batch, group):
    """Say whether a message of a list of leases is of ``group``."""
    while batch >= 0:
        lease = lease_at(w.leases, batch)
        if message_at(w.messages, lease.message).group == group:
            return True
        batch = lease.next
    return False


@unit
def release_trip(here, t):
    """Count one less who knows a trip; use its record again when nobody does."""
    w = world_at(here, 0)
    while t >= 0:
        trip = trip_at(w.trips, t)
        trip.refs -= 1
        if trip.refs:
            return
        parent = trip.parent
        trip.next = w.free_trip
        w.free_trip = t
        w.live_trips -= 1
        t = parent


@called
def free_lease(w, number):
    """Use a lease's record again."""
    lease = lease_at(w.leases, number)
    lease.is_used = 0
    lease.run_wait = lease.watch_wait = lease.hold_wait = NONE
    lease.next = w.free_lease
    w.free_lease = number
    w.live_leases -= 1


@inline
def free_message(w, m, message):
    """Use a message's record again, and that of its latest lease."""
    latest = message.lease
    message.lease, message.is_heard = NONE, 0
    if latest >= 0:
        free_lease(w, latest)
    message.next = w.free_message
    w.free_message = m


@unit
def release_message(here, m):
    """Use a message's record again if nobody can ask for it any more."""
    w = world_at(here, 0)
    message = message_at(w.messages, m)
    if message.is_heard and message.entries == 0 and message.leases == 0:
        t = message.trip
        free_message(w, m, message)
        release_trip(w.here, t)


@called
def pop_first(w, stage, batch):
    """Take out the first that may go; the others keep their places."""
    passed, found = 0, NONE
    while stage.queue_count and found < 0:
        entry = event_at(stage.queue, 0)
        key, place = entry.at_s, entry.order
        m = take_entry(stage)
        message = message_at(w.messages, m)
        if not message.is_queued:
            message.entries -= 1
            release_message(w.here, m)
            continue
        is_locked = message.group >= 0 and read_int(stage.locked, message.group)
        if is_locked and not has_group(w, batch, message.group):
            over = event_at(stage.scratch, passed)
            over.at_s, over.order, over.what = key, place, m
            passed += 1
            continue
        message.entries -= 1
        found = m
    for k in range(passed):
        over = event_at(stage.scratch, k)
        put_event(stage.queue, stage.queue_count, over.at_s, over.order, over.what)
        stage.queue_count += 1
    return found


@called
def pop_random(w, stage):
    """Take out any one, all alike."""
    kept = 0
    for k in range(stage.queue_count):
        m = event_at(stage.queue, k).what
        message = message_at(w.messages, m)
        if message.is_queued:
            event_at(stage.queue, kept).what = m
            kept += 1
        else:
            message.entries -= 1
            release_message(w.here, m)
    stage.queue_count = kept
    if kept == 0:
        return NONE
    chosen = int(next_luck(w, stage.order_seed, stage.order_draws) * kept)
    stage.order_draws += 1
    m = event_at(stage.queue, chosen).what
    event_at(stage.queue, chosen).what = event_at(stage.queue, kept - 1).what
    stage.queue_count -= 1
    message_at(w.messages, m).entries -= 1
    return m


@called
def pop(w, stage, batch):
    """Take out the next message whose group is free or in ``batch``, a list of leases; -1 for none."""
    m = pop_random(w, stage) if stage.order == RANDOM else pop_first(w, stage, batch)
    if m >= 0:
        message_at(w.messages, m).is_queued = 0
        stage.live -= 1
    return m


@called
def first_of_list(w, stage):
    """Return the first live message of a list."""
    for k in range(stage.queue_count):
        m = event_at(stage.queue, k).what
        if message_at(w.messages, m).is_queued:
            return m
    return NONE


@called
def first_live(w, stage):
    """Return the first live message without taking it; groups and chance not considered."""
    if stage.order == RANDOM:
        return first_of_list(w, stage)
    while stage.queue_count:
        m = event_at(stage.queue, 0).what
        message = message_at(w.messages, m)
        if message.is_queued:
            return m
        take_entry(stage)
        message.entries -= 1
        release_message(w.here, m)
    return NONE


@called
def unqueue(w, stage, m):
    """Take a message out of line; its entry stays as a shell."""
    message_at(w.messages, m).is_queued = 0
    stage.live -= 1


@inline
def part_with(w, number, lease, message):
    """Count one lease of a message less; the latest goes with the message, another at once."""
    message.leases -= 1
    if message.lease == number:
        lease.is_used = KEPT
    else:
        free_lease(w, number)


@unit
def release_lease(here, number):
    """Let go of a lease if all is over with it; the latest of a message goes with the message."""
    w = world_at(here, 0)
    lease = lease_at(w.leases, number)
    if not lease.is_used or lease.is_used == KEPT:
        return
    if lease.is_open or lease.is_counted or lease.is_alive or lease.pins:
        return
    if lease.run not in (NO_RUN, RUN_OVER) or lease.is_in != IN_NO_LIST:
        return
    part_with(w, number, lease, message_at(w.messages, lease.message))
    release_message(w.here, lease.message)


@called
def append(w, i, number, where):
    """Put a lease at the end of one of its instance's lists."""
    instance, lease = instance_at(w.instances, i), lease_at(w.leases, number)
    lease.is_in, lease.next = where, NONE
    if where == IN_BUFFER:
        last = instance.buffer_last
        instance.buffer_last = number
        instance.buffer_count += 1
        if last < 0:
            instance.buffer_first = number
    elif where == HELD:
        last = instance.held_last
        instance.held_last = number
        instance.held_count += 1
        if last < 0:
            instance.held_first = number
    else:
        last = instance.running_last
        instance.running_last = number
        instance.running_count += 1
        if last < 0:
            instance.running_first = number
    lease.previous = last
    if last >= 0:
        lease_at(w.leases, last).next = number


@called
def remove(w, i, number):
    """Take a lease out of whichever list it is in."""
    instance, lease = instance_at(w.instances, i), lease_at(w.leases, number)
    where, before, behind = lease.is_in, lease.previous, lease.next
    if where == IN_NO_LIST:
        return
    lease.is_in, lease.next, lease.previous = IN_NO_LIST, NONE, NONE
    if before >= 0:
        lease_at(w.leases, before).next = behind
    if behind >= 0:
        lease_at(w.leases, behind).previous = before
    if where == IN_BUFFER:
        instance.buffer_count -= 1
        if before < 0:
            instance.buffer_first = behind
        if behind < 0:
            instance.buffer_last = before
    elif where == HELD:
        instance.held_count -= 1
        if before < 0:
            instance.held_first = behind
        if behind < 0:
            instance.held_last = before
    else:
        instance.running_count -= 1
        if before < 0:
            instance.running_first = behind
        if behind < 0:
            instance.running_last = before


@called
def lock_group(stage, group, more):
    """Count the messages of a group that are under way."""
    write_int(stage.locked, group, read_int(stage.locked, group) + more)
