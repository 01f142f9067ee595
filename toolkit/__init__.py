"""Goodput Lab: queues, retries, rate limits and load tests, and whether a system is overbuilt."""

import importlib
from typing import TYPE_CHECKING, Any

from toolkit import arrivals, backoff, design, errors, laws, simulation
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
from toolkit.simulation import simulate

if TYPE_CHECKING:
    from toolkit import (
        advice,
        ebpf,
        exhibits,
        experiments,
        lessons,
        loadtest,
        panels,
        plots,
        recordings,
        systems,
        theory,
        twins,
    )
    from toolkit.advice import FUTURES, SLO, Future, Parts, Prices, advise, simplest
    from toolkit.experiments import best, compare, intervals, replicate, sweep
    from toolkit.fitting import fit
    from toolkit.loadtest import read_loadtest

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

_LATER = {
    "advice": ["FUTURES", "SLO", "Future", "Parts", "Prices", "advise", "simplest"],
    "experiments": ["best", "compare", "intervals", "replicate", "sweep"],
    "fitting": ["fit"],
    "loadtest": ["read_loadtest"],
}
_PART_OF = {name: part for part, names in _LATER.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a part when it, or a name of it, is first looked up, so that the toolkit itself loads quickly."""
    if name in _PART_OF:
        value = getattr(importlib.import_module(f"toolkit.{_PART_OF[name]}"), name)
    elif name in __all__:
        value = importlib.import_module(f"toolkit.{name}")
    else:
        raise AttributeError(f"module 'toolkit' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return also the names that are not loaded yet, for who completes them."""
    return sorted({*globals(), *__all__})
