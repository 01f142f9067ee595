"""The figures of a load-test report, from the requests themselves.

A percentile of a sample is not one number but a family: estimators place the p-th quantile at
different positions between the sorted values (Hyndman and Fan, 1996, list nine).  All nine are
offered, by numpy's names, and two rules of tools beside them; ``weibull`` is what JMeter's
dashboard computes.  With many samples they agree; in the tail of few they do not, and then none
should be trusted: the frame carries a warning.

JMeter computes its percentiles over the last 20,000 samples only; these are over all.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.loadtest.schema import LoadTest

ESTIMATORS = (
    "inverted_cdf",
    "averaged_inverted_cdf",
    "closest_observation",
    "interpolated_inverted_cdf",
    "hazen",
    "weibull",
    "linear",
    "median_unbiased",
    "normal_unbiased",
    "jmeter_report",
    "locust",
)
"""Ways to read a percentile off a sample: types 1 to 9 of Hyndman & Fan (1996), and two tools'.

``inverted_cdf`` is known as nearest rank.  ``jmeter_report``: JMeter's Aggregate Report, the sample
number n p, rounded (``StatCalculator``).  ``locust``: one past n p, cut off (``stats.py``).
"""

# position n p + a + p (1 - a - b) of the types that interpolate, by their (a, b)
_BETWEEN = {
    "interpolated_inverted_cdf": (Fraction(0), Fraction(1)),
    "hazen": (Fraction(1, 2), Fraction(1, 2)),
    "weibull": (Fraction(0), Fraction(0)),
    "linear": (Fraction(1), Fraction(1)),
    "median_unbiased": (Fraction(1, 3), Fraction(1, 3)),
    "normal_unbiased": (Fraction(3, 8), Fraction(3, 8)),
}
_TOTAL = "Total"


def statistics(
    test: LoadTest,
    *,
    by: str = "label",
    percentiles: Sequence[float] = (50, 90, 95, 99),
    estimator: str = "linear",
) -> pd.DataFrame:
    """Return a row for each value of the column ``by``, and ``Total``; controllers are left out.

    Columns: count, errors, error_share (0 to 1), mean_ms, min_ms, max_ms, std_ms (of the
    population, as Gatling has it), p50_ms and so on for each of ``percentiles`` (0 to 100), and
    throughput_per_s = count / (last end - first start) of that row, as JMeter has it; NaN
    when no time passes.  ``estimator`` is one of ``ESTIMATORS``.

    ``frame.attrs["warnings"]`` names the percentiles that rest on too few samples.
    Raises ``ValueError`` for an unknown column or estimator, or a percentile out of range.
    """
    samples = test.samples
    _check(samples, by, percentiles, estimator)
    rows = {
        name: _row(part, percentiles, estimator)
        for name, part in samples.groupby(by, sort=True, observed=True)
    }
    frame = pd.DataFrame.from_dict(
        {**rows, _TOTAL: _row(samples, percentiles, estimator)}, orient="index"
    )
    frame.index.name = by
    frame.attrs["warnings"] = _too_few(frame["count"], percentiles)
    return frame.astype({"count": "int64", "errors": "int64"})


def _check(samples: pd.DataFrame, by: str, percentiles: Sequence[float], estimator: str) -> None:
    _check_estimator(estimator)
    if by not in samples:
        raise ValueError(f"by must be one of {', '.join(samples)}, got {by!r}")
    for percentile in percentiles:
        if not 0 <= percentile <= 100:
            raise ValueError(f"percentiles must be from 0 to 100, got {percentile!r}")


def _check_estimator(estimator: str) -> None:
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator must be one of {', '.join(ESTIMATORS)}, got {estimator!r}")


def sample_percentile(
    samples: Sequence[float], percentile: float, *, estimator: str = "linear"
) -> float:
    """Return the ``percentile`` (0 to 100) of ``samples``, read off by one of ``ESTIMATORS``.

    The position is worked out in fractions: 7% of 100 samples is the 7th, where floating point has
    7.000000000000001, and a rule that rounds up then takes the 8th.
    Raises ``ValueError`` without samples, and for an unknown estimator or percentile.

    >>> [sample_percentile([10, 20, 30, 40], 50, estimator=name) for name in ("linear", "locust")]
    [25.0, 30.0]
    """
    _check_estimator(estimator)
    if not 0 <= percentile <= 100:
        raise ValueError(f"percentile must be from 0 to 100, got {percentile!r}")
    if not len(samples):
        raise ValueError("samples must hold at least one value, got none")
    ordered = np.sort(np.asarray(samples, dtype=float))
    return _read_off(ordered, percentile, estimator)


def _read_off(ordered: np.ndarray, percentile: float, estimator: str) -> float:
    rank, part = _position(len(ordered), Fraction(str(percentile)) / 100, estimator)
    low, high = (float(ordered[min(max(k, 1), len(ordered)) - 1]) for k in (rank, rank + 1))
    return low + (high - low) * float(part)


def _position(count: int, p: Fraction, estimator: str) -> tuple[int, Fraction]:
    """Return a rank from 1, and how far to go from there towards the next sample."""
    if estimator in _BETWEEN:
        a, b = _BETWEEN[estimator]
        position = count * p + a + p * (1 - a - b)
        return math.floor(position), position - math.floor(position)
    rank = {
        "averaged_inverted_cdf": math.ceil(count * p),
        "closest_observation": round(count * p),  # half to even, as Hyndman & Fan have it
        "jmeter_report": math.floor(count * p + Fraction(1, 2)),
        "locust": math.floor(count * p) + 1,
    }.get(estimator, math.ceil(count * p))
    at_a_step = estimator == "averaged_inverted_cdf" and rank == count * p
    return rank, Fraction(int(at_a_step), 2)


def _row(part: pd.DataFrame, percentiles: Sequence[float], estimator: str) -> dict[str, float]:
    elapsed = part["elapsed_ms"].to_numpy()
    count, errors = len(part), int((~part["success"]).sum())
    seconds = (part["end"].max() - part["start"].min()).total_seconds()
    row = {
        "count": count,
        "errors": errors,
        "error_share": errors / count,
        "mean_ms": float(elapsed.mean()),
        "min_ms": float(elapsed.min()),
        "max_ms": float(elapsed.max()),
        "std_ms": float(elapsed.std()),
    }
    ordered = np.sort(elapsed)
    row |= {_column(p): _read_off(ordered, p, estimator) for p in percentiles}
    return {**row, "throughput_per_s": count / seconds if seconds > 0 else math.nan}


def _column(percentile: float) -> str:
    return f"p{percentile:g}_ms"


def _too_few(counts: pd.Series, percentiles: Sequence[float]) -> list[str]:
    """Warn where not even one sample is expected beyond the percentile."""
    warnings = []
    for percentile in percentiles:
        # 100 / (100 - 99.9) is 999.9999999999432 in floating point.
        need = round(100 / (100 - percentile)) if 0 < percentile < 100 else 0
        few = counts.index[counts < need]
        if len(few):
            names = ", ".join(map(str, few[:3])) + (", ..." if len(few) > 3 else "")
            warnings.append(
                f"{_column(percentile)} needs {need} samples or more; "
                f"{len(few)} of {len(counts)} rows have fewer: {names}"
            )
    return warnings
