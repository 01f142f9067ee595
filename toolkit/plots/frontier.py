"""What more money buys: designs by price, and the line of those that nothing cheaper equals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from toolkit.plots.designs import VERDICT_LOOKS
from toolkit.plots.picture import GOAL, plain, two_and_five

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NAMES = 10


def frontier(axes: Axes, table: pd.DataFrame, *, target: str, goal: float | None = None) -> str:
    """Draw an ``Advice.frontier()``: price across, ``target`` up; return the frontier in a sentence.

    ``goal`` is in the unit of ``target``: seconds, or a share for ``success`` and ``survives``.
    Numbers have their names beside the picture; of more than ``MOST_NAMES`` designs, those on the
    frontier only.  A design without a value is left out.
    """
    unit = 1000.0 if target.endswith("_s") else 100.0
    _designs(axes, table, target, unit)
    best = table[table["on_frontier"]]
    axes.step(best["cost"], unit * best[target], where="post", color="#999999", lw=1.5, zorder=0)
    if goal is not None:
        axes.axhline(unit * goal, color=GOAL, ls="--")
        text = f"goal {unit * goal:g}{' ms' if unit == 1000 else '%'}"
        where = axes.get_yaxis_transform()  # a share of the width, and a value
        axes.text(1.0, unit * goal, text, color=GOAL, transform=where, ha="right", va="bottom")
    _scale(axes, unit * table[target].dropna(), target)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, fontsize=11)
    axes.set_xlabel("price, $ a month")
    axes.margins(x=0.12)
    ends = (f"${row.cost:,.0f} {_say(value, unit)}" for row, value in _rows(best, target))
    return f"Nothing cheaper equals, in {_name(target)}: " + "; ".join(ends) + "."


def _rows(best: pd.DataFrame, target: str) -> list[tuple[pd.Series[float], float]]:
    return [(row, float(row[target])) for _, row in best.iterrows()]


def _say(value: float, unit: float) -> str:
    return f"{value * unit:.3g} ms" if unit == 1000 else f"{value:.1%}"


def _name(target: str) -> str:
    return {"survives": "futures stood", "success": "jobs done"}.get(target, target[:-2])


def _designs(axes: Axes, table: pd.DataFrame, target: str, unit: float) -> None:
    """Draw and number the designs, cheapest first; the numbers have their names beside the picture."""
    for number, (name, row) in enumerate(table.iterrows(), start=1):
        if not math.isfinite(row[target]):
            continue
        color, marker = VERDICT_LOOKS[row["verdict"]]
        place = (row["cost"], unit * row[target])
        if f"{target} low" in table:
            ends = unit * row[[f"{target} low", f"{target} high"]].to_numpy(dtype=float)
            axes.plot([row["cost"]] * 2, ends, color=color, lw=3, solid_capstyle="butt")
        is_named = row["on_frontier"] or len(table) <= MOST_NAMES
        label = f"{number}  {name}: {row['verdict']}" if is_named else None
        axes.plot(*place, color=color, marker=marker, markersize=11, ls="", label=label)
        axes.annotate(f"{number}", place, (9, 6), textcoords="offset points", fontsize=11)


def _scale(axes: Axes, values: pd.Series[float], target: str) -> None:
    """Choose an axis that shows zero, unless times lie too far apart for that."""
    if not target.endswith("_s"):
        axes.set_ylabel(f"{_name(target)}, %")
        axes.set_ylim(-5, 110)
        return
    axes.set_ylabel(f"{_name(target)}, ms")
    if len(values) and values.max() > 10 * max(values.min(), 1e-9):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_minor_formatter(two_and_five)
    else:
        axes.set_ylim(bottom=0)
