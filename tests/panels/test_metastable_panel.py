"""The metastable service: its witnesses agree, its charts say so, and remedies have a price."""

import math

import pytest

import toolkit as tk

metastable = tk.panels.metastable
SMALL = {"horizon_s": 90}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_retries": 0},
        {"max_retries": 2, "arrival_rate_per_s": 9},
        {"capacity": 20},
        {"arrival_rate_per_s": 20, "outage_s": 1},
    ],
    ids=str,
)
def test_the_simulator_counts_what_the_exact_model_counts(changes):
    counted = metastable.witnesses({"case": SMALL | changes}).loc["case"]

    for figure in metastable.FIGURES:
        exact, simulated = counted[figure, "exact"], counted[figure, "simulated"]
        assert exact == simulated or (math.isnan(exact) and math.isnan(simulated))


def test_a_cap_holds_while_it_is_served_within_a_time_out():
    """30 jobs a second, and callers wait for one: the 31st is too late, and everybody behind it."""
    good = metastable.witnesses({str(cap): SMALL | {"capacity": cap} for cap in (30, 32)})

    assert good["first_good_s", "simulated"]["30"] < 62
    assert math.isnan(good["first_good_s", "simulated"]["32"])


def test_a_remedy_costs_what_it_takes():
    prices = metastable.prices(setting=1, number=10, program=100)

    assert prices["nothing"] == 0
    assert prices["a cap of 20 on the queue"] == 11
    assert prices["callers cancel"] == 200
    assert metastable.prices(program=1).drop(["nothing", "no retries"]).idxmin() == "newest first"


def test_what_comes_after_the_outage_is_compared():
    table = metastable.compared(["nothing", "a deadline on the request"], end_s=80.0)

    assert table.loc["nothing", "done_after"] == 0
    assert math.isinf(table.loc["nothing", "first_good_s"])
    # first come, first served: the first answers are in time, but not ten in a row
    deadline = table.loc["a deadline on the request"]
    assert deadline["first_good_s"] < 0.1
    assert deadline["recovery_s"] == pytest.approx(9.03, abs=0.01)


def test_the_nearer_to_the_edge_the_longer():
    said = metastable.recoveries([8.0, 12.0, 14.0, 16.0], simulated_at=[8, 12]).text

    # by hand (19 * load - 30) / (30 - 2 * load), and about a second for the last time-out
    assert "Simulated at 8/s: 9.8 s. Simulated at 12/s: 34.2 s." in said
    assert "exact model 9.83 to 120" in said


def test_the_same_load_has_two_outcomes():
    said = metastable.hysteresis([10.0, 20.0], end_s=90.0).text

    assert "never disturbed 10 to 20; after 10 s of outage 10 to 0" in said


def test_the_guess_is_on_the_chart_or_in_its_legend():
    guess = tk.lessons.predict("How long?", unit="s", low=0, high=100_000)
    panel = metastable.storms(end_s=40.0, guess=guess)
    drawn = {panel._image.value}
    for text in ("5", "50000"):
        guess._field.value = text
        drawn.add(panel._image.value)

    assert len(drawn) == 3
    assert "not well by 40 s" in panel.summary


def test_the_panel_says_when_it_is_well_again():
    panel = metastable.storms(end_s=40.0)
    panel.controls["remedy"].value = "a cap of 20 on the queue"

    assert (
        "on the queue: ten answers in a row are in time from 0.7 s after the outage"
        in panel.summary
    )


def test_a_short_outage_is_no_trigger():
    run = tk.simulate(metastable.storm(outage_s=0.5), horizon_s=60.0)

    assert (run.jobs["outcome"] == "abandoned").sum() == 0
