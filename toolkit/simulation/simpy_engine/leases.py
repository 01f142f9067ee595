"""Who holds a message, until when, and what comes of it.

A lease ends when the message is acknowledged, when its time is up, when its holder dies and the broker
notices, or when it is handed back.  What is not deleted by then is delivered again, as a new row.
"""

from __future__ import annotations

from math import ceil, floor, inf, isnan
from typing import TYPE_CHECKING

from toolkit.design import Delivery, Stage
from toolkit.simulation.codes import (
    CANCELLED,
    DEAD,
    DONE,
    DUPLICATE,
    LOST,
    OK,
    PREEMPTED,
    TURNED_AWAY,
)
from toolkit.simulation.simpy_engine.book import ATTEMPT, JOB, OUTCOME, Draws, Row, Work, new_row
from toolkit.simulation.simpy_engine.door import Door
from toolkit.simulation.simpy_engine.message import Lease, Message
from toolkit.simulation.simpy_engine.queues import Queue
from toolkit.simulation.streams import Purpose

if TYPE_CHECKING:
    from toolkit.simulation.simpy_engine.instance import Instance
    from toolkit.simulation.simpy_engine.system import System


class Leases(Door):
    """A stage's queue and the leases on its messages; who gets them is decided elsewhere."""

    instances: list[Instance]

    def __init__(self, system: System, number: int, stage: Stage, *, holds: bool = False) -> None:
        super().__init__(system, number, stage)
        self.delivery = stage.delivery or Delivery()
        self.holds = holds  # a worker keeps its job until the next stage has a place
        self.away = 0  # dead instances that will be back
        name, streams = stage.name, system.streams
        order = "priority" if stage.order == "preemptive" else stage.order
        self.queue = Queue(order, self.rank, streams.sequence(Purpose.ORDER, name))
        self.poison = Draws(lambda k: streams.at_stage(Purpose.POISON, name, k))

    def enqueue(self, message: Message, *, to_head: bool = False) -> None:
        """Put a message in line."""
        raise NotImplementedError

    def match(self, asker: Instance | None = None) -> None:
        """Bring messages and instances together."""
        raise NotImplementedError

    def leave_place(self) -> None:
        """Give up a job's place in the stage."""
        raise NotImplementedError

    def rank(self, message: Message) -> float:
        """Return what decides who is next, where it is not the time of arrival."""
        if self.stage.order == "shortest":
            return self.service_s[message.row[ATTEMPT]][message.job]
        classes = self.system.classes
        return 0.0 if classes is None else float(classes[message.job])

    def is_poison(self, job: int) -> bool:
        """Say whether ``job`` kills whoever runs it."""
        return bool(self.delivery.poison) and self.poison[1][job] < self.delivery.poison

    def close(self, row: Row, outcome: int) -> None:
        """Write down how an attempt ended, now; it is under way no longer."""
        self.close_row(row, outcome)
        self.system.open_rows -= 1

    def settle(self, message: Message, outcome: int) -> None:
        """Tell whoever waits for the message what came of it; only the first word counts."""
        if not message.is_settled:
            message.is_settled = True
            self.leave_place()
            message.answer.succeed(outcome)

    # --- how a lease begins, and ends well or badly ---

    def lend(self, message: Message, instance: Instance) -> Lease | None:
        """Lend a message to an instance; ``None`` if it has been delivered too often already."""
        if message.deliveries == self.delivery.max_deliveries:
            self.close(message.row, TURNED_AWAY)
            self.bury(message)
            return None
        message.deliveries += 1
        message.lease = lease = Lease(message, instance, self.env.now)
        if message.group is not None:
            self.queue.locked[message.group] += 1
        if self.delivery.visibility is not None:
            self.env.process(self.watch(lease))
        return lease

    def finish(self, lease: Lease) -> None:
        """Take note of a run that came to its end."""
        message, row = lease.message, lease.row
        worked = self.close_served(row, message.call)
        self.system.open_rows -= 1
        if row[OUTCOME] == OK and message.is_settled:
            row[OUTCOME] = DUPLICATE
        if worked and self.holds and not message.is_settled:
            message.call.moved_on = self.env.event()
        if worked or message.is_settled:
            self.acknowledge(lease)
            self.settle(message, DONE)
        elif self.delivery.on_failure == "retry":
            if lease.is_open or message.is_deleted:  # else another copy of it decides
                self.acknowledge(lease)
                self.settle(message, DEAD)
        elif self.delivery.on_failure == "return" and lease.is_open:
            self.put_back(lease)

    def acknowledge(self, lease: Lease) -> None:
        """Delete a message on its holder's word, if that still counts."""
        message, rule = lease.message, self.delivery.visibility
        lease.instance.uncount(lease)
        if lease.is_open:
            self.end_lease(lease)
            message.is_deleted = True
            self.match()
        elif rule is not None and not message.is_deleted:
            is_latest = rule.receipt == "delivery" and message.lease is lease
            if rule.receipt in ("series", "always") or is_latest:
                message.is_deleted = True
                if message.is_queued and rule.receipt != "series":
                    self.queue.withdraw(message)
                    self.close(message.row, CANCELLED)

    def end_lease(self, lease: Lease) -> None:
        """End a lease; the next of its group may go."""
        lease.is_open = False
        group = lease.message.group
        if group is not None:
            self.queue.locked[group] -= 1

    def bury(self, message: Message) -> None:
        """Make a message a dead letter."""
        message.is_deleted = True
        self.settle(message, DEAD)
        self.match()

    def put_back(self, lease: Lease) -> None:
        """Put a message back in the queue that is the holder's own or still lent to it."""
        message = lease.message
        is_own = message.is_deleted and not message.is_settled and message.lease is lease
        if lease.is_open:
            self.end_lease(lease)
        elif not is_own:
            return  # its time was up, and the broker has given it back already
        message.is_deleted = False
        self.deliver_again(message, to_head=self.delivery.requeue == "head")

    def give_back(self, lease: Lease) -> None:
        """End a lease that has run out, if it has not ended before."""
        if lease.is_open:
            self.end_lease(lease)
            if lease.message.is_deleted:
                self.match()
            else:
                self.deliver_again(lease.message, to_head=self.delivery.give_back == "head")

    def deliver_again(self, message: Message, *, to_head: bool) -> None:
        """Put a message that is not done back in the queue, or bury it."""
        delivery = self.delivery
        is_last = message.deliveries == delivery.max_deliveries
        if is_last and delivery.dead_letter_on == "return":
            self.bury(message)
            return
        message.row = self.open_row(message.job, max(self.env.now, message.due_s))
        self.system.open_rows += 1
        self.enqueue(message, to_head=to_head)

    def withdraw(self, message: Message, outcome: int) -> None:
        """Take a message back wherever it is; nobody waits for its answer any more."""
        if message.is_settled:
            return
        message.is_settled = message.is_deleted = True
        self.leave_place()
        lease, is_queued = message.lease, message.is_queued
        if is_queued:
            self.queue.withdraw(message)
        if lease is not None and lease.is_open:
            self.end_lease(lease)
        if is_queued or lease is None or lease.is_alive:
            self.close(message.row, outcome)
        if lease is not None and lease.is_alive and not is_queued:
            lease.instance.stop(lease)
        self.match()

    def preempt(self, lease: Lease) -> None:
        """Put a running message back in its place in line, with what is left of its service."""
        message, row = lease.message, lease.row
        if isnan(message.left_s):
            message.left_s = self.service_s[row[ATTEMPT]][row[JOB]]
        # never less than nothing, whatever the sums have rounded to
        message.left_s = max(0.0, message.left_s - (self.env.now - lease.started_s))
        self.close(row, PREEMPTED)
        lease.is_open = False
        message.row = new_row(row[JOB], self.number, row[ATTEMPT], self.env.now, 0.0)
        self.book.append(message.row)
        self.system.open_rows += 1
        self.queue.push(message, to_head=True)
        lease.instance.stop(lease)

    # --- death and time ---

    def slot_died(self, lease: Lease) -> None:
        """Decide what becomes of a message whose slot died while its instance lives."""
        if not lease.is_open:
            self.lose(lease)
        elif self.delivery.slot_crash == "requeue":
            self.put_back(lease)
        else:
            self.acknowledge(lease)
            self.settle(lease.message, DEAD if self.delivery.slot_crash == "retry" else LOST)

    def holder_died(self, lease: Lease) -> None:
        """Decide what becomes of a message whose holder died."""
        delivery = self.delivery
        if not lease.is_open:
            self.lose(lease)
        elif delivery.disconnect_s is not None:
            self.env.process(self.notice_death(lease, delivery.disconnect_s))
        elif delivery.visibility is None:
            self.end_lease(lease)
            lease.message.is_deleted = True
            self.lose(lease)

    def lose(self, lease: Lease) -> None:
        """Lose the job, if this was the last copy of its message."""
        message = lease.message
        if message.is_deleted and message.lease is lease:
            self.settle(message, LOST)

    def notice_death(self, lease: Lease, after_s: float) -> Work:
        """Give back what a dead connection held."""
        yield self.env.timeout(after_s)
        self.give_back(lease)

    def watch(self, lease: Lease) -> Work:
        """Give a message back when its time is up, or at the next sweep after that."""
        rule, env = self.delivery.visibility, self.env
        assert rule is not None
        while lease.is_open and (left_s := self.lease_end_s(lease) - env.now) > 0:
            yield env.timeout(left_s)
        if lease.is_open and rule.sweep_every_s is not None:
            yield from self.await_sweep(rule.sweep_first_s, rule.sweep_every_s)
        self.give_back(lease)

    def await_sweep(self, first_s: float, every_s: float) -> Work:
        """Wait for the next sweep that some instance is there to make."""
        sweep = max(0, ceil((self.env.now - first_s) / every_s))
        while True:
            yield self.env.timeout(max(0.0, first_s + sweep * every_s - self.env.now))
            if any(instance.is_up for instance in self.instances):
                return
            if not self.away:
                yield self.env.event()  # nobody is left, and nobody will come back
            sweep += 1

    def lease_end_s(self, lease: Lease) -> float:
        """Return when a lease ends, as things stand."""
        rule = self.delivery.visibility
        assert rule is not None
        since_s = lease.given_s if rule.renews == "held" else lease.started_s
        if rule.renew_every_s is None or isnan(since_s):
            return lease.given_s + rule.timeout_s
        until_s = self.env.now if isnan(lease.ended_s) else lease.ended_s
        until_s = min(until_s, since_s + (rule.renew_for_s or inf))
        renewals = floor((until_s - since_s) / rule.renew_every_s)
        renewed_s = since_s + renewals * rule.renew_every_s if renewals else lease.given_s
        return renewed_s + rule.timeout_s
