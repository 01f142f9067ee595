"""What a run writes down adds up: no job vanishes, no worker does two things at once.

The properties hold for any design, so they are tried on many small ones, ties and horizons included.
"""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_systems import designs, length, runs

import toolkit as tk
from toolkit.design import ATTEMPT_OUTCOMES, OUTCOMES


def last_attempts(run):
    """Return each job's last attempt, a row a job."""
    return run.attempts.groupby("job").last()


def ended(run):
    """Return the attempts with the run's end in place of what it cut off."""
    return run.attempts.assign(
        left_s=run.attempts["ended_s"].fillna(run.duration_s),
        began_s=run.attempts["started_s"].fillna(run.duration_s),
    )


def most_at_once(begins, ends):
    """Return the largest number of intervals open at once; one that ends makes room for the next."""
    steps = sorted([(end, -1) for end in ends] + [(begin, 1) for begin in begins])
    return max(itertools.accumulate(step for _, step in steps), default=0)


@given(run=runs())
def test_every_job_that_arrived_has_one_outcome(run):
    """Nothing vanishes from a run, also not from one that was cut off."""
    counts = run.summary()[list(OUTCOMES)]

    assert run.jobs["outcome"].notna().all()
    assert counts.sum() == run.summary()["jobs"] == len(run.jobs)
    assert (
        counts.to_dict() == run.jobs["outcome"].value_counts().reindex(OUTCOMES).fillna(0).to_dict()
    )
    assert set(run.attempts["job"]) == set(run.jobs.index)


@given(run=runs(cut=False))
def test_a_run_that_drains_leaves_nothing_unfinished(run):
    """Without a horizon every job comes to its end."""
    assert (run.jobs["outcome"] != "unfinished").all()
    assert (run.attempts["outcome"] != "unfinished").all()
    assert run.jobs["finished_s"].max() == run.duration_s


@given(run=runs())
def test_sojourn_is_wait_and_service_and_backoff(run):
    """The three parts are the answer to "where did the time go": they must leave nothing over."""
    jobs = run.jobs
    parts = jobs["wait_s"] + jobs["service_s"] + jobs["backoff_s"]
    finished = jobs["outcome"] != "unfinished"

    assert np.allclose(jobs["sojourn_s"], jobs["finished_s"] - jobs["arrived_s"], equal_nan=True)
    assert np.allclose(jobs["sojourn_s"], parts, atol=1e-9, equal_nan=True)
    times = jobs[["finished_s", "sojourn_s", "wait_s", "service_s", "backoff_s"]]
    assert (times.notna().all(axis=1) == finished).all()
    assert (times[finished] >= 0).all().all()


@given(run=runs())
def test_littles_law_holds_to_the_last_second(run):
    """Jobs inside, counted at each moment, are the sojourns: L x T = sum of W (Little 1961)."""
    left_s = run.jobs["finished_s"].fillna(run.duration_s).to_numpy()
    came_s = run.jobs["arrived_s"].to_numpy()
    moments = np.unique(np.concatenate([came_s, left_s, [0.0, run.duration_s]]))
    inside = [np.sum((came_s <= moment) & (moment < left_s)) for moment in moments[:-1]]

    assert np.dot(inside, np.diff(moments)) == pytest.approx(np.sum(left_s - came_s), abs=1e-9)
    assert (left_s <= run.duration_s).all()


@given(run=runs())
def test_the_outcome_of_a_job_is_that_of_its_last_attempt(run):
    """The two tables tell one story."""
    last, names = last_attempts(run), [stage.name for stage in run.design.stages]
    stage_of = {stage.name: stage for stage in run.design.stages}
    for job, outcome in run.jobs["outcome"].items():
        row = last.loc[job]
        stage = stage_of[row["stage"]]
        ends = {
            "done": row["outcome"] == "ok" and row["stage"] == names[-1],
            "dead": row["outcome"] == "failed" and row["attempt"] == stage.max_attempts,
            "rejected": row["outcome"] == "turned away" and stage.capacity is not None,
            "limited": row["outcome"] == "turned away"
            and stage.limiter is not None
            and stage.limiter.when_empty == "drop"
            and row["attempt"] == 1,
            # cut off at work, in a queue, or in a pause before a retry
            "unfinished": row["outcome"] == "unfinished"
            or (row["outcome"] == "failed" and row["attempt"] < stage.max_attempts),
        }

        assert ends[outcome]
        if outcome != "unfinished":
            assert row["ended_s"] == run.jobs.loc[job, "finished_s"]


