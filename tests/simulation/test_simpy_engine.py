"""The engine does what a patient person with a pencil would do, ties included."""

import heapq
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_systems import seconds

import toolkit as tk
from toolkit.simulation.streams import Streams


def stage(service_s=1.0, **more):
    return tk.Stage(**{"name": "work", "service": tk.Deterministic(value_s=service_s)} | more)


def at(times_s, *stages):
    return tk.Design(arrivals=tk.Trace(times_s=times_s), stages=stages)


def retry(max_retries=1, delay_s=0.0):
    return tk.Retry(max_retries=max_retries, backoff=tk.ConstantBackoff(delay_s=delay_s))


# --- traces made by hand ---


def test_a_queue_that_cannot_keep_up_grows_by_a_second_a_job():
    """D/D/1 with a job a second and two seconds each: job k waits k seconds."""
    run = tk.simulate(at([0, 1, 2, 3], stage(2.0)))

    assert run.jobs["wait_s"].tolist() == [0, 1, 2, 3]
    assert run.attempts["started_s"].tolist() == [0, 2, 4, 6]
    assert run.jobs["finished_s"].tolist() == [2, 4, 6, 8]


def test_the_free_worker_with_the_lowest_number_takes_the_job():
    """Which worker it is does not matter to a job; that it is always the same one does to us."""
    run = tk.simulate(at([0, 0, 0, 5], stage(2.0, workers=3)))

    assert run.attempts["worker"].tolist() == [0, 1, 2, 0]


def test_a_retry_goes_to_the_tail_of_the_queue():
    """Job 0 fails at 1 s, behind job 1 that waits; its second attempt is served after job 1's first."""
    run = tk.simulate(at([0, 0.5], stage(failure=1.0, retry=retry())))
    order = run.attempts.sort_values("started_s")

    assert order["job"].tolist() == [0, 1, 0, 1]
    assert order["attempt"].tolist() == [1, 1, 2, 2]
    assert order["started_s"].tolist() == [0, 1, 2, 3]
    assert run.jobs["wait_s"].tolist() == [1.0, 1.5]


def test_a_retry_at_once_is_at_once():
    """A pause of nought takes no time, and an idle worker takes the job back the same moment."""
    run = tk.simulate(at([0], stage(failure=1.0, retry=retry(max_retries=2))))

    assert run.attempts["queued_s"].tolist() == [0, 1, 2]
    assert run.attempts["started_s"].tolist() == [0, 1, 2]
    assert run.jobs.loc[0, "backoff_s"] == 0


def test_a_retry_at_once_lets_those_go_first_who_come_at_that_moment():
    """A pause of nought is still an event: job 2 comes at 1 s, when job 0 fails, and is before it."""
    run = tk.simulate(at([0, 0.5, 1], stage(failure=1.0, retry=retry())))

    assert run.attempts.sort_values("started_s")["job"].tolist() == [0, 1, 2, 0, 1, 2]


def test_the_first_pause_is_the_base():
    """With no retry made yet the base is doubled nought times."""
    backoff = tk.ExponentialBackoff(base_s=1.0, cap_s=3.0)
    always = stage(failure=1.0, retry=tk.Retry(max_retries=3, backoff=backoff))
    rows = tk.simulate(at([0], always)).attempts

    assert rows["queued_s"].tolist() == [0, 2, 5, 9]  # a second of service, then 1, 2 and 3 s


def test_a_job_in_backoff_holds_no_worker_and_no_place():
    """Job 0 pauses from 1 s to 3 s; job 1 finds the only place free, and job 0 finds it free again."""
    run = tk.simulate(at([0, 1.5], stage(capacity=1, failure=1.0, retry=retry(1, 2.0))))

    assert run.attempts["queued_s"].tolist() == [0, 3, 1.5, 4.5]
    assert run.jobs["backoff_s"].tolist() == [2, 2]
    assert run.jobs["outcome"].tolist() == ["dead", "dead"]


def test_a_retry_that_finds_the_stage_full_is_rejected():
    """The cap holds for every attempt: jobs 0 comes back at 2 s, when job 1 has the only place."""
    run = tk.simulate(at([0, 1.5], stage(capacity=1, failure=1.0, retry=retry(1, 1.0))))

    assert run.jobs.loc[0, ["outcome", "attempts", "finished_s"]].tolist() == ["rejected", 1, 2.0]


