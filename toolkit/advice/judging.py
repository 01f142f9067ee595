"""Is a goal met?  Yes, no, or not known yet: an interval on both sides of it is no answer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from toolkit.design import Design
from toolkit.experiments import interval
from toolkit.simulation import Run
from toolkit.simulation.codes import DONE

Answer = Literal["misses", "uncertain", "meets"]
_FROM_WORST: tuple[Answer, ...] = ("misses", "uncertain", "meets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was seen of one goal: the mean over replications, its interval, the answer, the margin.

    ``margin`` is the share of the goal that is left over: 0.25 is a p99 of 300 ms where 400 are
    allowed, or three quarters of the error budget spent; below zero the goal is missed by it.
    """

    mean: float
    low: float
    high: float
    answer: Answer
    margin: float


def judge(target: str, goal: float, values: pd.Series[float], confidence: float) -> Judgement:
    """Hold the ``values`` of replications against a ``goal``; more is better for ``success`` only."""
    endless = bool(np.isinf(values).any())
    mean, low, high = (math.inf,) * 3 if endless else interval(values, confidence)
    if target == "success":
        low, high = max(0.0, low), min(1.0, high)
        may_be, is_sure, margin = high >= goal, low >= goal, _budget_left(mean, goal)
    else:
        may_be, is_sure, margin = low <= goal, high <= goal, 1.0 - mean / goal
    answer: Answer = "meets" if is_sure else "uncertain" if may_be else "misses"
    return Judgement(mean=mean, low=low, high=high, answer=answer, margin=margin)


def _budget_left(success: float, goal: float) -> float:
    """Return the share of the error budget that is left; a goal of 1 has none to spend."""
    if goal == 1.0:
        return 0.0 if success == 1.0 else -math.inf
    return 1.0 - (1.0 - success) / (1.0 - goal)


def worst(answers: Iterable[Answer]) -> Answer:
    """Return the worst of several answers; "meets" if nothing was asked."""
    found = set(answers)
    return next((answer for answer in _FROM_WORST if answer in found), "meets")


def values_of(target: str, figures: pd.DataFrame) -> pd.Series[float]:
    """Return what ``target`` is about, a value a replication."""
    if target == "success":
        return figures["done"] / figures["jobs"]
    if target == "recovery_s":
        return figures["recovery_s"]
    return figures[f"sojourn_{target}"].fillna(math.inf)  # no job done: no answer in any time


def recovery_s(run: Run, *, start_s: float, end_s: float) -> float:
    """Return how long after ``end_s`` a job first takes no longer than half did before ``start_s``.

    Counted to the arrival of that job; ``inf`` if there is none in the run, or nothing to compare with.
    """
    records = run.records
    done = records.outcome == DONE
    arrived_s = records.arrived_s[done]
    sojourn_s = records.finished_s[done] - arrived_s
    before_s = sojourn_s[arrived_s < start_s]
    if not before_s.size:
        return math.inf
    usual_s = float(np.median(before_s)) * (1 + 1e-9)  # times are differences of sums
    well = (arrived_s >= end_s) & (sojourn_s <= usual_s)
    return float(arrived_s[well].min() - end_s) if well.any() else math.inf


def is_smaller(one: Design, other: Design) -> bool:
    """Say whether ``one`` is ``other`` with fewer workers somewhere and more of them nowhere."""
    if one.arrivals != other.arrivals or len(one.stages) != len(other.stages) or one == other:
        return False
    return all(
        a.workers <= b.workers and a == dataclasses.replace(b, workers=a.workers)
        for a, b in zip(one.stages, other.stages, strict=True)
    )


def settled_by_order(
    answers: Mapping[str, Answer], designs: Mapping[str, Design]
) -> dict[str, Answer]:
    """Let a design miss that is in doubt by itself, if more workers of the same kind miss."""
    missing = [designs[name] for name, answer in answers.items() if answer == "misses"]
    return {
        name: "misses"
        if answer == "uncertain" and any(is_smaller(designs[name], more) for more in missing)
        else answer
        for name, answer in answers.items()
    }
