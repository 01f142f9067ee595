"""Notebook 03 as a learner meets it: slips get a hint, prose says what cells print."""

import re

import pytest
from exercises import Book

import toolkit as tk

BOOK = Book("03")


@pytest.mark.parametrize(
    ("slip", "hint"),
    [
        (80, "how many does a job make"),
        (112, "upside down"),
        (40, "every attempt fails"),
        (48, "without a limit"),
        (7, "capacity divided by"),
        ("many", "cannot be checked"),
    ],
)
def test_a_slip_about_room_for_retries_is_explained(slip, hint):
    evidence = {"capacity_per_s": 80, "failure": 0.4, "max_retries": 1}
    feedback = tk.lessons.check("03-4 room for retries", slip, **evidence)

    assert not feedback
    assert hint in feedback.text


def row(name, number):
    """Return the numbers of the ``number``-th printed row that begins with ``name``."""
    rows = re.findall(rf"(?:^|\s){re.escape(name)} {{2,}}([\d. ]+)$", BOOK.printed, re.MULTILINE)
    return [float(word) for word in rows[number].split()]


def test_what_the_prose_says_is_what_the_cells_print():
    """Words for numbers, each beside the value that it stands for."""
    none, exponential, full = (row(name, 0) for name in ("none", "exponential", "full"))
    quiet, busy, mixed, _ = row("no retries", 2)
    budget = row("3, jitter and a budget", 2)
    once = row("3 at once", 2)
    claims = {
        "the last client is done after 2 s": none[1] == 2.0,
        "about a minute": 55 < exponential[1] < 65,
        "a thirteenth of that": "takes 13 times as long" in BOOK.printed,
        "three times the calls": 2.9 < none[0] / full[0] < 3.1,
        "eight tenths of what they do is for nothing": 0.78 <= row("3 at once", 1)[3] <= 0.82,
        "4,000 retries become 100 or 4": all(
            line in BOOK.printed
            for line in ("budget: 4000", "quota: 100, formula 100", "throttle: 4, formula 4")
        ),
        "more than one attempt in eleven": "above 9.1% failures" in BOOK.printed,
        "**no retries** is the dearest": quiet > max(once[0], budget[0]),
        "at once, is the cheapest": once[0] < min(quiet, budget[0]),
        "**no retries** is the cheapest": busy < min(once[1], budget[1]),
        "cost five times as much": 4.5 < once[1] / busy < 5.5,
        "the budget is the cheapest of all": budget[2] < min(mixed, once[2]),
    }

    for words, holds in claims.items():
        assert words in BOOK.prose, words
        assert holds, words


def test_at_a_tenth_of_the_price_for_errors_none_wins_the_quiet_day_too():
    """The question that the notebook leaves open has an answer."""
    two = tk.panels.retries.spell(loads_per_s=[45], jobs=1_500, seed=1, replications=range(2))

    assert tk.panels.retries.bill(two, lost=0.1)[45].idxmin() == "no retries"
