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


def is_plain(design: Design) -> bool:
    """Say whether all that ``design`` has are plain stages: no callers, no protocol, no orders."""
    return not design.callers and all(
        stage.order == "fifo"
        and stage.when_full != "block"
        and not (stage.delivery or stage.patience or stage.fan_out or stage.shed or stage.outages)
        for stage in design.stages
    )


def _of_callers(design: Design) -> Iterator[str]:
    for level, caller in enumerate(design.callers):
        yield from (f"callers[{level}].retry.{part}" for part in _of_retry(caller.retry))


def _of_stage(stage: Stage) -> Iterator[str]:
    where = f"stage '{stage.name}': "
    if type(stage.limiter) not in BUCKETS:
        yield where + "limiter"
    if stage.delivery and type(stage.delivery.limiter) not in BUCKETS:
        yield where + "delivery.limiter"
    yield from (f"{where}retry.{part}" for part in _of_retry(stage.retry))


def _of_retry(retry: Retry | None) -> Iterator[str]:
    if retry is None:
        return
    # by exact type: a subclass may do something else
    if type(retry.backoff) not in BACKOFFS and not isinstance(retry.backoff, SteppedBackoff):
        yield "backoff"
    if type(retry.budget) not in BUDGETS:
        yield "budget"
