"""Notebook 09 as a learner meets it: a wrong idea gets its own hint, prose says what cells print."""

import pytest
from exercises import Book

import toolkit as tk

BOOK = Book("09")

BATCH = {"items_per_s": 200, "fixed_s": 0.020, "per_item_s": 0.002}
STAFF = {"load": 100, "times": 4, "prob_wait": 0.2}
FASTER = {
    "slow_s": 0.025,
    "fast_s": 0.010,
    "busy": 0.7,
    "worker": 36,
    "effort": 2_400,
    "months": 12,
}


@pytest.mark.parametrize(
    ("question", "wrong", "evidence", "hint"),
    [
        ("09-1 one is gone", 0.2, {"workers": 5}, "the one who is gone"),
        ("09-1 one is gone", 5 / 6, {"workers": 5}, "a spare beside these"),
        ("09-1 one is gone", 0.5, {"workers": 5}, "can the others do"),
        ("09-2 smallest batch", 6.67, BATCH, "a whole number"),
        ("09-2 smallest batch", 8, BATCH, "so does a batch of 7"),
        ("09-2 smallest batch", 4, BATCH, "the fixed time alone"),
        ("09-2 smallest batch", 0, BATCH, "one item or more"),
        ("09-2 smallest batch", 6, BATCH, "188 items/s: fewer than come"),
        ("09-3 four times the load", 444, STAFF, "a large pool needs less"),
        ("09-3 four times the load", 411, STAFF, "as the root of the load"),
        ("09-3 four times the load", 500, STAFF, "times which factor"),
        ("09-4 faster code", 370.4, FASTER, "not busy all the time"),
        ("09-4 faster code", 3_111, FASTER, "for one month"),
        ("09-4 faster code", 155.6, FASTER, "takes time as well"),
        ("09-4 faster code", 1_000, FASTER, "workers saved ="),
    ],
)
def test_a_wrong_idea_gets_its_own_hint(question, wrong, evidence, hint):
    feedback = tk.lessons.check(question, wrong, **evidence)

    assert not feedback
    assert hint in feedback.text


@pytest.mark.parametrize("given", [0.8, 80])
def test_a_share_and_a_percentage_are_both_understood(given):
    assert tk.lessons.check("09-1 one is gone", given, workers=5)


@pytest.mark.parametrize("items_per_s", [50, 100, 250, 400])
def test_the_smallest_batch_keeps_up_and_one_less_does_not(items_per_s):
    """At a load where the edge is a whole number, as many as come is not yet more than come."""
    evidence = BATCH | {"items_per_s": items_per_s}
    sizes = range(1, 200)
    right = [b for b in sizes if tk.lessons.check("09-2 smallest batch", b, **evidence)]

    assert len(right) == 1
    most = [tk.theory.batch_throughput_per_s(batch=b, fixed_s=0.020, per_item_s=0.002) for b in (right[0], max(1, right[0] - 1))]  # fmt: skip
    assert most[0] > items_per_s >= most[1]


@pytest.mark.parametrize(
    ("quoted", "printed"),
    [
        ("from 241 to 618 ms, the median from 42 to 121 ms", ["241.0", "618.0", "42.0", "121.0"]),
        ("it takes 21 workers to be as quick as 8", ["21.0"]),
        ("to 84 ms, and the long ones pay for it with 16 s", ["84  16059"]),
        ("ten in a batch take 490 ms instead of 28", ["490.0", "28.0"]),
        ("from 183 to 50 ms", ["183.0", "50.0"]),
        ("it takes five workers (180 dollars)", ["without batches: 5 workers"]),
        ("it pays 7,776 dollars a month", ["7776"]),
        ("nearly 13,000 jobs are late", ["12831.0"]),
        ("if a late job costs 0.3 cents", ["costs 0.3 cents"]),
        ("from 737 to 172 ms for 18 dollars", ["737.0", "172.0", "18.0"]),
        ("nearly four in ten jobs are never answered in time", ["0.63"]),
        ("31% of the jobs in time, instead of 88%", ["0.31", "0.88"]),
        ("At 250 ms, just beyond the p99 of a patient caller", ["no time-out: p99 238 ms"]),
        ("312 dollars a month", ["315.0"]),
        ("7,848 dollars a month", ["45000.0", "37152.0"]),
        ("there is a peak at 288 processors", ["288.0"]),
        ("they promise 350 or 580", ["350.0", "580.0"]),
        ("more than 97% busy", ["97.8%"]),
    ],
)
def test_the_prose_quotes_what_the_cells_print(quoted, printed):
    """The cells that print them are tagged, so a run of the notebook compares them."""
    assert quoted in BOOK.prose
    assert [text for text in printed if text not in BOOK.printed] == []
