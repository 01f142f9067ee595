"""An interval is held against a goal the right way round, and the margin is a share of the goal."""

import math

import pandas as pd
import pytest

from toolkit.advice.judging import judge, worst

NEAR = [0.95, 0.97, 0.99, 0.96, 0.98]  # mean 0.97, interval about 0.950 to 0.990


@pytest.mark.parametrize(
    ("target", "goal", "answer"),
    [
        ("p99_s", 0.94, "misses"),
        ("p99_s", 0.97, "uncertain"),
        ("p99_s", 1.00, "meets"),
        ("success", 0.94, "meets"),
        ("success", 0.97, "uncertain"),
        ("success", 0.995, "misses"),
    ],
)
def test_less_is_better_but_for_success(target, goal, answer):
    assert judge(target, goal, pd.Series(NEAR), 0.95).answer == answer


def test_the_margin_is_what_is_left_of_the_goal():
    """Of a time the share not used, of success the share of the error budget not spent."""
    values = pd.Series(NEAR)

    assert judge("p99_s", 1.94, values, 0.95).margin == pytest.approx(0.5)
    assert judge("p99_s", 0.485, values, 0.95).margin == pytest.approx(-1.0)
    assert judge("success", 0.96, values, 0.95).margin == pytest.approx(0.25)
    assert judge("success", 0.98, values, 0.95).margin == pytest.approx(-0.5)
    assert judge("success", 1.0, values, 0.95).margin == -math.inf
    assert judge("success", 1.0, pd.Series([1.0, 1.0]), 0.95).answer == "meets"


def test_one_endless_run_is_enough_to_miss():
    seen = judge("recovery_s", 60.0, pd.Series([1.0, math.inf, 2.0]), 0.95)

    assert seen.answer == "misses"
    assert seen.low == math.inf


def test_the_worst_answer_counts():
    assert worst(["meets", "misses", "uncertain"]) == "misses"
    assert worst(["meets", "uncertain"]) == "uncertain"
    assert worst([]) == "meets"
