"""Exponential service: M/M/1, M/M/c, Erlang's two formulas, and what sharing a queue is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from toolkit import _check
from toolkit.theory.solve import below_one, quantile, steady_load


def erlang_b(offered_load: float, servers: int) -> float:
    """Return the share of jobs that find all ``servers`` busy and go away.

    ``offered_load`` is arrivals per second times mean service in s (erlangs); only the mean
    of the service matters.  B(k) = a B(k-1) / (k + a B(k-1)), B(0) = 1 (Erlang 1917; Cooper 1981,
    ch. 3).  Raises ``ValueError`` for a negative load or less than no servers.

    >>> round(erlang_b(10.0, 10), 4)
    0.2146
    """
    load = _check.not_negative("offered_load", offered_load)
    blocked = 1.0
    for k in range(1, _check.count("servers", servers, least=0) + 1):
        blocked = load * blocked / (k + load * blocked)
    return blocked


def erlang_c(offered_load: float, servers: int) -> float:
    """Return the share of jobs that must wait, when jobs wait as long as it takes.

    C = B / (1 - rho (1 - B)) with rho = a / c (Erlang 1917; Cooper 1981, ch. 3).
    Raises ``ValueError`` where ``offered_load`` (erlangs) is not below ``servers``.

    >>> round(erlang_c(3.0, 4), 4)
    0.5094
    """
    blocked = erlang_b(offered_load, _check.count("servers", servers))
    return _wait_from_loss(
        blocked, steady_load("offered_load", f"{offered_load:g}", offered_load, servers)
    )


def _wait_from_loss(blocked: float, utilisation: float) -> float:
    return blocked / (1.0 - utilisation * (1.0 - blocked))


def waited_and_served_tail(
    t_s: float, prob_wait: float, service_rate_per_s: float, wait_ends_per_s: float
) -> float:
    """Return P(wait + service > ``t_s``), where both are exponential and only some must wait."""
    rates = service_rate_per_s, wait_ends_per_s
    apart = (max(rates) - min(rates)) * t_s
    # (exp(-a t) - exp(-b t)) / (b - a) without dividing nought by nought where a = b
    both = t_s * math.exp(-min(rates) * t_s) * (-math.expm1(-apart) / apart if apart else 1.0)
    return math.exp(-service_rate_per_s * t_s) + prob_wait * service_rate_per_s * both


def servers_needed(offered_load: float, *, prob_wait: float) -> int:
    """Return the smallest number of servers with which at most ``prob_wait`` of the jobs wait.

    Goes up Erlang's recursion, so a load of 10,000 erlangs is no trouble.
    Raises ``ValueError`` for a negative load (erlangs) or ``prob_wait`` not in (0, 1].

    >>> servers_needed(100.0, prob_wait=0.2)
    111
    """
    load = _check.not_negative("offered_load", offered_load)
    target = _check.positive("prob_wait", _check.share("prob_wait", prob_wait))
    servers, blocked = 0, 1.0
    while servers <= load or _wait_from_loss(blocked, load / servers) > target:
        servers += 1
        blocked = load * blocked / (servers + load * blocked)
    return servers


@dataclass(frozen=True, slots=True, kw_only=True)
class MMc:
    """Poisson arrivals, exponential work, ``servers`` that share one queue, first come first served.

    ``prob_wait``: share of jobs that wait.  ``wait_s``: mean wait of all jobs, also of those
    that wait for nothing.  ``sojourn_s``: wait and service.  ``waiting`` and ``jobs``: mean
    number in the queue, and in queue and service together.
    """

    arrival_rate_per_s: float
    service_rate_per_s: float
    servers: int
    utilisation: float
    prob_wait: float
    wait_s: float
    sojourn_s: float
    waiting: float
    jobs: float

    @property
    def _spare_per_s(self) -> float:
        return self.servers * self.service_rate_per_s - self.arrival_rate_per_s

    def wait_tail(self, t_s: float) -> float:
        """Return P(wait > ``t_s``) = C exp(-(c mu - lambda) t)."""
        return self.prob_wait * math.exp(-self._spare_per_s * _check.not_negative("t_s", t_s))

    def wait_quantile_s(self, p: float) -> float:
        """Return the wait in s that a share ``p`` of the jobs does not exceed; 0 <= p < 1."""
        left = 1.0 - below_one(p)
        return math.log(max(self.prob_wait / left, 1.0)) / self._spare_per_s

    def sojourn_tail(self, t_s: float) -> float:
        """Return P(wait + service > ``t_s``): a service, or an exponential wait and a service."""
        rates = self.service_rate_per_s, self._spare_per_s
        return waited_and_served_tail(_check.not_negative("t_s", t_s), self.prob_wait, *rates)

    def sojourn_quantile_s(self, p: float) -> float:
        """Return the wait and service in s that a share ``p`` of the jobs does not exceed."""
        return quantile(self.sojourn_tail, p, self.sojourn_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class MM1(MMc):
    """M/M/c with one server, and what only it has in closed form."""

    @property
    def jobs_variance(self) -> float:
        """Variance of the number of jobs inside, rho / (1 - rho)^2."""
        return self.utilisation / (1.0 - self.utilisation) ** 2

    def prob_at_least(self, n: int) -> float:
        """Return P(``n`` or more jobs inside) = rho^n."""
        return self.utilisation ** _check.count("n", n, least=0)

    @property
    def jobs_asymptotic_variance_s(self) -> float:
        """Variance of the time-average of jobs inside, times the run's length in s, for long runs.

        2 rho (1 + rho) / (mu (1 - rho)^4) (Whitt 1989, "Planning queueing simulations").
        """
        rho = self.utilisation
        return 2.0 * rho * (1.0 + rho) / (1.0 - rho) ** 4 / self.service_rate_per_s

    @property
    def wait_asymptotic_variance_s2(self) -> float:
        """Variance in s^2 of the average wait of n jobs in a row, times n, for large n.

        rho (2 + 5 rho - 4 rho^2 + rho^3) / (mu^2 (1 - rho)^4) (Daley 1968, "The serial
        correlation coefficients of waiting times in a stationary single server queue").
        """
        rho = self.utilisation
        shape = rho * (2.0 + 5.0 * rho - 4.0 * rho**2 + rho**3) / (1.0 - rho) ** 4
        return shape / self.service_rate_per_s**2

    def jobs_to_simulate(self, *, relative_error: float, z: float = 1.96) -> int:
        """Return how many jobs one run needs to know its mean wait that well.

        The half-width is ``z`` standard errors (1.96: 95%) of a run that starts in the steady state.
        """
        half_s = _check.positive("relative_error", relative_error) * self.wait_s
        return math.ceil(round(z**2 * self.wait_asymptotic_variance_s2 / half_s**2, 6))


def mmc(*, arrival_rate_per_s: float, service_rate_per_s: float, servers: int) -> MMc:
    """Solve M/M/c: one queue before ``servers`` equal servers, each ``service_rate_per_s`` fast.

    Erlang C; the wait of those who wait is exponential with rate c mu - lambda (Erlang 1917;
    Cooper 1981, ch. 3).  Raises ``ValueError`` when arrivals reach what the servers can do.

    >>> round(mmc(arrival_rate_per_s=3.0, service_rate_per_s=1.0, servers=4).wait_s, 4)
    0.5094
    """
    rate = _check.positive("arrival_rate_per_s", arrival_rate_per_s)
    speed = _check.positive("service_rate_per_s", service_rate_per_s)
    count = _check.count("servers", servers)
    rule = "arrival_rate_per_s / service_rate_per_s"
    rho = steady_load(rule, f"{rate:g} / {speed:g} = {rate / speed:.6g}", rate / speed, count)
    must_wait = erlang_c(rate / speed, count)
    wait_s = must_wait / (count * speed - rate)
    return MMc(
        arrival_rate_per_s=rate,
        service_rate_per_s=speed,
        servers=count,
        utilisation=rho,
        prob_wait=must_wait,
        wait_s=wait_s,
        sojourn_s=wait_s + 1.0 / speed,
        waiting=rate * wait_s,
        jobs=rate * wait_s + rate / speed,
    )


def mm1(*, arrival_rate_per_s: float, service_rate_per_s: float) -> MM1:
    """Solve M/M/1: W = 1 / (mu - lambda), L = rho / (1 - rho) (Kleinrock 1975, vol. 1, ch. 3).

    Raises ``ValueError`` when ``arrival_rate_per_s`` reaches ``service_rate_per_s``.

    >>> mm1(arrival_rate_per_s=0.5, service_rate_per_s=1.0).sojourn_s
    2.0
    """
    solved = mmc(
        arrival_rate_per_s=arrival_rate_per_s, service_rate_per_s=service_rate_per_s, servers=1
    )
    return MM1(**{field.name: getattr(solved, field.name) for field in fields(solved)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling:
    """The same jobs and the same speed in all, arranged in three ways.

    ``split``: each server has its own queue and its share of the jobs, assigned blindly.
    ``pooled``: one queue for all servers.  ``fast``: one server as fast as all of them.
    """

    split: MM1
    pooled: MMc
    fast: MM1

    @property
    def wait_ratio(self) -> float:
        """How many times longer the mean wait is split than pooled."""
        return self.split.wait_s / self.pooled.wait_s


def pooling(*, arrival_rate_per_s: float, service_rate_per_s: float, servers: int) -> Pooling:
    """Compare own queues, one queue and one fast server (Harchol-Balter 2013, ch. 14-15).

    ``arrival_rate_per_s`` is of all jobs together, ``service_rate_per_s`` of one of ``servers``.
    Raises ``ValueError`` when arrivals reach what the servers can do together.

    >>> round(pooling(arrival_rate_per_s=1.6, service_rate_per_s=1.0, servers=2).wait_ratio, 6)
    2.25
    """
    pooled = mmc(
        arrival_rate_per_s=arrival_rate_per_s,
        service_rate_per_s=service_rate_per_s,
        servers=servers,
    )
    share = pooled.arrival_rate_per_s / pooled.servers
    faster = pooled.service_rate_per_s * pooled.servers
    return Pooling(
        split=mm1(arrival_rate_per_s=share, service_rate_per_s=service_rate_per_s),
        pooled=pooled,
        fast=mm1(arrival_rate_per_s=arrival_rate_per_s, service_rate_per_s=faster),
    )
