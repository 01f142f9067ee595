"""One workload on every product, and what each way to acknowledge costs when a worker dies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from toolkit.arrivals import Poisson, Trace
from toolkit.design import Crash, Design, Stage
from toolkit.laws import Deterministic, Empirical, Exponential, Law
from toolkit.recordings import Replayed
from toolkit.simulation import Run, simulate
from toolkit.systems import (
    azure_service_bus,
    azure_storage_queue,
    celery,
    cloud_tasks,
    hangfire,
    sidekiq,
    sqs,
)

# draws go by the name of a stage: with one name the same attempts fail on every product
_NAME = "work"
_CELERY: dict[str, Any] = {"version": "5.7", "name": _NAME}
_TWO: dict[str, Any] = {"instances": 2, "concurrency": 1, **_CELERY}
# what Cloud Tasks' documentation leaves open; these values are those that users report
_CLOUD_TASKS: dict[str, Any] = {
    "max_dispatches_per_s": 500,
    "max_burst_size": 100,
    "max_concurrent_dispatches": 2,
    "max_attempts": 100,
    "min_backoff_s": 0.1,
    "max_backoff_s": 3600,
    "max_doublings": 16,
}
Product = Callable[..., Stage]
PRODUCTS: dict[str, Product] = {
    "Celery, Redis": partial(celery, broker="redis", **_TWO),
    "Celery, Redis, acks_late": partial(celery, broker="redis", acks_late=True, **_TWO),
    "Celery, RabbitMQ": partial(celery, broker="rabbitmq", **_TWO),
    "Celery, RabbitMQ, acks_late": partial(celery, broker="rabbitmq", acks_late=True, **_TWO),
    "Sidekiq 6.4": partial(sidekiq, version="6.4.1", processes=2, concurrency=1, name=_NAME),
    "Hangfire 1.8, SQL": partial(
        hangfire, version="1.8", storage="sql", servers=2, workers=1, name=_NAME
    ),
    "Amazon SQS": partial(sqs, consumers=2, wait_time_s=20, name=_NAME),
    "Google Cloud Tasks": partial(cloud_tasks, instances=2, name=_NAME, **_CLOUD_TASKS),
    "Azure Storage Queue": partial(azure_storage_queue, poll_every_s=1.0, consumers=2, name=_NAME),
    "Azure Service Bus": partial(azure_service_bus, processors=2, name=_NAME),
}
"""Each product with two workers and its defaults."""

_FOUR: dict[str, Any] = {"instances": 4, "concurrency": 1, **_CELERY}
_LATE: dict[str, Any] = {"acks_late": True, **_FOUR}
_SWEPT: dict[str, Any] = {
    "visibility_timeout_s": 120,
    "unacked_restore_interval_s": 5,
    "unacked_restore_throttle": 1,
}
CHOICES: dict[str, tuple[Product, int]] = {
    "early, prefetch 4 (Celery)": (partial(celery, broker="redis", **_FOUR), 0),
    "early, no prefetch (Sidekiq)": (
        partial(sidekiq, version="6.4.1", processes=4, concurrency=1, name=_NAME),
        0,
    ),
    "late, prefetch 4, Redis": (partial(celery, broker="redis", **_LATE), 1),
    "late, prefetch 1, Redis": (
        partial(celery, broker="redis", prefetch_multiplier=1, **_LATE),
        2,
    ),
    "late, prefetch 1, Redis, tuned": (
        partial(celery, broker="redis", prefetch_multiplier=1, **_LATE, **_SWEPT),
        5,
    ),
    "late, prefetch 1, RabbitMQ": (
        partial(celery, broker="rabbitmq", prefetch_multiplier=1, **_LATE),
        2,
    ),
    "late, lease of 30 s (SQS)": (partial(sqs, consumers=4, wait_time_s=20, name=_NAME), 1),
    "late, lease of 120 s (SQS)": (
        partial(sqs, consumers=4, wait_time_s=20, visibility_timeout_s=120, name=_NAME),
        2,
    ),
}
"""Ways to deliver, each with the number of settings that differ from the product's defaults."""

EXPONENTIAL = Exponential(mean_s=1.0)
MIXED = Empirical(samples_s=np.array([0.5] * 39 + [40.0]))
"""Short jobs, and one of 40 s in forty."""

_JOBS, _AT_S, _AWAY_S, _END_S = 300, 100.0, 5.0, 4_000.0


_DIGITS = {"mean, s": 2, "runs a job": 3, "mean wait, s": 2}


def one_crash(product: str, *, jobs: int = 10, at_s: float = 3.0, **settings: Any) -> Run:
    """Run ``jobs`` jobs of 2 s, one a second, on two workers; worker 0 dies at ``at_s`` and stays away.

    No ``at_s``, no death; ``settings`` go to the product.
    """
    crashes = [Crash(at_s=at_s)] if at_s else []
    stage = PRODUCTS[product](service=Deterministic(value_s=2.0), crashes=crashes, **settings)
    arrivals = Trace(times_s=np.arange(jobs, dtype=float))
    return simulate(Design(arrivals=arrivals, stages=[stage]), horizon_s=_END_S)


