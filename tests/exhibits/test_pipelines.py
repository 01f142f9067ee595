"""Both forms of the job pipeline keep the same rules, by hand and for random job lines."""

import io
import json
from collections import Counter

import pytest
from hypothesis import given
from job_lines import failures, job_lines, line, run, spent_cents

from toolkit.exhibits import direct, layered

FORMS = {"direct": direct.process, "layered": layered.process}

both = pytest.mark.parametrize("process", FORMS.values(), ids=FORMS)


@both
def test_a_job_is_charged_and_done(process):
    seen = run(process, [line(job="a", customer="acme", kind="report", size_mb=10)])

    assert seen.charges == [("acme", 20)]
    assert seen.pauses_s == []
    assert seen.results == [
        {"line": 1, "outcome": "done", "job": "a", "customer": "acme", "cents": 20, "tries": 1}
    ]
    assert seen.summary == {"outcomes": {"done": 1}, "cents": {"acme": 20}}


@both
def test_nothing_in_nothing_out(process):
    seen = run(process, [])

    assert seen.results == []
    assert seen.summary == {"outcomes": {}, "cents": {}}


@both
@pytest.mark.parametrize(
    ("kind", "size_mb", "cents"),
    [
        ("thumbnail", 1, 6),
        ("thumbnail", 99, 104),
        ("thumbnail", 100, 94),  # 105 less a tenth, rounded down
        ("thumbnail", 101, 95),
        ("transcode", 10, 80),
        ("transcode", 200, 585),
        ("report", 1, 20),
        ("report", 2_000, 18),
    ],
)
def test_the_price_is_by_kind_and_size_with_a_discount_from_100_mb(process, kind, size_mb, cents):
    seen = run(process, [line(kind=kind, size_mb=size_mb)])

    assert seen.charges == [("acme", cents)]
    assert seen.results[0]["cents"] == cents


@both
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "line must be JSON"),
        ("[" * 100_000, "line must be JSON"),
        ("[]", "line must be a JSON object"),
        ("null", "line must be a JSON object"),
        (line(job=...), "job must be a text, and not empty"),
        (line(job=7), "job must be a text, and not empty"),
        (line(job=""), "job must be a text, and not empty"),
        (line(customer=None), "customer must be a text, and not empty"),
        (line(customer=""), "customer must be a text, and not empty"),
        (line(kind="dance"), "kind must be one of thumbnail, transcode, report"),
        (line(kind=["report"]), "kind must be one of thumbnail, transcode, report"),
        (line(size_mb=0), "size_mb must be a whole number from 1 to 2000"),
        (line(size_mb=2_001), "size_mb must be a whole number from 1 to 2000"),
        (line(size_mb=1.0), "size_mb must be a whole number from 1 to 2000"),
        (line(size_mb=True), "size_mb must be a whole number from 1 to 2000"),
        (line(size_mb=...), "size_mb must be a whole number from 1 to 2000"),
        (line(job="", kind="dance"), "job must be a text, and not empty"),
        (line(customer="", kind="dance"), "customer must be a text, and not empty"),
        (line(kind="dance", size_mb=0), "kind must be one of thumbnail, transcode, report"),
    ],
)
def test_a_bad_line_says_the_first_rule_it_breaks_and_stops_nobody(process, text, reason):
    seen = run(process, [text, line()])

    assert seen.results[0] == {"line": 1, "outcome": "invalid", "reason": reason}
    assert seen.outcomes == ["invalid", "done"]
    assert seen.summary["outcomes"] == {"done": 1, "invalid": 1}


@both
def test_other_fields_are_passed_over(process):
    assert run(process, [line(colour="blue")]).outcomes == ["done"]


@both
def test_empty_lines_are_passed_over_but_counted(process):
    seen = run(process, ["", line(job="a"), "  \n", line(job="b")])

    assert [(result["line"], result["job"]) for result in seen.results] == [(2, "a"), (4, "b")]
    assert seen.summary["outcomes"] == {"done": 2}


@both
def test_a_job_that_was_done_is_not_done_again(process):
    seen = run(process, [line(job="a"), line(job="a", customer="zenith"), line(job="b")])

    assert seen.results[1] == {"line": 2, "outcome": "duplicate", "job": "a", "customer": "zenith"}
    assert seen.charges == [("acme", 20), ("acme", 20)]
    assert seen.summary == {"outcomes": {"done": 2, "duplicate": 1}, "cents": {"acme": 40}}


@both
def test_a_job_that_was_not_done_may_come_again(process):
    """Failed or past the limit is not done: nobody was charged."""
    again = [line(job="a"), line(job="a")]
    seen = run(process, again, failures=[True, True, True])

    assert seen.outcomes == ["failed", "done"]
    assert seen.summary["cents"] == {"acme": 20}


