"""The questions of notebook 01, and the ideas behind wrong answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolkit import theory
from toolkit.lessons.feedback import Feedback, close, number


def _sojourn(answer: Any, *, busy: float, service_s: float) -> Feedback:
    """Check the mean sojourn in s of one worker, Poisson arrivals and exponential work."""
    given = number(answer)
    worker = theory.mm1(arrival_rate_per_s=busy / service_s, service_rate_per_s=1 / service_s)
    right = worker.sojourn_s
    if close(given, right):
        return Feedback(True, f"{right:g} s: {right / service_s:.3g} times the work itself")
    if close(given, worker.wait_s):
        return Feedback(False, "that is the wait; the work itself takes time as well")
    if close(given, 1000 * right):
        return Feedback(False, "that is in milliseconds; give seconds")
    if close(given, service_s * (1 + busy)):
        return Feedback(False, "it does not grow in step with the load: divide by what is idle")
    if close(given, service_s / busy):
        return Feedback(False, "you divided by the busy share; divide by the idle one")
    return Feedback(False, "the time of the work, divided by the idle share")


def _inside(answer: Any, *, rate_per_s: float, sojourn_s: float) -> Feedback:
    """Check the mean number of jobs inside, by Little's law."""
    given, right = number(answer), theory.jobs_inside(rate_per_s, sojourn_s)
    if close(given, right):
        return Feedback(True, f"{right:g}, whatever the order, the workers and the laws")
    if close(given, rate_per_s / sojourn_s):
        return Feedback(False, "multiply: who stays longer is found inside more often")
    if close(given, 1000 * right) or close(given, right / 1000):
        return Feedback(False, "a factor of a thousand: are both in seconds?")
    if close(given, rate_per_s):
        return Feedback(False, "those come in one second; how long does each stay?")
    return Feedback(False, "how many come while one of them is inside?")


def _alike(answer: Any, *, busy: float, service_s: float) -> Feedback:
    """Check the mean wait in s of one worker whose jobs are all alike, with Poisson arrivals."""
    given = number(answer)
    right = theory.md1(arrival_rate_per_s=busy / service_s, service_s=service_s).wait_s
    if close(given, right):
        return Feedback(True, f"{right:g} s: half of what it was, and the rest is the arrivals'")
    if given == 0:
        return Feedback(False, "the work does not vary any more, but the arrivals still do")
    if close(given, 2 * right):
        return Feedback(False, "that is with exponential work; what varies half as much waits half")
    if close(given, right + service_s):
        return Feedback(False, "that is the wait and the work; the wait alone was asked for")
    if close(given, 1000 * right):
        return Feedback(False, "that is in milliseconds; give seconds")
    return Feedback(False, "busy share ÷ idle share × (1 + 0) / 2 × the time of the work")


def _fewest(answer: Any, *, rate_per_s: float, service_s: float, p99_s: float) -> Feedback:
    """Check the smallest number of workers whose p99 meets a goal, by the exact formula."""
    given = number(answer)
    if given != int(given) or given < 1:
        return Feedback(False, "a whole number of workers, please")
    if given <= rate_per_s * service_s:
        return Feedback(False, "they cannot keep up: the queue would grow for ever")
    p99 = _p99_s(int(given), rate_per_s, service_s)
    if p99 > p99_s:
        return Feedback(
            False, f"they keep up, but keeping up is not the goal: their p99 is {1000 * p99:.0f} ms"
        )
    if int(given) - 1 > rate_per_s * service_s:
        fewer = _p99_s(int(given) - 1, rate_per_s, service_s)
        if fewer <= p99_s:
            return Feedback(
                False, f"enough, but one less would do: {1000 * fewer:.0f} ms. Overbuilt"
            )
    idle = 1 - rate_per_s * service_s / given
    return Feedback(
        True, f"{given:.0f} workers: p99 {1000 * p99:.0f} ms, and {idle:.0%} of their time is idle"
    )


def _p99_s(workers: int, rate_per_s: float, service_s: float) -> float:
    pool = theory.mmc(
        arrival_rate_per_s=rate_per_s, service_rate_per_s=1 / service_s, servers=workers
    )
    return pool.sojourn_quantile_s(0.99)


QUESTIONS: dict[str, Callable[..., Feedback]] = {
    "01-1 from arrival to done": _sojourn,
    "01-2 jobs inside": _inside,
    "01-3 all alike": _alike,
    "01-4 fewest workers": _fewest,
}