@given(run=runs())
def test_attempts_follow_each_other_without_a_gap_but_the_backoff(run):
    """A job is at the door of a stage when it left the one before, and again after each pause."""
    for job, rows in run.attempts.groupby("job"):
        table = list(rows.itertuples())

        assert (table[0].queued_s, table[0].attempt) == (run.jobs.loc[job, "arrived_s"], 1)
        for before, after in itertools.pairwise(table):
            if after.stage == before.stage:
                assert (before.outcome, after.attempt) == ("failed", before.attempt + 1)
                assert after.queued_s >= before.ended_s
            else:
                assert (before.outcome, after.attempt) == ("ok", 1)
                assert after.queued_s == before.ended_s


@given(run=runs())
def test_an_attempt_had_a_worker_unless_it_was_turned_away_or_still_waits(run):
    """``worker`` is -1, and ``started_s`` is missing, for exactly those that were never served."""
    attempts = run.attempts
    served = attempts["worker"] >= 0

    assert (served == attempts["started_s"].notna()).all()
    assert served[attempts["outcome"].isin(["ok", "failed"])].all()
    assert not served[attempts["outcome"] == "turned away"].any()
    assert (attempts["ended_s"].isna() == (attempts["outcome"] == "unfinished")).all()
    counted = attempts[served].groupby("job").size().reindex(run.jobs.index).fillna(0)
    assert (run.jobs["attempts"] == counted).all()


@given(run=runs())
def test_no_stage_serves_more_at_once_than_it_has_workers(run):
    """Nor does a worker serve two jobs at once."""
    served = ended(run).query("worker >= 0")
    for stage in run.design.stages:
        rows = served[served["stage"] == stage.name]

        assert most_at_once(rows["began_s"], rows["left_s"]) <= stage.workers
        assert rows["worker"].isin(range(stage.workers)).all()
        for _, shift in rows.groupby("worker"):
            shift = shift.sort_values(["began_s", "left_s"])  # noqa: PLW2901, the same shift
            assert (shift["began_s"].to_numpy()[1:] >= shift["left_s"].to_numpy()[:-1]).all()


@given(run=runs(limiter=st.none()))
def test_the_capacity_is_kept_and_nobody_is_rejected_without_need(run):
    """Waiting and in service never exceed the cap, and a place is refused only at the cap."""
    rows = ended(run)
    for stage in run.design.stages:
        here = rows[rows["stage"] == stage.name]
        inside = here[here["outcome"] != "turned away"]
        if stage.capacity is None:
            assert len(inside) == len(here)
            continue

        assert most_at_once(inside["queued_s"], inside["left_s"]) <= stage.capacity
        for now_s in here.loc[here["outcome"] == "turned away", "queued_s"]:
            there = (inside["queued_s"] <= now_s) & (now_s <= inside["left_s"])
            assert there.sum() >= stage.capacity


@given(run=runs(limiter=st.none()))
def test_nobody_waits_while_a_worker_is_idle(run):
    """A start is the moment somebody came, or the moment a worker became free."""
    for _, rows in run.attempts.groupby("stage", observed=True):
        started = rows.dropna(subset="started_s")
        freed = set(rows["ended_s"])

        assert all(
            row.started_s == row.queued_s or row.started_s in freed for row in started.itertuples()
        )


