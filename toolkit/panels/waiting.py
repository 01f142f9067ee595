"""Why a busy system is a slow one: a pool at any load, by formula and by simulation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit import plots, theory
from toolkit.arrivals import Poisson, Renewal
from toolkit.design import Design, Stage
from toolkit.experiments import replicate
from toolkit.laws import Array, Deterministic, Exponential, HyperExponential, Law
from toolkit.lessons import Prediction
from toolkit.panels.affordable import affordable
from toolkit.panels.controls import look
from toolkit.panels.panel import Panel
from toolkit.plots import Picture
from toolkit.simulation import Run, simulate

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.axes import Axes

SERVICE_S = 0.1
VARIABILITY = {"not at all": 0, "as chance has it": 1, "a lot": 4}
"""How much the length of the work varies, and the squared coefficient of variation that says so."""

_BUSY = 1.0 - np.geomspace(0.95, 0.03, 24)  # closer together where the curve bends
_SIMULATED_AT = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9)
_TOP_MS = 2_000.0
_FIGURES = ("mean", "p99")


def work(scv: float, *, mean_s: float = SERVICE_S) -> Law:
    """Return a law with that mean and squared coefficient of variation: 0, or 1 and more."""
    if scv == 0:
        return Deterministic(value_s=mean_s)
    return Exponential(mean_s=mean_s) if scv == 1 else HyperExponential(mean_s=mean_s, scv=scv)


def pool(busy: float, *, workers: int = 1, scv: float = 1) -> Design:
    """Return a pool whose workers are ``busy`` that share of the time: Poisson arrivals, 100 ms a job."""
    stage = Stage(name="work", service=work(scv), workers=workers)
    return Design(arrivals=Poisson(rate_per_s=busy * workers / SERVICE_S), stages=[stage])


@cache
def by_formula(busy: float, *, workers: int = 1, scv: float = 1) -> tuple[float, float]:
    """Return the mean and the p99 sojourn of ``pool`` in s; estimates where both spread and workers > 1."""
    rate_per_s = busy * workers / SERVICE_S
    if scv == 0:
        same = theory.mdc(arrival_rate_per_s=rate_per_s, service_s=SERVICE_S, servers=workers)
        return same.sojourn_s, same.wait_quantile_s(0.99) + SERVICE_S
    if workers == 1 and scv != 1:
        alone = theory.mph1(arrival_rate_per_s=rate_per_s, service=work(scv))
        return alone.sojourn_s, alone.sojourn_quantile_s(0.99)
    many = theory.mgc_estimate(arrival_rate_per_s=rate_per_s, service=work(scv), servers=workers)
    return many.sojourn_s, many.sojourn_quantile_s(0.99)


@cache
def by_simulation(
    busy: float,
    *,
    workers: int = 1,
    scv: float = 1,
    jobs: int = 10_000,
    runs: int = 5,
    seed: int = 1,
) -> Array:
    """Return the mean and the p99 sojourn of ``pool`` in s, a column a run; the first tenth is left out."""
    design = pool(busy, workers=workers, scv=scv)
    seen = [simulate(design, jobs=jobs, seed=seed, replication=k) for k in range(runs)]
    figures = [run.summary(skip_jobs=jobs // 10) for run in seen]
    return np.array([[one[f"sojourn_{name}_s"] for one in figures] for name in _FIGURES])


def knee(*, guess: Prediction | None = None, jobs: int = 10_000, runs: int = 5) -> Panel:
    """Return a panel: mean and p99 sojourn over utilisation, by formula and simulated at some points.

    The learner's ``guess``, in ms, is a line across.
    """

    def draw(axes: Axes, *, load: float, workers: int, scv: int) -> str:
        sent, busy = affordable(jobs), round(load, 2)  # a slider's 0.7 may be 0.7000000000000001
        places = sorted({*_SIMULATED_AT, busy})
        curves = np.array([by_formula(x, workers=workers, scv=scv) for x in _BUSY]).T
        points = [by_simulation(x, workers=workers, scv=scv, jobs=sent, runs=runs) for x in places]
        axes.set_title(title := _title(busy, workers, scv))
        plots.lines(
            axes,
            dict(zip(_FIGURES, [(100 * _BUSY, 1000 * y) for y in curves], strict=True)),
            xlabel="utilisation, % of the workers' time",
            ylabel="arrival to done, ms",
            ranges={
                name: (100 * np.array(places), 1000 * np.array([point[k] for point in points]))
                for k, name in enumerate(_FIGURES)
            },
            marks={f"your load, {busy:.0%}": ("x", 100 * busy)},
            guess_y=guess.value if guess else None,
        )
        axes.set(xlim=(0, 100), ylim=(0, _TOP_MS))
        seen = _ranges(1000 * points[places.index(busy)])
        said = ": ".join(title.splitlines())
        return f"{said}. Simulated, {runs} runs of {sent:,} jobs: {seen}."

    caption = (
        "Poisson arrivals, 100 ms of work a job on average, one queue, first come first served. "
        f"Lines: formula; for several workers whose work varies a lot it is an estimate. Points: mean and range of {runs} runs."
    )
    return Panel(draw, _controls(), caption=caption, guess=guess)


def _title(busy: float, workers: int, scv: int) -> str:
    staff = "1 worker" if workers == 1 else f"{workers} workers"
    varies = next(name for name, value in VARIABILITY.items() if value == scv)
    mean_ms, p99_ms = (1000 * x for x in by_formula(busy, workers=workers, scv=scv))
    by = "estimate" if workers > 1 and scv > 1 else "formula"
    return f"{staff}, {busy:.0%} busy, work varies {varies}\nmean {mean_ms:,.0f} ms, p99 {p99_ms:,.0f} ms by {by}"


def _ranges(values_ms: Array) -> str:
    """Return the lowest and the highest of each row in words."""
    rows = zip(_FIGURES, values_ms, strict=True)
    return ", ".join(f"{name} {row.min():,.0f} to {row.max():,.0f} ms" for name, row in rows)


def _controls() -> dict[str, ipywidgets.Widget]:
    from ipywidgets import FloatSlider, IntSlider, SelectionSlider  # noqa: PLC0415

    busy = look("Load (utilisation)", readout_format=".0%")
    varies = look("Work varies", options=list(VARIABILITY.items()), value=1)
    return {
        "load": FloatSlider(0.5, min=0.1, max=0.95, step=0.05, **busy),
        "workers": IntSlider(1, 1, 12, **look("Workers")),
        "scv": SelectionSlider(**varies),
    }


def first_jobs(busy: float = 0.8, *, end_s: float = 4.0, seed: int = 1) -> Picture:
    """Return the picture of one worker's first seconds: what it does, and how many wait."""
    run = simulate(pool(busy), jobs=round(2 * busy * end_s / SERVICE_S), seed=seed)
    rows = run.attempts[run.attempts["queued_s"] < end_s]
    idle_s = end_s - float((rows["ended_s"].clip(upper=end_s) - rows["started_s"]).sum())
    rows = rows.assign(sent_s=rows["queued_s"], worker="the worker")

    def draw(axes: Axes) -> str:
        title = f"{end_s:g} s of a worker that is {busy:.0%} busy in the long run"
        said = plots.timeline(axes, rows, title=title, end_s=end_s, names="", legend=False)
        return f"{said} The worker is idle for {idle_s:.1f} s of it."

    caption = f"Simulated: one run (seed {seed}), Poisson arrivals, exponential work of 100 ms. A bar is a job in service."
    return plots.picture(draw, caption=caption)


