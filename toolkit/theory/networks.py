"""Several queues: an open network with routes, a closed one with users, and what bounds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit import _check
from toolkit.theory.markov import MMc, mmc


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenNetwork:
    """A network of M/M/c stations; ``sojourn_s`` is from entering it to leaving it."""

    stations: tuple[MMc, ...]
    throughput_per_s: float
    sojourn_s: float
    jobs: float


def open_network(
    *,
    arrival_rates_per_s: Sequence[float],
    service_rates_per_s: Sequence[float],
    servers: Sequence[int],
    routes: Sequence[Sequence[float]],
) -> OpenNetwork:
    """Solve a Jackson network: ``routes[i][j]`` is the chance to go to j after i; the rest leaves.

    The rates through the stations solve lambda = gamma + lambda P, and each station is M/M/c at
    its rate, as if it stood alone (Jackson 1957).  Raises ``ValueError`` when a station
    cannot keep up, or a job could never leave.

    >>> two = open_network(
    ...     arrival_rates_per_s=[0.5, 0], service_rates_per_s=[1, 1], servers=[1, 1],
    ...     routes=[[0, 1], [0, 0]],
    ... )
    >>> two.sojourn_s
    4.0
    """
    outside = [_check.not_negative("arrival_rates_per_s", rate) for rate in arrival_rates_per_s]
    matrix = np.array(routes, dtype=float)
    if matrix.shape != (len(outside),) * 2 or matrix.min() < 0 or matrix.sum(axis=1).max() > 1:
        raise ValueError(
            f"routes must have {len(outside)} rows of shares that add up to 1 or less, got {routes!r}"
        )
    ways = np.eye(len(outside)) - matrix.T
    if np.linalg.matrix_rank(ways) < len(outside):
        raise ValueError(f"routes must let every job leave some day, got {routes!r}")
    rates = np.linalg.solve(ways, outside)
    stations = tuple(
        mmc(arrival_rate_per_s=float(rate), service_rate_per_s=speed, servers=count)
        for rate, speed, count in zip(rates, service_rates_per_s, servers, strict=True)
    )
    jobs, through = sum(station.jobs for station in stations), sum(outside)
    return OpenNetwork(
        stations=stations, throughput_per_s=through, sojourn_s=jobs / through, jobs=jobs
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedNetwork:
    """Users who think and then visit stations; ``jobs`` and ``utilisations`` by station."""

    throughput_per_s: float
    sojourn_s: float
    jobs: tuple[float, ...]
    utilisations: tuple[float, ...]


def closed_network(*, users: int, think_s: float, demands_s: Sequence[float]) -> ClosedNetwork:
    """Solve the closed product-form network of single servers by mean value analysis.

    ``demands_s``: mean work of a user's round at each station.  A user who comes to a station
    finds what the network with one user less has there on average:
    R(k) = D(k) (1 + Q(k)), X = n / (Z + sum R), Q(k) = X R(k) (Reiser & Lavenberg 1980).
    Raises ``ValueError`` where there is no demand at all, or a negative one.

    >>> closed_network(users=1, think_s=1.0, demands_s=[0.5, 0.5]).throughput_per_s
    0.5
    """
    think, demands = _rounds(think_s, demands_s)
    queues, through, stays = np.zeros(demands.size), 0.0, demands
    for n in range(1, _check.count("users", users) + 1):
        stays = demands * (1.0 + queues)
        through = n / (think + float(stays.sum()))
        queues = through * stays
    return ClosedNetwork(
        throughput_per_s=through,
        sojourn_s=float(stays.sum()),
        jobs=tuple(queues.tolist()),
        utilisations=tuple((through * demands).tolist()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkBounds:
    """What no closed network can beat: ``throughput_per_s`` from above, ``sojourn_s`` from below.

    ``knee_users``: up to about so many users the rounds bind, from there on the bottleneck.
    """

    throughput_per_s: float
    sojourn_s: float
    knee_users: float


def network_bounds(*, users: int, think_s: float, demands_s: Sequence[float]) -> NetworkBounds:
    """Return min(1 / Dmax, N / (D + Z)) and max(D, N Dmax - Z) (Denning & Buzen 1978).

    They ask for means only.  Raises ``ValueError`` as ``closed_network``.

    >>> network_bounds(users=20, think_s=1.0, demands_s=[0.1, 0.05, 0.02]).throughput_per_s
    10.0
    """
    think, demands = _rounds(think_s, demands_s)
    total, most = float(demands.sum()), float(demands.max())
    count = _check.count("users", users)
    return NetworkBounds(
        throughput_per_s=min(1.0 / most, count / (total + think)),
        sojourn_s=max(total, count * most - think),
        knee_users=(total + think) / most,
    )


def _rounds(think_s: float, demands_s: Sequence[float]) -> tuple[float, np.ndarray]:
    demands = np.array([_check.not_negative("demands_s", demand) for demand in demands_s])
    if not demands.any():
        raise ValueError(f"demands_s must hold a demand above 0 s, got {demands_s!r}")
    return _check.not_negative("think_s", think_s), demands