@given(run=runs(retry=st.none()))
def test_first_come_is_first_served(run):
    """Without retries nobody overtakes in a stage, limiter or not; at the first, not even at ties."""
    for stage, rows in run.attempts.groupby("stage", observed=True):
        taken = rows.dropna(subset="started_s")
        taken = taken.sort_values(["queued_s", "job"])
        waited = taken.groupby("queued_s")["started_s"]

        assert (waited.max().to_numpy()[:-1] <= waited.min().to_numpy()[1:]).all()
        if stage == run.design.stages[0].name:
            assert taken["started_s"].is_monotonic_increasing


@given(run=runs())
def test_a_limiter_lets_no_more_through_than_it_promised(run):
    """In the records, too: those who came past the bucket keep to burst + rate x width."""
    for stage in run.design.stages:
        rows = run.attempts.query(
            "stage == @stage.name and attempt == 1 and outcome != 'turned away'"
        )
        # with a queue behind it, only a bucket that drops shows when a job passed
        if stage.limiter is None or stage.limiter.when_empty == "wait":
            continue
        passed_s = rows["queued_s"].sort_values().to_numpy()
        for first, last in itertools.combinations(range(len(passed_s)), 2):
            width_s = passed_s[last] - passed_s[first]

            assert (
                last - first + 1 <= stage.limiter.burst + stage.limiter.rate_per_s * width_s + 1e-6
            )


@given(design=designs(), seed=st.integers(0, 9), horizon_s=st.integers(1, 30))
def test_a_horizon_cuts_a_run_and_changes_nothing_before_it(design, seed, horizon_s):
    """What had happened by then had happened; the rest is there to see, unfinished."""
    whole = tk.simulate(design, **length(design), seed=seed)
    cut = tk.simulate(design, **length(design), seed=seed, horizon_s=horizon_s)
    came = whole.jobs[whole.jobs["arrived_s"] < horizon_s]
    in_time = came["finished_s"] < horizon_s

    pd.testing.assert_frame_equal(cut.jobs[in_time.to_numpy()], came[in_time])
    assert (cut.jobs.loc[~in_time.to_numpy(), "outcome"] == "unfinished").all()
    assert cut.jobs["arrived_s"].tolist() == came["arrived_s"].tolist()
    before = whole.attempts[whole.attempts["queued_s"] < horizon_s].reset_index(drop=True)
    early = before["ended_s"] < horizon_s
    pd.testing.assert_frame_equal(cut.attempts[early], before[early])
    assert (cut.attempts.loc[~early, "outcome"] == "unfinished").all()


@given(run=runs())
def test_the_tables_have_the_promised_columns(run):
    """Notebooks and users' code read them by name."""
    assert list(run.jobs) == [
        *("arrived_s", "finished_s", "sojourn_s", "wait_s"),
        *("service_s", "backoff_s", "attempts", "outcome"),
    ]
    assert run.jobs.index.name == "job"
    assert list(run.attempts) == [
        *("job", "stage", "attempt", "queued_s", "started_s", "ended_s", "worker", "outcome")
    ]
    assert list(run.jobs["outcome"].cat.categories) == list(OUTCOMES)
    assert list(run.attempts["outcome"].cat.categories) == list(ATTEMPT_OUTCOMES)


# --- the figures of a run ---


def clockwork(jobs=4, gap_s=1.0, service_s=0.5, **more):
    """Return a design in which nothing is left to chance."""
    return tk.Design(
        arrivals=tk.Trace(times_s=np.arange(jobs) * gap_s),
        stages=[tk.Stage(name="work", service=tk.Deterministic(value_s=service_s), **more)],
    )


def test_the_summary_of_a_run_that_one_can_add_up():
    """Four jobs, one a second, two seconds each: waits 0, 1, 2, 3 s and the last leaves at 8 s."""
    summary = tk.simulate(clockwork(service_s=2.0)).summary()
    expected = {
        "jobs": 4,
        "goodput_per_s": 0.5,
        "throughput_per_s": 0.5,
        "utilisation": 1.0,
        "sojourn_mean_s": 3.5,
        "sojourn_p50_s": 3.5,
        "wait_mean_s": 1.5,
        "wait_p90_s": 2.7,
        "wait_p99.9_s": 2.997,
        "done": 4,
        "unfinished": 0,
    }

    assert summary[list(expected)].to_dict() == pytest.approx(expected)


