"""One plain stage, first come, first served, and no record of any job: only sums and counts.

The times are those of ``recursion``, added up in the same order, so they are the same to the last
bit.  A job that takes no time needs no events here: which worker it was matters to nobody.

Durations are counted by their first bits: sign, exponent and ten bits of the fraction, so a bin is
less than a thousandth of its values wide, from the shortest durations to the longest.
"""

from __future__ import annotations

import numpy as np

from toolkit.simulation.compiled_engine.memory import (
    entry,
    inline,
    read_float,
    read_int,
    record_at,
    records,
    write_float,
    write_int,
)

KEPT_BITS = 42  # of a double's 64, those after the first ten of its fraction
BINS = 1 << (63 - KEPT_BITS)  # no duration has a sign
SUMS = ("busy", "sojourn", "wait")
TOTALS = records(
    "totals",
    dict.fromkeys(
        ["now_s", "last_s", *(f"{name}{end}" for name in SUMS for end in ("_s", "_lost_s"))], "f8"
    )
    | {"jobs": "i8"},
)
totals_at = record_at(TOTALS)


@inline
def count_in(bins, duration_s):
    """Add one to the bin of a duration."""
    number = np.float64(duration_s).view(np.int64) >> KEPT_BITS
    write_int(bins, number, read_int(bins, number) + 1)


@inline
def lost(total, more, both):
    """Return what rounding has taken from a sum (Neumaier 1974)."""
    return (total - both) + more if abs(total) >= abs(more) else (more - both) + total


@entry
def take(totals, count, gaps_s, services_s, workers, free_s, sojourns, waits):
    """Let the next ``count`` jobs through."""
    sums = totals_at(totals, 0)
    now, last_s = sums.now_s, sums.last_s
    busy_s = sojourn_s = wait_s = 0.0
    for job in range(count):
        now += read_float(gaps_s, job)
        chosen, start_s = 0, read_float(free_s, 0)
        for worker in range(1, workers):
            if start_s <= now:
                break
            free = read_float(free_s, worker)
            if free < start_s:
                chosen, start_s = worker, free
        start_s = max(now, start_s)
        end_s = start_s + read_float(services_s, job)
        write_float(free_s, chosen, end_s)
        last_s = max(last_s, end_s)
        count_in(sojourns, end_s - now)
        count_in(waits, start_s - now)
        busy_s += end_s - start_s
        sojourn_s += end_s - now
        wait_s += start_s - now
    add(sums, busy_s, sojourn_s, wait_s)
    sums.now_s, sums.last_s = now, last_s
    sums.jobs += count


@inline
def add(sums, busy_s, sojourn_s, wait_s):
    """Add the sums of a block to those of all."""
    both = sums.busy_s + busy_s
    sums.busy_lost_s += lost(sums.busy_s, busy_s, both)
    sums.busy_s = both
    both = sums.sojourn_s + sojourn_s
    sums.sojourn_lost_s += lost(sums.sojourn_s, sojourn_s, both)
    sums.sojourn_s = both
    both = sums.wait_s + wait_s
    sums.wait_lost_s += lost(sums.wait_s, wait_s, both)
    sums.wait_s = both
