"""The summary, put together from events."""

from __future__ import annotations

from collections import Counter
from typing import Any

from toolkit.exhibits.layered.domain import Outcome
from toolkit.exhibits.layered.events import JobFinished
from toolkit.exhibits.layered.interfaces import AccountRepository


class SummaryCollector:
    """Counts outcomes as they happen."""

    def __init__(self, accounts: AccountRepository) -> None:
        self._accounts = accounts
        self._outcomes: Counter[Outcome] = Counter()

    def on_finished(self, event: JobFinished) -> None:
        """Count the outcome of a job."""
        self._outcomes[event.result.outcome] += 1

    def summary(self) -> dict[str, Any]:
        """Return the outcomes and what each customer has spent, both in order of name."""
        outcomes = {outcome.value: count for outcome, count in sorted(self._outcomes.items())}
        return {"outcomes": outcomes, "cents": self._accounts.all_cents()}
