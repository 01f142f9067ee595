"""The pictures of notebooks 04 and 05 say what they show; a lab made of the formula stands in for a kernel."""

import math
import re

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from toolkit.design.limits import RunningBucket
from toolkit.ebpf import Seen, Source

limiter, refusals = tk.panels.limiter, tk.panels.refusals
SOURCE = Source(backend="recorded", kernel="9.9", recorded="by hand")


def admitted(arrivals_s, rate_per_s, burst):
    bucket = RunningBucket(interval=1 / rate_per_s, tolerance=(burst - 1) / rate_per_s)
    return np.array([bucket.admit(now) for now in arrivals_s])


def seen(arrivals_s, passed, *, changed_s=()):
    """Return the record of a limiter that was looked at every 20 ms."""
    looks = np.append(np.arange(0, arrivals_s[-1], 0.02), arrivals_s[-1])
    upto = np.searchsorted(arrivals_s, looks, side="right")
    so_far = np.concatenate([[0], np.cumsum(passed)])[upto]
    series = pd.DataFrame({"t_s": looks, "sent": upto, "passed": so_far, "dropped": upto - so_far})
    total = int(np.sum(passed))
    return Seen(
        sent=len(passed), passed=total, dropped=len(passed) - total, allowed=0, newcomers=0,
        raced=0, exempt=0, bound=10**9, seconds=float(arrivals_s[-1]), sources_known=1,
        series=series, changed_s=changed_s, drops=pd.DataFrame(), source=SOURCE,
    )  # fmt: skip


class Judge:
    """A lab that decides as the formula does."""

    def decide(self, arrivals_ns, *, rate_per_s, burst):
        """Return who passes."""
        interval = math.ceil(1e9 / rate_per_s - 1e-6)
        bucket = RunningBucket(interval=interval, tolerance=(burst - 1) * interval)
        return np.array([bucket.admit(int(now)) for now in arrivals_ns], dtype=bool)


def ends(text):
    """Return the numbers that a sentence of ``counted`` ends with."""
    return [float(word.replace(",", "")) for word in re.findall(r" ([\d,.]*\d)[;.]", text)]


# --- notebook 04 ---


def test_the_simulators_limiter_decides_as_the_formula_does():
    arrivals = limiter.poisson_ns(rate_per_s=1000, count=2000, seed=1)
    ties = np.arange(300) * 500_000.0  # every second one comes when its token is due

    for times in (arrivals, ties):
        expected = Judge().decide(times, rate_per_s=1000, burst=4)
        assert (limiter.simulated(times, rate_per_s=1000, burst=4) == expected).all()
    assert 0.5 < expected.mean() < 0.6


def test_arrivals_at_random_are_whole_nanoseconds_and_known_by_their_seed():
    arrivals = limiter.poisson_ns(rate_per_s=1000, count=20_000, seed=1)

    assert (arrivals == np.rint(arrivals)).all()
    assert arrivals[-1] == pytest.approx(20e9, rel=0.03)
    assert (arrivals == limiter.poisson_ns(rate_per_s=1000, count=20_000, seed=1)).all()
    assert (arrivals != limiter.poisson_ns(rate_per_s=1000, count=20_000, seed=2)).any()


def test_the_fullest_window_counts_both_its_ends():
    assert limiter.most_in_any_window(np.array([0.0, 5, 6, 7, 20]), window_ns=2) == 3
    assert limiter.most_in_any_window(np.array([0.0, 5, 6, 7, 20]), window_ns=20) == 5


def test_a_flood_lies_on_the_line_and_a_sender_that_pauses_below_it():
    steady = np.arange(10_000) / 5_000
    paused = steady[(steady < 0.5) | (steady > 1.2)]
    texts = [
        limiter.flood(seen(times, admitted(times, 1000, 100)), rate_per_s=1000, burst=100).text
        for times in (steady, paused)
    ]
    (promise, model, kernel), (still, below, too) = map(ends, texts)

    assert promise == still == pytest.approx(2100, abs=2)
    assert model == pytest.approx(2100, abs=2)
    assert kernel == pytest.approx(model, abs=2)
    assert below == pytest.approx(2100 - 600, abs=30)  # what flowed over in the pause
    assert too == pytest.approx(below, abs=30)


