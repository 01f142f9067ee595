"""What wakes a trip, and what takes it back."""

from __future__ import annotations

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.full.callers import answer_heard, ask_again
from toolkit.simulation.compiled_engine.full.moments import at_once, close_row
from toolkit.simulation.compiled_engine.full.queue import release_message, release_trip
from toolkit.simulation.compiled_engine.full.returning import withdraw
from toolkit.simulation.compiled_engine.full.runs import close_served, move_on
from toolkit.simulation.compiled_engine.full.shared import leave_shared
from toolkit.simulation.compiled_engine.full.stages import (
    AT_DOOR,
    NEXT,
    PAST_LIMITER,
    give_worker_back,
    out_of_line,
    send,
    start_service,
    visit,
)
from toolkit.simulation.compiled_engine.full.travels import tasks_heard, travel
from toolkit.simulation.compiled_engine.full.trips import end_trip, forget_children, hear, leave
from toolkit.simulation.compiled_engine.full.words import leave_place
from toolkit.simulation.compiled_engine.full.world import (
    ABANDONED,
    ANSWER,
    CANCELLED,
    COPIES,
    CUT_OFF,
    DEAD,
    DONE,
    E_RELEASED,
    GRANT,
    LATE,
    NONE,
    PAUSE,
    PLACE,
    PUT_OFF,
    REST,
    SERVICE_END,
    SHARED_END,
    TASK,
    TASKS,
    TO_START,
    TOKEN,
    YES,
    message_at,
    stage_at,
    trip_at,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import called, unit


@unit
def set_out(here, t):
    """Start a trip: ask as a caller, or travel."""
    w = world_at(here, 0)
    trip = trip_at(w.trips, t)
    if trip.kind == TASK:
        s = trip.stage
        travel(w.here, t, visit(w, t, trip, s, stage_at(w.stages, s)))
    elif trip.level < w.caller_count:
        ask_again(w, t)
    else:
        travel(w.here, t, NEXT)


@unit
def trip_comes(here, t, order):
    """Take a trip on from what it waited for."""
    w = world_at(here, 0)
    trip = trip_at(w.trips, t)
    if trip.wait != order:
        return
    trip.wait = NONE
    state, s = trip.state, trip.stage
    if state == TO_START:
        set_out(w.here, t)
        return
    if state == PAUSE:
        ask_again(w, t)
        return
    stage = stage_at(w.stages, s)
    if state == GRANT:
        move = start_service(w, t, trip, s, stage)
        travel(w.here, t, move)
    elif state == SERVICE_END:
        row = row_at(w.rows, trip.row)
        give_worker_back(w, s, stage, row)
        worked = close_served(w, s, stage, row, t)
        travel(w.here, t, DONE if worked else DEAD)
    elif state == ANSWER:
        m = trip.message
        message = message_at(w.messages, m)
        outcome = message.answer
        message.is_heard, trip.message = 1, NONE
        release_message(w.here, m)
        travel(w.here, t, outcome)
    elif state in (REST, PUT_OFF):
        trip.due_s, trip.paused_s = w.now, w.now - trip.since_s
        travel(w.here, t, AT_DOOR)
    elif state == TOKEN:
        travel(w.here, t, PAST_LIMITER)
    elif state == PLACE:
        move_on(w, trip)
        send(w, t, trip, s, stage)
    elif state == SHARED_END:
        worked = close_served(w, s, stage, row_at(w.rows, trip.row), t)
        travel(w.here, t, DONE if worked else DEAD)


@unit
def trip_hears(here, t, order):
    """Take a trip on that waited for several events."""
    w = world_at(here, 0)
    trip = trip_at(w.trips, t)
    if trip.wait != order:
        return
    trip.wait = NONE
    if trip.state == TASKS:
        tasks_heard(w, t)
    else:
        answer_heard(w, t)


@unit
def time_out_comes(here, t, order, is_alarm):
    """Tell a caller that its patience ends, or that it is time for a second copy."""
    w = world_at(here, 0)
    trip = trip_at(w.trips, t)
    if is_alarm and trip.alarm_wait == order:
        trip.alarmed = 1
        hear(w, t)
    elif not is_alarm and trip.time_out_wait == order:
        trip.timed_out = 1
        hear(w, t)


@called
def give_up_place(w, t, trip, state, s):
    """Leave a line, a worker or a place."""
    stage = stage_at(w.stages, s)
    if state == GRANT:
        if trip.granted:
            stage.busy -= 1
        else:
            stage.first, stage.last = out_of_line(w, stage.first, t)
            stage.waiting -= 1
        at_once(w, E_RELEASED | s << 8)
    elif state == SERVICE_END:
        give_worker_back(w, s, stage, row_at(w.rows, trip.row))
    elif state == SHARED_END:
        leave_shared(w, t, s, stage)
    elif state == PLACE:
        if trip.granted:
            leave_place(w, stage)
        else:
            stage.first_place, stage.last_place = out_of_line(w, stage.first_place, t)


@unit
def interrupted(here, t):
    """Take a fork back, wherever it is; nobody hears its outcome."""
    w = world_at(here, 0)
    trip = trip_at(w.trips, t)
    trip.refs -= 1
    if not trip.is_alive:
        trip.refs += 1
        release_trip(w.here, t)
        return
    state, s = trip.state, trip.stage
    trip.wait = NONE
    if state in (TASKS, COPIES):
        trip.time_out_wait = trip.alarm_wait = NONE
        leave(w, t, LATE, YES)
        forget_children(w, t)
    elif state == ANSWER:
        m = trip.message
        withdraw(w.here, s, m, CANCELLED)
        message_at(w.messages, m).is_heard = 1
        trip.message = NONE
        release_message(w.here, m)
    elif state not in (PAUSE, REST, PUT_OFF):
        give_up_place(w, t, trip, state, s)
        if row_at(w.rows, trip.row).outcome == CUT_OFF:
            close_row(w, trip.row, CANCELLED)
    move_on(w, trip)
    end_trip(w.here, t, ABANDONED)
