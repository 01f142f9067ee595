"""A stage with a protocol between its queue and its workers; and every order but first come, first served.

A job's attempt becomes a message.  Read it in this order: here, from the door to the queue; ``dispatch``,
from the queue to an instance; ``instance``, from there to a slot; ``leases``, what comes of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from math import isnan
from typing import TYPE_CHECKING, Any

import simpy

from toolkit.design import FanOut, Outage, Poller, Stage
from toolkit.laws import Array, Law
from toolkit.simulation.codes import ABANDONED, CANCELLED, DONE, DUPLICATE, LATE, LEFT
from toolkit.simulation.simpy_engine.book import (
    ATTEMPT,
    OUTAGE_ENDS,
    QUEUED_S,
    Call,
    Draws,
    Later,
    Row,
    Steps,
    Work,
)
from toolkit.simulation.simpy_engine.dispatch import Dispatch
from toolkit.simulation.simpy_engine.forks import Fork, leave
from toolkit.simulation.simpy_engine.instance import Instance
from toolkit.simulation.simpy_engine.message import Message
from toolkit.simulation.simpy_engine.poller import PollerAtWork
from toolkit.simulation.streams import Purpose

if TYPE_CHECKING:
    from toolkit.simulation.simpy_engine.system import System


class Broker(Dispatch):
    """One stage: its door, its queue, its instances, and the leases between them."""

    def __init__(self, system: System, number: int, stage: Stage, *, holds: bool = False) -> None:
        super().__init__(system, number, stage, holds=holds)
        self.puts_off = self.delivery.countdown is not None
        self.inside, self.places = 0, deque[simpy.Event]()
        self.empty_s = 0.0  # when the queue was empty last
        self.woken = self.env.event()
        name, delivery = stage.name, self.delivery
        self.group = Draws(lambda k: system.streams.at_stage(Purpose.GROUP, name, k))
        self.countdown_s = Draws(lambda k: self.waits_s(delivery.countdown, Purpose.COUNTDOWN, k))
        self.patience_s = Draws(lambda k: self.waits_s(stage.patience, Purpose.PATIENCE, k))
        delayed = delivery.delayed
        self.poller = PollerAtWork(self, delayed) if isinstance(delayed, Poller) else None
        self.start_instances()
        for outage in stage.outages:
            self.env.process(self.go_out(outage))

    def start_instances(self) -> None:
        """Start all instances, and whatever will kill them."""
        count = self.delivery.instances
        slots = self.stage.workers // count
        self.instances = [
            Instance(self, k, range(k * slots, (k + 1) * slots)) for k in range(count)
        ]
        for instance in self.instances:
            self.line_up(instance)
        for crash in self.delivery.crashes:
            self.env.process(self.instances[crash.instance].crash(crash))

    def waits_s(self, law: Law | None, purpose: Purpose, attempt: int) -> Array:
        """Return a duration a job."""
        assert law is not None
        return self.system.streams.waits_s(law, purpose, self.stage.name, attempt)

    def full(self) -> bool:
        """Say whether the stage has no place left, waiting or in service."""
        return self.stage.capacity is not None and self.inside >= self.stage.capacity

    def visit(self, call: Call) -> Steps:
        """Take a job from the door to its outcome in this stage, or all of its tasks."""
        if self.stage.fan_out is None:
            return (yield from super().visit(call))
        return (yield from self.split(call, self.stage.fan_out))

    def split(self, call: Call, rule: FanOut) -> Steps:
        """Split a job into tasks, and go on when enough of them are done."""
        call.move_on()
        needed = rule.needed or rule.tasks
        tasks = [
            Fork(self.system, Call(call.job, call, branch), super(Broker, self).visit)
            for branch in range(rule.tasks)
        ]
        try:
            while True:
                yield simpy.AnyOf(self.env, [t.process for t in tasks if t.outcome is None])
                ended = [task.outcome for task in tasks if task.outcome is not None]
                if ended.count(DONE) >= needed:
                    leave(tasks, DUPLICATE, cancels=False)
                    return DONE
                bad = [outcome for outcome in ended if outcome != DONE]
                if len(tasks) - len(bad) < needed:
                    leave(tasks, LATE, cancels=False)
                    return bad[0]
        except simpy.Interrupt:
            leave(tasks, LATE, cancels=True)
            raise

    def put_off(self, call: Call) -> Generator[simpy.Event, Any, tuple[float, float]]:
        """Put the first attempt off by its sender's countdown."""
        return (yield from self.rest(self.countdown_s[self.made[call.job] + 1][call.job]))

    def rest(self, pause_s: float) -> Generator[simpy.Event, Any, tuple[float, float]]:
        """Wait before the next attempt, or leave the waiting to the poller or the worker."""
        if self.delivery.delayed == "broker":
            return (yield from super().rest(pause_s))
        return self.env.now + pause_s, pause_s

    def enter(self, row: Row, call: Call) -> Steps:
        """Go in if there is a place, or wait for one if that is the rule."""
        if self.full():
            if self.stage.when_full != "block":
                return self.turn_away(row, call)
            yield from self.await_place()
        else:
            self.inside += 1
        call.move_on()
        return (yield from self.work(row, call))

    def await_place(self) -> Work:
        """Wait for a place; whoever leaves one hands it over."""
        place = self.env.event()
        self.places.append(place)
        try:
            yield place
        except simpy.Interrupt:
            if place in self.places:
                self.places.remove(place)
            else:
                self.leave_place()
            raise

    def leave_place(self) -> None:
        """Leave the stage, and hand the place to whoever waits for one."""
        if self.places:
            self.places.popleft().succeed()
        else:
            self.inside -= 1

    def work(self, row: Row, call: Call) -> Steps:
        """Send a message for the attempt, and wait for what comes of it."""
        message = Message(self.env.event(), row, call, row[QUEUED_S])
        self.system.open_rows += 1
        if self.delivery.groups:
            message.group = int(self.group[1][call.job] * self.delivery.groups)
        call.is_sent = True
        self.publish(message)
        try:
            outcome = int((yield message.answer))
        except simpy.Interrupt:
            self.withdraw(message, CANCELLED)
            raise
        call.is_sent = False
        return outcome

    def publish(self, message: Message) -> None:
        """Put a new message where it belongs: in the queue, or with the poller until it is due."""
        if self.stage.patience is not None:
            patience_s = self.patience_s[message.row[ATTEMPT]][message.job]
            self.env.process(self.lose_patience(message, patience_s))
        if self.poller is not None and message.due_s > self.env.now:
            self.poller.keep(message)
        else:
            self.enqueue(message)

    def enqueue(self, message: Message, *, to_head: bool = False) -> None:
        """Put a message in line, and see whether somebody can take it."""
        if self.stage.shed:
            if not self.queue:
                self.empty_s = self.env.now
            shed = self.stage.shed
            is_standing = self.empty_s < self.env.now - shed.interval_s
            message.longest_wait_s = shed.target_s if is_standing else shed.interval_s
        self.queue.push(message, to_head=to_head)
        if self.stage.order == "preemptive":
            self.make_way(message)
        if not self.woken.triggered:
            self.woken.succeed()
        self.woken = self.env.event()
        self.match()

    def sheds(self, message: Message) -> bool:
        """Say whether a message has waited too long to be worth its service."""
        waited_s: float = self.env.now - message.row[QUEUED_S]
        return waited_s > message.longest_wait_s

    def lose_patience(self, message: Message, patience_s: float) -> Work:
        """Let a job leave if it still waits ``patience_s`` after it was due."""
        yield self.env.timeout(max(0.0, message.due_s - self.env.now) + patience_s)
        lease = message.lease
        has_started = lease is not None and not isnan(lease.started_s)
        if not message.is_settled and not has_started:
            self.withdraw(message, LEFT)
            message.answer.succeed(ABANDONED)

    def make_way(self, message: Message) -> None:
        """Interrupt the least important run for a more important message, if no slot is idle."""
        (instance,) = self.instances
        running = [lease for lease in instance.running if isnan(lease.ended_s)]
        if instance.idle or not running:
            return
        victim = max(running, key=lambda lease: (self.rank(lease.message), lease.started_s))
        if self.rank(victim.message) > self.rank(message):
            self.preempt(victim)

    def go_out(self, outage: Outage) -> Work:
        """Start nothing for a while."""
        yield self.env.timeout(outage.start_s)
        self.outages += 1
        yield Later(self.env, outage.duration_s, OUTAGE_ENDS)
        self.outages -= 1
        for instance in self.instances:
            instance.start_next()
        self.match()
