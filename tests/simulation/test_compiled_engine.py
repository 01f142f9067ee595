"""The compiled engine: SimPy's records, to the last bit, also where most events tie.

How many random designs each property meets is set by ``GOODPUT_EXACT`` (all of them together see at
least ten times as many): ``GOODPUT_EXACT=400 pytest tests/simulation/test_compiled_engine.py``.
"""

import dataclasses
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from small_systems import (
    arrivals,
    batches,
    closed,
    deliveries,
    length,
    many_retries,
    pushes,
    rich_designs,
    routed,
    services,
)
from small_systems import stages as stages_

import toolkit as tk
from toolkit.simulation import engines
from toolkit.simulation.compiled_engine import start
from toolkit.simulation.compiled_engine.full import setup
from toolkit.simulation.compiled_engine.full.run import FullRun
from toolkit.simulation.engines import SimPyRun
from toolkit.simulation.records import Records
from toolkit.simulation.simulate import _streams

sys.path.insert(0, str(Path(__file__).parents[1] / "systems"))
from product_settings import HOST, NEEDED, stage

HOW_MANY = int(os.environ.get("GOODPUT_EXACT", "40"))
given_many = settings(
    max_examples=3 * HOW_MANY, deadline=None, suppress_health_check=list(HealthCheck)
)


@st.composite
def plain_designs(draw):
    """Draw a design of plain stages, with routes, classes and closed sources."""
    shares = st.sampled_from([1.0, 1.0, 0.5])
    stages = [
        dataclasses.replace(draw(stages_(name, retry=many_retries)), share=draw(shares))
        for name in "abc"[: draw(st.integers(1, 3))]
    ]
    if draw(st.sampled_from([False, False, False, True])):
        stages = draw(routed(stages))
    classes = [
        tk.JobClass(name="first", share=0.5, service={"a": draw(services)}),
        tk.JobClass(name="second", share=0.5),
    ]
    return tk.Design(
        arrivals=draw(st.one_of(arrivals, batches, closed)),
        stages=stages,
        classes=classes if draw(st.booleans()) else (),
    )


def assert_same(compiled, simpy):
    """Check that two runs wrote the same, to the last bit."""
    ours, theirs = compiled.records(), simpy.records()
    for field in dataclasses.fields(Records):
        one, other = getattr(ours, field.name), getattr(theirs, field.name)
        assert one.dtype == other.dtype, field.name
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f"), field.name
    assert (compiled.stopped, compiled.arrived, compiled.unfinished, compiled.made) == (
        simpy.stopped,
        simpy.arrived,
        simpy.unfinished,
        simpy.made,
    )


def compare(design, *, jobs, seed, horizon_s, recursion=True):
    """Run a design by both engines and compare; say whether the compiled one came to an end."""
    draws = _streams(design.arrivals, jobs, horizon_s, seed, 0)
    compiled, _ = start.run(design, draws, horizon_s, must=True, recursion=recursion)
    if compiled is None:
        return False
    simpy = SimPyRun(design, draws, horizon_s)
    assert_same(compiled, simpy)
    if horizon_s is None:
        assert compiled.now_s == simpy.now_s
    return True


@given_many
@given(plain_designs(), st.integers(0, 9), st.one_of(st.none(), st.integers(1, 30)))
def test_plain_stages_leave_the_same_records(design, seed, horizon_s):
    """With and without a horizon; a run that would not end stops at the same attempt."""
    if horizon_s is None and design.never_ends():
        horizon_s = 30

    compare(design, **length(design), seed=seed, horizon_s=horizon_s)


FAILING = {"failure": 0.2, "retry": tk.Retry(max_retries=2, backoff=tk.ConstantBackoff(delay_s=1))}
ALONE = [
    {},
    {"capacity": 4},
    FAILING,
    FAILING | {"service": tk.Exponential(mean_s=0.7)},
    {"routes": {"work": 0.3}},
    {"share": 0.5},
    {"limiter": tk.TokenBucket(rate_per_s=1.0, burst=2, when_empty="wait")},
    FAILING | {"retry": dataclasses.replace(FAILING["retry"], budget=tk.AwsRetryQuota())},
]


