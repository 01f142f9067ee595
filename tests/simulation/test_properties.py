"""What holds for every design with every part: nothing vanishes, nothing happens twice at one place.

The designs are drawn with all that the data model knows, most times in whole seconds, and each run has
a horizon, for copies of a job may multiply without end.
"""

import itertools

import numpy as np
import pandas as pd
import pytest
import simpy
from hypothesis import assume, given
from hypothesis import strategies as st
from small_systems import length, rich_designs, rich_runs

import toolkit as tk
from toolkit.design import OUTCOMES
from toolkit.simulation.simpy_engine import System
from toolkit.simulation.simpy_engine.book import EndlessError
from toolkit.simulation.simpy_engine.broker import Broker
from toolkit.simulation.simpy_engine.station import Station
from toolkit.simulation.streams import Streams

NEEDS_WORKER = ["ok", "failed", "late", "duplicate", "preempted"]
NEEDS_NONE = ["turned away", "abandoned"]


def with_ends(run):
    """Return the attempts with the end of the run in place of what it cut off."""
    left_s = run.attempts["ended_s"].fillna(run.duration_s)
    return run.attempts.assign(left_s=left_s)


def most_at_once(begins, ends):
    """Return the largest number of intervals open at once; one that ends makes room for the next."""
    steps = sorted([(end, -1) for end in ends] + [(begin, 1) for begin in begins])
    return max(itertools.accumulate(step for _, step in steps), default=0)


@given(run=rich_runs())
def test_every_job_has_one_outcome_whatever_the_design(run):
    """Crashes, copies and callers included: arrived = sum of the outcomes."""
    counts = run.summary()[list(OUTCOMES)]

    assert run.jobs["outcome"].notna().all()
    assert counts.sum() == len(run.jobs)
    assert (run.jobs["finished_s"].isna() == (run.jobs["outcome"] == "unfinished")).all()
    assert set(run.attempts["job"]) <= set(run.jobs.index)


@given(run=rich_runs())
def test_every_attempt_is_closed_unless_the_run_was_cut(run):
    """An attempt without an end is one that the horizon cut off, and is marked so."""
    rows, cut = run.attempts, run.attempts["outcome"] == "unfinished"

    assert (rows["ended_s"].isna() == cut).all()
    served = rows["worker"] >= 0
    assert (served == rows["started_s"].notna()).all()
    assert served[rows["outcome"].isin(NEEDS_WORKER)].all()
    assert not served[rows["outcome"].isin(NEEDS_NONE)].any()


@given(run=rich_runs())
def test_nothing_happens_before_its_cause(run):
    """Arrived, queued, started, ended: in this order, in every row."""
    rows = run.attempts
    arrived_s = run.jobs["arrived_s"].to_numpy()[rows["job"]]
    closed, started = rows["ended_s"].notna(), rows["started_s"].notna()
    last_s = rows["started_s"].fillna(rows["queued_s"])

    assert (rows["queued_s"] >= arrived_s).all()
    assert (rows["started_s"] >= rows["queued_s"])[started].all()
    assert (rows["ended_s"] >= last_s)[closed].all()
    assert (rows["ended_s"][closed] <= run.duration_s).all()


@given(run=rich_runs())
def test_no_slot_works_on_two_attempts_at_once(run):
    """Restarted instances and replaced slots included; those who share a worker have none of their own."""
    rows = with_ends(run).query("worker >= 0")
    for stage in run.design.stages:
        if stage.order == "shared":
            continue
        here = rows[rows["stage"] == stage.name]

        assert here["worker"].isin(range(stage.workers)).all()
        assert most_at_once(here["started_s"], here["left_s"]) <= stage.workers
        for _, shift in here.groupby("worker"):
            times = shift.sort_values(["started_s", "left_s"])
            assert (times["started_s"].to_numpy()[1:] >= times["left_s"].to_numpy()[:-1]).all()


@given(run=rich_runs())
def test_sojourn_is_wait_and_service_and_backoff_whatever_the_design(run):
    """Where attempts overlap a moment counts once, so that the parts still add up."""
    jobs = run.jobs[run.jobs["outcome"] != "unfinished"]
    parts = jobs[["wait_s", "service_s", "backoff_s"]]

    assert np.allclose(parts.sum(axis=1), jobs["finished_s"] - jobs["arrived_s"], atol=1e-9)
    assert (parts >= -1e-9).all().all()


