"""Stores: each provides the two repositories."""

from __future__ import annotations

from collections import Counter

from toolkit.exhibits.layered.container import Container
from toolkit.exhibits.layered.interfaces import AccountRepository, JobRepository
from toolkit.exhibits.layered.registry import STORES


class MemoryJobRepository(JobRepository):
    """Remembers the jobs that were done as long as the process lives."""

    def __init__(self) -> None:
        self._done: set[str] = set()

    def is_done(self, name: str) -> bool:
        """Return whether a job of that name was done."""
        return name in self._done

    def mark_done(self, name: str) -> None:
        """Remember a job."""
        self._done.add(name)


class MemoryAccountRepository(AccountRepository):
    """Remembers what each customer has spent as long as the process lives."""

    def __init__(self) -> None:
        self._spent_cents: Counter[str] = Counter()

    def spent_cents(self, customer: str) -> int:
        """Return what a customer has spent; nothing for one not yet known."""
        return self._spent_cents[customer]

    def spend(self, customer: str, cents: int) -> None:
        """Add to what a customer has spent."""
        self._spent_cents[customer] += cents

    def all_cents(self) -> dict[str, int]:
        """Return what every customer has spent, in order of name."""
        return dict(sorted(self._spent_cents.items()))


@STORES.register("memory")
def provide_memory(container: Container) -> None:
    """Provide both repositories in memory."""
    container.provide(JobRepository, lambda _: MemoryJobRepository())
    container.provide(AccountRepository, lambda _: MemoryAccountRepository())
