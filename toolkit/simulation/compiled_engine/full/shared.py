"""Workers that share themselves among all jobs, as in ``station.SharedStation``."""

from __future__ import annotations

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.events import drop_first, event_at, put_event
from toolkit.simulation.compiled_engine.full.moments import (
    at_once,
    duration_s,
    end_chore,
    is_full,
    later,
    new_chore,
    urgently,
)
from toolkit.simulation.compiled_engine.full.world import (
    C_SHARED_END,
    E_CHORE,
    E_TRIP,
    NONE,
    SERVICE,
    SHARED_END,
    chore_at,
    stage_at,
    trip_at,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import called, inline, unit


@inline
def pace(stage):
    """Return how fast each job is served."""
    return min(1.0, stage.workers / stage.shared_count) if stage.shared_count else 0.0


@called
def catch_up(w, stage):
    """Move the given work on to now."""
    stage.given_s += (w.now - stage.since_s) * pace(stage)
    stage.since_s = w.now


@called
def plan_next(w, s, stage):
    """Plan the next end, if nothing comes in between."""
    stage.plan += 1
    if stage.shared_count:
        left_s = max(0.0, event_at(stage.shared, 0).at_s - stage.given_s) / pace(stage)
        chore = new_chore(w, C_SHARED_END, s)
        record = chore_at(w.chores, chore)
        record.at_s, record.life = left_s, stage.plan
        urgently(w, E_CHORE | chore << 8)


@called
def share_workers(w, t, trip, s, stage):
    """Be served together with all the others."""
    catch_up(w, stage)
    row = row_at(w.rows, trip.row)
    row.started_s, row.worker = w.now, 0
    work_s = duration_s(w, s, SERVICE, int(row.attempt), trip.job)
    if stage.shared_count == stage.shared_room:
        stage.shared_count += is_full(w)
    put_event(stage.shared, stage.shared_count, stage.given_s + work_s, stage.entered, t)
    stage.shared_count += 1
    stage.entered += 1
    trip.state, trip.wait = SHARED_END, NONE
    plan_next(w, s, stage)


@unit
def shared_end_comes(here, chore):
    """End the job that is due, unless the plan has changed."""
    w = world_at(here, 0)
    record = chore_at(w.chores, chore)
    s = record.number
    stage = stage_at(w.stages, s)
    if record.step == 0:
        record.step = 1
        later(w, record.at_s, E_CHORE | chore << 8)
        return
    plan = record.life
    end_chore(w, chore)
    if plan != stage.plan:
        return
    catch_up(w, stage)
    first = event_at(stage.shared, 0)
    stage.given_s = first.at_s  # exactly, whatever the sums have rounded to
    t = first.what
    drop_first(stage.shared, stage.shared_count)
    stage.shared_count -= 1
    trip_at(w.trips, t).wait = at_once(w, E_TRIP | t << 8)
    plan_next(w, s, stage)


@called
def leave_shared(w, t, s, stage):
    """Take a trip out from among those who are served together."""
    catch_up(w, stage)
    kept = 0
    for k in range(stage.shared_count):
        entry = event_at(stage.shared, k)
        at_s, order, what = entry.at_s, entry.order, entry.what
        if what != t:
            put_event(stage.shared, kept, at_s, order, what)
            kept += 1
    stage.shared_count = kept
    plan_next(w, s, stage)
