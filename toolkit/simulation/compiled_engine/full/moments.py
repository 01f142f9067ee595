"""How time passes in the full loop: what is planned, what is drawn, what is written down."""

from __future__ import annotations

import math

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.draws import duration_of, uniform_of
from toolkit.simulation.compiled_engine.events import event_at, put_event
from toolkit.simulation.compiled_engine.full.world import (
    CUT_OFF,
    NO,
    NONE,
    STREAMS,
    chore_at,
    line_at,
    stage_at,
)
from toolkit.simulation.compiled_engine.memory import (
    called,
    inline,
    read_short,
    write_short,
)


@called
def is_full(w):
    """Give a run up that needs more room at one moment than there ever was; return -1."""
    w.gave_up = 3
    return NONE


@called
def at_once(w, what):
    """Let an event happen at this moment, after those in line; return its number."""
    if w.line_count > w.line_mask:
        return is_full(w)
    entry = line_at(w.line, (w.line_first + w.line_count) & w.line_mask)
    entry.order, entry.what = w.order, what
    w.line_count += 1
    w.order += 1
    return w.order - 1


@inline
def next_at_once(w):
    """Take out the first event of this moment's line."""
    entry = line_at(w.line, w.line_first)
    w.line_first = (w.line_first + 1) & w.line_mask
    w.line_count -= 1
    return entry.what, entry.order


@called
def ranked(w, at_s, rank, what):
    """Plan an event of a rank for ``at_s``; return its number."""
    if w.heap_count == w.heap_room:
        return is_full(w)
    order = rank | w.order
    w.order += 1
    put_event(w.heap, w.heap_count, at_s, order, what)
    w.heap_count += 1
    return order


@called
def later(w, delay_s, what):
    """Plan an event of SimPy's normal rank; return its number."""
    at_s = w.now + delay_s
    if at_s == w.now:
        return at_once(w, what)
    return ranked(w, at_s, NO, what)


@called
def in_lane(w, delay_s, what):
    """Plan an event as ``later`` does, but in a line of its own where times only grow."""
    at_s, last = w.now + delay_s, w.lane_first + w.lane_count - 1
    is_behind = w.lane_count == 0 or event_at(w.lane, last & w.lane_mask).at_s <= at_s
    if at_s == w.now or not is_behind or w.lane_count > w.lane_mask:
        return later(w, delay_s, what)
    entry = event_at(w.lane, (last + 1) & w.lane_mask)
    entry.at_s, entry.order, entry.what = at_s, w.order, what
    w.lane_count += 1
    w.order += 1
    return entry.order


@called
def urgently(w, what):
    """Let an event happen before all others that are not urgent; return its number."""
    if w.urgent_count > w.urgent_mask:
        return is_full(w)
    entry = line_at(w.urgent, (w.urgent_first + w.urgent_count) & w.urgent_mask)
    entry.order, entry.what = w.order, what
    w.urgent_count += 1
    w.order += 1
    return w.order - 1


@called
def new_chore(w, kind, number):
    """Return a new chore."""
    chore = w.free_chore
    if chore >= 0:
        w.free_chore = chore_at(w.chores, chore).next
    else:
        chore = w.chore_count
        w.chore_count += 1
        if chore == w.chore_room:
            w.chore_count -= 1
            chore += is_full(w)
    record = chore_at(w.chores, chore)
    record.kind, record.number, record.step, record.lease = kind, number, 0, NONE
    return chore


@called
def end_chore(w, chore):
    """Use a chore's record again."""
    chore_at(w.chores, chore).next = w.free_chore
    w.free_chore = chore


@called
def duration_s(w, stage, purpose, attempt, job):
    """Return a duration of a job in a stage; none for an attempt at which a run is given up."""
    if attempt > w.attempts_ready:
        return 0.0
    place = (stage * STREAMS + purpose) * w.draws + attempt
    return duration_of(w, place, job, stage_at(w.stages, stage).mean_s)


@called
def uniform(w, stage, purpose, attempt, job):
    """Return a uniform number of a job in a stage."""
    if attempt > w.attempts_ready:
        return 0.0
    return uniform_of(w, (stage * STREAMS + purpose) * w.draws + attempt, job)


@called
def attempt_is_known(w, attempt):
    """Say whether there are draws for an attempt of this number; else the run is given up."""
    if attempt > w.most_attempt:
        w.most_attempt, w.sure = attempt, 0  # it may need draws before the next event
    if attempt > w.attempts_ready:
        w.gave_up = 1
        return False
    return True


@called
def new_row(w, job, stage, attempt, queued_s, paused_s):
    """Write down that an attempt has come to a stage's door; return the row's number."""
    if w.row_count == w.row_room:
        w.row_count += is_full(w)
    row = row_at(w.rows, w.row_count)
    row.job, row.stage, row.attempt = job, stage, attempt
    row.queued_s, row.paused_s = queued_s, paused_s
    row.started_s = row.ended_s = math.nan
    row.worker, row.outcome = -1, CUT_OFF
    w.row_count += 1
    return w.row_count - 1


@called
def check_endless(w):
    """Give up a run that makes attempts without end; SimPy will say where it stops."""
    made = w.row_count + w.tries
    if w.now > w.moment_s:
        w.moment_s, w.made_before = w.now, made
    if made - w.made_before > w.most_rows_at_once or made > w.most_rows:
        w.gave_up = 2


@called
def open_row(w, job, s, queued_s, paused_s):
    """Do the same for the next attempt of a job; a run without end is given up."""
    made = stage_at(w.stages, s).made
    attempt = read_short(made, job) + 1
    write_short(made, job, attempt)
    row = new_row(w, job, s, attempt, queued_s, paused_s)
    if attempt_is_known(w, attempt) and attempt > 1:
        check_endless(w)
    return row


@called
def close_row(w, number, outcome):
    """Write down how an attempt ended, now, even if it was not due yet."""
    row = row_at(w.rows, number)
    early_s = row.queued_s - w.now
    if early_s > 0:
        row.queued_s = w.now
        row.paused_s = max(0.0, row.paused_s - early_s)
    row.ended_s, row.outcome = w.now, outcome


@called
def is_over(w):
    """Say whether all has been settled, so that whoever looks now and then may stop."""
    return w.settled == w.jobs and w.open_rows == 0 and w.open_forks == 0
