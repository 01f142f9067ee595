"""Retrial queues: who finds every server busy goes away and comes back later, by chance.

There is no queue in front of the servers.  They can be idle while many are in orbit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit import _check
from toolkit.laws import Array
from toolkit.theory.solve import steady_load


@dataclass(frozen=True, slots=True, kw_only=True)
class Orbit:
    """``orbit``: mean number of jobs that wait to try again.  ``prob_busy``: all servers busy.

    ``sojourn_s``: first try to the end of service.  ``retries_per_job``: mean tries after the first.
    """

    orbit: float
    prob_busy: float
    sojourn_s: float
    retries_per_job: float


def mm1_orbit(
    *, arrival_rate_per_s: float, service_rate_per_s: float, retry_rate_per_s: float
) -> Orbit:
    """Solve one server whose jobs retry each for itself, at ``retry_rate_per_s``.

    Orbit rho (lambda / theta + rho) / (1 - rho); the server is busy rho of the time
    (Falin & Templeton 1997, ch. 1).  Raises ``ValueError`` when the server cannot keep up.

    >>> rates = {"arrival_rate_per_s": 0.5, "service_rate_per_s": 1.0}
    >>> mm1_orbit(**rates, retry_rate_per_s=1.0).sojourn_s
    3.0
    """
    rate, speed, retry = _rates(arrival_rate_per_s, service_rate_per_s, retry_rate_per_s)
    rho = _load(rate, speed, 1)
    return _orbit(rho * (rate / retry + rho) / (1.0 - rho), rho, rate, speed, retry)


def mm1_constant_orbit(
    *, arrival_rate_per_s: float, service_rate_per_s: float, retry_rate_per_s: float
) -> Orbit:
    """Solve one server at which only the first in orbit retries, at ``retry_rate_per_s``.

    Orbit lambda^2 (lambda + theta + mu) / (mu (theta mu - lambda (lambda + theta))) (Fayolle
    1986).  Raises ``ValueError`` unless lambda (lambda + theta) < theta mu.

    >>> rates = {"arrival_rate_per_s": 0.4, "service_rate_per_s": 1.0}
    >>> round(mm1_constant_orbit(**rates, retry_rate_per_s=1.0).orbit, 4)
    0.8727
    """
    rate, speed, retry = _rates(arrival_rate_per_s, service_rate_per_s, retry_rate_per_s)
    spare = retry * speed - rate * (rate + retry)
    if spare <= 0.0:
        raise ValueError(
            f"unstable: arrival rate x (arrival rate + retry_rate_per_s) must be < "
            f"retry_rate_per_s x service_rate_per_s = {retry * speed:g}, got {rate * (rate + retry):g}"
        )
    orbit = rate**2 * (rate + retry + speed) / (speed * spare)
    # what leaves the orbit while the server idles is what enters while it is busy
    all_empty = 1.0 - rate / speed - rate * rate / (speed * retry)
    in_use = 1.0 - all_empty * (1.0 + rate / speed)
    return Orbit(
        orbit=orbit,
        prob_busy=rate / speed,
        sojourn_s=orbit / rate + 1.0 / speed,
        retries_per_job=retry * in_use / rate,
    )


def mmc_orbit(
    *, arrival_rate_per_s: float, service_rate_per_s: float, servers: int, retry_rate_per_s: float
) -> Orbit:
    """Solve ``servers`` whose jobs retry each for itself, at ``retry_rate_per_s``: no closed form.

    The orbit moves by one at a time.  From far out inwards: with j + 1 in orbit the system is r(j)
    times as often in each state as with j in orbit and all busy (Bright & Taylor 1995), until what is
    cut off is below the last digit (Falin & Templeton 1997, ch. 2).
    Raises ``ValueError`` when the servers cannot keep up.

    >>> rates = {"arrival_rate_per_s": 0.5, "service_rate_per_s": 1.0, "retry_rate_per_s": 1.0}
    >>> round(mmc_orbit(**rates, servers=1).orbit, 9)
    1.0
    """
    rate, speed, retry = _rates(arrival_rate_per_s, service_rate_per_s, retry_rate_per_s)
    count = _check.count("servers", servers)
    _load(rate, speed, count)
    far, shares = 64, np.ones((1, 1))
    while shares[-1].sum() > 1e-17:
        far *= 2
        shares = _shares(rate, speed, count, retry, far)
    orbit = float(shares.sum(axis=1) @ np.arange(far + 1))
    return _orbit(orbit, float(shares[:, -1].sum()), rate, speed, retry)


def _shares(rate: float, speed: float, servers: int, retry: float, far: int) -> Array:
    """Return the share of time with j = 0 to ``far`` in orbit (rows) and i servers busy (columns)."""
    busy = np.arange(servers + 1)
    within = np.diag(np.full(servers, rate), 1) + np.diag(speed * busy[1:], -1)
    leave = np.diag(within.sum(axis=1))
    enter = np.eye(servers, servers + 1, 1)  # a retry that finds a server
    enter = np.vstack([enter, np.zeros(servers + 1)])
    step, steps = np.zeros(servers + 1), []
    for j in range(far, -1, -1):
        rates = within - leave - retry * j * np.diag(enter.sum(axis=1))
        rates[-1, -1] -= rate if j < far else 0.0
        rates[-1] += retry * (j + 1) * (step @ enter)  # and back, once beyond
        if j:
            step = rate * np.linalg.solve(-rates.T, np.eye(servers + 1)[-1])
            steps.append(step)
    rates[:, 0] = 1.0  # one balance follows from the others
    shares = [np.linalg.solve(rates.T, np.eye(servers + 1)[0])]
    for following in reversed(steps):
        shares.append(shares[-1][-1] * following)
    table = np.array(shares)
    whole: Array = table / table.sum()
    return whole


def _orbit(orbit: float, busy: float, rate: float, speed: float, retry: float) -> Orbit:
    return Orbit(
        orbit=orbit,
        prob_busy=busy,
        sojourn_s=orbit / rate + 1.0 / speed,
        retries_per_job=retry * orbit / rate,
    )


def _rates(arrivals: float, services: float, retries: float) -> tuple[float, float, float]:
    return (
        _check.positive("arrival_rate_per_s", arrivals),
        _check.positive("service_rate_per_s", services),
        _check.positive("retry_rate_per_s", retries),
    )


def _load(rate: float, speed: float, servers: int) -> float:
    values = f"{rate:g} / {speed:g} = {rate / speed:.6g}"
    rule = "arrival_rate_per_s / service_rate_per_s"
    return steady_load(rule, values, rate / speed, servers)
