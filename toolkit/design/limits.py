"""Limits on a rate: token buckets on paper, and at work.

A bucket at work is told the time and owns no clock, so the simulator, a formula and the kernel can
be held against the same few lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from toolkit import _check


class Bucket(Protocol):
    """A bucket at work."""

    def admit(self, now: float) -> bool:
        """Take a token at ``now`` if there is one; say whether there was."""
        ...

    def reserve(self, now: float) -> float:
        """Take the next token, there or not, and return the time from which it may be used."""
        ...

    def ready_s(self, now: float) -> float:
        """Return from when on there is a token, ``now`` at the earliest; takes none."""
        ...


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
        _check.choice("when_empty", self.when_empty, ("drop", "wait"))

    def start(self) -> Bucket:
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

    def ready_s(self, now: float) -> float:
        """Return from when on there is a token, ``now`` at the earliest; takes none."""
        return max(now, self.due - self.tolerance)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleBucket(TokenBucket):
    """The bucket of kombu up to 5.6.2, which reads its clock only while it is not full.

    After it has been full for a while, the first token leaves the old reading in place, so that the
    next look finds all the idle time again and fills the bucket up: two jobs start at once after an
    idle spell, where one should (kombu issue 680, mended in 5.7.0).

    >>> bucket = StaleBucket(rate_per_s=1.0, burst=1).start()
    >>> [bucket.admit(2.5) for _ in range(4)]
    [True, True, False, False]
    """

    def start(self) -> Bucket:
        """Return a full bucket that keeps count, in seconds."""
        return RunningStaleBucket(rate=self.rate_per_s, depth=self.burst, tokens=self.burst)


_WHOLE = 1 - 1e-9  # a token but for rounding: the rest would take no time that a clock can show


@dataclass(slots=True)
class RunningStaleBucket:
    """The bucket of kombu up to 5.6.2 at work: tokens, and when they were counted last."""

    rate: float
    depth: float
    tokens: float
    counted: float = 0.0

    def admit(self, now: float) -> bool:
        """Take a token at ``now`` if there is one; say whether there was."""
        self._count(now)
        if self.tokens < _WHOLE:
            return False
        self.tokens -= 1
        return True

    def reserve(self, now: float) -> float:
        """Take the next token, there or not, and return the time from which it may be used."""
        granted = self.ready_s(now)
        if granted == now:
            self.tokens -= 1
        else:
            self.tokens, self.counted = 0.0, granted
        return granted

    def ready_s(self, now: float) -> float:
        """Return from when on there is a token, ``now`` at the earliest; takes none."""
        self._count(now)
        return now if self.tokens >= _WHOLE else now + (1 - self.tokens) / self.rate

    def _count(self, now: float) -> None:
        if self.tokens < self.depth:  # the flaw: a full bucket does not note the time
            self.tokens = min(self.depth, self.tokens + self.rate * (now - self.counted))
            self.counted = now
