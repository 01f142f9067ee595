"""From the rows that a loop has written, in order of creation, to the columns of ``Records``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.simulation.compiled_engine.memory import (
    address,
    compiled,
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


def records_of(rows: npt.NDArray[np.void], jobs: dict[str, npt.NDArray[Any]]) -> Records:
    """Return the records: ``rows`` sorted by job, stage, attempt, and the three columns of jobs."""
    columns = {name: np.empty(rows.size, kind) for name, kind in COLUMNS.items()}
    places = [address(column) for column in columns.values()]
    if is_sorted(address(rows), rows.size):
        copy_rows(address(rows), 0, 0, rows.size, *places)
    else:
        count = jobs["arrived_s"].size
        ends, order = np.zeros(count + 1, np.int64), np.empty(rows.size, np.int64)
        sort_rows(address(rows), rows.size, address(ends), address(order), count)
        copy_rows(address(rows), address(order), 1, rows.size, *places)
    return Records(**jobs, **columns)


@compiled
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
    """Write every column, row by row; the row of a place is in ``order`` if there is one."""
    for place in range(count):
        row = row_at(rows, read_int(order, place) if is_ordered else place)
        write_int(job, place, row.job)
        stage_at(stage, place).stage = row.stage
        write_short(attempt, place, row.attempt)
        write_float(queued, place, row.queued_s)
        write_float(started, place, row.started_s)
        write_float(ended, place, row.ended_s)
        write_short(worker, place, row.worker)
        write_byte(outcome, place, row.outcome)
        write_float(paused, place, row.paused_s)


@compiled
def is_sorted(rows, count):
    """Say whether rows are in order of job, stage, attempt."""
    for k in range(count - 1):
        if comes_after(rows, k, k + 1):
            return False
    return True


@compiled
def comes_after(rows, one, other):
    """Say whether a row belongs behind another."""
    this, that = row_at(rows, one), row_at(rows, other)
    if this.job != that.job:
        return this.job > that.job
    if this.stage != that.stage:
        return this.stage > that.stage
    return this.attempt > that.attempt


@compiled
def sort_rows(rows, count, ends, order, jobs):
    """Fill ``order`` with the rows' numbers, sorted; ``ends`` has a zero for each job and one more.

    Counted by job, then sorted among the few of each job; equal rows stay in order of creation.
    """
    for k in range(count):
        job = row_at(rows, k).job
        write_int(ends, job + 1, read_int(ends, job + 1) + 1)
    for job in range(jobs):
        write_int(ends, job + 1, read_int(ends, job + 1) + read_int(ends, job))
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
