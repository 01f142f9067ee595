"""The pictures of notebook 10, and what a kernel says of its door, with a kernel that is played."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from fakes import pool, simulated_test

import toolkit as tk
from toolkit.panels import capstone

GOAL = tk.SLO(p99_s=0.1)


@pytest.fixture(scope="module")
def flood():
    design = pool(6, 190)
    return tk.advice.flooded(design, tk.advice.door(design, GOAL), GOAL, jobs=3_000)


class Kernel:
    """A lab whose kernel keeps one whole number, as the eBPF program does; ``flaw`` lets one more in."""

    backend, source = "host", "a kernel that is played"

    def __init__(self, flaw=0):
        self.flaw = flaw

    def decide(self, arrivals_ns, *, rate_per_s, burst):
        """Say which packets pass."""
        interval, due, passed = math.ceil(1e9 / rate_per_s), 0, []
        for now in (int(at) for at in arrivals_ns):
            passed.append(now >= due - (burst - 1 + self.flaw) * interval)
            if passed[-1]:
                due = max(now, due) + interval
        return np.array(passed)


class Recorded:
    """A recording that knows nothing of this door."""

    backend, source = "recorded", "Linux, recorded"

    def decide(self, *_, **__):
        """Refuse."""
        raise ValueError("decide was not recorded with these arguments")


def test_simulator_and_kernel_decide_alike_and_keep_the_promise(flood):
    judged = capstone.at_the_door(Kernel(), flood)

    assert judged.agree
    assert judged.kernel.sum() <= judged.promised < 2_000
    assert "the same decision about each" in str(judged)


def test_a_kernel_that_lets_one_more_in_is_found_out(flood):
    judged = capstone.at_the_door(Kernel(flaw=1), flood)

    assert not judged.agree
    assert "NOT the same" in str(judged)


def test_where_nobody_can_be_asked_that_is_said_and_the_picture_is_there_all_the_same(flood):
    judged = capstone.at_the_door(Recorded(), flood)
    picture = capstone.door(judged)

    assert not judged.agree
    assert "was not asked" in str(judged)
    assert "kernel" not in picture.text
    assert "simulator" in picture.text
    assert picture.png.startswith(b"\x89PNG")


def test_a_kernel_that_refuses_the_question_is_no_recording(flood):
    broken = SimpleNamespace(backend="host", source="", decide=Recorded().decide)

    with pytest.raises(ValueError, match="not recorded"):
        capstone.at_the_door(broken, flood)


def test_the_picture_of_the_door_has_all_three(flood):
    text = capstone.door(capstone.at_the_door(Kernel(), flood)).text

    assert all(word in text for word in ("asked 2,000", "promise", "simulator", "kernel"))


def test_a_refusal_costs_what_its_place_takes_and_a_served_one_the_work(flood):
    rungs = pd.DataFrame({"rung": ["xdp", "xdp", "nftables"], "ns": [1_000.0, 900.0, 4_000.0]})
    table = capstone.refusals(rungs, flood, pool(6, 190))
    refused_per_s = flood.refused * flood.table.loc["door", "asked"]

    assert table["us"].to_list() == pytest.approx([0.9, 4.0, 20_000.0])
    assert table["busy"]["served by a worker"] == pytest.approx(0.02 * refused_per_s)


def test_agreement_has_a_row_for_each_test_and_each_design():
    fit = tk.fit(simulated_test(pool(4, 120), jobs=4_000))
    trial = tk.advice.trial(fit, simulated_test(pool(4, 60), jobs=2_000), progress=False)
    advice = tk.advise(
        fit.staffings(load=1.9), slo=GOAL, jobs=1_500, replications=3, progress=False
    )
    guess = tk.lessons.predict("How many?", unit="workers", low=1, high=99)
    panel = capstone.agreement(fit, trial, advice, guess=guess)
    guess.box.children[1].value = "6"

    text = panel.summary

    assert "6 workers: simulated" in text
    assert "4 workers: overloaded" in text
    assert "a test at 1" in text
    assert "measured" in text
    assert "your guess: 6 workers" in text
