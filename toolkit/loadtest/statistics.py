"""The figures of a load-test report, from the requests themselves.

A percentile of a sample is not one number but a family: estimators place the p-th quantile at
different positions between the sorted values (Hyndman and Fan, 1996, list nine).  Two are offered,
by name, because two are in use: numpy's ``linear`` (position 1 + (n - 1) p) and ``weibull``
(position (n + 1) p), the one JMeter's dashboard computes.  With many samples they agree; in the
tail of few they do not, and then neither should be trusted: the frame carries a warning.

JMeter computes its percentiles over the last 20,000 samples only; these are over all.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from toolkit.loadtest.schema import LoadTest

    _Method = Literal["linear", "weibull"]

_ESTIMATORS: dict[str, _Method] = {"linear": "linear", "weibull": "weibull"}
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
    when no time passes.  ``estimator`` is ``"linear"`` or ``"weibull"`` (JMeter's).

    ``frame.attrs["warnings"]`` names the percentiles that rest on too few samples.
    Raises ``ValueError`` for an unknown column or estimator, or a percentile out of range.
    """
    samples = test.samples
    _check(samples, by, percentiles, estimator)
    method = _ESTIMATORS[estimator]
    rows = {
        name: _row(part, percentiles, method)
        for name, part in samples.groupby(by, sort=True, observed=True)
    }
    frame = pd.DataFrame.from_dict(
        {**rows, _TOTAL: _row(samples, percentiles, method)}, orient="index"
    )
    frame.index.name = by
    frame.attrs["warnings"] = _too_few(frame["count"], percentiles)
    return frame.astype({"count": "int64", "errors": "int64"})


def _check(samples: pd.DataFrame, by: str, percentiles: Sequence[float], estimator: str) -> None:
    if estimator not in _ESTIMATORS:
        raise ValueError(f"estimator must be one of {', '.join(_ESTIMATORS)}, got {estimator!r}")
    if by not in samples:
        raise ValueError(f"by must be one of {', '.join(samples)}, got {by!r}")
    for percentile in percentiles:
        if not 0 <= percentile <= 100:
            raise ValueError(f"percentiles must be from 0 to 100, got {percentile!r}")


def _row(part: pd.DataFrame, percentiles: Sequence[float], method: _Method) -> dict[str, float]:
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
    values = np.percentile(elapsed, list(percentiles), method=method)
    row |= {_column(p): float(value) for p, value in zip(percentiles, values, strict=True)}
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
