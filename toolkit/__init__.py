"""Goodput Lab: queues, retries, rate limits and load tests, and whether a system is overbuilt."""

from toolkit import (
    advice,
    arrivals,
    backoff,
    design,
    errors,
    experiments,
    laws,
    lessons,
    loadtest,
    panels,
    plots,
    simulation,
    theory,
)
from toolkit.advice import SLO, Prices, advise
from toolkit.arrivals import OnOff, Poisson, Renewal, Trace
from toolkit.backoff import (
    ConstantBackoff,
    DecorrelatedJitter,
    EqualJitter,
    ExponentialBackoff,
    FullJitter,
)
from toolkit.design import Design, Retry, Stage, TokenBucket
from toolkit.errors import LoadTestError, ToolkitError
from toolkit.experiments import compare, replicate
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
    "SLO",
    "ConstantBackoff",
    "DecorrelatedJitter",
    "Design",
    "Deterministic",
    "Empirical",
    "EqualJitter",
    "Exponential",
    "ExponentialBackoff",
    "FullJitter",
    "Gamma",
    "HyperExponential",
    "LoadTestError",
    "LogNormal",
    "OnOff",
    "Pareto",
    "Poisson",
    "Prices",
    "Renewal",
    "Retry",
    "Stage",
    "TokenBucket",
    "ToolkitError",
    "Trace",
    "Uniform",
    "Weibull",
    "advice",
    "advise",
    "arrivals",
    "backoff",
    "compare",
    "design",
    "errors",
    "experiments",
    "fit",
    "laws",
    "lessons",
    "loadtest",
    "panels",
    "plots",
    "read_loadtest",
    "replicate",
    "simulate",
    "simulation",
    "theory",
]
