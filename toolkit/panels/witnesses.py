"""Recorded experiments with background jobs and their twins, figure by figure in tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from toolkit.arrivals import Trace
from toolkit.design import Design
from toolkit.laws import Array, Deterministic
from toolkit.recordings import Recording, recorded, replay
from toolkit.simulation import Run, simulate
from toolkit.systems import sqs

LOADS = {
    product: {f"{load}%": f"{name}-load-{load}" for load in (50, 70, 85)}
    for product, name in (
        ("Celery on Redis", "celery-redis"),
        ("Celery on RabbitMQ", "celery-rabbitmq"),
        ("Sidekiq", "sidekiq"),
    )
}
"""Recordings of random jobs on four slots, by product and how busy the slots were, roughly."""

KILLS = {
    "Celery, Redis, early ack": "celery-redis-kill-early",
    "Celery, Redis, late ack": "celery-redis-kill-late",
    "Celery, RabbitMQ, early ack": "celery-rabbitmq-kill-early",
    "Celery, RabbitMQ, late ack": "celery-rabbitmq-kill-late",
    "Celery, RabbitMQ, late ack, idle survivor": "celery-rabbitmq-kill-late-idle",
    "Celery, Redis, late ack, only the child killed": "celery-redis-child-kill-late",
    "Sidekiq": "sidekiq-kill",
}
"""Experiments in which a worker is killed while it runs a job."""


def simulated(name: str) -> pd.DataFrame:
    """Return the executions of a recording's twin, on the recording's clock."""
    rows = replay(name).attempts
    rows = rows[rows["worker"] >= 0].copy()
    rows[["started_s", "ended_s"]] -= recorded(name).facts.get("idle_s", 0.0)
    return rows


def kills() -> pd.DataFrame:
    """Return how many jobs a kill lost, and after how many seconds the first of the killed ran again."""
    figures = {"jobs lost": _lost, "again after, s": again_s}
    cells = {
        case: {
            (figure, witness): figures[figure](rows)
            for figure in figures
            for witness, rows in _both(name).items()
        }
        for case, name in KILLS.items()
    }
    table = pd.DataFrame(list(cells.values()), index=pd.Index(cells, name="who is killed"))
    table.columns = pd.MultiIndex.from_tuples(table.columns)
    table = table.round(2).astype(object)
    return table.where(table.notna(), "never")


@cache
def waits_ms(name: str) -> tuple[Array, Array]:
    """Return the waits of a recording, measured and simulated with the lengths that work had, in ms."""
    run = replay(name, slept=True)
    return 1000 * recorded(name).waits_s(), 1000 * run.jobs["wait_s"].to_numpy()


def waits() -> pd.DataFrame:
    """Return percentiles of the wait in ms at three loads, measured and simulated, a row a recording."""
    rows = {}
    for product, loads in LOADS.items():
        for load, name in loads.items():
            witnesses = zip(("measured", "simulated"), waits_ms(name), strict=True)
            rows[product, load] = {
                (f"p{level}", witness): np.percentile(waits, level)
                for witness, waits in witnesses
                for level in (50, 90, 99)
            }
    table = pd.DataFrame(rows).T.rename_axis(["product", "busy"])
    return table.sort_index(axis=1).round(1)


def surprises() -> pd.DataFrame:
    """Return what surprises people, a figure a row, measured and simulated."""
    rows = [
        (what, *(figure(rows) for rows in _both(name).values()))
        for what, name, figure in _SURPRISES
    ]
    rows += [
        (what, figure(recorded(name).executions), simulated_figure(recorded(name)))
        for what, name, figure, simulated_figure in _ON_SQS
    ]
    return pd.DataFrame(rows, columns=["what", "measured", "simulated"]).set_index("what").round(1)


def _both(name: str) -> Mapping[str, pd.DataFrame]:
    return {"measured": recorded(name).executions, "simulated": simulated(name)}


def _lost(rows: pd.DataFrame) -> int:
    return int((rows["outcome"] != "crashed").groupby(rows["job"]).sum().eq(0).sum())


def again_s(rows: pd.DataFrame) -> float:
    """Return how long after the kill the first killed job ran again, in s (nan: never)."""
    killed = rows[rows["outcome"] == "crashed"].sort_values("started_s").iloc[0]
    again = rows[(rows["job"] == killed["job"]) & (rows["started_s"] > killed["started_s"])]
    return float(again["started_s"].min() - killed["ended_s"])


def _most_runs(rows: pd.DataFrame) -> float:
    return float(rows.groupby("job").size().max())


def _most_by_one(rows: pd.DataFrame) -> float:
    return float(rows["worker"].value_counts().max())


def _at_once(rows: pd.DataFrame) -> float:
    return float((rows["started_s"] < 0.1).sum())


def _largest_lump(rows: pd.DataFrame) -> float:
    """Return the most jobs that started within 20 ms of one another."""
    starts_s = np.sort(rows["started_s"])
    return float(np.max(np.searchsorted(starts_s, starts_s + 0.02) - np.arange(starts_s.size)))


def _twice(rows: pd.DataFrame) -> float:
    return float((rows.groupby("job").size() > 1).sum())


Figure = Callable[[pd.DataFrame], float]
_SURPRISES: list[tuple[str, str, Figure]] = [
    (
        "Celery: runs of a job due in 12 s, time-out 3 s",
        "celery-redis-eta-duplicates-late",
        _most_runs,
    ),
    (
        "Celery: of 200 jobs for later, held by one worker",
        "celery-redis-eta-hoarding",
        _most_by_one,
    ),
    (
        "Celery: starts at once, limit 2/s, kombu 5.6.2",
        "celery-redis-rate-limit-kombu562",
        _at_once,
    ),
    ("the same, kombu 5.7.0", "celery-redis-rate-limit", _at_once),
    ("the same, kombu 5.7.0, two workers", "celery-redis-rate-limit-two-workers", _at_once),
    ("Sidekiq: most jobs started by one poll", "sidekiq-scheduled", _largest_lump),
]


def _on_sqs(jobs: int, service_s: float, failure: float = 0.0, **settings: Any) -> Run:
    """Run jobs sent at once to consumers that look every 50 ms, as those in the recordings do."""
    stage = sqs(
        service=Deterministic(value_s=service_s), failure=failure, poll_every_s=0.05, **settings
    )
    design = Design(arrivals=Trace(times_s=np.zeros(jobs)), stages=[stage])
    return simulate(design, horizon_s=60.0)


def _worked(run: Run) -> pd.DataFrame:
    return run.attempts[run.attempts["worker"] >= 0]


def _blocked_s(rows: pd.DataFrame) -> float:
    """Return how long the second message of the group with the failing one waited."""
    return float(rows.loc[(rows["group"] == "blocked") & (rows["job"] == 1), "started_s"].min())


def _copies_on_sqs(_: Recording) -> float:
    return _most_runs(
        _worked(_on_sqs(1, 5.0, visibility_timeout_s=2.0, consumers=4, max_receive_count=3))
    )


def _batch_on_sqs(_: Recording) -> float:
    return _twice(
        _worked(_on_sqs(10, 0.4, consumers=2, batch=10, refill_at=0, visibility_timeout_s=2.0))
    )


def _group_on_sqs(recording: Recording) -> float:
    most = recording.facts["max_receive_count"]
    run = _on_sqs(1, 0.1, failure=1.0, visibility_timeout_s=1.0, max_receive_count=most, fifo=True, message_groups=1)  # fmt: skip
    return float(run.jobs["finished_s"][0])


_ON_SQS: list[tuple[str, str, Figure, Callable[[Recording], float]]] = [
    ("SQS: runs of a job of 5 s, time-out 2 s", "sqs-visibility", _most_runs, _copies_on_sqs),
    ("SQS: of a batch of ten, run twice", "sqs-batch", _twice, _batch_on_sqs),
    (
        "SQS FIFO: a failing job holds its group, s",
        "sqs-fifo-group",
        _blocked_s,
        _group_on_sqs,
    ),
]
