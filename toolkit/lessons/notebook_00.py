"""The questions of notebook 00, and the ideas behind wrong answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolkit.advice import Advice
from toolkit.fitting import Fit
from toolkit.lessons.feedback import Feedback, close, number


def _utilisation(answer: Any, *, fit: Fit, rate_per_s: float) -> Feedback:
    """Check how busy each worker is at a rate, as a share."""
    given = number(answer)
    stage = fit.design.stages[0]
    erlangs = stage.offered_erlangs(rate_per_s)
    right = erlangs / stage.workers
    if close(given, right):
        return Feedback(
            True, f"{right:.2f} of each worker's time is taken, so {1 - right:.2f} is slack"
        )
    if close(given, 100 * right):
        return Feedback(False, "that is a percentage; give the share, from 0 to 1")
    if close(given, erlangs):
        return Feedback(False, "that is the load on all workers together; how much is it for each?")
    if close(given, 1000 * right) or close(given, right / 1000):
        return Feedback(False, "a factor of a thousand: are rate and service time both in seconds?")
    if close(given, 1 - right):
        return Feedback(False, "that is the slack; utilisation is what is taken")
    return Feedback(False, "utilisation is arrivals per second × seconds of service each ÷ workers")


def _fewest_workers(answer: Any, *, advice: Advice) -> Feedback:
    """Check the name of the simplest design that meets the goal."""
    table = advice.table()
    names = [str(name) for name in table.index]
    name = next((n for n in names if n == answer or n.split()[0] == str(answer)), None)
    if name is None:
        return Feedback(False, f"the answer is one of the designs: {', '.join(names)}")
    verdict = table.loc[name, "verdict"]
    if verdict == "fits":
        return Feedback(True, f"{name} meet the goal, and nothing cheaper surely does")
    if verdict == "overbuilt":
        return Feedback(
            False, f"{name} meet the goal, but look one row up: does a cheaper one as well?"
        )
    if verdict == "uncertain":
        return Feedback(
            False,
            f"{name} might: their interval lies on both sides of the goal. Which one is sure?",
        )
    share = table.loc[name, "utilisation"]
    return Feedback(
        False,
        f"{name} keep up (utilisation {share:.2f}), but keeping up is not meeting the goal: see p99",
    )


def _slack(answer: Any, *, fit: Fit, advice: Advice) -> Feedback:
    """Check how many times the load the chosen design could just carry."""
    given = number(answer)
    if advice.choice is None:
        return Feedback(False, "no design met the goal, so choose a goal that one can meet first")
    design = advice.comparison.replications[advice.choice].design
    right = 1 / design.offered_load()[0].utilisation
    if close(given, right):
        return Feedback(
            True,
            f"at {right:.2f} times the load every worker is always busy, and the queue never ends",
        )
    if close(given, right - 1):
        return Feedback(False, "that is the growth; the factor is one more")
    if close(given, 1 / right):
        return Feedback(False, "that is the utilisation; the load may grow by its inverse")
    if close(given, fit.workers * right / design.stages[0].workers):
        return Feedback(
            False, "that is for the workers that were measured; how many has the design you chose?"
        )
    return Feedback(False, "the limit is where utilisation reaches 1: how far is it from there?")


QUESTIONS: dict[str, Callable[..., Feedback]] = {
    "00-1 utilisation": _utilisation,
    "00-2 simplest design": _fewest_workers,
    "00-3 room to grow": _slack,
}
