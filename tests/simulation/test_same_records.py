"""Pairs of designs that must come to the same, or of which one must be no worse: the engine's algebra."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_systems import arrivals, batches, length, limiters, services, waits

import toolkit as tk

sources = st.one_of(arrivals, batches)
smooth_laws = st.sampled_from(
    [tk.Exponential(mean_s=1.0), tk.Gamma(mean_s=0.7, scv=0.5), tk.Uniform(low_s=0.1, high_s=2.0)]
)
smooth_backoffs = st.sampled_from(
    [tk.FullJitter(base_s=0.5, cap_s=4.0), tk.ConstantBackoff(delay_s=0.37)]
)


def of(arrivals, service, **more):
    """Return a design of one stage."""
    stage = tk.Stage(name="work", service=service, **more)
    return tk.Design(arrivals=arrivals, stages=[stage])


def changed(design, **changes):
    """Return the design with its stage changed."""
    (stage,) = design.stages
    return dataclasses.replace(design, stages=[dataclasses.replace(stage, **changes)])


def simulate(design, seed):
    return tk.simulate(design, **length(design, 30), seed=seed)


def assert_same(first, second, seed, *, leave_out=()):
    """Check that two designs give the same tables, but for the columns left out."""
    runs = [simulate(design, seed) for design in (first, second)]
    tables = [run.attempts.drop(columns=list(leave_out)) for run in runs]

    pd.testing.assert_frame_equal(*tables)
    pd.testing.assert_frame_equal(runs[0].jobs, runs[1].jobs)


@given(
    service=smooth_laws,
    workers=st.integers(1, 3),
    more=st.fixed_dictionaries(
        {
            "capacity": st.sampled_from([None, 4]),
            "failure": st.sampled_from([0.0, 0.3]),
            "retry": st.one_of(
                st.none(), smooth_backoffs.map(lambda b: tk.Retry(max_retries=2, backoff=b))
            ),
            "limiter": st.one_of(st.none(), limiters),
        }
    ),
    seed=st.integers(0, 9),
)
def test_a_broker_with_nothing_to_say_changes_nothing_to_the_last_bit(service, workers, more, seed):
    """The plain stage and the broker are two programs for one meaning, where no two things tie."""
    plain = of(tk.Poisson(rate_per_s=1.7), service, workers=workers, **more)

    assert_same(plain, changed(plain, delivery=tk.Delivery()), seed)


@given(arrivals=sources, service=services, workers=st.integers(1, 3), seed=st.integers(0, 9))
def test_with_ties_a_broker_gives_the_same_times_and_perhaps_other_workers(
    arrivals, service, workers, seed
):
    """A worker freed at the moment of an arrival: the plain stage may give it to one or the other.

    Who is first does not change, so times are the same.  They would differ with a cap, where the one
    sees a place that the other has not yet cleared, and with retries at once.
    """
    plain = of(arrivals, service, workers=workers)

    assert_same(plain, changed(plain, delivery=tk.Delivery()), seed, leave_out=["worker"])


@given(arrivals=sources, service=services, workers=st.integers(1, 3), seed=st.integers(0, 9))
def test_one_class_has_priority_over_nobody(arrivals, service, workers, seed):
    """Priority among equals is first come, first served; so is a preemption that never comes."""
    fifo = of(arrivals, service, workers=workers, delivery=tk.Delivery())
    fifo = dataclasses.replace(fifo, classes=[tk.JobClass(name="all", share=1.0)])

    assert_same(fifo, changed(fifo, order="priority"), seed)
    assert_same(fifo, changed(fifo, order="preemptive", delivery=None), seed)


@given(
    arrivals=sources,
    service=services,
    order=st.sampled_from(["lifo", "random", "shortest", "shared"]),
    seed=st.integers(0, 9),
)
def test_no_order_makes_one_worker_idle_or_gives_it_more_work(arrivals, service, order, seed):
    """Busy spells are the same whoever is next: the work does not become less by being sorted."""
    fifo = of(arrivals, service)
    runs = [simulate(design, seed) for design in (fifo, changed(fifo, order=order))]
    spells = []
    for run in runs:
        rows = run.attempts.sort_values("started_s")
        ends_s = rows["ended_s"].cummax().shift(fill_value=-1.0)
        begins = rows["started_s"] > ends_s + 1e-9
        groups = begins.cumsum()
        spells.append(rows.groupby(groups).agg({"started_s": "min", "ended_s": "max"}).to_numpy())

    assert spells[0] == pytest.approx(spells[1], abs=1e-9)


@given(
    arrivals=sources,
    service=services,
    room=st.tuples(st.integers(1, 3), st.sampled_from([0, 1, 4, float("inf")])),
    failure=st.sampled_from([0.0, 0.4]),
    seed=st.integers(0, 9),
)
def test_with_one_instance_push_and_pop_are_one(arrivals, service, room, failure, seed):
    """Who takes the first step does not matter when there is nobody else to take it."""
    workers, prefetch = room
    retry = tk.Retry(max_retries=2, backoff=tk.ConstantBackoff(delay_s=1))
    push = tk.Delivery(fetch=tk.Push(), prefetch=prefetch)
    pushed = of(arrivals, service, workers=workers, failure=failure, retry=retry, delivery=push)
    pop = dataclasses.replace(push, fetch=tk.BlockingPop())

    # pushed on at the moment of an acknowledgement, a message may find another slot idle
    assert_same(pushed, changed(pushed, delivery=pop), seed, leave_out=["worker"])


@given(
    arrivals=sources,
    service=services,
    fetch=st.sampled_from([tk.Push(), tk.BlockingPop()]),
    seed=st.integers(0, 9),
)
def test_prefetch_costs_nothing_where_there_is_nobody_to_starve(arrivals, service, fetch, seed):
    """One instance, one slot: its own memory is as good a queue as the broker's."""
    kept = of(arrivals, service, delivery=tk.Delivery(fetch=fetch))
    taken = tk.Delivery(fetch=fetch, prefetch=float("inf"))

    assert_same(kept, changed(kept, delivery=taken), seed)


