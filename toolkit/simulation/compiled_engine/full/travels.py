"""A trip from stage to stage: what follows an attempt, and when a split job goes on."""

from __future__ import annotations

import math

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.full.moments import later, uniform
from toolkit.simulation.compiled_engine.full.runs import move_on
from toolkit.simulation.compiled_engine.full.stages import (
    AT_DOOR,
    NEXT,
    PAST_LIMITER,
    at_door,
    enter,
    next_stage,
    split,
    visit,
)
from toolkit.simulation.compiled_engine.full.trips import WAITS, end_trip, forget_children, leave
from toolkit.simulation.compiled_engine.full.world import (
    ABANDONED,
    BROKER,
    BY_BROKER,
    DONE,
    DUPLICATE,
    E_TRIP,
    JITTER,
    LATE,
    LIMITED,
    LOST,
    NO,
    NONE,
    REJECTED,
    REST,
    TASK,
    retry_at,
    stage_at,
    trip_at,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import called, unit
from toolkit.simulation.compiled_engine.rules import FIXED, MOST_RETRIES, pause_s, pay, tell_budget


@called
def end_visit(w, t, trip, outcome):
    """End a visit without success, and with it the trip."""
    if trip.kind != TASK:
        move_on(w, trip)
    end_trip(w.here, t, outcome)
    return WAITS


@called
def after_attempt(w, t, trip, outcome):
    """Retry, go to the next stage, or end the visit; return what is next."""
    s = trip.stage
    stage = stage_at(w.stages, s)
    retry = retry_at(stage.retry, 0)
    tell_budget(retry, outcome == DONE, trip.price)
    if outcome == DONE:
        return NEXT
    is_final = outcome in (ABANDONED, LOST) or (
        outcome in (REJECTED, LIMITED) and not retry.rejected
    )
    if trip.retries >= retry.most or is_final:
        return end_visit(w, t, trip, outcome)
    trip.price = pay(retry, NO)
    if math.isnan(trip.price):
        return end_visit(w, t, trip, outcome)
    if trip.retries >= MOST_RETRIES:
        w.gave_up = 1
        return WAITS
    luck = 0.0
    if retry.pause != FIXED:
        luck = uniform(w, s, JITTER, row_at(w.rows, trip.row).attempt, trip.job)
    trip.last_s = pause_s(retry, trip.retries, luck, trip.last_s)
    trip.retries += 1
    if stage.kind == BROKER and stage.delayed != BY_BROKER:
        trip.due_s, trip.paused_s = w.now + trip.last_s, trip.last_s
        return AT_DOOR
    trip.since_s, trip.state = w.now, REST
    trip.wait = later(w, trip.last_s, E_TRIP | t << 8)
    return WAITS


@called
def to_next(w, t, trip):
    """Go to the next stage, or end the trip; a task has only one stage."""
    if trip.kind == TASK and trip.stage >= 0:
        end_trip(w.here, t, DONE)
        return WAITS
    s = next_stage(w, t, trip)
    if s == w.stage_count:
        move_on(w, trip)
        end_trip(w.here, t, DONE)
        return WAITS
    stage = stage_at(w.stages, s)
    if stage.tasks:
        return split(w, t, trip, s, stage)
    return visit(w, t, trip, s, stage)


@unit
def travel(here, t, place):
    """Take a trip through stages as far as it goes at this moment, from where it stands."""
    w = world_at(here, 0)
    while place >= 0 and w.gave_up == 0:
        trip = trip_at(w.trips, t)
        if place == NEXT:
            place = to_next(w, t, trip)
        elif place == AT_DOOR:
            place = at_door(w, t, trip, stage_at(w.stages, trip.stage))
        elif place == PAST_LIMITER:
            place = enter(w, t, trip, trip.stage, stage_at(w.stages, trip.stage))
        else:
            place = after_attempt(w, t, trip, place)


@called
def tasks_heard(w, t):
    """Go on when enough tasks are done, or too many are not."""
    trip = trip_at(w.trips, t)
    stage = stage_at(w.stages, trip.stage)
    done = bad = 0
    first_bad = NONE
    child = trip.first_child
    while child >= 0:
        record = trip_at(w.trips, child)
        if record.is_over:
            if record.outcome == DONE:
                done += 1
            else:
                bad += 1
                first_bad = record.outcome if first_bad < 0 else first_bad
        child = record.sibling
    if done >= stage.needed:
        leave(w, t, DUPLICATE, NO)
        forget_children(w, t)
        travel(w.here, t, NEXT)
    elif stage.tasks - bad < stage.needed:
        leave(w, t, LATE, NO)
        forget_children(w, t)
        end_visit(w, t, trip, first_bad)
    else:
        trip.hears = 1