def looks(run: Run, *, every_s: float) -> Array:
    """Return how many jobs are inside at each look, one every ``every_s`` while jobs arrive."""
    arrived_s = run.jobs["arrived_s"].to_numpy()
    finished_s = np.sort(run.jobs["finished_s"].to_numpy())
    at_s = np.arange(0.0, arrived_s[-1], every_s)
    inside = np.searchsorted(arrived_s, at_s, "right") - np.searchsorted(finished_s, at_s, "right")
    return inside.astype(float)


def variability(
    busy: float = 0.8, *, jobs: int = 40_000, replications: int = 10, seed: int = 1
) -> pd.DataFrame:
    """Return the mean wait of one worker in ms by Kingman's formula and simulated, a row a kind of jobs.

    All have the same utilisation.  Columns: ``formula``; ``simulated``, with ``low`` and ``high`` of
    its 95% interval.
    """
    rows = {}
    for name, (gaps, length) in _KINDS.items():
        gap, service = work(gaps, mean_s=SERVICE_S / busy), work(length)
        design = Design(arrivals=Renewal(law=gap), stages=[Stage(name="work", service=service)])
        done = replicate(design, jobs=jobs, replications=replications, seed=seed, progress=False)
        about_s = theory.kingman_estimate_s(interarrival=gap, service=service)
        rows[name] = 1000 * np.array([about_s, *done.summary().loc["wait_mean_s"]])
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["formula", "simulated", "low", "high"]
    )


_KINDS: Mapping[str, tuple[float, float]] = {
    "regular arrivals, all alike": (0, 0),
    "Poisson arrivals, all alike": (1, 0),
    "Poisson arrivals, as chance has it": (1, 1),
    "Poisson arrivals, a few long jobs": (1, 4),
    "bunched arrivals, a few long jobs": (4, 4),
}
"""Squared coefficients of variation of the gaps between arrivals, and of the work."""


def bought(p99: pd.DataFrame, goal_ms: float) -> Picture:
    """Return the picture of p99 over workers, from ``intervals`` of a sweep over ``workers``."""
    workers = p99["workers"].to_numpy(dtype=float)
    mean, low, high = (1000 * p99[name].to_numpy() for name in ("mean", "low", "high"))

    def draw(axes: Axes) -> str:
        axes.set_title("What one more worker buys")
        axes.set_xticks(workers)
        return plots.lines(
            axes, {"p99": (workers, mean)}, xlabel="workers", ylabel="p99, arrival to done, ms",
            bands={"p99": (low, high)}, level=(f"goal, {goal_ms:g} ms", goal_ms),
        )  # fmt: skip

    return plots.picture(draw, caption="Simulated: mean of the runs; band: its 95% interval.")
