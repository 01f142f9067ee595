"""The figures of a run: those of its tables to the last bit, and as good without any records."""

import math

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from small_systems import length, rich_designs, runs

import toolkit as tk
from toolkit.design import OUTCOMES
from toolkit.simulation.run import PERCENTILES, percentile


def from_tables(run, skip_jobs=0):
    """Compute the figures of a run from its two tables, as a reader would."""
    jobs, stages = run.jobs.iloc[skip_jobs:], run.design.stages
    since_s = run.jobs["arrived_s"].iloc[skip_jobs] if skip_jobs else 0.0
    window_s = run.duration_s - since_s or np.nan
    done = jobs[jobs["outcome"] == "done"]
    attempts = run.attempts.assign(
        from_s=run.attempts["started_s"].clip(since_s),
        to_s=run.attempts["ended_s"].fillna(run.duration_s).clip(since_s, run.duration_s),
    )
    served = (attempts["worker"] >= 0).to_numpy()
    busy_s = (attempts["to_s"] - attempts["from_s"]).clip(0.0).to_numpy()
    busy_s = np.where(served, busy_s, 0.0)
    place = attempts["stage"].cat.codes
    shares = [busy_s[place == k].sum() / stage.workers for k, stage in enumerate(stages)]
    wasted = ~attempts["outcome"].isin(["ok", "preempted", "unfinished"]).to_numpy()
    figures = {
        "jobs": len(jobs),
        "goodput_per_s": len(done) / window_s,
        "throughput_per_s": (served & (attempts["ended_s"] >= since_s)).sum()
        / len(stages)
        / window_s,
        "utilisation": max(shares) / window_s,
        "waste": busy_s[wasted].sum() / busy_s.sum() if busy_s.any() else 0.0,
    }
    for name in ("sojourn", "wait"):
        values_s = done[f"{name}_s"].to_numpy() if len(done) else np.array([np.nan])
        figures[f"{name}_mean_s"] = np.mean(values_s)
        for percent in PERCENTILES:
            figures[f"{name}_p{percent:g}_s"] = np.percentile(values_s, percent)
    counts = jobs["outcome"].value_counts()
    return pd.Series({**figures, **{name: counts.get(name, 0) for name in OUTCOMES}}, dtype=float)


@given(
    st.lists(st.floats(0, 1e9, allow_subnormal=False), min_size=1, max_size=40), st.floats(0, 100)
)
def test_a_percentile_is_numpys_to_the_last_bit(values, percent):
    """Which would sort them, not knowing that they are in order."""
    for percent_ in (percent, *PERCENTILES):
        assert percentile(np.sort(values), percent_) == np.percentile(values, percent_)
    assert math.isnan(percentile(np.sort([*values, math.nan]), percent))


def assert_same_figures(run, skip_jobs):
    """Check the figures of a run, all but one that has its own meaning where workers are shared."""
    found, expected = run.summary(skip_jobs=skip_jobs), from_tables(run, skip_jobs)
    if any(stage.order == "shared" for stage in run.design.stages):
        found, expected = (figures.drop("utilisation") for figures in (found, expected))

    pd.testing.assert_series_equal(found, expected, check_exact=True, check_names=False)


@given(run=runs(), skip=st.floats(0, 1, exclude_max=True))
def test_the_figures_are_those_of_the_tables_to_the_last_bit(run, skip):
    """A summary takes short cuts; whoever adds up the tables finds the same."""
    assert_same_figures(run, int(skip * len(run.jobs)))


@given(rich_designs(), st.integers(0, 9), st.integers(5, 60))
def test_the_figures_are_those_of_the_tables_whatever_a_design_says(design, seed, horizon_s):
    """Attempts of a job may overlap; a moment is counted once."""
    assert_same_figures(
        tk.simulate(design, **length(design, 12), seed=seed, horizon_s=horizon_s), 0
    )


def test_the_figures_of_a_long_run_are_those_of_its_tables_to_the_last_bit():
    """Sums of many numbers depend on their order."""
    retry = tk.Retry(max_retries=3, backoff=tk.FullJitter(base_s=1.0, cap_s=60.0))
    work = tk.Stage(
        name="work", service=tk.Exponential(mean_s=1.0), workers=4, failure=0.3, retry=retry
    )
    after = tk.Stage(name="after", service=tk.Exponential(mean_s=0.1))
    design = tk.Design(arrivals=tk.Poisson(rate_per_s=2.5), stages=[work, after])
    run = tk.simulate(design, jobs=30_000, engine="compiled")

    assert_same_figures(run, 0)
    assert_same_figures(run, 1_000)
