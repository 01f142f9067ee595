"""Notebook 01 as a learner meets it: slips get a hint, prose says what cells print."""

import math
import re
from statistics import NormalDist

import pytest
from exercises import Book

import toolkit as tk

BOOK = Book("01")
FEWEST = {"rate_per_s": 400, "service_s": 0.02, "p99_s": 0.11}


@pytest.mark.parametrize(
    ("question", "slip", "hint", "evidence"),
    [
        ("01-1 from arrival to done", 0.12, "that is the wait", {"busy": 0.75, "service_s": 0.04}),
        ("01-1 from arrival to done", 160, "milliseconds", {"busy": 0.75, "service_s": 0.04}),
        ("01-1 from arrival to done", 0.07, "not grow in step", {"busy": 0.75, "service_s": 0.04}),
        ("01-1 from arrival to done", 0.04 / 0.75, "the idle one", {"busy": 0.75, "service_s": 0.04}),
        ("01-1 from arrival to done", 3, "divided by", {"busy": 0.75, "service_s": 0.04}),
        ("01-2 jobs inside", 200 / 0.15, "multiply", {"rate_per_s": 200, "sojourn_s": 0.15}),
        ("01-2 jobs inside", 30_000, "thousand", {"rate_per_s": 200, "sojourn_s": 0.15}),
        ("01-2 jobs inside", 200, "how long does each stay", {"rate_per_s": 200, "sojourn_s": 0.15}),
        ("01-2 jobs inside", 7, "how many come while", {"rate_per_s": 200, "sojourn_s": 0.15}),
        ("01-3 all alike", 0, "the arrivals still do", {"busy": 0.8, "service_s": 0.05}),
        ("01-3 all alike", 0.2, "with exponential work", {"busy": 0.8, "service_s": 0.05}),
        ("01-3 all alike", 0.15, "the wait alone", {"busy": 0.8, "service_s": 0.05}),
        ("01-3 all alike", 100, "milliseconds", {"busy": 0.8, "service_s": 0.05}),
        ("01-3 all alike", 3, "busy share ÷ idle share", {"busy": 0.8, "service_s": 0.05}),
        ("01-4 fewest workers", 8, "cannot keep up", FEWEST),
        ("01-4 fewest workers", 9, "their p99 is 125 ms", FEWEST),
        ("01-4 fewest workers", 11, "one less would do: 99 ms", FEWEST),
        ("01-4 fewest workers", 9.5, "whole number", FEWEST),
        ("01-4 fewest workers", "many", "cannot be checked", FEWEST),
    ],
)  # fmt: skip
def test_a_wrong_idea_gets_its_own_hint(question, slip, hint, evidence):
    feedback = tk.lessons.check(question, slip, **evidence)

    assert not feedback
    assert hint in feedback.text


def test_the_fewest_that_keep_up_may_be_enough():
    """There is no fewer to compare with."""
    said = tk.lessons.check("01-4 fewest workers", 9, rate_per_s=400, service_s=0.02, p99_s=0.2)

    assert said
    assert "11% of their time is idle" in said.text


def numbers(pattern):
    """Return the numbers of the printed line that begins like this."""
    [line] = re.findall(rf"^{pattern}(.*)$", BOOK.printed, re.MULTILINE)
    return [float(word.replace(",", "")) for word in re.findall(r"[\d,]*\.?\d+", line)]


