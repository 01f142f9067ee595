"""What several witnesses say of the same things, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit._say import three_digits
from toolkit.plots.picture import GOAL, GUESS, MEASURED, PREDICTED, plain, two_and_five

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMULA = "#009E73"
_FAR_APART = 5
_BESIDE = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
_LOOKS: dict[str, dict[str, Any]] = {
    "measured": {"color": MEASURED, "marker": "o", "markersize": 9, "zorder": 4},
    "simulated": {"color": PREDICTED, "marker": "D", "markersize": 10},
    "formula": {"color": FORMULA, "marker": "x", "markersize": 12, "markeredgewidth": 3, "zorder": 5},
}  # fmt: skip


def agreement(
    axes: Axes,
    rows: Mapping[str, Mapping[str, float]],
    *,
    xlabel: str,
    goal: float | None = None,
    guess: str | None = None,
) -> str:
    """Draw each of ``rows``, the first below, with what every witness says; return it in a sentence.

    A row has any of ``measured``, ``simulated`` with its ``low`` and ``high``, and ``formula``, all in the unit
    of ``xlabel`` and of ``goal``.  ``guess`` names the row that the learner guessed.
    """
    for place, row in enumerate(rows.values()):
        if np.isfinite(row.get("low", np.nan)):
            ends = (row["low"], row["high"])
            axes.plot(ends, (place, place), color=PREDICTED, lw=4, alpha=0.5, solid_capstyle="butt")
    for witness, look in _LOOKS.items():
        told = [(row[witness], place) for place, row in enumerate(rows.values()) if witness in row]
        if told:
            axes.plot(*zip(*told, strict=True), ls="", label=witness, **look)
    if goal is not None:
        axes.axvline(goal, color=GOAL, ls="--", label=f"goal {goal:g}")
    said = [_said(name, row) for name, row in rows.items()]
    if guess is not None and guess in rows:
        said.append(f"your guess: {guess}")
        at = list(rows).index(guess)
        axes.axhline(at, color=GUESS, lw=3, ls=":", label=f"your guess: {guess}", zorder=0)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    _scale(axes)
    axes.grid(visible=True, axis="x")
    axes.set_xlabel(xlabel)
    axes.legend(**_BESIDE)
    return "; ".join(said) + "."


def _scale(axes: Axes) -> None:
    """Choose an axis that shows zero, unless the values lie too far apart for that."""
    low, high = axes.dataLim.intervalx
    if high <= _FAR_APART * low:
        axes.set_xlim(left=0)
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(plain)
    axes.xaxis.set_minor_formatter(two_and_five)


def _said(name: str, row: Mapping[str, float]) -> str:
    told = [f"{w} {three_digits(row[w])}" for w in _LOOKS if np.isfinite(row.get(w, np.nan))]
    return f"{name}: {', '.join(told) or 'overloaded'}"
