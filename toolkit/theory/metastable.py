"""Metastable failures: an overload that feeds itself after its cause is gone.

The smallest model that shows it (after Bronson et al., "Metastable failures in distributed
systems", HotOS 2021): requests come and are served evenly, nothing is random.  Clients that wait too
long ask again; the server does not know that nobody listens any more.  Played through in whole
numbers, so that every count is exact.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Self

from toolkit import _check
from toolkit.theory.retries import attempts_per_job


def hidden_capacity_per_s(*, service_rate_per_s: float, max_retries: int) -> float:
    """Return the arrivals per s up to which a retry storm dies down: mu / (1 + retries).

    Above it every attempt may time out, all are served in vain, and that lasts (Bronson et al. 2021).

    >>> hidden_capacity_per_s(service_rate_per_s=300.0, max_retries=1)
    150.0
    """
    return _check.positive("service_rate_per_s", service_rate_per_s) / attempts_per_job(
        1.0, max_retries
    )


def cached_capacity_per_s(*, service_rate_per_s: float, hit_rate: float) -> float:
    """Return the arrivals per s that a database behind a look-aside cache bears: mu / (1 - hits).

    That is what is advertised; with the cache lost, mu is left (Bronson et al. 2021).
    Raises ``ValueError`` for a cache that never misses.

    >>> round(cached_capacity_per_s(service_rate_per_s=300.0, hit_rate=0.9), 6)
    3000.0
    """
    if _check.share("hit_rate", hit_rate) == 1.0:
        raise ValueError(f"hit_rate must be < 1, got {hit_rate!r}")
    return _check.positive("service_rate_per_s", service_rate_per_s) / (1.0 - hit_rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What was seen up to the horizon.

    ``attempts``: requests sent, also those turned away.  ``late``: answers that nobody waited for.
    ``backlog``: requests waiting at the end.  ``first_good_s``: the first answer in time after the
    outage, ``None`` for never.  ``good_s``: when answers came in time.
    """

    attempts: int
    late: int
    backlog: int
    first_good_s: Fraction | None
    good_s: tuple[Fraction, ...] = field(repr=False)

    def goodput_per_s(self, start_s: float, end_s: float) -> float:
        """Return the answers in time per s in (``start_s``, ``end_s``]."""
        count = sum(start_s < t <= end_s for t in self.good_s)
        return count / (end_s - start_s)


def retry_storm(
    *,
    arrival_rate_per_s: float,
    service_rate_per_s: float,
    timeout_s: float,
    max_retries: int,
    outage_start_s: float,
    outage_s: float,
    horizon_s: float,
    capacity: int | None = None,
) -> Storm:
    """Play arrivals at k / lambda, services of 1 / mu, and an outage in which no service starts.

    A client gives up ``timeout_s`` after it asked and asks again at that instant, ``max_retries``
    times at most.  One first-come-first-served server finishes what it began and works through
    everything it was sent.  ``capacity`` bounds those inside, waiting or served; others are turned
    away, and their clients find out by their timeout.  At equal times: completion (in time if at the
    deadline), timeout, arrival, end of the outage.

    >>> rates = {"arrival_rate_per_s": 280, "service_rate_per_s": 300, "timeout_s": 1}
    >>> outage = {"outage_start_s": 5, "outage_s": 3, "horizon_s": 60}
    >>> print(retry_storm(**rates, **outage, max_retries=1).first_good_s)
    None
    >>> float(retry_storm(**rates, **outage, max_retries=0).first_good_s)
    36.05
    """
    times = {
        "gap": 1 / _exact("arrival_rate_per_s", arrival_rate_per_s),
        "work": 1 / _exact("service_rate_per_s", service_rate_per_s),
        "patience": _exact("timeout_s", timeout_s),
        "start": _exact("outage_start_s", outage_start_s),
        "length": _exact("outage_s", outage_s),
        "horizon": _exact("horizon_s", horizon_s),
    }
    tick = math.lcm(*(t.denominator for t in times.values()))
    ticks = {name: int(t * tick) for name, t in times.items()}
    play = _Play(**ticks, retries=max_retries, room=capacity).run()
    good = tuple(Fraction(t, tick) for t in play.good)
    return Storm(
        attempts=play.attempts,
        late=play.late,
        backlog=len(play.queue),
        first_good_s=next((t for t in good if t * tick >= play.end), None),
        good_s=good,
    )


@dataclass(slots=True, kw_only=True)
class _Play:
    """The server and its clients, in ticks."""

    gap: int
    work: int
    patience: int
    start: int
    length: int
    horizon: int
    retries: int
    room: int | None
    attempts: int = field(default=0, init=False)
    late: int = field(default=0, init=False)
    good: list[int] = field(default_factory=list, init=False)
    queue: deque[int] = field(default_factory=deque, init=False)  # attempts by number
    # deadline, attempt, retries left
    waits: deque[tuple[int, int, int]] = field(default_factory=deque, init=False)
    answered: set[int] = field(default_factory=set, init=False)
    # until when, which attempt
    serving: tuple[float, int] = field(default=(math.inf, -1), init=False)

    def __post_init__(self) -> None:
        _check.count("max_retries", self.retries, least=0)
        if self.room is not None:
            _check.count("capacity", self.room)

    @property
    def end(self) -> int:
        """When services start again."""
        return self.start + self.length

    def run(self) -> Self:
        """Let things happen in order of time until the horizon, what happens at it included."""
        arrival, resume = 0, float(self.end)
        while True:
            deadline = self.waits[0][0] if self.waits else math.inf
            now = min(self.serving[0], deadline, arrival, resume)
            if now > self.horizon:
                return self
            at = int(now)
            if now == self.serving[0]:
                self._complete(at)
            elif now == deadline:
                self._time_out(at)
            elif now == arrival:
                arrival += self.gap
                self._ask(at, self.retries)
            else:
                resume = math.inf
                self._serve(at)

    def _ask(self, now: int, retries: int) -> None:
        self.waits.append((now + self.patience, self.attempts, retries))
        inside = len(self.queue) + (self.serving[0] < math.inf)
        if self.room is None or inside < self.room:
            self.queue.append(self.attempts)
        self.attempts += 1
        self._serve(now)

    def _time_out(self, now: int) -> None:
        _, attempt, retries = self.waits.popleft()
        if attempt in self.answered:
            self.answered.remove(attempt)
        elif retries:
            self._ask(now, retries - 1)

    def _complete(self, now: int) -> None:
        _, attempt = self.serving
        self.serving = (math.inf, -1)
        if self.waits and attempt >= self.waits[0][1]:  # deadlines pass in the order of asking
            self.answered.add(attempt)
            self.good.append(now)
        else:
            self.late += 1
        self._serve(now)

    def _serve(self, now: int) -> None:
        if self.queue and self.serving[0] == math.inf and not self._is_out(now):
            self.serving = (now + self.work, self.queue.popleft())

    def _is_out(self, now: int) -> bool:
        return self.start <= now < self.end


def _exact(name: str, value: float) -> Fraction:
    """Read a number as it is written: 0.1 is a tenth."""
    return Fraction(str(_check.positive(name, value)))
