"""An instance: a process that fetches messages, keeps them in memory, and has slots to run them in.

A message goes: received -> (held until due) -> buffer -> (rate limit) -> a slot -> done.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from math import inf, isnan
from typing import TYPE_CHECKING

import simpy

from toolkit.design import Crash, InMemory, Poll
from toolkit.simulation.codes import ABANDONED, CANCELLED, CRASHED, REJECTED, TURNED_AWAY
from toolkit.simulation.simpy_engine.book import ATTEMPT, ENDED_S, JOB, STARTED_S, WORKER, Work
from toolkit.simulation.simpy_engine.message import Lease
from toolkit.simulation.streams import Purpose

if TYPE_CHECKING:
    from toolkit.simulation.simpy_engine.broker import Broker


class Instance:
    """One process of a stage's workers."""

    def __init__(self, broker: Broker, number: int, slots: range) -> None:
        self.broker, self.env, self.number, self.slots = broker, broker.env, number, slots
        self.delivery = delivery = broker.delivery
        per_instance = delivery.limiter if delivery.limiter_per == "instance" else None
        self.bucket = per_instance.start() if per_instance else None
        self.luck = broker.system.streams.sequence(Purpose.POLLER, broker.stage.name, number)
        self.asks = 0  # how often it stands in line for a message
        self.start()

    def start(self) -> None:
        """Come up with empty hands."""
        self.is_up, self.is_stopping = True, False
        self.idle = list(self.slots)  # a heap: the lowest number works first
        self.buffer: deque[Lease] = deque()
        self.held: dict[Lease, None] = {}  # not due yet, in order of delivery
        self.running: dict[Lease, int] = {}  # lease: slot
        self.unacked = 0
        self.next_start_s = 0.0  # the rate limit's; the buffer's head has its token for then
        self.freed = self.env.event()
        if isinstance(self.delivery.fetch, Poll):
            self.env.process(self.poll(self.delivery.fetch))
        if self.broker.poller is not None:
            self.env.process(self.broker.poller.look_now_and_then(self))

    # --- fetching ---

    def load(self) -> int:
        """Return how many messages it has, waiting and running."""
        return len(self.buffer) + len(self.running)

    def room(self) -> float:
        """Return how many more messages it may fetch."""
        if not self.is_up or self.is_stopping:
            return 0
        delivery = self.delivery
        if delivery.prefetch == 0:
            return len(self.idle) - len(self.buffer)
        most = delivery.prefetch + len(self.held)
        if isinstance(delivery.delayed, InMemory) and delivery.delayed.most is not None:
            most = min(most, delivery.delayed.most)
        return most - self.unacked

    def wanted(self) -> int:
        """Return how often it should stand in line: once for each idle slot, or for its one connection."""
        fetch, room = self.delivery.fetch, self.room()
        refill_at = getattr(fetch, "refill_at", None)
        if room < 1 or (refill_at is not None and self.load() > refill_at):
            return 0
        return int(room) if self.delivery.prefetch == 0 and refill_at is None else 1

    def poll(self, rule: Poll) -> Work:
        """Look for messages; sleep when there are none, wait for room when there is none."""
        buffer, system = self.buffer, self.broker.system
        yield self.env.timeout(next(self.luck) * rule.every_s)
        while self.buffer is buffer and not system.is_over():  # a restart brings a new buffer
            if self.wanted() == 0:
                self.freed = self.env.event()
                yield self.freed
            elif self.broker.take(self, rule.batch) == 0:
                sleep = self.env.timeout(rule.every_s)
                yield sleep | self.broker.woken if rule.wakes else sleep

    def receive(self, lease: Lease) -> None:
        """Take a message into memory."""
        self.unacked += 1
        if self.delivery.ack == "fetch":
            self.broker.acknowledge(lease)
        if lease.message.due_s > self.env.now:
            self.held[lease] = None
            self.env.process(self.hold(lease))
        else:
            self.buffer.append(lease)
            self.start_next()

    def hold(self, lease: Lease) -> Work:
        """Keep a message until it is due."""
        while (left_s := lease.message.due_s - self.env.now) > 0:  # again where it was rounded down
            yield self.env.timeout(left_s)
        if lease in self.held:
            self.held.pop(lease, None)
            self.buffer.append(lease)
            self.start_next()

    # --- working ---

    def start_next(self) -> None:
        """Start what can be started."""
        has_started = False
        while self.buffer and self.idle and not self.broker.is_out and not self.has_no_token():
            lease = self.buffer.popleft()
            if not self.drop(lease):
                self.begin(lease, heappop(self.idle))
            has_started = True
        if has_started:
            self.ask()

    def begin(self, lease: Lease, slot: int) -> None:
        """Start a message in a slot."""
        self.running[lease] = slot
        lease.row[STARTED_S] = lease.started_s = self.env.now
        lease.row[WORKER] = slot
        if self.delivery.ack == "start":
            self.broker.acknowledge(lease)
        lease.process = self.env.process(self.run(lease, slot))

    def has_no_token(self) -> bool:
        """Say whether the rate limit makes the head of the buffer wait; then it is started later."""
        if self.bucket is None:
            return False
        ready_s = self.bucket.ready_s(self.env.now)
        if ready_s > self.env.now:
            if self.next_start_s < ready_s:
                self.next_start_s = ready_s
                self.env.process(self.start_later(ready_s))
            return True
        return not self.bucket.admit(self.env.now)

    def start_later(self, at_s: float) -> Work:
        """Start what can be started at ``at_s``."""
        yield self.env.timeout(at_s - self.env.now)
        if self.next_start_s == at_s:
            self.next_start_s = 0.0  # rounding may have woken it too early: it must wake again
        self.start_next()

    def drop(self, lease: Lease) -> bool:
        """Let go of a message that is too late to start; say whether it was."""
        broker, message = self.broker, lease.message
        is_expired = message.call.deadline_s < self.env.now
        if not is_expired and not broker.sheds(message):
            return False
        broker.close(lease.row, CANCELLED if is_expired else TURNED_AWAY)
        self.let_go(lease)
        broker.acknowledge(lease)
        broker.settle(message, ABANDONED if is_expired else REJECTED)
        return True

    def run(self, lease: Lease, slot: int) -> Work:
        """Run a message to its end; whoever interrupts has seen to everything."""
        broker, row, message = self.broker, lease.row, lease.message
        service_s = broker.service_s[row[ATTEMPT]][row[JOB]]
        try:
            yield self.env.timeout(service_s if isnan(message.left_s) else message.left_s)
            lease.ended_s = self.env.now
            if broker.is_poison(row[JOB]):
                self.die_of(lease)
                return
            lease.is_alive = False
            broker.finish(lease)
            if message.call.moved_on is not None:
                yield message.call.moved_on
        except simpy.Interrupt:
            return
        self.let_go(lease)
        self.free(slot)

    def free(self, slot: int) -> None:
        """Give a slot back, and find it work."""
        heappush(self.idle, slot)
        self.start_next()
        self.ask()

    def let_go(self, lease: Lease) -> None:
        """Forget a message."""
        lease.is_alive = False
        self.running.pop(lease, None)
        self.held.pop(lease, None)
        if lease in self.buffer:
            self.buffer.remove(lease)
        self.uncount(lease)

    def uncount(self, lease: Lease) -> None:
        """Count a message no longer as unacknowledged."""
        if lease.is_counted:
            lease.is_counted = False
            self.unacked -= 1

    def ask(self) -> None:
        """Ask for more if there is room."""
        if not self.freed.triggered and isinstance(self.delivery.fetch, Poll):
            self.freed.succeed()
        self.broker.match(self)

    # --- dying ---

    def die_of(self, lease: Lease) -> None:
        """Let a poison job kill its slot or the whole instance."""
        if self.delivery.poison_kills == "slot":
            self.lose_slot(lease, restart_after_s=0.0)
        else:
            self.env.process(self.crash(Crash(at_s=0.0, restart_after_s=self.delivery.restart_s)))

    def lose_slot(self, lease: Lease, restart_after_s: float) -> None:
        """Lose the process of one slot; the instance itself sees it, and lives."""
        slot, is_under_way = self.running[lease], isnan(lease.row[ENDED_S])
        if is_under_way:  # else it is done, and waits for a place in the next stage
            self.broker.close(lease.row, CRASHED)
        self.let_go(lease)
        self.env.process(self.replace_slot(lease if is_under_way else None, slot, restart_after_s))

    def replace_slot(self, lease: Lease | None, slot: int, after_s: float) -> Work:
        """Notice the death of a slot after a while, and start a new process for it."""
        life = self.buffer
        if after_s:
            yield self.env.timeout(after_s)
        is_same_life = self.buffer is life
        if lease is not None:
            (self.broker.slot_died if is_same_life else self.broker.holder_died)(lease)
        if is_same_life:
            self.free(slot)

    def crash(self, plan: Crash) -> Work:
        """Die, or stop with grace, and come back if the plan says so."""
        yield self.env.timeout(plan.at_s)
        if not self.is_up or (self.is_stopping and plan.grace_s is not None):
            return
        if plan.slot is not None:
            victims = [x for x, slot in self.running.items() if slot == self.slots[plan.slot]]
            for lease in victims:
                self.interrupt(lease)
                self.lose_slot(lease, plan.restart_after_s or 0.0)
            return
        if self.is_stopping:
            self.die(hands_back=False)  # the plan of the stop says when it is back
            return
        if plan.grace_s is not None:
            yield from self.wind_down(plan.grace_s)
        if self.is_up:
            self.die(hands_back=plan.grace_s is not None)
        if plan.restart_after_s is not None:
            self.broker.away += 1
            yield self.env.timeout(plan.restart_after_s)
            self.broker.away -= 1
            self.start()
            self.ask()

    def wind_down(self, grace_s: float) -> Work:
        """Fetch no more, hand back what has not started, and let the rest finish for ``grace_s``."""
        self.is_stopping = True
        for lease in [*self.buffer, *self.held]:
            self.end(lease, CANCELLED)
            self.broker.put_back(lease)
        ends_s = self.env.now + grace_s
        while self.running and self.env.now < ends_s:
            ends = [lease.process for lease in self.running if lease.process]
            events: list[simpy.Event] = [*ends]
            if ends_s < inf:
                events.append(self.env.timeout(ends_s - self.env.now))
            yield simpy.AnyOf(self.env, events)

    def die(self, *, hands_back: bool) -> None:
        """Lose all that is in memory and in the slots."""
        leases = [*self.running, *self.buffer, *self.held]
        for lease in leases:
            self.interrupt(lease)
            self.end(lease, CRASHED)
        self.is_up, self.buffer = False, deque()
        for lease in leases:
            if hands_back:
                self.broker.put_back(lease)
            else:
                self.broker.holder_died(lease)

    def stop(self, lease: Lease) -> None:
        """Take a message out of its slot, and find the slot other work."""
        slot = self.running.get(lease)
        self.interrupt(lease)
        self.let_go(lease)
        if slot is not None:
            self.free(slot)
        else:
            self.ask()

    def end(self, lease: Lease, outcome: int) -> None:
        """Close the row of a message that goes no further here."""
        lease.ended_s = self.env.now
        if isnan(lease.row[ENDED_S]):
            self.broker.close(lease.row, outcome)
        self.let_go(lease)

    def interrupt(self, lease: Lease) -> None:
        """Stop a run; not one that is at its end by itself."""
        process = lease.process
        if process and process.is_alive and process is not self.env.active_process:
            process.interrupt()
