"""Many servers with clockwork services: M/D/c.

Look at the system once every service time: whoever was being served then has left, whoever has
come since is still inside.  That is a chain of states with Poisson steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from toolkit import _check
from toolkit.laws import Array
from toolkit.theory.solve import quantile, steady_load

_DIED_AWAY = 45.0  # e-folds after which the chances of many jobs are one geometric series


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MDc:
    """Poisson arrivals, ``servers`` with one queue, every service exactly ``service_s`` long.

    The names mean what they mean in ``MMc``; ``chances``: of n = 0, 1, ... jobs inside.
    """

    arrival_rate_per_s: float
    service_s: float
    servers: int
    utilisation: float
    prob_wait: float
    wait_s: float
    sojourn_s: float
    waiting: float
    jobs: float
    chances: Array

    def wait_cdf(self, t_s: float) -> float:
        """Return P(wait <= ``t_s``) by Franx (2001, Operations Research Letters 29, 221-229).

        With k = floor(t / D) + 1: the chance that at most kc - 1 - j jobs wait, given j arrivals in
        kD - t.  All terms are positive.
        """
        units = _check.not_negative("t_s", t_s) / self.service_s
        k = math.floor(units) + 1
        most = k * self.servers
        arrivals = (k - units) * self.arrival_rate_per_s * self.service_s
        inside = np.cumsum(self.chances)[self.servers :]
        at_most = np.append(inside, np.ones(max(0, most - inside.size)))[:most]
        return min(1.0, float(_poisson(arrivals, most) @ at_most[::-1]))

    def wait_quantile_s(self, p: float) -> float:
        """Return the wait in s that a share ``p`` of the jobs does not exceed; 0 <= p < 1."""
        return quantile(lambda t: 1.0 - self.wait_cdf(t), p, self.sojourn_s)


def mdc(*, arrival_rate_per_s: float, service_s: float, servers: int) -> MDc:
    """Solve M/D/c from the chances of n inside, one service time apart (Crommelin 1932; Tijms 2003, ch. 9).

    p(j) = sum of p(n) a(j - (n - c)^+) with Poisson chances a.  Far out p(n) / p(n + 1) is the root
    z > 1 of lambda D (z - 1) = c log z, which closes the system of equations.
    Raises ``ValueError`` when the servers cannot keep up.

    >>> round(mdc(arrival_rate_per_s=0.5, service_s=1.0, servers=1).wait_s, 6)
    0.5
    """
    rate = _check.positive("arrival_rate_per_s", arrival_rate_per_s)
    each = _check.positive("service_s", service_s)
    count = _check.count("servers", servers)
    load = rate * each
    values = f"{rate:g} x {each:g} = {load:.6g}"
    rho = steady_load("arrival_rate_per_s x service_s", values, load, count)
    chances = _chances(load, count)
    state = np.arange(chances.size)
    waiting = float(np.maximum(state - count, 0) @ chances)
    return MDc(
        arrival_rate_per_s=rate,
        service_s=each,
        servers=count,
        utilisation=rho,
        prob_wait=float(chances[count:].sum()),
        wait_s=waiting / rate,
        sojourn_s=waiting / rate + each,
        waiting=waiting,
        jobs=waiting + load,
        chances=chances,
    )


def _chances(load: float, servers: int) -> Array:
    """Return P(n inside) for n = 0, 1, ... until nothing is left."""
    fall = _fall(load, servers)
    near = 4 * servers + 80
    arrived = _poisson(load, near + 1)
    system = np.zeros((near + 1, near + 1))
    last = near - servers
    for n in range(near + 1):
        first = max(n - servers, 0)
        if first <= last:
            system[first : last + 1, n] = arrived[: last - first + 1]
    system -= np.eye(near + 1)
    system[last + 1 :] = 0.0
    for row in range(last + 1, near):  # p(row + 1) = fall x p(row)
        system[row, [row, row + 1]] = fall, -1.0
    system[near] = 1.0
    system[near, near] = 1.0 / (1.0 - fall)
    head: Array = np.linalg.solve(system, np.eye(near + 1)[near])
    more = math.ceil(_DIED_AWAY / -math.log(fall))
    head = np.maximum(head, 0.0)  # a chance below the last digit may come out negative
    return np.append(head, head[-1] * fall ** np.arange(1, more))


def _fall(load: float, servers: int) -> float:
    """Return p(n + 1) / p(n) for large n: 1 / z for the root z > 1 of load (z - 1) = c log z."""
    z = servers / load
    while load * (z - 1.0) < servers * math.log(z):
        z *= 2.0
    for _ in range(200):  # Newton on a convex function, from outside: it never steps across
        step = (load * (z - 1.0) - servers * math.log(z)) / (load - servers / z)
        z -= step
        if step <= 1e-15 * z:
            break
    return 1.0 / z


def _poisson(mean: float, n: int) -> Array:
    """Return the Poisson chances of 0 to ``n`` - 1."""
    from scipy.stats import poisson  # noqa: PLC0415, scipy is slow to load

    chances: Array = poisson.pmf(np.arange(n), mean)
    return chances
