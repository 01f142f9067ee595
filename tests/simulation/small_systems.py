"""Small systems with every part a design can have, most of them with times in whole seconds.

Whole seconds make ties: arrivals, ends of service and ends of a pause at one moment are the rule,
and ties are where engines break.
"""

import dataclasses
import math

import numpy as np
from hypothesis import strategies as st

import toolkit as tk

seconds = st.integers(0, 4)
some_seconds = st.lists(seconds, min_size=1, max_size=4)
services = st.one_of(
    seconds.map(lambda value_s: tk.Deterministic(value_s=value_s)),
    some_seconds.map(lambda samples_s: tk.Empirical(samples_s=samples_s)),
    st.just(tk.Exponential(mean_s=1.5)),
)
arrivals = st.one_of(
    st.lists(seconds, min_size=1, max_size=25).map(lambda g: tk.Trace(times_s=np.cumsum(g))),
    some_seconds.filter(any).map(lambda g: tk.Renewal(law=tk.Empirical(samples_s=g))),
    st.just(tk.Poisson(rate_per_s=1.0)),
    st.just(tk.OnOff(on_rate_per_s=3.0, mean_on_s=2.0, mean_off_s=5.0)),
)
limits = {"base_s": st.integers(1, 2), "cap_s": st.integers(2, 5)}
backoffs = st.one_of(
    st.builds(tk.ConstantBackoff, delay_s=seconds),
    *(
        st.builds(strategy, **limits)
        for strategy in (
            tk.ExponentialBackoff,
            tk.FullJitter,
            tk.EqualJitter,
            tk.DecorrelatedJitter,
        )
    ),
)
retries = st.builds(tk.Retry, max_retries=st.integers(0, 3), backoff=backoffs)
limiters = st.builds(
    tk.TokenBucket,
    rate_per_s=st.sampled_from([0.5, 1.0, 2.0]),
    burst=st.sampled_from([1, 2, 2.5]),
    when_empty=st.sampled_from(["drop", "wait"]),
)


@st.composite
def stages(draw, name, *, retry=retries, limiter=limiters):
    """Draw a stage; ``retry`` and ``limiter`` may be ``st.none()`` to leave them out."""
    workers = draw(st.integers(1, 3))
    return tk.Stage(
        name=name,
        service=draw(services),
        workers=workers,
        capacity=draw(st.one_of(st.none(), st.integers(workers, workers + 3))),
        failure=draw(st.sampled_from([0.0, 0.3, 0.6, 1.0])),
        retry=draw(st.one_of(st.none(), retry)),
        limiter=draw(st.one_of(st.none(), limiter)),
    )


@st.composite
def designs(draw, most_stages=3, **parts):
    """Draw a design of one to ``most_stages`` stages."""
    names = "abc"[: draw(st.integers(1, most_stages))]
    return tk.Design(
        arrivals=draw(arrivals), stages=[draw(stages(name, **parts)) for name in names]
    )


# --- everything a design can have ---

