"""Laws of growth without queues: more workers, more parts, more copies, more cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit import _check
from toolkit.laws import Array

MONTH_MINUTES = 30 * 24 * 60
"""Minutes in a month of 30 days."""


def amdahl(workers: float, *, serial: float) -> float:
    """Return the speedup of a fixed job of which a share ``serial`` cannot be split.

    1 / (s + (1 - s) / n) (Amdahl 1967).

    >>> round(amdahl(8, serial=0.05), 4)
    5.9259
    """
    share = _check.share("serial", serial)
    return 1.0 / (share + (1.0 - share) / _check.positive("workers", workers))


def gustafson(workers: float, *, serial: float) -> float:
    """Return the speedup of a job that grows with the workers, n - s (n - 1) (Gustafson 1988).

    >>> gustafson(8, serial=0.05)
    7.65
    """
    count = _check.positive("workers", workers)
    return count - _check.share("serial", serial) * (count - 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalabilityLaw:
    """The universal scalability law, gamma n / (1 + alpha (n - 1) + beta n (n - 1)).

    ``alpha``: queueing for what is shared; ``beta``: talking to each other, each with each;
    ``gamma``: throughput of one (Gunther 2007).  With ``beta`` 0 it is Amdahl's law.

    >>> round(ScalabilityLaw(alpha=0.02, beta=0.02).peak, 6)
    7.0
    """

    alpha: float
    beta: float
    gamma: float = 1.0

    def throughput(self, workers: float) -> float:
        """Return the throughput of ``workers``, in units of ``gamma``."""
        more = _check.positive("workers", workers) - 1.0
        return self.gamma * workers / (1.0 + self.alpha * more + self.beta * workers * more)

    @property
    def peak(self) -> float:
        """Workers beyond which more is less, sqrt((1 - alpha) / beta); ``inf`` without ``beta``."""
        return math.sqrt((1.0 - self.alpha) / self.beta) if self.beta > 0 else math.inf

    @property
    def asymptote(self) -> float:
        """What Amdahl's law alone would allow, gamma / alpha."""
        return self.gamma / self.alpha if self.alpha > 0 else math.inf

    def r_squared(self, workers: Sequence[float], throughput: Sequence[float]) -> float:
        """Return the share of the variance of ``throughput`` that the law explains."""
        measured = np.asarray(throughput, dtype=float)
        left = measured - [self.throughput(n) for n in workers]
        return 1.0 - float(left @ left) / float(((measured - measured.mean()) ** 2).sum())


def fit_scalability(
    workers: Sequence[float],
    throughput: Sequence[float],
    *,
    gamma: float | None = None,
    physical: bool = True,
) -> ScalabilityLaw:
    """Return the law with the least squares of throughput; ``gamma`` as given, or fitted.

    ``physical`` keeps ``alpha`` and ``beta`` from falling below 0, where they mean nothing; without
    it a negative one is returned, and is a sign that the law does not fit.
    Raises ``ValueError`` for fewer points than parameters.

    >>> law = ScalabilityLaw(alpha=0.05, beta=0.001, gamma=20.0)
    >>> sizes = [1, 2, 4, 8, 16, 32]
    >>> round(fit_scalability(sizes, [law.throughput(n) for n in sizes]).alpha, 9)
    0.05
    """
    n, x = np.asarray(workers, dtype=float), np.asarray(throughput, dtype=float)
    if n.shape != x.shape or n.size < 2 + (gamma is None):
        raise ValueError(
            f"workers and throughput must be equally many and at least {2 + (gamma is None)}, "
            f"got {n.size} and {x.size}"
        )
    sets = [(True, True), (True, False), (False, True), (False, False)]
    fits = [_least_squares(n, x, gamma, used) for used in (sets if physical else sets[:1])]
    allowed = [law for law in fits if not physical or min(law.alpha, law.beta) >= 0.0]
    return max(allowed, key=lambda law: law.r_squared(workers, throughput))


def _least_squares(
    n: Array, x: Array, gamma: float | None, used: tuple[bool, bool]
) -> ScalabilityLaw:
    """Fit with only the ``used`` of alpha and beta, the other 0."""
    from scipy.optimize import least_squares  # noqa: PLC0415, scipy is slow to load

    free = np.array([gamma is None, *used])
    start = np.array([x[0] / n[0] if gamma is None else gamma, 0.01 * used[0], 1e-4 * used[1]])

    def misses_and_slopes(own: Array) -> tuple[Array, Array]:
        law = start.copy()
        law[free] = own
        each = n / (1.0 + (law[1] + law[2] * n) * (n - 1.0))
        down = -law[0] * each**2 * (n - 1.0) / n
        return law[0] * each - x, np.column_stack([each, down, down * n])[:, free]

    own = start[free]
    if own.size:
        misses, slopes = (lambda p, k=k: misses_and_slopes(p)[k] for k in (0, 1))
        own = least_squares(misses, own, slopes, method="lm", x_scale="jac").x
    # the sum of squares is flat at its least; its slope is not, and gives the other half of the digits
    for _ in range(50):
        missed, moved = misses_and_slopes(own)
        own = own - np.linalg.lstsq(moved, missed)[0]
    start[free] = own
    scale, alpha, beta = start.tolist()
    return ScalabilityLaw(alpha=alpha, beta=beta, gamma=scale)


def series_availability(availability: float, *, parts: int) -> float:
    """Return the share of time when all of ``parts`` are up, a^n, if they fail independently.

    >>> round(series_availability(0.999, parts=30), 4)
    0.9704
    """
    return float(_check.share("availability", availability) ** _check.count("parts", parts))


def redundant_availability(availability: float, *, copies: int) -> float:
    """Return the share of time when at least one of ``copies`` is up, 1 - (1 - a)^n.

    >>> round(redundant_availability(0.99, copies=2), 6)
    0.9999
    """
    return 1.0 - float(
        (1.0 - _check.share("availability", availability)) ** _check.count("copies", copies)
    )


def downtime_minutes_per_month(availability: float) -> float:
    """Return the minutes down in a month of 30 days.

    >>> round(downtime_minutes_per_month(0.999), 6)
    43.2
    """
    return (1.0 - _check.share("availability", availability)) * MONTH_MINUTES


def zipf_hit_rate(*, cached: int, items: int, exponent: float) -> float:
    """Return the share of requests for the ``cached`` most popular of ``items``.

    The k-th most popular is asked for in proportion to k^-exponent (Breslau et al. 1999).

    >>> round(zipf_hit_rate(cached=100, items=1000, exponent=1.0), 4)
    0.693
    """
    count = _check.count("items", items)
    kept = min(_check.count("cached", cached, least=0), count)
    popularity = np.arange(1, count + 1) ** -_check.not_negative("exponent", exponent)
    return float(popularity[:kept].sum() / popularity.sum())
