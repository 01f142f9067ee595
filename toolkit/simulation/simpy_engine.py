"""The engine to read: a queueing system as SimPy processes.

A source starts a process for each job; a job visits the stages in order; a stage is a
``simpy.Resource`` with one slot a worker.  What happens is written down as it happens: a row is
opened when an attempt comes to the stage's door and is filled in as it goes on, so whatever the end
of a run cuts off stays visibly unfinished.

SimPy orders events by (time, priority, order of creation).  That order decides ties, and it is part
of the meaning of a design: another engine must follow it.  Two consequences to know:
leaving ``with`` frees the slot at once, but the next in line is served only when SimPy gets to the
release; and a job that arrives in between queues behind those who wait.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heappop, heappush
from itertools import count
from math import nan
from typing import Any

import simpy

from toolkit.design import ATTEMPT_OUTCOMES, OUTCOMES, Design, Stage
from toolkit.laws import Array
from toolkit.simulation.streams import Streams

DONE, DEAD, REJECTED, LIMITED, _, _, UNFINISHED = range(len(OUTCOMES))
OK, FAILED, TURNED_AWAY, CUT_OFF = range(len(ATTEMPT_OUTCOMES))

JOB, STAGE, ATTEMPT, QUEUED_S, STARTED_S, ENDED_S, WORKER, OUTCOME = range(8)
Row = list[Any]  # an attempt, with the columns above
Steps = Generator[simpy.Event, Any, int]


class System:
    """A design at work in a SimPy environment, and the book in which it writes."""

    def __init__(self, design: Design, streams: Streams) -> None:
        self.env = simpy.Environment()
        self.attempts: list[Row] = []
        self.arrived_s: list[float] = []
        self.finished_s = [nan] * streams.jobs
        self.outcomes = [UNFINISHED] * streams.jobs
        self.stations = [
            Station(self.env, number, stage, streams, self.attempts)
            for number, stage in enumerate(design.stages)
        ]
        self.env.process(self.source(streams.gaps_s(design.arrivals).tolist()))

    def source(self, gaps_s: list[float]) -> Generator[simpy.Event, Any, None]:
        """Send the jobs on their way, each after its gap."""
        for job, gap_s in enumerate(gaps_s):
            yield self.env.timeout(gap_s)
            self.arrived_s.append(self.env.now)
            self.env.process(self.journey(job))

    def journey(self, job: int) -> Generator[simpy.Event, Any, None]:
        """Take one job through all stages, or as far as it gets."""
        outcome = DONE
        for station in self.stations:
            outcome = yield from station.visit(job)
            if outcome != DONE:
                break
        self.finished_s[job] = self.env.now
        self.outcomes[job] = outcome


class Station:
    """One stage at work: its queue and workers, its limiter, its draws."""

    def __init__(
        self, env: simpy.Environment, number: int, stage: Stage, streams: Streams, book: list[Row]
    ) -> None:
        self.env, self.number, self.stage, self.book = env, number, stage, book
        self.workers = simpy.Resource(env, stage.workers)
        self.idle = list(range(stage.workers))  # a heap: the lowest number works first
        self.bucket = stage.limiter.start() if stage.limiter else None
        self.service_s = Draws(lambda k: streams.services_s(stage.service, stage.name, k))
        self.failure = Draws(lambda k: streams.failures(stage.name, k))
        self.jitter = Draws(lambda k: streams.jitters(stage.name, k))

    def visit(self, job: int) -> Steps:
        """Take ``job`` from the door to its outcome in this stage, retries included."""
        retry, pause_s = self.stage.retry, None
        for attempt in count(1):
            row = [job, self.number, attempt, self.env.now, nan, nan, -1, CUT_OFF]
            self.book.append(row)
            if attempt == 1 and self.bucket and not (yield from self.take_token()):
                return self.turn_away(row, LIMITED)
            if self.full():
                return self.turn_away(row, REJECTED)
            yield from self.work(row)
            if row[OUTCOME] == OK:
                return DONE
            if retry is None or attempt > retry.max_retries:
                return DEAD
            pause_s = retry.backoff.pause_s(attempt - 1, self.jitter[attempt][job], pause_s)
            yield self.env.timeout(pause_s)
        raise AssertionError("unreachable: attempts are counted without end")

    def work(self, row: Row) -> Generator[simpy.Event, Any, None]:
        """Queue for a worker, be served, and learn whether it worked."""
        job, attempt = row[JOB], row[ATTEMPT]
        with self.workers.request() as turn:
            yield turn
            row[STARTED_S] = self.env.now
            row[WORKER] = worker = heappop(self.idle)
            yield self.env.timeout(self.service_s[attempt][job])
            heappush(self.idle, worker)
        row[ENDED_S] = self.env.now
        chance = self.stage.failure
        row[OUTCOME] = FAILED if chance and self.failure[attempt][job] < chance else OK

    def take_token(self) -> Generator[simpy.Event, Any, bool]:
        """Take a token from the limiter, waiting for it if that is the rule; say if there was one."""
        assert self.bucket is not None
        assert self.stage.limiter is not None
        now_s = self.env.now
        if self.stage.limiter.when_empty == "drop":
            return self.bucket.admit(now_s)
        granted_s = self.bucket.reserve(now_s)
        if granted_s > now_s:
            yield self.env.timeout(granted_s - now_s)
        return True

    def full(self) -> bool:
        """Say whether the stage has no place left, waiting or in service."""
        capacity = self.stage.capacity
        return capacity is not None and self.workers.count + len(self.workers.queue) >= capacity

    def turn_away(self, row: Row, outcome: int) -> int:
        """Close the row of an attempt that was not let in; return the job's outcome."""
        row[ENDED_S], row[OUTCOME] = self.env.now, TURNED_AWAY
        return outcome


class Draws(dict[int, list[float]]):
    """Rows of draws, one for each attempt number, made when first looked up."""

    def __init__(self, draw: Callable[[int], Array]) -> None:
        super().__init__()
        self._draw = draw

    def __missing__(self, attempt: int) -> list[float]:
        # plain floats: SimPy's arithmetic is several times slower on numpy's
        row: list[float] = self._draw(attempt).tolist()
        self[attempt] = row
        return row
