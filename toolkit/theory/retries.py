"""Retries: how many attempts there are, and what they do to a queue."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toolkit import _check
from toolkit.theory.solve import steady_load


def attempts_per_job(failure: float, max_retries: int | None) -> float:
    """Return the mean attempts of a job whose attempts fail independently, a share ``failure``.

    (1 - p^m) / (1 - p) with m = ``max_retries`` + 1; ``None`` retries for ever.
    Raises ``ValueError`` where that never ends (``failure`` 1).

    >>> round(attempts_per_job(0.5, 2), 6)
    1.75
    """
    fails = _check.share("failure", failure)
    if max_retries is None:
        if fails == 1:
            raise ValueError(f"failure must be < 1 without max_retries, got {failure!r}")
        return 1.0 / (1.0 - fails)
    attempts = _check.count("max_retries", max_retries, least=0) + 1
    if fails in (0.0, 1.0) or attempts == 1:
        return float(attempts) if fails else 1.0
    # near 1 both differences are small, and expm1 keeps the digits of theirs
    return math.expm1(attempts * math.log(fails)) / (fails - 1.0)


def attempts_through_layers(failure: float, max_retries: int, layers: int) -> float:
    """Return attempts at the innermost of ``layers`` for each job, when every layer retries.

    A layer fails when its last attempt does, so the layer above sees failure p^m: at p = 1 the
    attempts multiply to m^layers (Beyer et al. 2016, Site Reliability Engineering, ch. 22).
    Raises ``ValueError`` as ``attempts_per_job``.

    >>> attempts_through_layers(1.0, max_retries=3, layers=3)
    64.0
    """
    attempts, fails = 1.0, _check.share("failure", failure)
    for _ in range(_check.count("layers", layers)):
        attempts *= attempts_per_job(fails, max_retries)
        fails **= max_retries + 1
    return attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryingMM1:
    """M/M/1 whose failed attempts join the tail of the queue at once.

    ``sojourn_s``: arrival to the final outcome.  ``dead``: share of jobs that fail for good.
    ``utilisation`` and ``jobs`` count every attempt; ``goodput_per_s`` only jobs that succeed.
    """

    attempts_per_job: float
    utilisation: float
    jobs: float
    sojourn_s: float
    dead: float
    goodput_per_s: float

    def prob_at_least(self, n: int) -> float:
        """Return P(``n`` or more jobs inside) = rho^n."""
        return self.utilisation ** _check.count("n", n, least=0)


def mm1_retries(
    *, arrival_rate_per_s: float, service_rate_per_s: float, failure: float, max_retries: int | None
) -> RetryingMM1:
    """Solve M/M/1 where an attempt fails with chance ``failure`` and is retried without a pause.

    Every attempt draws a new service.  The number of the attempt is then a class of jobs with
    one service rate for all, so the queue is M/M/1 at the rate of attempts (Kelly 1979, ch. 3; without
    a limit, ``max_retries=None``: Takacs 1963).  Raises ``ValueError`` when attempts come as fast
    as they can be served.

    >>> rates = {"arrival_rate_per_s": 0.5, "service_rate_per_s": 1.0}
    >>> mm1_retries(**rates, failure=0.2, max_retries=None).utilisation
    0.625
    """
    rate = _check.positive("arrival_rate_per_s", arrival_rate_per_s)
    speed = _check.positive("service_rate_per_s", service_rate_per_s)
    attempts = attempts_per_job(failure, max_retries)
    load = rate * attempts / speed
    values = f"{rate:g} x {attempts:g} / {speed:g} = {load:.6g}"
    rho = steady_load("arrival_rate_per_s x attempts_per_job / service_rate_per_s", values, load)
    jobs = rho / (1.0 - rho)
    dead = 0.0 if max_retries is None else float(failure ** (max_retries + 1))
    return RetryingMM1(
        attempts_per_job=attempts,
        utilisation=rho,
        jobs=jobs,
        sojourn_s=jobs / rate,
        dead=dead,
        goodput_per_s=rate * (1.0 - dead),
    )
