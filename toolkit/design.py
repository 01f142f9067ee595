"""A system on paper: who sends work, and the stages it goes through.

A stage, as a job meets it::

    arrivals -> [limiter] -> [queue, capped?] -> workers --ok--> next stage, or done
                   |               |     ^          |
                limited        rejected  |        failed -> [retries left?] --no--> dead
                                         +---- backoff <---------yes

A job meets the limiter once, at the stage's door.
It meets the cap at every attempt; while it backs off it is outside, and holds no place.

A design is data: it can be compared, replaced in part (``dataclasses.replace``), and printed.
It is checked when made, so that a run never fails half-way over a wrong number.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from toolkit import _check
from toolkit.arrivals import Arrivals, is_arrivals
from toolkit.backoff import Backoff
from toolkit.laws import Law, is_law

OUTCOMES = ("done", "dead", "rejected", "limited", "abandoned", "lost", "unfinished")
"""What can become of a job: exactly one of these, for every job that arrived.

``done``: served; ``dead``: retries used up; ``rejected``: queue full; ``limited``: dropped by a
limiter; ``abandoned``: the caller gave up; ``lost``: the system lost it; ``unfinished``: the run
ended first.
"""

ATTEMPT_OUTCOMES = ("ok", "failed", "turned away", "unfinished")
"""What can become of an attempt; only those that were not turned away had a worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try a failed job again, at most ``max_retries`` times after the first attempt."""

    max_retries: int
    backoff: Backoff

    def __post_init__(self) -> None:
        _check.count("max_retries", self.max_retries, least=0)
        if not hasattr(self.backoff, "pause_s"):
            raise ValueError(
                f"backoff must be a backoff such as FullJitter(...), got {self.backoff!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBucket:
    """A limit of ``rate_per_s`` with ``burst`` tokens saved up; a job takes one token.

    In any window of t seconds at most ``burst + rate_per_s x t`` jobs pass.
    When it is empty a job is dropped, or waits for its token in order of arrival.
    """

    rate_per_s: float
    burst: float
    when_empty: Literal["drop", "wait"] = "drop"

    def __post_init__(self) -> None:
        _check.positive("rate_per_s", self.rate_per_s)
        if _check.number("burst", self.burst) < 1:
            raise ValueError(
                f"burst must be >= 1 token (a job takes a whole one), got {self.burst!r}"
            )
        if self.when_empty not in ("drop", "wait"):
            raise ValueError(f"when_empty must be 'drop' or 'wait', got {self.when_empty!r}")

    def start(self) -> RunningBucket:
        """Return a full bucket that keeps count, in seconds."""
        interval_s = 1.0 / self.rate_per_s
        return RunningBucket(interval=interval_s, tolerance=(self.burst - 1.0) * interval_s)


@dataclass(slots=True)
class RunningBucket:
    """A token bucket at work, as the generic cell rate algorithm (ITU-T I.371, annex A).

    It keeps one number: when the next token would be due if the bucket had no depth.
    ``interval`` is the time of one token, ``tolerance`` that of ``burst - 1`` tokens.
    It is told the time and owns no clock.  Any unit will do: with whole nanoseconds or fractions
    it is exact, where seconds in floating point may misjudge a tie.

    >>> bucket = TokenBucket(rate_per_s=2.0, burst=3).start()
    >>> [bucket.admit(0.0) for _ in range(4)]
    [True, True, True, False]
    >>> bucket.admit(0.5)
    True
    """

    interval: float
    tolerance: float
    due: float = 0

    def admit(self, now: float) -> bool:
        """Take a token at ``now`` if there is one; say whether there was."""
        if now < self.due - self.tolerance:
            return False
        self.due = max(now, self.due) + self.interval
        return True

    def reserve(self, now: float) -> float:
        """Take the next token, there or not, and return the time from which it may be used."""
        granted = max(now, self.due - self.tolerance)
        self.due = max(granted, self.due) + self.interval
        return granted


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Workers that share one first-come-first-served queue, and the rules at its door.

    ``service`` is the law of one attempt; ``capacity`` the most jobs in the stage, waiting and in
    service (``None``: no limit); ``failure`` the chance that an attempt fails, found out at its
    end; without ``retry`` a failed job is dead.
    """

    name: str
    service: Law
    workers: int = 1
    capacity: int | None = None
    failure: float = 0.0
    retry: Retry | None = None
    limiter: TokenBucket | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name must be a word, got {self.name!r}")
        if not is_law(self.service):
            raise ValueError(
                f"service must be a law such as Exponential(mean_s=0.04), got {self.service!r}"
            )
        _check.count("workers", self.workers)
        if self.capacity is not None and _check.count("capacity", self.capacity) < self.workers:
            raise ValueError(
                f"capacity counts jobs in service too, so it must be >= workers ({self.workers}), got {self.capacity!r}"
            )
        _check.share("failure", self.failure)
        _check_kind("retry", self.retry, Retry)
        _check_kind("limiter", self.limiter, TokenBucket)

    @property
    def max_attempts(self) -> int:
        """The first attempt and all retries."""
        return 1 + (self.retry.max_retries if self.retry else 0)

    @property
    def attempts_per_job(self) -> float:
        """The mean number of attempts of a job that gets in: (1 - p^m) / (1 - p)."""
        p, m = self.failure, self.max_attempts
        return float(m) if p == 1.0 else (1.0 - p**m) / (1.0 - p)

    def offered_erlangs(self, rate_per_s: float) -> float:
        """Return the offered load: workers kept busy by ``rate_per_s`` jobs, if none is turned away."""
        return rate_per_s * self.attempts_per_job * self.service.moment(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Arrivals, and the stages every job goes through in order."""

    arrivals: Arrivals
    stages: Sequence[Stage]

    def __post_init__(self) -> None:
        if not is_arrivals(self.arrivals):
            raise ValueError(
                f"arrivals must be arrivals such as Poisson(rate_per_s=90), got {self.arrivals!r}"
            )
        stages = (self.stages,) if isinstance(self.stages, Stage) else tuple(self.stages)
        if not stages or not all(isinstance(stage, Stage) for stage in stages):
            raise ValueError(f"stages must be one or more Stage(...), got {self.stages!r}")
        names = [stage.name for stage in stages]
        if len(set(names)) < len(names):
            raise ValueError(f"stages must have different names, got {names}")
        object.__setattr__(self, "stages", stages)

    def faster(self, factor: float) -> Self:
        """Return the design under ``factor`` times the load."""
        _check.positive("factor", factor)
        return dataclasses.replace(self, arrivals=self.arrivals.faster(factor))

    def offered_load(self) -> list[StageLoad]:
        """Return what each stage is asked to carry, in order, by rates alone."""
        loads, rate_per_s = [], self.arrivals.rate_per_s
        for stage in self.stages:
            load = StageLoad(stage=stage, rate_per_s=rate_per_s)
            loads.append(load)
            rate_per_s = load.passed_per_s
        return loads

    def overloads(self) -> list[str]:
        """Say, a sentence each, where the design is asked for more than it can do without end."""
        return [text for load in self.offered_load() for text in load.overloads()]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLoad:
    """What a stage is asked to carry: ``rate_per_s`` jobs come to its door."""

    stage: Stage
    rate_per_s: float

    @property
    def entered_per_s(self) -> float:
        """Jobs per second that get past the limiter, in the long run and at most."""
        limiter = self.stage.limiter
        return min(self.rate_per_s, limiter.rate_per_s) if limiter else self.rate_per_s

    @property
    def utilisation(self) -> float:
        """Offered load over workers; at 1 and above a queue without a cap grows for ever."""
        return self.stage.offered_erlangs(self.entered_per_s) / self.stage.workers

    @property
    def passed_per_s(self) -> float:
        """Jobs per second that the stage can hand on."""
        served = 1.0 - self.stage.failure**self.stage.max_attempts
        erlangs_per_job = self.stage.offered_erlangs(1.0)
        most_per_s = self.stage.workers / erlangs_per_job if erlangs_per_job else math.inf
        return served * min(self.entered_per_s, most_per_s)

    def overloads(self) -> list[str]:
        """Say, a sentence each, which queue of this stage grows for ever."""
        stage, limiter, texts = self.stage, self.stage.limiter, []
        if math.isinf(self.rate_per_s):
            return []  # one batch at time zero: a long wait, but it ends
        if limiter and limiter.when_empty == "wait" and self.rate_per_s >= limiter.rate_per_s:
            texts.append(
                f"stage '{stage.name}': its limiter lets {limiter.rate_per_s:.4g} jobs/s through and "
                f"{self.rate_per_s:.4g} come: the wait for a token grows as long as the run lasts"
            )
        if stage.capacity is None and self.utilisation >= 1:
            needed = math.floor(stage.offered_erlangs(self.entered_per_s)) + 1
            texts.append(
                f"stage '{stage.name}' is overloaded: offered utilisation {self.utilisation:.2f} >= 1, so its queue "
                f"grows as long as the run lasts; {needed} workers would keep up, {stage.workers} do not"
            )
        return texts


def _check_kind(name: str, value: object, kind: type) -> None:
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"{name} must be a {kind.__name__}(...) or None, got {value!r}")
