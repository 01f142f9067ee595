"""Who sends work, and when.

All but ``Closed`` are *open*: they send on their own clock, whether or not the system keeps up.
That is how the public behaves, and how a load generator with a fixed number of users does not.

An arrival process gives the gaps between jobs, in seconds; its clock starts at zero.
Like laws, arrivals are drawn in order, so a longer run begins with the same jobs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, Self

import numpy as np

from toolkit import _check
from toolkit.laws import Array, Law, is_law


class Arrivals(Protocol):
    """A source of jobs."""

    @property
    def rate_per_s(self) -> float:
        """Jobs per second in the long run."""
        ...

    def gaps_s(self, rng: np.random.Generator, n: int) -> Array:
        """Return the first ``n`` gaps in seconds, shape ``(n,)``, the first one from time zero."""
        ...

    def faster(self, factor: float) -> Arrivals:
        """Return the same source, sending ``factor`` times as many jobs per second."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Poisson:
    """Many independent senders: the next job knows nothing of the last one."""

    rate_per_s: float

    def __post_init__(self) -> None:
        _check.positive("rate_per_s", self.rate_per_s)

    def gaps_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw ``n`` exponential gaps in seconds."""
        return rng.standard_exponential(n) / self.rate_per_s

    def faster(self, factor: float) -> Self:
        """Return the source at ``factor`` times the rate."""
        return dataclasses.replace(self, rate_per_s=self.rate_per_s * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """Independent gaps of any law: ``Renewal(law=Deterministic(value_s=0.1))`` is a metronome."""

    law: Law

    def __post_init__(self) -> None:
        if not is_law(self.law) or self.law.moment(1) <= 0:
            raise ValueError(f"law must be a law of gaps with a mean > 0 s, got {self.law!r}")

    @property
    def rate_per_s(self) -> float:
        """One over the mean gap."""
        return 1.0 / self.law.moment(1)

    def gaps_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw ``n`` gaps in seconds from the law."""
        return self.law.draw_s(rng, n)

    def faster(self, factor: float) -> Self:
        """Return the source with gaps ``factor`` times shorter."""
        return dataclasses.replace(self, law=self.law.times(1.0 / factor))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """Jobs at recorded times, in seconds from the start, in order; nothing is left to chance."""

    times_s: Array

    def __post_init__(self) -> None:
        times = np.array(self.times_s, dtype=np.float64).ravel()
        if times.size == 0:
            raise ValueError("times_s must hold at least one time in s, got none")
        if not np.isfinite(times).all() or times[0] < 0:
            bad = times[~np.isfinite(times) | (times < 0)][0]
            raise ValueError(f"times_s must be finite and >= 0 s, got {bad}")
        if (np.diff(times) < 0).any():
            where = int(np.flatnonzero(np.diff(times) < 0)[0]) + 1
            raise ValueError(
                f"times_s must be in order, got {times[where]} s at index {where} after {times[where - 1]} s"
            )
        times.flags.writeable = False
        object.__setattr__(self, "times_s", times)

    def __repr__(self) -> str:
        return f"Trace(times_s=<{self.times_s.size} times up to {self.times_s[-1]:.4g} s>)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trace) and np.array_equal(self.times_s, other.times_s)

    def __hash__(self) -> int:
        return hash(self.times_s.tobytes())

    @property
    def rate_per_s(self) -> float:
        """Jobs over the length of the trace; ``inf`` for jobs that all come at time zero."""
        return self.times_s.size / float(self.times_s[-1]) if self.times_s[-1] else float("inf")

    def gaps_s(self, rng: np.random.Generator, n: int) -> Array:  # noqa: ARG002, one form for all arrivals
        """Return the first ``n`` gaps in seconds; a trace of fewer jobs raises ``ValueError``."""
        if n > self.times_s.size:
            raise ValueError(
                f"jobs must be <= {self.times_s.size}, the length of the trace, got {n}"
            )
        return np.diff(self.times_s[:n], prepend=0.0)

    def faster(self, factor: float) -> Self:
        """Return the trace played ``factor`` times as fast."""
        return dataclasses.replace(self, times_s=self.times_s / factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnOff:
    """Bursts: a Poisson source that changes between two rates after exponential times.

    A two-state Markov-modulated Poisson process; it starts in the on state.
    """

    on_rate_per_s: float
    mean_on_s: float
    mean_off_s: float
    off_rate_per_s: float = 0.0

    def __post_init__(self) -> None:
        _check.positive("on_rate_per_s", self.on_rate_per_s)
        _check.positive("mean_on_s", self.mean_on_s)
        _check.positive("mean_off_s", self.mean_off_s)
        _check.not_negative("off_rate_per_s", self.off_rate_per_s)

    @property
    def rate_per_s(self) -> float:
        """The two rates, weighted by the time spent in each."""
        jobs = self.on_rate_per_s * self.mean_on_s + self.off_rate_per_s * self.mean_off_s
        return jobs / (self.mean_on_s + self.mean_off_s)

    def gaps_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw ``n`` gaps in seconds.

        A Poisson process of rate one runs on a clock that counts expected jobs;
        that clock is then bent to real time, phase by phase (time change; Cinlar 1975, ch. 4.7).
        """
        jobs_rng, phases_rng = rng.spawn(2)
        expected_jobs = np.cumsum(jobs_rng.standard_exponential(n))
        ends_s, ends_jobs = self._phase_ends(phases_rng, float(expected_jobs[-1]) if n else 0.0)
        return np.diff(np.interp(expected_jobs, ends_jobs, ends_s), prepend=0.0)

    def _phase_ends(self, rng: np.random.Generator, jobs: float) -> tuple[Array, Array]:
        """Return when phases end, in seconds and in expected jobs, until ``jobs`` are expected."""
        phases_s = np.empty((0, 2))
        per_s = np.array([self.on_rate_per_s, self.off_rate_per_s])
        while np.sum(phases_s * per_s) <= jobs:
            size = max(
                64, len(phases_s)
            )  # doubled each time: the draws are the same, the work less
            more = rng.standard_exponential((size, 2)) * [self.mean_on_s, self.mean_off_s]
            phases_s = np.concatenate([phases_s, more])
        ends_s = np.cumsum(np.append(0.0, phases_s))
        return ends_s, np.cumsum(np.append(0.0, phases_s * per_s))

    def faster(self, factor: float) -> Self:
        """Return the source at ``factor`` times both rates; the bursts last as long."""
        return dataclasses.replace(
            self,
            on_rate_per_s=self.on_rate_per_s * factor,
            off_rate_per_s=self.off_rate_per_s * factor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """Jobs that come several at once: the times are those of ``arrivals``, the sizes drawn from ``sizes``.

    Each size in the list is equally likely; repeat one to make it more so.
    """

    arrivals: Arrivals
    sizes: Sequence[int]

    def __post_init__(self) -> None:
        if not is_arrivals(self.arrivals):
            raise ValueError(f"arrivals must be arrivals of batches, got {self.arrivals!r}")
        sizes = tuple(_check.count("sizes", size) for size in self.sizes)
        if not sizes:
            raise ValueError("sizes must hold at least one whole number of jobs, got none")
        object.__setattr__(self, "sizes", sizes)

    @property
    def rate_per_s(self) -> float:
        """Batches per second times the mean size."""
        return self.arrivals.rate_per_s * sum(self.sizes) / len(self.sizes)

    def gaps_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw the gaps of ``n`` jobs in seconds: that of its batch for the first, zero for the others."""
        times_rng, sizes_rng = rng.spawn(2)
        sizes = np.asarray(self.sizes)[sizes_rng.integers(len(self.sizes), size=n)]
        firsts = np.concatenate([[0], np.cumsum(sizes)])
        firsts = firsts[firsts < n]
        gaps_s = np.zeros(n)
        gaps_s[firsts] = self.arrivals.gaps_s(times_rng, firsts.size)
        return gaps_s

    def faster(self, factor: float) -> Self:
        """Return the source with batches of the same sizes ``factor`` times as often."""
        return dataclasses.replace(self, arrivals=self.arrivals.faster(factor))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Arrivals whose rate changes at stated times: a burst, a deploy, a day.

    Until ``until_s[k]`` the source sends ``factors[k]`` times as fast as ``arrivals``; the last of
    the factors, one more than there are times, holds for ever.
    ``Profile(arrivals=Poisson(rate_per_s=60), factors=(1, 5, 1), until_s=(20, 28))``: eight seconds of
    300 jobs/s.  A Poisson source stays one, with a rate that moves (time change; Cinlar 1975, ch. 4.7).
    """

    arrivals: Arrivals
    factors: Sequence[float]
    until_s: Sequence[float]

    def __post_init__(self) -> None:
        if not is_arrivals(self.arrivals) or isinstance(self.arrivals, Closed):
            raise ValueError(f"arrivals must be open arrivals, got {self.arrivals!r}")
        factors = tuple(_check.not_negative("factors", factor) for factor in self.factors)
        until_s = tuple(_check.positive("until_s", time_s) for time_s in self.until_s)
        if any(early >= late for early, late in pairwise(until_s)):
            raise ValueError(f"until_s must rise, got {until_s} s")
        if len(factors) != len(until_s) + 1:
            raise ValueError(
                f"factors must be one more than the times in until_s ({len(until_s)}), got {len(factors)}"
            )
        _check.positive("factors[-1]", factors[-1])
        object.__setattr__(self, "factors", factors)
        object.__setattr__(self, "until_s", until_s)

    @property
    def rate_per_s(self) -> float:
        """Jobs per second in the long run: the last factor goes on for ever."""
        return self.arrivals.rate_per_s * self.factors[-1]

    def gaps_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw ``n`` gaps in seconds: the source runs on a clock of its own, which is bent to real time."""
        clock_s = np.cumsum(self.arrivals.gaps_s(rng, n))
        ends_s = np.array([0.0, *self.until_s])
        ends_clock_s = np.cumsum([0.0, *np.diff(ends_s) * self.factors[:-1]])
        beyond_s = ends_s[-1] + (clock_s - ends_clock_s[-1]) / self.factors[-1]
        within_s = np.interp(clock_s, ends_clock_s, ends_s)
        times_s = np.where(clock_s > ends_clock_s[-1], beyond_s, within_s)
        return np.diff(times_s, prepend=0.0)

    def faster(self, factor: float) -> Self:
        """Return the profile at ``factor`` times all its rates, with changes at the same times."""
        return dataclasses.replace(self, arrivals=self.arrivals.faster(factor))


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A fixed number of users who think, send a job, wait for its outcome, and think again.

    The one source here that is not open: a slow system is asked less.
    That is how most load generators behave, and why they flatter.
    """

    users: int
    think: Law

    def __post_init__(self) -> None:
        _check.count("users", self.users)
        if not is_law(self.think):
            raise ValueError(f"think must be a law of pauses, got {self.think!r}")

    @property
    def rate_per_s(self) -> float:
        """Jobs per second at most: of users whose jobs take no time (``inf`` if they do not think)."""
        think_s = self.think.moment(1)
        return self.users / think_s if think_s else float("inf")

    def gaps_s(self, rng: np.random.Generator, n: int) -> Array:  # noqa: ARG002
        """Raise ``ValueError``: when these users send depends on the answers they get."""
        raise ValueError("a closed source has no gaps of its own: its users wait for their answers")

    def faster(self, factor: float) -> Self:
        """Return the source with pauses ``factor`` times shorter."""
        return dataclasses.replace(self, think=self.think.times(1.0 / factor))


def is_arrivals(value: Any) -> bool:
    """Say whether ``value`` can serve as arrivals."""
    return all(hasattr(value, name) for name in ("rate_per_s", "gaps_s", "faster"))
