"""A trip at a stage: the door, the workers, what follows, as in ``door`` and ``station``."""

from __future__ import annotations

import math

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.events import put_number, take_number
from toolkit.simulation.compiled_engine.full.moments import (
    at_once,
    attempt_is_known,
    close_row,
    duration_s,
    is_full,
    later,
    open_row,
    uniform,
)
from toolkit.simulation.compiled_engine.full.returning import publish
from toolkit.simulation.compiled_engine.full.runs import move_on
from toolkit.simulation.compiled_engine.full.shared import share_workers
from toolkit.simulation.compiled_engine.full.trips import (
    WAITS,
    fork,
)
from toolkit.simulation.compiled_engine.full.world import (
    ABANDONED,
    ANSWER,
    BROKER,
    BY_BROKER,
    CANCELLED,
    COUNTDOWN,
    E_RELEASED,
    E_TRIP,
    GRANT,
    GROUP,
    LIMITED,
    NO,
    NONE,
    PLACE,
    PUT_OFF,
    REJECTED,
    ROUTE,
    SERVICE,
    SERVICE_END,
    SHARE,
    SHARED,
    STATION,
    TASK,
    TASKS,
    TOKEN,
    TURNED_AWAY,
    YES,
    bucket_at,
    message_at,
    numbers,
    stage_at,
    trip_at,
)
from toolkit.simulation.compiled_engine.memory import (
    called,
    read_short,
    write_short,
)
from toolkit.simulation.compiled_engine.rules import (
    admits,
    reserve,
    route,
)

# where a trip stands, beside the outcomes: before the next stage, at its door, past its limiter
NEXT, AT_DOOR, PAST_LIMITER = numbers(16, 19)


WHEN_FULL_REJECT, WHEN_FULL_DROP, WHEN_FULL_BLOCK = numbers(3)


@called
def follower(w, t, trip, place):
    """Return the stage after ``place``, by its routes if it has any."""
    if not w.has_routes or place < 0:
        return place + 1
    stage = stage_at(w.stages, place)
    if stage.route_count < 0:
        return place + 1
    turn = int(read_short(w.turns, t * w.stage_count + place)) + 1
    write_short(w.turns, t * w.stage_count + place, turn)
    if not attempt_is_known(w, turn):
        return w.stage_count
    return route(stage, uniform(w, place, ROUTE, turn, trip.job), w.stage_count)


@called
def next_stage(w, t, trip):
    """Return the next stage that the job comes to, the number of stages for none."""
    place = trip.stage
    while True:
        place = follower(w, t, trip, place)
        if place == w.stage_count:
            return place
        share = stage_at(w.stages, place).share
        if share == 1 or uniform(w, place, SHARE, YES, trip.job) < share:
            return place


@called
def visit(w, t, trip, s, stage):
    """Come to a stage, perhaps after a countdown; return what is next."""
    trip.stage, trip.retries, trip.is_inside = s, 0, 0
    trip.price = trip.last_s = math.nan
    trip.due_s, trip.paused_s = w.now, 0.0
    if stage.kind == BROKER and stage.has_countdown:
        number = int(read_short(stage.made, trip.job)) + 1
        if not attempt_is_known(w, number):
            return WAITS
        pause = duration_s(w, s, COUNTDOWN, number, trip.job)
        if stage.delayed != BY_BROKER:
            trip.due_s, trip.paused_s = w.now + pause, pause
        else:
            trip.since_s, trip.state = w.now, PUT_OFF
            trip.wait = later(w, pause, E_TRIP | t << 8)
            return WAITS
    return AT_DOOR


@called
def split(w, t, trip, s, stage):
    """Split a job into tasks."""
    move_on(w, trip)
    trip.stage, trip.state = s, TASKS
    for branch in range(stage.tasks):
        child = fork(w, TASK, t, NO)
        trip_at(w.trips, child).branch = branch
        trip_at(w.trips, child).stage = s
    trip.hears = 1
    return WAITS


@called
def at_door(w, t, trip, stage):
    """Open a row for an attempt and take it past the limiter; return what is next."""
    trip.row = open_row(w, trip.job, trip.stage, trip.due_s, trip.paused_s)
    if w.gave_up:
        return WAITS
    bucket = bucket_at(stage.bucket, 0)
    if trip.is_inside or bucket.kind == 0:
        return PAST_LIMITER
    if bucket.waits:
        granted_s = reserve(bucket, w.now)
        if granted_s > w.now:
            trip.state = TOKEN
            trip.wait = later(w, granted_s - w.now, E_TRIP | t << 8)
            return WAITS
    elif not admits(bucket, w.now):
        close_row(w, trip.row, TURNED_AWAY)
        return LIMITED
    return PAST_LIMITER