def test_what_the_prose_says_is_what_the_cells_print():
    """Words for numbers, each beside the value that it stands for."""
    half, nine, near = (numbers(f"{busy}% busy: (?=.*on average)") for busy in (50, 90, 95))
    quiet, medium, busy = (numbers(f"{rate} {{4,}}") for rate in (60, 120, 160))
    alike, chance, heavy = (
        numbers(f"Poisson arrivals, {kind}")[0]
        for kind in ("all alike", "as chance has it", "a few long jobs")
    )
    middle, mean, _, p99 = numbers("90% busy: p50")
    four, five, six, seven = (numbers(f"{workers} {{4,}}") for workers in (4, 5, 6, 7))
    claims = {
        "a job takes five times as long": 4.8 < nine[0] / half[0] < 5.2,
        "it is about twice as long again": 1.8 < near[0] / nine[0] < 2.2,
        "The means agree within 6%": all(
            abs(formula / measured - 1) < 0.06
            for _, measured, formula, *_ in (quiet, medium, busy)
        ),
        "the measured ones are always the longer": all(
            measured > formula for _, measured, formula, *_ in (quiet, medium, busy)
        ),
        "Two of the three p99 lie within the range": quiet[-2] < quiet[4] < quiet[-1]
        and busy[-2] < busy[4] < busy[-1],
        "The one at 120 requests a second lies above it": medium[4] > medium[-1],
        "those 84 ms": medium[4] == 84,
        "the mean grows by little more than half": 1.5 < busy[1] / quiet[1] < 1.65,
        "half as long, and not nought": alike == pytest.approx(chance / 2, abs=1),
        "2.5 times the wait": heavy == pytest.approx(2.5 * chance, abs=1),
        "more than four times as long": p99 > 4 * mean > 4 * middle,
        "almost every tenth time": "slowest 1% in 10% of all cases" in BOOK.printed,
        "36% of their time is idle": five[3] == 0.36,
        "180 dollars a month of the 500": five[4:6] == [500, 180],
        "The fifth worker buys 32 ms, the sixth 4, the seventh less than one": round(five[-1]) == 32
        and round(six[-1]) == 4
        and seven[-1] < 1,
        "Four are 80% busy": four[3] == 0.2,
        "A goal of 120 ms is met by the four": "120 ms: 4 workers" in BOOK.printed,
        "it takes **five workers": "90 ms: 5 workers" in BOOK.printed,
        "For 90 ms, six are *overbuilt*": six[2] < 90,
        "No number of workers brings 70 ms": "70 ms: no number will do" in BOOK.printed,
    }  # fmt: skip

    for words, holds in claims.items():
        assert words in BOOK.prose, words
        assert holds, words


def test_what_the_prose_says_of_the_charts_is_on_them():
    """Charts are not kept in the notebook, so their sentences are asked."""
    waiting = tk.panels.waiting
    first = waiting.first_jobs().text
    runs = [
        tk.simulate(waiting.pool(0.9), jobs=2_000, seed=1, replication=k).done_ms()[:1_000].mean()
        for k in range(5)
    ]
    at_ten = tk.theory.mm1_jobs_at(10.0, arrival_rate_per_s=9, service_rate_per_s=10)
    spread = math.sqrt(math.log(1.5))  # a lognormal law of 20 ms with an scv of 0.5
    hundredth_ms = 20 * math.exp(spread * NormalDist().inv_cdf(0.99) - spread**2 / 2)

    assert "For 1.5 of these 4 seconds" in BOOK.prose
    assert "idle for 1.5 s of it" in first
    assert "up to four jobs wait" in BOOK.prose
    assert "At most 4 waiting" in first
    assert "one run says 470 ms, another 1,170" in BOOK.prose
    assert (round(min(runs), -1), round(max(runs), -1)) == (470, 1170)
    assert "more than a quarter short" in BOOK.prose
    assert at_ten < 0.75 * 9
    assert "the slowest hundredth alone takes 72" in BOOK.prose
    assert round(hundredth_ms) == 72


def test_no_price_is_taken_for_a_formula():
    """JupyterLab sets what is between two dollar signs as mathematics."""
    assert not any("$" in text for text in BOOK.markdown)


def test_the_price_of_a_worker_is_in_one_place():
    """A learner changes it there, and the rest follows."""
    assert sum("worker_a_month = 100" in code for code in BOOK.code) == 1
    assert not any("500" in code for code in BOOK.code if "worker_a_month" in code)
