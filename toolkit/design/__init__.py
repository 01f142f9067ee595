"""A system on paper: arrivals, stages, deliveries, limits, retries and callers, as plain data."""

from toolkit.design.caller import Breaker, Caller, Hedge
from toolkit.design.delivery import (
    BlockingPop,
    Crash,
    Delivery,
    InMemory,
    Poll,
    Poller,
    Push,
    Visibility,
)
from toolkit.design.limits import (
    Bucket,
    RunningBucket,
    RunningStaleBucket,
    StaleBucket,
    TokenBucket,
)
from toolkit.design.retry import AwsRetryQuota, Budget, GrpcThrottle, Retry, RunningBudget
from toolkit.design.stage import (
    ATTEMPT_OUTCOMES,
    ORDERS,
    OUTCOMES,
    ControlledDelay,
    FanOut,
    Outage,
    Stage,
)
from toolkit.design.system import Design, JobClass, StageLoad

__all__ = [
    "ATTEMPT_OUTCOMES",
    "ORDERS",
    "OUTCOMES",
    "AwsRetryQuota",
    "BlockingPop",
    "Breaker",
    "Bucket",
    "Budget",
    "Caller",
    "ControlledDelay",
    "Crash",
    "Delivery",
    "Design",
    "FanOut",
    "GrpcThrottle",
    "Hedge",
    "InMemory",
    "JobClass",
    "Outage",
    "Poll",
    "Poller",
    "Push",
    "Retry",
    "RunningBucket",
    "RunningBudget",
    "RunningStaleBucket",
    "Stage",
    "StageLoad",
    "StaleBucket",
    "TokenBucket",
    "Visibility",
]
