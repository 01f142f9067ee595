"""Jobs that are not due yet, kept by a poller."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from toolkit.design import Poller
from toolkit.simulation.simpy_engine.book import Work
from toolkit.simulation.simpy_engine.message import Message

if TYPE_CHECKING:
    from toolkit.simulation.simpy_engine.broker import Broker
    from toolkit.simulation.simpy_engine.instance import Instance


class PollerAtWork:
    """Jobs that are not due yet, and the instances' looks at them."""

    def __init__(self, broker: Broker, rule: Poller) -> None:
        self.broker, self.rule = broker, rule
        self.kept: list[tuple[float, int, Message]] = []  # a heap by due time
        self.entries = 0

    def keep(self, message: Message) -> None:
        """Keep a message until somebody looks after it is due."""
        self.entries += 1
        heappush(self.kept, (message.due_s, self.entries, message))

    def look_now_and_then(self, instance: Instance) -> Work:
        """Release all that is due, sleep, and again, as long as the instance lives."""
        rule, broker, life = self.rule, self.broker, instance.buffer
        low_s, high_s = rule.first_low_s, rule.first_high_s
        while True:
            yield broker.env.timeout(low_s + next(instance.luck) * (high_s - low_s))
            low_s, high_s = rule.low_s, rule.high_s
            if instance.buffer is not life or broker.system.is_over():
                return
            while self.kept and self.kept[0][0] <= broker.env.now:
                message = heappop(self.kept)[2]
                if not message.is_deleted:
                    broker.enqueue(message)
