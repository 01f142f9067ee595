"""The same jobs, whatever the design: a draw has an address, and nothing else moves it."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_systems import designs, length

import toolkit as tk
from toolkit.simulation import streams
from toolkit.simulation.streams import Streams

RETRY = tk.Retry(max_retries=3, backoff=tk.FullJitter(base_s=1.0, cap_s=9.0))
WORK = tk.Stage(
    name="work", service=tk.Exponential(mean_s=1.0), workers=2, failure=0.3, retry=RETRY
)
DESIGN = tk.Design(arrivals=tk.Poisson(rate_per_s=1.2), stages=[WORK])
BUCKET = tk.TokenBucket(rate_per_s=1.0, burst=2)


def simulated(design=DESIGN, jobs=300, **more):
    return tk.simulate(design, jobs=jobs, **{"seed": 7} | more)


def changed(**changes):
    return dataclasses.replace(DESIGN, stages=[dataclasses.replace(WORK, **changes)])


def draws(run):
    """Return what chance did at work: service time, and outcome, of every attempt served."""
    rows = run.attempts.query("stage == 'work' and worker >= 0").set_index(["job", "attempt"])
    return (rows["ended_s"] - rows["started_s"]).round(9), rows["outcome"].astype(str)


def assert_same_draws(run, other):
    """Check that every attempt made in both runs had the same service and the same luck."""
    mine, theirs = draws(run), draws(other)
    shared = mine[0].index.intersection(theirs[0].index)

    assert len(shared) > 100
    for ours, others in zip(mine, theirs, strict=True):
        pd.testing.assert_series_equal(ours[shared], others[shared])


def assert_same_records(run, other):
    pd.testing.assert_frame_equal(run.jobs, other.jobs)
    pd.testing.assert_frame_equal(run.attempts, other.attempts)


@given(design=designs(), seed=st.integers(0, 2**40))
def test_the_same_seed_gives_the_same_records(design, seed):
    """Whatever the design; otherwise no result could be shown to anybody."""
    assert_same_records(*(tk.simulate(design, **length(design), seed=seed) for _ in range(2)))


def test_every_attempt_has_a_service_and_luck_of_its_own():
    """A retry is new work: the draws in the records are those at the address (job, attempt)."""
    services_s, outcomes = draws(simulated())
    streams = Streams(seed=7, replication=0, jobs=300)
    for attempt in (1, 2, 3, 4):
        drawn_s = services_s.xs(attempt, level="attempt")
        failed = outcomes.xs(attempt, level="attempt") == "failed"
        jobs = drawn_s.index

        assert len(jobs) > 2
        law_s = streams.services_s(WORK.service, "work", attempt)
        assert np.allclose(drawn_s, law_s[jobs], atol=1e-8)
        assert (failed == (streams.failures("work", attempt)[jobs] < 0.3)).all()


def test_two_seeds_and_two_replications_differ_in_everything():
    """Arrivals, services, failures and jitter alike."""
    runs = [simulated(seed=7), simulated(seed=8), simulated(replication=1)]
    for first, second in [(0, 1), (0, 2), (1, 2)]:
        one, two = runs[first], runs[second]

        assert not (one.jobs["arrived_s"] == two.jobs["arrived_s"]).any()
        assert not (
            draws(one)[0].xs(1, level="attempt") == draws(two)[0].xs(1, level="attempt")
        ).any()
        assert one.attempts["attempt"].tolist() != two.attempts["attempt"].tolist()


def test_a_replication_alone_is_that_replication_of_any_experiment():
    """Replication 3 can be looked at by itself, without the three before it."""
    figures = tk.replicate(
        DESIGN, jobs=300, replications=5, seed=7, warmup=0, progress=False
    ).figures
    alone = simulated(replication=3).summary()

    assert figures.loc[3].drop("warmup_jobs").to_dict() == alone.to_dict()


@pytest.mark.parametrize(
    "design",
    [
        changed(workers=5),
        changed(capacity=4),
        changed(limiter=BUCKET),
        changed(limiter=dataclasses.replace(BUCKET, when_empty="wait")),
        changed(retry=tk.Retry(max_retries=5, backoff=tk.ConstantBackoff(delay_s=2.0))),
        DESIGN.faster(1.5),
        dataclasses.replace(
            DESIGN, stages=[tk.Stage(name="before", service=WORK.service, failure=0.1), WORK]
        ),
        dataclasses.replace(
            DESIGN, stages=[WORK, tk.Stage(name="after", service=WORK.service, failure=0.1)]
        ),
    ],
    ids=["workers", "capacity", "limiter", "shaper", "backoff", "load", "before", "after"],
)
def test_a_change_in_the_design_moves_no_draw(design):
    """Adding a worker, a limiter or a stage changes what happens to the jobs, not the jobs."""
    assert_same_draws(simulated(), simulated(design))


def test_another_law_leaves_arrivals_and_luck_alone():
    """Each purpose has its own stream: service times may be drawn with any number of draws."""
    run, other = simulated(), simulated(changed(service=tk.Gamma(mean_s=1.0, scv=0.2)))
    shared = draws(run)[1].index.intersection(draws(other)[1].index)

    assert run.jobs["arrived_s"].equals(other.jobs["arrived_s"])
    assert draws(run)[1][shared].equals(draws(other)[1][shared])
    assert not (draws(run)[0][shared] == draws(other)[0][shared]).any()


def test_a_higher_chance_of_failure_only_adds_failures():
    """The luck of an attempt is one number, held against the chance: failures are nested."""
    few, many = draws(simulated())[1], draws(simulated(changed(failure=0.5)))[1]
    failed = few[few == "failed"].index

    assert len(failed) > 50
    assert (many[failed] == "failed").all()


@given(
    jobs=st.integers(1, 60),
    more=st.integers(0, 60),
    seed=st.integers(0, 9),
    attempt=st.integers(1, 9),
)
def test_a_longer_run_begins_with_the_same_jobs(jobs, more, seed, attempt):
    """Every row of draws is a prefix of the longer row."""
    short = Streams(seed=seed, replication=1, jobs=jobs)
    long = dataclasses.replace(short, jobs=jobs + more)
    for rows in zip(all_draws(short, attempt), all_draws(long, attempt), strict=True):
        assert np.array_equal(rows[0], rows[1][:jobs])


def all_draws(streams, attempt):
    yield streams.gaps_s(DESIGN.arrivals)
    yield streams.services_s(WORK.service, "work", attempt)
    yield streams.failures("work", attempt)
    yield streams.jitters("work", attempt)


def test_no_two_streams_are_alike():
    """Purpose, stage, attempt, replication and seed are all part of the address."""
    law = tk.Uniform(low_s=0, high_s=1)
    rows = []
    for seed, replication in [(1, 0), (2, 0), (1, 1)]:
        streams = Streams(seed=seed, replication=replication, jobs=4)
        rows.append(streams.gaps_s(tk.Renewal(law=law)))
        for stage, attempt in itertools.product("ab", [1, 2]):
            rows.append(streams.services_s(law, stage, attempt))
            rows.append(streams.failures(stage, attempt))
            rows.append(streams.jitters(stage, attempt))

    assert len({tuple(row) for row in rows}) == len(rows) == 39


def test_the_numbers_behind_a_seed_are_for_ever():
    """A published result must come out again: the address of a draw may not change.

    A stored output, because nothing else can say what the numbers were last year.
    """
    streams = Streams(seed=7, replication=2, jobs=2)

    assert streams.failures("work", 3).tolist() == [0.9031597477011285, 0.7495240232526008]
    assert streams.jitters("work", 3).tolist() == [0.1070348044077023, 0.643778143255763]
    assert streams.services_s(tk.Uniform(low_s=0, high_s=1), "work", 1).tolist() == [
        0.8326418579561815,
        0.46925676677076134,
    ]
    law = tk.Exponential(mean_s=1.0)
    assert streams.services_s(law, "work", 1).tolist() == [2.7911395972346806, 0.6447259290762006]
    assert streams.services_s(law, "work", 2).tolist() == [0.5261747504906099, 0.3632230869936095]


# --- rows that are kept ---


def row_of(streams):
    return streams.services_s(tk.Exponential(mean_s=1.0), "work", 1)


def of_seed(seed):
    return Streams(seed=seed, replication=0, jobs=1_000)


@pytest.fixture
def shelf(monkeypatch):
    """Return a shelf of its own for four rows of a thousand jobs."""
    fresh = streams.Shelf(most_bytes=4 * 8_000)
    monkeypatch.setattr(streams, "SHELF", fresh)
    return fresh


def test_a_run_that_comes_again_finds_its_rows(shelf):
    """The same memory, which nobody can change."""
    first = row_of(of_seed(1))

    assert row_of(of_seed(1)) is first
    assert not first.flags.writeable
    assert shelf.held_bytes == first.nbytes


def test_a_run_never_met_before_takes_the_place_of_the_last_such_one(shelf):
    """A thousand replications hold the memory of one."""
    rows = [row_of(of_seed(seed)) for seed in range(20)]

    assert shelf.held_bytes == rows[-1].nbytes
    assert row_of(of_seed(19)) is rows[-1]


@pytest.mark.usefixtures("shelf")
def test_runs_that_come_in_turns_are_all_kept_from_the_second_time_on():
    """A panel of three replications, redrawn again and again."""
    for _ in range(2):
        kept = [row_of(of_seed(seed)) for seed in range(3)]

    assert all(row_of(of_seed(seed)) is kept[seed] for seed in range(3))


def test_there_is_an_end_to_what_is_kept(shelf):
    """The run that was not asked for longest goes first."""
    for _ in range(2):
        for seed in range(9):
            row_of(of_seed(seed))

    assert shelf.held_bytes <= shelf.most_bytes


@pytest.mark.usefixtures("shelf")
def test_another_law_or_length_is_another_row():
    """A row is found by all that decides about it."""
    one = row_of(of_seed(1))
    other = of_seed(1).services_s(tk.Exponential(mean_s=2.0), "work", 1)

    assert np.array_equal(2.0 * one, other)
    assert row_of(Streams(seed=1, replication=0, jobs=999)).size == 999
