"""Who is served next: classes with priority, the shortest job first, all at once.

The mean work in the queue is the same whichever way; to let some pass is to let others wait.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from toolkit import _check
from toolkit.laws import Law
from toolkit.theory.solve import steady_load


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityClass:
    """What the jobs of one class meet: mean wait, mean time inside, mean numbers.

    ``wait_s`` is all the time a job is not being served, interruptions included.
    """

    utilisation: float
    wait_s: float
    sojourn_s: float
    waiting: float
    jobs: float


def priority(
    *, arrival_rates_per_s: Sequence[float], services: Sequence[Law], preemptive: bool = False
) -> tuple[PriorityClass, ...]:
    """Solve one server for classes of Poisson jobs, the first class served before all others.

    A job that is being served is left in peace: wait R / ((1 - s(k-1)) (1 - s(k))), s the load of the
    classes up to k, R = sum of lambda E[S^2] / 2 (Cobham 1954).  ``preemptive``: it is interrupted, and
    goes on where it stopped: sojourn E[S] / (1 - s(k-1)) + R(k) / ((1 - s(k-1)) (1 - s(k))), R(k)
    of the classes up to k (Conway, Maxwell & Miller 1967, ch. 8).  Raises ``ValueError`` when the
    server cannot keep up with all classes.

    >>> from toolkit.laws import Exponential
    >>> work = [Exponential(mean_s=1.0)] * 2
    >>> urgent, other = priority(arrival_rates_per_s=[0.25, 0.25], services=work)
    >>> round(urgent.wait_s, 4), round(other.wait_s, 4)
    (0.6667, 1.3333)
    """
    rates = [_check.positive("arrival_rates_per_s", rate) for rate in arrival_rates_per_s]
    if len(rates) != len(services) or not rates:
        raise ValueError(
            f"services must be as many as arrival_rates_per_s ({len(rates)}) and at least one, got {len(services)}"
        )
    loads = [rate * law.moment(1) for rate, law in zip(rates, services, strict=True)]
    values = f"{sum(loads):.6g}"
    steady_load("sum of arrival_rates_per_s x mean services", values, sum(loads))
    residuals = [rate * law.moment(2) / 2.0 for rate, law in zip(rates, services, strict=True)]
    ahead = pairwise(accumulate(loads, initial=0.0))
    met = accumulate(residuals) if preemptive else [sum(residuals)] * len(rates)
    solved = []
    for rate, law, (above, upto), left in zip(rates, services, ahead, met, strict=True):
        first = law.moment(1)
        wait_s = left / ((1.0 - above) * (1.0 - upto))
        wait_s += first * above / (1.0 - above) if preemptive else 0.0
        solved.append(_served(rate, first, wait_s))
    return tuple(solved)


def _served(rate: float, first: float, wait_s: float) -> PriorityClass:
    return PriorityClass(
        utilisation=rate * first,
        wait_s=wait_s,
        sojourn_s=wait_s + first,
        waiting=rate * wait_s,
        jobs=rate * (wait_s + first),
    )


def mm1_shortest_first_wait_s(*, arrival_rate_per_s: float, service_rate_per_s: float) -> float:
    """Return the mean wait in s of M/M/1 that takes the shortest waiting job next, no interruptions.

    Every size is a class of its own: the mean of R / (1 - s(x))^2 over the sizes x, where s(x) is the
    load of jobs up to x (Phipps 1956).  Raises ``ValueError`` when the server cannot keep up.

    >>> round(mm1_shortest_first_wait_s(arrival_rate_per_s=0.8, service_rate_per_s=1.0), 4)
    1.8822
    """
    from scipy.integrate import quad  # noqa: PLC0415, scipy is slow to load

    rate = _check.positive("arrival_rate_per_s", arrival_rate_per_s)
    speed = _check.positive("service_rate_per_s", service_rate_per_s)
    values = f"{rate:g} / {speed:g} = {rate / speed:.6g}"
    rho = steady_load("arrival_rate_per_s / service_rate_per_s", values, rate / speed)

    def weighted(x: float) -> float:
        smaller = 1.0 - (1.0 + x) * math.exp(-x)
        return math.exp(-x) / (1.0 - rho * smaller) ** 2

    parts = [quad(weighted, x, x + 5.0, epsabs=0.0, epsrel=1e-12)[0] for x in range(0, 700, 5)]
    return rho / speed * math.fsum(parts)


def shared_sojourn_s(size_s: float, *, utilisation: float) -> float:
    """Return the mean sojourn in s of a job of ``size_s`` on a server shared by all, x / (1 - rho).

    The law of the sizes does not matter (Kleinrock 1967; Sakata, Noguchi & Oizumi 1971).
    Raises ``ValueError`` for a load of 1 or more.

    >>> shared_sojourn_s(3.0, utilisation=0.5)
    6.0
    """
    load = _check.not_negative("utilisation", utilisation)
    return _check.not_negative("size_s", size_s) / (
        1.0 - steady_load("utilisation", f"{load:g}", load)
    )


def mm1_shared_sojourn_variance_s2(
    *, arrival_rate_per_s: float, service_rate_per_s: float
) -> float:
    """Return the variance in s^2 of the sojourn in M/M/1 whose server is shared by all inside.

    (2 + rho) / ((2 - rho) (1 - rho)^2 mu^2) (Coffman, Muntz & Trotter 1970): more than first come
    first served has.  Raises ``ValueError`` when the server cannot keep up.

    >>> rates = {"arrival_rate_per_s": 0.5, "service_rate_per_s": 1.0}
    >>> round(mm1_shared_sojourn_variance_s2(**rates), 4)
    6.6667
    """
    rate = _check.positive("arrival_rate_per_s", arrival_rate_per_s)
    speed = _check.positive("service_rate_per_s", service_rate_per_s)
    values = f"{rate:g} / {speed:g} = {rate / speed:.6g}"
    rho = steady_load("arrival_rate_per_s / service_rate_per_s", values, rate / speed)
    return (2.0 + rho) / ((2.0 - rho) * (1.0 - rho) ** 2) / speed**2
