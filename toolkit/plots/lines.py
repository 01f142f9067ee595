"""Several curves over one axis, told apart by colour, dash and marker, and named beside the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from toolkit._say import three_digits
from toolkit.laws import Array
from toolkit.plots.picture import GUESS, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, safe for the colour-blind; a dash and a marker each as well
_LOOKS = (
    ("#0072B2", "-", "o"),
    ("#D55E00", "--", "s"),
    ("#009E73", "-.", "^"),
    ("#000000", (0, (5, 1)), "v"),
    ("#56B4E9", (0, (4, 1, 1, 1, 1, 1)), "D"),
    ("#E69F00", (0, (1, 1)), "P"),
    ("#666666", "-", "X"),
    ("#CC79A7", "--", "*"),  # last, since a guess has this colour
)
_MARKS = ((0, (8, 3)), (0, (1, 2)), (0, (3, 2, 1, 2)))


def lines(
    axes: Axes,
    curves: Mapping[str, tuple[Array, Array]],
    *,
    xlabel: str,
    ylabel: str,
    log_x: bool = False,
    log_y: bool = False,
    bands: Mapping[str, tuple[Array, Array]] | None = None,
    spans: Mapping[str, tuple[float, float]] | None = None,
    marks: Mapping[str, tuple[str, float]] | None = None,
    level: tuple[str, float] | None = None,
    guess: float | None = None,
    guess_y: float | None = None,
    ranges: Mapping[str, tuple[Array, Array]] | None = None,
    ranges_are: str = "simulated",
) -> str:
    """Draw ``curves``, name to (x, y), and return their ends in a sentence.

    ``bands`` maps a curve's name to its lowest and highest y; ``spans`` shades and names stretches of x;
    ``marks`` maps a name to a line across, ``("x", value)`` or ``("y", value)``; ``level`` is one at y;
    ``guess`` is the learner's guess, a value of x; ``guess_y`` is one of y;
    ``ranges`` maps a curve's name to what runs gave, x and a row of values for each x: their mean is
    a point in the curve's colour, with a bar from the lowest to the highest; ``ranges_are`` says what they are.
    """
    for name, (start, end) in (spans or {}).items():
        axes.axvspan(start, end, color="#999999", alpha=0.25, lw=0, label=name)
    said = _curves(axes, curves, bands or {}, bare=set(ranges or {}))
    _points(axes, list(curves), ranges or {}, ranges_are)
    _across(axes, {**(marks or {}), **({level[0]: ("y", level[1])} if level else {})})
    said += _guesses(axes, guess, guess_y)
    _scales(axes, curves, log_x=log_x, log_y=log_y)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    return f"{ylabel}, from the first to the last {xlabel}: " + "; ".join(said) + "."


def _curves(
    axes: Axes,
    curves: Mapping[str, tuple[Array, Array]],
    bands: Mapping[str, tuple[Array, Array]],
    bare: set[str],
) -> list[str]:
    """Draw the curves, ``bare`` ones without markers, and return the ends of each in words."""
    said = []
    for (name, (x, y)), (color, dash, marker) in zip(curves.items(), _LOOKS, strict=False):
        every = max(1, len(x) // 12)
        mark = "" if name in bare else marker
        axes.plot(x, y, color=color, ls=dash, marker=mark, markevery=every, label=name)
        if name in bands:
            axes.fill_between(x, *bands[name], color=color, alpha=0.15, lw=0)
        said.append(f"{name} {_ends(np.asarray(y, dtype=float))}")
    return said


def _points(
    axes: Axes, names: list[str], ranges: Mapping[str, tuple[Array, Array]], are: str
) -> None:
    """Draw the mean and the range of runs, hollow, so that a curve is seen through them."""
    for name, (x, runs) in ranges.items():
        color, _, marker = _LOOKS[names.index(name)]
        middle = runs.mean(axis=1)
        reach = np.abs(np.array([runs.min(axis=1), runs.max(axis=1)]) - middle)
        axes.errorbar(
            x, middle, reach, color=color, ls="", marker=marker, mfc="white", mew=1.8, ms=9,
            elinewidth=1.8, capsize=5 * (runs.shape[1] > 1), zorder=3, label=f"{name}, {are}",
        )  # fmt: skip


def _ends(y: Array) -> str:
    seen = y[np.isfinite(y)]
    if not seen.size:
        return "has no value"
    first, last = three_digits(seen[0]), three_digits(seen[-1])
    return first if seen.size == 1 else f"{first} to {last}"


def _across(axes: Axes, marks: Mapping[str, tuple[str, float]]) -> None:
    """Draw named lines across, grey, so that none is taken for a curve."""
    for index, (name, (direction, value)) in enumerate(marks.items()):
        draw = axes.axvline if direction == "x" else axes.axhline
        draw(value, color="#444444", lw=1.2, ls=_MARKS[index % len(_MARKS)], label=name)


def _guesses(axes: Axes, guess: float | None, guess_y: float | None) -> list[str]:
    """Draw the learner's guesses and return them in words."""
    given = [(axes.axvline, guess), (axes.axhline, guess_y)]
    said = []
    for draw, value in given:
        if value is not None:
            draw(value, color=GUESS, lw=3, ls=":", label=f"your guess: {value:g}")
            said.append(f"your guess {value:g}")
    return said


def _scales(
    axes: Axes,
    curves: Mapping[str, tuple[Sequence[float] | Array, Array]],
    *,
    log_x: bool,
    log_y: bool,
) -> None:
    if log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(plain)
    if log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(plain)
    elif all(np.nanmin(y, initial=0.0) >= 0 for _, y in curves.values()):
        axes.set_ylim(bottom=0)
