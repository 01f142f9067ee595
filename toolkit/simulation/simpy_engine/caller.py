"""Callers at work: time-outs, tries, hedges and breakers around a job's journey.

A try is a process of its own.  When its caller gives up, the process goes on unless it is taken back,
and what it achieves then is marked as late.
"""

from __future__ import annotations

from functools import partial
from itertools import count
from math import inf
from typing import TYPE_CHECKING

import simpy

from toolkit.design import Breaker, Caller
from toolkit.laws import is_law
from toolkit.simulation.codes import ABANDONED, DONE, DUPLICATE, LATE, LIMITED, REJECTED
from toolkit.simulation.simpy_engine.book import CALLERS_TIME_OUT, Call, Draws, Later, Steps
from toolkit.simulation.simpy_engine.forks import Fork, heard, leave
from toolkit.simulation.streams import Purpose

if TYPE_CHECKING:
    from toolkit.simulation.simpy_engine.system import System


class CallerAtWork:
    """One level of callers: all jobs' callers share its budget and its breaker."""

    def __init__(self, system: System, level: int, caller: Caller) -> None:
        self.system, self.env, self.level, self.caller = system, system.env, level, caller
        streams, name, timeout = system.streams, f"caller {level}", caller.timeout
        self.made = [0] * streams.jobs  # tries of each job
        retry = caller.retry
        self.budget = retry.budget.start() if retry and retry.budget else None
        self.breaker = BreakerAtWork(caller.breaker) if caller.breaker else None
        self.jitter = Draws(lambda k: streams.at_stage(Purpose.CALLER_JITTER, name, k))
        if timeout is not None and is_law(timeout):
            self.timeout_s = Draws(lambda k: streams.waits_s(timeout, Purpose.TIMEOUT, name, k))  # type: ignore[arg-type]

    def call(self, parent: Call) -> Steps:
        """Ask until there is a good answer or no try is left; return the last outcome."""
        job, price, pause_s = parent.job, None, None
        for retries in count():
            self.made[job] = number = self.made[job] + 1
            outcome = yield from self.try_once(Call(job, parent), number)
            if self.budget:
                if outcome == DONE:
                    self.budget.succeeded(price)
                else:
                    self.budget.failed()
            if outcome == DONE:
                return DONE
            price = self.price_of_retry(outcome, retries)
            if price is None:
                return outcome
            assert self.caller.retry is not None
            self.system.tries += 1
            self.system.check_endless()
            luck = self.jitter[number][job]
            pause_s = self.caller.retry.backoff.pause_s(retries, luck, pause_s)
            yield self.env.timeout(pause_s)
        raise AssertionError("unreachable: tries are counted without end")

    def price_of_retry(self, outcome: int, retries: int) -> float | None:
        """Return what the budget takes for another try after ``outcome``, ``None`` if there is none."""
        retry = self.caller.retry
        if retry is None or not retry.allows(retries):
            return None
        if outcome in (REJECTED, LIMITED) and not retry.rejected:
            return None
        return self.budget.take(timed_out=outcome == ABANDONED) if self.budget else 0.0

    def try_once(self, call: Call, number: int) -> Steps:
        """Ask once, through the breaker."""
        breaker = self.breaker
        if breaker is None:
            return (yield from self.await_answer(call, number))
        is_probe = breaker.is_open
        if not breaker.admits(self.env.now):
            return REJECTED
        outcome = yield from self.await_answer(call, number)
        breaker.note(self.env.now, worked=outcome == DONE, was_probe=is_probe)
        return outcome

    def await_answer(self, call: Call, number: int) -> Steps:
        """Send the request, and a second copy if hedged; return the first good answer in time."""
        timeout_s, hedge = self.patience_s(call.job, number), self.caller.hedge
        if self.caller.on_timeout == "skip":
            call.deadline_s = min(call.deadline_s, self.env.now + timeout_s)
        timer = (
            Later(self.env, timeout_s, CALLERS_TIME_OUT) if timeout_s < inf else self.env.event()
        )
        alarm = self.env.timeout(hedge.after_s) if hedge else self.env.event()
        copies = [self.send(call)]
        try:
            while True:
                alive = [copy.process for copy in copies if copy.outcome is None]
                yield simpy.AnyOf(self.env, [*alive, timer, alarm])
                answers = heard(copies, all_of_them=timeout_s == inf)
                if DONE in answers:
                    leave(copies, DUPLICATE, cancels=hedge is not None and hedge.cancels)
                    return DONE
                if timer.processed:
                    leave(copies, LATE, cancels=self.caller.on_timeout == "cancel")
                    return ABANDONED
                if alarm.processed:
                    copies.append(self.send(call))
                    alarm = self.env.event()
                elif len(answers) == len(copies):
                    return answers[-1]
        except simpy.Interrupt:
            leave(copies, LATE, cancels=True)
            raise

    def send(self, parent: Call) -> Fork:
        """Start a copy of the request."""
        ask = partial(self.system.ask, self.level + 1)
        return Fork(self.system, Call(parent.job, parent), ask)

    def patience_s(self, job: int, number: int) -> float:
        """Return how long this try may take."""
        timeout = self.caller.timeout
        if timeout is None:
            return inf
        return self.timeout_s[number][job] if is_law(timeout) else float(timeout)  # type: ignore[arg-type]


class BreakerAtWork:
    """A breaker that is told how calls went, and when."""

    def __init__(self, breaker: Breaker) -> None:
        self.rule = breaker
        self.failures, self.open_until_s, self.is_probing = 0, -inf, False

    @property
    def is_open(self) -> bool:
        """Whether calls are turned away, but for a probe now and then."""
        return self.failures >= self.rule.failures

    def admits(self, now_s: float) -> bool:
        """Say whether a call may go through at ``now_s``; the first after an open spell is a probe."""
        if not self.is_open:
            return True
        if now_s < self.open_until_s or self.is_probing:
            return False
        self.is_probing = True
        return True

    def note(self, now_s: float, *, worked: bool, was_probe: bool) -> None:
        """Count a call that went through; one sent before the breaker opened changes nothing any more."""
        if was_probe:
            self.is_probing = False
        elif self.is_open:
            return
        self.failures = 0 if worked else min(self.failures + 1, self.rule.failures)
        if self.is_open:
            self.open_until_s = now_s + self.rule.open_s
