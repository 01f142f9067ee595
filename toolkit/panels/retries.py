"""Retries beside the load: where each way of trying again falls off the cliff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit import plots, theory
from toolkit.arrivals import Poisson
from toolkit.backoff import Backoff, ConstantBackoff, FullJitter
from toolkit.design import Caller, Design, GrpcThrottle, Retry, Stage
from toolkit.laws import Array, Exponential
from toolkit.lessons import Prediction
from toolkit.panels.controls import look
from toolkit.panels.panel import Panel
from toolkit.plots import Picture
from toolkit.simulation import contention, simulate

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.axes import Axes

WORKERS, SERVICE_S, TIMEOUT_S = 4, 0.05, 0.5
_JITTER = FullJitter(base_s=0.1, cap_s=2.0)


def policies(max_retries: int = 3) -> dict[str, Retry | None]:
    """Return ways to try again, the simplest first; for the budget, a success earns a fifth of a token."""
    budget = GrpcThrottle(max_tokens=10.0, token_ratio=0.2)
    n = max_retries
    return {
        "no retries": None,
        f"{n} at once": Retry(max_retries=n, backoff=ConstantBackoff(delay_s=0.0)),
        f"{n}, full jitter": Retry(max_retries=n, backoff=_JITTER),
        f"{n}, jitter and a budget": Retry(max_retries=n, backoff=_JITTER, budget=budget),
    }


POLICIES = policies()
KNOBS = dict(zip(POLICIES, (0, 1, 3, 5), strict=True))
"""Numbers that somebody has to choose and defend."""

FIGURES = {
    "goodput, jobs/s": "goodput_per_s",
    "attempts for each job": "attempts",
    "utilisation, share": "utilisation",
    "workers' time for nothing, share": "waste",
}
"""What the panel can show, and the column of ``spell`` that has it."""

_POOL = (
    "four workers, exponential service of 50 ms; "
    "callers give up after 0.5 s and their work goes on; goodput: jobs done in time."
)


def service(
    policy: str, *, load_per_s: float, failure: float = 0.1, max_retries: int = 3
) -> Design:
    """Return a pool of four workers (80 jobs/s at most) whose callers wait half a second."""
    caller = Caller(timeout=TIMEOUT_S, retry=policies(max_retries)[policy])
    work = Stage(
        name="work", service=Exponential(mean_s=SERVICE_S), workers=WORKERS, failure=failure
    )
    return Design(arrivals=Poisson(rate_per_s=load_per_s), stages=[work], callers=[caller])


def spell(
    *,
    loads_per_s: Sequence[float] | Array,
    failure: float = 0.1,
    max_retries: int = 3,
    jobs: int = 1_500,
    seed: int = 0,
    replications: Sequence[int] = (0,),
) -> pd.DataFrame:
    """Return what becomes of ``jobs`` jobs: a row a load, a policy and a run.

    ``done``: share in time; ``goodput_per_s``: the same of the load; ``attempts``: for each job;
    ``utilisation`` and ``waste`` as in ``Run.summary``.
    """
    rows = []
    for load in loads_per_s:
        for policy in policies(max_retries):
            design = service(policy, load_per_s=load, failure=failure, max_retries=max_retries)
            for k in replications:
                run = simulate(design, jobs=jobs, seed=seed, replication=k)
                figures, made = run.summary(), run.records.job.size
                done = float(figures["done"] / jobs)
                busy = [float(figures[name]) for name in ("utilisation", "waste")]
                rows.append((load, policy, k, done, load * done, made / jobs, *busy))
    index = ["load_per_s", "policy", "run"]
    columns = [*index, "done", "goodput_per_s", "attempts", "utilisation", "waste"]
    return pd.DataFrame(rows, columns=columns).set_index(index)


def cliff(
    *,
    loads_per_s: Sequence[float] | Array,
    failure: float,
    jobs: int = 1_500,
    replications: int = 1,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the share of jobs done in time, a row a load, a column a policy: the mean of the runs."""
    table = spell(
        loads_per_s=loads_per_s, failure=failure, jobs=jobs,
        replications=range(replications), seed=seed,
    )  # fmt: skip
    return _wide(table, "done")


def _wide(table: pd.DataFrame, figure: str, *, of_runs: str = "mean") -> pd.DataFrame:
    """Return a figure of ``spell``, a row a load, a column a policy."""
    rows = table[figure].reset_index()
    return rows.pivot_table(
        index="load_per_s", columns="policy", values=figure, aggfunc=of_runs, sort=False
    )


def bill(
    table: pd.DataFrame, *, lost: float = 1.0, attempt: float = 0.05, knob: float = 10.0
) -> pd.DataFrame:
    """Return what a thousand jobs of each row of ``spell`` cost, the mean of its runs.

    ``lost``: a job that is not done in time; ``attempt``: the work of one; ``knob``: owning one.
    """
    jobs = 1000 * (lost * (1 - _wide(table, "done")) + attempt * _wide(table, "attempts"))
    return (jobs + knob * pd.Series(KNOBS)).T


