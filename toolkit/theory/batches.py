"""Jobs in batches: how they come, what it costs to serve them together, how long they fill."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit import _check
from toolkit.theory.solve import steady_load


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMM1:
    """M/M/1 whose jobs arrive in batches; the averages are of jobs, not of batches."""

    utilisation: float
    wait_s: float
    sojourn_s: float
    waiting: float
    jobs: float


def batch_mm1(
    *,
    batch_rate_per_s: float,
    batch_mean: float,
    batch_second_moment: float,
    service_rate_per_s: float,
) -> BatchMM1:
    """Solve M^X/M/1: batches of X jobs at ``batch_rate_per_s``, served one by one.

    ``batch_second_moment`` is E[X^2].  L = rho (E[X] + E[X^2]) / (2 E[X] (1 - rho)) with
    rho = rate E[X] / mu (Gross & Harris 1998, ch. 3).  Raises ``ValueError`` when the
    server cannot keep up, and for moments that no number of jobs has.

    >>> rates = {"batch_rate_per_s": 0.25, "service_rate_per_s": 1.0}
    >>> batch_mm1(**rates, batch_mean=2.0, batch_second_moment=4.0).jobs
    1.5
    """
    batches = _check.positive("batch_rate_per_s", batch_rate_per_s)
    speed = _check.positive("service_rate_per_s", service_rate_per_s)
    if _check.number("batch_mean", batch_mean) < 1:
        raise ValueError(f"batch_mean must be >= 1 job, got {batch_mean!r}")
    if _check.number("batch_second_moment", batch_second_moment) < batch_mean**2 * (1 - 1e-12):
        raise ValueError(
            f"batch_second_moment must be >= batch_mean^2 = {batch_mean**2:g}, got {batch_second_moment!r}"
        )
    rate = batches * batch_mean
    values = f"{batches:g} x {batch_mean:g} / {speed:g} = {rate / speed:.6g}"
    rho = steady_load("batch_rate_per_s x batch_mean / service_rate_per_s", values, rate / speed)
    jobs = rho * (batch_mean + batch_second_moment) / (2.0 * batch_mean * (1.0 - rho))
    return BatchMM1(
        utilisation=rho,
        wait_s=jobs / rate - 1.0 / speed,
        sojourn_s=jobs / rate,
        waiting=jobs - rho,
        jobs=jobs,
    )


def batch_throughput_per_s(*, batch: int, fixed_s: float, per_item_s: float) -> float:
    """Return the most items per s when a batch takes ``fixed_s`` + ``batch`` x ``per_item_s``.

    >>> round(batch_throughput_per_s(batch=10, fixed_s=5.0, per_item_s=1.0), 4)
    0.6667
    """
    items = _check.count("batch", batch)
    fixed, each = _check.not_negative("fixed_s", fixed_s), _check.positive("per_item_s", per_item_s)
    return items / (fixed + each * items)


def batch_fill_wait_s(*, batch: int, arrival_rate_per_s: float) -> float:
    """Return the mean wait in s of an item for its batch to fill, (b - 1) / (2 lambda).

    The first of b Poisson items waits for b - 1 gaps, the last for none.

    >>> batch_fill_wait_s(batch=10, arrival_rate_per_s=0.5)
    9.0
    """
    rate = _check.positive("arrival_rate_per_s", arrival_rate_per_s)
    return (_check.count("batch", batch) - 1) / (2.0 * rate)
