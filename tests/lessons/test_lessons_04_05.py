"""Notebooks 04 and 05 as a learner meets them: right answers pass, slips get a hint, prose says what cells print."""

import re

import numpy as np
import pandas as pd
import pytest
from exercises import Book

import toolkit as tk
from toolkit.design.limits import RunningBucket
from toolkit.ebpf.verdict import Verdict

BOOKS = {number: Book(number) for number in ("04", "05")}


def said(question, answer, **evidence):
    return tk.lessons.check(question, answer, **evidence)


# --- the notebooks ---


@pytest.mark.parametrize("number", ["04", "05"])
def test_a_line_of_markdown_holds_a_sentence(number):
    """So that a change of one sentence is a change of one line; tables are let off."""
    two = re.compile(r"[a-z0-9)][.?!] [A-Z]")
    prose = [line for text in BOOKS[number].markdown for line in text.splitlines()]

    assert [line for line in prose if two.search(line) and not line.startswith("|")] == []


def test_no_number_of_this_machine_is_kept():
    """What is checked when tests run has to be so on any machine: words, counts, and no times."""
    for word in re.findall(r"\d[\d,.]*", BOOKS["05"].printed):
        assert word.strip(",.") in {"23", "1,000", "4,096"}


def test_what_the_prose_of_04_says_is_what_its_cells_print():
    text, prose = BOOKS["04"].printed, BOOKS["04"].prose
    cost = {
        name: float(row.split()[-1])
        for name, row in re.findall(r"^((?:drop|wait), burst \d+) +(.*)$", text, re.MULTILINE)
    }
    passed = [int(n) for n in re.findall(r"(?:for all|each) +(\d+) +4000", text)]
    windows = [(int(a), int(b)) for a, b in re.findall(r"most +(\d+) in any.*promised (\d+)", text)]
    claims = {
        "the same packets": "kernel decides as the formula: True" in text,
        "in the second and the third it is used up but for one packet": [
            b - a for a, b in windows
        ][1:3] == [1, 1],
        "23 packets in, and a bucket with room for 10": "23 sent, 23 counted: 10 in" in text,
        "one packet in twenty is lost": re.search(r"1\.0 +5\.1 +5\.2 +5\.2", text),
        "drops nearly half": "burst  1:  47.4% dropped" in text,
        "promises three times as much": passed[1] > 0.99 * 4000 > 2.5 * passed[0],
        "With a third of it in each, the flood is held": passed[2] <= passed[0],
        "loses four packets in ten": 0.35 < 1 - passed[5] / 4000 < 0.45,
        "One limiter for all is right in both cases": passed[3] == 4000,
        "waiting costs a fifth of that": 4.5 < cost["drop, burst 1"] / cost["wait, burst 1"] < 5.5,
        "From a burst of 10 on it hardly matters": all(
            abs(cost[f"drop, burst {n}"] - cost[f"wait, burst {n}"]) < 0.15 * cost[f"drop, burst {n}"]
            for n in (10, 30, 100, 300)
        ),
        "Beyond 30 there is nothing left to gain": min(cost.values()) == cost["drop, burst 30"],
    }  # fmt: skip

    for words, holds in claims.items():
        assert words in prose, words
        assert holds, words


def test_the_questions_that_04_leaves_open_have_answers():
    bill = tk.panels.limiter.bill
    cheap = bill(load=0.9, bursts=[30, 100, 300], place=0.001)["cost"]
    late = bill(load=0.9, bursts=[10], waited=2)["cost"]

    assert cheap["drop, burst 100"] == pytest.approx(cheap.min())
    assert late["wait, burst 10"] > 10 * late["drop, burst 10"]


def test_what_the_prose_of_05_says_is_what_its_cells_print():
    text, prose = BOOKS["05"].printed, BOOKS["05"].prose
    costs = tk.ebpf.Lab("recorded").cost(packets=100_000, rounds=2)
    ns = costs[costs["case"] == "passed"].groupby("update")["ns"].min()
    claims = {
        "native XDP refuses before": "the driver is cheaper than a packet delivered for nothing: True" in text,
        "The swap is exact": "swap and locked let too many pass: False" in text,
        "The lock is exact, too, and pays": ns["swap"] < ns["locked"],
        "The flood gets more in than there are sources": "being forgotten pays: True" in text,
        "23 connections went by each time": "{'in peace': 23, 'in a flood': 23}" in text,
        "so the firewall rule wins": "cheapest at 1,000 packets/s: nftables" in text,
        "The repair is one comparison": "careless: False careful: True" in text,
    }  # fmt: skip

    for words, holds in claims.items():
        assert words in prose, words
        assert holds, words


# --- the checks ---


