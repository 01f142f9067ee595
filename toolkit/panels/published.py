"""Tables that others have published about the price of scale; nothing here was measured by us."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from toolkit import plots, theory
from toolkit.panels.pools import MONTH_S, WORKER
from toolkit.plots import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = Path(__file__).parents[2] / "data" / "published-cost"


def table(name: Literal["cost", "ray-tracer", "prime-video"]) -> pd.DataFrame:
    """Return a table of the data set ``published-cost``; its datasheet has the sources and the caveats."""
    return pd.read_csv(FOLDER / f"{name}.csv")


def against_one_thread(
    task: Literal["pagerank", "components"], *, worker: float = WORKER
) -> pd.DataFrame:
    """Return a row a system that did the ``task`` on the graph twitter_rv: ``cores`` and ``seconds``.

    ``times one thread``: how many times as long as the best single thread; ``cents``: what so many
    workers cost for so long, at the price of a ``worker`` a month of 730 hours.
    """
    rows = table("cost").set_index("system")
    rows = rows[(rows["task"] == task) & (rows["graph"] == "twitter_rv")]
    seconds = rows["elapsed_s"]
    found = pd.DataFrame({"cores": rows["cores"], "seconds": seconds})
    found["times one thread"] = seconds / seconds[rows["cores"] == 1].min()
    found["cents"] = 100 * worker * rows["cores"] * seconds / MONTH_S
    return found


def ray_tracer_laws() -> dict[str, theory.ScalabilityLaw]:
    """Return the universal scalability law of the ray tracer, by what was allowed in the fit."""
    data = table("ray-tracer")
    n, x = data["processors"].tolist(), data["throughput"].tolist()
    return {
        "all three free": theory.fit_scalability(n, x, physical=False),
        "beta not below 0": theory.fit_scalability(n, x),
        "gamma as measured": theory.fit_scalability(n, x, gamma=x[0]),
    }


def ray_tracer_fits() -> pd.DataFrame:
    """Return the parameters of the three fits, the ``peak``, and the throughput of 64 and of 200 processors."""
    rows = {
        name: {
            "alpha": law.alpha,
            "beta": law.beta,
            "gamma": law.gamma,
            "peak": law.peak,
            "at 64": law.throughput(64),
            "at 200": law.throughput(200),
        }
        for name, law in ray_tracer_laws().items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fit")


def ray_tracer() -> Picture:
    """Return the picture of the ray tracer's points, and of the fits of one law to them."""
    data, sizes = table("ray-tracer"), np.arange(1.0, 201.0)
    curves = {
        name: (sizes, np.array([law.throughput(n) for n in sizes]))
        for name, law in ray_tracer_laws().items()
    }

    def draw(axes: Axes) -> str:
        axes.set_title("Eleven points, and what three fits promise beyond them")
        axes.plot(data["processors"], data["throughput"], "o", ms=8, mfc="none", color="#000000", label="published")  # fmt: skip
        axes.axvspan(64, 200, color="#999999", alpha=0.15, lw=0, label="beyond the data")
        return plots.lines(axes, curves, xlabel="processors", ylabel="ray intersections/s")

    caption = "Published (Gunther 2007), not measured here: a ray tracer on 64 processors of an SGI Origin 2000."
    return plots.picture(draw, caption=caption)
