"""The engine to read: a queueing system as SimPy processes.

A source starts a process for each job; a job visits the stages in order; what happens is written down
as it happens: a row is opened when an attempt comes to a stage's door and is filled in as it goes on,
so whatever the end of a run cuts off stays visibly unfinished.

SimPy orders events by (time, priority, order of creation).  That order decides ties, and it is part
of the meaning of a design: another engine must follow it.  Three consequences to know.
In a plain stage leaving ``with`` frees the slot at once, but the next in line is served only when
SimPy gets to the release; a job that arrives in between queues behind those who wait.
Behind a ``Broker`` a freed slot takes its next message at once.
Where a design has callers, services end before callers give up, and those before jobs arrive.
"""

from __future__ import annotations

import gc
from itertools import count
from math import nan
from typing import TYPE_CHECKING

import simpy

from toolkit.arrivals import Closed
from toolkit.design import Design, Stage
from toolkit.laws import Array
from toolkit.simulation.codes import DONE, UNFINISHED, most_rows
from toolkit.simulation.simpy_engine.book import (
    ARRIVAL,
    Call,
    Draws,
    EndlessError,
    Later,
    Row,
    Steps,
    Work,
)
from toolkit.simulation.simpy_engine.broker import Broker
from toolkit.simulation.simpy_engine.caller import CallerAtWork
from toolkit.simulation.simpy_engine.door import Door
from toolkit.simulation.simpy_engine.station import SharedStation, Station
from toolkit.simulation.streams import Purpose, Streams

if TYPE_CHECKING:
    from collections.abc import Iterator


