"""A stage's door: limiter, cap, retries; the same for every kind of stage behind it."""

from __future__ import annotations

from collections.abc import Generator
from itertools import count
from typing import TYPE_CHECKING, Any

import simpy

from toolkit.design import Stage
from toolkit.simulation.codes import (
    ABANDONED,
    CANCELLED,
    CUT_OFF,
    DONE,
    FAILED,
    LIMITED,
    LOST,
    REJECTED,
    TURNED_AWAY,
)
from toolkit.simulation.simpy_engine.book import (
    ATTEMPT,
    ENDED_S,
    JOB,
    OUTCOME,
    PAUSED_S,
    QUEUED_S,
    Call,
    Draws,
    Row,
    Steps,
    new_row,
)
from toolkit.simulation.streams import Purpose

if TYPE_CHECKING:
    from toolkit.simulation.simpy_engine.system import System


class Door:
    """A stage as a job meets it; what stands behind the door gives ``enter``."""

    puts_off = False  # whether jobs may come with a countdown

    def __init__(self, system: System, number: int, stage: Stage) -> None:
        self.system, self.number, self.stage = system, number, stage
        self.env, self.book = system.env, system.attempts
        streams, name = system.streams, stage.name
        self.made = [0] * streams.jobs  # attempts of each job here
        self.bucket = stage.limiter.start() if stage.limiter else None
        self.budget = stage.retry.budget.start() if stage.retry and stage.retry.budget else None
        self.service_s = Draws(lambda k: system.services_s(stage, k))
        self.failure = Draws(lambda k: streams.failures(name, k))
        self.jitter = Draws(lambda k: streams.jitters(name, k))
        self.comes = Draws(lambda k: streams.at_stage(Purpose.SHARE, name, k))

    def is_for(self, job: int) -> bool:
        """Say whether ``job`` comes to this stage at all."""
        return self.comes[1][job] < self.stage.share

    def enter(self, row: Row, call: Call) -> Steps:
        """Go in if there is a place, and be worked on; fill in the attempt's row."""
        raise NotImplementedError

    def put_off(self, call: Call) -> Generator[simpy.Event, Any, tuple[float, float]]:
        """Return from when on the first attempt may be made, and how long it was put off."""
        raise NotImplementedError

    def visit(self, call: Call) -> Steps:
        """Take a job from the door to its outcome in this stage, retries included."""
        due_s, paused_s = (yield from self.put_off(call)) if self.puts_off else (self.env.now, 0.0)
        price, last_s, is_inside = None, None, False
        for retries in count():
            row = self.open_row(call.job, due_s, paused_s)
            try:
                if not is_inside and self.bucket and not (yield from self.take_token()):
                    outcome = LIMITED
                    self.close_row(row, TURNED_AWAY)
                else:
                    is_inside = True
                    outcome = yield from self.enter(row, call)
            except simpy.Interrupt:
                if row[OUTCOME] == CUT_OFF and not call.is_sent:
                    self.close_row(row, CANCELLED)
                raise
            self.note(outcome, price)
            if outcome == DONE:
                return DONE
            price = self.price_of_retry(outcome, retries)
            if price is None:
                return outcome
            last_s = self.pause_s(row, retries, last_s)
            due_s, paused_s = yield from self.rest(last_s)
        raise AssertionError("unreachable: attempts are counted without end")

    def rest(self, pause_s: float) -> Generator[simpy.Event, Any, tuple[float, float]]:
        """Wait before the next attempt; return from when on it may be made, and how long that was."""
        before_s = self.env.now
        yield self.env.timeout(pause_s)
        return self.env.now, self.env.now - before_s

    def turn_away(self, row: Row, call: Call) -> int:
        """Let a job not in, with or without a word."""
        call.is_silent = self.stage.when_full == "drop"
        self.close_row(row, TURNED_AWAY)
        return REJECTED

    def open_row(self, job: int, queued_s: float, paused_s: float = 0.0) -> Row:
        """Write down that an attempt has come to the door."""
        self.made[job] = attempt = self.made[job] + 1
        row = new_row(job, self.number, attempt, queued_s, paused_s)
        self.book.append(row)
        if attempt > 1:
            self.system.check_endless()
        return row

    def close_row(self, row: Row, outcome: int) -> None:
        """Write down how an attempt ended, now, even if it was not due yet."""
        early_s = row[QUEUED_S] - self.env.now
        if early_s > 0:
            row[QUEUED_S], row[PAUSED_S] = self.env.now, max(0.0, row[PAUSED_S] - early_s)
        row[ENDED_S], row[OUTCOME] = self.env.now, outcome

    def close_served(self, row: Row, call: Call) -> bool:
        """Write down the end of a service, and say whether it worked."""
        row[ENDED_S] = self.env.now
        chance = self.stage.failure
        failed = chance and self.failure[row[ATTEMPT]][row[JOB]] < chance
        row[OUTCOME] = FAILED if failed else call.verdict()
        return not failed

    def take_token(self) -> Generator[simpy.Event, Any, bool]:
        """Take a token from the limiter, waiting for it if that is the rule; say if there was one."""
        assert self.bucket is not None
        assert self.stage.limiter is not None
        now_s = self.env.now
        if self.stage.limiter.when_empty == "drop":
            return self.bucket.admit(now_s)
        granted_s = self.bucket.reserve(now_s)
        if granted_s > now_s:
            yield self.env.timeout(granted_s - now_s)
        return True

    def note(self, outcome: int, price: float | None) -> None:
        """Tell the budget how an attempt went; ``price`` is what its retry cost, ``None`` for a first."""
        if self.budget:
            if outcome == DONE:
                self.budget.succeeded(price)
            else:
                self.budget.failed()

    def price_of_retry(self, outcome: int, retries: int) -> float | None:
        """Return what the budget takes for another try after ``outcome``, ``None`` if there is none."""
        retry = self.stage.retry
        if retry is None or not retry.allows(retries):
            return None
        if outcome in (ABANDONED, LOST):  # nobody is left who would
            return None
        if outcome in (REJECTED, LIMITED) and not retry.rejected:
            return None
        return self.budget.take(timed_out=False) if self.budget else 0.0

    def pause_s(self, row: Row, retries: int, last_s: float | None) -> float:
        """Return how long to wait before the next attempt."""
        assert self.stage.retry is not None
        jitter = self.jitter[row[ATTEMPT]][row[JOB]]
        return self.stage.retry.backoff.pause_s(retries, jitter, last_s)
