"""One stage: workers, the queue before them, and the rules at its door.

A stage, as a job meets it::

    [limiter] -> [queue, capped?] -> workers --ok--> next stage, or done
        |             |     ^           |
     limited      rejected  |         failed -> [retries left?] --no--> dead
                            +---- backoff <---------yes

A job meets the limiter once, at the stage's door.
It meets the cap at every attempt; while it backs off it is outside, and holds no place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from toolkit import _check
from toolkit.design.delivery import Delivery, Push
from toolkit.design.limits import TokenBucket
from toolkit.design.retry import Retry
from toolkit.laws import Law, is_law

OUTCOMES = ("done", "dead", "rejected", "limited", "abandoned", "lost", "unfinished")
"""What can become of a job: exactly one of these, for every job that arrived.

``done``: served; ``dead``: retries or deliveries used up; ``rejected``: queue full, breaker open or
shed; ``limited``: dropped by a limiter; ``abandoned``: the caller gave up; ``lost``: the system lost
it; ``unfinished``: the run ended first.
"""

ATTEMPT_OUTCOMES = (
    "ok",
    "failed",
    "turned away",
    "unfinished",
    "late",
    "duplicate",
    "crashed",
    "cancelled",
    "abandoned",
    "preempted",
)
"""What can become of an attempt.

