"""Background jobs: recorded experiments beside their twins, and one workload on every product."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from toolkit import plots
from toolkit.arrivals import Trace
from toolkit.design import Crash, Design, Stage
from toolkit.laws import Deterministic
from toolkit.panels.panel import Panel
from toolkit.plots import Picture
from toolkit.recordings import recorded, replay
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHORT = Deterministic(value_s=2.0)
_CELERY: dict[str, Any] = {"version": "5.7", "instances": 2, "concurrency": 1}
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
PRODUCTS: dict[str, Callable[..., Stage]] = {
    "Celery, Redis, early ack": partial(celery, broker="redis", **_CELERY),
    "Celery, Redis, late ack": partial(celery, broker="redis", acks_late=True, **_CELERY),
    "Celery, RabbitMQ, late ack": partial(celery, broker="rabbitmq", acks_late=True, **_CELERY),
    "Sidekiq 6.4": partial(sidekiq, version="6.4.1", processes=2, concurrency=1),
    "Hangfire 1.8, SQL": partial(hangfire, version="1.8", storage="sql", servers=2, workers=1),
    "Amazon SQS": partial(sqs, consumers=2, wait_time_s=20),
    "Google Cloud Tasks": partial(cloud_tasks, instances=2, **_CLOUD_TASKS),
    "Azure Storage Queue": partial(azure_storage_queue, poll_every_s=1.0, consumers=2),
    "Azure Service Bus": partial(azure_service_bus, processors=2),
}
"""Each product with two workers and its defaults, work of 2 s a job."""


def one_crash(product: str, *, jobs: int = 10, at_s: float = 3.0) -> Run:
    """Run ``jobs`` jobs, one a second, on two workers; one worker dies at ``at_s`` and stays away."""
    crashes = [Crash(at_s=at_s)] if at_s else []
    stage = PRODUCTS[product](service=SHORT, crashes=crashes)
    times_s = np.arange(jobs, dtype=float)
    return simulate(Design(arrivals=Trace(times_s=times_s), stages=[stage]), horizon_s=8_000.0)


def fates(products: Mapping[str, object] | None = None) -> pd.DataFrame:
    """Return a row a product: what became of ten jobs when one of two workers died."""
    rows = {}
    for product in products or PRODUCTS:
        run = one_crash(product)
        worked = run.attempts[run.attempts["worker"] >= 0]
        hit = worked.loc[worked["outcome"] == "crashed", "job"]
        is_done = run.jobs["outcome"] == "done"
        rows[product] = {
            "done": is_done.sum(),
            "lost": (run.jobs["outcome"] == "lost").sum(),
            "started twice": int((worked.groupby("job").size() > 1).sum()),
            "victim done after_s": run.jobs.loc[hit, "sojourn_s"].where(is_done).max(),
            "all done at_s": run.jobs["finished_s"].max(),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("product").round(1)


def experiment(name: str, *, until_s: float | None = None) -> Picture:
    """Return a recording above its twin: who ran which job when."""
    rows = recorded(name).rows
    measured = rows.assign(outcome=np.where(rows["ended_s"].isna(), "crashed", "ok"))
    simulated = replay(name).attempts
    shift_s = recorded(name).facts.get("idle_s", 0.0)
    simulated = simulated[simulated["worker"] >= 0].copy()
    simulated[["started_s", "ended_s"]] -= shift_s
    end_s = until_s or float(max(measured["ended_s"].max(), simulated["ended_s"].max()))

    def draw(title: str, rows: pd.DataFrame) -> Callable[[Axes], str]:
        shown = rows[rows["started_s"] < end_s]
        return lambda axes: plots.timeline(axes, shown, title=f"{title}: {name}", end_s=end_s)

    caption = "Above: measured on loopback. Below: simulated, the same sends and lengths of work. Workers are numbered by each for itself."
    return plots.picture(
        draw("Measured", measured), below=draw("Simulated", simulated), caption=caption
    )


def waits(*names: str) -> pd.DataFrame:
    """Return wait percentiles in ms, measured and simulated, a row a recording."""
    rows = {}
    for name in names:
        levels = (50, 90, 99)
        measured = np.percentile(recorded(name).waits_s(), levels) * 1000
        simulated = np.percentile(replay(name, slept=True).jobs["wait_s"], levels) * 1000
        for level, real, model in zip(levels, measured, simulated, strict=True):
            rows[name, f"p{level}"] = {"measured_ms": real, "simulated_ms": model}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(table.index, names=["recording", "percentile"])
    return table.round(1)


def crash() -> Panel:
    """Return a panel: ten jobs on two workers of a product, one of which dies at a chosen moment."""
    from ipywidgets import Dropdown, FloatSlider, Layout  # noqa: PLC0415, widgets only in a notebook

    def draw(axes: Axes, *, product: str, at_s: float) -> str:
        run = one_crash(product, at_s=at_s)
        rows = run.attempts[run.attempts["worker"] >= 0]
        lost = int((run.jobs["outcome"] == "lost").sum())
        end_s = float(min(rows["started_s"].max() + 3.0, 8_000.0))
        said = plots.timeline(axes, rows, title=f"Simulated: {product}", end_s=end_s)
        return f"{said} Lost for good: {lost}."

    look = {"style": {"description_width": "140px"}, "layout": Layout(width="480px")}
    controls = {
        "product": Dropdown(options=list(PRODUCTS), description="Product", **look),
        "at_s": FloatSlider(
            3.0, min=0.0, max=9.0, step=0.5, description="Worker 0 dies at, s",
            continuous_update=False, **look,
        ),
    }  # fmt: skip
    caption = "Simulated: a job a second, each of 2 s, two workers with the product's defaults; the dead worker stays away; 0 is no death."
    return Panel(draw, controls, caption=caption)
