"""The questions of notebook 09, and the ideas behind wrong answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from toolkit import theory
from toolkit.lessons.feedback import Feedback, close, number


def _survives(answer: Any, *, workers: int) -> Feedback:
    """Check how busy a pool may be that shall carry its load when one worker is gone."""
    given, right = number(answer), (workers - 1) / workers
    if close(given, right) or close(given, 100 * right):
        return Feedback(True, f"{right:.0%}: the others are then full, so stay a little below")
    if close(given, 1 / workers) or close(given, 100 / workers):
        return Feedback(False, "that is the share of the one who is gone; what is left?")
    if close(given, workers / (workers + 1)):
        return Feedback(False, "that is for a spare beside these; here one of these goes")
    return Feedback(False, "how much of the work of all can the others do?")


def _batch(answer: Any, *, items_per_s: float, fixed_s: float, per_item_s: float) -> Feedback:
    """Check the smallest batch with which one worker keeps up."""
    given = number(answer)

    def most_per_s(batch: int) -> float:
        return theory.batch_throughput_per_s(batch=batch, fixed_s=fixed_s, per_item_s=per_item_s)

    edge = items_per_s * fixed_s / (1 - items_per_s * per_item_s)
    right = math.floor(edge) + 1
    if given == right:
        text = f"{right}: {most_per_s(right):.0f} items/s at most, one fewer in a batch {most_per_s(right - 1):.0f}"
        return Feedback(True, text)
    if given != round(given):
        return Feedback(False, "a batch has a whole number of items")
    if given > right:
        return Feedback(False, f"it keeps up, but so does a batch of {max(right, int(given) - 1)}")
    if given == math.ceil(items_per_s * fixed_s):
        return Feedback(False, "that counts the fixed time alone; each item takes time as well")
    if given < 1:
        return Feedback(False, "a batch has one item or more")
    return Feedback(
        False, f"so many are done at {most_per_s(int(given)):.0f} items/s: fewer than come"
    )


def _staff(answer: Any, *, load: float, times: float, prob_wait: float) -> Feedback:
    """Check the workers for ``times`` the load with the same share of jobs that wait."""
    given = number(answer)
    before = theory.servers_needed(load, prob_wait=prob_wait)
    right = theory.servers_needed(load * times, prob_wait=prob_wait)
    spare = before - load
    if abs(given - right) <= 1:
        text = f"{right}, by the exact formula: {times:g} times the load, {math.sqrt(times):g} times the spare"
        return Feedback(True, text)
    if close(given, before * times) and given > right:
        return Feedback(False, "that is as much spare for each job; a large pool needs less")
    if abs(given - load * times - spare) <= 1:
        return Feedback(False, "the same spare is too little: it grows, as the root of the load")
    return Feedback(False, "the load's worth of workers, and the spare times which factor?")


def _faster_code(
    answer: Any,
    *,
    slow_s: float,
    fast_s: float,
    busy: float,
    worker: float,
    effort: float,
    months: float,
) -> Feedback:
    """Check from which load on faster code has paid for its effort within so many months."""
    given = number(answer)
    per_job = (slow_s - fast_s) / busy * worker * months
    right = effort / per_job
    if close(given, right):
        return Feedback(
            True, f"from {right:.0f} jobs/s on; below it the slow code is the cheap one"
        )
    if close(given, right / busy):
        return Feedback(False, "workers are not busy all the time: how many for each of work?")
    if close(given, right * months):
        return Feedback(False, "that is for one month; it may take all of them")
    if close(given, right * (slow_s - fast_s) / slow_s):
        return Feedback(False, "the faster code takes time as well; only the difference is saved")
    return Feedback(
        False, "workers saved = load x time saved / utilisation; what do they cost until then?"
    )


QUESTIONS: dict[str, Callable[..., Feedback]] = {
    "09-1 one is gone": _survives,
    "09-2 smallest batch": _batch,
    "09-3 four times the load": _staff,
    "09-4 faster code": _faster_code,
}
