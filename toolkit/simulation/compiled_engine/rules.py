"""The rules at a stage's door, compiled: limiters, retries, pauses, budgets.

Each says what its class in ``toolkit.design`` or ``toolkit.backoff`` says, operation by operation, so
that the numbers are the same to the last bit.  ``None`` is ``nan`` here.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from toolkit.backoff import (
    Backoff,
    ConstantBackoff,
    DecorrelatedJitter,
    EqualJitter,
    ExponentialBackoff,
    FullJitter,
    MemorylessBackoff,
    SteppedBackoff,
)
from toolkit.design import AwsRetryQuota, GrpcThrottle, Retry, StaleBucket, TokenBucket
from toolkit.design.retry import Budget
from toolkit.simulation.compiled_engine.memory import inline, read_float, record_at, records

NO_RULE = 0
EXACT, STALE = 1, 2  # buckets
FIXED, FULL, EQUAL, DECORRELATED, MEMORYLESS, STEPPED = 1, 2, 3, 4, 5, 6  # pauses
QUOTA, THROTTLE = 1, 2  # budgets
MOST_RETRIES = 4096  # for which pauses are known beforehand

BUCKET = records(
    "bucket",
    {"kind": "i8", "waits": "i8"}
    | dict.fromkeys(["interval", "tolerance", "due", "rate", "depth", "tokens", "counted"], "f8"),
)
RETRY = records(
    "retry",
    dict.fromkeys(["most", "rejected", "pause", "table", "budget"], "i8")
    | dict.fromkeys(["base_s", "cap_s", "tokens", "most_tokens", "gain"], "f8")
    | dict.fromkeys(["cost", "timeout_cost"], "f8"),
)
bucket_at, retry_at = record_at(BUCKET), record_at(RETRY)


# --- on paper: what compiled code must be told ---


def bucket_of(limiter: TokenBucket | None) -> npt.NDArray[np.void]:
    """Return a full bucket, as one ``BUCKET`` record."""
    record = np.zeros(1, BUCKET)
    if limiter is not None:
        record["kind"] = STALE if type(limiter) is StaleBucket else EXACT
        record["waits"] = limiter.when_empty == "wait"
        record["interval"] = 1.0 / limiter.rate_per_s
        record["tolerance"] = (limiter.burst - 1.0) * record["interval"]
        record["rate"] = limiter.rate_per_s
        record["depth"] = record["tokens"] = limiter.burst
    return record


KIND_OF_PAUSE = {
    ConstantBackoff: FIXED,
    ExponentialBackoff: FIXED,
    FullJitter: FULL,
    EqualJitter: EQUAL,
    DecorrelatedJitter: DECORRELATED,
    MemorylessBackoff: MEMORYLESS,
}


def pauses(backoff: Backoff, most: int) -> npt.NDArray[np.float64]:
    """Return three numbers for each count of retries made: what a pause is made of."""
    if isinstance(backoff, SteppedBackoff):
        return np.array([backoff.parts(n) for n in range(most)], dtype=np.float64)
    if isinstance(backoff, ConstantBackoff):
        return np.full((most, 3), float(backoff.delay_s))
    if isinstance(backoff, MemorylessBackoff):
        return np.zeros((1, 3))
    limits_s = [backoff.limit_s(n) for n in range(most)]  # type: ignore[attr-defined]
    return np.repeat(np.array(limits_s, dtype=np.float64)[:, None], 3, axis=1)


def retry_of(
    retry: Retry | None,
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.float64]]:
    """Return a ``RETRY`` record with a full budget, and the table of pauses that it will point to."""
    record, table = np.zeros(1, RETRY), np.zeros((1, 3))
    if retry is None:
        return record, table
    most = MOST_RETRIES if retry.max_retries is None else min(retry.max_retries, MOST_RETRIES)
    backoff = retry.backoff
    record["most"] = np.iinfo(np.int64).max if retry.max_retries is None else retry.max_retries
    record["rejected"] = retry.rejected
    record["pause"] = KIND_OF_PAUSE.get(type(backoff), STEPPED)
    record["base_s"] = getattr(backoff, "base_s", getattr(backoff, "mean_s", 0.0))
    record["cap_s"] = getattr(backoff, "cap_s", 0.0)
    table = pauses(backoff, max(1, most))
    record["table"] = table.ctypes.data
    _fill_budget(record, retry.budget)
    return record, table


def _fill_budget(record: npt.NDArray[np.void], budget: Budget | None) -> None:
    if isinstance(budget, AwsRetryQuota):
        record["budget"] = QUOTA
        record["tokens"] = record["most_tokens"] = budget.capacity
        record["gain"] = budget.refund
        record["cost"], record["timeout_cost"] = budget.retry_cost, budget.timeout_cost
    elif isinstance(budget, GrpcThrottle):  # whole thousandths, exact as floats
        record["budget"] = THROTTLE
        record["tokens"] = record["most_tokens"] = round(1000 * budget.max_tokens)
        record["gain"] = round(1000 * budget.token_ratio)


# --- at work ---


@inline
def count_stale(bucket, now):
    """Count the tokens of a stale bucket, which does not look at its clock while it is full."""
    if bucket.tokens < bucket.depth:
        bucket.tokens = min(bucket.depth, bucket.tokens + bucket.rate * (now - bucket.counted))
        bucket.counted = now


@inline
def ready_s(bucket, now):
    """Return from when on there is a token; takes none."""
    if bucket.kind == EXACT:
        return max(now, bucket.due - bucket.tolerance)
    count_stale(bucket, now)
    if bucket.tokens >= 1 - 1e-9:
        return now
    return now + (1 - bucket.tokens) / bucket.rate


@inline
def admits(bucket, now):
    """Take a token if there is one, and say whether there was."""
    if bucket.kind == EXACT:
        if now < bucket.due - bucket.tolerance:
            return False
        bucket.due = max(now, bucket.due) + bucket.interval
        return True
    count_stale(bucket, now)
    if bucket.tokens < 1 - 1e-9:
        return False
    bucket.tokens -= 1
    return True


@inline
def reserve(bucket, now):
    """Take the next token, there or not, and return from when on it may be used."""
    granted = ready_s(bucket, now)
    if bucket.kind == EXACT:
        bucket.due = max(granted, bucket.due) + bucket.interval
    elif granted == now:
        bucket.tokens -= 1
    else:
        bucket.tokens, bucket.counted = 0.0, granted
    return granted


@inline
def tell_budget(retry, worked, price):
    """Tell the budget how an attempt went; ``price`` of its retry, ``nan`` for a first attempt."""
    if retry.budget == QUOTA:
        if worked:
            given = retry.gain if math.isnan(price) else price
            retry.tokens = min(retry.most_tokens, retry.tokens + given)
    elif retry.budget == THROTTLE:
        if worked:
            retry.tokens = min(retry.most_tokens, retry.tokens + retry.gain)
        else:
            retry.tokens = max(0.0, retry.tokens - 1000)


@inline
def pay(retry, timed_out):
    """Return what the budget takes for a retry, ``nan`` if it does not allow one."""
    if retry.budget == QUOTA:
        price = retry.timeout_cost if timed_out else retry.cost
        if retry.tokens < price:
            return math.nan
        retry.tokens -= price
        return price
    if retry.budget == THROTTLE:
        return 0.0 if 2 * retry.tokens > retry.most_tokens else math.nan
    return 0.0


@inline
def pause_s(retry, made, uniform, last_s):
    """Return the pause after ``made`` retries; ``last_s`` is the one before, ``nan`` for none."""
    if retry.pause == MEMORYLESS:
        return -math.log1p(-uniform) * retry.base_s
    if retry.pause == DECORRELATED:
        before_s = retry.base_s if math.isnan(last_s) else last_s
        return min(retry.cap_s, retry.base_s + uniform * (3.0 * before_s - retry.base_s))
    first = read_float(retry.table, 3 * made)
    if retry.pause == FULL:
        return uniform * first
    if retry.pause == EQUAL:
        return 0.5 * first + uniform * (0.5 * first)
    if retry.pause == STEPPED:
        steps = math.floor(uniform * read_float(retry.table, 3 * made + 1))
        return first + steps * read_float(retry.table, 3 * made + 2)
    return first


@inline
def route(stage, luck, end):
    """Return the stage that ``luck`` leads to by a stage's routes, ``end`` for none."""
    for k in range(stage.route_count):
        share = read_float(stage.routes, 2 * k + 1)
        if luck < share:
            return int(read_float(stage.routes, 2 * k))
        luck -= share
    return end
