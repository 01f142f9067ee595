"""At most once, at least once: what a protocol promises, tried on many protocols that promise it."""

import dataclasses
import itertools

from hypothesis import given
from hypothesis import strategies as st
from small_systems import (
    arrivals,
    batches,
    deliveries,
    length,
    seconds,
    services,
    start_limits,
    visibilities,
)

import toolkit as tk
from toolkit.design import StaleBucket

HORIZON_S = 400.0


def behind(delivery, workers, service, arrivals, **more):
    """Return a design of one stage behind ``delivery``."""
    stage = tk.Stage(name="work", service=service, workers=workers, delivery=delivery, **more)
    return tk.Design(arrivals=arrivals, stages=[stage])


def simulate(design, seed=0, jobs=12):
    """Run until the horizon: leases that end too early make copies for ever."""
    return tk.simulate(design, **length(design, jobs), seed=seed, horizon_s=HORIZON_S)


@st.composite
def at_most_once(draw):
    """Draw a protocol that forgets a message before it is worked on."""
    workers = draw(st.integers(1, 4))
    delivery = dataclasses.replace(
        draw(deliveries(workers)),
        ack="end",
        slot_crash="lose",
        on_failure="retry",
        visibility=None,
        crashes=(),
    )
    ack = draw(st.sampled_from(["fetch", "start"]))
    if ack == "fetch":
        delivery = dataclasses.replace(
            delivery, disconnect_s=None, prefetch=0, groups=None, max_deliveries=None
        )
    kills = st.builds(
        tk.Crash,
        at_s=st.integers(0, 12),
        instance=st.integers(0, delivery.instances - 1),
        slot=st.one_of(st.none(), st.just(0)),
        restart_after_s=st.one_of(st.none(), seconds),
    )
    delivery = dataclasses.replace(delivery, ack=ack, crashes=draw(st.lists(kills, max_size=3)))
    return behind(
        delivery, workers, draw(services), draw(st.one_of(arrivals, batches)), failure=0.3
    )


@st.composite
def at_least_once(draw):
    """Draw a protocol that keeps a message until it is done, with workers who come back."""
    workers = draw(st.integers(1, 4))
    slots = {n: workers // n for n in (1, 2) if workers % n == 0}
    instances = draw(st.sampled_from(list(slots)))
    crash = st.builds(
        tk.Crash,
        at_s=st.integers(0, 12),
        instance=st.integers(0, instances - 1),
        restart_after_s=seconds,
        grace_s=st.one_of(st.none(), seconds),
    )
    slot = st.builds(tk.Crash, at_s=st.integers(0, 12), slot=st.integers(0, slots[instances] - 1))
    visibility = draw(st.one_of(st.none(), visibilities()))
    drawn = draw(deliveries(workers, has_crashes=False))
    delivery = tk.Delivery(
        instances=instances,
        fetch=drawn.fetch,
        prefetch=draw(st.sampled_from([0, 1, 4])),
        ack="end",
        visibility=visibility,
        disconnect_s=draw(seconds) if visibility is None else None,
        give_back=drawn.give_back,
        delayed=drawn.delayed,
        countdown=drawn.countdown,
        groups=draw(st.one_of(st.none(), st.integers(1, 3))),
        crashes=draw(st.lists(st.one_of(crash, slot), max_size=3)),
        slot_crash="requeue",
    )
    return behind(delivery, workers, draw(services), draw(st.one_of(arrivals, batches)))


@given(design=at_most_once(), seed=st.integers(0, 9))
def test_who_acknowledges_first_never_works_twice(design, seed):
    """Sidekiq's and early Celery's promise: a job may be lost, it is not repeated."""
    run = simulate(design, seed)
    runs = run.attempts.query("worker >= 0").groupby("job").size()

    assert (runs <= 1).all()


@given(design=at_least_once(), seed=st.integers(0, 9))
def test_who_acknowledges_last_never_loses_a_job(design, seed):
    """The promise of SQS, Hangfire and late Celery: it may be done twice, but it is done.

    Where an expired lease cannot acknowledge once the message is out again, the copies of some jobs
    may keep all workers busy for ever: the others are then not done, but not lost either.
    """
    outcomes = set(simulate(design, seed).jobs["outcome"])
    (stage,) = design.stages
    visibility = stage.delivery.visibility
    may_starve = visibility is not None and visibility.receipt in ("lease", "delivery")

    assert outcomes <= ({"done", "unfinished"} if may_starve else {"done"})


# --- limits on starts ---


def widest_excess(times_s, bucket):
    """Return how far any window between two starts goes beyond the promise, in jobs."""
    windows = itertools.combinations_with_replacement(enumerate(sorted(times_s)), 2)
    return max(
        (j - i + 1 - bucket.burst - bucket.rate_per_s * (t - s) for (i, s), (j, t) in windows),
        default=0,
    )


def starts(run, delivery):
    """Return the start times that one limit counts: of each instance, or of all."""
    served = run.attempts.query("worker >= 0")
    if delivery.limiter_per == "queue":
        return [served["started_s"]]
    slots = run.design.stages[0].workers // delivery.instances
    return [rows["started_s"] for _, rows in served.groupby(served["worker"] // slots)]


@st.composite
def limited(draw, limits=start_limits):
    """Draw a protocol with a limit on its starts."""
    workers, per = draw(st.integers(1, 4)), draw(st.sampled_from(["instance", "queue"]))
    drawn = draw(deliveries(workers))
    delivery = dataclasses.replace(drawn, limiter=draw(limits), limiter_per=per)
    if per == "queue":  # its limit is on what it hands out, so it must be started at once
        delivery = dataclasses.replace(delivery, prefetch=0, delayed="broker")
    return behind(delivery, workers, draw(services), draw(st.one_of(arrivals, batches)))


@given(design=limited(), seed=st.integers(0, 9))
def test_no_window_sees_more_starts_than_burst_plus_rate_times_width(design, seed):
    """First runs, retries and redeliveries together, through crashes and restarts."""
    delivery = design.stages[0].delivery
    run = tk.simulate(design, **length(design, 12), seed=seed, horizon_s=60.0)

    for times_s in starts(run, delivery):
        assert widest_excess(times_s, delivery.limiter) <= 1e-6


stale = start_limits.map(lambda b: StaleBucket(rate_per_s=b.rate_per_s, burst=b.burst))


@given(design=limited(stale), seed=st.integers(0, 9))
def test_a_stale_bucket_breaks_its_promise_by_one(design, seed):
    """Kombu's flaw fills the bucket once too often, and a bucket cannot be fuller than full."""
    delivery = design.stages[0].delivery
    run = tk.simulate(design, **length(design, 12), seed=seed, horizon_s=60.0)

    for times_s in starts(run, delivery):
        assert widest_excess(times_s, delivery.limiter) <= 1 + 1e-6


def test_a_stale_bucket_starts_two_at_once_after_a_rest():
    """At 5 s two come: a bucket of one lets one go and the next at 6 s; the stale one both."""
    seen = {}
    for kind in (tk.TokenBucket, StaleBucket):
        delivery = tk.Delivery(limiter=kind(rate_per_s=1.0, burst=1))
        design = behind(delivery, 3, tk.Deterministic(value_s=0.25), tk.Trace(times_s=[5, 5, 5]))
        seen[kind] = tk.simulate(design).attempts["started_s"].tolist()

    assert seen == {tk.TokenBucket: [5, 6, 7], StaleBucket: [5, 5, 6]}
