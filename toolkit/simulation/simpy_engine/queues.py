"""Who is next: the queue of a broker, in any order.

A message that is withdrawn stays in the queue as a shell and is passed over, so that nothing has to be
searched for; ``len`` counts the live ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.simulation.simpy_engine.message import Message


class Queue:
    """Messages by a key; one that comes back to the head has its old place, one for the tail a new one."""

    def __init__(self, order: str, rank: Callable[[Message], float], luck: Iterator[float]) -> None:
        self.order, self.rank, self.luck = order, rank, luck
        self.heap: list[tuple[Any, ...]] = []
        self.places = count()
        self.live = 0
        self.locked: Counter[int] = Counter()  # messages under way of each group

    def __len__(self) -> int:
        return self.live

    def push(self, message: Message, *, to_head: bool = False) -> None:
        """Put a message in line."""
        if message.place is None or not to_head:
            message.place = next(self.places)
        message.is_queued = True
        self.live += 1
        if self.order == "random":
            self.heap.append((message,))
        else:
            heappush(self.heap, (self.key(message), message.place, message))

    def key(self, message: Message) -> float:
        """Return what decides; the place decides among equals."""
        assert message.place is not None
        if self.order == "lifo":
            return -message.place
        return 0.0 if self.order == "fifo" else self.rank(message)

    def pop(self, open_groups: set[int] | None = None) -> Message | None:
        """Take out the next message whose group is free or in ``open_groups``; ``None`` if there is none."""
        message = (
            self.pop_random() if self.order == "random" else self.pop_first(open_groups or set())
        )
        if message is not None:
            message.is_queued = False
            self.live -= 1
        return message

    def pop_first(self, open_groups: set[int]) -> Message | None:
        """Take out the first that may go; the others keep their places."""
        passed_over, found = [], None
        while self.heap and found is None:
            entry = heappop(self.heap)
            message: Message = entry[-1]
            if not message.is_queued:
                continue
            group = message.group
            if group is not None and self.locked[group] and group not in open_groups:
                passed_over.append(entry)
            else:
                found = message
        for entry in passed_over:
            heappush(self.heap, entry)
        return found

    def pop_random(self) -> Message | None:
        """Take out any one, all alike."""
        self.heap = [entry for entry in self.heap if entry[0].is_queued]
        if not self.heap:
            return None
        chosen = int(next(self.luck) * len(self.heap))
        self.heap[chosen], self.heap[-1] = self.heap[-1], self.heap[chosen]
        message: Message = self.heap.pop()[0]
        return message

    def first(self) -> Message | None:
        """Return the first live message without taking it; groups and chance not considered."""
        if self.order == "random":
            return next((entry[0] for entry in self.heap if entry[0].is_queued), None)
        while self.heap and not self.heap[0][-1].is_queued:
            heappop(self.heap)
        return self.heap[0][-1] if self.heap else None

    def withdraw(self, message: Message) -> None:
        """Take a message out of line."""
        message.is_queued = False
        self.live -= 1
