"""Retries beside the load: where each way of trying again falls off the cliff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit import plots
from toolkit.arrivals import Poisson
from toolkit.backoff import ConstantBackoff, FullJitter
from toolkit.design import Caller, Design, GrpcThrottle, Retry, Stage
from toolkit.laws import Array, Exponential
from toolkit.lessons import Prediction
from toolkit.panels.panel import Panel
from toolkit.plots import Picture
from toolkit.simulation import simulate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WORKERS, SERVICE_S, TIMEOUT_S = 4, 0.05, 0.5
_JITTER = FullJitter(base_s=0.1, cap_s=2.0)
POLICIES = {
    "no retries": None,
    "3 at once": Retry(max_retries=3, backoff=ConstantBackoff(delay_s=0.0)),
    "3, full jitter": Retry(max_retries=3, backoff=_JITTER),
    "3, jitter and a budget": Retry(
        max_retries=3, backoff=_JITTER, budget=GrpcThrottle(max_tokens=10.0, token_ratio=0.2)
    ),
}
"""Ways to try again, the simplest first; a success earns a fifth of a token for the budget."""

KNOBS = {"no retries": 0, "3 at once": 1, "3, full jitter": 3, "3, jitter and a budget": 5}
"""Numbers that somebody has to choose and defend."""


def service(policy: str, *, load_per_s: float, failure: float = 0.1) -> Design:
    """Return a pool of four workers (80 jobs/s at most) whose callers wait half a second."""
    caller = Caller(timeout=TIMEOUT_S, retry=POLICIES[policy])
    work = Stage(
        name="work", service=Exponential(mean_s=SERVICE_S), workers=WORKERS, failure=failure
    )
    return Design(arrivals=Poisson(rate_per_s=load_per_s), stages=[work], callers=[caller])


def cliff(
    *,
    loads_per_s: Sequence[float] | Array,
    failure: float,
    jobs: int = 1_500,
    replications: int = 1,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the share of jobs done in time, a row a load, a column a policy: the mean of the runs."""

    def share(policy: str, load_per_s: float) -> float:
        design = service(policy, load_per_s=load_per_s, failure=failure)
        runs = [simulate(design, jobs=jobs, seed=seed, replication=k) for k in range(replications)]
        return float(np.mean([(run.jobs["outcome"] == "done").mean() for run in runs]))

    shares = {policy: [share(policy, load) for load in loads_per_s] for policy in POLICIES}
    return pd.DataFrame(shares, index=pd.Index(loads_per_s, name="load_per_s"))


def retries(*, jobs: int = 1_000, seed: int = 0) -> Panel:
    """Return a panel: goodput over load for every policy, at a chosen share of failing attempts."""
    from ipywidgets import FloatSlider, Layout  # noqa: PLC0415, widgets only in a notebook

    loads = np.array([30.0, 45.0, 55.0, 62.0, 68.0, 74.0, 80.0])

    def draw(axes: Axes, *, failure: float) -> str:
        table = cliff(loads_per_s=loads, failure=failure, jobs=jobs, seed=seed)
        curves = {name: (loads, loads * table[name].to_numpy()) for name in table}
        axes.set_title(f"Goodput when {failure:.0%} of all attempts fail")
        return plots.lines(axes, curves, xlabel="offered load, jobs/s", ylabel="goodput, jobs/s")

    look = {"style": {"description_width": "140px"}, "layout": Layout(width="480px")}
    slider = FloatSlider(
        0.1, min=0.0, max=0.4, step=0.1, description="Failing attempts", readout_format=".0%",
        continuous_update=False, **look,
    )  # fmt: skip
    caption = (
        f"Simulated: {jobs:,} jobs a point, one seed; four workers, exponential service of 50 ms; "
        "callers give up after 0.5 s and their work goes on; goodput: jobs done in time."
    )
    return Panel(draw, {"failure": slider}, caption=caption)


def contended(
    table: pd.DataFrame,
    figure: str,
    *,
    ylabel: str,
    log_y: bool = False,
    guess: Prediction | None = None,
) -> Picture:
    """Return the picture of a study of contention: ``figure`` over the number of clients."""
    guessed = None if guess is None or guess.value is None else ("your guess", guess.value)
    wide = table.reset_index().pivot_table(index="clients", columns="strategy", values=figure)
    curves: dict[str, tuple[Array, Array]] = {
        str(name): (wide.index.to_numpy(dtype=float), wide[name].to_numpy())
        for name in table.index.unique("strategy")
    }

    def draw(axes: Axes) -> str:
        axes.set_title("N clients at one row: each must change it once")
        return plots.lines(
            axes,
            curves,
            xlabel="clients that start together",
            ylabel=ylabel,
            log_y=log_y,
            level=guessed,
        )

    caption = "Simulated: |Normal(10 ms, 2 ms)| a hop; base 5 ms, cap 2 s; means of the runs."
    return plots.picture(draw, caption=caption)
