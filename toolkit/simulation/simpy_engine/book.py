"""What the parts of the engine share: the book of attempts, a job's call, draws, and late events."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from math import inf, nan
from typing import Any, cast

import simpy

from toolkit.laws import Array
from toolkit.simulation.codes import CUT_OFF, OK

JOB, STAGE, ATTEMPT, QUEUED_S, STARTED_S, ENDED_S, WORKER, OUTCOME, PAUSED_S = range(9)
Row = list[Any]  # an attempt, with the columns above
Steps = Generator[simpy.Event, Any, int]  # steps that end in an outcome
Work = Generator[simpy.Event, Any, None]

# SimPy's own priorities are 0 (urgent) and 1; at one moment these come after all of them, in this order
CALLERS_TIME_OUT, ARRIVAL, OUTAGE_ENDS = 2, 3, 4


class EndlessError(Exception):
    """A run has made so many attempts that it will hardly end."""


class Call:
    """One request for a job's work, and whether anybody still wants the answer."""

    __slots__ = (
        "branch",
        "deadline_s",
        "is_sent",
        "is_silent",
        "job",
        "moved_on",
        "parent",
        "unwanted",
    )

    def __init__(self, job: int, parent: Call | None = None, branch: int = 0) -> None:
        self.job, self.parent, self.branch = job, parent, branch
        self.unwanted: int | None = None  # LATE or DUPLICATE, once nobody waits for it
        self.deadline_s: float = parent.deadline_s if parent else inf
        self.is_silent = False  # it was dropped, and its caller hears nothing
        self.is_sent = False  # as a message, which closes its own rows
        self.moved_on: simpy.Event | None = None  # what the last stage's worker waits for

    def verdict(self) -> int:
        """Return what a good end of this call is worth: OK, LATE or DUPLICATE."""
        call: Call | None = self
        while call is not None:
            if call.unwanted is not None:
                return call.unwanted
            call = call.parent
        return OK

    def move_on(self) -> None:
        """Let go of the worker of the stage before."""
        if self.moved_on is not None:
            self.moved_on.succeed()
            self.moved_on = None


class Later(simpy.Event):
    """A time-out that comes after everything else of its moment but what ranks still lower."""

    def __init__(self, env: simpy.Environment, delay_s: float, rank: int) -> None:
        super().__init__(env)
        self._ok, self._value = True, None
        env.schedule(self, rank, delay_s)  # type: ignore[arg-type]


class Draws(dict[int, Sequence[float]]):
    """Rows of draws, one for each attempt number, made when first looked up."""

    def __init__(self, draw: Callable[[int], Array]) -> None:
        super().__init__()
        self._draw = draw

    def __missing__(self, attempt: int) -> Sequence[float]:
        # gives plain floats, as they are asked for: SimPy's arithmetic is several times slower on numpy's
        row = cast("Sequence[float]", self._draw(attempt).data)
        self[attempt] = row
        return row


def new_row(job: int, stage: int, attempt: int, queued_s: float, paused_s: float) -> Row:
    """Return the row of an attempt that has come to a stage's door."""
    return [job, stage, attempt, queued_s, nan, nan, -1, CUT_OFF, paused_s]
