"""A visit on its way: the door, the queue, the worker, and what follows an attempt."""

from __future__ import annotations

import math

from toolkit.simulation.codes import CUT_OFF, DEAD, DONE, FAILED, LIMITED, OK, REJECTED, TURNED_AWAY
from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.events import (
    event_at,
    put_number,
    take_number,
)
from toolkit.simulation.compiled_engine.memory import (
    inline,
    read_float,
    read_int,
    read_short,
    write_byte,
    write_float,
    write_short,
)
from toolkit.simulation.compiled_engine.plain_world import (
    BACK,
    COMES,
    ENTERS,
    FAIL,
    FAILURE,
    JITTER,
    ROUTE,
    SERVED,
    SERVICE,
    SHARE,
    THINK_OVER,
    TOKEN,
    at_once,
    bucket_at,
    duration_s,
    later,
    retry_at,
    stage_at,
    uniform,
    visit_at,
)
from toolkit.simulation.compiled_engine.rules import (
    FIXED,
    MOST_RETRIES,
    NO_RULE,
    admits,
    pause_s,
    pay,
    reserve,
    route,
    tell_budget,
)


@inline
def begin(w, job, user):
    """Note an arrival, and return the visit's number."""
    write_float(w.arrived_s, job, w.now)
    number = w.free_visit
    if number >= 0:
        w.free_visit = visit_at(w.visits, number).next
    else:
        number = w.visit_count
        w.visit_count += 1
    visit = visit_at(w.visits, number)
    visit.job, visit.user, visit.stage = job, user, -1
    for k in range(w.stage_count if w.has_routes else 0):
        write_short(w.turns, number * w.stage_count + k, 0)
    return number


@inline
def note_most(w, attempt):
    """Note the highest attempt number; a new one may need draws before the next event."""
    if attempt > w.most_attempt:
        w.most_attempt, w.sure = attempt, 0


@inline
def open_row(w, number, visit, paused_s):
    """Write down that an attempt has come to the door; say whether the run may go on."""
    stage = stage_at(w.stages, visit.stage)
    if stage.made:  # stages that may be visited again count on
        visit.attempt = read_short(stage.made, visit.job) + 1
        write_short(stage.made, visit.job, visit.attempt)
    else:
        visit.attempt = visit.retries + 1
    row = row_at(w.rows, w.row_count)
    row.job, row.stage, row.attempt = visit.job, visit.stage, visit.attempt
    row.queued_s, row.paused_s = w.now, paused_s
    row.started_s = row.ended_s = math.nan
    row.worker, row.outcome = -1, CUT_OFF
    visit.row = w.row_count
    w.row_count += 1
    note_most(w, visit.attempt)
    if visit.attempt > 1 and is_endless(w):
        at_once(w, FAIL | number << 8)  # SimPy stops when it comes to the failed process
        return False
    return True


@inline
def is_endless(w):
    """Say whether the run makes attempts without end."""
    if w.now > w.moment_s:
        w.moment_s, w.made_before = w.now, w.row_count
    return w.row_count - w.made_before > w.most_rows_at_once or w.row_count > w.most_rows


@inline
def ask_for_worker(w, number, visit, stage):
    """Stand in line for a worker."""
    visit.next = -1
    if stage.waiting:
        visit_at(w.visits, stage.last).next = number
    else:
        stage.first = number
    stage.last = number
    stage.waiting += 1


@inline
def grant(w, stage):
    """Give the head of the line a worker if one is free; return who that is, -1 for nobody."""
    if stage.waiting == 0 or stage.busy >= stage.workers:
        return -1
    stage.busy += 1
    stage.waiting -= 1
    number = stage.first
    stage.first = visit_at(w.visits, number).next
    return number


@inline
def is_quiet(w):
    """Say whether nothing else happens at this moment: then what is put in line comes at once."""
    return (
        w.line_count == 0
        and w.next_s > w.now
        and (w.heap_count == 0 or event_at(w.heap, 0).at_s > w.now)
    )


@inline
def go_on(w, number, outcome):
    """Take a visit as far as it goes at this moment; return the stage whose worker it asks for, else -1."""
    while outcome >= 0:
        visit = visit_at(w.visits, number)
        if outcome == ENTERS:
            visit.is_inside = 1
            stage = stage_at(w.stages, visit.stage)
            if stage.capacity < 0 or stage.busy + stage.waiting < stage.capacity:
                ask_for_worker(w, number, visit, stage)
                return visit.stage
            turn_away(w, visit)
            outcome = REJECTED
        elif outcome == COMES:
            outcome = come(w, number, visit)
        else:
            outcome = leave(w, number, visit, outcome)
    return -1


@inline
def come(w, number, visit):
    """Open a row for an attempt and take it past the limiter; return what is next, -1 for a wait."""
    if not open_row(w, number, visit, w.now - visit.since_s):
        return -1
    bucket = bucket_at(stage_at(w.stages, visit.stage).bucket, 0)
    if visit.is_inside or bucket.kind == NO_RULE:
        return ENTERS
    if bucket.waits:
        granted_s = reserve(bucket, w.now)
        if granted_s > w.now:
            later(w, granted_s - w.now, TOKEN | number << 8)
            return -1
    elif not admits(bucket, w.now):
        turn_away(w, visit)
        return LIMITED
    return ENTERS


