"""Slack against its price: a pool with workers that are mostly idle, and what they buy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from toolkit import plots
from toolkit.design import Design
from toolkit.laws import Array
from toolkit.lessons import Prediction
from toolkit.panels.affordable import affordable
from toolkit.panels.controls import look
from toolkit.panels.panel import Panel
from toolkit.panels.pools import SERVICE_S, WORK, WORKER, p99_s, pool
from toolkit.simulation import simulate

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.axes import Axes


def slack(
    *, worker: float = WORKER, guess: Prediction | None = None, jobs: int = 20_000, seed: int = 0
) -> Panel:
    """Return a panel: the 99th percentile against the price of a pool, as one queue and divided.

    The curves are formulas for exponential work; the point is simulated, for the work that is chosen.
    The learner's ``guess`` in ms is a line across.
    """

    def draw(axes: Axes, *, load: int, spare: int, queues: int, work: str) -> str:
        fewest = math.floor(load * SERVICE_S) + 1
        workers = queues * math.ceil((fewest + spare) / queues)
        design = pool(load, workers, queues=queues, service=WORK[work])
        sent = affordable(jobs)
        p99_ms = _simulated_ms(design, sent, seed)
        use = load * SERVICE_S / workers
        title = f"{load}/s on {workers} workers in {queues} queue{'s' * (queues > 1)}: {use:.0%} busy, {worker * workers:,.0f} dollars a month"
        axes.set_title(title)
        axes.plot(
            [worker * workers], [np.mean(p99_ms)], "*", ms=18, color=plots.MEASURED, zorder=5,
            label=f"this pool, simulated,\n3 runs of {sent:,}: {work}",
        )  # fmt: skip
        drawn = plots.lines(
            axes, _curves(load, queues, worker), xlabel="price of the workers, dollars a month",
            ylabel="99% are done within, ms", log_y=True, guess_y=guess.value if guess else None,
        )  # fmt: skip
        axes.set_xlim(left=0)
        axes.set_ylim(100, 10_000)  # the same for all pools, so that a worse one is higher up
        found = (
            f"p99 {np.mean(p99_ms):,.0f} ms simulated ({min(p99_ms):,.0f} to {max(p99_ms):,.0f})"
        )
        return f"{title}, {found}. {drawn}"

    caption = "Curves: exact, exponential work of mean 50 ms, random arrivals. Star: the mean of the runs."
    return Panel(draw, _controls(), caption=caption, guess=guess)


def _simulated_ms(design: Design, jobs: int, seed: int) -> list[float]:
    """Return the 99th percentile of three runs, a quarter of each left out as warm-up."""
    runs = [simulate(design, jobs=jobs, seed=seed, replication=k) for k in range(3)]
    return [float(np.percentile(run.done_ms()[jobs // 4 :], 99)) for run in runs]


def _curves(load: int, queues: int, worker: float) -> dict[str, tuple[Array, Array]]:
    """Return the 99th percentile over the price, for one queue and for ``queues``."""
    floor = math.floor(load * SERVICE_S)
    most = floor + 20 + queues
    curves = {}
    for count in sorted({1, queues}):
        first = count * (floor // count + 1)
        workers = range(first, most + 1, count)
        ms = [1000 * p99_s(load / count, n // count) for n in workers]
        name = "one queue" if count == 1 else f"{count} queues, at random"
        curves[name] = (worker * np.array(workers, dtype=float), np.array(ms))
    return curves


def _controls() -> dict[str, ipywidgets.Widget]:
    from ipywidgets import Dropdown, IntSlider, SelectionSlider  # noqa: PLC0415

    return {
        "load": IntSlider(152, 10, 400, step=2, **look("Load, jobs/s")),
        "spare": IntSlider(2, 0, 19, **look("Spare workers")),
        "queues": SelectionSlider(options=[1, 2, 4, 8], **look("Queues")),
        "work": Dropdown(options=list(WORK), value="exponential", **look("Work")),
    }