@pytest.mark.parametrize("part", ALONE, ids=lambda part: " and ".join(part) or "nothing")
@pytest.mark.parametrize(
    "source",
    [
        tk.Poisson(rate_per_s=1.2),
        tk.Renewal(law=tk.Empirical(samples_s=[0.0, 1.0, 1.0])),
        tk.Closed(users=5, think=tk.Exponential(mean_s=1.0)),
    ],
    ids=lambda source: type(source).__name__,
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_plain_stage_alone_leaves_the_same_records(source, part, workers):
    """The step in which it takes a job in or lets it go is for those with nothing around them."""
    service = tk.Empirical(samples_s=[0.0, 1.0, 1.0, 2.0])
    work = tk.Stage(name="work", workers=workers, **{"service": service} | part)
    design = tk.Design(arrivals=source, stages=[work])

    assert compare(design, jobs=2_000, seed=1, horizon_s=None, recursion=False)


@given_many
@given(rich_designs(), st.integers(0, 9), st.integers(5, 60))
def test_whatever_a_design_says_leaves_the_same_records(design, seed, horizon_s):
    """Messages, leases, crashes, pollers, callers, tasks, shared workers: all of it, in whole seconds."""
    compare(design, **length(design, 12), seed=seed, horizon_s=horizon_s)


@given_many
@given(rich_designs(1, has_callers=False), st.integers(0, 9), st.one_of(st.none(), st.just(40)))
def test_one_stage_with_a_protocol_leaves_the_same_records(design, seed, horizon_s):
    """Deliveries of one stage, where each part meets the others more often."""
    if horizon_s is None and (design.never_ends() or design.may_overlap):
        horizon_s = 80

    compare(design, **length(design, 20), seed=seed, horizon_s=horizon_s)


@st.composite
def usual_designs(draw):
    """Draw a queue with a protocol, and none of what keeps messages from the short way."""
    workers = draw(st.integers(1, 4))
    in_turn = st.builds(
        tk.BlockingPop, batch=st.integers(1, 3), refill_at=st.one_of(st.none(), st.integers(0, 2))
    )
    delivery = dataclasses.replace(
        draw(deliveries(workers)),
        fetch=draw(st.one_of(pushes, in_turn)),
        countdown=None,
        limiter=None,
        groups=None,
        poison=0.0,
    )
    work = tk.Stage(
        name="a",
        service=draw(st.one_of(services, st.just(tk.Exponential(mean_s=1.0)))),
        workers=workers,
        failure=draw(st.sampled_from([0.0, 0.1, 0.3])),
        retry=draw(st.one_of(st.none(), many_retries)),
        delivery=delivery,
    )
    sources = st.one_of(arrivals, batches, st.just(tk.Poisson(rate_per_s=0.9 * workers)))
    design = tk.Design(arrivals=draw(sources), stages=[work])
    assume(setup.has_short_way(design))
    return design


@given_many
@given(usual_designs(), st.integers(0, 9), st.one_of(st.none(), st.just(60)))
def test_the_short_way_leaves_the_same_records(design, seed, horizon_s):
    """Deliveries, leases that run out, retries, crashes; many events at one moment."""
    if horizon_s is None and (design.never_ends() or design.may_overlap):
        horizon_s = 200

    compare(design, **length(design, 60), seed=seed, horizon_s=horizon_s)


def both_ways(design, jobs, seed, horizon_s=None):
    """Run a design the short way and the long one, and compare; say whether it was given up by neither."""
    draws = _streams(design.arrivals, jobs, horizon_s, seed, 0)
    short = FullRun(design, draws, horizon_s)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "has_short_way", lambda _: False)
        long = FullRun(design, draws, horizon_s)

    assert short.world["has_short_way"] != long.world["has_short_way"]
    assert short.gave_up == long.gave_up
    if short.gave_up is None:
        assert_same(short, long)
    return short.gave_up is None


@given_many
@given(usual_designs(), st.integers(0, 9))
def test_the_short_way_and_the_long_way_leave_the_same_records(design, seed):
    """So many jobs that every record has been used again and again; leases that run out, too."""
    both_ways(design, length(design, 3_000)["jobs"], seed, horizon_s=2_500.0)


AGAIN = {"instances": 2, "autoretry": True, "retry_backoff": True, "max_retries": 3}


