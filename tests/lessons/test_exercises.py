"""The exercises of every notebook as a learner meets them: solutions are right, dots are no answer."""

import re

import pytest
from exercises import Book, without_solution

import toolkit as tk

NUMBERS = ("00", "01", "02", "03", "04", "05", "07", "08", "09", "10")
BOOKS = {number: Book(number) for number in NUMBERS}
STANDING_ALONE = {"01": [], "03": [], "07": ["outage"], "08": ["often"], "09": []}
"""Notebooks whose exercises need no run of the cells before them, and the plain values that they do need."""


def exercises():
    """Yield each exercise of those notebooks."""
    for number, values in STANDING_ALONE.items():
        for code in BOOKS[number].exercises:
            yield pytest.param(number, values, code, id=f"{number} {code.split(' ')[0]}")


@pytest.mark.parametrize(("number", "values", "code"), list(exercises()))
def test_the_solution_is_right_and_the_dots_are_no_answer(number, values, code):
    book = BOOKS[number]
    given = {name: book.given(name) for name in values} | {"tk": tk, "twins": tk.twins}

    assert book.shown(code, dict(given))
    assert "no answer yet" in book.shown(without_solution(code), dict(given)).text


@pytest.mark.parametrize("number", NUMBERS)
def test_every_question_is_asked_once(number):
    questions = [name for name in tk.lessons.QUESTIONS if name.startswith(f"{number}-")]

    assert BOOKS[number].asked() == questions


@pytest.mark.parametrize("number", NUMBERS)
def test_no_solution_is_left_to_a_learner(number):
    """Without the regions between the marks every exercise waits for the answer that it checks."""
    for code in map(without_solution, BOOKS[number].exercises):
        [answer] = re.findall(r"^(\w+) = \.\.\.$", code, re.MULTILINE)

        assert f'", {answer}, ' in code or f'", {answer})' in code
