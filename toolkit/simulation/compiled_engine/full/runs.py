"""A message in a slot: its run, and the worker who waits with its job, as in ``instance``."""

from __future__ import annotations

import math

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.full.matching import acknowledge
from toolkit.simulation.compiled_engine.full.moments import (
    at_once,
    duration_s,
    end_chore,
    later,
    new_chore,
    uniform,
    urgently,
)
from toolkit.simulation.compiled_engine.full.queue import release_lease
from toolkit.simulation.compiled_engine.full.returning import free, put_back
from toolkit.simulation.compiled_engine.full.words import close, let_go, settle
from toolkit.simulation.compiled_engine.full.world import (
    C_CRASH,
    C_MOVED,
    C_REPLACE,
    CRASHED,
    DEAD,
    DONE,
    DUPLICATE,
    E_CHORE,
    E_MOVED_ON,
    E_RUN,
    E_RUN_OVER,
    FAILED,
    FAILURE,
    NEVER,
    NO,
    NONE,
    OK,
    POISON,
    RETRY_IT,
    RETURN_IT,
    RUN_ENDS,
    RUN_MOVES_ON,
    RUN_OVER,
    RUN_STARTS,
    SERVICE,
    YES,
    chore_at,
    instance_at,
    lease_at,
    message_at,
    stage_at,
    trip_at,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import called, unit


@called
def verdict(w, t):
    """Return what a good end of a call is worth: OK, or LATE or DUPLICATE if it is unwanted."""
    while t >= 0:
        trip = trip_at(w.trips, t)
        if trip.unwanted != OK:
            return trip.unwanted
        t = trip.parent
    return OK


@called
def close_served(w, s, stage, row, t):
    """Write down the end of a service, and say whether it worked."""
    row.ended_s = w.now
    if stage.failure > 0 and uniform(w, s, FAILURE, int(row.attempt), int(row.job)) < stage.failure:
        row.outcome = FAILED
        return False
    row.outcome = verdict(w, t)
    return True


@called
def finish(w, s, stage, number):
    """Take note of a run that came to its end."""
    lease = lease_at(w.leases, number)
    m = lease.message
    message, row = message_at(w.messages, m), row_at(w.rows, lease.row)
    trip = trip_at(w.trips, message.trip)
    worked = close_served(w, s, stage, row, message.trip)
    w.open_rows -= 1
    if row.outcome == OK and message.is_settled:
        row.outcome = DUPLICATE
    if worked and stage.holds and not message.is_settled:
        trip.moved_on = new_chore(w, C_MOVED, NO)
    if worked or message.is_settled:
        acknowledge(w.here, s, number)
        settle(w.here, s, m, DONE)
    elif stage.on_failure == RETRY_IT:
        if lease.is_open or message.is_deleted:  # else another copy of it decides
            acknowledge(w.here, s, number)
            settle(w.here, s, m, DEAD)
    elif stage.on_failure == RETURN_IT and lease.is_open:
        put_back(w.here, s, number)


@called
def run_is_over(w, number, lease):
    """End a run; an instance that winds down hears of it."""
    lease.run, lease.run_wait = RUN_OVER, NONE
    if instance_at(w.instances, lease.instance).winds:
        at_once(w, E_RUN_OVER | lease.instance << 8)
    release_lease(w.here, number)


@called
def leave_slot(w, s, number, lease):
    """Give a run's slot back."""
    lease.run = RUN_OVER
    slot, i = lease.slot, lease.instance
    let_go(w, number, lease)
    free(w.here, s, i, slot)


@called
def wait_to_move(w, chore, number):
    """Put a run at the end of those who wait for the same job to move on."""
    record = chore_at(w.chores, chore)
    lease_at(w.leases, number).after = NONE
    lease_at(w.leases, number).pins += 1
    if record.lease < 0:
        record.lease = number
        return
    last = record.lease
    while lease_at(w.leases, last).after >= 0:
        last = lease_at(w.leases, last).after
    lease_at(w.leases, last).after = number


@called
def lose_slot(w, number, lease, restart_s):
    """Lose the process of one slot; the instance itself sees it, and lives."""
    slot, is_under_way = lease.slot, math.isnan(row_at(w.rows, lease.row).ended_s)
    if is_under_way:  # else it is done, and waits for a place in the next stage
        close(w, lease.row, CRASHED)
    let_go(w, number, lease)
    chore = new_chore(w, C_REPLACE, lease.instance)
    record = chore_at(w.chores, chore)
    record.slot, record.restart_s = slot, restart_s
    if is_under_way:
        lease.pins += 1
        record.lease = number
    else:
        release_lease(w.here, number)
    urgently(w, E_CHORE | chore << 8)


@called
def die_of(w, stage, number, lease):
    """Let a poison job kill its slot or the whole instance."""
    if stage.poison_kills_slot:
        lose_slot(w, number, lease, 0.0)
    else:
        chore = new_chore(w, C_CRASH, lease.instance)
        record = chore_at(w.chores, chore)
        record.at_s, record.grace_s, record.slot = 0.0, math.nan, NONE
        record.restart_s = stage.restart_s
        urgently(w, E_CHORE | chore << 8)


@called
def end_run(w, s, stage, number, lease):
    """End a run's service."""
    lease.ended_s = w.now
    row = row_at(w.rows, lease.row)
    if stage.poison > 0 and uniform(w, s, POISON, YES, int(row.job)) < stage.poison:
        lease.run = RUN_OVER
        die_of(w, stage, number, lease)
        return
    lease.is_alive = 0
    finish(w, s, stage, number)
    moved_on = trip_at(w.trips, message_at(w.messages, lease.message).trip).moved_on
    if moved_on >= 0:  # the worker waits with its job for a place in the next stage
        lease.run, lease.run_wait = RUN_MOVES_ON, NEVER
        wait_to_move(w, moved_on, number)
    else:
        leave_slot(w, s, number, lease)


@unit
def run_comes(here, number, order):
    """Start a run's service, or end it, or let it move on."""
    w = world_at(here, 0)
    lease = lease_at(w.leases, number)
    if not lease.is_used or lease.run_wait != order:
        return
    i = lease.instance
    s = instance_at(w.instances, i).stage
    stage = stage_at(w.stages, s)
    if lease.run == RUN_STARTS:
        left_s = message_at(w.messages, lease.message).left_s
        if math.isnan(left_s):
            row = row_at(w.rows, lease.row)
            left_s = duration_s(w, s, SERVICE, int(row.attempt), int(row.job))
        lease.run = RUN_ENDS
        lease.run_wait = later(w, left_s, E_RUN | number << 8)
        return
    w.active = number
    lease.pins += 1
    if lease.run == RUN_ENDS:
        end_run(w, s, stage, number, lease)
    if lease.run == RUN_MOVES_ON and lease.run_wait == order:
        leave_slot(w, s, number, lease)
    lease.pins -= 1
    w.active = NONE
    if lease.run == RUN_OVER:
        run_is_over(w, number, lease)


@called
def move_on(w, trip):
    """Let go of the worker of the stage before."""
    if trip.moved_on >= 0:
        at_once(w, E_MOVED_ON | trip.moved_on << 8)
        trip.moved_on = NONE


@unit
def all_move_on(here, chore, order):
    """Let those go on whose job has moved on."""
    w = world_at(here, 0)
    number = chore_at(w.chores, chore).lease
    end_chore(w, chore)
    while number >= 0:
        lease = lease_at(w.leases, number)
        follower = lease.after
        if lease.run == RUN_MOVES_ON:
            lease.run_wait = order
            run_comes(w.here, number, order)
        lease.pins -= 1
        release_lease(w.here, number)
        number = follower


@unit
def run_interrupted(here, number):
    """End a run that somebody has interrupted; whoever did has seen to everything."""
    w = world_at(here, 0)
    lease = lease_at(w.leases, number)
    if lease.run != RUN_OVER:
        run_is_over(w, number, lease)
