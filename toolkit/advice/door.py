"""A token bucket at the door of a design: sized from what the design can do in time.

No design stands every load.  Past its limit the question is who is refused, and where: a bucket at
the door refuses early and cheaply, so that those who get in are still served in time.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from toolkit import _check
from toolkit.advice.formula import estimate, first_level
from toolkit.advice.goals import SLO
from toolkit.design import Design, TokenBucket
from toolkit.laws import Array
from toolkit.simulation import Run, simulate

_WITHOUT_A_GOAL = 0.9  # of what the workers can do, where no goal on time says how near to go
_DRAWS = 100_000


def guarded(design: Design, *, places: int | None = None, share: float | None = None) -> Design:
    """Return a one-stage design with a cap and a limiter, in terms of what its workers can do.

    ``places``: jobs that may be inside for each worker, in service and waiting; ``share``: a token bucket
    that lets in this share of what the workers can do, and ten jobs a worker at once.
    """
    stage = design.stages[0]
    cap = None if places is None else _check.count("places", places) * stage.workers
    limiter = None
    if share is not None:
        rate_per_s = _check.positive("share", share) * capacity_per_s(design)
        limiter = TokenBucket(rate_per_s=rate_per_s, burst=10 * stage.workers)
    return dataclasses.replace(
        design, stages=[dataclasses.replace(stage, capacity=cap, limiter=limiter)]
    )


def capacity_per_s(design: Design) -> float:
    """Return how many jobs a second the workers of a one-stage design can do, if always busy."""
    return design.stages[0].workers / design.stages[0].offered_erlangs(1.0)


def door(design: Design, slo: SLO) -> TokenBucket:
    """Size a token bucket for the door of a one-stage design.

    Its rate is the load at which the formula just meets the first goal on time (without one, or where
    the work alone takes longer, nine tenths of what the workers can do).  Its burst is one for each
    worker, and what they can do in the time that the goal leaves for waiting: of so many that come at
    once to idle workers, the last still starts in time.
    """
    most_per_s = capacity_per_s(design)
    level = first_level(slo)
    goal_s = slo.goals_ms().get(level, math.inf) / 1000.0
    drawn_s = design.stages[0].service.draw_s(np.random.default_rng(0), _DRAWS)
    spare_s = goal_s - float(np.percentile(drawn_s, level))
    if not math.isfinite(goal_s) or spare_s <= 0:
        return _bucket(_WITHOUT_A_GOAL * most_per_s, 2 * design.stages[0].workers)
    burst = design.stages[0].workers + math.floor(most_per_s * spare_s)
    return _bucket(_most_in_time_per_s(design, goal_s, level), burst)


def _most_in_time_per_s(design: Design, goal_s: float, level: float) -> float:
    """Return the highest load at which the formula's percentile is within ``goal_s``."""
    low, high = 0.0, capacity_per_s(design)
    for _ in range(20):
        middle = (low + high) / 2
        known = estimate(design.faster(middle / design.arrivals.rate_per_s))
        meets = known is not None and known.sojourn_tail(goal_s) <= 1 - level / 100
        low, high = (middle, high) if meets else (low, middle)
    return low or high


def _bucket(rate_per_s: float, burst: int) -> TokenBucket:
    """Return a bucket with a rate of three digits, as somebody would type it in, rounded down."""
    digits = 2 - math.floor(math.log10(rate_per_s))
    step = 10.0**-digits
    rate = round(math.floor(rate_per_s / step + 1e-9) * step, max(0, digits))
    return TokenBucket(rate_per_s=rate, burst=max(1, burst))


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """A design in a flood, with and without a bucket at its door: the same arrivals for both.

    ``table``: a row each way, jobs a second: ``asked``, ``let in``, answered ``in time``; and the ``p99_ms``
    of those that were done.  ``refused``: the share that the bucket turned away; ``refused_in_peace``: the
    same at the load that was planned for, by the formula for Poisson arrivals.
    """

    bucket: TokenBucket
    times: float
    seconds: float
    table: pd.DataFrame
    refused: float
    refused_in_peace: float
    arrived_s: Array


def flooded(
    design: Design,
    bucket: TokenBucket,
    slo: SLO,
    *,
    times: float = 10.0,
    jobs: int = 20_000,
    seed: int = 0,
) -> Flood:
    """Send ``times`` the load of ``design`` at it, ``jobs`` in all, with ``bucket`` at its door and without.

    A job is in time if it is done within the first goal on time of ``slo``.
    """
    loud = design.faster(times)
    stage = dataclasses.replace(loud.stages[0], limiter=bucket)
    doors = {"no door": loud, "door": dataclasses.replace(loud, stages=[stage])}
    runs = {name: simulate(one, jobs=jobs, seed=seed) for name, one in doors.items()}
    arrived_s = runs["door"].records.arrived_s
    seconds = float(arrived_s[-1])
    goal_s = next(iter(slo.goals_ms().values()), math.inf) / 1000.0
    rows = {name: _flow(run, goal_s, seconds) for name, run in runs.items()}
    refused = (runs["door"].jobs["outcome"] == "limited").mean()
    return Flood(
        bucket=bucket,
        times=times,
        seconds=seconds,
        table=pd.DataFrame.from_dict(rows, orient="index"),
        refused=float(refused),
        refused_in_peace=_in_peace(design, bucket),
        arrived_s=arrived_s,
    )


def _in_peace(design: Design, bucket: TokenBucket) -> float:
    from toolkit.theory import token_bucket  # noqa: PLC0415, theory is loaded when asked for

    known = {"rate_per_s": bucket.rate_per_s, "burst": bucket.burst}
    return token_bucket(arrival_rate_per_s=design.arrivals.rate_per_s, **known).lost


def _flow(run: Run, goal_s: float, seconds: float) -> dict[str, float]:
    done = run.jobs[run.jobs["outcome"] == "done"]["sojourn_s"]
    let_in = (run.jobs["outcome"] != "limited").sum()
    return {
        "asked": len(run.jobs) / seconds,
        "let in": let_in / seconds,
        "in time": (done <= goal_s).sum() / seconds,
        "p99_ms": 1000 * done.quantile(0.99) if len(done) else math.nan,
    }
