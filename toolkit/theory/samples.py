"""What a sample can say about a percentile, whatever its law: ranks, and how many samples it takes.

Both suppose independent samples.  Those of a load test are not, so the numbers are floors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from toolkit import _check


@dataclass(frozen=True, slots=True, kw_only=True)
class RankInterval:
    """The sorted samples number ``low`` and ``high``, from 1, with the quantile between them.

    ``low`` 0 or ``high`` beyond the sample: unbounded on that side.  ``coverage``: how surely.
    """

    low: int
    high: int
    coverage: float


def quantile_ranks(samples: int, *, p: float, confidence: float = 0.95) -> RankInterval:
    """Return the ranks between which the ``p``-quantile lies with at least ``confidence``.

    The number of samples below the quantile is binomial, and the same share is left out on either
    side (David & Nagaraja 2003, ch. 7).  Raises ``ValueError`` for a share out of range.

    >>> quantile_ranks(100, p=0.5)
    RankInterval(low=40, high=61, coverage=0.96479979978229...)
    """
    from scipy.stats import binom  # noqa: PLC0415, scipy is slow to load

    count, level = _check.count("samples", samples), _check.share("p", p)
    side = (1.0 - _check.share("confidence", confidence)) / 2.0
    low, high = int(binom.ppf(side, count, level)), int(binom.ppf(1.0 - side, count, level)) + 1
    covered = binom.cdf(high - 1, count, level) - binom.cdf(low - 1, count, level)
    return RankInterval(low=low, high=high, coverage=float(covered))


def samples_for_maximum(p: float, *, confidence: float = 0.95) -> int:
    """Return how many samples it takes so that the largest is above the ``p``-quantile that surely.

    The least n with p^n <= 1 - confidence.  Raises ``ValueError`` unless both are inside (0, 1).

    >>> samples_for_maximum(0.99), samples_for_maximum(0.9999)
    (299, 29956)
    """
    level, sure = _check.share("p", p), _check.share("confidence", confidence)
    if not (0.0 < level < 1.0 and 0.0 < sure < 1.0):
        raise ValueError(
            f"p and confidence must be above 0 and below 1, got {p!r} and {confidence!r}"
        )
    return math.ceil(math.log1p(-sure) / math.log(level) - 1e-9)
