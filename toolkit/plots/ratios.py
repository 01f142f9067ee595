"""Ratios of two things side by side, each with its range, around the line where they are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from toolkit.plots.picture import plain, two_and_five

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MORE, _LESS, _SAME = ("#D55E00", "s"), ("#009E73", "o"), ("#666666", "D")  # never the colour alone


def ratios(axes: Axes, table: pd.DataFrame, *, over: str, under: str) -> str:
    """Draw ``over`` divided by ``under``, a row a figure with ``median``, ``low`` and ``high``; say where more.

    The largest is at the top.  A range on both sides of one is called the same.
    """
    table = table.sort_values("median")
    names: dict[str, list[str]] = {"more": [], "less": [], "the same": []}
    for place, row in enumerate(table.itertuples()):
        word, (color, marker) = _side(row.low, row.high)
        names[word].append(f"{row.Index} {row.median:.2g}")
        axes.plot([row.low, row.high], [place, place], color=color, lw=3, solid_capstyle="butt")
        axes.plot(row.median, place, color=color, marker=marker, markersize=9, ls="")
        axes.annotate(
            f"{row.median:.2g}", (1.01, place), xycoords=("axes fraction", "data"), va="center"
        )
    axes.axvline(1.0, color="#444444", ls="--")
    axes.set_yticks(range(len(table)), table.index)
    axes.set_ylim(-0.6, len(table) - 0.4)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(plain)
    axes.xaxis.set_minor_formatter(two_and_five)
    axes.set_xlabel(f"{over} / {under}, log scale; dashed: the same")
    said = (f"{word}: {', '.join(reversed(items))}" for word, items in names.items() if items)
    return f"{over} / {under}, from the largest ratio. " + ". ".join(map(_capital, said)) + "."


def _side(low: float, high: float) -> tuple[str, tuple[str, str]]:
    """Return on which side of one a range lies, in a word and in looks."""
    if low > 1:
        return "more", _MORE
    return ("less", _LESS) if high < 1 else ("the same", _SAME)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
