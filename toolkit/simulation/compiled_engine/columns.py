"""From the rows that a loop has written, in order of creation, to the columns of ``Records``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.simulation.compiled_engine.memory import (
    address,
    answering_entry,
    called,
    entry,
    inline,
    read_int,
    record_at,
    records,
    write_byte,
    write_float,
    write_int,
    write_short,
)
from toolkit.simulation.records import Records

ROW = records(
    "row",
    dict.fromkeys(["queued_s", "started_s", "ended_s", "paused_s"], "f8")
    | {"job": "i4", "attempt": "i4", "worker": "i4", "stage": "i2", "outcome": "i1"},
)
row_at = record_at(ROW)
stage_at = record_at(records("stage", {"stage": "i2"}))
COLUMNS = {
    "job": np.int64,
    "stage": np.int16,
    "attempt": np.int32,
    "queued_s": np.float64,
    "started_s": np.float64,
    "ended_s": np.float64,
    "worker": np.int32,
    "attempt_outcome": np.int8,
    "paused_s": np.float64,
}


def records_of(
    rows: npt.NDArray[np.void], jobs: dict[str, npt.NDArray[Any]], *, in_turn: bool
) -> Records:
    """Return the records: ``rows`` sorted by job, stage, attempt, and the three columns of jobs.

    ``in_turn``: the rows of each job, taken alone, are in order already.
    """
    columns = {name: np.empty(rows.size, kind) for name, kind in COLUMNS.items()}
    where, places = address(rows), [address(column) for column in columns.values()]
    count = jobs["arrived_s"].size
    if is_sorted(where, rows.size):
        copy_rows(where, 0, 0, rows.size, *places)
    elif in_turn:
        ends = np.zeros(count + 1, np.int64)
        share_out(where, rows.size, address(ends), count, *places)
    else:
        ends, order = np.zeros(count + 1, np.int64), np.empty(rows.size, np.int64)
        sort_rows(where, rows.size, address(ends), address(order), count)
        copy_rows(where, address(order), 1, rows.size, *places)
    return Records(**jobs, **columns)


@inline
def copy_row(row, place, job, stage, attempt, queued, started, ended, worker, outcome, paused):
    """Write a row to its place in every column."""
    write_int(job, place, row.job)
    stage_at(stage, place).stage = row.stage
    write_short(attempt, place, row.attempt)
    write_float(queued, place, row.queued_s)
    write_float(started, place, row.started_s)
    write_float(ended, place, row.ended_s)
    write_short(worker, place, row.worker)
    write_byte(outcome, place, row.outcome)
    write_float(paused, place, row.paused_s)


@entry
def copy_rows(
    rows,
    order,
    is_ordered,
    count,
    job,
    stage,
    attempt,
    queued,
    started,
    ended,
    worker,
    outcome,
    paused,
):
    """Write every column, place by place; the row of a place is in ``order`` if there is one."""
    for place in range(count):
        row = row_at(rows, read_int(order, place) if is_ordered else place)
        copy_row(row, place, job, stage, attempt, queued, started, ended, worker, outcome, paused)


@entry
def share_out(
    rows, count, ends, jobs, job, stage, attempt, queued, started, ended, worker, outcome, paused
):
    """Write every column, row by row; a row comes behind those of its job that came before it."""
    begin_of_each(rows, count, ends, jobs)
    for k in range(count):
        row = row_at(rows, k)
        place = read_int(ends, row.job)
        write_int(ends, row.job, place + 1)
        copy_row(row, place, job, stage, attempt, queued, started, ended, worker, outcome, paused)


@inline
def begin_of_each(rows, count, ends, jobs):
    """Write to ``ends``, which has a zero for each job and one more, where the rows of each job begin."""
    for k in range(count):
        behind = row_at(rows, k).job + 1
        write_int(ends, behind, read_int(ends, behind) + 1)
    for job in range(jobs):
        write_int(ends, job + 1, read_int(ends, job + 1) + read_int(ends, job))


@answering_entry
def is_sorted(rows, count):
    """Say whether rows are in order of job, stage, attempt."""
    for k in range(count - 1):
        if comes_after(rows, k, k + 1):
            return 0
    return 1


@called
def comes_after(rows, one, other):
    """Say whether a row belongs behind another."""
    this, that = row_at(rows, one), row_at(rows, other)
    if this.job != that.job:
        return this.job > that.job
    if this.stage != that.stage:
        return this.stage > that.stage
    return this.attempt > that.attempt


@entry
def sort_rows(rows, count, ends, order, jobs):
    """Fill ``order`` with the rows' numbers, sorted.

    Counted by job, then sorted among the few of each job; equal rows stay in order of creation.
    """
    begin_of_each(rows, count, ends, jobs)
    for k in range(count):
        job = row_at(rows, k).job
        place = read_int(ends, job)
        write_int(ends, job, place + 1)
        write_int(order, place, k)
    first = 0
    for job in range(jobs):
        for later in range(first + 1, read_int(ends, job)):
            place, moved = later, read_int(order, later)
            while place > first and comes_after(rows, read_int(order, place - 1), moved):
                write_int(order, place, read_int(order, place - 1))
                place -= 1
            write_int(order, place, moved)
        first = read_int(ends, job)
