"""From a load test to a model of the system behind it.

The workers and their service times come from ``inference``, which looks through the queue;
the laws and the arrivals are the simplest that have the measured quantiles and spread.
Nothing is believed for being fitted: ``Fit.check`` plays a test's arrivals through the model and
sets what comes out beside what was measured.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from toolkit import _check
from toolkit.arrivals import Arrivals, Poisson, Renewal, Trace
from toolkit.design import Design, Retry, Stage
from toolkit.errors import LoadTestError
from toolkit.experiments import replicate, student
from toolkit.inference import Pool, Requests, find_pool, implied_service_s
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


def fit(test: LoadTest, *, workers: int | None = None, service: Law | None = None) -> Fit:
    """Return a model of the system that ``test`` measured: one stage, one queue, some workers.

    ``workers`` and ``service`` are taken as given, or found from the file.  What was assumed is in
    ``Fit.assumptions``, what the file could not tell in ``Fit.warnings``.
    Raises ``ValueError`` for an argument out of range and ``LoadTestError`` for a test of fewer than
    100 requests.
    """
    if workers is not None:
        _check.count("workers", workers)
    requests = Requests.of(test)
    given = Pool(workers=workers, said=f"{workers} workers: given") if workers else None
    pool = given or find_pool(requests)
    arrivals, said_arrivals, warned = _arrivals(requests)
    implied_s = np.maximum(implied_service_s(requests, pool.workers), 0.0)
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
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A fitted ``design``, what it rests on, and the test it came from."""

    design: Design
    test: LoadTest
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def workers(self) -> int:
        """The workers of the fitted stage."""
        return self.design.stages[0].workers

    def under(self, test: LoadTest) -> Design:
        """Return the fitted system under the very arrivals of ``test``, replayed."""
        times_s = Requests.of(test).arrived_s
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
            workers=stage.workers if workers is None else workers,
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
        runs = len(runs_ms)  # fewer than asked for, after an interrupt
        reach = student(0.95, runs) * runs_ms.std(ddof=1) * math.sqrt(1 + 1 / runs)
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


def _arrivals(requests: Requests) -> tuple[Arrivals, str, list[str]]:
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


def _arrival_warnings(requests: Requests) -> Iterator[str]:
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