def test_the_summary_can_leave_out_the_first_jobs():
    """The last job came at 3 s; until 8 s the worker was busy and ended jobs at 4, 6 and 8 s."""
    summary = tk.simulate(clockwork(service_s=2.0)).summary(skip_jobs=3)
    expected = {
        "jobs": 1,
        "goodput_per_s": 1 / 5,
        "throughput_per_s": 3 / 5,
        "utilisation": 1.0,
        "wait_mean_s": 3.0,
    }

    assert summary[list(expected)].to_dict() == pytest.approx(expected)


def test_failed_work_is_throughput_but_not_goodput():
    """The difference between the two is what the project is named for."""
    retry = tk.Retry(max_retries=1, backoff=tk.ConstantBackoff(delay_s=0))
    summary = tk.simulate(clockwork(jobs=2, gap_s=2.0, failure=1.0, retry=retry)).summary()

    assert summary["goodput_per_s"] == 0
    assert summary["throughput_per_s"] == pytest.approx(4 / 3)
    assert summary["dead"] == 2
    assert np.isnan(summary["sojourn_mean_s"])


def test_utilisation_is_that_of_the_busiest_stage():
    """The bottleneck is what one asks for; the mean of the stages would hide it."""
    stages = [
        tk.Stage(name="quick", service=tk.Deterministic(value_s=0.25), workers=2),
        tk.Stage(name="slow", service=tk.Deterministic(value_s=0.5)),
    ]
    run = tk.simulate(tk.Design(arrivals=tk.Trace(times_s=[0, 1]), stages=stages))

    assert run.duration_s == 1.75
    assert run.summary()["utilisation"] == pytest.approx(1.0 / 1.75)


def test_a_job_at_work_when_the_run_ends_kept_its_worker_busy():
    """Half a service was done: leaving it out would call an overloaded worker idle."""
    run = tk.simulate(clockwork(jobs=1, service_s=10.0), horizon_s=5.0)

    assert run.summary()["utilisation"] == 1.0
    assert run.summary()["unfinished"] == 1


def test_a_run_without_jobs_has_figures_all_the_same():
    """Zero arrivals before the horizon is an answer, not an error."""
    late = tk.Design(
        arrivals=tk.Trace(times_s=[5.0]),
        stages=[tk.Stage(name="work", service=tk.Deterministic(value_s=1.0))],
    )
    summary = tk.simulate(late, horizon_s=3.0).summary()

    assert summary[["jobs", "goodput_per_s", "utilisation"]].tolist() == [0, 0, 0]
    assert np.isnan(summary["wait_mean_s"])


@pytest.mark.parametrize(
    ("skip_jobs", "message"),
    [
        (4, "skip_jobs must leave a job, got 4 of 4"),
        (-1, "skip_jobs must be a whole number >= 0, got -1"),
        (0.5, "skip_jobs must be a whole number >= 0, got 0.5"),
    ],
)
def test_a_wrong_warm_up_is_refused(skip_jobs, message):
    with pytest.raises(ValueError, match=message):
        tk.simulate(clockwork()).summary(skip_jobs=skip_jobs)


# --- what simulate accepts ---

