"""Latency over the percentiles, measured and predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from toolkit._say import three_digits
from toolkit.laws import Array
from toolkit.plots.picture import GOAL, GUESS, MEASURED, PREDICTED, plain, two_and_five

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEVELS = (50, 90, 95, 99, 99.9)


def latency(
    axes: Axes,
    *,
    measured_ms: Array | None,
    predicted_ms: Sequence[Array],
    goal_ms: dict[float, float] | None = None,
    guess_ms: float | None = None,
    measured_label: str = "measured",
    predicted_label: str = "predicted",
) -> str:
    """Draw measured and predicted latency over the percentiles; return it in a sentence.

    ``predicted_ms`` has an array a run, the band is from the lowest to the highest run.
    ``goal_ms`` maps a percentile to its goal in ms; ``guess_ms`` is the learner's guess of p99.
    Runs without a value (no job was done) are left out.
    """
    said = []
    if measured_ms is not None and measured_ms.size:
        look = {"color": MEASURED, "ls": "-", "marker": "o", "label": measured_label}
        said.append(_curve(axes, [measured_ms], **look))
    if runs := [run for run in predicted_ms if run.size]:
        look = {"color": PREDICTED, "ls": "--", "marker": "D", "label": predicted_label}
        said.append(_curve(axes, runs, **look))
    for level, goal in (goal_ms or {}).items():
        label = f"goal: p{level:g} ≤ {goal:g} ms"
        axes.plot(_tail(level), goal, marker="v", markersize=13, color=GOAL, ls="", label=label)
        said.append(f"goal p{level:g} {goal:g} ms")
    if guess_ms is not None:
        axes.axhline(guess_ms, color=GUESS, ls=":", label=f"your guess for p99: {guess_ms:g} ms")
        said.append(f"your guess {guess_ms:g} ms")
    _latency_axes(axes)
    return "; ".join(said) + "."


def _curve(axes: Axes, runs: list[Array], *, color: str, ls: str, marker: str, label: str) -> str:
    """Draw the mean quantile curve of ``runs`` with the band between them; return it in words."""
    levels = 100 * (1 - np.logspace(0, -3.0, 120)[1:])
    # a percentile needs a sample beyond it: the tail of a short run is not drawn
    shown = levels[levels <= 100 * (1 - 1 / min(run.size for run in runs))]
    marks = [p for p in _LEVELS if shown.size and p <= shown[-1]]
    # all at once, since a run is sorted for it
    at_all = np.array([np.percentile(run, [*shown, *marks]) for run in runs])
    curves, at_marks = at_all[:, : shown.size], at_all[:, shown.size :]
    axes.plot(_tail(shown), curves.mean(axis=0), color=color, ls=ls, label=label)
    axes.plot(_tail(np.array(marks)), at_marks.mean(axis=0), color=color, ls="", marker=marker)
    if len(runs) > 1:
        axes.fill_between(
            _tail(shown), curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.2, lw=0
        )
    named = [(p, at_marks[:, i]) for i, p in enumerate(marks) if p in (50, 95, 99)]
    return f"{label}: " + ", ".join(f"p{p:g} {_range(values)}" for p, values in named)


def _range(values_ms: Array) -> str:
    low, high = three_digits(values_ms.min()), three_digits(values_ms.max())
    return f"{low} ms" if low == high else f"{low} to {high} ms"


def _tail(level: float | Array) -> float | Array:
    """Place a percentile on the axis: every nine is as wide as the one before."""
    return -np.log10(1 - np.asarray(level) / 100)


def _latency_axes(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.set_minor_formatter(two_and_five)
    axes.tick_params(axis="y", which="minor", labelsize=10)
    axes.set_xticks(_tail(np.array([0, *_LEVELS])), ["fastest", *(f"p{p:g}" for p in _LEVELS)])
    axes.set_xlabel(
        "share of requests that were at least this fast (each nine as wide as the last)"
    )
    axes.set_ylabel("latency, ms (log)")
    axes.legend(loc="lower right")
