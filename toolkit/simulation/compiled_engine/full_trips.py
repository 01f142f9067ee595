"""Trips: a call on its way through callers, stages and tasks, as in ``system``, ``door`` and ``caller``."""

from __future__ import annotations

import math

import numpy as np

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.events import (
    drop_first,
    event_at,
    put_event,
    put_number,
    take_number,
)
from toolkit.simulation.compiled_engine.full_delivery import leave_place, publish, withdraw
from toolkit.simulation.compiled_engine.full_instance import close_served, move_on
from toolkit.simulation.compiled_engine.full_queue import release_message, release_trip
from toolkit.simulation.compiled_engine.full_world import (
    ABANDONED,
    ANSWER,
    BROKER,
    BY_BROKER,
    C_SHARED_END,
    CALLER_JITTER,
    CALLERS_TIME_OUT,
    CANCELLED,
    COPIES,
    COPY,
    COUNTDOWN,
    CUT_OFF,
    DEAD,
    DONE,
    DUPLICATE,
    E_ALARM,
    E_CHORE,
    E_HEARD,
    E_INTERRUPT,
    E_OVER,
    E_RELEASED,
    E_TIME_OUT,
    E_TRIP,
    E_USER,
    GRANT,
    GROUP,
    JITTER,
    LATE,
    LIFE,
    LIMITED,
    LOST,
    NO,
    NONE,
    NOTHING,
    OK,
    PAUSE,
    PLACE,
    PUT_OFF,
    REJECTED,
    REST,
    ROUTE,
    SERVICE,
    SERVICE_END,
    SHARE,
    SHARED,
    SHARED_END,
    STATION,
    STREAMS,
    TASK,
    TASKS,
    TIMEOUT,
    TO_START,
    TOKEN,
    TURNED_AWAY,
    YES,
    at_once,
    attempt_is_known,
    bucket_at,
    caller_at,
    check_endless,
    chore_at,
    close_row,
    duration_s,
    end_chore,
    later,
    message_at,
    new_chore,
    numbers,
    open_row,
    ranked,
    retry_at,
    stage_at,
    trip_at,
    uniform,
    uniform_at,
    urgently,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import (
    answering_unit,
    called,
    inline,
    read_float,
    read_int,
    read_short,
    unit,
    write_byte,
    write_float,
    write_short,
)
from toolkit.simulation.compiled_engine.rules import (
    FIXED,
    MOST_RETRIES,
    admits,
    pause_s,
    pay,
    reserve,
    tell_budget,
)

WAITS = np.int64(-1)  # no outcome yet
# where a trip stands, beside the outcomes: before the next stage, at its door, past its limiter
NEXT, AT_DOOR, PAST_LIMITER = numbers(16, 19)
WHEN_FULL_REJECT, WHEN_FULL_DROP, WHEN_FULL_BLOCK = numbers(3)
SKIP, CANCEL = numbers(1, 3)  # of a time-out


@called
def new_trip(w, kind, job, parent, level):
    """Return a new trip, a child of ``parent``'s call."""
    t = w.free_trip
    if t >= 0:
        w.free_trip = trip_at(w.trips, t).next
    else:
        t = w.trip_count
        w.trip_count += 1
    w.live_trips += 1
    trip = trip_at(w.trips, t)
    trip.kind, trip.job, trip.parent, trip.level = kind, job, parent, level
    trip.refs, trip.user, trip.branch, trip.stage = 1, NONE, 0, NONE
    trip.message, trip.moved_on, trip.outcome = NONE, NONE, WAITS
    trip.unwanted, trip.is_silent, trip.is_alive, trip.is_over = OK, 0, 1, 0
    trip.first_child = trip.last_child = trip.next = NONE
    trip.sibling = trip.hears_from = NONE
    trip.granted, trip.hears, trip.number, trip.retries = 0, 0, 0, 0
    trip.state, trip.wait, trip.row = NOTHING, NONE, NONE
    trip.deadline_s = math.inf
    trip.price = trip.last_s = math.nan
    if parent >= 0:
        trip_at(w.trips, parent).refs += 1
        trip.deadline_s = trip_at(w.trips, parent).deadline_s
    for k in range(w.stage_count if w.has_routes else 0):
        write_short(w.turns, t * w.stage_count + k, 0)
    return t


# --- forks: copies of a request, tasks of a job ---


@called
def fork(w, kind, t, level):
    """Start a trip that works on a trip's call; return its number."""
    trip = trip_at(w.trips, t)
    child = new_trip(w, kind, trip.job, t, level)
    record = trip_at(w.trips, child)
    record.refs += 1  # the parent looks at it
    record.hears_from = t
    if trip.first_child < 0:
        trip.first_child = child
    else:
        trip_at(w.trips, trip.last_child).sibling = child
    trip.last_child = child
    w.open_forks += 1
    record.state = TO_START
    record.wait = urgently(w, E_TRIP | child << 8)
    return child


@called
def leave(w, t, mark, cancels):
    """Wait no longer for those still under way: what they achieve is marked LATE or DUPLICATE."""
    child = trip_at(w.trips, t).first_child
    while child >= 0:
        record = trip_at(w.trips, child)
        if record.is_alive:
            record.unwanted = mark
            if cancels:
                urgently(w, E_INTERRUPT | child << 8)
                record.refs += 1
        child = record.sibling


# --- stages ---


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
    luck = uniform(w, place, ROUTE, turn, trip.job)
    for k in range(stage.route_count):
        share = read_float(stage.routes, 2 * k + 1)
        if luck < share:
            return int(read_float(stage.routes, 2 * k))
        luck -= share
    return w.stage_count


@called
def forget_children(w, t):
    """Look at the forks of a try no more."""
    trip = trip_at(w.trips, t)
    child = trip.first_child
    trip.first_child = trip.last_child = NONE
    trip.hears = 0
    while child >= 0:
        record = trip_at(w.trips, child)
        follower = record.sibling
        record.hears_from, record.sibling = NONE, NONE
        release_trip(w.here, child)
        child = follower


@called
def hear(w, t):
    """Tell a trip that waits for several events that one of them has come."""
    trip = trip_at(w.trips, t)
    if trip.hears:
        trip.hears = 0
        trip.wait = at_once(w, E_HEARD | t << 8)


@unit
def trip_is_over(here, t):
    """Note the end of a fork, and tell whoever listens."""
    w = world_at(here, 0)
    trip = trip_at(w.trips, t)
    trip.is_over = 1
    if trip.hears_from >= 0:
        hear(w, trip.hears_from)
    release_trip(w.here, t)


@called
def think(w, user, turn):
    """Let a user think before its next job."""
    later(w, read_float(read_int(w.thinks, turn), user), E_USER | user << 8)


@unit
def end_trip(here, t, outcome):
    """End a trip's process; return nothing to do, or a user's thinking."""
    w = world_at(here, 0)
    trip = trip_at(w.trips, t)
    trip.outcome, trip.is_alive, trip.state, trip.wait = outcome, 0, NOTHING, NONE
    if trip.kind == LIFE:
        write_float(w.finished_s, trip.job, w.now)
        write_byte(w.outcomes, trip.job, outcome)
        w.settled += 1
        user = trip.user
        release_trip(w.here, t)
        if user >= 0:
            turn = int(read_short(w.user_turns, user)) + 1
            write_short(w.user_turns, user, turn)
            w.most_turn = max(w.most_turn, turn)
            think(w, user, turn)
    else:
        w.open_forks -= 1
        at_once(w, E_OVER | t << 8)


@answering_unit
def begin_life(here, user):
    """Let a job arrive, and take it as far as it goes at this moment."""
    w = world_at(here, 0)
    job = w.arrived
    w.arrived += 1
    write_float(w.arrived_s, job, w.now)
    t = new_trip(w, LIFE, job, NONE, NO)
    trip_at(w.trips, t).user = user
    return t


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
def send(w, t, trip, s, stage):
    """Send a message for the attempt."""
    m = w.free_message
    if m >= 0:
        w.free_message = message_at(w.messages, m).next
    else:
        m = w.message_count
        w.message_count += 1
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
    if stage.groups:
        message.group = int(uniform(w, s, GROUP, YES, trip.job) * stage.groups)
    trip.message, trip.state, trip.wait = m, ANSWER, NONE
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


# --- shared workers ---


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
    put_event(stage.shared, stage.shared_count, stage.given_s + work_s, stage.entered, t)
    stage.shared_count += 1
    stage.entered += 1
    trip.state, trip.wait = SHARED_END, NONE
    plan_next(w, s, stage)


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
    row.worker = take_number(stage.idle, stage.idle_count)
    stage.idle_count -= 1
    trip.state = SERVICE_END
    service_s = duration_s(w, s, SERVICE, int(row.attempt), trip.job)
    trip.wait = later(w, service_s, E_TRIP | t << 8)
    return WAITS


@called
def give_worker_back(w, s, stage, row):
    """Give a worker back."""
    put_number(stage.idle, stage.idle_count, row.worker)
    stage.idle_count += 1
    stage.busy -= 1
    at_once(w, E_RELEASED | s << 8)


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


@called
def end_visit(w, t, trip, outcome):
    """End a visit without success, and with it the trip."""
    if trip.kind != TASK:
        move_on(w, trip)
    end_trip(w.here, t, outcome)
    return WAITS


# --- an attempt's end ---


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


# --- callers ---


@called
def draw_of_caller(w, level, purpose, number, job):
    """Return a draw of a caller: a duration, or a uniform number."""
    place = (w.stage_count * STREAMS + 2 * level + purpose) * w.draws + number
    if purpose == TIMEOUT:
        return read_float(read_int(w.drawn, place), job)
    return uniform_at(w, place, job)


@called
def await_answer(w, t, trip, caller):
    """Send the request, and be told when it is time to give up or to send a second copy."""
    timeout_s = caller.timeout_s
    if caller.has_timeout_law:
        timeout_s = draw_of_caller(w, trip.level, TIMEOUT, trip.number, trip.job)
    trip.due_s = trip.deadline_s  # of the call around this try
    if caller.on_timeout == SKIP:
        trip.deadline_s = min(trip.deadline_s, w.now + timeout_s)
    trip.has_timer = timeout_s < math.inf
    trip.timed_out = trip.alarmed = 0
    trip.time_out_wait = trip.alarm_wait = NONE
    if trip.has_timer:
        trip.time_out_wait = ranked(w, timeout_s, CALLERS_TIME_OUT, E_TIME_OUT | t << 8)
    if caller.has_hedge:
        trip.alarm_wait = later(w, caller.hedge_s, E_ALARM | t << 8)
    fork(w, COPY, t, trip.level + 1)
    trip.state, trip.hears = COPIES, 1


@called
def try_once(w, t):
    """Ask once, through the breaker; return the outcome if there is one already."""
    trip = trip_at(w.trips, t)
    caller = caller_at(w.callers, trip.level)
    trip.number = int(read_short(caller.made, trip.job)) + 1
    write_short(caller.made, trip.job, trip.number)
    if not attempt_is_known(w, trip.number):
        return WAITS
    trip.was_probe = 0
    if caller.most_failures:
        trip.was_probe = caller.failures >= caller.most_failures
        if trip.was_probe:
            if w.now < caller.open_until_s or caller.is_probing:
                trip.was_probe = NONE  # it was not let through
                return REJECTED
            caller.is_probing = 1
    await_answer(w, t, trip, caller)
    return WAITS


@called
def note_breaker(w, caller, worked, was_probe):
    """Count a call that went through; one sent before the breaker opened changes nothing any more."""
    if was_probe:
        caller.is_probing = 0
    elif caller.failures >= caller.most_failures:
        return
    caller.failures = 0 if worked else min(caller.failures + 1, caller.most_failures)
    if caller.failures >= caller.most_failures:
        caller.open_until_s = w.now + caller.open_s


@called
def after_try(w, t, outcome):
    """Ask again after a pause, or end with the outcome."""
    trip = trip_at(w.trips, t)
    caller = caller_at(w.callers, trip.level)
    retry = retry_at(caller.retry, 0)
    tell_budget(retry, outcome == DONE, trip.price)
    is_final = outcome == DONE or trip.retries >= retry.most
    if is_final or (outcome in (REJECTED, LIMITED) and not retry.rejected):
        end_trip(w.here, t, outcome)
        return
    trip.price = pay(retry, outcome == ABANDONED)
    if math.isnan(trip.price):
        end_trip(w.here, t, outcome)
        return
    w.tries += 1
    check_endless(w)
    if trip.retries >= MOST_RETRIES:
        w.gave_up = 1
    if w.gave_up:
        return
    luck = draw_of_caller(w, trip.level, CALLER_JITTER, trip.number, trip.job)
    trip.last_s = pause_s(retry, trip.retries, luck, trip.last_s)
    trip.retries += 1
    trip.state = PAUSE
    trip.wait = later(w, trip.last_s, E_TRIP | t << 8)


@called
def answered(w, t, outcome):
    """End a try, and ask again if that is the rule."""
    trip = trip_at(w.trips, t)
    forget_children(w, t)
    trip.time_out_wait = trip.alarm_wait = NONE
    trip.deadline_s = trip.due_s
    caller = caller_at(w.callers, trip.level)
    if caller.most_failures:
        note_breaker(w, caller, outcome == DONE, trip.was_probe)
    after_try(w, t, outcome)


@called
def answer_heard(w, t):
    """Look at what has come: a good answer, the end of patience, time for a second copy, or the last."""
    trip = trip_at(w.trips, t)
    caller = caller_at(w.callers, trip.level)
    is_done, copies, answers, last = False, 0, 0, NONE
    child = trip.first_child
    while child >= 0:
        record = trip_at(w.trips, child)
        copies += 1
        if record.is_over and (
            not trip.has_timer or (record.outcome != LOST and not record.is_silent)
        ):
            answers += 1
            last = record.outcome
            is_done = is_done or last == DONE
        child = record.sibling
    if is_done:
        leave(w, t, DUPLICATE, caller.hedge_cancels)
        answered(w, t, DONE)
    elif trip.timed_out:
        leave(w, t, LATE, int(caller.on_timeout == CANCEL))
        answered(w, t, ABANDONED)
    elif trip.alarmed == 1:
        trip.alarmed = 2
        fork(w, COPY, t, trip.level + 1)
        trip.hears = 1
    elif answers == copies:
        answered(w, t, last)
    else:
        trip.hears = 1


@called
def ask_again(w, t):
    """Ask once more."""
    outcome = try_once(w, t)
    if outcome >= 0:
        after_try(w, t, outcome)


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


# --- what wakes a trip ---


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
