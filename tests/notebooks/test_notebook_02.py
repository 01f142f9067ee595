"""Notebook 02 as a learner meets it: solutions pass their checks, dots do not, and prose says what cells print."""

import json

import pytest
from exercises import Book, without_solution

BOOK = Book("02")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def names():
    """Return the names that the notebook leaves behind, and what its checks said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(BOOK.path.parent)
        found = {"said": []}
        for code in BOOK.code:
            shown = BOOK.shown(code, found)
            if "lessons.check" in code:
                found["said"].append(shown)
    return found


def test_every_solution_passes_its_check(names):
    assert [bool(said) for said in names["said"]] == [True] * 3


def test_without_the_solution_a_check_waits_for_an_answer(names):
    for code in BOOK.exercises:
        assert "no answer yet" in BOOK.shown(without_solution(code), dict(names)).text


def test_what_the_prose_says_is_what_the_cells_show(names):
    """Words for numbers, each beside the value that it stands for."""
    prose = BOOK.prose
    printed = json.dumps([cell.get("outputs") for cell in BOOK.cells])
    kills, surprises = names["kills"], names["surprises"]["measured"]
    choices, crashed = names["choices"], names["crashed"]
    stuck = names["tk"].recordings.recorded("celery-redis-prefetch-4-early")
    one, four = (choices.loc[f"late, prefetch {n}, Redis"] for n in (1, 4))
    again_s = kills["again after, s"]["measured"]
    claims = {
        "idle survivor within 10 ms": again_s["Celery, RabbitMQ, late ack, idle survivor"] <= 0.01,
        "(3.0 s in the table)": again_s["Celery, RabbitMQ, late ack"] == 3.0,
        "Four short jobs sit in the memory": (stuck.waits_s() > 4).sum() == 4,
        "four runs of one job": surprises.iloc[0] == 4,
        "let two jobs start at once": list(surprises.iloc[2:5]) == [2, 1, 2],
        "up to eight came together": surprises.iloc[5] == 8,
        "its mean is above its p99": crashed.loc["Celery, Redis, acks_late", "mean, s"]
        > crashed.loc["Celery, Redis, acks_late", "p99, s"],
        "a quarter of the workers' time idle": 24 < four["idle while jobs wait, %"] < 27,
        "more than three times as long": 3
        < four["mean wait, s"] / one["mean wait, s"]
        < 4,
        "Half an hour after a delivery": "[0, 30, 60, 90]" in printed,
        "five settings to get what RabbitMQ does with two": list(
            choices["knobs"][["late, prefetch 1, Redis, tuned", "late, prefetch 1, RabbitMQ"]]
        )
        == [5, 2],
    }  # fmt: skip

    for words, holds in claims.items():
        assert words in prose, words
        assert holds, words


def test_the_notebook_keeps_no_state_of_widgets():
    """It would be a hundred kilobytes that change with every run."""
    assert "widgets" not in json.loads(BOOK.path.read_text(encoding="utf-8"))["metadata"]
