"""What queueing theory says of a fitted design, and how far that may be trusted.

The design is one stage with one queue, so theory knows it as G/G/c: no exact formula, and a rule of
thumb that is close.  It needs no run, and it answers for ever after a start, in peace: it knows
nothing of bursts, outages or full queues.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from toolkit import _check
from toolkit.advice.answer import Advice
from toolkit.advice.goals import SLO
from toolkit.arrivals import Poisson, Renewal
from toolkit.design import Design
from toolkit.laws import Array, scv

_DRAWS = 100_000  # of a service: the 99th percentile of that many is known to a hundredth


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the formula says: ``prob_wait`` is Erlang's C, ``wait_s`` the mean wait of all jobs.

    ``services_s`` are draws of the service law, in s; ``doubts`` say how far it may be trusted.
    """

    utilisation: float
    prob_wait: float
    wait_s: float
    sojourn_s: float
    services_s: Array
    doubts: tuple[str, ...]

    def sojourn_tail(self, t_s: float) -> float:
        """Return about P(wait + service > ``t_s``): who waits, waits an exponential time."""
        left_s = _check.not_negative("t_s", t_s) - self.services_s
        in_service = float(np.mean(left_s > 0))
        if not self.wait_s:
            return 1.0 - in_service
        mean_s = self.wait_s / self.prob_wait  # of those who wait
        still_waits = self.prob_wait * np.exp(-left_s[left_s > 0] / mean_s)
        return 1.0 - in_service + float(still_waits.sum()) / left_s.size

    def sojourn_quantile_s(self, p: float) -> float:
        """Return about the wait and service in s that a share ``p`` of the jobs does not exceed."""
        from toolkit.theory.solve import quantile  # noqa: PLC0415, theory is loaded when asked for

        return quantile(self.sojourn_tail, p, self.sojourn_s)


def estimate(design: Design) -> Estimate | None:
    """Estimate a design of one plain stage as G/G/c; ``None`` where its queue grows for ever.

    The wait of M/G/c (``theory.mgc_estimate``), for other arrivals times (ca2 + cs2) / (1 + cs2) with the
    squared coefficients of variation of gaps and services (Allen 1978, "Probability, Statistics, and
    Queueing Theory").
    Raises ``ValueError`` for a design with anything that the formula does not know.
    """
    from toolkit.theory import mgc_estimate  # noqa: PLC0415, theory is loaded when asked for

    stage, gaps_scv = design.stages[0], _gaps_scv(design)
    if len(design.stages) > 1 or stage.capacity or stage.limiter or stage.retry or design.callers:
        raise ValueError(
            "design must be one stage without cap, limiter, retries or callers for a formula, got more"
        )
    if design.overloads():
        return None
    known = mgc_estimate(
        arrival_rate_per_s=design.arrivals.rate_per_s, service=stage.service, servers=stage.workers
    )
    work_scv = scv(stage.service)
    wait_s = known.wait_s * (gaps_scv + work_scv) / (1.0 + work_scv)
    return Estimate(
        utilisation=known.utilisation,
        prob_wait=known.prob_wait,
        wait_s=wait_s,
        sojourn_s=wait_s + known.sojourn_s - known.wait_s,
        services_s=stage.service.draw_s(np.random.default_rng(0), _DRAWS),
        doubts=tuple(_doubts(gaps_scv, work_scv, known.utilisation)),
    )


def _gaps_scv(design: Design) -> float:
    arrivals = design.arrivals
    if isinstance(arrivals, Poisson):
        return 1.0
    if isinstance(arrivals, Renewal):
        return scv(arrivals.law)
    raise ValueError(
        f"arrivals must be Poisson(...) or Renewal(...) for a formula, got {arrivals!r}"
    )


def _doubts(gaps_scv: float, work_scv: float, utilisation: float) -> Iterator[str]:
    if gaps_scv != 1.0:
        yield f"arrivals are not Poisson (gaps' scv {gaps_scv:.2g}): a second rule of thumb on top"
    if not math.isclose(work_scv, 1.0, abs_tol=0.05):
        yield f"work is not exponential (scv {work_scv:.2g}): the wait is off by up to a tenth"
    if utilisation > 0.9:
        yield (
            f"workers are busy {utilisation:.0%} of the time: a long run gets there slowly, and a small "
            "error in the load makes a large one in the wait"
        )


def beside_formula(advice: Advice) -> pd.DataFrame:
    """Set the formula beside the simulator, a row a plain design of ``advice``, cheapest first.

    Columns: ``utilisation``; ``prob_wait``, Erlang's C; ``wait_ms`` by formula; then the first goal on
    time (p99 if there is none) in ms, by formula and in the simulator with its interval, and ``apart``:
    formula over simulator less one.  Empty cells: the queue grows for ever, so no formula holds.
    """
    level = first_level(advice.slo)
    rows = {}
    for name, done in advice.comparison.replications.items():
        seen_ms = 1000 * done.summary().loc[f"sojourn_p{level:g}_s", ["mean", "low", "high"]]
        rows[name] = _row(estimate(done.design), level, seen_ms)
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("design")
    return table.loc[[name for name in advice.table().index if name in rows]]


def _row(known: Estimate | None, level: float, seen_ms: Mapping[str, float]) -> dict[str, float]:
    seen = {
        f"simulated {name}".removesuffix(" mean"): seen_ms[name] for name in ("mean", "low", "high")
    }
    if known is None:
        empty = dict.fromkeys(("utilisation", "prob_wait", "wait_ms", "formula"), math.nan)
        return empty | dict.fromkeys(seen, math.nan) | {"apart": math.nan}
    told = 1000 * known.sojourn_quantile_s(level / 100)
    row = {
        "utilisation": known.utilisation,
        "prob_wait": known.prob_wait,
        "wait_ms": 1000 * known.wait_s,
        "formula": told,
    }
    return row | seen | {"apart": told / seen_ms["mean"] - 1.0}


def first_level(slo: SLO) -> float:
    """Return the percentile of the first goal on time; 99 if there is none."""
    return next(iter(slo.goals_ms()), 99.0)
