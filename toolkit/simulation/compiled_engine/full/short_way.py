"""The short way: what happens to most messages, in one piece.

A message is sent when nobody is before it, becomes due, is served, and is answered.  Each of these
takes a dozen steps in the other modules, which must be ready for everything; here they are written
out for a design that has none of what makes them longer (``setup.has_short_way``).  What they leave
behind is the same to the last field, so that any event can go either way; one that is not as expected
goes the long way, from the start.

What would be urgent happens on the spot, as long as nothing urgent is before it.
"""

from __future__ import annotations

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.events import event_at, put_number
from toolkit.simulation.compiled_engine.full.matching import match
from toolkit.simulation.compiled_engine.full.moments import (
    at_once,
    next_at_once,
    open_row,
    uniform,
)
from toolkit.simulation.compiled_engine.full.queue import (
    HELD,
    IN_BUFFER,
    append,
    free_message,
    part_with,
    release_message,
    release_trip,
    remove,
)
from toolkit.simulation.compiled_engine.full.short_sending import (
    STAGE,
    arrives,
    delete,
    go_on,
    sends,
)
from toolkit.simulation.compiled_engine.full.stages import AT_DOOR
from toolkit.simulation.compiled_engine.full.travels import after_attempt
from toolkit.simulation.compiled_engine.full.world import (
    ANSWER,
    DEAD,
    DONE,
    E_ARRIVE,
    E_HOLD,
    E_RUN,
    E_TRIP,
    FAILED,
    FAILURE,
    NONE,
    NOTHING,
    OK,
    PUSH,
    RETRY_IT,
    RUN_ENDS,
    RUN_OVER,
    instance_at,
    lease_at,
    message_at,
    retry_at,
    stage_at,
    trip_at,
)
from toolkit.simulation.compiled_engine.memory import (
    inline,
    write_byte,
    write_float,
)
from toolkit.simulation.compiled_engine.rules import tell_budget


@inline
def went_short(w, kind, number, order):
    """Let an event happen if it is one of the usual; say whether it was."""
    if kind == E_RUN:
        return ends(w, stage_at(w.stages, STAGE), number, order)
    if kind == E_TRIP:
        return is_answered(w, number, order)
    if kind == E_ARRIVE:
        arrives(w, stage_at(w.stages, STAGE))
        return True
    return kind == E_HOLD and is_due(w, stage_at(w.stages, STAGE), number, order)


# --- a message becomes due ---


@inline
def is_due(w, stage, number, order):
    """Let a message that was held come to its instance's others; say whether it is due."""
    lease = lease_at(w.leases, number)
    if not lease.is_used or lease.hold_wait != order:
        return True
    if lease.is_in != HELD or message_at(w.messages, lease.message).due_s > w.now:
        return False
    i = lease.instance
    instance = instance_at(w.instances, i)
    lease.hold_wait = NONE
    remove(w, i, number)
    append(w, i, number, IN_BUFFER)
    if instance.idle_count:
        go_on(w, stage, instance, i)
    return True


# --- its service ends ---


@inline
def works(w, stage, row):
    """Say whether a service does not fail."""
    if stage.failure == 0:
        return True
    luck = uniform(w, STAGE, FAILURE, int(row.attempt), int(row.job))
    return luck >= stage.failure


@inline
def ends(w, stage, number, order):
    """Let a service end, acknowledge it, and go on with the next message."""
    lease = lease_at(w.leases, number)
    if not lease.is_used or lease.run_wait != order:
        return True
    message, row = message_at(w.messages, lease.message), row_at(w.rows, lease.row)
    i = lease.instance
    instance = instance_at(w.instances, i)
    if (
        lease.run != RUN_ENDS
        or message.is_settled
        or instance.winds
        or not (lease.is_open or message.is_deleted)
    ):
        return False
    has_worked = works(w, stage, row)
    if not has_worked and stage.on_failure != RETRY_IT:
        return False
    settles(w, stage, lease, message, row, has_worked)
    lease.run, lease.run_wait, lease.is_alive = RUN_OVER, NONE, 0
    remove(w, i, number)
    put_number(instance.idle, lease.slot - instance.first_slot)
    instance.idle_count += 1
    go_on(w, stage, instance, i)
    if lease.pins == 0:
        part_with(w, number, lease, message)
    if has_worked and is_quiet(w):
        what, order = next_at_once(w)
        is_answered(w, what >> 8, order)
    return True


@inline
def settles(w, stage, lease, message, row, has_worked):
    """Write down how a service ended, delete its message, and let its sender know."""
    lease.ended_s = row.ended_s = w.now
    row.outcome = OK if has_worked else FAILED
    w.open_rows -= 1
    was_open = lease.is_open
    delete(w, message, lease)
    if was_open and stage.live and (stage.fetch == PUSH or stage.line_count):
        match(w.here, STAGE, NONE)
    message.is_settled, message.answer = 1, DONE if has_worked else DEAD
    stage.inside -= 1
    trip_at(w.trips, message.trip).wait = at_once(w, E_TRIP | message.trip << 8)


@inline
def is_quiet(w):
    """Say whether the only event of this moment that is left is the one in line."""
    return (
        w.urgent_count == 0
        and w.line_count == 1
        and w.next_s > w.now
        and (w.heap_count == 0 or event_at(w.heap, 0).at_s > w.now)
        and (w.lane_count == 0 or event_at(w.lane, w.lane_first & w.lane_mask).at_s > w.now)
    )


# --- its sender hears of it ---


@inline
def is_answered(w, t, order):
    """Let a job be done, or tried again, when its message is answered; say whether that is what came."""
    trip, stage = trip_at(w.trips, t), stage_at(w.stages, STAGE)
    if trip.wait != order:
        return True
    m = trip.message
    if trip.state != ANSWER:
        return False
    if message_at(w.messages, m).answer != DONE:
        tries_again(w, t, trip, stage, m)
        return True
    tell_budget(retry_at(stage.retry, 0), True, trip.price)
    trip.message, trip.wait, trip.state = NONE, NONE, NOTHING
    trip.outcome, trip.is_alive = DONE, 0
    write_float(w.finished_s, trip.job, w.now)
    write_byte(w.outcomes, trip.job, DONE)
    w.settled += 1
    forget(w, t, trip, m, message_at(w.messages, m))
    return True


@inline
def tries_again(w, t, trip, stage, m):
    """Send another message after one that failed, or end the job, or let it rest first."""
    message = message_at(w.messages, m)
    outcome = message.answer
    trip.message, trip.wait = NONE, NONE
    message.is_heard = 1
    release_message(w.here, m)
    if after_attempt(w, t, trip, outcome) == AT_DOOR and w.gave_up == 0:
        trip.row = open_row(w, trip.job, STAGE, trip.due_s, trip.paused_s)
        if w.gave_up == 0:
            sends(w, t, trip, stage)


@inline
def forget(w, t, trip, m, message):
    """Use the records of a message and of its trip again, unless somebody may still ask for them."""
    message.is_heard = 1
    if message.entries or message.leases:
        release_trip(w.here, t)
        return
    free_message(w, m, message)
    trip.refs -= 2  # the message's and its own; an older message may know it still
    if trip.refs == 0:
        trip.next = w.free_trip
        w.free_trip = t
        w.live_trips -= 1
