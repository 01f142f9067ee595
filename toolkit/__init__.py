"""Goodput Lab: queues, retries, rate limits and load tests, and whether a system is overbuilt."""

import importlib
from types import ModuleType

from toolkit import (
    advice,
    arrivals,
    backoff,
    design,
    errors,
    experiments,
    laws,
    loadtest,
    plots,
    simulation,
)
from toolkit.advice import FUTURES, SLO, Future, Parts, Prices, advise, simplest
from toolkit.arrivals import Batches, Closed, OnOff, Poisson, Profile, Renewal, Trace
from toolkit.backoff import (
    ConstantBackoff,
    DecorrelatedJitter,
    EqualJitter,
    ExponentialBackoff,
    FullJitter,
    MemorylessBackoff,
)
from toolkit.design import (
    AwsRetryQuota,
    BlockingPop,
    Breaker,
    Caller,
    ControlledDelay,
    Crash,
    Delivery,
    Design,
    FanOut,
    GrpcThrottle,
    Hedge,
    InMemory,
    JobClass,
    Outage,
    Poll,
    Poller,
    Push,
    Retry,
    Stage,
    TokenBucket,
    Visibility,
)
from toolkit.errors import LoadTestError, ToolkitError
from toolkit.experiments import best, compare, intervals, replicate, sweep
from toolkit.fit import fit
from toolkit.laws import (
    Deterministic,
    Empirical,
    Exponential,
    Gamma,
    HyperExponential,
    LogNormal,
    Pareto,
    Uniform,
    Weibull,
)
from toolkit.loadtest import read_loadtest
from toolkit.simulation import simulate

__all__ = [
    "FUTURES",
    "SLO",
    "AwsRetryQuota",
    "Batches",
    "BlockingPop",
    "Breaker",
    "Caller",
    "Closed",
    "ConstantBackoff",
    "ControlledDelay",
    "Crash",
    "DecorrelatedJitter",
    "Delivery",
    "Design",
    "Deterministic",
    "Empirical",
    "EqualJitter",
    "Exponential",
    "ExponentialBackoff",
    "FanOut",
    "FullJitter",
    "Future",
    "Gamma",
    "GrpcThrottle",
    "Hedge",
    "HyperExponential",
    "InMemory",
    "JobClass",
    "LoadTestError",
    "LogNormal",
    "MemorylessBackoff",
    "OnOff",
    "Outage",
    "Pareto",
    "Parts",
    "Poisson",
    "Poll",
    "Poller",
    "Prices",
    "Profile",
    "Push",
    "Renewal",
    "Retry",
    "Stage",
    "TokenBucket",
    "ToolkitError",
    "Trace",
    "Uniform",
    "Visibility",
    "Weibull",
    "advice",
    "advise",
    "arrivals",
    "backoff",
    "best",
    "compare",
    "design",
    "ebpf",
    "errors",
    "exhibits",
    "experiments",
    "fit",
    "intervals",
    "laws",
    "lessons",
    "loadtest",
    "panels",
    "plots",
    "read_loadtest",
    "recordings",
    "replicate",
    "simplest",
    "simulate",
    "simulation",
    "sweep",
    "systems",
    "theory",
    "twins",
]

_WHEN_ASKED_FOR = (
    "ebpf",
    "exhibits",
    "lessons",
    "panels",
    "recordings",
    "systems",
    "theory",
    "twins",
)


def __getattr__(name: str) -> ModuleType:
    """Load a large part when it is first looked up, so that the toolkit itself loads quickly."""
    if name in _WHEN_ASKED_FOR:
        return importlib.import_module(f"toolkit.{name}")
    raise AttributeError(f"module 'toolkit' has no attribute {name!r}")