waits = st.one_of(
    seconds.map(lambda value_s: tk.Deterministic(value_s=value_s)),
    some_seconds.map(lambda samples_s: tk.Empirical(samples_s=samples_s)),
    st.just(tk.Exponential(mean_s=2.0)),
)
budgets = st.one_of(
    st.none(),
    st.builds(tk.AwsRetryQuota, capacity=st.integers(0, 30)),
    st.builds(tk.GrpcThrottle, max_tokens=st.integers(1, 4), token_ratio=st.just(0.5)),
)
many_retries = st.builds(
    tk.Retry,
    max_retries=st.integers(0, 3),
    backoff=backoffs,
    rejected=st.booleans(),
    budget=budgets,
)
batches = st.builds(
    tk.Batches,
    arrivals=st.just(tk.Renewal(law=tk.Empirical(samples_s=[0, 1, 3]))),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
closed = st.builds(tk.Closed, users=st.integers(1, 6), think=waits)
fan_outs = st.integers(1, 3).flatmap(
    lambda n: st.builds(tk.FanOut, tasks=st.just(n), needed=st.one_of(st.none(), st.integers(1, n)))
)
sheds = st.builds(
    tk.ControlledDelay, target_s=st.sampled_from([0.5, 1]), interval_s=st.integers(1, 4)
)
outages = st.lists(
    st.builds(tk.Outage, start_s=st.integers(0, 12), duration_s=st.integers(1, 5)), max_size=2
)
callers = st.builds(
    tk.Caller,
    timeout=st.one_of(st.integers(1, 6), waits),
    retry=st.one_of(st.none(), many_retries),
    hedge=st.one_of(st.none(), st.builds(tk.Hedge, after_s=seconds, cancels=st.booleans())),
    breaker=st.one_of(
        st.none(), st.builds(tk.Breaker, failures=st.integers(1, 3), open_s=st.integers(1, 4))
    ),
    on_timeout=st.sampled_from(["nothing", "skip", "cancel"]),
)
start_limits = st.builds(
    tk.TokenBucket, rate_per_s=st.sampled_from([0.5, 1.0, 2.0]), burst=st.sampled_from([1, 2, 2.5])
)


@st.composite
def visibilities(draw):
    """Draw a lease: with and without renewal, sweeps, and late acknowledgements."""
    timeout_s = draw(st.integers(1, 6))
    renewals = st.integers(1, timeout_s - 1) if timeout_s > 1 else st.nothing()
    renew_every_s = draw(st.one_of(st.none(), renewals))
    until = st.none() if renew_every_s is None else st.one_of(st.none(), st.integers(1, 9))
    return tk.Visibility(
        timeout_s=timeout_s,
        renew_every_s=renew_every_s,
        renew_for_s=draw(until),
        renews=draw(st.sampled_from(["held", "running"])),
        sweep_every_s=draw(st.one_of(st.none(), st.integers(1, 5))),
        sweep_first_s=draw(seconds),
        receipt=draw(st.sampled_from(["lease", "delivery", "series", "always"])),
    )


@st.composite
def crashes(draw, instances, slots):
    """Draw what dies: an instance, one of its slots, or an instance that is stopped with grace."""
    slot = draw(st.one_of(st.none(), st.integers(0, slots - 1)))
    grace = st.one_of(st.none(), seconds, st.just(math.inf)) if slot is None else st.none()
    return tk.Crash(
        at_s=draw(st.integers(0, 12)),
        instance=draw(st.integers(0, instances - 1)),
        slot=slot,
        restart_after_s=draw(st.one_of(st.none(), seconds)),
        grace_s=draw(grace),
    )


def polls():
    """Return the ways of instances that come and look, or stand in line."""
    refill = st.one_of(st.none(), st.integers(0, 2))
    return st.one_of(
        st.builds(tk.BlockingPop, batch=st.integers(1, 3), refill_at=refill),
        st.builds(
            tk.Poll,
            every_s=st.integers(1, 3),
            batch=st.integers(1, 3),
            refill_at=refill,
            wakes=st.booleans(),
        ),
    )


pushes = st.one_of(
    st.builds(tk.Push, to=st.sampled_from(["round robin", "random", "shortest"])),
    st.builds(
        tk.Push, to=st.just("shortest"), choices=st.integers(1, 3), replacement=st.booleans()
    ),
)
delays = st.one_of(
    st.just("broker"),
    st.builds(
        tk.Poller,
        low_s=st.integers(0, 1),
        high_s=st.integers(1, 3),
        first_high_s=seconds,
    ),
    st.builds(tk.InMemory, most=st.one_of(st.none(), st.integers(1, 4))),
)


@st.composite
def deliveries(draw, workers, *, order="fifo", has_crashes=True):
    """Draw a delivery protocol without contradictions, for a stage of ``workers``."""
    instances = draw(st.sampled_from([n for n in (1, 2, 3) if workers % n == 0]))
    ack = draw(st.sampled_from(["fetch", "start", "end", "end"]))
    is_late, is_kept = ack == "end", ack != "fetch"
    visibility = draw(st.one_of(st.none(), visibilities())) if is_kept else None
    failures = ["retry", "return"] + (["leave"] if visibility else [])
    kept = st.one_of(st.none(), st.integers(1, 3)) if is_kept else st.none()
    crash = crashes(instances, workers // instances)
    return tk.Delivery(
        instances=instances,
        fetch=draw(st.one_of(pushes, polls())),
        prefetch=draw(st.sampled_from([0, 0, 1, 2, 4, math.inf])) if is_kept else 0,
        ack=ack,
        visibility=visibility,
        disconnect_s=draw(st.one_of(st.none(), seconds)) if is_kept else None,
        give_back=draw(st.sampled_from(["head", "tail"])),
        requeue=draw(st.sampled_from(["head", "tail"])),
        on_failure=draw(st.sampled_from(failures)) if is_late else "retry",
        max_deliveries=draw(kept),
        dead_letter_on=draw(st.sampled_from(["receive", "return"])),
        delayed=draw(delays),
        countdown=draw(st.one_of(st.none(), waits)),
        limiter=draw(st.one_of(st.none(), start_limits)),
        limiter_per=draw(st.sampled_from(["instance", "queue"])),
        crashes=draw(st.lists(crash, max_size=2)) if has_crashes else (),
        poison=draw(st.sampled_from([0.0, 0.0, 0.3])) if has_crashes else 0.0,
        poison_kills=draw(st.sampled_from(["slot", "instance"])),
        slot_crash=draw(st.sampled_from(["lose", "requeue", "retry"])) if is_late else "lose",
        restart_s=draw(seconds),
        groups=draw(kept) if order == "fifo" else None,
    )


@st.composite
def rich_stages(draw, name, orders, *, has_crashes=True, when_full=("reject", "block")):
    """Draw a stage with every part a stage can have, but routes."""
    workers, order = draw(st.integers(1, 4)), draw(st.sampled_from(orders))
    plain = {
        "name": name,
        "service": draw(services),
        "workers": workers,
        "capacity": draw(st.one_of(st.none(), st.integers(workers, workers + 3))),
        "failure": draw(st.sampled_from([0.0, 0.0, 0.3, 1.0])),
        "retry": draw(st.one_of(st.none(), many_retries)),
        "limiter": draw(st.one_of(st.none(), st.none(), limiters)),
        "share": draw(st.sampled_from([1.0, 1.0, 0.5])),
        "order": order,
    }
    if order == "shared":
        return tk.Stage(**plain)
    delivery = deliveries(workers, order=order, has_crashes=has_crashes)
    with_delivery = order != "preemptive" and draw(st.booleans())
    return tk.Stage(
        **plain,
        patience=draw(st.one_of(st.none(), st.none(), waits)),
        fan_out=draw(st.one_of(st.none(), st.none(), fan_outs)),
        shed=draw(st.one_of(st.none(), st.none(), sheds)),
        outages=draw(outages),
        when_full=draw(st.sampled_from(when_full)) if plain["capacity"] else "reject",
        delivery=draw(delivery) if with_delivery else None,
    )


@st.composite
def routed(draw, parts):
    """Give one of the stages routes to any of them; a third of those who come there leaves."""
    names, k = [stage.name for stage in parts], draw(st.integers(0, len(parts) - 1))
    share = round(0.66 / len(names), 2)
    return [
        dataclasses.replace(stage, routes=dict.fromkeys(names, share)) if i == k else stage
        for i, stage in enumerate(parts)
    ]


@st.composite
def rich_designs(draw, most_stages=2, *, has_callers=True, **parts):
    """Draw a design with everything the data model knows."""
    names = "abc"[: draw(st.integers(1, most_stages))]
    kinds = ["fifo", "fifo", "lifo", "random", "shortest", "shared", "priority", "preemptive"]
    stages_drawn = [draw(rich_stages(name, kinds, **parts)) for name in names]
    may_route = all(stage.when_full == "reject" for stage in stages_drawn)
    if may_route and draw(st.sampled_from([False, False, True])):
        stages_drawn = draw(routed(stages_drawn))
    needs = any(stage.order in ("priority", "preemptive") for stage in stages_drawn)
    classes = [
        tk.JobClass(name="first", share=0.5, service={"a": draw(services)}),
        tk.JobClass(name="second", share=0.5),
    ]
    return tk.Design(
        arrivals=draw(st.one_of(arrivals, batches, closed)),
        stages=stages_drawn,
        classes=classes if needs or draw(st.booleans()) else (),
        callers=draw(st.lists(callers, max_size=2)) if has_callers else (),
    )


@st.composite
def rich_runs(draw, *, jobs=12, cut=(15, 60), **parts):
    """Draw a run with a horizon: copies of a job may multiply without end."""
    design, seed = draw(rich_designs(**parts)), draw(st.integers(0, 9))
    return tk.simulate(design, **length(design, jobs), seed=seed, horizon_s=draw(st.integers(*cut)))


def length(design, jobs=25):
    """Return how many jobs to send: a trace brings its own number."""
    return {"jobs": None if isinstance(design.arrivals, tk.Trace) else jobs}


@st.composite
def runs(draw, *, cut=True, **parts):
    """Draw a run of a small system, to its end or (``cut``) to a horizon."""
    design, seed = draw(designs(**parts)), draw(st.integers(0, 9))
    horizon_s = draw(st.one_of(st.none(), st.integers(1, 30))) if cut else None
    return tk.simulate(design, **length(design), seed=seed, horizon_s=horizon_s)