@pytest.mark.parametrize(
    ("question", "right", "slips", "evidence"),
    [
        (
            "04-1 promise",
            1050,
            {1000: "may be full", 50: "flow in while", 1250: "once, not every", 7: "plus what"},
            {"rate_per_s": 200, "burst": 50, "window_s": 5},
        ),
        (
            "04-3 a train",
            25,
            {30: "that is enough", 24: "off by one", 26: "off by one", 3: "too small", 28: "smaller"},
            {"packets": 30, "gap_s": 0.001, "rate_per_s": 200},
        ),
        (
            "04-4 new limits",
            13_100,
            {13_000: "full at first", 13_300: "fill the bucket again", 1: "how long did it"},
            {"phases": [(1, 1000), (2, 5000), (10, 200)], "burst": 100},
        ),
        (
            "04-5 the last one",
            0.25,
            {0.3: "do not wait", 250: "milliseconds", 5: "find no token"},
            {"packets": 60, "rate_per_s": 200, "burst": 10},
        ),
        (
            "05-3 busy CPUs",
            1.264,
            {1264: "power of a thousand", 1 / 1.264: "upside down", 3: "packets a second times"},
            {"ns": 632, "flood_per_s": 2_000_000},
        ),
        (
            "05-5 newcomers",
            3200,
            {1_000_000: "share one bucket", 3000: "any bucket", 1: "like any other"},
            {"per_s": 50, "burst": 200, "seconds": 60, "sources": 1_000_000},
        ),
        (
            "05-6 told",
            168,
            {20: "one CPU; here are 8", 5: "Divide", 1000: "for each gap"},
            {"gap_s": 0.5, "seconds": 10, "cpus": 8},
        ),
    ],
)  # fmt: skip
def test_the_right_number_is_right_and_a_slip_is_explained(question, right, slips, evidence):
    assert said(question, right, **evidence)
    for slip, hint in slips.items():
        feedback = said(question, slip, **evidence)

        assert not feedback
        assert hint in feedback.text


@pytest.fixture(scope="module")
def decided():
    """Return arrivals and what a bucket of 3 with a token a microsecond does with them."""
    arrivals = np.cumsum(np.random.default_rng(3).integers(1, 1500, size=300))
    bucket = RunningBucket(interval=1000, tolerance=2000)
    return arrivals, [bucket.admit(int(now)) for now in arrivals]


def by_tokens(arrivals, *, start=3, most=3, spend_always=False):
    tokens, before, passed = 1000 * start, 0, []
    for now in arrivals:
        tokens, before = min(1000 * most, tokens + now - before), now
        passed.append(bool(tokens >= 1000))
        tokens -= 1000 * (passed[-1] or spend_always)
    return passed


def test_a_bucket_of_the_learners_own_is_judged_by_the_kernel(decided):
    arrivals, kernel = decided
    feedback = said("04-2 your bucket", by_tokens(arrivals), kernel=kernel)

    assert feedback
    assert "all 300 decisions" in feedback.text


@pytest.mark.parametrize(
    ("slip", "hint"),
    [
        ({"start": 1}, "does yours begin full"),
        ({"spend_always": True}, "a dropped packet take no token"),
        ({"most": 50}, "room for only so many"),
    ],
)
def test_the_first_packet_that_differs_is_named(decided, slip, hint):
    arrivals, kernel = decided
    mine = by_tokens(arrivals, **slip)
    first = next(k for k, (a, b) in enumerate(zip(mine, kernel, strict=True)) if a != b)
    feedback = said("04-2 your bucket", mine, kernel=kernel)

    assert not feedback
    assert f"packet {first}," in feedback.text
    assert hint in feedback.text


def test_too_few_decisions_and_none_that_passes(decided):
    _, kernel = decided

    assert "300 packets came" in said("04-2 your bucket", kernel[:5], kernel=kernel).text
    assert "begins full" in said("04-2 your bucket", [False] * 300, kernel=kernel).text


def ran(maps):
    return Verdict(
        stage="ran", words="Accepted.", log="", sent=23, verdict="XDP_PASS", maps=maps, checked=12
    )


REFUSED = Verdict(stage="verifier", words="Test the pointer.", log="R0 ...")


def test_a_program_that_counts_bytes():
    right = ran({"bytes": {"0": 1380}})

    assert said("05-1 bytes", right, packet_bytes=60)
    for maps, hint in (
        ({"packets": {"0": 23}}, "those are packets"),
        ({}, "where does it count"),
        ({"bytes": {"0": 60}}, "23 packets had 60 bytes each"),
    ):
        feedback = said("05-1 bytes", ran(maps), packet_bytes=60)
        assert not feedback
        assert hint in feedback.text
    assert (
        "refused by the verifier. Test the pointer."
        in said("05-1 bytes", REFUSED, packet_bytes=60).text
    )


def test_a_repaired_program_still_does_its_work():
    assert said("05-2 repaired", ran({"senders": {"1": 23}}))
    assert "any more" in said("05-2 repaired", ran({"senders": {}})).text
    assert "Test the pointer." in said("05-2 repaired", REFUSED).text


def test_the_exact_update_that_costs_least():
    costs = pd.DataFrame(
        [("swap", "passed", 70.0), ("racy", "passed", 68.0), ("locked", "passed", 110.0)],
        columns=["update", "case", "ns"],
    )

    assert "70 ns; a lock took 110" in said("05-4 exact and cheap", "swap", costs=costs).text
    for slip, hint in (("racy", "spend one token"), ("locked", "but 110 ns"), ("none", "one of")):
        feedback = said("05-4 exact and cheap", slip, costs=costs)
        assert not feedback
        assert hint in feedback.text


def test_the_share_of_a_neighbour():
    rows = [
        ("a bucket each", 0, 150, 150), ("a bucket each", 1, 900, 90),
        ("one bucket for all", 0, 150, 30), ("one bucket for all", 1, 900, 300),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["buckets", "service", "sent", "passed"])

    assert said("05-7 a neighbour", 0.2, table=table)
    for slip, hint in ((1.0, "a bucket each"), (20, "percentage"), (0.33, "divided by sent")):
        feedback = said("05-7 a neighbour", slip, table=table)
        assert not feedback
        assert hint in feedback.text
