"""Events, and the bus that takes them to whoever asked for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from toolkit.exhibits.layered.domain import JobResult


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all events."""


@dataclass(frozen=True, slots=True)
class JobFinished(Event):
    """The journey of a job has ended, in whatever way."""

    result: JobResult


E = TypeVar("E", bound=Event)


class EventBus:
    """Takes every event to its handlers, at once and in the order in which they subscribed."""

    def __init__(self) -> None:
        self._handlers: defaultdict[type[Event], list[Callable[[Any], None]]] = defaultdict(list)

    def subscribe(self, event_type: type[E], handler: Callable[[E], None]) -> None:
        """Call ``handler`` with every event of this very type from now on."""
        self._handlers[event_type].append(handler)

    def publish(self, event: Event) -> None:
        """Call the handlers of an event."""
        for handler in self._handlers[type(event)]:
            handler(event)
