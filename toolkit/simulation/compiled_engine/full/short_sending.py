"""The short way of a message from its sender to a slot; ``short_way`` says what the short way is."""

from __future__ import annotations

import numpy as np

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.full.fetching import (
    choose,
    line_up,
    new_lease,
    next_in_line,
)
from toolkit.simulation.compiled_engine.full.leases import time_is_up
from toolkit.simulation.compiled_engine.full.matching import ask, give_slot, match, start_next
from toolkit.simulation.compiled_engine.full.moments import (
    attempt_is_known,
    duration_s,
    later,
    new_row,
    urgently,
)
from toolkit.simulation.compiled_engine.full.queue import (
    HELD,
    IN_BUFFER,
    append,
    push,
    remove,
)
from toolkit.simulation.compiled_engine.full.returning import publish
from toolkit.simulation.compiled_engine.full.stages import new_message
from toolkit.simulation.compiled_engine.full.trips import begin_life, plan_arrival
from toolkit.simulation.compiled_engine.full.words import uncount
from toolkit.simulation.compiled_engine.full.world import (
    E_HOLD,
    E_RUN,
    E_WATCH,
    NO,
    NONE,
    ON_FETCH,
    ON_START,
    PUSH,
    RUN_ENDS,
    RUN_STARTS,
    SERVICE,
    instance_at,
    lease_at,
    message_at,
    trip_at,
)
from toolkit.simulation.compiled_engine.memory import (
    inline,
    write_short,
)

STAGE = np.int64(0)  # the only one


@inline
def arrives(w, stage):
    """Let a job arrive, and send its message."""
    t = begin_life(w, NONE)
    plan_arrival(w)
    trip = trip_at(w.trips, t)
    trip.stage, trip.is_inside = STAGE, 1
    trip.due_s, trip.paused_s = w.now, 0.0
    trip.row = new_row(w, trip.job, STAGE, 1, w.now, 0.0)
    write_short(stage.made, trip.job, 1)
    attempt_is_known(w, 1)
    sends(w, t, trip, stage)


@inline
def sends(w, t, trip, stage):
    """Send a message for an attempt, past the queue if nobody is before it."""
    stage.inside += 1
    m = new_message(w, t, trip)
    if stage.kept and message_at(w.messages, m).due_s > w.now:
        publish(w.here, STAGE, m)
        return
    i = taker(w, stage) if stage.queue_count == 0 else NONE
    if i >= 0:
        hand_over(w, stage, m, i)
        return
    push(w, STAGE, stage, m, NO)
    if stage.queue_count > 1 and (stage.fetch == PUSH or stage.line_count):
        match(w.here, STAGE, NONE)


@inline
def taker(w, stage):
    """Return the instance that takes the next message, -1 for none."""
    return choose(w, stage) if stage.fetch == PUSH else next_in_line(w, stage)


@inline
def hand_over(w, stage, m, i):
    """Lend a message to an instance, which starts it, or keeps it."""
    message, instance = message_at(w.messages, m), instance_at(w.instances, i)
    message.place = stage.next_place
    stage.next_place += 1
    number = new_lease(w, m, i)
    lease = lease_at(w.leases, number)
    message.lease, message.deliveries, message.leases = number, 1, 1
    instance.unacked += 1
    left_s = message.due_s - w.now
    starts = left_s <= 0 and instance.buffer_count == 0 and instance.idle_count > 0
    if stage.ack == ON_FETCH or (stage.ack == ON_START and starts):
        delete(w, message, lease)
    elif stage.has_visibility and time_is_up(w, stage, number, lease):
        lease.watch_wait = urgently(w, E_WATCH | number << 8)
    if starts:
        give_slot(w, i, number)
        begin_service(w, number, lease)
    elif left_s <= 0:
        append(w, i, number, IN_BUFFER)
    else:
        append(w, i, number, HELD)
        comes_at_once = w.urgent_count or w.now + left_s == w.now
        what = E_HOLD | number << 8
        lease.hold_wait = urgently(w, what) if comes_at_once else later(w, left_s, what)
    line_up(w, stage, i)


@inline
def delete(w, message, lease):
    """Delete a message on the word of the holder of its lease, which ends."""
    uncount(w, lease)
    lease.is_open, message.is_deleted = 0, 1


@inline
def begin_service(w, number, lease):
    """Begin a service at once, or behind what is urgent."""
    row = row_at(w.rows, lease.row)
    service_s = duration_s(w, STAGE, SERVICE, int(row.attempt), int(row.job))
    if w.urgent_count or w.now + service_s == w.now:
        lease.run = RUN_STARTS
        lease.run_wait = urgently(w, E_RUN | number << 8)
    else:
        lease.run = RUN_ENDS
        lease.run_wait = later(w, service_s, E_RUN | number << 8)


@inline
def go_on(w, stage, instance, i):
    """Find a slot that is free now other work."""
    if instance.buffer_count and (stage.ack == ON_START or instance.idle_count > 1):
        start_next(w.here, STAGE, i)
        ask(w.here, STAGE, i)
        return
    if instance.buffer_count:
        number = instance.buffer_first
        remove(w, i, number)
        give_slot(w, i, number)
        begin_service(w, number, lease_at(w.leases, number))
    if stage.live:
        match(w.here, STAGE, i)
    else:
        line_up(w, stage, i)
