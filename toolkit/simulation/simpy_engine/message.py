"""A message at a broker, and the lease on it that an instance holds."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING

import simpy

from toolkit.simulation.simpy_engine.book import JOB, Call, Row

if TYPE_CHECKING:
    from toolkit.simulation.simpy_engine.instance import Instance


class Message:
    """One attempt's order for work: delivered once, or more often if leases end early."""

    __slots__ = (
        "answer",
        "call",
        "deliveries",
        "due_s",
        "group",
        "is_deleted",
        "is_queued",
        "is_settled",
        "lease",
        "left_s",
        "longest_wait_s",
        "place",
        "row",
    )

    def __init__(self, answer: simpy.Event, row: Row, call: Call, due_s: float) -> None:
        self.answer, self.row, self.call, self.due_s = answer, row, call, due_s
        self.deliveries = 0
        self.is_queued, self.is_deleted, self.is_settled = False, False, False
        self.place: int | None = None  # its place in line
        self.group: int | None = None
        self.longest_wait_s = inf  # beyond it the message is shed
        self.lease: Lease | None = None  # the latest
        self.left_s = nan  # of its service, once it has been preempted

    @property
    def job(self) -> int:
        """The number of its job."""
        return int(self.row[JOB])


class Lease:
    """A message in the hands of an instance.

    ``is_open``: the broker still counts on it.  ``is_counted``: the instance counts it as
    unacknowledged.  ``is_alive``: the copy exists in the instance's memory or in a slot.
    """

    __slots__ = (
        "ended_s",
        "given_s",
        "instance",
        "is_alive",
        "is_counted",
        "is_open",
        "message",
        "process",
        "row",
        "started_s",
    )

    def __init__(self, message: Message, instance: Instance, given_s: float) -> None:
        self.message, self.instance, self.given_s = message, instance, given_s
        self.row = message.row
        self.is_open, self.is_counted, self.is_alive = True, True, True
        self.started_s, self.ended_s = nan, nan  # of the copy's run; ended also by death
        self.process: simpy.Process | None = None
