"""A lease in time: watched, held until it is due, given up for want of patience."""

from __future__ import annotations

import math

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.full.matching import start_next
from toolkit.simulation.compiled_engine.full.moments import at_once, duration_s, in_lane, later
from toolkit.simulation.compiled_engine.full.queue import (
    HELD,
    IN_BUFFER,
    append,
    release_lease,
    remove,
)
from toolkit.simulation.compiled_engine.full.returning import give_back, withdraw
from toolkit.simulation.compiled_engine.full.world import (
    ABANDONED,
    E_HOLD,
    E_PATIENCE,
    E_TRIP,
    E_WATCH,
    LEFT,
    NONE,
    PATIENCE,
    instance_at,
    lease_at,
    message_at,
    stage_at,
    trip_at,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import called, inline, unit


@called
def lease_end_s(w, stage, lease):
    """Return when a lease ends, as things stand."""
    since_s = lease.given_s if stage.renews_held else lease.started_s
    if math.isnan(stage.renew_every_s) or math.isnan(since_s):
        return lease.given_s + stage.timeout_s
    until_s = w.now if math.isnan(lease.ended_s) else lease.ended_s
    until_s = min(until_s, since_s + stage.renew_for_s)
    renewals = math.floor((until_s - since_s) / stage.renew_every_s)
    renewed_s = since_s + renewals * stage.renew_every_s if renewals else lease.given_s
    return renewed_s + stage.timeout_s


@called
def any_is_up(w, stage):
    """Say whether some instance of the stage is up."""
    for k in range(stage.instances):
        if instance_at(w.instances, stage.first_instance + k).is_up:
            return True
    return False


@called
def await_sweep(w, stage, number, lease):
    """Wait for the next sweep."""
    at_s = stage.sweep_first_s + lease.sweep * stage.sweep_every_s
    lease.watch_wait = later(w, max(0.0, at_s - w.now), E_WATCH | number << 8)


@inline
def time_is_up(w, stage, number, lease):
    """Say whether a lease's time is up; if not, plan when to look again."""
    if lease.is_open:
        left_s = lease_end_s(w, stage, lease) - w.now
        if left_s > 0:
            lease.watch_wait = in_lane(w, left_s, E_WATCH | number << 8)
            return False
    if lease.is_open and not math.isnan(stage.sweep_every_s):
        lease.pins += 1
        since_s = (w.now - stage.sweep_first_s) / stage.sweep_every_s
        lease.sweep = max(0, math.ceil(since_s))
        await_sweep(w, stage, number, lease)
        return False
    return True


@called
def sweep_is_made(w, stage, number, lease):
    """Say whether some instance is there to make a sweep; if not, plan the next."""
    if any_is_up(w, stage):
        lease.pins -= 1
        lease.sweep = NONE
        return True
    lease.watch_wait = NONE  # if nobody is left and nobody will come back
    if stage.away:
        lease.sweep += 1
        await_sweep(w, stage, number, lease)
    return False


@unit
def watch_comes(here, number, order):
    """Look after a lease: wait until its time is up, then for a sweep if that is the way."""
    w = world_at(here, 0)
    lease = lease_at(w.leases, number)
    if not lease.is_used or lease.watch_wait != order:
        return
    s = instance_at(w.instances, lease.instance).stage
    stage = stage_at(w.stages, s)
    if lease.sweep < 0:
        ends = time_is_up(w, stage, number, lease)
    else:
        ends = sweep_is_made(w, stage, number, lease)
    if ends:
        lease.watch_wait = NONE
        lease.pins += 1
        give_back(w.here, s, number)
        lease.pins -= 1
        release_lease(w.here, number)


@unit
def hold_comes(here, number, order):
    """Keep a message until it is due."""
    w = world_at(here, 0)
    lease = lease_at(w.leases, number)
    if not lease.is_used or lease.hold_wait != order:
        return
    left_s = message_at(w.messages, lease.message).due_s - w.now
    if left_s > 0:
        lease.hold_wait = later(w, left_s, E_HOLD | number << 8)
        return
    lease.hold_wait = NONE
    if lease.is_in == HELD:
        i = lease.instance
        s = instance_at(w.instances, i).stage
        remove(w, i, number)
        append(w, i, number, IN_BUFFER)
        start_next(w.here, s, i)


@unit
def patience_comes(here, m, order):
    """Let a job leave if it still waits long after it was due."""
    w = world_at(here, 0)
    message = message_at(w.messages, m)
    if message.patience_wait != order:
        return
    row = row_at(w.rows, message.row)
    s = int(row.stage)
    if not message.is_patient:
        message.is_patient = 1
        patience_s = duration_s(w, s, PATIENCE, int(row.attempt), int(row.job))
        wait_s = max(0.0, message.due_s - w.now) + patience_s
        message.patience_wait = later(w, wait_s, E_PATIENCE | m << 8)
        return
    message.patience_wait = NONE
    number = message.lease
    has_started = number >= 0 and not math.isnan(lease_at(w.leases, number).started_s)
    if not message.is_settled and not has_started:
        withdraw(w.here, s, m, LEFT)
        message.answer = ABANDONED
        trip_at(w.trips, message.trip).wait = at_once(w, E_TRIP | message.trip << 8)
