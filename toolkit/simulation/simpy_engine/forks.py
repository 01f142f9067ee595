"""One call that is worked on in several places at once: copies of a request, tasks of a job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import simpy

from toolkit.simulation.codes import ABANDONED, LOST
from toolkit.simulation.simpy_engine.book import Call, Steps

if TYPE_CHECKING:
    from toolkit.simulation.simpy_engine.system import System


class Fork:
    """A copy of a call with a process of its own; ``outcome`` once that has ended."""

    def __init__(self, system: System, call: Call, steps: Callable[[Call], Steps]) -> None:
        self.system, self.call = system, call
        system.open_forks += 1
        self.process = system.env.process(self.follow(steps))

    def follow(self, steps: Callable[[Call], Steps]) -> Steps:
        """Do the work; taken back, end without an answer that anybody hears."""
        try:
            return (yield from steps(self.call))
        except simpy.Interrupt:
            self.call.move_on()
            return ABANDONED
        finally:
            self.system.open_forks -= 1

    @property
    def outcome(self) -> int | None:
        """What came of it, ``None`` while it is under way."""
        outcome: int | None = self.process.value if self.process.processed else None
        return outcome


def heard(forks: Sequence[Fork], *, all_of_them: bool) -> list[int]:
    """Return the outcomes that a caller learns of; of what is lost or dropped it hears nothing.

    ``all_of_them``: it has no time-out, so it would wait for ever for those.
    """
    outcomes = [(fork.outcome, fork.call.is_silent) for fork in forks]
    return [
        outcome
        for outcome, is_silent in outcomes
        if outcome is not None and (all_of_them or (outcome != LOST and not is_silent))
    ]


def leave(forks: Sequence[Fork], mark: int, *, cancels: bool) -> None:
    """Wait no longer for those still under way: what they achieve is marked LATE or DUPLICATE."""
    for fork in forks:
        if fork.process.is_alive:
            fork.call.unwanted = mark
            if cancels:
                fork.process.interrupt()