@both
def test_a_charge_is_tried_three_times_with_pauses_that_double(process):
    seen = run(process, [line(), line(job="b")], failures=[True, True, False])

    assert seen.results[0]["tries"] == 3
    assert seen.outcomes == ["done", "done"]
    assert seen.charges == [("acme", 20)] * 4
    assert seen.pauses_s == [0.5, 1.0]


@both
def test_a_charge_that_always_fails_is_given_up(process):
    """After the last try nobody waits any more."""
    seen = run(process, [line()], failures=[True] * 9)

    assert seen.results == [
        {"line": 1, "outcome": "failed", "job": "a", "customer": "acme", "cents": 20, "tries": 3}
    ]
    assert len(seen.charges) == 3
    assert seen.pauses_s == [0.5, 1.0]
    assert seen.summary == {"outcomes": {"failed": 1}, "cents": {}}


@both
def test_only_a_lost_connection_is_tried_again(process):
    """Any other error is a mistake of somebody's, and must be seen."""

    def charge(customer, cents):
        raise KeyError(customer, cents)

    with pytest.raises(KeyError):
        process([line()], charge, pytest.fail, io.StringIO())


@both
def test_a_customer_may_spend_5000_cents_and_not_one_more(process):
    """4,994 and 7 are one too many; 4,994 and 6 are just right, and then nothing is left."""
    jobs = [("transcode", 1_833), ("thumbnail", 2), ("thumbnail", 1), ("thumbnail", 1)]
    lines = [line(job=str(n), kind=kind, size_mb=mb) for n, (kind, mb) in enumerate(jobs)]
    seen = run(process, lines)

    assert seen.outcomes == ["done", "over_limit", "done", "over_limit"]
    assert seen.results[1] == {
        "line": 2, "outcome": "over_limit", "job": "1", "customer": "acme", "cents": 7
    }  # fmt: skip
    assert seen.charges == [("acme", 4_994), ("acme", 6)]
    assert seen.summary["cents"] == {"acme": 5_000}


@both
def test_each_customer_has_a_limit_of_its_own(process):
    large = {"kind": "transcode", "size_mb": 1_800}
    seen = run(
        process,
        [
            line(job="a", customer="zenith", **large),
            line(job="b", **large),
            line(job="c", **large),
        ],
    )

    assert seen.outcomes == ["done", "done", "over_limit"]
    assert list(seen.summary["cents"].items()) == [("acme", 4_905), ("zenith", 4_905)]


@both
def test_a_failed_charge_leaves_the_limit_alone(process):
    large = {"kind": "transcode", "size_mb": 1_800}
    seen = run(
        process, [line(job="a", **large), line(job="b", **large)], failures=[True, True, True]
    )

    assert seen.outcomes == ["failed", "done"]


@both
def test_a_result_is_written_before_the_next_line_is_read(process):
    """So a million lines need no more memory than ten, and what was done is known after a crash."""
    out, written = io.StringIO(), []

    def lines():
        for name in "abc":
            yield line(job=name)
            written.append(len(out.getvalue().splitlines()))

    process(lines(), lambda *_: None, lambda _: None, out)

    assert written == [1, 2, 3]


@both
def test_no_run_knows_another(process):
    first, second = run(process, [line()]), run(process, [line()])

    assert first == second


# --- for any lines ---


@both
@given(lines=job_lines, failures=failures)
def test_every_line_has_one_result_and_the_summary_counts_them(process, lines, failures):
    seen = run(process, lines, failures)
    written = [number for number, text in enumerate(lines, start=1) if text.strip()]

    assert [result["line"] for result in seen.results] == written
    assert seen.summary["outcomes"] == dict(sorted(Counter(seen.outcomes).items()))
    assert list(seen.summary["outcomes"]) == sorted(seen.summary["outcomes"])


@both
@given(lines=job_lines, failures=failures)
def test_nobody_pays_twice_too_much_or_for_nothing(process, lines, failures):
    seen = run(process, lines, failures)
    done = [result["job"] for result in seen.results if result["outcome"] == "done"]
    tries = sum(result.get("tries", 0) for result in seen.results)
    paid = [result for result in seen.results if "tries" in result]

    assert len(done) == len(set(done))
    assert seen.summary["cents"] == spent_cents(seen)
    assert all(cents <= 5_000 for cents in seen.summary["cents"].values())
    assert len(seen.charges) == tries <= 3 * len(paid)
    assert len(seen.pauses_s) == tries - len(paid)


@given(lines=job_lines, failures=failures)
def test_both_forms_do_the_same(lines, failures):
    """To the letter of every result line, the world outside included."""
    outs = {}
    for name, process in FORMS.items():
        seen = run(process, lines, failures)
        outs[name] = (
            json.dumps(seen.results),
            json.dumps(seen.summary),
            seen.charges,
            seen.pauses_s,
        )

    assert outs["direct"] == outs["layered"]
