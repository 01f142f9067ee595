"""The last word on a message: its place, its lease and its answer, as in ``simpy_engine/leases``."""

from __future__ import annotations

from toolkit.simulation.compiled_engine.full.moments import at_once, close_row, urgently
from toolkit.simulation.compiled_engine.full.queue import lock_group, remove
from toolkit.simulation.compiled_engine.full.world import (
    E_RUN_INTERRUPT,
    E_TRIP,
    NO_RUN,
    NONE,
    RUN_OVER,
    instance_at,
    message_at,
    stage_at,
    trip_at,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import called, unit


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
