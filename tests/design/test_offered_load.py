"""A design is data, and knows by rates alone what its stages are asked to carry."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk

SERVICE = tk.Exponential(mean_s=0.04)


def stage(**changes):
    return tk.Stage(**{"name": "work", "service": SERVICE} | changes)


def design(*stages, rate_per_s=90.0, **more):
    return tk.Design(arrivals=tk.Poisson(rate_per_s=rate_per_s), stages=stages, **more)


def test_one_stage_may_stand_alone_and_a_list_becomes_a_tuple():
    """A frozen design must not hold a list that somebody can still append to."""
    alone = tk.Design(arrivals=tk.Poisson(rate_per_s=1.0), stages=stage())

    assert alone == design(stage(), rate_per_s=1.0)
    assert isinstance(alone.stages, tuple)
    assert hash(alone) == hash(design(stage(), rate_per_s=1.0))


@pytest.mark.parametrize("thing", [design(stage()), stage(), tk.TokenBucket(rate_per_s=1, burst=1)])
def test_a_design_cannot_be_changed_only_replaced(thing):
    """Two runs of "the same" design are of the same design."""
    field = dataclasses.fields(thing)[0].name

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(thing, field, None)


def test_a_faster_design_has_more_load_and_the_same_stages():
    """Load is one thing, the system another."""
    faster = design(stage()).faster(2.0)

    assert faster.arrivals == tk.Poisson(rate_per_s=180.0)
    assert faster.stages == design(stage()).stages


def mean_attempts(failure, most):
    """Count attempts one by one: attempt k + 1 is made if the k before it failed."""
    return sum(failure**k for k in range(most))


@given(failure=st.floats(0, 1), retries=st.integers(0, 30))
def test_attempts_per_job_is_the_sum_over_attempts(failure, retries):
    """The closed form divides by 1 - p, so it is checked up to p = 1."""
    retry = tk.Retry(max_retries=retries, backoff=tk.ConstantBackoff(delay_s=1.0))
    made = stage(failure=failure, retry=retry)

    assert made.max_attempts == retries + 1
    assert made.attempts_per_job == pytest.approx(mean_attempts(failure, retries + 1))


def loads(*stages, rate_per_s=90.0):
    return design(*stages, rate_per_s=rate_per_s).offered_load()


def test_retries_count_as_load():
    """Half of the attempts fail and one is retried: half as much again is to be carried."""
    retry = tk.Retry(max_retries=1, backoff=tk.ConstantBackoff(delay_s=1.0))
    (load,) = loads(stage(failure=0.5, retry=retry, workers=9))

    assert load.utilisation == pytest.approx(90 * 0.04 * 1.5 / 9)
    assert load.passed_per_s == pytest.approx(90 * 0.75)


def test_each_stage_is_offered_what_the_stage_before_hands_on():
    """A limiter, failures and too few workers each hold back a part of the traffic."""
    limited = stage(name="a", workers=9, limiter=tk.TokenBucket(rate_per_s=60, burst=5))
    failing = stage(name="b", workers=9, failure=0.1)
    narrow = stage(name="c", workers=1)
    last = stage(name="d")

    assert [load.rate_per_s for load in loads(limited, failing, narrow, last)] == pytest.approx(
        [90, 60, 54, 25]
    )


def test_a_design_that_keeps_up_is_not_warned_of():
    """Nor is one that turns away what it cannot do."""
    drops = tk.TokenBucket(rate_per_s=10, burst=5)

    assert design(stage(workers=4)).overloads() == []
    assert design(stage(capacity=3)).overloads() == []
    assert design(stage(limiter=drops)).overloads() == []


def test_an_overload_is_said_in_a_sentence_with_its_remedy():
    """3.6 workers' worth of work: three do not keep up, four would."""
    (sentence,) = design(stage(workers=3)).overloads()

    assert sentence == (
        "stage 'work' is overloaded: offered utilisation 1.20 >= 1, so its queue grows as long as "
        "the run lasts; 4 workers would keep up, 3 do not"
    )


def test_load_of_exactly_one_is_an_overload():
    """At 1 there is no steady state either, and as many workers as erlangs are one too few."""
    (sentence,) = design(stage(service=tk.Deterministic(value_s=0.5)), rate_per_s=2.0).overloads()

    assert "utilisation 1.00 >= 1" in sentence
    assert "2 workers would keep up, 1 do not" in sentence