@inline
def turn_away(w, visit):
    """Close the row of an attempt that does not get in."""
    row = row_at(w.rows, visit.row)
    row.ended_s, row.outcome = w.now, TURNED_AWAY


@inline
def leave(w, number, visit, outcome):
    """Retry, go to the next stage, or settle the job; return what is next, -1 for nothing now."""
    if visit.stage >= 0:
        retry = retry_at(stage_at(w.stages, visit.stage).retry, 0)
        tell_budget(retry, outcome == DONE, visit.price)
        if outcome != DONE and may_retry(retry, visit, outcome):
            visit.price = pay(retry, False)
            if not math.isnan(visit.price):
                rest(w, number, visit, retry)
                return -1
    if outcome == DONE:
        visit.stage = next_stage(w, number, visit)
        if visit.stage < w.stage_count:
            reach(w, visit)
            return COMES
    settle(w, number, visit, outcome)
    return -1


@inline
def reach(w, visit):
    """Note that a visit has come to its next stage."""
    visit.retries, visit.is_inside = 0, 0
    visit.price, visit.last_s, visit.since_s = math.nan, math.nan, w.now


@inline
def may_retry(retry, visit, outcome):
    """Say whether the rule allows another attempt after this outcome."""
    if visit.retries >= retry.most:
        return False
    return retry.rejected or (outcome != REJECTED and outcome != LIMITED)  # noqa: PLR1714


@inline
def rest(w, number, visit, retry):
    """Pause before the next attempt."""
    if visit.retries >= MOST_RETRIES:
        w.gave_up = 1
        return
    luck = 0.0
    if retry.pause != FIXED:
        luck = uniform(w, visit.stage, JITTER, visit.attempt, visit.job)
    visit.last_s = pause_s(retry, visit.retries, luck, visit.last_s)
    visit.retries += 1
    note_most(w, visit.attempt + 1)
    visit.since_s = w.now
    later(w, visit.last_s, BACK | number << 8)


@inline
def next_stage(w, number, visit):
    """Return the next stage that the job comes to, the number of stages for none."""
    place = visit.stage
    while True:
        place = follower(w, number, visit, place)
        if not w.has_shares or place == w.stage_count:
            return place
        share = stage_at(w.stages, place).share
        if share == 1 or uniform(w, place, SHARE, 1, visit.job) < share:
            return place


@inline
def follower(w, number, visit, place):
    """Return the stage after ``place``, by its routes if it has any."""
    if not w.has_routes or place < 0:
        return place + 1
    stage = stage_at(w.stages, place)
    if stage.route_count < 0:
        return place + 1
    turn = read_short(w.turns, number * w.stage_count + place) + 1
    write_short(w.turns, number * w.stage_count + place, turn)
    if turn > w.attempts_ready:  # many turns at one moment
        w.gave_up = 1
        return w.stage_count
    note_most(w, turn)
    return route(stage, uniform(w, place, ROUTE, turn, visit.job), w.stage_count)


@inline
def settle(w, number, visit, outcome):
    """Write down what became of a job, and let its user think."""
    write_float(w.finished_s, visit.job, w.now)
    write_byte(w.outcomes, visit.job, outcome)
    w.settled += 1
    user = visit.user
    visit.next = w.free_visit
    w.free_visit = number
    if user >= 0:
        turn = read_short(w.user_turns, user) + 1
        write_short(w.user_turns, user, turn)
        if turn > w.most_turn:
            w.most_turn, w.sure = turn, 0
        think(w, user, turn)


@inline
def think(w, user, turn):
    """Let a user think before its next job."""
    later(w, read_float(read_int(w.thinks, turn), user), THINK_OVER | user << 8)


@inline
def start_service(w, number):
    """Start an attempt with the free worker of the lowest number."""
    visit = visit_at(w.visits, number)
    stage = stage_at(w.stages, visit.stage)
    row = row_at(w.rows, visit.row)
    row.started_s = w.now
    row.worker = take_number(stage.idle)
    service_s = duration_s(w, visit.stage, SERVICE, visit.attempt, visit.job)
    later(w, service_s, SERVED | number << 8)


@inline
def end_service(w, number):
    """End an attempt and give its worker back; return the outcome."""
    visit = visit_at(w.visits, number)
    stage = stage_at(w.stages, visit.stage)
    row = row_at(w.rows, visit.row)
    put_number(stage.idle, int(row.worker))
    stage.busy -= 1
    row.ended_s, row.outcome = w.now, OK
    if stage.failure > 0:
        luck = uniform(w, visit.stage, FAILURE, visit.attempt, visit.job)
        if luck < stage.failure:
            row.outcome = FAILED
            return DEAD
    return DONE
