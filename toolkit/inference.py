"""The queue behind a load test: how many workers, and how long each request was served.

A load test shows when each request came and when it was answered.  For workers that share one
first-come-first-served queue that is enough to look inside: with c workers a request starts when it
arrives, or as soon as fewer than c of those before it are left.  So for every c the file implies a
service time for each request, and the right c gives itself away: with too few workers requests
that met a crowd seem to have been served faster than the others, with too many slower.
(The idea is that of inferring a queue from its transactions: Larson 1990, "The queue inference
engine".)
"""

from __future__ import annotations

import bisect
import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from toolkit.errors import LoadTestError
from toolkit.laws import Array
from toolkit.loadtest import LoadTest

FEWEST = 100  # requests; below that neither workers nor a 99th percentile can be told
_MOST = 200_000  # requests to look at when counting workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """A load test's requests in order of arrival; times in seconds from the first arrival."""

    arrived_s: Array
    ended_s: Array
    success: npt.NDArray[np.bool_]
    met: npt.NDArray[np.intp]  # how many requests each one found in the system
    users: int | None

    @classmethod
    def of(cls, test: LoadTest) -> Requests:
        """Take the requests of ``test``; raises ``LoadTestError`` for fewer than ``FEWEST``."""
        samples = test.samples
        if len(samples) < FEWEST:
            raise LoadTestError(
                f"{test.source}: a fit needs at least {FEWEST} requests, this test has {len(samples)}; run it longer"
            )
        start_s = (samples["start"] - samples["start"].min()).dt.total_seconds().to_numpy()
        end_s = start_s + samples["elapsed_ms"].to_numpy(dtype=float) / 1000.0
        order = np.lexsort((end_s, start_s))
        start_s, end_s = start_s[order], end_s[order]
        gone = np.searchsorted(np.sort(end_s), start_s, side="right")
        return cls(
            arrived_s=start_s,
            ended_s=end_s,
            success=samples["success"].to_numpy(dtype=bool)[order],
            met=np.maximum(np.arange(start_s.size) - gone, 0),
            users=int(samples["thread"].nunique()) if "thread" in samples else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """How many workers, how that is known, and what remains open."""

    workers: int
    said: str
    warnings: tuple[str, ...] = ()


def find_pool(requests: Requests) -> Pool:
    """Find the number of workers whose implied service times do not depend on the crowd."""
    busiest = int(requests.met.max()) + 1

    @cache
    def tilt(workers: int) -> float:
        return tilt_of(requests, workers)

    # the tilt grows with the workers: look for where it changes sign
    low = bisect.bisect_left(range(1, busiest), 0.0, key=tilt) + 1
    workers = low - 1 if low > 1 and abs(tilt(low - 1)) < abs(tilt(low)) else low
    least = next(c for c in range(workers, -1, -1) if c == 0 or abs(tilt(c)) >= _CLEAR) + 1
    most = next(
        c for c in range(workers, busiest + 1) if c == busiest or abs(tilt(c + 1)) >= _CLEAR
    )
    return Pool(
        workers=workers,
        said=f"{workers} workers: found, with it service does not depend on the crowd that a request meets"
        + (f" ({least} to {most} fit about as well)" if least < most < busiest else ""),
        warnings=tuple(_doubts(workers, most, busiest, tilt(workers))),
    )


def _doubts(workers: int, most: int, busiest: int, tilt: float) -> Iterator[str]:
    if most >= busiest:
        yield (
            f"workers: this test kept at most {busiest} requests in the system, too few to tell {workers} workers "
            "from more; test at a higher rate, or say workers= if you know them"
        )
    elif abs(tilt) > 2 * _CLEAR:
        yield (
            f"workers: no number explains this test well; with {workers}, requests that meet a crowd still seem "
            f"{'slower' if tilt > 0 else 'faster'} than others, so look at the check before you trust it"
        )


_CLEAR = 4.0  # standard errors
_OUT_OF_ORDER, _OUT_OF_ORDER_SHARE = 0.15, 0.0005  # of the mean service; of all requests
_SLACK = 0.01  # of the mean service: clocks, networks and threads are no finer than that


def tilt_of(requests: Requests, workers: int) -> float:
    """Say how much slower, in standard errors, crowded requests seem to be served with ``workers``.

    Requests are parted at every number met, those below against those from it on;
    returned is the clearest difference of mean implied service, positive when the crowd is slower,
    and minus infinity when some would have ended before they began.
    """
    service_s = implied_service_s(requests, workers)
    impossible = service_s < -_OUT_OF_ORDER * service_s.mean()
    if impossible.mean() > _OUT_OF_ORDER_SHARE:
        return -math.inf
    met = requests.met[: service_s.size]
    n = np.bincount(met).astype(float)
    total, squares = np.bincount(met, service_s), np.bincount(met, service_s**2)
    above_n = np.cumsum(n[::-1])[::-1][1:]
    above_sum, above_squares = np.cumsum(total[::-1])[::-1][1:], np.cumsum(squares[::-1])[::-1][1:]
    below_n, below_sum = n.sum() - above_n, total.sum() - above_sum
    below_squares = squares.sum() - above_squares
    enough = (above_n >= 100) & (below_n >= 100)
    if not enough.any():
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        high, low = above_sum / above_n, below_sum / below_n
        error2 = (above_squares / above_n - high**2) / above_n + (
            below_squares / below_n - low**2
        ) / below_n
        z = (high - low) / np.sqrt(error2 + (_SLACK * service_s.mean()) ** 2)
    z = np.where(enough, z, 0.0)
    return float(z[np.argmax(np.abs(z))])


def implied_service_s(requests: Requests, workers: int) -> Array:
    """Return each request's service time in seconds, if ``workers`` served first come first served.

    A request starts when it arrives, or when fewer than ``workers`` of those before it are left:
    at the ``workers``-th latest end among them.  Negative where that cannot have been.
    """
    arrived_s = requests.arrived_s[:_MOST].tolist()
    ended_s = requests.ended_s[:_MOST].tolist()
    latest = ended_s[:workers]  # the latest ends so far, the earliest of them on top
    heapq.heapify(latest)
    service_s = [
        end - start for start, end in zip(arrived_s[:workers], ended_s[:workers], strict=True)
    ]
    for start, end in zip(arrived_s[workers:], ended_s[workers:], strict=True):
        service_s.append(end - max(start, latest[0]))
        heapq.heappushpop(latest, end)
    return np.array(service_s)
