"""Designs side by side, each with its interval, beside a goal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.laws import Array
from toolkit.plots.picture import GOAL, plain, two_and_five

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VERDICT_LOOKS = {  # verdict: colour, marker; never the colour alone
    "fits": ("#009E73", "o"),
    "overbuilt": ("#E69F00", "s"),
    "underbuilt": ("#D55E00", "X"),
    "uncertain": ("#56B4E9", "D"),
}


def designs(axes: Axes, table: pd.DataFrame, *, target: str, goal: float) -> str:
    """Draw what an ``Advice.table()`` says of one ``target`` of the goal; return it in a sentence.

    A row a design, the cheapest below, with its interval; a ``goal`` on a time is in seconds.
    A design without a finite value has its verdict only.
    """
    is_time = target.endswith("_s")
    columns = [target, f"{target} low", f"{target} high"]
    values = table[columns].to_numpy(dtype=float) * (1000.0 if is_time else 1.0)
    for place, (verdict, (middle, low, high)) in enumerate(
        zip(table["verdict"], values, strict=True)
    ):
        color, marker = VERDICT_LOOKS[verdict]
        if math.isfinite(middle):
            axes.plot([low, high], [place, place], color=color, lw=3, solid_capstyle="butt")
            axes.plot(middle, place, color=color, marker=marker, markersize=12, ls="")
        axes.annotate(f"  {verdict}", (1.0, place), xycoords=("axes fraction", "data"), va="center")
    shown = goal * (1000.0 if is_time else 1.0)
    axes.axvline(shown, color=GOAL, ls="--")
    text = f" goal {shown:g}{' ms' if is_time else ''}"
    axes.annotate(text, (shown, -0.5), color=GOAL, va="bottom", annotation_clip=False)
    labels = [f"{name} (${cost:,.0f} a month)" for name, cost in table["cost"].items()]
    axes.set_yticks(range(len(table)), labels)
    axes.set_ylim(-0.6, len(table) - 0.4)
    _value_axis(axes, np.append(values[np.isfinite(values)], shown), is_time=is_time)
    unit = ", ms" if is_time else ", share of jobs"
    axes.set_xlabel(f"{target.removesuffix('_s')}{unit}: mean of the runs and its 95% interval")
    verdicts = (f"{name} {verdict}" for name, verdict in table["verdict"].items())
    return "Cheapest first: " + ", ".join(verdicts) + "."


def _value_axis(axes: Axes, values: Array, *, is_time: bool) -> None:
    """Choose an axis that shows zero, unless the values lie too far apart for that."""
    if not is_time:
        return
    if values.max() > 10 * max(values.min(), 1e-9):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(plain)
        axes.xaxis.set_minor_formatter(two_and_five)
    else:
        axes.set_xlim(left=0, right=1.1 * values.max())
