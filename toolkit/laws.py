"""Laws of a duration: how long a piece of work takes, or how long until the next one comes.

A law is a frozen record that knows three things: its moments, which the formulas need;
how to draw, from a generator that is handed to it; and how to become slower or faster.
It holds no randomness of its own.

Draws are made in order from the generator, one job after the other,
so the first thousand draws of a million are the thousand draws of a thousand:
a longer run begins with the same jobs.

Squared coefficient of variation (``scv``): variance over squared mean.
0 is a clock, 1 is exponential, above 1 a few jobs carry most of the work.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from toolkit import _check

Array = npt.NDArray[np.float64]


class Law(Protocol):
    """A law of a duration in seconds."""

    def moment(self, k: int) -> float:
        """Return E[X^k] in s^k, ``inf`` where it does not exist; ``k`` from 1 to 3."""
        ...

    def draw_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw ``n`` durations in seconds, shape ``(n,)``."""
        ...

    def times(self, factor: float) -> Law:
        """Return the same law, every duration ``factor`` times as long."""
        ...


def mean_s(law: Law) -> float:
    """Return the mean of ``law`` in seconds."""
    return law.moment(1)


def scv(law: Law) -> float:
    """Return the squared coefficient of variation of ``law``.

    >>> scv(Exponential(mean_s=0.2))
    1.0
    """
    return law.moment(2) / law.moment(1) ** 2 - 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _ByMean:
    """A law that is told its mean, and its shape apart from it."""

    mean_s: float

    def times(self, factor: float) -> Self:
        """Return the law with every duration ``factor`` times as long."""
        return dataclasses.replace(self, mean_s=self.mean_s * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponential(_ByMean):
    """No memory: what is left of it is as long as the whole was."""

    def __post_init__(self) -> None:
        _check.positive("mean_s", self.mean_s)

    def moment(self, k: int) -> float:
        """Return E[X^k] = k! mean^k."""
        return math.factorial(k) * self.mean_s**k

    def draw_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw ``n`` durations in seconds."""
        return rng.standard_exponential(n) * self.mean_s

    def draw_apart_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw ``n`` other durations in seconds, each from one word of ``rng``, so that each can be had alone."""
        return rng.standard_exponential(n, method="inv") * self.mean_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Deterministic:
    """Always the same; zero is allowed."""

    value_s: float

    def __post_init__(self) -> None:
        _check.not_negative("value_s", self.value_s)

    def moment(self, k: int) -> float:
        """Return value^k."""
        return float(self.value_s**k)

    def draw_s(self, rng: np.random.Generator, n: int) -> Array:  # noqa: ARG002, one form for all laws
        """Return ``n`` times the value; takes nothing from ``rng``."""
        return np.full(n, float(self.value_s))

    def times(self, factor: float) -> Self:
        """Return the law with the value ``factor`` times as long."""
        return dataclasses.replace(self, value_s=self.value_s * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform:
    """Anything from ``low_s`` to ``high_s``, all alike."""

    low_s: float
    high_s: float

    def __post_init__(self) -> None:
        _check.not_negative("low_s", self.low_s)
        if _check.number("high_s", self.high_s) <= self.low_s:
            raise ValueError(f"high_s must be > low_s ({self.low_s!r}), got {self.high_s!r}")

    def moment(self, k: int) -> float:
        """Return the integral of x^k over the interval, divided by its width."""
        low, high = self.low_s, self.high_s
        return (high ** (k + 1) - low ** (k + 1)) / ((k + 1) * (high - low))

    def draw_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw ``n`` durations in seconds."""
        return self.low_s + (self.high_s - self.low_s) * rng.random(n)

    def times(self, factor: float) -> Self:
        """Return the law with both ends ``factor`` times as far."""
        return dataclasses.replace(self, low_s=self.low_s * factor, high_s=self.high_s * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gamma(_ByMean):
    """A sum of exponential phases, ``1 / scv`` of them (Erlang where that is whole)."""

    scv: float

    def __post_init__(self) -> None:
        _check.positive("mean_s", self.mean_s)
        _check.positive("scv", self.scv)

    def moment(self, k: int) -> float:
        """Return mean^k times the product of (1 + i scv) for i below k."""
        return self.mean_s**k * math.prod(1.0 + i * self.scv for i in range(k))

    def draw_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw ``n`` durations in seconds."""
        return rng.standard_gamma(1.0 / self.scv, n) * (self.mean_s * self.scv)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogNormal(_ByMean):
    """Many small factors multiplied: the usual shape of a service time."""

    scv: float

    def __post_init__(self) -> None:
        _check.positive("mean_s", self.mean_s)
        _check.positive("scv", self.scv)

    def moment(self, k: int) -> float:
        """Return mean^k (1 + scv)^(k (k - 1) / 2)."""
        return float(self.mean_s**k * (1.0 + self.scv) ** (k * (k - 1) / 2))

    def draw_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw ``n`` durations in seconds."""
        sigma = math.sqrt(math.log1p(self.scv))
        drawn: Array = self.mean_s * np.exp(sigma * rng.standard_normal(n) - 0.5 * sigma**2)
        return drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Weibull(_ByMean):
    """Wear (``shape`` > 1) or early trouble and a long tail (``shape`` < 1)."""

    shape: float

    def __post_init__(self) -> None:
        _check.positive("mean_s", self.mean_s)
        _check.positive("shape", self.shape)

    @property
    def _scale_s(self) -> float:
        return self.mean_s / math.gamma(1.0 + 1.0 / self.shape)

    def moment(self, k: int) -> float:
        """Return scale^k Gamma(1 + k / shape)."""
        return self._scale_s**k * math.gamma(1.0 + k / self.shape)

    def draw_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw ``n`` durations in seconds."""
        return self._scale_s * rng.weibull(self.shape, n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pareto(_ByMean):
    """A tail so heavy that moments from ``alpha`` on are infinite; starts at a least value > 0."""

    alpha: float

    def __post_init__(self) -> None:
        _check.positive("mean_s", self.mean_s)
        if _check.number("alpha", self.alpha) <= 1:
            raise ValueError(f"alpha must be > 1 (or there is no mean), got {self.alpha!r}")

    @property
    def _least_s(self) -> float:
        return self.mean_s * (self.alpha - 1.0) / self.alpha

    def moment(self, k: int) -> float:
        """Return alpha least^k / (alpha - k), or ``inf`` from k = alpha on."""
        return self.alpha * self._least_s**k / (self.alpha - k) if k < self.alpha else math.inf

    def draw_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw ``n`` durations in seconds."""
        drawn: Array = self._least_s * np.exp(rng.standard_exponential(n) / self.alpha)
        return drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class HyperExponential(_ByMean):
    """Mostly short, sometimes long: two exponentials with balanced means, ``scv`` >= 1.

    Each branch carries half of the work (Whitt 1982, "Approximating a point process by a
    renewal process", section 3): p = (1 + sqrt((scv - 1) / (scv + 1))) / 2,
    branch means mean / (2 p) and mean / (2 (1 - p)).
    """

    scv: float

    def __post_init__(self) -> None:
        _check.positive("mean_s", self.mean_s)
        if _check.number("scv", self.scv) < 1:
            raise ValueError(f"scv must be >= 1 (use Gamma below), got {self.scv!r}")

    @property
    def branches(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """``((share, mean in s), (share, mean in s))``, the common branch first."""
        common = 0.5 * (1.0 + math.sqrt((self.scv - 1.0) / (self.scv + 1.0)))
        rare = 1.0 - common
        return (common, 0.5 * self.mean_s / common), (rare, 0.5 * self.mean_s / rare)

    def moment(self, k: int) -> float:
        """Return k! times the branches' mean^k, weighted by their shares."""
        return math.factorial(k) * sum(share * mean**k for share, mean in self.branches)

    def draw_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw ``n`` durations in seconds; two uniforms a job, so that runs stay prefixes."""
        (common, common_s), (_, rare_s) = self.branches
        chosen, size = rng.random((n, 2)).T
        drawn: Array = np.where(chosen < common, common_s, rare_s) * -np.log1p(-size)
        return drawn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Empirical:
    """What was measured, drawn again with replacement; keeps the samples in seconds, sorted."""

    samples_s: Array

    def __post_init__(self) -> None:
        samples = np.sort(np.asarray(self.samples_s, dtype=np.float64).ravel())
        if samples.size == 0:
            raise ValueError("samples_s must hold at least one duration in s, got none")
        if not np.isfinite(samples).all() or samples[0] < 0:
            bad = samples[~np.isfinite(samples) | (samples < 0)][0]
            raise ValueError(f"samples_s must be finite and >= 0 s, got {bad}")
        samples.flags.writeable = False
        object.__setattr__(self, "samples_s", samples)

    def __repr__(self) -> str:
        return (
            f"Empirical(samples_s=<{self.samples_s.size} durations, mean {self.moment(1):.4g} s>)"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Empirical) and np.array_equal(self.samples_s, other.samples_s)

    def __hash__(self) -> int:
        return hash(self.samples_s.tobytes())

    def moment(self, k: int) -> float:
        """Return the mean of the samples^k."""
        return float(np.mean(self.samples_s**k))

    def draw_s(self, rng: np.random.Generator, n: int) -> Array:
        """Draw ``n`` of the samples; one uniform a job, small uniform small sample."""
        size = self.samples_s.size
        # u * size rounds up to size itself for the largest u of a huge sample
        drawn: Array = self.samples_s[np.minimum((rng.random(n) * size).astype(np.intp), size - 1)]
        return drawn

    def times(self, factor: float) -> Self:
        """Return the law with every sample ``factor`` times as long."""
        return dataclasses.replace(self, samples_s=self.samples_s * factor)


def is_law(value: Any) -> bool:
    """Say whether ``value`` can serve as a law."""
    return all(hasattr(value, name) for name in ("moment", "draw_s", "times"))
