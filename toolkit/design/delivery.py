"""How a message gets to a worker, what happens to it when the worker dies, and who may run it twice.

Between a queue and a worker stands a protocol::

    queue --fetch--> instance's memory --> slot: start ... end
      ^                 |   (unacknowledged until `ack`)      |
      |                 +--- lease ends: visibility, crash ---+--> given back, or lost

An *instance* is a process that fetches; it has ``workers / instances`` *slots* that work.
A message that is not acknowledged belongs to the broker and comes back when its lease ends;
one that is acknowledged is the instance's alone, and dies with it.
That one moment, ``ack``, decides whether a crash loses jobs or repeats them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from toolkit import _check
from toolkit.design.limits import TokenBucket
from toolkit.laws import Law, is_law


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """The broker sends a message on at once, to an instance with room.

    ``to`` says to which: in turn, at random, or to the one that holds the fewest of ``choices`` that
    are looked at (``None``: of all, the first of equals; else a random sample, with or without
    ``replacement``).  With unlimited prefetch this is a load
    balancer in front of instances with queues of their own; ``"each"`` sends task k of a fan-out to
    instance k.
    """

    to: Literal["round robin", "random", "shortest", "each"] = "round robin"
    choices: int | None = None
    replacement: bool = False

    def __post_init__(self) -> None:
        _check.choice("to", self.to, ("round robin", "random", "shortest", "each"))
        if self.choices is not None:
            _check.count("choices", self.choices)
            if self.to != "shortest":
                raise ValueError(
                    f"choices is for to='shortest', got choices={self.choices} with to={self.to!r}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockingPop:
    """Whoever has asked longest gets the next message: Redis's BRPOP, or a long poll asked again and again.

    An idle slot asks for itself; an instance with prefetch asks through one connection, a message at a
    time, or ``batch`` at a time where the protocol allows.  It asks when it holds ``refill_at`` messages
    or fewer (``None``: whenever it has room).
    """

    batch: int = 1
    refill_at: int | None = None

    def __post_init__(self) -> None:
        _check.count("batch", self.batch)
        if self.refill_at is not None:
            _check.count("refill_at", self.refill_at, least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """An instance looks, takes up to ``batch``, and sleeps ``every_s`` when it finds nothing.

    ``refill_at`` as in ``BlockingPop``.  ``wakes``: a message that is queued wakes the sleeper
    (it was sent from the same process).
    """

    every_s: float
    batch: int = 1
    refill_at: int | None = None
    wakes: bool = False

    def __post_init__(self) -> None:
        _check.positive("every_s", self.every_s)
        _check.count("batch", self.batch)
        if self.refill_at is not None:
            _check.count("refill_at", self.refill_at, least=0)


Fetch = Push | BlockingPop | Poll


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """How long a fetched message stays out of sight of others (a visibility, invisibility or lock time-out).

    It runs from delivery.  ``renew_every_s``: the holder renews it while it lives, all it holds or only
    what it is running (``renews``), for ``renew_for_s`` at most (``None``: for ever).
    Where nobody watches the clock, a sweep restores what has expired: at ``sweep_first_s`` and every
    ``sweep_every_s`` from there.  ``receipt``: what a holder's word is worth after its lease: nothing
    (``"lease"``); all, until the next ``"delivery"`` of the message; all for ever (``"always"``); or it
    ends the ``"series"`` of deliveries, but copies that are queued already still run.
    """

    timeout_s: float
    renew_every_s: float | None = None
    renew_for_s: float | None = None
    renews: Literal["held", "running"] = "held"
    sweep_every_s: float | None = None
    sweep_first_s: float = 0.0
    receipt: Literal["lease", "delivery", "series", "always"] = "delivery"

    def __post_init__(self) -> None:
        _check.positive("timeout_s", self.timeout_s)
        _check.not_negative("sweep_first_s", self.sweep_first_s)
        for name in ("renew_every_s", "renew_for_s", "sweep_every_s"):
            if getattr(self, name) is not None:
                _check.positive(name, getattr(self, name))
        if self.renew_every_s is not None and self.renew_every_s >= self.timeout_s:
            raise ValueError(
                f"timeout_s must be > renew_every_s ({self.renew_every_s:g} s), or it ends before it is renewed, got {self.timeout_s!r}"
            )
        if self.renew_for_s is not None and self.renew_every_s is None:
            raise ValueError(f"renew_for_s needs renew_every_s, got {self.renew_for_s!r} without")
        _check.choice("renews", self.renews, ("held", "running"))
        _check.choice("receipt", self.receipt, ("lease", "delivery", "series", "always"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Poller:
    """Each instance looks for due jobs now and then, and releases all of them together.

    The pause between looks is uniform from ``low_s`` to ``high_s``, the first from ``first_low_s`` to
    ``first_high_s`` after the start; equal ends make a clock.
    """

    low_s: float
    high_s: float
    first_low_s: float = 0.0
    first_high_s: float = 0.0

    def __post_init__(self) -> None:
        _check.not_negative("low_s", self.low_s)
        _check.positive("high_s", self.high_s)
        _check.not_negative("first_low_s", self.first_low_s)
        for low, high in (("low_s", "high_s"), ("first_low_s", "first_high_s")):
            if _check.number(high, getattr(self, high)) < getattr(self, low):
                raise ValueError(
                    f"{high} must be >= {low} ({getattr(self, low)!r}), got {getattr(self, high)!r}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class InMemory:
    """The worker fetches a job before it is due and holds it: Celery's way with an ETA.

    Each one it holds raises its prefetch limit by one, so that one worker can take the whole backlog;
    ``most`` caps what it holds unacknowledged in all (``None``: no cap).
    """

    most: int | None = None

    def __post_init__(self) -> None:
        if self.most is not None:
            _check.count("most", self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """At ``at_s`` an instance dies with all it holds, or one of its slots with what it runs.

    ``slot`` counts from 0 within the instance.  A dead instance is back after ``restart_after_s``
    (``None``: never); a dead slot is noticed by its instance and replaced after so long (``None``: at
    once).  With ``grace_s`` it is a stop, not a death: the
    instance fetches no more, hands back what it has not started, lets its jobs run for so long, hands
    back the rest, which starts from nothing elsewhere, and goes.
    """

    at_s: float
    instance: int = 0
    slot: int | None = None
    restart_after_s: float | None = None
    grace_s: float | None = None

    def __post_init__(self) -> None:
        _check.not_negative("at_s", self.at_s)
        _check.count("instance", self.instance, least=0)
        if self.slot is not None:
            _check.count("slot", self.slot, least=0)
        for name in ("restart_after_s", "grace_s"):
            value = getattr(self, name)
            if value is not None and (name, value) != ("grace_s", math.inf):
                _check.not_negative(name, value)
        if self.slot is not None and self.grace_s is not None:
            raise ValueError(
                f"grace_s is for an instance that is stopped, got grace_s={self.grace_s!r} with slot={self.slot}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The protocol between a stage's queue and its workers.

    ``instances``: processes that fetch; the stage's workers are their slots, in equal parts.
    ``prefetch``: the most unacknowledged messages an instance holds; 0 holds only what its idle slots
    can start, ``math.inf`` has no limit.
    ``ack``: when a message is acknowledged: on ``"fetch"``, at its ``"start"`` or at its ``"end"``.
    ``visibility``: how a lease ends by time; ``disconnect_s``: how long after an instance's death the
    broker gives back what that held unacknowledged (``None``: it does not notice).
    ``give_back``: where a message goes whose lease has ended, to the ``"head"`` of the queue or its
    ``"tail"``; ``requeue``: where one goes that its own instance hands back.
    ``on_failure``: a failed job is acknowledged and takes the stage's ``"retry"``; or is left to its
    lease (``"leave"``); or is given back at once (``"return"``).
    ``max_deliveries``: dead letter beyond so many, found out at the next ``"receive"`` or already on
    ``"return"`` of the last (``dead_letter_on``).
    ``delayed``: who keeps a job until it is due, be it for a ``countdown`` of its sender or a retry.
    ``limiter``: a rate of starts, first attempts and retries alike, per ``"instance"`` or per
    ``"queue"`` (``limiter_per``).
    ``crashes`` are planned; a share ``poison`` of jobs kills its slot or its instance at the end of
    every run (``poison_kills``); a slot's death loses an unacknowledged job (``"lose"``, reported as
    failed), gives it back (``"requeue"``) or takes a retry (``"retry"``), as ``slot_crash`` says.
    ``restart_s``: how long an instance that was killed by poison is away.
    ``groups``: messages belong to so many groups at random; a group's messages go one after another.
    """

    instances: int = 1
    fetch: Fetch = field(default_factory=Push)
    prefetch: float = 0
    ack: Literal["fetch", "start", "end"] = "end"
    visibility: Visibility | None = None
    disconnect_s: float | None = None
    give_back: Literal["head", "tail"] = "head"
    requeue: Literal["head", "tail"] = "head"
    on_failure: Literal["retry", "leave", "return"] = "retry"
    max_deliveries: int | None = None
    dead_letter_on: Literal["receive", "return"] = "receive"
    delayed: Literal["broker"] | Poller | InMemory = "broker"
    countdown: Law | None = None
    limiter: TokenBucket | None = None
    limiter_per: Literal["instance", "queue"] = "instance"
    crashes: Sequence[Crash] = ()
    poison: float = 0.0
    poison_kills: Literal["slot", "instance"] = "instance"
    slot_crash: Literal["lose", "requeue", "retry"] = "lose"
    restart_s: float = 0.0
    groups: int | None = None

    def __post_init__(self) -> None:
        _check.count("instances", self.instances)
        _check.kind("fetch", self.fetch, (Push, BlockingPop, Poll))
        if self.prefetch != math.inf:
            _check.count("prefetch", self.prefetch, least=0)
        self._check_words()
        _check.kind("visibility", self.visibility, Visibility)
        _check.kind("limiter", self.limiter, TokenBucket)
        if self.delayed != "broker":
            _check.kind("delayed", self.delayed, (Poller, InMemory))
        for name in ("fetch", "delayed"):
            if getattr(self, name) is None:
                raise ValueError(f"{name} must be one of its kinds, got None")
        if self.countdown is not None and not is_law(self.countdown):
            raise ValueError(f"countdown must be a law of delays, got {self.countdown!r}")
        for name in ("max_deliveries", "groups"):
            if getattr(self, name) is not None:
                _check.count(name, getattr(self, name))
        if self.disconnect_s is not None:
            _check.not_negative("disconnect_s", self.disconnect_s)
        _check.share("poison", self.poison)
        _check.not_negative("restart_s", self.restart_s)
        object.__setattr__(self, "crashes", _check.series("crashes", self.crashes, Crash))
        self._check_contradictions()

    def _check_words(self) -> None:
        words = {
            "ack": ("fetch", "start", "end"),
            "give_back": ("head", "tail"),
            "requeue": ("head", "tail"),
            "on_failure": ("retry", "leave", "return"),
            "dead_letter_on": ("receive", "return"),
            "limiter_per": ("instance", "queue"),
            "poison_kills": ("slot", "instance"),
            "slot_crash": ("lose", "requeue", "retry"),
        }
        for name, allowed in words.items():
            _check.choice(name, getattr(self, name), allowed)

    def _check_contradictions(self) -> None:
        """Refuse what no system can do, naming both fields."""
        early = self.ack != "end"
        refused = {
            "slot_crash='lose'": early and self.slot_crash != "lose",
            "on_failure='retry'": early and self.on_failure != "retry",
            "visibility=None": self.ack == "fetch" and self.visibility is not None,
            "disconnect_s=None": self.ack == "fetch" and self.disconnect_s is not None,
            "prefetch=0": self.ack == "fetch" and self.prefetch > 0,
            "groups=None": self.ack == "fetch" and self.groups is not None,
            "max_deliveries=None": self.ack == "fetch" and self.max_deliveries is not None,
        }
        for needed, broken in refused.items():
            if broken:
                name = needed.partition("=")[0]
                raise ValueError(
                    f"{name} must be {needed.partition('=')[2]} with ack={self.ack!r}: an acknowledged message "
                    f"cannot come back or be counted, got {name}={getattr(self, name)!r}"
                )
        if self.on_failure == "leave" and self.visibility is None:
            raise ValueError(
                "on_failure='leave' needs visibility, or a failed job never comes back"
            )
        for crash in self.crashes:
            if crash.instance >= self.instances:
                raise ValueError(
                    f"crashes must name an instance below {self.instances}, got instance={crash.instance}"
                )

    def brings_back(self, *, poison: bool = False) -> bool:
        """Say whether a job whose worker dies unacknowledged comes back (``poison``: by its own fault)."""
        if poison and self.poison_kills == "slot":
            return self.slot_crash == "requeue"
        return self.visibility is not None or self.disconnect_s is not None

    @property
    def dies_out(self) -> bool:
        """Whether all instances are planned to die and none to come back."""
        ends = {x.instance for x in self.crashes if x.slot is None and x.restart_after_s is None}
        return len(ends) == self.instances

    @property
    def looks(self) -> bool:
        """Whether instances come and look for work, again and again."""
        return isinstance(self.fetch, Poll) or isinstance(self.delayed, Poller)

    @property
    def repeats(self) -> bool:
        """Whether a message may be delivered more than once, or come back after a while."""
        return bool(self.visibility or self.crashes or self.poison) or self.on_failure != "retry"
