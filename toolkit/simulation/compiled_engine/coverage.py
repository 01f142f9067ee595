"""What the compiled engine can run, field by field."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit.backoff import (
    ConstantBackoff,
    DecorrelatedJitter,
    EqualJitter,
    ExponentialBackoff,
    FullJitter,
    MemorylessBackoff,
    SteppedBackoff,
)
from toolkit.design import (
    AwsRetryQuota,
    Design,
    GrpcThrottle,
    Retry,
    Stage,
    StaleBucket,
    TokenBucket,
)

BACKOFFS = (
    *(ConstantBackoff, ExponentialBackoff, FullJitter, EqualJitter),
    *(DecorrelatedJitter, MemorylessBackoff),
)
BUDGETS = (type(None), AwsRetryQuota, GrpcThrottle)
BUCKETS = (type(None), TokenBucket, StaleBucket)


def uncovered(design: Design) -> list[str]:
    """Return the fields of ``design`` that the compiled engine does not know."""
    return [*_of_callers(design), *(text for stage in design.stages for text in _of_stage(stage))]


def _of_callers(design: Design) -> Iterator[str]:
    if design.callers:
        yield "callers"


def _of_stage(stage: Stage) -> Iterator[str]:
    where = f"stage '{stage.name}': "
    if type(stage.limiter) not in BUCKETS:
        yield where + "limiter"
    yield from (f"{where}retry.{part}" for part in _of_retry(stage.retry))
    if stage.order != "fifo":
        yield where + "order"
    for name in ("delivery", "patience", "fan_out", "shed", "outages"):
        if getattr(stage, name):
            yield where + name
    if stage.when_full == "block":
        yield where + "when_full"


def _of_retry(retry: Retry | None) -> Iterator[str]:
    if retry is None:
        return
    # by exact type: a subclass may do something else
    if type(retry.backoff) not in BACKOFFS and not isinstance(retry.backoff, SteppedBackoff):
        yield "backoff"
    if type(retry.budget) not in BUDGETS:
        yield "budget"