@called
def stand(w, stage, t):
    """Stand in line for a place."""
    if stage.first_place < 0:
        stage.first_place = t
    else:
        trip_at(w.trips, stage.last_place).next = t
    stage.last_place = t


@called
def new_message(w, t, trip):
    """Return a new message for a trip's attempt, which waits for the answer."""
    m = w.free_message
    if m >= 0:
        w.free_message = message_at(w.messages, m).next
    else:
        m = w.message_count
        w.message_count += 1
        if m == w.message_room:
            w.message_count -= 1
            m += is_full(w)
    message = message_at(w.messages, m)
    message.trip, message.row, message.due_s = t, trip.row, row_at(w.rows, trip.row).queued_s
    message.deliveries = message.leases = message.entries = 0
    message.is_queued = message.is_deleted = message.is_settled = message.is_heard = 0
    message.is_patient, message.patience_wait, message.answer = 0, NONE, WAITS
    message.place = NONE
    message.lease = message.group = NONE
    message.longest_wait_s, message.left_s = math.inf, math.nan
    trip.refs += 1
    w.open_rows += 1
    trip.message, trip.state, trip.wait = m, ANSWER, NONE
    return m


@called
def send(w, t, trip, s, stage):
    """Send a message for the attempt."""
    m = new_message(w, t, trip)
    if stage.groups:
        group = int(uniform(w, s, GROUP, YES, trip.job) * stage.groups)
        message_at(w.messages, m).group = group
    publish(w.here, s, m)


@called
def ask_for_worker(w, t, trip, stage):
    """Stand in line for a worker."""
    trip.state, trip.wait, trip.granted, trip.next = GRANT, NONE, 0, NONE
    if stage.waiting:
        trip_at(w.trips, stage.last).next = t
    else:
        stage.first = t
    stage.last = t
    stage.waiting += 1


@called
def grant(w, stage):
    """Let the head of the line have a worker if one is free."""
    if stage.waiting and stage.busy < stage.workers:
        stage.busy += 1
        stage.waiting -= 1
        t = stage.first
        trip = trip_at(w.trips, t)
        stage.first = trip.next
        trip.granted = 1
        trip.wait = at_once(w, E_TRIP | t << 8)


@called
def enter(w, t, trip, s, stage):
    """Go in if there is a place, or wait for one if that is the rule; return what is next."""
    trip.is_inside = 1
    if stage.kind == STATION:
        is_full = stage.busy + stage.waiting >= stage.capacity
    elif stage.kind == SHARED:
        is_full = stage.shared_count >= stage.capacity
    else:
        is_full = stage.inside >= stage.capacity
    if stage.capacity >= 0 and is_full:
        if stage.when_full == WHEN_FULL_BLOCK:
            trip.state, trip.wait, trip.granted, trip.next = PLACE, NONE, 0, NONE
            stand(w, stage, t)
            return WAITS
        trip.is_silent = stage.when_full == WHEN_FULL_DROP
        close_row(w, trip.row, TURNED_AWAY)
        return REJECTED
    if stage.kind == BROKER:
        stage.inside += 1
    move_on(w, trip)
    if stage.kind == STATION:
        ask_for_worker(w, t, trip, stage)
        grant(w, stage)
    elif stage.kind == SHARED:
        share_workers(w, t, trip, s, stage)
    else:
        send(w, t, trip, s, stage)
    return WAITS


@called
def out_of_line(w, first, t):
    """Take a trip out of a line; return its new first and last."""
    before, place = NONE, first
    while place != t:
        before, place = place, trip_at(w.trips, place).next
    behind = trip_at(w.trips, t).next
    if before < 0:
        first = behind
    else:
        trip_at(w.trips, before).next = behind
    last = first
    while last >= 0 and trip_at(w.trips, last).next >= 0:
        last = trip_at(w.trips, last).next
    return first, last


@called
def start_service(w, t, trip, s, stage):
    """Start an attempt, if it is not too late; return what is next."""
    if trip.deadline_s < w.now:
        stage.busy -= 1
        at_once(w, E_RELEASED | s << 8)
        close_row(w, trip.row, CANCELLED)
        return ABANDONED
    row = row_at(w.rows, trip.row)
    row.started_s = w.now
    row.worker = take_number(stage.idle)
    trip.state = SERVICE_END
    service_s = duration_s(w, s, SERVICE, int(row.attempt), trip.job)
    trip.wait = later(w, service_s, E_TRIP | t << 8)
    return WAITS


@called
def give_worker_back(w, s, stage, row):
    """Give a worker back."""
    put_number(stage.idle, int(row.worker))
    stage.busy -= 1
    at_once(w, E_RELEASED | s << 8)
