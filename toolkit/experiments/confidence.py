"""How sure a mean over replications is: Student's t, and when to say that it is not.

Replications are independent, so their mean has a plain interval: mean ± t s / √n, with t of n - 1
degrees of freedom.  It holds when the figure of a replication is nearly normal, as means and
percentiles over thousands of jobs are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from toolkit import _check

NOISY = 0.2
"""Half an interval over its mean from which a figure is called too noisy to trust.

Our own judgement: a fifth is about what one worker in five makes of a queue.
"""

FEW = 5
"""Replications below which an interval is no more than a hint: s rests on too few values."""

JUDGED = ("goodput_per_s", *(f"sojourn_{part}_s" for part in ("mean", "p50", "p90", "p95", "p99")))
"""The figures that ``doubts`` looks at; others, such as counts of what is rare, may be wide."""


def student(confidence: float, samples: int) -> float:
    """Return how many standard errors the two-sided interval of ``samples`` samples reaches."""
    from scipy.special import stdtrit  # noqa: PLC0415, scipy only where it is used

    return float(stdtrit(samples - 1, 0.5 + confidence / 2))


def interval(values: pd.Series[float], confidence: float) -> tuple[float, float, float]:
    """Return the mean and the ends of its two-sided Student's t interval; ``values`` independent."""
    mean = float(values.mean())
    half = student(confidence, len(values)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def of_figures(figures: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return mean, low and high of each column, a row a replication."""
    rows = {name: interval(column, confidence) for name, column in figures.items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high"])
    return table.rename_axis("figure")


def intervals(
    table: pd.DataFrame,
    *,
    figure: str | Sequence[str] | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Return the mean of every figure at every point of a sweep, with its interval.

    ``table`` is what ``sweep`` returned, or some of its rows: columns left of ``replication`` are
    the axes.  ``figure`` names the one, or those, wanted.
    Columns: the axes; ``figure``, unless a single one is named; ``mean``; ``low`` and ``high``,
    Student's t over the point's replications (``nan`` for a single one); ``noisy``, when there are
    fewer than five or the interval reaches further than a fifth of the mean to either side.

    Raises ``ValueError`` for another table, an unknown figure or a ``confidence`` out of range.
    """
    check_confidence(confidence)
    axes, figures = _columns(table)
    wanted = figures if figure is None else [figure] if isinstance(figure, str) else list(figure)
    for name in wanted:
        _check.choice("figure", name, figures)
    points = table.groupby(axes, sort=False, observed=True, dropna=False)
    tables = []
    for _, rows in points:
        found = _judged(rows[wanted], confidence).reset_index()
        place = rows[axes].iloc[[0] * len(found)].reset_index(drop=True)
        tables.append(pd.concat([place, found], axis=1))
    result = pd.concat(tables, ignore_index=True)
    return result.drop(columns="figure") if isinstance(figure, str) else result


def _judged(figures: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return the intervals of one point's figures, and which are too noisy to trust."""
    table = of_figures(figures, confidence)
    wide = (table["high"] - table["low"]) / 2 > NOISY * table["mean"].abs()
    return table.assign(noisy=wide | (len(figures) < FEW))


def _columns(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the names of a sweep's axes and of its figures."""
    names = list(table.columns)
    place = names.index("replication") if "replication" in names else 0
    if not place or not len(table):
        raise ValueError(
            "table must be rows of a sweep, axes left of the column 'replication', "
            f"got {len(table)} rows of {', '.join(map(str, names)) or 'nothing'}"
        )
    return names[:place], [name for name in names[place + 1 :] if name != "warnings"]


def doubts(figures: pd.DataFrame, confidence: float) -> Iterator[str]:
    """Say what of ``figures`` is too noisy to trust."""
    if len(figures) < FEW:
        yield (
            f"{len(figures)} replications are too few to tell how much they differ: "
            f"the intervals are a hint until there are {FEW}"
        )
        return
    table = of_figures(figures[list(JUDGED)], confidence)
    halves = (table["high"] - table["low"]) / 2 / table["mean"].abs()
    wide = halves[halves > NOISY]
    if len(wide):
        each = ", ".join(f"{name} ± {half:.0%}" for name, half in wide.items())
        yield f"too noisy to trust: {each}; run more jobs or more replications"


def check_confidence(confidence: float) -> None:
    """Check that ``confidence`` lies between 0 and 1, neither of them."""
    if not 0 < _check.number("confidence", confidence) < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence!r}")
