"""How far to believe a run: its noise, its warm-up, and what a load test says beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit import plots, theory
from toolkit.arrivals import Poisson
from toolkit.design import Design, Stage
from toolkit.experiments import replicate, student
from toolkit.laws import Array, Law
from toolkit.loadtest import LoadTest
from toolkit.panels.waiting import SERVICE_S, looks, pool
from toolkit.plots import Picture
from toolkit.simulation import simulate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def so_far(busy: float = 0.9, *, jobs: int = 100_000, runs: int = 5, seed: int = 1) -> Picture:
    """Return the picture of what each of several runs says the mean is, after so many jobs."""
    design = pool(busy)
    at = np.geomspace(100, jobs, 60).astype(int)
    exact_ms = 1000 * SERVICE_S / (1 - busy)
    curves: dict[str, tuple[Array, Array]] = {}
    for k in range(runs):
        sojourns_ms = simulate(design, jobs=jobs, seed=seed, replication=k).done_ms()
        means_ms = np.cumsum(sojourns_ms)[at - 1] / at
        curves[f"run {k + 1}"] = (at.astype(float), means_ms)

    def draw(axes: Axes) -> str:
        axes.set_title(f"The same worker, {busy:.0%} busy: what {runs} runs say")
        said = plots.lines(
            axes, curves, xlabel="jobs so far (log)", ylabel="mean sojourn so far, ms", log_x=True,
            level=(f"formula, {exact_ms:,.0f} ms", exact_ms),
        )  # fmt: skip
        return f"{said} The formula says {exact_ms:,.0f} ms."

    caption = (
        "Simulated: one worker, Poisson arrivals, exponential work of 100 ms, from an empty system."
    )
    return plots.picture(draw, caption=caption)


def filled(
    busy: float = 0.9, *, end_s: float = 60.0, runs: int = 400, seed: int = 1
) -> tuple[Array, Array, Array, Array]:
    """Return moments in s after a start with nothing inside, and the mean number of jobs inside then.

    By formula, and simulated with its standard error.
    """
    at_s = np.linspace(0.0, end_s, 25)
    rules = {"arrival_rate_per_s": busy / SERVICE_S, "service_rate_per_s": 1 / SERVICE_S}
    exact = np.array([theory.mm1_jobs_at(t, **rules) for t in at_s])
    jobs = round(2 * rules["arrival_rate_per_s"] * end_s)  # enough to go on past the end
    made = (simulate(pool(busy), jobs=jobs, seed=seed, replication=k) for k in range(runs))
    seen = np.array([looks(run, every_s=at_s[1])[: at_s.size] for run in made])
    return at_s, exact, seen.mean(axis=0), seen.std(axis=0, ddof=1) / np.sqrt(runs)


def filling(busy: float = 0.9, *, end_s: float = 60.0, runs: int = 400, seed: int = 1) -> Picture:
    """Return the picture of the mean number of jobs inside, after a start with none."""
    at_s, exact, middle, error = filled(busy, end_s=end_s, runs=runs, seed=seed)
    curves = {"formula": (at_s, exact), "simulated": (at_s, middle)}
    steady = busy / (1 - busy)

    def draw(axes: Axes) -> str:
        axes.set_title(f"A worker that is {busy:.0%} busy starts with nothing to do")
        said = plots.lines(
            axes, curves, xlabel="time since the start, s", ylabel="jobs inside, mean of the runs",
            bands={"simulated": (middle - 2 * error, middle + 2 * error)},
            level=(f"in the long run, {steady:.1f}", steady),
        )  # fmt: skip
        return f"{said} In the long run {steady:.1f}."

    caption = f"Mean of {runs} runs; band: two standard errors to either side. Poisson arrivals, exponential work of 100 ms."
    return plots.picture(draw, caption=caption)


def load_tests(
    tests: Mapping[int, LoadTest],
    *,
    service: Law,
    workers: int,
    replications: int = 20,
    seed: int = 1,
) -> pd.DataFrame:
    """Return what load tests measured beside what formula and simulator say, a row a test, in ms.

    ``tests``: by their rate per s.  ``simulated p99`` is the mean of runs as long as the test, ``low``
    and ``high`` where one more run would fall in 95 of 100 cases.
    """
    stage = Stage(name="work", service=service, workers=workers)
    rows = {}
    for rate_per_s, test in tests.items():
        elapsed_ms = test.samples["elapsed_ms"].to_numpy(dtype=float)
        about = theory.mgc_estimate(arrival_rate_per_s=rate_per_s, service=service, servers=workers)
        mean_ms, *p99_ms = _simulated(stage, rate_per_s, elapsed_ms.size, replications, seed)
        of_mean = elapsed_ms.mean(), 1000 * about.sojourn_s, mean_ms
        rows[rate_per_s] = [about.utilisation, *of_mean, np.percentile(elapsed_ms, 99), *p99_ms]
    columns = [("", "busy"), *(("mean", name) for name in ("measured", "formula", "simulated"))]
    columns += [("p99", name) for name in ("measured", "simulated", "low", "high")]
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("requests/s")
    table.columns = pd.MultiIndex.from_tuples(columns)
    return table


def _simulated(
    stage: Stage, rate_per_s: float, jobs: int, replications: int, seed: int
) -> tuple[float, ...]:
    """Return the mean sojourn, its p99, and the ends of where one more run's p99 would fall, in ms."""
    design = Design(arrivals=Poisson(rate_per_s=rate_per_s), stages=[stage])
    done = replicate(design, jobs=jobs, replications=replications, seed=seed, progress=False)
    mean_ms, p99_ms = (1000 * done.figures[f"sojourn_{name}_s"] for name in ("mean", "p99"))
    middle, spread = float(p99_ms.mean()), float(p99_ms.std(ddof=1))
    reach = student(0.95, replications) * spread * math.sqrt(1 + 1 / replications)
    return float(mean_ms.mean()), middle, middle - reach, middle + reach