def test_a_guess_is_on_the_flood():
    guess = tk.lessons.predict("how many?", unit="packets", low=0, high=100_000)
    guess._field.value = "2000"
    times = np.arange(1000) / 1000

    text = limiter.flood(
        seen(times, admitted(times, 100, 5)), rate_per_s=100, burst=5, guess=guess
    ).text
    assert "your guess 2e+03" in text or "your guess 2000" in text


def test_new_limits_bend_the_line():
    times = np.arange(40_000) / 20_000
    first = admitted(times[times < 1], 1000, 20)
    bucket = RunningBucket(interval=1 / 4000, tolerance=19 / 4000, due=1 + 20 / 4000)  # empty
    second = np.array([bucket.admit(now) for now in times[times >= 1]])
    record = seen(times, np.concatenate([first, second]), changed_s=(1.0,))
    picture = limiter.stepped(record, [(1000, 20), (4000, 20)])
    promise, model, kernel = ends(picture.text)

    assert promise == pytest.approx(20 + 1000 + 4000, abs=2)
    assert model == pytest.approx(promise, abs=6)  # a change fills no bucket: that would be 20 more
    assert kernel == pytest.approx(model, abs=6)


def test_what_is_dropped_of_random_packets_by_three_witnesses():
    table = limiter.dropped(Judge(), [0.7, 1.0], rate_per_s=1000, burst=10, count=4000, seed=4)
    exact = tk.theory.token_bucket(arrival_rate_per_s=1000, rate_per_s=1000, burst=10).lost

    assert list(table.index) == [0.7, 1.0]
    assert (table["simulator"] == table["kernel"]).all()
    assert table.loc[1.0, "formula"] == exact
    assert table.loc[1.0, "kernel"] == pytest.approx(exact, abs=0.015)

    times = np.arange(1000) / 1000
    real = {1.0: seen(times, np.arange(1000) % 4 > 0)}
    text = limiter.losses(table, real, burst=10).text
    assert "kernel, real packets 25" in text
    assert f"formula {100 * exact:.3g}" in text


def test_dropping_is_done_when_the_sender_is_and_waiting_is_not():
    rows = [("police", 0.01 * k) for k in range(10)] + [("shape", 0.05 * k) for k in range(20)]
    table = pd.DataFrame(rows, columns=["how", "t_s"])
    table.attrs["sent"] = 20
    text = limiter.paced(table, SOURCE, rate_per_s=20, burst=1, offered_per_s=200).text

    assert "arrived, police 10; arrived, shape 20" in text
    assert "police: the last after 0.09 s; shape: the last after 0.95 s." in text


def test_a_limit_in_each_instance_is_not_one_of_the_system():
    even = limiter.poisson_ns(rate_per_s=3000, count=3000, seed=2)
    passed = limiter.instances(Judge(), even, [1 / 3] * 3, rate_per_s=1000, burst=60)["passed"]
    bound = 60 + 1000 * even[-1] / 1e9

    assert passed.iloc[0] <= bound < passed.iloc[1]
    assert passed.iloc[2] <= bound + 3
    assert passed.iloc[1] > 2.5 * passed.iloc[0]


def test_a_bill_has_the_prices_that_it_was_given():
    table = limiter.bill(load=0.9, bursts=[1, 10], lost=2.0, waited=0.5, place=0.2)
    drop, wait = table.loc["drop, burst 10"], table.loc["wait, burst 10"]

    assert drop["cost"] == pytest.approx(2.0 * drop["dropped"] + 0.2 * 10)
    assert wait["cost"] == pytest.approx(0.5 * wait["made to wait"] + 0.2 * 10)
    assert wait["made to wait"] > drop["dropped"] > 0 == wait["dropped"]


@pytest.mark.parametrize(
    ("control", "value", "says"),
    [
        ("load", 3.0, "of 3000 packets dropped"),
        ("burst", 200, "0.0% of 1000 packets"),
        ("law", "evenly spaced", "0.0% of 1000 packets"),
        ("law", "in trains of 50", "of 1000 packets dropped"),
        ("run", 2, "% of 1000 packets"),
    ],
)
def test_the_panel_follows_every_control(control, value, says):
    panel = limiter.buckets()
    before = panel.summary
    panel.controls[control].value = value

    assert panel.summary != before
    assert says in panel.summary


# --- notebook 05 ---