def test_a_shaper_that_is_too_slow_is_said():
    """It protects the workers; its own queue is what grows."""
    shaper = tk.TokenBucket(rate_per_s=50, burst=5, when_empty="wait")
    (sentence,) = design(stage(workers=4, limiter=shaper)).overloads()

    assert sentence == (
        "stage 'work': its limiter lets 50 jobs/s through and 90 come: the wait for a token grows "
        "as long as the run lasts"
    )


def test_a_batch_at_time_zero_is_not_an_overload():
    """Its rate is infinite and its end is near; the next stage sees what the workers hand on."""
    batch = tk.Design(
        arrivals=tk.Trace(times_s=[0, 0, 0]), stages=[stage(), stage(name="next", workers=2)]
    )

    assert batch.overloads() == []
    assert batch.offered_load()[1].rate_per_s == pytest.approx(25)


def test_classes_with_laws_of_their_own_count_by_their_shares():
    """A tenth of the jobs takes 0.4 s instead of 0.04 s; and a stage that costs the others nothing."""
    heavy = tk.Exponential(mean_s=0.4)
    kinds = [
        tk.JobClass(name="heavy", share=0.1, service={"work": heavy, "free": heavy}),
        tk.JobClass(name="light", share=0.9),
    ]
    free = stage(name="free", service=tk.Deterministic(value_s=0.0), workers=9)
    first, second = design(stage(workers=9), free, classes=kinds).offered_load()

    assert first.utilisation == pytest.approx(90 * (0.1 * 0.4 + 0.9 * 0.04) / 9)
    assert second.utilisation == pytest.approx(90 * 0.1 * 0.4 / 9)


def test_tasks_count_as_load():
    """A job that splits into three is three times the work."""
    (load,) = design(stage(workers=12, fan_out=tk.FanOut(tasks=3))).offered_load()

    assert load.utilisation == pytest.approx(90 * 3 * 0.04 / 12)


def test_those_who_pass_by_reach_the_next_stage():
    """A cache answers three quarters; the stage behind the slow one still sees all jobs."""
    slow = stage(name="slow", workers=9, share=0.25)
    loads = design(slow, stage(name="next", workers=9)).offered_load()

    assert [load.rate_per_s for load in loads] == pytest.approx([22.5, 90])


def test_routes_are_solved_as_traffic_equations():
    """A third of those who leave come back: 1 / (1 - 1/3) visits a job (Jackson 1957)."""
    (load,) = design(stage(workers=9, routes={"work": 1 / 3})).offered_load()

    assert load.rate_per_s == pytest.approx(135)


def test_a_start_limit_that_is_too_low_is_said():
    """Two instances of 30 starts a second each, and 90 come."""
    limit = tk.Delivery(instances=2, limiter=tk.TokenBucket(rate_per_s=30, burst=1))
    (sentence,) = design(stage(workers=6, delivery=limit)).overloads()

    assert "its rate limit starts 60 attempts/s and 90 come" in sentence


ENDLESS = {
    "every attempt fails": stage(
        failure=1.0, retry=tk.Retry(max_retries=None, backoff=tk.ConstantBackoff(delay_s=1))
    ),
    "a poison job comes back": stage(delivery=tk.Delivery(poison=0.1, disconnect_s=0)),
    "whoever looks for work": stage(
        delivery=tk.Delivery(crashes=tk.Crash(at_s=1), fetch=tk.Poll(every_s=1))
    ),
    "comes back without max_deliveries": stage(
        failure=1.0, delivery=tk.Delivery(on_failure="return")
    ),
}


@pytest.mark.parametrize("why", ENDLESS)
def test_a_design_that_never_ends_says_why(why):
    """And one that may end by chance or by rule does not."""
    assert why in design(ENDLESS[why]).never_ends()


def test_a_design_that_may_end_is_not_said_to_be_endless():
    """A limit on deliveries, a slot that loses its job, a failure that is not certain."""
    ends = [
        tk.Delivery(poison=0.1, disconnect_s=0, max_deliveries=3),
        tk.Delivery(poison=0.1, poison_kills="slot"),
        tk.Delivery(poison=0.1),
        tk.Delivery(crashes=tk.Crash(at_s=1)),
        tk.Delivery(crashes=tk.Crash(at_s=1, restart_after_s=1), fetch=tk.Poll(every_s=1)),
        tk.Delivery(on_failure="return", max_deliveries=9),
    ]

    assert [design(stage(delivery=delivery)).never_ends() for delivery in ends] == [None] * len(
        ends
    )
    assert math.isinf(ENDLESS["every attempt fails"].max_attempts)
