"""Pictures: each function draws data on an ``Axes`` and returns one sentence that says the same.

The sentence is for those who cannot see the picture, for a terminal, and for tests.
Nothing here knows a model: times come in as numbers, in the unit that the name says.
Every picture carries its units on the axes and its assumptions in a caption below.
"""

from __future__ import annotations

import base64
import html
import io
import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit._say import three_digits
from toolkit.laws import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURED, PREDICTED, GOAL, GUESS = "#000000", "#0072B2", "#D55E00", "#CC79A7"
_LEVELS = (50, 90, 95, 99, 99.9)
_VERDICT_LOOKS = {  # verdict: colour, marker; never the colour alone
    "fits": ("#009E73", "o"),
    "overbuilt": ("#E69F00", "s"),
    "underbuilt": ("#D55E00", "X"),
    "uncertain": ("#56B4E9", "D"),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture: ``png`` to look at, ``text`` that says the same; shows itself in a notebook."""

    png: bytes
    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'{self.img()}<p role="status">{html.escape(self.text)}</p>'

    def img(self) -> str:
        """Return an HTML image with the text as its alternative."""
        data, alt = base64.b64encode(self.png).decode(), html.escape(self.text, quote=True)
        return f'<img alt="{alt}" src="data:image/png;base64,{data}" style="max-width:100%">'


def picture(draw: Callable[[Axes], str], *, caption: str = "") -> Picture:
    """Draw on a styled figure with one Axes and a caption below; ``draw`` returns the sentence."""
    import matplotlib.style  # noqa: PLC0415, half a second that only pictures need
    from matplotlib.figure import Figure  # noqa: PLC0415

    style = resources.files("toolkit") / "toolkit.mplstyle"
    with resources.as_file(style) as path, matplotlib.style.context(path):
        # not pyplot: it would keep every figure that a panel ever drew
        figure, buffer = Figure(), io.BytesIO()
        text = draw(figure.subplots())
        if caption:
            lines = "\n".join(textwrap.wrap(caption, 120))
            figure.supxlabel(lines, fontsize=10, color="#444444", x=0.01, ha="left")
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return Picture(png=buffer.getvalue(), text=text)


def latency(
    axes: Axes,
    *,
    measured_ms: Array | None,
    predicted_ms: Sequence[Array],
    goal_ms: dict[float, float] | None = None,
    guess_ms: float | None = None,
    measured_label: str = "measured",
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
        look = {"color": PREDICTED, "ls": "--", "marker": "D", "label": "predicted"}
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
    curves = np.array([np.percentile(run, shown) for run in runs])
    marks = [p for p in _LEVELS if shown.size and p <= shown[-1]]
    at_marks = np.array([np.percentile(run, marks) for run in runs])
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
    axes.yaxis.set_major_formatter(_plain)
    axes.yaxis.set_minor_formatter(_two_and_five)
    axes.tick_params(axis="y", which="minor", labelsize=10)
    axes.set_xticks(_tail(np.array([0, *_LEVELS])), ["fastest", *(f"p{p:g}" for p in _LEVELS)])
    axes.set_xlabel(
        "share of requests that were at least this fast (each nine as wide as the last)"
    )
    axes.set_ylabel("latency, ms (log)")
    axes.legend(loc="lower right")


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
        color, marker = _VERDICT_LOOKS[verdict]
        if math.isfinite(middle):
            axes.plot([low, high], [place, place], color=color, lw=3, solid_capstyle="butt")
            axes.plot(middle, place, color=color, marker=marker, markersize=12, ls="")
        axes.annotate(f"  {verdict}", (1.0, place), xycoords=("axes fraction", "data"), va="center")
    shown = goal * (1000.0 if is_time else 1.0)
    axes.axvline(shown, color=GOAL, ls="--")
    text = f" goal {shown:g}{' ms' if is_time else ''}"
    axes.annotate(text, (shown, -0.5), color=GOAL, va="bottom", annotation_clip=False)
    labels = [f"{name} (cost {cost:g})" for name, cost in table["cost"].items()]
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
        axes.xaxis.set_major_formatter(_plain)
        axes.xaxis.set_minor_formatter(_two_and_five)
    else:
        axes.set_xlim(left=0, right=1.1 * values.max())


def _plain(value: float, _: float) -> str:
    return f"{value:g}"


def _two_and_five(value: float, _: float) -> str:
    """Label 2 and 5 of each decade, no more."""
    return f"{value:g}" if f"{value:.0e}"[0] in "25" else ""
