"""One server and any service: M/G/1; M/D/1 with the whole law of its wait; Little's law."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from toolkit import _check
from toolkit.laws import Array, Deterministic, Law
from toolkit.theory.solve import quantile, steady_load


@dataclass(frozen=True, slots=True, kw_only=True)
class MG1:
    """Poisson arrivals, work by any law, one server, first come first served.

    The names mean what they mean in ``MMc``.  ``wait_std_s`` is ``inf`` where E[S^3] is.
    ``sojourn_shared_s``: mean sojourn if the server were shared by all jobs inside instead.
    """

    utilisation: float
    prob_wait: float
    wait_s: float
    wait_std_s: float
    sojourn_s: float
    sojourn_shared_s: float
    waiting: float
    jobs: float


def mg1(*, arrival_rate_per_s: float, service: Law) -> MG1:
    """Solve M/G/1 from the first three moments of ``service``.

    Mean wait w = lambda E[S^2] / (2 (1 - rho)) (Pollaczek 1930; Khinchine 1932), its variance
    w^2 + lambda E[S^3] / (3 (1 - rho)) (Takacs 1962).  The shared server's mean sojourn
    E[S] / (1 - rho) asks for the mean only (Sakata et al. 1971; Kleinrock 1976, vol. 2, ch. 4).
    Raises ``ValueError`` when the server cannot keep up.

    >>> mg1(arrival_rate_per_s=0.5, service=Deterministic(value_s=1.0)).wait_s
    0.5
    """
    rate = _check.positive("arrival_rate_per_s", arrival_rate_per_s)
    first, second, third = (service.moment(k) for k in (1, 2, 3))
    _check.not_negative("mean of service", first)
    values = f"{rate:g} x {first:g} = {rate * first:.6g}"
    rho = steady_load("arrival_rate_per_s x mean service", values, rate * first)
    wait_s = rate * second / (2.0 * (1.0 - rho))
    return MG1(
        utilisation=rho,
        prob_wait=rho,
        wait_s=wait_s,
        wait_std_s=math.sqrt(wait_s**2 + rate * third / (3.0 * (1.0 - rho))),
        sojourn_s=wait_s + first,
        sojourn_shared_s=first / (1.0 - rho),
        waiting=rate * wait_s,
        jobs=rate * wait_s + rho,
    )


_FAR = 64  # services; from here on one exponential is the whole tail, to the last digit


@dataclass(frozen=True, slots=True)
class Clockwork:
    """M/D/1 with a service of one unit of time and ``rho`` arrivals in it, also for rho >= 1.

    Crommelin's sum for P(wait <= x) alternates, and beyond x = 15 it needs 80 digits.  Franx
    (2001, Operations Research Letters 29, 221-229) turned it round: in the unit before time k,
    P(wait <= x) is the chance that at most k - 1 - j jobs wait, given j Poisson arrivals in
    k - x.  Here the chances of the queue's length come from the flow across each level, up
    (more arrivals than departures) against down (one departure, no arrival), so that no term is
    negative.  They are kept as multiples of the chance of an empty system, hence the use
    for rho >= 1, where the multiples exist and the chances don't.

    Past ``_FAR`` all but one root of rho (z - 1) = log z have died away
    (the next one is at |z| > 8 where the tail is long), and each further unit
    multiplies the tail by exp(-decay), decay = log of that root.
    """

    rho: float
    decay: float
    at_most: Array  # at_most[n]: P(n or fewer jobs wait) / P(nobody inside)
    more: Array  # more[n]: P(more than n jobs wait); empty where rho >= 1

    def growth(self, x: float) -> float:
        """Return P(wait <= x) / P(nobody inside); ``inf`` where a float cannot tell it from that."""
        if x < 1.0:
            return math.exp(min(self.rho * x, 700.0))
        if self.rho * (min(x, _FAR) + 3.0) > 680.0:
            return math.inf
        if x < _FAR + 1.0:
            return self._near(x)
        start = _FAR + x % 1.0
        step = self._near(start + 1.0) - self._near(start)
        # The steps from unit to unit are a geometric series.
        units = round(x - start)
        if -self.decay * units > 600.0:
            return math.inf
        series = math.expm1(-self.decay * units) / math.expm1(-self.decay) if self.decay else units
        return self._near(start) + step * series

    def _near(self, x: float) -> float:
        k = math.floor(x) + 1
        return float(_poisson(self.rho * (k - x), k) @ self.at_most[k - 1 :: -1])

    def tail(self, x: float) -> float:
        """Return P(wait > x) for rho < 1, good to the last digits however small it is."""
        from scipy.special import pdtrc  # noqa: PLC0415, scipy is slow to load

        near = min(x, float(_FAR))
        k = math.floor(near) + 1
        arrivals = self.rho * (k - near)
        late = float(_poisson(arrivals, k) @ self.more[k - 1 :: -1]) + float(pdtrc(k - 1, arrivals))
        return late * math.exp(-self.decay * (x - near))

    def mean_beyond(self, x: float) -> float:
        """Return E[wait - x where the wait is longer], for rho < 1.

        P(wait > x) is rho times the integral of itself over the unit before x (the flow across
        level x), so the integral beyond x is the sum of P(wait > x + m) / rho over m = 1, 2, ...
        """
        units = max(0, _FAR - math.floor(x))
        near = sum(self.tail(x + m) for m in range(1, units + 1))
        return (near + self.tail(x + units) / math.expm1(self.decay)) / self.rho


def _poisson(mean: float, n: int) -> Array:
    """Return the Poisson chances of 0 to ``n`` - 1."""
    steps = mean / np.arange(1, n)
    chances: Array = np.concatenate([[1.0], np.cumprod(steps)]) * math.exp(-mean)
    return chances


@lru_cache(maxsize=64)
def clockwork(rho: float) -> Clockwork:
    """Return M/D/1 with ``rho`` arrivals in each service, made once for each ``rho``."""
    most = max(0, min(_FAR + 3, math.floor(680.0 / rho)))
    inside = _inside(rho, most)
    at_most = np.cumsum(inside)[1:]
    decay = _decay(rho)
    if rho >= 1.0:
        return Clockwork(rho, decay, at_most, np.empty(0))
    beyond = inside[-1] / math.expm1(decay)  # the rest of a geometric series
    more = (1.0 - rho) * (beyond + np.cumsum(inside[::-1])[::-1][2:])
    more = np.append(more, (1.0 - rho) * beyond)
    # Where most jobs find a short queue, one minus them is sharp; where few do not, their sum is.
    known = (1.0 - rho) * at_most
    return Clockwork(rho, decay, at_most, np.where(known < 0.5, 1.0 - known, more))


def _inside(rho: float, most: int) -> Array:
    """Return P(n jobs in the system) / P(none) of M/D/1 for n = 0 to ``most``, by level crossing."""
    from scipy.special import pdtrc  # noqa: PLC0415, scipy is slow to load

    inside = np.zeros(most + 1)
    inside[0] = 1.0
    over = pdtrc(np.arange(most + 1), rho)  # over[m]: more than m arrivals in a service
    for n in range(most):
        up = over[n] + inside[1 : n + 1] @ over[n:0:-1]
        inside[n + 1] = up * math.exp(rho)
    return inside


def _decay(rho: float) -> float:
    """Return log z for the root z other than 1 of rho (z - 1) = log z: above 0 for rho < 1."""
    if rho == 1.0 or rho > 36.0:
        return 0.0 if rho == 1.0 else -rho  # the rest of it, rho exp(-rho), is below the last digit
    d = math.exp(-rho) - 1.0 if rho > 1.0 else 1.0
    while rho < 1.0 and rho * d < math.log1p(d):
        d *= 2.0
    for _ in range(100):  # Newton on a convex function, from outside: it never steps across
        step = (rho * d - math.log1p(d)) / (rho - 1.0 / (1.0 + d))
        d -= step
        if abs(step) <= 1e-16 * abs(d):
            break
    return math.log1p(d)


@dataclass(frozen=True, slots=True, kw_only=True)
class MD1(MG1):
    """M/G/1 with the same service, ``service_s``, for every job, and the whole law of its wait."""

    service_s: float

    def wait_tail(self, t_s: float) -> float:
        """Return P(wait > ``t_s``), exact also where it is 1e-100."""
        units = _check.not_negative("t_s", t_s) / self.service_s
        return clockwork(self.utilisation).tail(units)

    def wait_cdf(self, t_s: float) -> float:
        """Return P(wait <= ``t_s``)."""
        return 1.0 - self.wait_tail(t_s)

    def wait_quantile_s(self, p: float) -> float:
        """Return the wait in s that a share ``p`` of the jobs does not exceed; 0 <= p < 1."""
        return quantile(self.wait_tail, p, self.sojourn_s)

    def sojourn_quantile_s(self, p: float) -> float:
        """Return the wait and service in s that a share ``p`` of the jobs does not exceed."""
        return self.wait_quantile_s(p) + self.service_s


def md1(*, arrival_rate_per_s: float, service_s: float) -> MD1:
    """Solve M/D/1: Poisson arrivals, every service exactly ``service_s`` long.

    Means as in ``mg1``; the law of the wait by Franx (2001), which equals the sum of Erlang (1909)
    and Crommelin (1932).  Raises ``ValueError`` when the server cannot keep up.

    >>> round(md1(arrival_rate_per_s=0.5, service_s=1.0).wait_quantile_s(0.99), 6)
    3.336256
    """
    law = Deterministic(value_s=_check.positive("service_s", service_s))
    solved = mg1(arrival_rate_per_s=arrival_rate_per_s, service=law)
    means = {field.name: getattr(solved, field.name) for field in fields(solved)}
    return MD1(service_s=law.value_s, **means)


def md1_wait_cdf(t_s: float, *, arrival_rate_per_s: float, service_s: float) -> float:
    """Return P(wait <= ``t_s``) of M/D/1; see ``md1``.

    >>> md1_wait_cdf(0.0, arrival_rate_per_s=0.5, service_s=1.0)
    0.5
    """
    return md1(arrival_rate_per_s=arrival_rate_per_s, service_s=service_s).wait_cdf(t_s)


def jobs_inside(throughput_per_s: float, sojourn_s: float) -> float:
    """Return the mean jobs inside, L = lambda W, whatever is inside (Little 1961).

    ``throughput_per_s`` is the rate let in, not the rate offered.  Raises ``ValueError`` below 0.

    >>> jobs_inside(throughput_per_s=100.0, sojourn_s=0.25)
    25.0
    """
    rate = _check.not_negative("throughput_per_s", throughput_per_s)
    return rate * _check.not_negative("sojourn_s", sojourn_s)
