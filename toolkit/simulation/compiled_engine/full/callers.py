"""Callers: time-outs, tries, hedges and breakers around a trip, as in ``caller``."""

from __future__ import annotations

import math

from toolkit.simulation.compiled_engine.draws import uniform_of
from toolkit.simulation.compiled_engine.full.moments import (
    attempt_is_known,
    check_endless,
    later,
    ranked,
)
from toolkit.simulation.compiled_engine.full.trips import (
    WAITS,
    end_trip,
    forget_children,
    fork,
    leave,
)
from toolkit.simulation.compiled_engine.full.world import (
    ABANDONED,
    CALLER_JITTER,
    CALLERS_TIME_OUT,
    COPIES,
    COPY,
    DONE,
    DUPLICATE,
    E_ALARM,
    E_TIME_OUT,
    E_TRIP,
    LATE,
    LIMITED,
    LOST,
    NONE,
    PAUSE,
    REJECTED,
    STREAMS,
    TIMEOUT,
    caller_at,
    numbers,
    retry_at,
    trip_at,
)
from toolkit.simulation.compiled_engine.memory import (
    called,
    read_float,
    read_int,
    read_short,
    write_short,
)
from toolkit.simulation.compiled_engine.rules import MOST_RETRIES, pause_s, pay, tell_budget

SKIP, CANCEL = numbers(1, 3)  # of a time-out


@called
def draw_of_caller(w, level, purpose, number, job):
    """Return a draw of a caller: a duration, or a uniform number."""
    place = (w.stage_count * STREAMS + 2 * level + purpose) * w.draws + number
    if purpose == TIMEOUT:
        return read_float(read_int(w.drawn, place), job)
    return uniform_of(w, place, job)


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
        trip.time_out_wait = ranked(w, w.now + timeout_s, CALLERS_TIME_OUT, E_TIME_OUT | t << 8)
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
