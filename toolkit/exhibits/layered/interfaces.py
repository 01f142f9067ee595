"""The interfaces between the layers; nothing here knows an implementation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.exhibits.layered.domain import Job, JobContext, JobResult


class Step(ABC):
    """One step of the journey of every job."""

    @abstractmethod
    def handle(self, context: JobContext) -> None:
        """Do the step's work; raise ``JobStoppedError`` where the journey ends."""


class Validator(ABC):
    """A rule for the fields of a job line."""

    @abstractmethod
    def check(self, fields: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` with the rule where it is broken."""


class PricingStrategy(ABC):
    """A way to find the price of a job."""

    @abstractmethod
    def price_cents(self, job: Job) -> int:
        """Return the price in cents."""


class RetryPolicy(ABC):
    """When to try again, and when to give up."""

    @abstractmethod
    def pauses_s(self) -> Sequence[float]:
        """Return the pauses between the tries, in seconds; one try more than pauses."""


class JobRepository(ABC):
    """Remembers the jobs that were done."""

    @abstractmethod
    def is_done(self, name: str) -> bool:
        """Return whether a job of that name was done."""

    @abstractmethod
    def mark_done(self, name: str) -> None:
        """Remember a job."""


class AccountRepository(ABC):
    """Remembers what each customer has spent."""

    @abstractmethod
    def spent_cents(self, customer: str) -> int:
        """Return what a customer has spent; nothing for one not yet known."""

    @abstractmethod
    def spend(self, customer: str, cents: int) -> None:
        """Add to what a customer has spent."""

    @abstractmethod
    def all_cents(self) -> dict[str, int]:
        """Return what every customer has spent, in order of name."""


class ResultWriter(ABC):
    """Writes results for those who want to read them."""

    @abstractmethod
    def write(self, result: JobResult) -> None:
        """Write one result."""


class PaymentGateway(ABC):
    """Where the money is."""

    @abstractmethod
    def charge(self, customer: str, cents: int) -> None:
        """Charge a customer; raise ``ConnectionError`` where another try may help."""


class Sleeper(ABC):
    """A clock to wait by."""

    @abstractmethod
    def pause(self, seconds: float) -> None:
        """Wait."""
