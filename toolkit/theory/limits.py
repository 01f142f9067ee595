"""Limiters on known arrivals, job by job: whom each rule lets in, and what it promises.

The functions count in whatever numbers they are given.  With whole numbers or ``Fraction`` they
are exact; in floating point a tie such as "a tenth of a second, ten times" may be judged wrongly.
They keep count the plain way (tokens in a bucket, entries in a log), so that they are a
witness for limiters that are written cleverly.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from heapq import heapreplace
from itertools import pairwise

from toolkit import _check

Number = int | float | Fraction


def token_bucket_admits(
    times_s: Sequence[Number], *, rate_per_s: Number, burst: Number
) -> list[bool]:
    """Say of each arrival whether a bucket of ``burst`` tokens, full at first, has one for it.

    Tokens come evenly at ``rate_per_s``; the bucket in its simplest form (Turner 1986).

    >>> token_bucket_admits([0, 0, 0, 1], rate_per_s=1, burst=2)
    [True, True, False, True]
    """
    _check_times(times_s)
    admitted, tokens, seen = [], burst, times_s[0] if times_s else 0
    for now in times_s:
        tokens, seen = min(burst, tokens + rate_per_s * (now - seen)), now
        admitted.append(tokens >= 1)
        tokens -= admitted[-1]
    return admitted


def fixed_window_admits(
    times_s: Sequence[Number], *, limit: int, window_s: Number = 1
) -> list[bool]:
    """Say of each arrival whether it is among the first ``limit`` of its window; windows start at 0.

    Across the border of two windows it lets twice the limit through at once.

    >>> fixed_window_admits([Fraction(9, 10), Fraction(9, 10), 1], limit=1)
    [True, False, True]
    """
    _check_times(times_s)
    admitted: list[bool] = []
    window, count = None, 0
    for now in times_s:
        if now // window_s != window:
            window, count = now // window_s, 0
        admitted.append(count < limit)
        count += admitted[-1]
    return admitted


def sliding_log_admits(
    times_s: Sequence[Number], *, limit: int, window_s: Number = 1
) -> list[bool]:
    """Say of each arrival whether fewer than ``limit`` were let in during (t - window, t].

    Exact, for the price of remembering the times.

    >>> sliding_log_admits([Fraction(9, 10), 1, 2], limit=1)
    [True, False, True]
    """
    _check_times(times_s)
    admitted: list[bool] = []
    log: deque[Number] = deque()
    for now in times_s:
        while log and log[0] <= now - window_s:
            log.popleft()
        admitted.append(len(log) < limit)
        if admitted[-1]:
            log.append(now)
    return admitted


def sliding_counter_admits(
    times_s: Sequence[Number], *, limit: int, window_s: Number = 1
) -> list[bool]:
    """Say of each arrival whether the estimated count of the last ``window_s`` is below ``limit``.

    The estimate takes those let in during this window, and of the window before the share
    that still overlaps (as if they had come evenly).

    >>> half = Fraction(1, 2)
    >>> sliding_counter_admits([0, 0, 1, 1 + half, 1 + half], limit=2)
    [True, True, False, True, False]
    """
    _check_times(times_s)
    admitted: list[bool] = []
    counts: dict[Number, int] = {}
    for now in times_s:
        window = now // window_s
        left = 1 - (now - window * window_s) / window_s
        count = counts.get(window, 0)
        admitted.append(counts.get(window - 1, 0) * left + count < limit)
        counts[window] = count + admitted[-1]
    return admitted


def most_in_window(*, rate_per_s: Number, burst: Number, window_s: Number) -> int:
    """Return the most jobs that a token bucket lets in during any ``window_s``: floor(b + r T).

    The arrival curve of Cruz (1991).

    >>> most_in_window(rate_per_s=10, burst=20, window_s=60)
    620
    """
    return math.floor(burst + rate_per_s * window_s)


def push_queue_makespan_s(
    jobs: int, *, rate_per_s: Number, burst: int, workers: int, service_s: Number
) -> Number:
    """Return when the last of ``jobs``, all there at time 0, is done by a rate-limited push queue.

    A job starts when a token and one of ``workers`` are there, and takes ``service_s``.  In the
    long run min(rate, workers / service_s) are done per second.

    >>> push_queue_makespan_s(1000, rate_per_s=50, burst=10, workers=100, service_s=Fraction(1, 10))
    Fraction(199, 10)
    """
    free: list[Number] = [0] * _check.count("workers", workers)
    tokens, seen = Fraction(burst), Fraction(0)
    rate = Fraction(rate_per_s)
    for _ in range(_check.count("jobs", jobs)):
        now = max(Fraction(free[0]), seen)
        tokens, seen = min(Fraction(burst), tokens + rate * (now - seen)), now
        if tokens < 1:
            seen += (1 - tokens) / rate
            tokens = Fraction(1)
        tokens -= 1
        heapreplace(free, seen + service_s)
    return max(free)


def cloud_tasks_pauses_s(
    retries: int, *, min_backoff_s: Number, max_backoff_s: Number, max_doublings: int
) -> list[Number]:
    """Return the pauses before the first ``retries`` of a task in Google Cloud Tasks.

    Doubled ``max_doublings`` times, then 2^max_doublings x min_backoff more each time, and capped
    (RetryConfig in the product's reference).

    >>> cloud_tasks_pauses_s(8, min_backoff_s=10, max_backoff_s=300, max_doublings=3)
    [10, 20, 40, 80, 160, 240, 300, 300]
    """
    last = min_backoff_s * 2 ** _check.count("max_doublings", max_doublings, least=0)
    grown = (
        min_backoff_s * 2**k if k < max_doublings else last * (k - max_doublings + 1)
        for k in range(_check.count("retries", retries, least=0))
    )
    return [min(max_backoff_s, pause) for pause in grown]


def _check_times(times_s: Sequence[Number]) -> None:
    for before, now in pairwise(times_s):
        if now < before:
            raise ValueError(f"times_s must not go backwards, got {now!r} after {before!r}")