@pytest.mark.parametrize("max_retries", [0, 1, 4])
def test_a_job_that_always_fails_is_dead_after_the_first_attempt_and_all_retries(max_retries):
    """Five retries are six attempts: the counting error that everybody makes once."""
    run = tk.simulate(at([0, 0, 9], stage(failure=1.0, retry=retry(max_retries))))

    assert (run.jobs["outcome"] == "dead").all()
    assert run.jobs["attempts"].tolist() == [max_retries + 1] * 3


def test_a_failure_without_retry_is_final():
    """And with no chance of failure nothing fails."""
    assert tk.simulate(at([0], stage(failure=1.0))).jobs.loc[0, "outcome"] == "dead"
    assert tk.simulate(at([0], stage(failure=0.0))).jobs.loc[0, "outcome"] == "done"


def test_decorrelated_jitter_remembers_the_last_pause():
    """The pauses in the records are those of the formula, fed with the drawn numbers."""
    backoff = tk.DecorrelatedJitter(base_s=1.0, cap_s=100.0)
    always = stage(failure=1.0, retry=tk.Retry(max_retries=6, backoff=backoff))
    rows = tk.simulate(at([0], always), seed=4).attempts
    drawn = Streams(seed=4, replication=0, jobs=1)
    pauses_s, last_s = [], None
    for n in range(6):
        last_s = backoff.pause_s(n, drawn.jitters("work", n + 1)[0], last_s)
        pauses_s.append(last_s)

    seen_s = rows["queued_s"].to_numpy()[1:] - rows["ended_s"].to_numpy()[:-1]
    assert seen_s.tolist() == pytest.approx(pauses_s)


def test_a_full_stage_turns_away_and_the_row_shows_when():
    """One in service, one waiting, the third is rejected on the spot."""
    run = tk.simulate(at([0, 0.5, 0.75], stage(capacity=2)))
    row = run.attempts.iloc[2]

    assert run.jobs["outcome"].tolist() == ["done", "done", "rejected"]
    assert (row["queued_s"], row["ended_s"], row["worker"]) == (0.75, 0.75, -1)
    assert run.jobs.loc[2, ["sojourn_s", "wait_s", "attempts"]].tolist() == [0, 0, 0]


def test_of_two_events_at_one_moment_the_one_planned_first_comes_first():
    """SimPy's order is part of the model: another engine has to find it, too.

    A service ends at 1 s, planned at 0 s.  The job that comes at 1 s was planned when the one
    before it came: at 0 s, before that service began, or at 0.5 s, after it.
    """
    full = tk.simulate(at([0, 1], stage(capacity=1)))
    free = tk.simulate(at([0, 0.5, 1], stage(capacity=1)))

    assert full.jobs["outcome"].tolist() == ["done", "rejected"]
    assert free.jobs["outcome"].tolist() == ["done", "rejected", "done"]


def test_a_bucket_that_drops_takes_the_burst_and_then_one_a_token():
    """Two at once, then a token a second; the fourth comes half a second too early."""
    bucket = tk.TokenBucket(rate_per_s=1.0, burst=2)
    run = tk.simulate(at([0, 0, 1, 1.5, 2], stage(0.1, workers=9, limiter=bucket)))

    assert run.jobs["outcome"].tolist() == ["done", "done", "done", "limited", "done"]


def test_a_bucket_that_makes_wait_hands_out_tokens_in_order_of_arrival():
    """Two go at once; the next three wait for the tokens of 1, 2 and 3 s."""
    bucket = tk.TokenBucket(rate_per_s=1.0, burst=2, when_empty="wait")
    run = tk.simulate(at([0, 0, 0, 0, 0.5], stage(0.25, workers=9, limiter=bucket)))

    assert run.attempts["started_s"].tolist() == [0, 0, 1, 2, 3]
    assert run.jobs["wait_s"].tolist() == [0, 0, 1, 2, 2.5]
    assert (run.jobs["outcome"] == "done").all()


