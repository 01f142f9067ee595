"""A fit on trial: predicted beside measured, for a test that the fit has not seen.

Who has one file only keeps half of it back: the model is fitted to the first half of the test and
predicts the second.  That is a weaker trial, since the load is the same, and it says so.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from toolkit.advice.formula import estimate
from toolkit.fitting import Fit, fit
from toolkit.inference import FEWEST
from toolkit.loadtest import LoadTest

GOOD = 0.15
"""The error on p50, p95 and p99 up to which a model is good enough to plan with: our own judgement."""
_EXACT_MS = 1.0  # most tools write whole milliseconds
_NEARLY_FULL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A ``fit`` held against a ``test``; ``against`` says which, ``is_new`` whether it was unseen.

    ``table`` is that of ``Fit.check`` with a column more: what the formula says of the same rate
    (empty where it has no answer).
    """

    fit: Fit
    test: LoadTest
    against: str
    is_new: bool
    table: pd.DataFrame

    @property
    def worst(self) -> float:
        """The largest error of the model on a percentile, without its sign; ``nan``: nothing was done."""
        return float(self.table["error"].abs().max(skipna=False))

    @property
    def utilisation(self) -> float:
        """How busy the model's workers are at the rate of the test."""
        at_rate = self.fit.variant(load=self.test.rate_per_s / self.fit.test.rate_per_s)
        return at_rate.offered_load()[0].utilisation

    @property
    def is_good(self) -> bool:
        """Whether the model foretold an unseen test well enough to plan with."""
        return self.is_new and self.worst <= GOOD

    def __str__(self) -> str:
        return textwrap.fill(" ".join(self.said), 100)

    @property
    def said(self) -> tuple[str, ...]:
        """What the trial shows, a sentence or two at a time."""
        return tuple(self._said())

    def _said(self) -> Iterator[str]:
        if not self.table["error"].notna().all():
            yield f"Against {self.against}: the model has no request that succeeds, so no time to foretell."
            return
        errors = ", ".join(f"{name} {error:+.0%}" for name, error in self.table["error"].items())
        yield f"Against {self.against}: {errors}."
        table = self.table
        by_luck = table["measured_ms"].between(
            table["low_ms"] - _EXACT_MS, table["high_ms"] + _EXACT_MS
        )
        if by_luck.all() and self.worst > GOOD:
            yield "That is within the luck of a single run, but a test so short leaves much to luck."
        elif by_luck.all():
            yield "All of that is within the luck of a single run."
        else:
            yield _why(table.loc[~by_luck, "error"], self.utilisation)
        if not self.is_new:
            yield "The model has seen this test, so that proves little."
        elif self.is_good:
            yield f"Good enough to plan with, by our rule of {GOOD:.0%}."
        else:
            yield f"Not good enough to plan with, by our rule of {GOOD:.0%}."


def _why(errors: pd.Series[float], utilisation: float) -> str:
    """Say what usually is behind errors that are more than luck, by the sign of the largest."""
    names = f"{' and '.join(map(str, errors.index))}: more than luck."
    if utilisation > _NEARLY_FULL:
        return (
            f"{names} At this rate the model's workers are {utilisation:.0%} busy, where a small error in "
            "the load or the work makes a large one in the wait; a test whose users wait for each "
            "answer (a closed one) always looks so."
        )
    if errors.loc[errors.abs().idxmax()] > 0:
        return (
            f"{names} The model is too slow, often because it takes the network's and the client's "
            "share of a request for work, so that its workers seem busier than they are."
        )
    return (
        f"{names} The model is too quick, often because requests also wait for what is not in it, such "
        "as a lock, a database or a processor that others use."
    )


def trial(fit: Fit, unseen: LoadTest | None = None, *, progress: bool = True) -> Trial:
    """Hold ``fit`` against ``unseen``, another test of the same system.

    Without one, a model of the same number of workers is fitted to the first half of the fit's own test
    and held against the second; with too few requests for that, against the test itself.
    Raises ``LoadTestError`` for an ``unseen`` test of fewer than 100 requests.
    """
    if unseen is not None:
        text = f"another test, at {unseen.rate_per_s:.4g} requests/s"
        return _tried(fit, unseen, text, is_new=True, progress=progress)
    first, second = _halves(fit.test)
    if min(len(first.samples), len(second.samples)) < FEWEST:
        text = (
            f"the very test it was fitted to (fewer than {2 * FEWEST} requests: none to keep back)"
        )
        return _tried(fit, fit.test, text, is_new=False, progress=progress)
    half = _refit(first, fit.workers)
    text = "the second half of the file, fitted to the first (the same load: give another test if you can)"
    return _tried(half, second, text, is_new=True, progress=progress)


def _refit(test: LoadTest, workers: int) -> Fit:
    return fit(test, workers=workers)


def _halves(test: LoadTest) -> tuple[LoadTest, LoadTest]:
    """Part a test at the middle of its requests, by start."""
    start = test.samples["start"]
    middle = start.quantile(0.5)
    early = test.requests["start"] < middle
    return (
        dataclasses.replace(test, requests=test.requests[early]),
        dataclasses.replace(test, requests=test.requests[~early]),
    )


def _tried(fit: Fit, test: LoadTest, against: str, *, is_new: bool, progress: bool) -> Trial:
    table = fit.check(test, progress=progress)
    known = estimate(fit.variant(load=test.rate_per_s / fit.test.rate_per_s))
    table["formula_ms"] = [
        np.nan if known is None else 1000 * known.sojourn_quantile_s(float(name[1:]) / 100)
        for name in table.index
    ]
    return Trial(fit=fit, test=test, against=against, is_new=is_new, table=table)
