"""What a kernel counted: on top of what was predicted, and beside what else it costs to say no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from toolkit._say import three_digits
from toolkit.laws import Array
from toolkit.plots.picture import GUESS, MEASURED, PREDICTED, plain, two_and_five

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = ("o", "s", "^")
_LINES = ((PREDICTED, "-"), ("#D55E00", "--"), ("#009E73", "-."))
_BESIDE = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}


def counted(
    axes: Axes,
    predicted: Mapping[str, tuple[Array, Array]],
    seen: Mapping[str, tuple[Array, Array]],
    *,
    xlabel: str,
    ylabel: str,
    marks: Mapping[str, float] | None = None,
    guess_y: float | None = None,
) -> str:
    """Draw what was ``seen`` as open marks on top of the lines that were ``predicted``; say the ends.

    Both map a name to (x, y), ``marks`` a name to an x; ``guess_y`` is the learner's guess.
    """
    said = []
    for (name, (x, y)), (color, dash) in zip(predicted.items(), _LINES, strict=False):
        axes.plot(x, y, color=color, ls=dash, label=name)
        said.append(f"{name} {three_digits(y[-1])}")
    for (name, (x, y)), marker in zip(seen.items(), _MARKERS, strict=False):
        every = max(1, len(x) // 25)
        axes.plot(
            x, y, color=MEASURED, ls="", marker=marker, markevery=every, markerfacecolor="none",
            markeredgewidth=1.5, label=name, zorder=3,
        )  # fmt: skip
        said.append(f"{name} {three_digits(y[-1])}")
    for name, at in (marks or {}).items():
        axes.axvline(at, color="#444444", lw=1.2, ls=(0, (8, 3)), label=name)
    said += _guess(axes, guess_y)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.set_ylim(bottom=0)
    axes.legend(**_BESIDE)
    return f"{ylabel}, at the last {xlabel}: " + "; ".join(said) + "."


def _guess(axes: Axes, value: float | None) -> list[str]:
    if value is None:
        return []
    axes.axhline(value, color=GUESS, lw=3, ls=":", label=f"your guess: {value:g}")
    return [f"your guess {value:g}"]


def ladder(
    axes: Axes, rungs: Mapping[str, Array], *, xlabel: str, guess: float | None = None
) -> str:
    """Draw every round of each of ``rungs`` on a log axis, its fastest as a bar; return the fastest.

    Rows stand in the order given, the first on top; ``guess`` is the learner's, on the same axis.
    """
    fastest = {name: float(np.min(rounds)) for name, rounds in rungs.items()}
    places = np.arange(len(rungs))[::-1]
    for place, (name, rounds) in zip(places, rungs.items(), strict=True):
        axes.plot(rounds, np.full(len(rounds), place), color=MEASURED, ls="", marker="o",
                  markerfacecolor="none", clip_on=False)  # fmt: skip
        axes.plot([fastest[name]] * 2, [place - 0.3, place + 0.3], color=PREDICTED, lw=4)
        axes.annotate(f" {fastest[name]:,.0f}", (1.01, place), xycoords=("axes fraction", "data"),
                      va="center")  # fmt: skip
    axes.set_yticks(places, list(rungs))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(plain)
    axes.xaxis.set_minor_formatter(two_and_five)
    axes.grid(visible=True, axis="x")
    axes.set_xlabel(xlabel)
    said = [f"{name} {three_digits(value)}" for name, value in fastest.items()]
    if guess is not None:
        axes.axvline(guess, color=GUESS, lw=3, ls=":", label=f"your guess: {three_digits(guess)}")
        axes.legend(loc="lower right")
        said.append(f"your guess {three_digits(guess)}")
    return f"{xlabel}, fastest round: " + "; ".join(said) + "."


def answered(
    axes: Axes,
    cases: Mapping[str, tuple[float, float | None, float | None]],
    *,
    guess: float | None = None,
) -> str:
    """Draw what a client gets in each of ``cases``: the share answered as a bar, latency in words.

    A case maps to the share and to p50 and p99 in ms (``None``: nothing was answered).
    """
    said = []
    places = np.arange(len(cases))[::-1]
    for place, (name, (share, p50_ms, p99_ms)) in zip(places, cases.items(), strict=True):
        axes.barh(place, share, color=PREDICTED, height=0.6)
        late = "no answer" if p50_ms is None or p99_ms is None else (
            f"half within {three_digits(p50_ms)} ms, p99 {three_digits(p99_ms)} ms"
        )  # fmt: skip
        axes.annotate(f" {share:.0%}; {late}", (1.01, place), xycoords=("axes fraction", "data"),
                      va="center")  # fmt: skip
        said.append(f"{name}: {share:.0%} answered, {late}")
    if guess is not None:
        axes.axvline(guess, color=GUESS, lw=3, ls=":", label=f"your guess: {guess:.0%}")
        axes.legend(loc="lower left")
        said.append(f"your guess {guess:.0%}")
    axes.set_yticks(places, list(cases))
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(visible=True, axis="x")
    axes.set_xlabel("share of the client's questions that were answered")
    return "; ".join(said) + "."


def histogram(
    axes: Axes, bins: Mapping[str, tuple[Sequence[float] | Array, Array]], *, xlabel: str
) -> str:
    """Draw counts in bins of powers of two, a name to (lower ends, counts); return where they end."""
    said = []
    for (name, (low, counts)), (color, dash) in zip(bins.items(), _LINES, strict=False):
        left, height = np.asarray(low, dtype=float), np.asarray(counts, dtype=float)
        kept = (left > 0) & (height.cumsum() > 0) & (height[::-1].cumsum()[::-1] > 0)
        if not kept.any():
            said.append(f"{name}: nothing")
            continue
        left, height = left[kept], height[kept]
        edges = np.append(left, 2 * left[-1])
        axes.stairs(height, edges, color=color, ls=dash, lw=2, label=f"{name}, {height.sum():.0f}")
        half, most = (
            three_digits(2 * left[np.searchsorted(height.cumsum(), share * height.sum())])
            for share in (0.5, 0.99)
        )
        said.append(f"{name}: {height.sum():,.0f}, half below {half}, 99% below {most}")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(plain)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("how many (each bin is twice as wide as the last)")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**_BESIDE)
    return f"{xlabel}: " + "; ".join(said) + "."