def retries(*, jobs: int = 600, seed: int = 0) -> Panel:
    """Return a panel: a figure over load for every policy, at a share of failing attempts."""
    loads = np.array([30.0, 50.0, 60.0, 68.0, 74.0, 80.0])

    @cache
    def played(failure: float, max_retries: int, run: int) -> pd.DataFrame:
        return spell(
            loads_per_s=loads, failure=failure, max_retries=max_retries,
            jobs=jobs, seed=seed, replications=[run],
        )  # fmt: skip

    def draw(axes: Axes, *, failure: float, max_retries: int, run: int, figure: str) -> str:
        wide = _wide(played(failure, max_retries, run), FIGURES[figure])
        curves = {name: (loads, wide[name].to_numpy()) for name in policies(max_retries)}
        axes.set_title(f"{failure:.0%} of all attempts fail, run {run}")
        full = {_full_name(failure, max_retries): ("x", _full_per_s(failure, max_retries))}
        return plots.lines(axes, curves, xlabel="offered load, jobs/s", ylabel=figure, marks=full)

    caption = f"Simulated: the first {jobs:,} jobs, from an empty pool; {_POOL}"
    return Panel(draw, _controls(), caption=caption)


def _full_per_s(failure: float, max_retries: int) -> float:
    """Return the load at which all attempts together fill the pool, if nobody ever waits too long."""
    return WORKERS / SERVICE_S / theory.attempts_per_job(failure, max_retries)


def _full_name(failure: float, max_retries: int) -> str:
    return f"full with retries, {_full_per_s(failure, max_retries):.0f}/s"


def _controls() -> dict[str, ipywidgets.Widget]:
    from ipywidgets import Dropdown, FloatSlider, IntSlider  # noqa: PLC0415

    failing = look("Failing attempts", readout_format=".0%")
    return {
        "failure": FloatSlider(0.1, min=0.0, max=0.4, step=0.1, **failing),
        "max_retries": IntSlider(3, 1, 5, **look("Retries at most")),
        "run": IntSlider(1, 1, 8, **look("Run")),
        "figure": Dropdown(options=list(FIGURES), **look("Show")),
    }


def fallen(table: pd.DataFrame, *, failure: float = 0.1) -> Picture:
    """Return the picture of ``spell``'s goodput over load: the mean of its runs, and the range of two."""
    mean, low, high = (
        _wide(table, "goodput_per_s", of_runs=name) for name in ("mean", "min", "max")
    )
    loads = mean.index.to_numpy(dtype=float)
    curves = {name: (loads, mean[name].to_numpy()) for name in POLICIES}
    banded = ["no retries", "3, full jitter"]
    bands = {name: (low[name].to_numpy(), high[name].to_numpy()) for name in banded}

    def draw(axes: Axes) -> str:
        axes.set_title(f"{failure:.0%} of all attempts fail: retries help, until they do not")
        full = {_full_name(failure, 3): ("x", _full_per_s(failure, 3))}
        return plots.lines(
            axes, curves, xlabel="offered load, jobs/s", ylabel="goodput, jobs/s",
            bands=bands, marks=full,
        )  # fmt: skip

    runs = table.index.unique("run").size
    counts = f"mean of {runs} runs; bands: worst to best run of '{banded[0]}' and of '{banded[1]}'"
    return plots.picture(draw, caption=f"Simulated: {counts}; {_POOL}")


def contended(
    table: pd.DataFrame,
    figure: str,
    *,
    ylabel: str,
    log_y: bool = False,
    guess: Prediction | None = None,
) -> Picture:
    """Return the picture of a study of contention: ``figure`` over the number of clients."""
    wide = table.reset_index().pivot_table(index="clients", columns="strategy", values=figure)
    curves: dict[str, tuple[Array, Array]] = {
        str(name): (wide.index.to_numpy(dtype=float), wide[name].to_numpy())
        for name in table.index.unique("strategy")
    }

    def draw(axes: Axes) -> str:
        axes.set_title("N clients at one row: each must change it once")
        return plots.lines(
            axes, curves, xlabel="clients that start together", ylabel=ylabel, log_y=log_y,
            guess_y=guess.value if guess else None,
        )  # fmt: skip

    caption = "Simulated: |Normal(10 ms, 2 ms)| a hop; base 5 ms, cap 2 s; means of the runs."
    return plots.picture(draw, caption=caption)


def collisions(
    strategies: Mapping[str, Backoff], *, clients: int = 100, until_s: float = 8.0, seed: int = 1
) -> Picture:
    """Return the picture of when the writes come: how many in each tenth of a second."""
    edges_s = np.linspace(0.0, until_s, round(10 * until_s) + 1)
    curves: dict[str, tuple[Array, Array]] = {}
    for name, backoff in strategies.items():
        times_s = contention(clients=clients, backoff=backoff, seed=seed).write_times_s
        curves[name] = (edges_s[:-1], np.histogram(times_s, edges_s)[0].astype(float))

    def draw(axes: Axes) -> str:
        axes.set_title(f"When {clients} clients write")
        said = plots.lines(axes, curves, xlabel="time, s", ylabel="writes in each 0.1 s")
        late = [f"{name}: at most {y[20:].max():.0f} after 2 s" for name, (_, y) in curves.items()]
        return " ".join([said, "; ".join(late) + "."])

    caption = f"Simulated: one run, its first {until_s:g} s; base 5 ms, cap 2 s."
    return plots.picture(draw, caption=caption)
