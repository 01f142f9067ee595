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
    write_int,
)
from toolkit.simulation.records import Records

ROW = records(
    "row",
    dict.fromkeys(["queued_s", "started_s", "ended_s", "paused_s"], "f8")
    | {"job": "i4", "attempt": "i4", "worker": "i4", "stage": "i2", "outcome": "i1"},
)
row_at = record_at(ROW)
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
    count = rows.size
    order = np.empty(count, np.int64)
    if not is_sorted(address(rows), count):
        ends = np.zeros(jobs["arrived_s"].size + 1, np.int64)
        sort_rows(address(rows), count, address(ends), address(order), jobs["arrived_s"].size)
        rows = rows[order]
    fields = {"attempt_outcome": "outcome"}
    columns = {name: rows[fields.get(name, name)].astype(kind) for name, kind in COLUMNS.items()}
    return Records(**jobs, **columns)


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
