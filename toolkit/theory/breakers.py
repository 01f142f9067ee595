"""Circuit breakers: how rarely they open by chance, and what they cost while they do their work."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toolkit import _check


def calls_to_open(failure: float, *, threshold: int) -> float:
    """Return the mean number of calls until ``threshold`` of them failed in a row.

    (1 - p^k) / (p^k (1 - p)) for independent failures (Feller 1968, vol. 1, ch. XIII);
    ``inf`` where nothing ever fails.

    >>> round(calls_to_open(0.1, threshold=3), 6)
    1110.0
    """
    fails, run = _check.share("failure", failure), _check.count("threshold", threshold)
    # 1/p + 1/p^2 + ... + 1/p^k is the same, and has no 0/0 at p = 1
    return math.fsum(fails**-k for k in range(1, run + 1)) if fails else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """What becomes of calls in the long run: shares of all calls.

    ``opens_per_s``: how often it opens, probes that fail not counted.
    """

    rejected: float
    success: float
    opens_per_s: float


def breaker(*, arrival_rate_per_s: float, failure: float, threshold: int, open_s: float) -> Breaker:
    """Solve a breaker that opens after ``threshold`` failures in a row, for ``open_s``.

    Poisson calls, results at once, independent failures.  The first call after ``open_s`` is a probe:
    if it is good the breaker closes, if not it stays open as long again.  By renewal reward
    (Ross 2014, ch. 7): a cycle has n calls until it opens (``calls_to_open``), and then
    1 / (1 - p) times a pause, with lambda T calls rejected in it, and a probe.
    Raises ``ValueError`` for ``failure`` 0 or 1, where there is no cycle.

    >>> open_most = breaker(arrival_rate_per_s=5.0, failure=0.5, threshold=3, open_s=10.0)
    >>> round(open_most.rejected, 4)
    0.8621
    """
    rate, pause = (
        _check.positive("arrival_rate_per_s", arrival_rate_per_s),
        _check.positive("open_s", open_s),
    )
    fails = _check.share("failure", failure)
    if fails in (0.0, 1.0):
        raise ValueError(f"failure must be above 0 and below 1, got {failure!r}")
    rounds = 1.0 / (1.0 - fails)
    tried = calls_to_open(fails, threshold=threshold) + rounds
    rejected = rounds * rate * pause
    calls = tried + rejected
    return Breaker(
        rejected=rejected / calls,
        success=(1.0 - fails) * tried / calls,
        opens_per_s=rate / calls,
    )
