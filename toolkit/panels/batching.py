"""Batches: what is shared by many is cheap for each, and each has to wait for the others.

One worker; a batch costs a fixed time and a time an item; it is sent when it is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit import plots, theory
from toolkit.arrivals import Poisson, Trace
from toolkit.design import Design, Stage
from toolkit.laws import Array, Exponential, Gamma
from toolkit.panels.repeated import mean_and_four_errors
from toolkit.plots import Picture
from toolkit.simulation import simulate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIXED_S, ITEM_S = 0.020, 0.002


def latency_s(items_per_s: float, batch: int) -> float:
    """Return the mean time of an item in s: until its batch is full, in the queue, and in work.

    Every ``batch``-th arrival of a Poisson stream closes one, so batches meet a queue with Erlang gaps
    (G/M/1; the work of a batch is exponential).  Raises ``ValueError`` when the worker cannot keep up.
    """
    gaps = Gamma(mean_s=batch / items_per_s, scv=1 / batch)
    queue = theory.gm1(interarrival=gaps, service_rate_per_s=1 / (FIXED_S + batch * ITEM_S))
    fill_s = theory.batch_fill_wait_s(batch=batch, arrival_rate_per_s=items_per_s)
    return fill_s + queue.sojourn_s


def item_times_s(
    items_per_s: float, batch: int, *, items: int = 100_000, seed: int = 0, replication: int = 0
) -> Array:
    """Return the time of every item in s, simulated: its batch is done, less when it came."""
    # batches come when they are full, so a run has whole ones only
    rng = np.random.default_rng([seed, replication])
    came_s = np.cumsum(Poisson(rate_per_s=items_per_s).gaps_s(rng, items // batch * batch))
    work = Stage(name="work", service=Exponential(mean_s=FIXED_S + batch * ITEM_S))
    design = Design(arrivals=Trace(times_s=came_s[batch - 1 :: batch]), stages=[work])
    run = simulate(design, seed=seed, replication=replication)
    return np.repeat(run.records.finished_s, batch) - came_s


def batches(
    items_per_s: float, sizes: Sequence[int], *, replications: int = 10, seed: int = 0
) -> pd.DataFrame:
    """Return a row a size of batch that one worker keeps up with.

    ``most_per_s``: items it can do; ``busy``: utilisation; the mean time of an item in ms by formula and
    simulated, with four standard errors; ``p99_ms``, simulated.
    """
    rows = {}
    for batch in sizes:
        most = theory.batch_throughput_per_s(batch=batch, fixed_s=FIXED_S, per_item_s=ITEM_S)
        if most <= items_per_s:
            continue
        runs_s = [
            item_times_s(items_per_s, batch, seed=seed, replication=k)[10_000:]
            for k in range(replications)
        ]
        mean, error = mean_and_four_errors([times_s.mean() for times_s in runs_s])
        rows[batch] = {
            "most_per_s": most,
            "busy": items_per_s / most,
            "formula": 1000 * latency_s(items_per_s, batch),
            "simulated": 1000 * mean,
            "4 errors": 1000 * error,
            "p99_ms": 1000 * np.mean([np.percentile(times_s, 99) for times_s in runs_s]),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("batch")


def over_size(loads_per_s: Sequence[float], *, largest: int = 100) -> Picture:
    """Return the picture of an item's mean time over the size of the batch, a curve a load."""
    curves: dict[str, tuple[Array, Array]] = {}
    for load in loads_per_s:
        sizes = [b for b in range(1, largest + 1) if load * (FIXED_S / b + ITEM_S) < 1]
        ms = np.array([1000 * latency_s(load, batch) for batch in sizes])
        best = sizes[int(ms.argmin())]
        curves[f"{load:g} items/s (best: {best})"] = (np.array(sizes, dtype=float), ms)

    def draw(axes: Axes) -> str:
        axes.set_title("The busier, the larger the batch that pays")
        return plots.lines(
            axes, curves, xlabel="items in a batch", ylabel="mean time of an item, ms",
            log_x=True, log_y=True,
        )  # fmt: skip

    caption = (
        "Exact: random arrivals; one worker takes 20 ms a batch and 2 ms an item, exponential. "
        "A curve begins where one worker can keep up."
    )
    return plots.picture(draw, caption=caption)
