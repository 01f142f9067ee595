"""The questions of notebook 10, on the learner's own file: nothing here knows an answer beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from toolkit.advice import SLO, Advice, Trial
from toolkit.design import TokenBucket
from toolkit.lessons.feedback import Feedback, close, number


def _worst(answer: Any, *, trial: Trial) -> Feedback:
    """Check the largest error of the model on the test it was tried on, in percent, without its sign."""
    given = number(answer)
    right = 100 * trial.worst
    if math.isnan(right):
        return Feedback(
            False, "no request of this model succeeds, so there is nothing to compare; see the file"
        )
    errors = [100 * abs(error) for error in trial.table["error"]]
    name = trial.table.index[errors.index(max(errors))]
    if _near(given, right):
        word = "good enough to plan with" if trial.is_good else "not good enough to plan with"
        return Feedback(True, f"{right:.0f}%, at {name}: {word}, by our rule")
    if given < 0 and _near(-given, right):
        return Feedback(False, "the size alone was asked for, without its sign")
    if right >= 2 and _near(100 * given, right):
        return Feedback(False, "that is the share; give it in percent")
    if any(_near(abs(given), error) for error in errors):
        return Feedback(False, f"another percentile is further off: look at {name}")
    return Feedback(False, "the column `error` has shares: which is furthest from zero?")


def _near(given: float, right: float) -> bool:
    """Allow for an answer that was rounded to whole percent."""
    return abs(given - right) <= max(0.51, 0.03 * right)


def _by_formula(answer: Any, *, table: pd.DataFrame, slo: SLO) -> Feedback:
    """Check the cheapest design, by name, that meets the first goal on time by the formula alone."""
    goal_ms = next(iter(slo.goals_ms().values()), 0.0)
    names = [str(name) for name in table.index]
    name = next((n for n in names if n == answer or n.split()[0] == str(answer)), None)
    if name is None:
        return Feedback(False, f"the answer is one of the designs: {', '.join(names)}")
    meets = table["formula"] <= goal_ms
    if not meets.any():
        return Feedback(False, "by the formula none of them meets a goal on time: choose another")
    right = str(meets.index[meets][0])
    told = table.loc[name, "formula"]
    if name == right:
        seen = table.loc[name, "simulated"]
        word = "and in the simulator" if seen <= goal_ms else "but not in the simulator"
        return Feedback(True, f"{name}: {told:.0f} ms; enough by formula, {word}")
    if math.isnan(told):
        return Feedback(False, f"{name} cannot keep up: no formula has a percentile for them")
    if told > goal_ms:
        return Feedback(
            False, f"{name} keep up, but keeping up is not the goal: {told:.0f} ms by formula"
        )
    return Feedback(False, f"{name} meet it, but look one row up: does a cheaper one as well?")


def _range(answer: Any, *, advice: Advice) -> Feedback:
    """Check what the futures that must be stood cost a month beyond what is right for today."""
    given = number(answer)
    if advice.choice is None:
        return Feedback(False, "no design surely met the goal, so choose a goal that one can meet")
    costs, today = advice.table()["cost"], advice.survival()["today"]
    fits_today = costs[today.index[today == "meets"]].min()
    right = costs[advice.choice] - fits_today
    if abs(given - right) <= max(1.0, 0.03 * right):
        word = "that is what standing them costs" if right else "today's design stands them as well"
        return Feedback(True, f"${right:,.0f} a month: {word}")
    if close(given, costs[advice.choice]):
        return Feedback(False, "that is the whole bill; what would be right for today costs less")
    if close(given, fits_today):
        return Feedback(False, "that is right for today; how much more does the choice cost?")
    if right and close(given, 12 * right):
        return Feedback(False, "that is for a year; prices here are a month")
    return Feedback(
        False, "price of the choice, less that of the cheapest with 'meets' in the column today"
    )


def _let_in(answer: Any, *, bucket: TokenBucket, seconds: float) -> Feedback:
    """Check the most that a bucket lets in within so many seconds."""
    given = number(answer)
    flow, burst = bucket.rate_per_s * seconds, bucket.burst
    if abs(given - flow - burst) <= 1:
        return Feedback(True, f"{flow + burst:,.0f}, however large the flood is")
    if abs(given - flow) <= 1:
        return Feedback(False, "that flows in; what had been saved up before gets in as well")
    if close(given, flow + burst * seconds):
        return Feedback(False, "the burst is saved up once, not every second")
    if close(given, bucket.rate_per_s + burst):
        return Feedback(False, f"that is one second; {seconds:g} were asked for")
    return Feedback(False, "burst + rate x seconds")


QUESTIONS: dict[str, Callable[..., Feedback]] = {
    "10-1 worst error": _worst,
    "10-2 by formula": _by_formula,
    "10-3 price of a range": _range,
    "10-4 through the door": _let_in,
}
