"""From a load test to a model of the system behind it.

A load test shows when each request came and when it was answered.  For workers that share one
first-come-first-served queue that is enough to look inside: with c workers a request starts when it
arrives, or as soon as fewer than c of those before it are left.  So for every c the file implies a
service time for each request, and the right c gives itself away: with too few workers requests
that met a crowd seem to have been served faster than the others, with too many slower.
(The idea is that of inferring a queue from its transactions: Larson 1990, "The queue inference
engine".)

Nothing is believed for being fitted: ``Fit.check`` plays a test's arrivals through the model and
sets what comes out beside what was measured.
"""

from __future__ import annotations

import bisect
import dataclasses
import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit import _check
from toolkit.arrivals import Arrivals, Poisson, Renewal, Trace
from toolkit.design import Design, Retry, Stage
from toolkit.errors import LoadTestError
from toolkit.experiments import replicate, student
from toolkit.laws import (
    Array,
    Deterministic,
    Empirical,
    Exponential,
    Gamma,
    HyperExponential,
    Law,
    LogNormal,
)
from toolkit.loadtest import LoadTest

FEWEST = 100  # requests; below that neither workers nor a 99th percentile can be told
_MOST = 200_000  # requests to look at when counting workers


def fit(test: LoadTest, *, workers: int | None = None, service: Law | None = None) -> Fit:
    """Return a model of the system that ``test`` measured: one stage, one queue, some workers.

    ``workers`` and ``service`` are taken as given, or found from the file.  What was assumed is in
    ``Fit.assumptions``, what the file could not tell in ``Fit.warnings``.
    Raises ``ValueError`` for an argument out of range and ``LoadTestError`` for a test of fewer than
    100 requests.
    """
    if workers is not None:
        _check.count("workers", workers)
    requests = _Requests.of(test)
    pool = _known_pool(requests, workers) if workers else _find_pool(requests)
    arrivals, said_arrivals, warned = _arrivals(requests)
    implied_s = np.maximum(_implied_service_s(requests, pool.workers), 0.0)
    law, said_law = (service, "service: given") if service else _law(implied_s)
    failure = float(np.mean(~requests.success))
    stage = Stage(name="service", service=law, workers=pool.workers, failure=failure)
    design = Design(arrivals=arrivals, stages=[stage])
    said = ["one stage, first come first served", pool.said, said_law, said_arrivals]
    if failure:
        said.append(f"errors: {failure:.2%} of requests fail, after as much work as the others")
    return Fit(
        design=design,
        test=test,
        assumptions=(
            *said,
            "elapsed times hold the network and the client; the model counts them as service",
        ),
        warnings=(*pool.warnings, *warned, *design.overloads()),
        busiest=pool.busiest,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A fitted ``design``, what it rests on, and the test it came from."""

    design: Design
    test: LoadTest
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    busiest: int
    """The most requests that the test had in the system at one moment."""

    @property
    def workers(self) -> int:
        """The workers of the fitted stage."""
        return self.design.stages[0].workers

    def under(self, test: LoadTest) -> Design:
        """Return the fitted system under the very arrivals of ``test``, replayed."""
        times_s = _Requests.of(test).arrived_s
        return dataclasses.replace(self.design, arrivals=Trace(times_s=times_s))

    def variant(
        self,
        *,
        workers: int | None = None,
        load: float = 1.0,
        failure: float | None = None,
        retry: Retry | None = None,
    ) -> Design:
        """Return the fitted design with other workers, ``load`` times the arrivals, and so on."""
        stage = self.design.stages[0]
        stage = dataclasses.replace(
            stage,
            workers=workers or stage.workers,
            failure=stage.failure if failure is None else failure,
            retry=retry,
        )
        return dataclasses.replace(self.design, stages=[stage]).faster(load)

    def staffings(self, *, load: float = 1.0) -> dict[str, Design]:
        """Return lean to overbuilt designs: from barely stable to twice the workers, by name.

        ``load`` multiplies the arrivals.  At most eight; the fitted number is always among them.
        """
        rate_per_s = self.variant(load=load).arrivals.rate_per_s
        least = math.floor(self.design.stages[0].offered_erlangs(rate_per_s)) + 1
        most = max(2 * self.workers, least + 1)
        spread = np.unique(np.geomspace(least, most, 7).round().astype(int))
        numbers = sorted(
            {*spread.tolist(), self.workers}
            if most > 8
            else {*range(least, most + 1), self.workers}
        )
        return {staffing_name(c): self.variant(workers=c, load=load) for c in numbers}

    def check(
        self,
        test: LoadTest | None = None,
        *,
        percentiles: tuple[float, ...] = (50, 95, 99),
        replications: int = 5,
        seed: int = 0,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Set predicted beside measured elapsed times, for the fitted test or one it never saw.

        The test's arrivals are replayed through the model ``replications`` times with services drawn
        anew.  A row a percentile, columns in ms: ``measured_ms``; ``predicted_ms``, the mean over
        the replications; ``low_ms`` and ``high_ms``, where one more run would fall in 95 of 100
        cases; and ``error``, predicted over measured less one.
        """
        test = test or self.test
        elapsed_ms = test.samples["elapsed_ms"].to_numpy(dtype=float)
        predicted = replicate(
            self.under(test), replications=replications, seed=seed, warmup=0, progress=progress
        )
        names = [f"sojourn_p{p:g}_s" for p in percentiles]
        runs_ms = predicted.figures[names] * 1000.0
        reach = student(0.95, replications) * runs_ms.std(ddof=1) * math.sqrt(1 + 1 / replications)
        measured_ms = np.percentile(elapsed_ms, percentiles)
        mean_ms = runs_ms.mean()
        table = {
            "measured_ms": measured_ms,
            "predicted_ms": mean_ms.to_numpy(),
            "low_ms": (mean_ms - reach).to_numpy(),
            "high_ms": (mean_ms + reach).to_numpy(),
            "error": mean_ms.to_numpy() / measured_ms - 1.0,
        }
        return pd.DataFrame(table, index=pd.Index([f"p{p:g}" for p in percentiles]))


def staffing_name(workers: int) -> str:
    """Return the name of a design in ``Fit.staffings``: "1 worker", "2 workers"."""
    return f"{workers} worker{'s' if workers != 1 else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Requests:
    """A load test's requests in order of arrival; times in seconds from the first arrival."""

    arrived_s: Array
    ended_s: Array
    success: npt.NDArray[np.bool_]
    met: npt.NDArray[np.intp]  # how many requests each one found in the system
    users: int | None

    @classmethod
    def of(cls, test: LoadTest) -> _Requests:
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
class _Pool:
    """How many workers, how that is known, and what remains open."""

    workers: int
    said: str
    busiest: int
    warnings: tuple[str, ...] = ()


def _known_pool(requests: _Requests, workers: int) -> _Pool:
    return _Pool(
        workers=workers, said=f"{workers} workers: given", busiest=int(requests.met.max()) + 1
    )


def _find_pool(requests: _Requests) -> _Pool:
    """Find the number of workers whose implied service times do not depend on the crowd."""
    busiest = int(requests.met.max()) + 1

    @cache
    def tilt(workers: int) -> float:
        return _tilt(requests, workers)

    # the tilt grows with the workers: look for where it changes sign
    low = bisect.bisect_left(range(1, busiest), 0.0, key=tilt) + 1
    workers = low - 1 if low > 1 and abs(tilt(low - 1)) < abs(tilt(low)) else low
    least = next(c for c in range(workers, -1, -1) if c == 0 or abs(tilt(c)) >= _CLEAR) + 1
    most = next(
        c for c in range(workers, busiest + 1) if c == busiest or abs(tilt(c + 1)) >= _CLEAR
    )
    return _Pool(
        workers=workers,
        said=f"{workers} workers: found, with it service does not depend on the crowd that a request meets"
        + (f" ({least} to {most} fit about as well)" if least < most < busiest else ""),
        busiest=busiest,
        warnings=tuple(_pool_doubts(workers, most, busiest, tilt(workers))),
    )


def _pool_doubts(workers: int, most: int, busiest: int, tilt: float) -> Iterator[str]:
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


def _tilt(requests: _Requests, workers: int) -> float:
    """Say how much slower, in standard errors, crowded requests seem to be served with ``workers``.

    Requests are parted at every number met, those below against those from it on;
    returned is the clearest difference of mean implied service, positive when the crowd is slower,
    and minus infinity when some would have ended before they began.
    """
    service_s = _implied_service_s(requests, workers)
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


def _implied_service_s(requests: _Requests, workers: int) -> Array:
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


def _arrivals(requests: _Requests) -> tuple[Arrivals, str, list[str]]:
    """Return the arrival process, a sentence about it, and warnings."""
    times_s = requests.arrived_s
    gaps_s = np.diff(times_s)
    mean_s = float(gaps_s.mean())
    if mean_s == 0:
        raise LoadTestError(
            "all requests start at the same moment, so there is no rate; fit a test that lasts"
        )
    scv = float(gaps_s.var() / mean_s**2)
    text = f"arrivals: open, {1 / mean_s:.4g} per s"
    arrivals: Arrivals
    if 0.8 <= scv <= 1.25:
        arrivals, text = Poisson(rate_per_s=1 / mean_s), f"{text}, Poisson (gaps' scv {scv:.2f})"
    elif scv < 0.01:
        arrivals = Renewal(law=Deterministic(value_s=mean_s))
        text += ", like clockwork"
    elif scv < 1:
        arrivals = Renewal(law=Gamma(mean_s=mean_s, scv=scv))
        text += f", steadier than Poisson (gaps' scv {scv:.2f}, Gamma)"
    else:
        arrivals = Renewal(law=HyperExponential(mean_s=mean_s, scv=scv))
        text += f", burstier than Poisson (gaps' scv {scv:.2f}, two exponentials)"
    return arrivals, text, list(_arrival_warnings(requests))


def _arrival_warnings(requests: _Requests) -> Iterator[str]:
    times_s = requests.arrived_s
    fifths = np.histogram(times_s, bins=5)[0] / (times_s[-1] / 5)
    # four standard errors of a Poisson count on either side, and a fifth of the rate
    noise = 4 * math.sqrt(fifths.mean() / (times_s[-1] / 5))
    if np.ptp(fifths) > max(2 * noise, 0.2 * fifths.mean()):
        yield (
            f"arrivals: the rate changes during the test, from {fifths.min():.4g} to {fifths.max():.4g} per s between "
            "fifths of it; the model takes its mean as constant"
        )
    users = requests.users
    if users and users * 5 < times_s.size and requests.met.max() + 1 >= users:
        yield (
            f"arrivals: all {users} users were waiting at once, so the test sent no more than the system took (a closed "
            "test); open arrivals at its rate may wait longer than it measured"
        )


def _law(samples_s: Array) -> tuple[Law, str]:
    """Return the simplest law that has the quantiles of ``samples_s``, and a sentence about it."""
    mean_s = float(samples_s.mean())
    if mean_s == 0:
        raise LoadTestError(
            "all requests took 0 ms, so there is no service time to fit; measure more finely"
        )
    scv = float(samples_s.var() / mean_s**2)
    law: Law
    candidates: list[Law] = [Exponential(mean_s=mean_s)]
    if scv > 0:
        candidates += [Gamma(mean_s=mean_s, scv=scv), LogNormal(mean_s=mean_s, scv=scv)]
    misfits = [_misfit(samples_s, law) for law in candidates]
    best = int(np.argmin(misfits))
    law = candidates[best] if misfits[best] <= 0.05 else Empirical(samples_s=samples_s)
    kind = type(law).__name__
    how = (
        f"quantiles within {max(misfits[best], 0.01):.0%}"
        if kind != "Empirical"
        else "no simple law comes within 5%"
    )
    return law, f"service: {kind}, mean {mean_s * 1000:.3g} ms, scv {scv:.2g} ({how})"


def _misfit(samples_s: Array, law: Law) -> float:
    """Return how far the law's quantiles are off, as a share; a millisecond counts as exact."""
    levels = (5, 10, 25, 50, 75, 90, 95, 99)
    drawn_s = law.draw_s(np.random.default_rng(0), 200_000)
    measured_s, fitted_s = np.percentile(samples_s, levels), np.percentile(drawn_s, levels)
    off_s = np.maximum(np.abs(fitted_s - measured_s) - 0.001, 0.0)
    return float(np.max(off_s / np.maximum(measured_s, 0.001)))
