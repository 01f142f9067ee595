"""The questions of notebook 07, and the ideas behind wrong answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from toolkit import theory
from toolkit.lessons.feedback import Feedback, close, number


def _hidden(answer: Any, *, service_rate_per_s: float, max_retries: int) -> Feedback:
    """Check the load below which a service gets well by itself."""
    given = number(answer)
    right = theory.hidden_capacity_per_s(
        service_rate_per_s=service_rate_per_s, max_retries=max_retries
    )
    if close(given, right):
        return Feedback(True, f"{right:g}/s: above it the retries alone fill the server")
    if max_retries and close(given, service_rate_per_s / max_retries):
        return Feedback(False, "the first attempt counts as well as the retries")
    if close(given, service_rate_per_s):
        return Feedback(False, "that is what it carries while nobody has to ask twice")
    return Feedback(False, "when all time out, how many attempts does each job bring?")


def _cap(answer: Any, *, service_rate_per_s: float, timeout_s: float) -> Feedback:
    """Check the largest queue whose last job is still served in time."""
    given, right = number(answer), service_rate_per_s * timeout_s
    if close(given, right):
        return Feedback(True, f"{right:g} jobs: whoever gets in is served before giving up")
    if close(given, service_rate_per_s):
        return Feedback(False, "that is what is served in a second; how long does a caller wait?")
    if close(given, timeout_s / service_rate_per_s):
        return Feedback(False, "turned upside down: jobs per second times seconds are jobs")
    return Feedback(False, "how many jobs are served while a caller waits?")


def _cache(answer: Any, *, db_per_s: float, hit_rate: float) -> Feedback:
    """Check what a service behind a cache carries once the cache is cold."""
    given = number(answer)
    if close(given, db_per_s):
        return Feedback(True, "a cold cache leaves the database alone with everything")
    if close(given, db_per_s / (1 - hit_rate)):
        return Feedback(False, "that is what is advertised, with a warm cache")
    if close(given, db_per_s * hit_rate):
        return Feedback(False, "with an empty cache nothing is a hit")
    return Feedback(False, "who answers when the cache knows nothing?")


def _well_within(answer: Any, *, within_s: float, outage: dict[str, Any]) -> Feedback:
    """Check the highest load at which the exact model has a good answer soon after the outage."""
    given, rules = number(answer), {"max_retries": 1, **outage}
    up_s = rules["outage_start_s"] + rules["outage_s"]

    def after_s(load_per_s: float) -> float:
        load = round(load_per_s, 1)  # the model counts in whole steps, and they may be too small
        seen = theory.retry_storm(
            **rules, arrival_rate_per_s=load, horizon_s=math.ceil(up_s + 2 * within_s)
        )
        return math.inf if seen.first_good_s is None else float(seen.first_good_s) - up_s

    hidden = theory.hidden_capacity_per_s(
        service_rate_per_s=rules["service_rate_per_s"], max_retries=rules["max_retries"]
    )
    if given >= 0.97 * hidden:
        return Feedback(False, f"the hidden capacity is {hidden:g}/s: close to it, it takes long")
    if after_s(given) > 1.05 * within_s:
        return Feedback(False, f"too much: the first good answer comes {_after(after_s(given))}")
    if after_s(1.03 * given) <= within_s:
        return Feedback(False, f"there is room: it is well again {_after(after_s(given))} already")
    return Feedback(True, f"well again {_after(after_s(given))}: slack is what it recovers with")


def _after(seconds: float) -> str:
    return "much later than asked for" if math.isinf(seconds) else f"after {seconds:.0f} s"


QUESTIONS: dict[str, Callable[..., Feedback]] = {
    "07-1 hidden capacity": _hidden,
    "07-2 largest queue": _cap,
    "07-3 cold cache": _cache,
    "07-4 well within a minute": _well_within,
}
