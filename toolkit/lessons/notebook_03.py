"""The questions of notebook 03, and the ideas behind wrong answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolkit import theory
from toolkit.lessons.feedback import Feedback, close, number


def _attempts(answer: Any, *, failure: float, max_retries: int) -> Feedback:
    """Check the mean number of attempts a job."""
    given, right = number(answer), theory.attempts_per_job(failure, max_retries)
    if close(given, right):
        return Feedback(
            True, f"{right:.3f}: so much more work for the same jobs, even when all is well"
        )
    if close(given, 1 + max_retries):
        return Feedback(False, "that is the most; a job that succeeds does not try again")
    if close(given, right - 1):
        return Feedback(False, "those are the retries; the first attempt is work as well")
    if close(given, 1 / (1 - failure)):
        return Feedback(False, "that is without a limit; here the tries are limited")
    return Feedback(False, "1 + p + p² + ..., a term for every attempt that is made")


def _layers(answer: Any, *, attempts: int, layers: int) -> Feedback:
    """Check how many calls reach the bottom of a stack whose leaf is down."""
    given, right = number(answer), float(attempts**layers)
    if close(given, right):
        return Feedback(True, f"{right:.0f} calls for one user: each layer multiplies")
    if close(given, attempts * layers):
        return Feedback(False, "you added; every attempt of a layer makes all attempts of the next")
    if close(given, (attempts - 1) ** layers):
        return Feedback(False, "count attempts, not retries, in each layer")
    return Feedback(False, "what does one attempt of the top layer cause in the layer below it?")


def _quota(answer: Any, *, capacity: int, retry_cost: int) -> Feedback:
    """Check how many retries a client sends in a total outage before its quota is empty."""
    given = number(answer)
    right = theory.sdk_retries_in_outage(capacity=capacity, retry_cost=retry_cost)
    if close(given, right):
        return Feedback(True, f"{right} retries for all calls together, however long it lasts")
    if close(given, capacity / retry_cost):
        return Feedback(False, "a retry is paid in full or not sent: round down")
    if close(given, capacity):
        return Feedback(False, "that is the tokens; each retry costs several")
    return Feedback(False, "how many times does the price fit into the quota?")


def _cliff(answer: Any, *, capacity_per_s: float, failure: float, max_retries: int) -> Feedback:
    """Check the load at which all attempts together fill the pool."""
    given, attempts = number(answer), theory.attempts_per_job(failure, max_retries)
    right = capacity_per_s / attempts
    if close(given, right):
        return Feedback(
            True, f"{right:.1f} jobs/s on average; from some way below it on, luck decides"
        )
    if close(given, capacity_per_s):
        return Feedback(False, "that is in attempts per second; how many does a job make?")
    if close(given, capacity_per_s * attempts):
        return Feedback(False, "upside down: more attempts for each job leave room for fewer jobs")
    if close(given, capacity_per_s / (1 + max_retries)):
        return Feedback(False, "that is when every attempt fails; here only a share does")
    if close(given, capacity_per_s * (1 - failure)):
        return Feedback(False, "that is for retries without a limit; here they are limited")
    return Feedback(False, "capacity divided by the attempts that a job makes on average")


QUESTIONS: dict[str, Callable[..., Feedback]] = {
    "03-1 attempts": _attempts,
    "03-2 layers": _layers,
    "03-3 quota": _quota,
    "03-4 room for retries": _cliff,
}
