"""The panels of notebooks 03 and 07 show what their sentences say, and follow their controls."""

import math

import pytest

import toolkit as tk

metastable, retries = tk.panels.metastable, tk.panels.retries


def test_retries_help_a_quiet_service_and_bury_a_busy_one():
    table = retries.cliff(loads_per_s=[45.0, 76.0], failure=0.1, jobs=1_200, seed=1)

    assert table.loc[45.0, "3 at once"] > 0.99 > table.loc[45.0, "no retries"]
    assert table.loc[76.0, "no retries"] > 2 * table.loc[76.0, "3, full jitter"]
    assert table.loc[76.0, "3, jitter and a budget"] > 2 * table.loc[76.0, "3 at once"]
    assert list(retries.KNOBS) == list(retries.POLICIES)


def test_the_retry_panel_follows_its_slider():
    panel = retries.retries(jobs=200)
    before = panel.summary
    panel.controls["failure"].value = 0.4

    assert panel.summary != before
    assert "no retries" in panel.summary


def test_an_outage_of_ten_seconds_lasts_for_ever_without_a_remedy():
    table = metastable.compared(["nothing", "a cap of 20 on the queue", "no retries"], end_s=180.0)

    assert math.isinf(table.loc["nothing", "recovery_s"])
    assert table.loc["a cap of 20 on the queue", "recovery_s"] < 5
    # the backlog of 280 jobs is worked off at 2 a second until it is shorter than a time-out
    assert table.loc["no retries", "recovery_s"] == pytest.approx((280 - 30) / 2, rel=0.05)


@pytest.mark.parametrize(("load", "recovers"), [(12.0, True), (18.0, False)])
def test_below_the_hidden_capacity_it_gets_well(load, recovers):
    """30 / (1 + 1) = 15 a second."""
    run = tk.simulate(metastable.storm(load_per_s=load), horizon_s=120.0)

    assert math.isfinite(metastable.recovery_s(run, outage_s=10.0)) == recovers


def test_without_a_trigger_the_same_load_is_no_trouble():
    run = tk.simulate(metastable.storm(load_per_s=28.0, outage_s=0.0), jobs=500)

    assert (run.jobs["outcome"] == "done").all()


def test_the_storm_panel_follows_load_and_remedy():
    panel = metastable.storms(end_s=60.0)

    assert "in time 27.5 to 0" in panel.summary
    panel.controls["remedy"].value = "callers cancel"
    assert "in time 27.5 to 28" in panel.summary
