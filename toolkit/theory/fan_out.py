"""One request, many leaves: the slowest answers last; and what a second copy does about it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from toolkit import _check
from toolkit.theory.solve import below_one, quantile, steady_load


def any_slow(slow: float, *, leaves: int) -> float:
    """Return the chance that at least one of ``leaves`` is slow, when each is with chance ``slow``.

    1 - (1 - p)^n, with all digits for small p (Dean & Barroso 2013).

    >>> round(any_slow(0.01, leaves=100), 3)
    0.634
    """
    chance = _check.share("slow", slow)
    if chance == 1.0:
        return 1.0
    return -math.expm1(_check.count("leaves", leaves) * math.log1p(-chance))


def leaf_level(level: float, *, leaves: int) -> float:
    """Return the quantile level each leaf must meet so that all together meet ``level``: q^(1/n).

    >>> round(leaf_level(0.99, leaves=100), 6)
    0.9999
    """
    return float(_check.share("level", level) ** (1.0 / _check.count("leaves", leaves)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowestOf:
    """The ``k``-th fastest of ``leaves`` independent exponential answers of mean ``mean_s``."""

    leaves: int
    k: int
    mean_s: float

    def __post_init__(self) -> None:
        _check.positive("mean_s", self.mean_s)
        if _check.count("k", self.k) > _check.count("leaves", self.leaves):
            raise ValueError(f"k must be at most leaves = {self.leaves}, got {self.k!r}")

    @property
    def sojourn_s(self) -> float:
        """Mean in s: 1/n + 1/(n-1) + ... + 1/(n-k+1) times the mean (Renyi 1953)."""
        return self.mean_s * math.fsum(1.0 / i for i in self._left)

    @property
    def variance_s2(self) -> float:
        """Variance in s^2: the same sum of squares."""
        return self.mean_s**2 * math.fsum(1.0 / i**2 for i in self._left)

    @property
    def _left(self) -> range:
        return range(self.leaves - self.k + 1, self.leaves + 1)

    def tail(self, t_s: float) -> float:
        """Return P(fewer than k have answered by ``t_s``), a binomial chance."""
        from scipy.special import bdtr  # noqa: PLC0415, scipy is slow to load

        answered = -math.expm1(-_check.not_negative("t_s", t_s) / self.mean_s)
        return float(bdtr(self.k - 1, self.leaves, answered))

    def quantile_s(self, p: float) -> float:
        """Return the time in s within which a share ``p`` of the requests is answered; 0 <= p < 1."""
        if self.k < self.leaves:
            return quantile(self.tail, p, self.mean_s)
        level = below_one(p)
        # log(1 - p^(1/n)) by way of expm1: near 1 the root has no digits left
        return -self.mean_s * math.log(-math.expm1(math.log(level) / self.leaves)) if level else 0.0


def fork_join_two_s(*, arrival_rate_per_s: float, service_rate_per_s: float) -> float:
    """Return the mean sojourn in s of jobs that ask two exponential servers and wait for both: exact.

    (12 - rho) / (8 (mu - lambda)) (Flatto & Hahn 1984).  Raises ``ValueError`` when the servers
    cannot keep up.

    >>> fork_join_two_s(arrival_rate_per_s=0.5, service_rate_per_s=1.0)
    2.875
    """
    rate = _check.positive("arrival_rate_per_s", arrival_rate_per_s)
    speed = _check.positive("service_rate_per_s", service_rate_per_s)
    values = f"{rate:g} / {speed:g} = {rate / speed:.6g}"
    rho = steady_load("arrival_rate_per_s / service_rate_per_s", values, rate / speed)
    return (12.0 - rho) / (8.0 * (speed - rate))


def fork_join_estimate_s(
    *, arrival_rate_per_s: float, service_rate_per_s: float, servers: int
) -> float:
    """Return about the mean sojourn in s of jobs that ask all ``servers``: an approximation.

    (H(n) / H(2) + 4/11 (1 - H(n) / H(2)) rho) times that of two, within 5% of simulations up to 32
    servers (Nelson & Tantawi 1988).  Raises ``ValueError`` for fewer than 2 servers, or
    when they cannot keep up.

    >>> rates = {"arrival_rate_per_s": 0.5, "service_rate_per_s": 1.0}
    >>> round(fork_join_estimate_s(**rates, servers=4), 4)
    3.7898
    """
    two_s = fork_join_two_s(
        arrival_rate_per_s=arrival_rate_per_s, service_rate_per_s=service_rate_per_s
    )
    count = _check.count("servers", servers, least=2)
    more = math.fsum(1.0 / i for i in range(1, count + 1)) / 1.5
    rho = arrival_rate_per_s / service_rate_per_s
    return (more + 4.0 / 11.0 * (1.0 - more) * rho) * two_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedged:
    """A request that is sent again after ``delay_s`` without an answer; the first answer counts.

    ``alone``: P(one copy takes longer than t), of independent copies.  There are no queues here:
    in a real system the extra copies are load, and hedging can hurt (Dean & Barroso 2013).

    >>> hedged = Hedged(alone=lambda t_s: math.exp(-t_s), delay_s=0.0)
    >>> round(hedged.mean_s(), 9), hedged.extra
    (0.5, 1.0)
    """

    alone: Callable[[float], float]
    delay_s: float

    def __post_init__(self) -> None:
        _check.not_negative("delay_s", self.delay_s)

    @property
    def extra(self) -> float:
        """Copies sent for each request beyond the first."""
        return self.alone(self.delay_s)

    def tail(self, t_s: float) -> float:
        """Return P(no answer by ``t_s``) = S(t), and S(t) S(t - d) from the delay on."""
        t = _check.not_negative("t_s", t_s)
        second = self.alone(t - self.delay_s) if t >= self.delay_s else 1.0
        return self.alone(t) * second

    def quantile_s(self, p: float) -> float:
        """Return the time in s within which a share ``p`` of the requests is answered; 0 <= p < 1."""
        return quantile(self.tail, p, self.delay_s or 1.0)

    def mean_s(self) -> float:
        """Return the mean time in s to the first answer: the integral of ``tail``."""
        from scipy.integrate import quad  # noqa: PLC0415, scipy is slow to load

        precise = {"epsabs": 0.0, "epsrel": 1e-11, "limit": 200}
        total = quad(self.alone, 0.0, self.delay_s, **precise)[0] if self.delay_s else 0.0
        width, start = 0.1 * (quantile(self.alone, 0.5, 1.0) or 1.0), self.delay_s
        while self.tail(start) * (start + width) > 1e-15 * total:
            total += quad(self.tail, start, start + width, **precise)[0]
            start, width = start + width, 1.5 * width
        return float(total)