@pytest.mark.parametrize(
    ("product", "more"),
    [
        ("celery", AGAIN | {"acks_late": True, "visibility_timeout_s": 4.0}),
        ("celery", AGAIN | {"acks_late": False}),
        ("celery", AGAIN | {"acks_late": True, "broker": "rabbitmq"}),
        ("sqs", {"visibility_timeout_s": 6.0, "max_receive_count": 3}),
        ("sqs", {"visibility_timeout_s": 2.0, "max_receive_count": 2}),
    ],
)
def test_products_that_deliver_again_go_both_ways_alike_for_long(product, more):
    """Leases run out while their messages wait, retries follow: what is seldom comes in so many jobs."""
    work = stage(product, **more, service=tk.Exponential(mean_s=1.0), failure=0.1)
    source = tk.Poisson(rate_per_s=0.75 * work.workers)

    assert both_ways(tk.Design(arrivals=source, stages=[work]), 50_000, seed=1)


def test_what_is_left_of_a_preempted_service_is_never_less_than_nothing():
    """A token that comes as often as a job takes: interrupted at its end, but for rounding."""
    work = tk.Stage(
        name="a",
        service=tk.Deterministic(value_s=1),
        limiter=tk.TokenBucket(rate_per_s=1.0, burst=1, when_empty="wait"),
        order="preemptive",
    )
    classes = [
        tk.JobClass(name="first", share=0.5, service={"a": tk.Deterministic(value_s=0)}),
        tk.JobClass(name="second", share=0.5),
    ]
    design = tk.Design(arrivals=tk.Poisson(rate_per_s=1.0), stages=[work], classes=classes)

    for seed in range(10):
        assert compare(design, jobs=40, seed=seed, horizon_s=None)


