"""How long to wait before a retry.

With n retries already made, the exponential cap is ``min(cap_s, base_s x 2^n)``.
The strategies differ only in what they do with it; their names are those of Brooker,
"Exponential backoff and jitter" (AWS Architecture Blog, 2015).
A strategy holds no randomness: it is handed one uniform number from 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from toolkit import _check


class Backoff(Protocol):
    """A rule for the pause before a retry."""

    def pause_s(self, retries_made: int, uniform: float, previous_s: float | None) -> float:
        """Return the pause in seconds.

        ``retries_made`` counts the retries before this one, ``uniform`` is a number in [0, 1),
        ``previous_s`` is the job's last pause, ``None`` before the first.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantBackoff:
    """The same pause every time; zero is "at once"."""

    delay_s: float

    def __post_init__(self) -> None:
        _check.not_negative("delay_s", self.delay_s)

    def pause_s(self, retries_made: int, uniform: float, previous_s: float | None) -> float:  # noqa: ARG002
        """Return the pause in seconds."""
        return self.delay_s


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorylessBackoff:
    """An exponential pause: those who wait outside come back at random, each at the same rate."""

    mean_s: float

    def __post_init__(self) -> None:
        _check.positive("mean_s", self.mean_s)

    def pause_s(self, retries_made: int, uniform: float, previous_s: float | None) -> float:  # noqa: ARG002
        """Return the pause in seconds."""
        return -math.log1p(-uniform) * self.mean_s


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exponential:
    """What the exponential strategies share: a base, a cap, and the doubling between them."""

    base_s: float
    cap_s: float

    def __post_init__(self) -> None:
        _check.positive("base_s", self.base_s)
        unlimited = isinstance(self.cap_s, float) and self.cap_s == math.inf
        if not unlimited and _check.number("cap_s", self.cap_s) < self.base_s:
            raise ValueError(f"cap_s must be >= base_s ({self.base_s!r}), got {self.cap_s!r}")

    def limit_s(self, retries_made: int) -> float:
        """Return ``min(cap_s, base_s x 2^retries_made)`` in seconds.

        >>> [ExponentialBackoff(base_s=1.0, cap_s=5.0).limit_s(n) for n in range(4)]
        [1.0, 2.0, 4.0, 5.0]
        """
        # 2^1000 is beyond any cap in seconds and still a float; a product beyond floats is inf
        return min(self.cap_s, self.base_s * 2.0 ** min(retries_made, 1000))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialBackoff(_Exponential):
    """The cap itself: everybody who failed together comes back together."""

    def pause_s(self, retries_made: int, uniform: float, previous_s: float | None) -> float:  # noqa: ARG002
        """Return the pause in seconds."""
        return self.limit_s(retries_made)


@dataclass(frozen=True, slots=True, kw_only=True)
class FullJitter(_Exponential):
    """Anything from zero to the cap: the widest spread, half the mean pause."""

    def pause_s(self, retries_made: int, uniform: float, previous_s: float | None) -> float:  # noqa: ARG002
        """Return the pause in seconds."""
        return uniform * self.limit_s(retries_made)


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualJitter(_Exponential):
    """Half of the cap for certain, the other half by chance."""

    def pause_s(self, retries_made: int, uniform: float, previous_s: float | None) -> float:  # noqa: ARG002
        """Return the pause in seconds."""
        half_s = 0.5 * self.limit_s(retries_made)
        return half_s + uniform * half_s


@dataclass(frozen=True, slots=True, kw_only=True)
class DecorrelatedJitter(_Exponential):
    """From the base to three times the last pause, capped: it remembers the pause, not the count."""

    def pause_s(self, retries_made: int, uniform: float, previous_s: float | None) -> float:  # noqa: ARG002
        """Return the pause in seconds."""
        last_s = self.base_s if previous_s is None else previous_s
        return min(self.cap_s, self.base_s + uniform * (3.0 * last_s - self.base_s))


class SteppedBackoff:
    """A pause in steps: ``base_s + step_s x floor(uniform x steps)``, each part known from the count.

    What products that count in whole seconds have in common.
    """

    def parts(self, retries_made: int) -> tuple[float, float, float]:
        """Return ``(base_s, steps, step_s)`` after ``retries_made`` retries; no steps for no jitter."""
        raise NotImplementedError

    def pause_s(self, retries_made: int, uniform: float, previous_s: float | None) -> float:  # noqa: ARG002
        """Return the pause in seconds."""
        base_s, steps, step_s = self.parts(retries_made)
        return float(base_s + int(uniform * steps) * step_s)
