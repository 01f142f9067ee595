"""Notebook 07 as a learner meets it: a wrong idea gets its own hint, prose says what cells print."""

import pytest
from exercises import Book

import toolkit as tk

BOOK = Book("07")
OUTAGE = BOOK.given("outage")


@pytest.mark.parametrize("load", [127.9, 130, 131.65])
def test_a_load_that_is_just_well_in_time_is_right(load):
    assert tk.lessons.check("07-4 well within a minute", load, within_s=60, outage=OUTAGE)


@pytest.mark.parametrize(
    ("load", "hint"),
    [
        (280, "close to it, it takes long"),
        (150, "close to it, it takes long"),
        (135, "the first good answer comes after 77 s"),
        (145, "much later than asked for"),
        (100, "after 17 s already"),
    ],
)
def test_a_wrong_load_is_told_what_it_leads_to(load, hint):
    feedback = tk.lessons.check("07-4 well within a minute", load, within_s=60, outage=OUTAGE)

    assert not feedback
    assert hint in feedback.text


@pytest.mark.parametrize("given", [300, 300.0])
def test_a_queue_for_a_second_is_too_long_for_half_a_second(given):
    feedback = tk.lessons.check("07-2 largest queue", given, service_rate_per_s=300, timeout_s=0.5)

    assert "how long does a caller wait" in feedback.text


@pytest.mark.parametrize("number", ["179.05", "179.5", "5,321", "126.50", "9.03", "hidden 150/s"])
def test_the_numbers_behind_the_prose_are_printed_and_compared(number):
    """The cells that print them are tagged, so a run of the notebook compares them."""
    assert number in BOOK.printed


def test_the_prose_quotes_what_the_cells_print():
    quoted = ("179.5 s in place of 179.05 s", "2,800 jobs came, and 2,520", "so it takes 9 s")

    assert [words for words in quoted if words not in BOOK.prose] == []
    assert 2_800 + 2_520 + 1 == 5_321  # one more comes at the very moment of its return
    assert BOOK.printed.endswith("cheapest: a cap of 20 on the queue\n")
