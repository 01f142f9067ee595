"""What the layers speak of: jobs, results, and the journey of one job."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What became of a job."""

    DONE = "done"
    INVALID = "invalid"
    DUPLICATE = "duplicate"
    OVER_LIMIT = "over_limit"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job that passed the checks."""

    name: str
    customer: str
    kind: str
    size_mb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What is written of a job; ``None`` where it did not come so far."""

    line: int
    outcome: Outcome
    reason: str | None = None
    job: str | None = None
    customer: str | None = None
    cents: int | None = None
    tries: int | None = None


class JobStoppedError(Exception):
    """A step ends the journey of a job, with an outcome and perhaps a reason."""

    def __init__(self, outcome: Outcome, reason: str | None = None) -> None:
        super().__init__(outcome, reason)
        self.outcome = outcome
        self.reason = reason


@dataclass(slots=True)
class JobContext:
    """The journey of one job line: each step reads what the ones before found out, and adds its own."""

    line: int
    text: str
    fields: dict[str, Any] = field(default_factory=dict)
    checked: Job | None = None
    cents: int | None = None
    tries: int | None = None

    @property
    def job(self) -> Job:
        """The job; raises ``LookupError`` before it has been checked."""
        if self.checked is None:
            raise LookupError("the job has not been checked yet: put the step 'validate' first")
        return self.checked

    @property
    def price_cents(self) -> int:
        """The price; raises ``LookupError`` before there is one."""
        if self.cents is None:
            raise LookupError("the job has no price yet: put the step 'price' first")
        return self.cents

    def result(self, outcome: Outcome, reason: str | None = None) -> JobResult:
        """Return the result with all that is known by now."""
        return JobResult(
            line=self.line,
            outcome=outcome,
            reason=reason,
            job=self.checked.name if self.checked else None,
            customer=self.checked.customer if self.checked else None,
            cents=self.cents,
            tries=self.tries,
        )