``late``: worked, but its caller had given up; ``duplicate``: worked, but another run of the job had
worked before; ``crashed``: its worker died; ``cancelled``: taken back; ``abandoned``: its job left the
queue; ``preempted``: interrupted, goes on in the next row.  One that was turned away, abandoned or
taken back before it began had no worker.
"""

ORDERS = ("fifo", "lifo", "random", "shortest", "priority", "preemptive", "shared")


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOut:
    """A job splits into ``tasks`` at the stage's door and goes on when the first ``needed`` are done.

    ``needed=None``: all of them.  The others run on, and count as duplicates.
    """

    tasks: int
    needed: int | None = None

    def __post_init__(self) -> None:
        _check.count("tasks", self.tasks)
        if self.needed is not None and _check.count("needed", self.needed) > self.tasks:
            raise ValueError(f"needed must be <= tasks ({self.tasks}), got {self.needed!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlledDelay:
    """Turn away, at the head of the queue, what has waited too long.

    Too long is ``interval_s``, or ``target_s`` once the queue has not been empty for ``interval_s``
    (Maurer 2015, "Fail at scale", ACM Queue 13(8): 5 ms and 100 ms).
    """

    target_s: float = 0.005
    interval_s: float = 0.1

    def __post_init__(self) -> None:
        _check.positive("target_s", self.target_s)
        if _check.number("interval_s", self.interval_s) < self.target_s:
            raise ValueError(
                f"interval_s must be >= target_s ({self.target_s!r}), got {self.interval_s!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """From ``start_s`` on, for ``duration_s``, no service starts; what is running ends normally."""

    start_s: float
    duration_s: float

    def __post_init__(self) -> None:
        _check.not_negative("start_s", self.start_s)
        _check.positive("duration_s", self.duration_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Workers that share one queue, and the rules at its door.

    ``service`` is the law of one attempt; ``capacity`` the most jobs in the stage, waiting and in
    service (``None``: no limit); ``failure`` the chance that an attempt fails, found out at its
    end; without ``retry`` a failed job is dead.

    ``order``: who is next; ``"shared"`` is no queue: all are served at once and share the workers.
    ``"priority"`` and ``"preemptive"`` go by the design's ``classes``.
    ``patience``: the law of how long a job waits for a worker before it leaves (abandoned).
    ``share``: the share of jobs that come here at all, the others pass by (a cache miss).
    ``fan_out`` splits a job into tasks; ``shed`` turns away what has waited too long.
    ``when_full``: a job before a full stage is told so (``"reject"``), is dropped and its caller hears
    nothing (``"drop"``), or waits and keeps the worker of the stage before (``"block"``).
    ``outages``: spells in which no service starts.
    ``routes``: the share of jobs that go on to each named stage, the rest leaves; ``None``: to the next.
    ``delivery``: the protocol between queue and workers; ``None``: an idle worker takes the next job at
    once, and nobody dies.
    """

    name: str
    service: Law
    workers: int = 1
    capacity: int | None = None
    failure: float = 0.0
    retry: Retry | None = None
    limiter: TokenBucket | None = None
    order: Literal["fifo", "lifo", "random", "shortest", "priority", "preemptive", "shared"] = (
        "fifo"
    )
    patience: Law | None = None
    share: float = 1.0
    fan_out: FanOut | None = None
    shed: ControlledDelay | None = None
    when_full: Literal["reject", "drop", "block"] = "reject"
    outages: Sequence[Outage] = ()
    routes: Mapping[str, float] | None = None
    delivery: Delivery | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name must be a word, got {self.name!r}")
        if not is_law(self.service):
            raise ValueError(
                f"service must be a law such as Exponential(mean_s=0.04), got {self.service!r}"
            )
        _check.count("workers", self.workers)
        if self.capacity is not None and _check.count("capacity", self.capacity) < self.workers:
            raise ValueError(
                f"capacity counts jobs in service too, so it must be >= workers ({self.workers}), got {self.capacity!r}"
            )
        _check.share("failure", self.failure)
        _check.share("share", self.share)
        _check.choice("order", self.order, ORDERS)
        _check.choice("when_full", self.when_full, ("reject", "drop", "block"))
        if self.patience is not None and not is_law(self.patience):
            raise ValueError(f"patience must be a law of waits or None, got {self.patience!r}")
        parts = {"retry": Retry, "limiter": TokenBucket, "fan_out": FanOut}
        for name, kind in (parts | {"shed": ControlledDelay, "delivery": Delivery}).items():
            _check.kind(name, getattr(self, name), kind)
        object.__setattr__(self, "outages", _check.series("outages", self.outages, Outage))
        self._check_routes()
        self._check_contradictions()

    def _check_routes(self) -> None:
        if self.routes is None:
            return
        for name, share in self.routes.items():
            _check.share(f"routes[{name!r}]", share)
        if sum(self.routes.values()) > 1 + 1e-12:
            raise ValueError(f"routes must add up to at most 1, got {sum(self.routes.values()):g}")

    def _check_contradictions(self) -> None:
        """Refuse what contradicts itself, naming both fields."""
        if self.when_full == "block" and self.capacity is None:
            raise ValueError("when_full='block' needs a capacity, got capacity=None")
        if self.order == "shared":
            others = ("delivery", "patience", "shed", "fan_out")
            named = [name for name in others if getattr(self, name) is not None]
            named += ["outages"] * bool(self.outages)
            named += ["when_full='block'"] * (self.when_full == "block")
            if named:
                raise ValueError(f"order='shared' has no queue, so it cannot have {named[0]}")
        if self.delivery is not None:
            self._check_delivery(self.delivery)

    def _check_delivery(self, delivery: Delivery) -> None:
        if self.workers % delivery.instances:
            raise ValueError(
                f"workers must be in equal parts for {delivery.instances} delivery.instances, got {self.workers}"
            )
        slots = self.workers // delivery.instances
        for crash in delivery.crashes:
            if crash.slot is not None and crash.slot >= slots:
                raise ValueError(
                    f"delivery.crashes must name a slot below {slots}, got slot={crash.slot}"
                )
        if delivery.groups and self.order != "fifo":
            raise ValueError(
                f"delivery.groups keep their order, so order must be 'fifo', got {self.order!r}"
            )
        if self.order == "preemptive":
            raise ValueError("order='preemptive' needs delivery=None: no product takes a job back")
        is_each = isinstance(delivery.fetch, Push) and delivery.fetch.to == "each"
        if is_each and (self.fan_out is None or self.fan_out.tasks > delivery.instances):
            raise ValueError(
                "delivery.fetch=Push(to='each') needs a fan_out with at most as many tasks as instances"
            )

    @property
    def max_attempts(self) -> float:
        """The first attempt and all retries; ``inf`` for retries without end."""
        if self.retry is None:
            return 1
        return math.inf if self.retry.max_retries is None else 1 + self.retry.max_retries

    @property
    def attempts_per_job(self) -> float:
        """The mean number of attempts of a job that gets in: (1 - p^m) / (1 - p)."""
        p, m = self.failure, self.max_attempts
        return m if p == 1.0 else (1.0 - p**m) / (1.0 - p)

    def offered_erlangs(self, rate_per_s: float, service_s: float | None = None) -> float:
        """Return the offered load: workers kept busy by ``rate_per_s`` jobs, if none is turned away.

        ``service_s``: the mean of an attempt where classes have laws of their own.
        """
        tasks = self.fan_out.tasks if self.fan_out else 1
        mean_s = self.service.moment(1) if service_s is None else service_s
        return rate_per_s * tasks * self.attempts_per_job * mean_s
