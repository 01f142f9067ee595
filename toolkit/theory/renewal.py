"""Any gaps, exponential work: G/M/1, and two formulas that say how bad any gaps and any work can be.

Poisson arrivals see what time sees; these don't: behind even gaps the server is found idle more
often than it is, behind bunched ones less often.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from toolkit import _check
from toolkit.laws import (
    Deterministic,
    Empirical,
    Exponential,
    Gamma,
    HyperExponential,
    Law,
    Uniform,
    mean_s,
    scv,
)
from toolkit.theory.solve import below_one, steady_load


def _transform(law: Law, rate_per_s: float) -> float:
    """Return E[exp(-rate X)] of a duration X: the chance that no event of that rate falls into it.

    Raises ``ValueError`` for a law without a closed form (lognormal, Weibull, Pareto).

    >>> from toolkit.laws import Exponential
    >>> _transform(Exponential(mean_s=2.0), 0.5)
    0.5
    """
    s = _check.not_negative("rate_per_s", rate_per_s)
    match law:
        case Exponential():
            return 1.0 / (1.0 + s * law.mean_s)
        case Deterministic():
            return math.exp(-s * law.value_s)
        case Gamma():
            return math.exp(-math.log1p(s * law.mean_s * law.scv) / law.scv)
        case HyperExponential():
            return sum(share / (1.0 + s * mean) for share, mean in law.branches)
        case Uniform():
            width = s * (law.high_s - law.low_s)
            spread = -math.expm1(-width) / width if width else 1.0
            return math.exp(-s * law.low_s) * spread
        case Empirical():
            return float(np.mean(np.exp(-s * law.samples_s)))
    raise ValueError(f"law must have a transform in closed form, got {law!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GM1:
    """Independent gaps by any law, exponential work, one server, first come first served."""

    service_rate_per_s: float
    utilisation: float
    prob_wait: float
    wait_s: float
    sojourn_s: float
    waiting: float
    jobs: float

    def wait_tail(self, t_s: float) -> float:
        """Return P(wait > ``t_s``) = sigma exp(-mu (1 - sigma) t)."""
        t = _check.not_negative("t_s", t_s)
        return self.prob_wait * math.exp(-t / self.sojourn_s)

    def wait_quantile_s(self, p: float) -> float:
        """Return the wait in s that a share ``p`` of the jobs does not exceed; 0 <= p < 1."""
        return math.log(max(self.prob_wait / (1.0 - below_one(p)), 1.0)) * self.sojourn_s


def gm1(*, interarrival: Law, service_rate_per_s: float) -> GM1:
    """Solve G/M/1: a job finds the server busy with chance sigma, the root of sigma = A*(mu (1 - sigma)).

    A*(s) = E[exp(-s gap)]; the wait is then as in M/M/1 with sigma for rho, mean
    sigma / (mu (1 - sigma)) (Kendall 1953; Kleinrock 1975, vol. 1, ch. 6).
    Raises ``ValueError`` when the server cannot keep up.

    >>> round(gm1(interarrival=Deterministic(value_s=2.0), service_rate_per_s=1.0).prob_wait, 4)
    0.2032
    """
    from scipy.optimize import brentq  # noqa: PLC0415, scipy is slow to load

    speed = _check.positive("service_rate_per_s", service_rate_per_s)
    rate = 1.0 / _check.positive("mean of interarrival", mean_s(interarrival))
    values = f"{rate:g} / {speed:g} = {rate / speed:.6g}"
    rho = steady_load("1 / mean interarrival / service_rate_per_s", values, rate / speed)

    def excess(idle: float) -> float:
        return _transform(interarrival, speed * idle) - 1.0 + idle

    low = 0.5 * (1.0 - rho)  # 0 is a root as well, and just above it the excess is negative
    while excess(low) >= 0.0:
        low *= 0.5
    idle = float(brentq(excess, low, 1.0, xtol=1e-16, rtol=1e-15))
    wait_s = (1.0 - idle) / (speed * idle)
    return GM1(
        service_rate_per_s=speed,
        utilisation=rho,
        prob_wait=1.0 - idle,
        wait_s=wait_s,
        sojourn_s=1.0 / (speed * idle),
        waiting=rate * wait_s,
        jobs=rate * wait_s + rho,
    )


def kingman_bound_s(*, interarrival: Law, service: Law) -> float:
    """Return a mean wait in s that G/G/1 with these laws cannot exceed: a bound, not an estimate.

    lambda (var A + var S) / (2 (1 - rho)) (Kingman 1962).
    Raises ``ValueError`` when the server cannot keep up.

    >>> from toolkit.laws import Exponential
    >>> kingman_bound_s(interarrival=Exponential(mean_s=2.0), service=Exponential(mean_s=1.0))
    2.5
    """
    gap_s, rho = mean_s(interarrival), _load(interarrival, service)
    variance = scv(interarrival) * gap_s**2 + scv(service) * mean_s(service) ** 2
    return variance / (2.0 * gap_s * (1.0 - rho))


def kingman_estimate_s(*, interarrival: Law, service: Law) -> float:
    """Return about the mean wait in s of G/G/1: an approximation for high load, not a bound.

    rho / (1 - rho) x (ca2 + cs2) / 2 x E[S], "variability, utilisation, time" (Kingman 1961;
    Hopp & Spearman 2000, ch. 8); exact for M/M/1 and M/G/1.
    Raises ``ValueError`` when the server cannot keep up.

    >>> from toolkit.laws import Exponential
    >>> kingman_estimate_s(interarrival=Exponential(mean_s=2.0), service=Exponential(mean_s=1.0))
    1.0
    """
    rho = _load(interarrival, service)
    return rho / (1.0 - rho) * (scv(interarrival) + scv(service)) / 2.0 * mean_s(service)


def _load(interarrival: Law, service: Law) -> float:
    load = mean_s(service) / _check.positive("mean of interarrival", mean_s(interarrival))
    return steady_load("mean service / mean interarrival", f"{load:.6g}", load)
