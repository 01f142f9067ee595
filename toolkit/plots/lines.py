"""Several curves over one axis, told apart by colour, dash and marker, and named beside their ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from toolkit._say import three_digits
from toolkit.laws import Array
from toolkit.plots.picture import GOAL, GUESS, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, safe for the colour-blind; a dash and a marker each as well
_LOOKS = (
    ("#0072B2", "-", "o"),
    ("#D55E00", "--", "s"),
    ("#009E73", "-.", "^"),
    ("#CC79A7", ":", "D"),
    ("#000000", (0, (5, 1)), "v"),
    ("#E69F00", (0, (1, 1)), "P"),
    ("#56B4E9", "-", "X"),
    ("#666666", "--", "*"),
)


def lines(
    axes: Axes,
    curves: Mapping[str, tuple[Array, Array]],
    *,
    xlabel: str,
    ylabel: str,
    log_x: bool = False,
    log_y: bool = False,
    spans: Mapping[str, tuple[float, float]] | None = None,
    level: tuple[str, float] | None = None,
    guess: float | None = None,
) -> str:
    """Draw ``curves``, name to (x, y), and return their ends in a sentence.

    ``spans`` shades and names stretches of x; ``level`` is a named value of y, drawn across;
    ``guess`` is the learner's guess, a value of x.
    """
    for name, (start, end) in (spans or {}).items():
        axes.axvspan(start, end, color="#999999", alpha=0.25, lw=0, label=name)
    said = []
    for (name, (x, y)), (color, dash, marker) in zip(curves.items(), _LOOKS, strict=False):
        every = max(1, len(x) // 12)
        axes.plot(x, y, color=color, ls=dash, marker=marker, markevery=every, label=name)
        said.append(f"{name} {_ends(np.asarray(y, dtype=float))}")
    if level is not None:
        axes.axhline(level[1], color=GOAL, lw=1.2, ls=(0, (8, 3)), label=level[0])
    if guess is not None:
        axes.axvline(guess, color=GUESS, ls=":", label=f"your guess: {guess:g}")
    _scales(axes, curves, log_x=log_x, log_y=log_y)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    return f"{ylabel}, from the first to the last {xlabel}: " + "; ".join(said) + "."


def _ends(y: Array) -> str:
    seen = y[np.isfinite(y)]
    if not seen.size:
        return "has no value"
    first, last = three_digits(seen[0]), three_digits(seen[-1])
    return first if seen.size == 1 else f"{first} to {last}"


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
