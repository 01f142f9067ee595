"""Small systems with every part a design can have, most of them with times in whole seconds.

Whole seconds make ties: arrivals, ends of service and ends of a pause at one moment are the rule,
and ties are where engines break.
"""

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


def length(design, jobs=25):
    """Return how many jobs to send: a trace brings its own number."""
    return {"jobs": None if isinstance(design.arrivals, tk.Trace) else jobs}


@st.composite
def runs(draw, *, cut=True, **parts):
    """Draw a run of a small system, to its end or (``cut``) to a horizon."""
    design, seed = draw(designs(**parts)), draw(st.integers(0, 9))
    horizon_s = draw(st.one_of(st.none(), st.integers(1, 30))) if cut else None
    return tk.simulate(design, **length(design), seed=seed, horizon_s=horizon_s)
