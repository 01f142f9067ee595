"""The other side of the wire: a caller who waits so long and no longer, asks again, or asks twice.

A caller knows only what comes back.  When it gives up, the work it asked for may go on, and whatever
that produces is wasted; ``on_timeout`` says whether anybody tells the system.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toolkit import _check
from toolkit.design.retry import Retry
from toolkit.laws import Law, is_law


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedge:
    """Send a second copy when the first has not answered after ``after_s``; take the first good answer.

    ``cancels``: the other copy is taken back then (Dean and Barroso 2013, "The tail at scale").
    """

    after_s: float
    cancels: bool = True

    def __post_init__(self) -> None:
        _check.not_negative("after_s", self.after_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Stop calling after ``failures`` in a row; after ``open_s`` let one probe through.

    A probe that works closes the breaker, one that fails opens it again; other calls are turned away
    meanwhile (Nygard 2007, "Release It!").
    """

    failures: int
    open_s: float

    def __post_init__(self) -> None:
        _check.count("failures", self.failures)
        _check.positive("open_s", self.open_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who waits for a job: a time-out for each try, tries, hedging, a breaker.

    ``timeout``: the law of how long a try may take, a number of seconds for always the same, ``None``
    for patience without end.  ``on_timeout``: ``"nothing"``, the work goes on and nobody wants it;
    ``"skip"``, the deadline travels with the request and a worker drops what it would start too late;
    ``"cancel"``, the request is taken back wherever it is.
    ``retry`` asks again after a time-out or a failure.  Callers one inside the other multiply.
    """

    timeout: Law | float | None = None
    retry: Retry | None = None
    hedge: Hedge | None = None
    breaker: Breaker | None = None
    on_timeout: Literal["nothing", "skip", "cancel"] = "nothing"

    def __post_init__(self) -> None:
        if self.timeout is not None and not is_law(self.timeout):
            _check.positive("timeout", self.timeout)
        _check.kind("retry", self.retry, Retry)
        _check.kind("hedge", self.hedge, Hedge)
        _check.kind("breaker", self.breaker, Breaker)
        _check.choice("on_timeout", self.on_timeout, ("nothing", "skip", "cancel"))
        if self.timeout is None and self.on_timeout != "nothing":
            raise ValueError(f"on_timeout={self.on_timeout!r} needs a timeout, got timeout=None")
