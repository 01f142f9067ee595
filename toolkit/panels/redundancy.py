"""Doing more than once what once would do: a spare worker, a second copy, a second try.

Each is slack of its own kind.  It pays where there is room for it, and melts the system where there is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from toolkit import plots, theory
from toolkit.arrivals import Poisson
from toolkit.backoff import ConstantBackoff
from toolkit.design import Caller, Crash, Delivery, Design, Hedge, JobClass, Retry, Stage
from toolkit.laws import Array, Exponential, HyperExponential
from toolkit.panels.pools import SERVICE_S, WORKER
from toolkit.panels.repeated import mean_and_four_errors
from toolkit.plots import Picture
from toolkit.simulation import Run, simulate
from toolkit.theory.solve import quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# --- a spare worker ---

DIES_AT_S = 60.0


def dying(load_per_s: float, workers: int, *, down_s: float) -> Design:
    """Return a pool in which one worker dies after a minute, is away for ``down_s``, and loses no job."""
    crash = Crash(at_s=DIES_AT_S, instance=0, restart_after_s=down_s)
    delivery = Delivery(instances=workers, disconnect_s=0.0, crashes=[crash])
    work = Stage(
        name="work", service=Exponential(mean_s=SERVICE_S), workers=workers, delivery=delivery
    )
    return Design(arrivals=Poisson(rate_per_s=load_per_s), stages=[work])


def longest_wait_s(load_per_s: float, workers: int, *, down_s: float) -> float:
    """Return about the longest wait in s while one of ``workers`` is away, by a fluid without chance.

    The queue grows by what the others cannot do; who comes last of those that start while it is away
    waits down_s (1 - capacity / load) (Newell 1982, "Applications of queueing theory", ch. 2).
    """
    return max(0.0, down_s * (1.0 - (workers - 1) / SERVICE_S / load_per_s))


def spares(
    load_per_s: float,
    *,
    workers: Sequence[int],
    down_s: float = 120.0,
    late_s: float = 1.0,
    worker: float = WORKER,
    replications: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """Return what the death of one worker does to a pool, a row a number of workers.

    ``busy`` and ``busy_without``: utilisation with all and with one away; the longest wait in s of a
    fluid and simulated, with four standard errors; ``late``: jobs a death that took longer than
    ``late_s``; ``a_month``.
    """
    rows, end_s = {}, DIES_AT_S + 4 * down_s
    for count in workers:
        design = dying(load_per_s, count, down_s=down_s)
        runs = [
            simulate(design, horizon_s=end_s, seed=seed, replication=k).jobs
            for k in range(replications)
        ]
        mean_s, error_s = mean_and_four_errors([float(jobs["wait_s"].max()) for jobs in runs])
        rows[count] = {
            "busy": load_per_s * SERVICE_S / count,
            "busy_without": load_per_s * SERVICE_S / (count - 1),
            "fluid": longest_wait_s(load_per_s, count, down_s=down_s),
            "simulated": mean_s,
            "4 errors": error_s,
            "late": np.mean([(jobs["sojourn_s"] > late_s).sum() for jobs in runs]),
            "a_month": worker * count,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("workers")


# --- a second copy ---

POOL, SCV = 10, 8.0
LAW = HyperExponential(mean_s=SERVICE_S, scv=SCV)
HEDGE_S = 0.131
"""What 95% of the attempts take at most."""

WAYS: Mapping[str, Hedge | None] = {
    "one copy": None,
    "a second after p95": Hedge(after_s=HEDGE_S, cancels=False),
    "the same, loser cancelled": Hedge(after_s=HEDGE_S),
    "two at once": Hedge(after_s=0.0, cancels=False),
}
Slow = Literal["attempt", "job"]


def hedged(way: str, *, utilisation: float, slow: Slow = "attempt") -> Design:
    """Return a pool of ten, busy by first copies alone to ``utilisation``, whose callers may send a second.

    ``slow``: one attempt in seventeen is slow by chance, so that a second copy is not; or the job
    itself is, and so is its copy.
    """
    rate_per_s = utilisation * POOL / SERVICE_S
    kinds = []
    if slow == "job":
        kinds = [
            JobClass(name=name, share=share, service={"work": Exponential(mean_s=mean_s)})
            for name, (share, mean_s) in zip(("quick", "slow"), LAW.branches, strict=True)
        ]
    work = Stage(name="work", service=LAW, workers=POOL)
    callers = [Caller(hedge=WAYS[way])]
    arrivals = Poisson(rate_per_s=rate_per_s)
    return Design(arrivals=arrivals, stages=[work], classes=kinds, callers=callers)


def hedged_p99_s(way: str, *, slow: Slow = "attempt") -> float:
    """Return the p99 of the time to the first answer where nobody waits for a worker, by formula."""
    hedge = WAYS[way]
    slow_s = LAW.branches[1][1]
    kinds = [(1.0, _tail)] if slow == "attempt" else [(s, _exponential(m)) for s, m in LAW.branches]

    def tail(t_s: float) -> float:
        if hedge is None:
            return sum(share * alone(t_s) for share, alone in kinds)
        return sum(
            share * theory.Hedged(alone=alone, delay_s=hedge.after_s).tail(t_s)
            for share, alone in kinds
        )

    return quantile(tail, 0.99, slow_s)


def _exponential(mean_s: float) -> Callable[[float], float]:
    return lambda t_s: math.exp(-t_s / mean_s)


def _tail(t_s: float) -> float:
    """Return P(an attempt takes longer)."""
    return sum(share * math.exp(-t_s / mean_s) for share, mean_s in LAW.branches)


def hedges(
    utilisation: float, *, worker: float = WORKER, jobs: int = 20_000, replications: int = 5, seed: int = 0
) -> pd.DataFrame:  # fmt: skip
    """Return what a second copy does at a utilisation, a row a way.

    The p99 in ms: ``alone`` by formula, where nobody waits; ``by attempt`` and ``by job`` simulated,
    for the two reasons to be slow.  ``copies`` sent for each job beyond the first, ``busy`` in truth
    and ``extra_a_month``, what the workers would cost that keep the pool as busy as before: of the
    first reason.
    """
    rows = {}
    for way in WAYS:
        by_attempt, by_job = (
            [
                simulate(
                    hedged(way, utilisation=utilisation, slow=slow),
                    jobs=jobs, seed=seed, replication=k,
                )
                for k in range(replications)
            ]
            for slow in ("attempt", "job")
        )  # fmt: skip
        use = float(np.mean([run.summary()["utilisation"] for run in by_attempt]))
        rows[way] = {
            "alone": 1000 * hedged_p99_s(way),
            "by attempt": _p99_ms(by_attempt),
            "by job": _p99_ms(by_job),
            "copies": np.mean([run.records.job.size / jobs - 1 for run in by_attempt]),
            "busy": use,
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("way")
    extra = table["busy"] / table.loc["one copy", "busy"] - 1
    return table.assign(extra_a_month=worker * POOL * extra)


def _p99_ms(runs: Sequence[Run]) -> float:
    return float(np.mean([np.percentile(run.done_ms(), 99) for run in runs]))


def melting(
    utilisations: Sequence[float], *, jobs: int = 10_000, replications: int = 3, seed: int = 0
) -> Picture:
    """Return the picture of the p99 over how busy the pool is by first copies alone, a curve a way."""
    curves: dict[str, tuple[Array, Array]] = {}
    for way in WAYS:
        p99_ms = [
            _p99_ms(
                [
                    simulate(hedged(way, utilisation=x), jobs=jobs, seed=seed, replication=k)
                    for k in range(replications)
                ]
            )
            for x in utilisations
        ]
        curves[way] = (100 * np.array(utilisations), np.array(p99_ms))

    def draw(axes: Axes) -> str:
        axes.set_title("A second copy helps a calm pool and melts a busy one")
        return plots.lines(
            axes, curves, xlabel="busy with first copies, %", ylabel="99% are done within, ms",
            log_y=True,
        )  # fmt: skip

    caption = (
        f"Simulated: ten workers, mean 50 ms, scv {SCV:g}; a copy is as likely slow as any other. "
        f"Mean of {replications} runs of {jobs:,} jobs from an empty pool: where it melts, longer runs are worse."
    )
    return plots.picture(draw, caption=caption)


# --- a second try ---


def hasty(timeout_s: float, *, workers: int, utilisation: float, max_retries: int = 3) -> Design:
    """Return a pool whose callers give up after ``timeout_s`` and ask again at once; the work goes on."""
    retry = Retry(max_retries=max_retries, backoff=ConstantBackoff(delay_s=0.0))
    work = Stage(name="work", service=Exponential(mean_s=SERVICE_S), workers=workers)
    arrivals = Poisson(rate_per_s=utilisation * workers / SERVICE_S)
    callers = [Caller(timeout=timeout_s, retry=retry)]
    return Design(arrivals=arrivals, stages=[work], callers=callers)


def hasty_attempts(timeout_s: float, *, max_retries: int = 3) -> float:
    """Return the tries a job where nobody waits for a worker: each is too slow with chance exp(-t / mean)."""
    return theory.attempts_per_job(math.exp(-timeout_s / SERVICE_S), max_retries)


def haste(
    timeouts_s: Sequence[float],
    *,
    workers: int = 4,
    utilisation: float = 0.5,
    jobs: int = 5_000,
    replications: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """Return what an early time-out with a retry at once does to a pool, a row a time-out.

    ``planned``: tries a job by formula, if nobody waits; ``tries``: simulated; ``busy``; ``waste``: the
    share of the work that brought nothing; ``done``: the share of jobs.
    """
    rows = {}
    for timeout_s in timeouts_s:
        design = hasty(timeout_s, workers=workers, utilisation=utilisation)
        runs = [simulate(design, jobs=jobs, seed=seed, replication=k) for k in range(replications)]
        figures = pd.DataFrame([run.summary() for run in runs]).mean()
        rows[f"{1000 * timeout_s:g} ms"] = {
            "planned": hasty_attempts(timeout_s),
            "tries": np.mean([run.records.job.size / jobs for run in runs]),
            "busy": figures["utilisation"],
            "waste": figures["waste"],
            "done": figures["done"] / jobs,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("time-out")