class System:
    """A design at work in a SimPy environment, and the book in which it writes."""

    def __init__(self, design: Design, streams: Streams, *, is_bounded: bool = False) -> None:
        self.env, self.design, self.streams = simpy.Environment(), design, streams
        self.attempts: list[Row] = []
        self.arrived_s: list[float] = []
        self.finished_s = [nan] * streams.jobs
        self.outcomes = [UNFINISHED] * streams.jobs
        self.unsettled, self.open_rows, self.open_forks = streams.jobs, 0, 0
        most, self.most_rows_at_once = most_rows(streams.jobs)
        self.most_rows = None if is_bounded else most
        self.moment_s, self.made_before = 0.0, 0  # this moment, and the rows made before it
        shares = {kind.name: kind.share for kind in design.classes}
        self.classes = streams.classes(shares) if shares else None
        self.tries = 0  # of callers, beside the first
        self.stations = [self.build(number, stage) for number, stage in enumerate(design.stages)]
        self.callers = [
            CallerAtWork(self, level, caller) for level, caller in enumerate(design.callers)
        ]
        names = [stage.name for stage in design.stages]
        self.next_at = [
            None if stage.routes is None else [(names.index(n), p) for n, p in stage.routes.items()]
            for stage in design.stages
        ]
        self.has_routes = any(routes is not None for routes in self.next_at)
        self.route = [
            Draws(lambda k, name=stage.name: streams.at_stage(Purpose.ROUTE, name, k))  # type: ignore[misc]
            for stage in design.stages
        ]
        self.start_sources()

    def build(self, number: int, stage: Stage) -> Door:
        """Return a stage at work: the simplest kind that can do what it says."""
        follows = self.design.stages[number + 1 : number + 2]
        # tasks are joined before the job goes on, so none of their workers waits with it
        holds = bool(follows) and follows[0].when_full == "block" and stage.fan_out is None
        if stage.order == "shared":
            return SharedStation(self, number, stage)
        special = (stage.delivery, stage.patience, stage.fan_out, stage.shed)
        if stage.order != "fifo" or any(special) or stage.outages or holds:
            return Broker(self, number, stage, holds=holds)
        return (
            Broker(self, number, stage)
            if stage.when_full == "block"
            else Station(self, number, stage)
        )

    def services_s(self, stage: Stage, attempt: int) -> Array:
        """Return the service time in seconds of every job's attempt number ``attempt``."""
        return self.streams.stage_services_s(self.design, stage, self.classes, attempt)

    def start_sources(self) -> None:
        """Start whoever sends the jobs."""
        arrivals = self.design.arrivals
        if isinstance(arrivals, Closed):
            think_s = Draws(lambda k: self.streams.thinks_s(arrivals.think, arrivals.users, k))
            numbers = iter(range(self.streams.jobs))
            for user in range(arrivals.users):
                self.env.process(self.user(user, think_s, numbers))
        else:
            self.env.process(self.source(self.streams.gaps_s(arrivals).tolist()))

    def source(self, gaps_s: list[float]) -> Work:
        """Send the jobs on their way, each after its gap."""
        for job, gap_s in enumerate(gaps_s):
            yield Later(self.env, gap_s, ARRIVAL) if self.callers else self.env.timeout(gap_s)
            self.arrived_s.append(self.env.now)
            self.env.process(self.life(job))

    def user(self, user: int, think_s: Draws, numbers: Iterator[int]) -> Work:
        """Think, send a job, wait for its outcome, and again, as long as there are jobs to send."""
        for turn in count():
            yield self.env.timeout(think_s[turn][user])
            job = next(numbers, None)
            if job is None:
                return
            self.arrived_s.append(self.env.now)
            yield from self.life(job)

    def life(self, job: int) -> Work:
        """Take one job from its arrival to its outcome."""
        call = Call(job)
        outcome = yield from self.ask(0, call) if self.callers else self.journey(call)
        self.finished_s[job], self.outcomes[job] = self.env.now, outcome
        self.unsettled -= 1

    def ask(self, level: int, call: Call) -> Steps:
        """Let the caller at ``level`` ask for the job's work, or do it if there is none."""
        if level < len(self.callers):
            return (yield from self.callers[level].call(call))
        return (yield from self.journey(call))

    def journey(self, call: Call) -> Steps:
        """Take one call through the stages, or as far as it gets."""
        number, visits = 0, [0] * len(self.stations) if self.has_routes else []
        while number < len(self.stations):
            station, job = self.stations[number], call.job
            if station.stage.share == 1 or station.is_for(job):
                outcome = yield from station.visit(call)
                if outcome != DONE:
                    call.move_on()
                    return outcome
            number = self.next_number(number, job, visits) if self.has_routes else number + 1
        call.move_on()
        return DONE

    def next_number(self, number: int, job: int, visits: list[int]) -> int:
        """Return the stage that comes next, the number of stages for none."""
        routes = self.next_at[number]
        if routes is None:
            return number + 1
        visits[number] += 1
        luck = self.route[number][visits[number]][job]
        for follower, share in routes:
            if luck < share:
                return follower
            luck -= share
        return len(self.stations)

    def is_over(self) -> bool:
        """Say whether all has been settled, so that whoever looks now and then may stop."""
        return self.unsettled == 0 and self.open_rows == 0 and self.open_forks == 0

    def check_endless(self) -> None:
        """Stop a run that makes attempts without end: without a horizon, or all at one moment."""
        made = len(self.attempts) + self.tries
        if self.env.now > self.moment_s:
            self.moment_s, self.made_before = self.env.now, made
        is_over = self.most_rows and made > self.most_rows
        if is_over or made - self.made_before > self.most_rows_at_once:
            raise EndlessError

    def run(self, horizon_s: float | None) -> bool:
        """Run to the end or the horizon; say whether it was stopped because it did not end.

        What is under way is alive, however long one looks for garbage; with ten thousands of requests
        waiting that search would take most of the time, so it waits until the run is over.
        """
        was_collecting = gc.isenabled()
        gc.disable()
        try:
            self.env.run(until=horizon_s)
        except EndlessError:
            return True
        finally:
            if was_collecting:
                gc.enable()
        return False
