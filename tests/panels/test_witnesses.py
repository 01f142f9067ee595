"""Measured and simulated, side by side: the tables of notebook 02."""

import pytest

import toolkit as tk

witnesses = tk.panels.witnesses


def test_a_kill_loses_the_same_jobs_in_both_witnesses():
    table = witnesses.kills()
    lost, again = table["jobs lost"], table["again after, s"]

    assert (lost["measured"] == lost["simulated"]).all()
    assert lost["measured"].to_dict() == {
        "Celery, Redis, early ack": 1,
        "Celery, Redis, late ack": 0,
        "Celery, RabbitMQ, early ack": 1,
        "Celery, RabbitMQ, late ack": 0,
        "Celery, RabbitMQ, late ack, idle survivor": 0,
        "Celery, Redis, late ack, only the child killed": 1,
        "Sidekiq": 2,
    }
    assert set(again.index[again["measured"] == "never"]) == set(lost.index[lost["measured"] > 0])
    for case in lost.index[lost["measured"] == 0]:
        assert again.loc[case, "simulated"] == pytest.approx(again.loc[case, "measured"], abs=0.2)


def test_waits_agree_at_three_loads():
    """Within a tenth, or 5 ms where nobody waits: what notebook 02 asks for before it looks."""
    table = witnesses.waits()
    real, twin = (table.xs(name, axis=1, level=1) for name in ("measured", "simulated"))

    assert table.shape == (9, 6)
    assert ((twin - real).abs() <= (0.10 * real).clip(lower=5.0)).all(axis=None)


def test_every_surprise_is_known_to_the_twin():
    """Who takes how many jobs for later is chance; the fifth of a batch ends at the time-out itself."""
    table = witnesses.surprises()
    chance = {
        "Celery: of 200 jobs for later, held by one worker": 20,
        "SQS: of a batch of ten, run twice": 1,
    }

    assert len(table) == 9
    for what, row in table.iterrows():
        assert row["simulated"] == pytest.approx(row["measured"], abs=chance.get(what, 0.2)), what