@given(run=rich_runs())
def test_littles_law_holds_for_the_jobs_inside(run):
    """L x T, summed over the steps of a staircase, is the sum of the sojourns (Little 1961)."""
    came_s = run.jobs["arrived_s"].to_numpy()
    left_s = run.jobs["finished_s"].fillna(run.duration_s).to_numpy()
    steps = sorted([(t, 1) for t in came_s] + [(t, -1) for t in left_s])
    inside = np.cumsum([step for _, step in steps])
    moments = np.array([t for t, _ in steps])
    area = float(np.sum(inside[:-1] * np.diff(moments)))

    if run.duration_s and len(came_s):
        mean_inside, per_s = area / run.duration_s, len(came_s) / run.duration_s
        assert mean_inside == pytest.approx(per_s * np.mean(left_s - came_s), abs=1e-9)


@given(design=rich_designs(), seed=st.integers(0, 9))
def test_the_same_seed_gives_the_same_records(design, seed):
    """A run is a function of design and seed: no clock, no hash order, no global chance."""
    first, second = (
        tk.simulate(design, **length(design, 12), seed=seed, horizon_s=25.0) for _ in range(2)
    )

    pd.testing.assert_frame_equal(first.jobs, second.jobs)
    pd.testing.assert_frame_equal(first.attempts, second.attempts)


@given(run=rich_runs(has_callers=False))
def test_what_is_done_was_done_by_somebody(run):
    """A job is done when its last stage was left with a good attempt, or it came to no stage at all."""
    good = run.attempts[run.attempts["outcome"] == "ok"]
    rows = run.attempts.groupby("job").size().reindex(run.jobs.index).fillna(0)
    done = run.jobs["outcome"] == "done"

    assert (done.to_numpy() <= (run.jobs.index.isin(good["job"]) | (rows == 0).to_numpy())).all()
    assert (
        not run.jobs.loc[~done & (run.jobs["outcome"] != "unfinished"), "finished_s"].isna().any()
    )


@given(run=rich_runs(has_callers=False))
def test_a_good_attempt_of_one_message_is_good_only_once(run):
    """A second run of what was done already is a duplicate, however it came about."""
    if any(stage.routes for stage in run.design.stages):
        return  # a job may come back, and is then done again
    plain = [stage.name for stage in run.design.stages if not stage.fan_out]
    good = run.attempts[run.attempts["stage"].isin(plain) & (run.attempts["outcome"] == "ok")]

    assert (good.groupby(["job", "stage"], observed=True).size() <= 1).all()


# --- the engine's own books ---


def drained(design, seed, most_steps=30_000):
    """Run a design until nothing is left to do; give up on one whose copies multiply without end."""
    trace = isinstance(design.arrivals, tk.Trace)
    jobs = design.arrivals.times_s.size if trace else 10
    system = System(design, Streams(seed=seed, replication=0, jobs=jobs))
    system.most_rows = 600
    try:
        for _ in range(most_steps):
            system.env.step()
    except simpy.core.EmptySchedule:
        return system
    except EndlessError:
        return None
    raise AssertionError("whoever looks for work never learns that there will be none")


def dies_out(design):
    return any(stage.delivery and stage.delivery.dies_out for stage in design.stages)


@given(design=rich_designs(), seed=st.integers(0, 9))
def test_when_all_is_over_nothing_is_left_behind(design, seed):
    """No open row, no message, lease, lock or place: what leaks in a short run stops a long one.

    And it is over: pollers stop looking when there is nothing left to find.
    """
    assume(design.never_ends() is None)
    system = drained(design, seed)
    assume(system is not None and not dies_out(design))

    assert (system.unsettled, system.open_rows, system.open_forks) == (0, 0, 0)
    for station in system.stations:
        if isinstance(station, Station):
            assert sorted(station.idle) == list(range(station.stage.workers))
        if not isinstance(station, Broker):
            continue
        assert (station.inside, len(station.queue), station.away) == (0, 0, 0)
        assert not any(station.queue.locked.values())
        for instance in station.instances:
            held = (instance.unacked, *map(len, (instance.running, instance.buffer, instance.held)))

            assert held == (0, 0, 0, 0)
            assert not instance.is_up or sorted(instance.idle) == list(instance.slots)