@pytest.fixture
def rungs():
    """Return two rounds of four rungs; Python's process takes 1,500 ns for each packet it reads."""
    rows = [("xdp", 300.0, None), ("xdp", 200.0, None), ("tc", 900.0, None), ("tc", 800.0, None)]
    rows += [("nftables", 700.0, None), ("nftables", 750.0, None)]
    rows += [("python", 1000.0, 2000.0), ("python", 900.0, 1500.0)]
    return pd.DataFrame(rows, columns=["rung", "ns", "ns_user"])


def test_python_pays_for_the_delivery_and_for_itself(rungs):
    assert list(refusals.asked_for(rungs)["delivered, read in Python"]) == [3000.0, 2400.0]


def test_the_ladder_says_the_fastest_round_and_the_guess_in_its_unit(rungs):
    guess = tk.lessons.predict("how many times?", unit="times", low=1, high=1000)
    guess._field.value = "5"
    picture = refusals.ladder(rungs, SOURCE, guess=guess)

    assert picture.text == (
        "ns a packet (log), fastest round: XDP, token bucket 200; tc, token bucket 800; "
        "nftables, one limit 700; delivered, read in Python 2,400; your guess 1,000."
    )
    assert "your guess" not in refusals.ladder(rungs, SOURCE).text


def test_a_bill_for_a_flood_adds_lines_and_cpus(rungs):
    table = refusals.bill(rungs, [1e6], core=100.0, line=2.0)["1,000,000/s"]

    assert table["XDP, token bucket"] == pytest.approx(2 * 300 + 100 * 1e6 * 200e-9)
    assert table["nftables, one limit"] == pytest.approx(2 * 5 + 100 * 1e6 * 700e-9)
    assert table["delivered, read in Python"] == pytest.approx(2 * 20 + 100 * 1e6 * 2400e-9)


def test_at_the_edge_both_ways_cost_the_same(rungs):
    edge = refusals.breakeven_per_s(rungs, "nftables", "xdp")
    table = refusals.bill(rungs, [edge])

    assert table.loc["XDP, token bucket"].item() == pytest.approx(
        table.loc["nftables, one limit"].item()
    )
    assert refusals.breakeven_per_s(rungs, "nftables", "tc") == math.inf


def test_what_a_client_gets_is_a_share_and_a_time():
    columns = ["case", "asked", "answered", "seconds", "p50_s", "p99_s", "flooded"]
    rows = [("no flood", 300, 300, 1.5, 0.0005, 0.002, 0), ("flood", 300, 0, 1.5, None, None, 900)]
    guess = tk.lessons.predict("which share?", unit="%", low=0, high=100)
    guess._field.value = "40"
    text = refusals.answers(pd.DataFrame(rows, columns=columns), SOURCE, guess=guess).text

    assert text == (
        "no flood: 100% answered, half within 0.5 ms, p99 2 ms; flood: 0% answered, no answer; "
        "your guess 40%."
    )


def test_waits_are_told_in_peace_and_in_a_flood():
    rows = [
        (when, what, low, count)
        for when, what, counts in (
            ("in peace", "run_queue_us", [0, 4, 0]),
            ("in a flood", "run_queue_us", [0, 1, 7]),
            ("in peace", "tcp_life_us", [9, 9, 9]),
        )
        for low, count in zip([1, 2, 4], counts, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["when", "what", "from_us", "count"])
    text = refusals.waits(table, "run_queue_us", SOURCE).text

    assert text == (
        "wait for a CPU, µs: in peace: 4, half below 4, 99% below 4; "
        "in a flood: 8, half below 8, 99% below 8."
    )


def test_every_figure_says_where_it_is_from(monkeypatch, rungs):
    """The caption is in the picture, not in its sentence: catch it on its way."""
    captions, draw = [], tk.plots.picture

    def caught(*given, caption="", **more):
        captions.append(caption)
        return draw(*given, caption=caption, **more)

    monkeypatch.setattr(tk.plots, "picture", caught)
    times = np.arange(1000) / 1000
    record = seen(times, admitted(times, 100, 5))
    limiter.flood(record, rate_per_s=100, burst=5)
    limiter.stepped(record, [(100, 5)])
    refusals.ladder(rungs, SOURCE)

    assert len(captions) == 3
    assert all("Linux 9.9, recorded: by hand" in caption for caption in captions)
