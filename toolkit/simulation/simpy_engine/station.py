"""The two simplest stages: one shared queue, a ``simpy.Resource``; and no queue, all served at once."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

import simpy

from toolkit.design import Stage
from toolkit.simulation.codes import ABANDONED, CANCELLED, DEAD, DONE
from toolkit.simulation.simpy_engine.book import (
    ATTEMPT,
    JOB,
    STARTED_S,
    WORKER,
    Call,
    Row,
    Steps,
    Work,
)
from toolkit.simulation.simpy_engine.door import Door

if TYPE_CHECKING:
    from toolkit.simulation.simpy_engine.system import System


class Station(Door):
    """Workers that share one first-come-first-served queue."""

    def __init__(self, system: System, number: int, stage: Stage) -> None:
        super().__init__(system, number, stage)
        self.workers = simpy.Resource(system.env, stage.workers)
        self.idle = list(range(stage.workers))  # a heap: the lowest number works first

    def full(self, capacity: int) -> bool:
        """Say whether the stage has no place left, waiting or in service."""
        return self.workers.count + len(self.workers.queue) >= capacity

    def enter(self, row: Row, call: Call) -> Steps:
        """Queue for a worker, be served, and learn whether it worked."""
        if self.stage.capacity is not None and self.full(self.stage.capacity):
            return self.turn_away(row, call)
        if call.moved_on is not None:
            call.move_on()
        with self.workers.request() as turn:
            yield turn
            if call.deadline_s < self.env.now:
                self.close_row(row, CANCELLED)
                return ABANDONED
            row[STARTED_S] = self.env.now
            row[WORKER] = worker = heappop(self.idle)
            try:
                yield self.env.timeout(self.service_s[row[ATTEMPT]][row[JOB]])
            finally:
                heappush(self.idle, worker)
        return DONE if self.close_served(row, call) else DEAD


class SharedStation(Door):
    """Processor sharing: all jobs are served at once, each as fast as the workers allow.

    With n jobs inside each goes at ``min(1, workers / n)``.  One number moves: the work that a job
    which was there all the time would have got; a job ends when it has grown by the job's own work.
    """

    def __init__(self, system: System, number: int, stage: Stage) -> None:
        super().__init__(system, number, stage)
        self.given_s, self.since_s = 0.0, 0.0
        self.ends: list[tuple[float, int, simpy.Event]] = []  # a heap of (given_s at its end, ...)
        self.entered = count()  # decides among equals
        self.plan = 0  # the number of the plan for the next end; older ones are void

    def enter(self, row: Row, call: Call) -> Steps:
        """Be served together with all the others."""
        if self.stage.capacity is not None and len(self.ends) >= self.stage.capacity:
            return self.turn_away(row, call)
        call.move_on()
        self.catch_up()
        row[STARTED_S], row[WORKER] = self.env.now, 0
        end, work_s = self.env.event(), self.service_s[row[ATTEMPT]][row[JOB]]
        place = (self.given_s + work_s, next(self.entered), end)
        heappush(self.ends, place)
        self.plan_next()
        try:
            yield end
        except simpy.Interrupt:
            self.catch_up()
            if place in self.ends:  # else it has ended at this moment
                self.ends.remove(place)
                heapify(self.ends)
            self.plan_next()
            raise
        return DONE if self.close_served(row, call) else DEAD

    def catch_up(self) -> None:
        """Move the given work on to now."""
        self.given_s += (self.env.now - self.since_s) * self.pace()
        self.since_s = self.env.now

    def pace(self) -> float:
        """Return how fast each job is served."""
        return min(1.0, self.stage.workers / len(self.ends)) if self.ends else 0.0

    def plan_next(self) -> None:
        """Plan the next end, if nothing comes in between."""
        self.plan += 1
        if self.ends:
            left_s = max(0.0, self.ends[0][0] - self.given_s) / self.pace()
            self.env.process(self.end_after(left_s, self.plan))

    def end_after(self, left_s: float, plan: int) -> Work:
        """End the job that is due, unless the plan has changed."""
        yield self.env.timeout(left_s)
        if plan != self.plan:
            return
        self.catch_up()
        self.given_s, _, end = heappop(self.ends)  # exactly, whatever the sums have rounded to
        end.succeed()
        self.plan_next()
