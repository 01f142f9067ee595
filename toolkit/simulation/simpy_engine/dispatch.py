"""Who gets the next message: the broker pushes, instances ask in line, or they come and look."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from toolkit.design import BlockingPop, Poll, Push, Stage
from toolkit.simulation.simpy_engine.book import Work
from toolkit.simulation.simpy_engine.instance import Instance
from toolkit.simulation.simpy_engine.leases import Leases
from toolkit.simulation.simpy_engine.message import Lease
from toolkit.simulation.streams import Purpose

if TYPE_CHECKING:
    from toolkit.simulation.simpy_engine.system import System


class Dispatch(Leases):
    """The way from a stage's queue to its instances."""

    def __init__(self, system: System, number: int, stage: Stage, *, holds: bool = False) -> None:
        super().__init__(system, number, stage, holds=holds)
        self.outages = 0
        self.is_matching, self.turn = False, 0
        self.line: deque[Instance] = deque()  # who asks, longest first
        self.luck = system.streams.sequence(Purpose.CHOICE, stage.name)
        self.next_token_s = 0.0
        delivery = self.delivery
        per_queue = delivery.limiter if delivery.limiter_per == "queue" else None
        self.queue_bucket = per_queue.start() if per_queue else None

    @property
    def is_out(self) -> bool:
        """Whether there is an outage: nothing starts."""
        return self.outages > 0

    def match(self, asker: Instance | None = None) -> None:
        """Bring messages and instances together, as long as there are both."""
        if asker is not None:
            self.line_up(asker)
        if self.is_matching:
            return  # the loop below is under way, and will see what has changed
        self.is_matching = True
        while self.deliver():
            pass
        self.is_matching = False

    def line_up(self, instance: Instance) -> None:
        """Let an instance ask as often as it wants messages."""
        if isinstance(self.delivery.fetch, BlockingPop):
            while instance.asks < instance.wanted():
                instance.asks += 1
                self.line.append(instance)

    def deliver(self) -> bool:
        """Give one instance what it may take; say whether anything moved."""
        fetch = self.delivery.fetch
        waits_for_slots = self.is_out and self.delivery.prefetch == 0
        if not self.queue or waits_for_slots or isinstance(fetch, Poll):
            return False
        if isinstance(fetch, Push):
            instance = self.choose(fetch)
            return instance is not None and self.take(instance, 1) > 0
        while self.line:
            instance = self.line.popleft()
            instance.asks -= 1
            if instance.wanted():
                moved = self.take(instance, fetch.batch) > 0
                if not moved:
                    instance.asks += 1
                    self.line.appendleft(instance)
                self.line_up(instance)
                return moved
        return False

    def choose(self, rule: Push) -> Instance | None:
        """Choose an instance with room."""
        if rule.to == "each":
            first = self.queue.first()
            instance = self.instances[first.call.branch if first else 0]
            return instance if instance.room() >= 1 else None
        ready = [instance for instance in self.instances if instance.room() >= 1]
        if not ready:
            return None
        if rule.to == "random":
            return ready[int(next(self.luck) * len(ready))]
        if rule.to == "shortest":
            return min(self.sample(ready, rule), key=Instance.load)
        self.turn = next((i.number for i in ready if i.number >= self.turn), ready[0].number)
        chosen = self.instances[self.turn]
        self.turn = (self.turn + 1) % len(self.instances)
        return chosen

    def sample(self, ready: list[Instance], rule: Push) -> list[Instance]:
        """Return the instances that are looked at, at random, with or without replacement."""
        if rule.choices is None:
            return ready
        if rule.replacement:
            return [ready[int(next(self.luck) * len(ready))] for _ in range(rule.choices)]
        looked_at = []
        for k in range(min(rule.choices, len(ready))):
            place = k + int(next(self.luck) * (len(ready) - k))
            ready[k], ready[place] = ready[place], ready[k]
            looked_at.append(ready[k])
        return looked_at

    def take(self, instance: Instance, most: int) -> int:
        """Lend ``instance`` up to ``most`` messages, as it has room; return how many it got."""
        leases: list[Lease] = []
        groups: set[int] = set()  # one batch may hold several messages of a group
        room = min(most, instance.room())
        while len(leases) < room and self.queue and not self.has_no_token():
            message = self.queue.pop(groups)
            if message is None:
                break
            if self.queue_bucket:
                self.queue_bucket.admit(self.env.now)
            lease = self.lend(message, instance)
            if lease is not None:
                leases.append(lease)
                if message.group is not None:
                    groups.add(message.group)
        for lease in leases:
            instance.receive(lease)
        return len(leases)

    def has_no_token(self) -> bool:
        """Say whether the queue's rate limit makes all wait; then it is looked at again later."""
        if self.queue_bucket is None:
            return False
        ready_s = self.queue_bucket.ready_s(self.env.now)
        if self.env.now < ready_s and self.next_token_s < ready_s:
            self.next_token_s = ready_s
            self.env.process(self.match_at(ready_s))
        return ready_s > self.env.now

    def match_at(self, at_s: float) -> Work:
        """Bring messages and instances together at ``at_s``."""
        yield self.env.timeout(at_s - self.env.now)
        if self.next_token_s == at_s:
            self.next_token_s = 0.0  # rounding may have woken it too early: it must wake again
        self.match()