@given(arrivals=sources, service=services, workers=st.integers(1, 3), seed=st.integers(0, 9))
def test_a_faster_worker_or_one_more_never_makes_the_wait_longer(arrivals, service, workers, seed):
    """Job by job under common random numbers: first come, first served without feedback is monotone."""
    before = of(arrivals, service, workers=workers)
    wait_s = simulate(before, seed).jobs["wait_s"]
    faster = simulate(changed(before, service=service.times(0.5)), seed).jobs["wait_s"]
    wider = simulate(changed(before, workers=workers + 1), seed).jobs["wait_s"]

    assert (faster <= wait_s + 1e-9).all()
    assert (wider <= wait_s + 1e-9).all()


@given(arrivals=sources, service=services, patience=waits, seed=st.integers(0, 9))
def test_parts_that_never_act_change_nothing(arrivals, service, patience, seed):
    """Patience, shedding, leases and callers that are never used up are not there."""
    plain = of(arrivals, service, delivery=tk.Delivery())
    long = tk.Deterministic(value_s=1e6)
    lease = tk.Visibility(timeout_s=1e6, receipt="lease")

    assert_same(plain, changed(plain, patience=long), seed)
    assert_same(plain, changed(plain, shed=tk.ControlledDelay(target_s=1e5, interval_s=1e6)), seed)
    assert_same(plain, changed(plain, delivery=tk.Delivery(visibility=lease)), seed)
    assert patience.moment(1) >= 0


@given(arrivals=arrivals, service=services, seed=st.integers(0, 9))
def test_a_caller_who_waits_for_ever_changes_no_time(arrivals, service, seed):
    """Somebody who only waits is an observer."""
    alone = of(arrivals, service)
    watched = dataclasses.replace(alone, callers=[tk.Caller()])
    runs = [simulate(design, seed) for design in (alone, watched)]

    for column in ("arrived_s", "finished_s", "outcome"):
        assert runs[0].jobs[column].tolist() == runs[1].jobs[column].tolist()
    for column in ("wait_s", "service_s"):
        assert np.allclose(runs[0].jobs[column], runs[1].jobs[column], atol=1e-9)