def test_a_retry_does_not_pay_a_second_token():
    """A job meets the limiter once, at the door."""
    bucket = tk.TokenBucket(rate_per_s=0.001, burst=1)
    run = tk.simulate(at([0], stage(failure=1.0, retry=retry(3), limiter=bucket)))

    assert run.jobs.loc[0, ["outcome", "attempts"]].tolist() == ["dead", 4]


def test_those_who_wait_for_a_token_take_no_place_in_the_stage():
    """The bucket is at the door: job 2 finds a place although two stand before it."""
    bucket = tk.TokenBucket(rate_per_s=1.0, burst=1, when_empty="wait")
    run = tk.simulate(at([0, 0, 0], stage(0.5, capacity=1, limiter=bucket)))

    assert run.jobs["outcome"].tolist() == ["done"] * 3


def test_stages_follow_each_other_and_each_has_its_own_queue():
    """The first stage spaces the jobs out, so only it has a queue."""
    run = tk.simulate(at([0, 0, 0], stage(2.0, name="slow"), stage(1.0, name="quick")))
    rows = run.attempts.set_index(["stage", "job"])

    assert rows.loc["slow", "started_s"].tolist() == [0, 2, 4]
    assert rows.loc["quick", "started_s"].tolist() == [2, 4, 6]
    assert run.jobs["finished_s"].tolist() == [3, 5, 7]


def test_a_job_that_fails_in_one_stage_never_sees_the_next():
    """What is dead is not handed on."""
    run = tk.simulate(at([0], stage(name="a", failure=1.0), stage(name="b")))

    assert run.attempts["stage"].tolist() == ["a"]


# --- an engine without events ---


def kiefer_wolfowitz(arrived_s, services_s, workers):
    """Start each job at its arrival or when the first worker is free, whichever is later.

    Kiefer and Wolfowitz 1955.  It knows no events and no order among them, so where it gives the
    same bits as the engine, no tie was judged in a way that matters.
    """
    free_s, starts_s, ends_s = [0.0] * workers, [], []
    for came_s, service_s in zip(arrived_s, services_s, strict=True):
        starts_s.append(max(came_s, heapq.heappop(free_s)))
        ends_s.append(starts_s[-1] + service_s)
        heapq.heappush(free_s, ends_s[-1])
    return starts_s, ends_s


def assert_same_bits(design, jobs, seed):
    drawn, (station,) = Streams(seed=seed, replication=0, jobs=jobs), design.stages
    arrived_s = list(itertools.accumulate(drawn.gaps_s(design.arrivals).tolist()))
    services_s = drawn.services_s(station.service, station.name, 1).tolist()
    starts_s, ends_s = kiefer_wolfowitz(arrived_s, services_s, station.workers)
    run = tk.simulate(design, jobs=jobs, seed=seed)

    assert run.jobs["arrived_s"].tolist() == arrived_s
    assert run.attempts["started_s"].tolist() == starts_s
    assert run.attempts["ended_s"].tolist() == ends_s


@given(
    gaps_s=st.lists(seconds, min_size=1, max_size=40),
    samples_s=st.lists(seconds, min_size=1, max_size=5),
    workers=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_with_ties_everywhere_the_records_are_those_of_a_recursion(
    gaps_s, samples_s, workers, seed
):
    """Whole seconds: most moments are shared by several events."""
    service = tk.Empirical(samples_s=samples_s)
    design = at(np.cumsum(gaps_s), stage(service=service, workers=workers))

    assert_same_bits(design, len(gaps_s), seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize(
    "service",
    [
        tk.Exponential(mean_s=1.0),
        tk.Deterministic(value_s=1.0),
        tk.HyperExponential(mean_s=1.0, scv=9.0),
    ],
    ids=lambda law: type(law).__name__,
)
def test_the_records_are_those_of_a_recursion_bit_for_bit(service, workers, seed):
    """The sums are made in the same order, so not even the last bit may differ."""
    arrivals = tk.Poisson(rate_per_s=0.9 * workers)
    design = tk.Design(arrivals=arrivals, stages=[stage(service=service, workers=workers)])

    assert_same_bits(design, 2_000, seed)