def trial(
    product: Product,
    *,
    rate_per_s: float,
    service: Law,
    failure: float = 0.0,
    crash: bool = True,
    runs: int = 5,
) -> list[Run]:
    """Run 300 Poisson jobs a few times; with ``crash`` worker 0 dies at 100 s and is back 5 s later.

    A job that runs again takes as long again.  A run that has not ended by itself ends after 4,000 s.
    """
    crashes = [Crash(at_s=_AT_S, restart_after_s=_AWAY_S)] if crash else []
    done = []
    for seed in range(runs):
        # the simulator draws a length an attempt; here it is the job that is long or short
        lengths = Replayed(service.draw_s(np.random.default_rng(seed), _JOBS))
        stage = product(service=lengths, failure=failure, crashes=crashes)
        design = Design(arrivals=Poisson(rate_per_s=rate_per_s), stages=[stage])
        done.append(simulate(design, jobs=_JOBS, seed=seed, horizon_s=_END_S))
    return done


def defaults(*, failure: float = 0.0, crash: bool = True) -> pd.DataFrame:
    """Return a row a product: five runs of 300 jobs of about 1 s, 1.4 a second, on two workers."""
    rows = {}
    for name, product in PRODUCTS.items():
        runs = trial(product, rate_per_s=1.4, service=EXPONENTIAL, failure=failure, crash=crash)
        jobs, work = _together(runs)
        busy_s = work["ended_s"] - work["started_s"]
        sojourn_s = jobs.loc[jobs["outcome"] == "done", "sojourn_s"]
        rows[name] = {
            "mean, s": sojourn_s.mean(),
            "p99, s": sojourn_s.quantile(0.99),
            "runs a job": len(work) / len(jobs),
            "wasted work, %": 100 * busy_s[work["outcome"] != "ok"].sum() / busy_s.sum(),
            **_fates(jobs),
            **({"last one done after, s": max(map(recovery_s, runs))} if crash else {}),
        }
    return _table(rows, "product")


def choices() -> pd.DataFrame:
    """Return a row a way to deliver: a quiet day, then five crashes, under jobs of mixed length.

    Four workers, 1.6 jobs a second; one in forty takes 40 s, the others half a second.
    """
    rows = {}
    for name, (product, knobs) in CHOICES.items():
        quiet = trial(product, rate_per_s=1.6, service=MIXED, crash=False)
        crashed = trial(product, rate_per_s=1.6, service=MIXED)
        waits_s = pd.concat([run.jobs["wait_s"] for run in quiet])
        jobs, work = _together(crashed)
        rows[name] = {
            "mean wait, s": waits_s.mean(),
            "idle while jobs wait, %": float(np.mean([100 * stranded(run) for run in quiet])),
            "lost": (jobs["outcome"] == "lost").sum(),
            "run again": len(work) - work.groupby(["run", "job"]).ngroups,
            "slowest job, s": jobs["sojourn_s"].max(),
            "knobs": knobs,
        }
    return _table(rows, "choice")


def priced(
    table: pd.DataFrame,
    *,
    within_s: float,
    lost: float,
    again: float,
    knob: float,
    wait: float,
) -> pd.DataFrame:
    """Return ``choices()`` with a ``cost`` by these prices, the cheapest first.

    ``lost`` and ``again`` are a job, ``knob`` a setting, ``wait`` a second of mean wait.
    ``meets the goal``: in spite of the crashes no job was done later than ``within_s`` after its sending.
    """
    cost = (
        lost * table["lost"]
        + again * table["run again"]
        + knob * table["knobs"]
        + wait * table["mean wait, s"]
    )
    fits = table["slowest job, s"] <= within_s
    priced = table.assign(**{"meets the goal": fits, "cost": cost.round(1)})
    return priced.sort_values(["meets the goal", "cost"], ascending=[False, True])


def recovery_s(run: Run) -> float:
    """Return how long after the crash the last job was done of those that had come before it."""
    before = run.jobs["arrived_s"] < _AT_S
    return float((run.jobs.loc[before, "finished_s"] - _AT_S).max())


def stranded(run: Run) -> float:
    """Return the share of the workers' time in which they were idle and jobs waited elsewhere."""
    work = run.attempts[run.attempts["worker"] >= 0]
    first_s = work.groupby("job")["started_s"].min()
    arrived_s = run.jobs["arrived_s"]
    end_s, workers = float(arrived_s.max()), run.design.stages[0].workers
    times_s = np.arange(0.0, end_s, 0.1)

    def inside(begins_s: pd.Series[float], ends_s: pd.Series[float]) -> np.ndarray[Any, Any]:
        """Count the intervals that are open at each time."""
        begun = np.searchsorted(np.sort(begins_s), times_s, side="right")
        return begun - np.searchsorted(np.sort(ends_s), times_s, side="right")

    idle = workers - inside(work["started_s"], work["ended_s"])
    waiting = inside(arrived_s, first_s)
    return float(np.minimum(idle, waiting).clip(0).mean() / workers)


def _together(runs: list[Run]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the jobs of all runs, and all executions, with the number of their run."""
    jobs = pd.concat([run.jobs for run in runs])
    work = pd.concat([run.attempts.assign(run=k) for k, run in enumerate(runs)])
    return jobs, work[work["worker"] >= 0]


def _fates(jobs: pd.DataFrame) -> dict[str, int]:
    return {
        "run twice": int((jobs["attempts"] > 1).sum()),
        "lost": int((jobs["outcome"] == "lost").sum()),
        "dead": int((jobs["outcome"] == "dead").sum()),
    }


def _table(rows: Mapping[str, Mapping[str, float]], name: str) -> pd.DataFrame:
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(name)
    return table.round({column: _DIGITS.get(column, 1) for column in table})
