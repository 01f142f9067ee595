"""Whether to try again: how often, after which pause, and out of which budget.

A limit a job does not bound the load: with every job failing, five retries are six times the work.
A budget bounds it for all jobs of a client together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from toolkit import _check
from toolkit.backoff import Backoff


class RunningBudget(Protocol):
    """A budget at work; one for all jobs of a client."""

    def failed(self) -> None:
        """Note that an attempt failed."""
        ...

    def take(self, *, timed_out: bool) -> float | None:
        """Pay for a retry and return its price; ``None`` if the budget does not allow it."""
        ...

    def succeeded(self, last_price: float | None) -> None:
        """Note that an attempt worked; ``last_price`` of its retry, ``None`` if it was the first."""
        ...


class Budget(Protocol):
    """A budget of retries on paper."""

    def start(self) -> RunningBudget:
        """Return the budget at work, full."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsRetryQuota:
    """The retry quota of the AWS SDKs' standard mode.

    A retry costs ``retry_cost`` tokens, ``timeout_cost`` after a time-out; a success gives back
    what its last retry cost, or ``refund`` if it needed none; there are never more than ``capacity``.
    The defaults are those that the SDKs had for years (500 tokens; 5, or 10 after a time-out; 1 back).
    botocore 1.44.5 asks 14, and 5 after a throttling error (``botocore/retries/standard.py``,
    ``RetryQuotaChecker``): ``AwsRetryQuota(retry_cost=14, timeout_cost=14)``.
    """

    capacity: int = 500
    retry_cost: int = 5
    timeout_cost: int = 10
    refund: int = 1

    def __post_init__(self) -> None:
        for name in ("capacity", "retry_cost", "timeout_cost", "refund"):
            _check.count(name, getattr(self, name), least=0)

    def start(self) -> RunningBudget:
        """Return the quota at work, full."""
        return _Quota(self, float(self.capacity))


@dataclass(slots=True)
class _Quota:
    rule: AwsRetryQuota
    tokens: float

    def failed(self) -> None:
        pass  # only retries cost

    def take(self, *, timed_out: bool) -> float | None:
        price = self.rule.timeout_cost if timed_out else self.rule.retry_cost
        if self.tokens < price:
            return None
        self.tokens -= price
        return float(price)

    def succeeded(self, last_price: float | None) -> None:
        given = self.rule.refund if last_price is None else last_price
        self.tokens = min(float(self.rule.capacity), self.tokens + given)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcThrottle:
    """gRPC's retry throttling (proposal A6): every failure costs one token, a success earns a part.

    Retries are sent only while more than half of ``max_tokens`` are left, counted after the failure.
    The numbers are the service owner's to choose; A6's example is 10 and 0.1.
    """

    max_tokens: float
    token_ratio: float

    def __post_init__(self) -> None:
        _check.positive("max_tokens", self.max_tokens)
        _check.positive("token_ratio", self.token_ratio)

    def start(self) -> RunningBudget:
        """Return the throttle at work, full."""
        return _Throttle(
            *(round(1000 * x) for x in (self.max_tokens, self.token_ratio, self.max_tokens))
        )


@dataclass(slots=True)
class _Throttle:
    """Counted in thousandths of a token, as gRPC does, so that ten tenths are one."""

    most: int
    earned: int
    tokens: int

    def failed(self) -> None:
        self.tokens = max(0, self.tokens - 1000)

    def take(self, *, timed_out: bool) -> float | None:  # noqa: ARG002, one form for all budgets
        return 0.0 if 2 * self.tokens > self.most else None

    def succeeded(self, last_price: float | None) -> None:  # noqa: ARG002
        self.tokens = min(self.most, self.tokens + self.earned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try a failed job again, at most ``max_retries`` times after the first attempt.

    ``max_retries=None`` tries for ever.  ``rejected`` says whether a job that was turned away at the
    door (queue full, no token, breaker open) is tried again too: such jobs wander outside and come
    back, which the theory of queues calls an orbit.  ``budget`` bounds the retries of all jobs.
    """

    max_retries: int | None
    backoff: Backoff
    rejected: bool = False
    budget: Budget | None = None

    def __post_init__(self) -> None:
        if self.max_retries is not None:
            _check.count("max_retries", self.max_retries, least=0)
        if not hasattr(self.backoff, "pause_s"):
            raise ValueError(
                f"backoff must be a backoff such as FullJitter(...), got {self.backoff!r}"
            )
        if self.budget is not None and not hasattr(self.budget, "start"):
            raise ValueError(
                f"budget must be AwsRetryQuota(...), GrpcThrottle(...) or None, got {self.budget!r}"
            )

    def allows(self, retries_made: int) -> bool:
        """Say whether there is a retry left after ``retries_made`` of them."""
        return self.max_retries is None or retries_made < self.max_retries