MM1 = tk.Design(
    arrivals=tk.Poisson(rate_per_s=0.5),
    stages=[tk.Stage(name="work", service=tk.Exponential(mean_s=1.0))],
)
NAN = float("nan")
BAD = [
    ({}, "jobs must be given .*, or horizon_s"),
    ({"jobs": 0}, "jobs must be a whole number >= 1, got 0"),
    ({"jobs": 1.5}, "jobs must be a whole number >= 1, got 1.5"),
    ({"jobs": True}, "jobs must be a whole number >= 1, got True"),
    ({"jobs": 9, "seed": -1}, "seed must be a whole number >= 0, got -1"),
    ({"jobs": 9, "seed": None}, "seed must be a whole number >= 0, got None"),
    ({"jobs": 9, "replication": -1}, "replication must be a whole number >= 0, got -1"),
    ({"horizon_s": 0}, "horizon_s must be > 0, got 0"),
    ({"horizon_s": NAN}, "horizon_s must be a finite number, got nan"),
    ({"jobs": 9, "horizon_s": "1"}, "horizon_s must be a finite number, got '1'"),
    ({"jobs": 9, "engine": "fast"}, "engine must be 'auto', 'simpy' or 'compiled', got 'fast'"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_a_wrong_argument_is_refused_with_its_name_rule_and_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        tk.simulate(MM1, **arguments)


@pytest.mark.parametrize("design", [3, "mm1", MM1.stages[0]])
def test_what_is_no_design_is_refused(design):
    with pytest.raises(ValueError, match=r"design must be a Design\(\.\.\.\), got "):
        tk.simulate(design, jobs=9)


def test_a_trace_brings_its_own_number_of_jobs():
    """All of it, or the first few of it."""
    assert len(tk.simulate(clockwork(jobs=7)).jobs) == 7
    assert len(tk.simulate(clockwork(jobs=7), jobs=3).jobs) == 3
    with pytest.raises(ValueError, match="jobs must be <= 7, the length of the trace, got 8"):
        tk.simulate(clockwork(jobs=7), jobs=8)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "arrivals",
    [
        tk.Poisson(rate_per_s=0.5),
        tk.OnOff(on_rate_per_s=9.0, mean_on_s=1.0, mean_off_s=8.0),
        # it starts with a burst of many more jobs than its rate lets expect
        tk.OnOff(on_rate_per_s=9.0, mean_on_s=1e3, mean_off_s=1e5),
    ],
    ids=["Poisson", "bursts", "one burst"],
)
def test_with_a_horizon_alone_jobs_arrive_until_it(arrivals, seed):
    """As many as were needed were drawn: the same as with far too many, and the last is near."""
    design = tk.Design(arrivals=arrivals, stages=MM1.stages)
    run = tk.simulate(design, horizon_s=200.0, seed=seed)
    generous = tk.simulate(design, horizon_s=200.0, seed=seed, jobs=2_000)

    assert run.duration_s == 200.0
    pd.testing.assert_frame_equal(run.jobs, generous.jobs)


def test_a_horizon_is_the_first_moment_that_is_not_in_the_run():
    """Half-open, as every window here: a service that would end at 2 s is not done at 2 s."""
    run = tk.simulate(clockwork(jobs=4, service_s=1.0), horizon_s=2.0)

    assert run.jobs["outcome"].tolist() == ["done", "unfinished"]


def test_what_was_cut_off_is_said():
    """Percentiles without the slowest jobs flatter a system; the run says how many are missing."""
    run = tk.simulate(clockwork(jobs=4, service_s=1.0), horizon_s=2.5)

    assert run.warnings[-1] == (
        "1 of 3 jobs were unfinished when the run ended at 2.5 s: percentiles leave them out, and "
        "they are the slow ones"
    )
    assert tk.simulate(clockwork(jobs=4)).warnings == ()


def test_an_overload_runs_and_is_warned_of():
    """It is a lesson, not an error."""
    run = tk.simulate(MM1.faster(3.0), jobs=50)

    assert run.warnings == tuple(MM1.faster(3.0).overloads())
    assert len(run.warnings) == 1
    assert (run.jobs["outcome"] == "done").all()


def test_a_run_says_what_it_was():
    """Enough to do it again."""
    for engine in ("simpy", "compiled"):
        run = tk.simulate(MM1, jobs=5, seed=3, replication=2, engine=engine)

        assert (run.design, run.seed, run.replication, run.engine) == (MM1, 3, 2, engine)
        assert len(repr(run)) < 600