@given_many
@given(
    service=st.one_of(services, st.just(tk.Gamma(mean_s=0.7, scv=0.5))),
    source=st.one_of(arrivals, batches),
    workers=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_the_recursion_leaves_the_same_records_as_events_do(service, source, workers, seed):
    """Whole seconds and no time at all included."""
    work = tk.Stage(name="work", service=service, workers=workers)
    design = tk.Design(arrivals=source, stages=[work])

    assert compare(design, **length(design), seed=seed, horizon_s=None)
    assert compare(design, **length(design), seed=seed, horizon_s=None, recursion=False)


def test_hardly_any_design_is_given_up():
    """What is given up is run by SimPy, which is right, and slow."""
    given_up = []

    @settings(max_examples=100, deadline=None, database=None, derandomize=True)
    @given(rich_designs(), st.integers(0, 9), st.integers(5, 60))
    def run(design, seed, horizon_s):
        draws = _streams(design.arrivals, length(design, 12)["jobs"], horizon_s, seed, 0)
        done, _ = start.run(design, draws, horizon_s, must=True)
        given_up.append(done is None)

    run()
    assert sum(given_up) <= 0.03 * len(given_up)


VARIANTS = [
    *((product, {}) for product in NEEDED),
    ("celery", {"broker": "rabbitmq", "acks_late": True, "prefetch_multiplier": 4}),
    ("celery", {"acks_late": True, "prefetch_multiplier": 1}),
    ("celery", {"version": "5.6", "rate_limit": "20/s"}),
    ("sidekiq", {"version": "6.5.0"}),
    ("hangfire", {"storage": "redis"}),
    ("azure_storage_queue", HOST),
]
WITH = [
    {},
    {"failure": 0.2},
    {"countdown": tk.Exponential(mean_s=3.0)},
    {"crashes": [tk.Crash(at_s=20.0, restart_after_s=5.0)], "poison": 0.01},
    {"service": tk.Empirical(samples_s=[0, 1, 2]), "failure": 0.3},
]


@pytest.mark.parametrize(("product", "settings_"), VARIANTS)
@pytest.mark.parametrize("more", WITH, ids=["bare", "failing", "put off", "dying", "in whole s"])
@pytest.mark.parametrize("seed", [0, 1])
def test_products_leave_the_same_records(product, settings_, more, seed):
    """Every product of ``tk.systems``, with failures, countdowns, crashes and poison."""
    try:
        work = stage(product, **settings_, **more)
    except ValueError as refused:
        pytest.skip(f"{product} has no such setting: {refused}")
    if "service" in more:
        source = tk.Renewal(law=tk.Empirical(samples_s=[0, 1, 1]))
    else:
        source = tk.Poisson(rate_per_s=0.7 / 0.04 * min(work.workers, 8))
    design = tk.Design(arrivals=source, stages=[work])
    horizon_s = 20_000.0 if design.never_ends() else None

    assert compare(design, jobs=600, seed=seed, horizon_s=horizon_s)


@pytest.mark.parametrize("jobs", [50_000])
def test_a_long_run_outgrows_its_tables_and_stays_exact(jobs):
    """An overloaded queue with retries, and messages put off: heaps, lines and pools grow many times."""
    retry = tk.Retry(max_retries=3, backoff=tk.FullJitter(base_s=50.0, cap_s=500.0))
    plain = tk.Stage(name="a", service=tk.Exponential(mean_s=1.0), failure=0.3, retry=retry)
    sent = dataclasses.replace(plain, name="b", delivery=tk.Delivery(prefetch=math.inf))
    for work in (plain, sent):
        design = tk.Design(arrivals=tk.Poisson(rate_per_s=2.0), stages=[work])

        assert compare(design, jobs=jobs, seed=1, horizon_s=None)


@pytest.mark.parametrize("workers", [63, 64, 65, 200])
def test_many_workers_are_given_out_lowest_first_and_stay_exact(workers):
    """Those who are idle are bits of words: as many as a word has, one more, one less, several words."""
    service, failure = tk.Exponential(mean_s=1.0), 0.1
    plain = tk.Stage(name="a", service=service, workers=workers, failure=failure)
    sent = dataclasses.replace(plain, workers=2 * workers, delivery=tk.Delivery(instances=2))
    for work in (plain, sent):
        source = tk.Poisson(rate_per_s=0.95 * work.workers)
        design = tk.Design(arrivals=source, stages=[work])

        assert compare(design, jobs=4_000, seed=1, horizon_s=None, recursion=False)


# --- what is not covered, and what is not compiled yet ---


class Odd:
    """A backoff of one's own."""

    def pause_s(self, retries_made, uniform, previous_s):  # noqa: ARG002
        """Return a second, and one more each time."""
        return 1.0 + retries_made


def test_a_part_of_ones_own_is_run_by_simpy_and_said():
    """``auto`` names the field; ``compiled`` refuses."""
    work = tk.Stage(
        name="work",
        service=tk.Exponential(mean_s=0.1),
        failure=0.5,
        retry=tk.Retry(max_retries=1, backoff=Odd()),
    )
    design = tk.Design(arrivals=tk.Poisson(rate_per_s=1.0), stages=[work])
    run = tk.simulate(design, jobs=20)

    assert run.engine == "simpy"
    assert run.warnings == (
        "run by SimPy: the compiled engine does not know stage 'work': retry.backoff",
    )
    with pytest.raises(ValueError, match="engine must be 'simpy' or 'auto' for this design"):
        tk.simulate(design, jobs=20, engine="compiled")


def test_while_it_is_not_compiled_simpy_answers_small_runs(monkeypatch):
    """And somebody is sent to compile it."""
    sent = []
    monkeypatch.setattr(start, "is_ready", lambda _: False)
    monkeypatch.setattr(engines, "compile_elsewhere", lambda: sent.append(True))
    work = tk.Stage(name="work", service=tk.Exponential(mean_s=0.1))
    design = tk.Design(arrivals=tk.Poisson(rate_per_s=1.0), stages=[work])

    assert tk.simulate(design, jobs=20).engine == "simpy"
    assert sent == [True]
    assert tk.simulate(design, jobs=20, engine="compiled").engine == "compiled"
    assert tk.simulate(design, jobs=start.MEANWHILE_JOBS + 1).engine == "compiled"


def test_replications_with_threads_are_those_without():
    """Nothing is shared but what nobody changes."""
    from concurrent.futures import ThreadPoolExecutor

    retry = tk.Retry(max_retries=3, backoff=tk.FullJitter(base_s=1.0, cap_s=8.0))
    work = tk.Stage(
        name="work", service=tk.Exponential(mean_s=1.0), workers=3, failure=0.2, retry=retry
    )
    design = tk.Design(arrivals=tk.Poisson(rate_per_s=2.0), stages=[work])

    def figures(replication):
        run = tk.simulate(design, jobs=3_000, replication=replication, engine="compiled")
        return run.summary().to_list()

    with ThreadPoolExecutor(2) as crew:
        assert list(crew.map(figures, range(8))) == [figures(k) for k in range(8)]
