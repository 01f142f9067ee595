"""The draws of the compiled engine: those of ``Streams``, which numpy draws, to the last bit."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from toolkit.simulation import streams
from toolkit.simulation.compiled_engine.draws import quick
from toolkit.simulation.streams import Purpose, Streams


@pytest.fixture(autouse=True)
def _nothing_is_kept(monkeypatch):
    """Let every row be really drawn."""
    monkeypatch.setattr(streams, "SHELF", streams.Shelf(most_bytes=0))


def of_seed(seed, jobs):
    return Streams(seed=seed, replication=0, jobs=jobs)


def both(seed, jobs, row):
    """Return a row as numpy draws it, and as the compiled engine does."""
    return [row(one).up_to(jobs) for one in (of_seed(seed, jobs), quick(of_seed(seed, jobs)))]


def services(mean_s):
    return lambda one: one.service_row(tk.Exponential(mean_s=mean_s), "work", 1)


def gaps(rate_per_s):
    return lambda one: one.gap_row(tk.Poisson(rate_per_s=rate_per_s))


@pytest.mark.parametrize("row", [services(0.37), gaps(0.37)], ids=["services", "gaps"])
@pytest.mark.parametrize("seed", range(3))
def test_a_long_row_is_the_one_that_numpy_draws(row, seed):
    """Long enough for every layer of the ziggurat, its tail, and words that are refused."""
    theirs, ours = both(seed, 2_000_000, row)

    assert theirs.max() > 7.7 * 0.37  # a number from the tail
    assert np.array_equal(theirs, ours)


@given(seed=st.integers(0, 2**40), jobs=st.integers(1, 50), mean_s=st.floats(1e-9, 1e9))
def test_a_short_row_is_the_one_that_numpy_draws(seed, jobs, mean_s):
    """Also where it ends within a step of four, and by any scale."""
    for row in (services(mean_s), gaps(mean_s)):
        theirs, ours = both(seed, jobs, row)

        assert np.array_equal(theirs, ours)


@pytest.mark.parametrize("attempt", [1, 2])
@given(seed=st.integers(0, 2**40), sizes=st.lists(st.integers(1, 300), min_size=1, max_size=9))
def test_parts_of_a_row_follow_each_other(attempt, seed, sizes):
    """The generator is left where the row was left."""
    law, one = tk.Exponential(mean_s=2.0), quick(of_seed(seed, sum(sizes)))
    part = one.service_parts(law, "work", attempt)
    parts = [part(size) for size in sizes]

    assert np.array_equal(np.concatenate(parts), one.services_s(law, "work", attempt))


@pytest.mark.parametrize(
    "law",
    [
        tk.Exponential(mean_s=1.0),
        tk.Gamma(mean_s=1.0, scv=0.3),
        tk.HyperExponential(mean_s=1.0, scv=4.0),
        tk.LogNormal(mean_s=1.0, scv=2.0),
        tk.Pareto(mean_s=1.0, alpha=2.5),
        tk.Uniform(low_s=0.0, high_s=2.0),
        tk.Weibull(mean_s=1.0, shape=0.7),
        tk.Empirical(samples_s=[0.1, 0.5, 2.0]),
    ],
    ids=lambda law: type(law).__name__,
)
@pytest.mark.parametrize("attempt", [1, 2])
def test_rows_are_the_same_drawn_at_once_or_in_parts(law, attempt):
    """The recursion draws in parts."""
    drawn = of_seed(3, 1000)
    row = drawn.service_row(law, "work", attempt)
    for end in (10, 400, 1000):
        row.up_to(end)
    at_once = drawn.services_s(law, "work", attempt)

    assert at_once is not row.values
    assert np.array_equal(at_once, row.values)


def test_a_later_attempt_can_be_had_alone():
    """It is made of one uniform number: the one at its place in the row of its address."""
    drawn, law = of_seed(5, 500), tk.Exponential(mean_s=3.0)
    for attempt in (2, 3):
        luck = drawn.at_stage(Purpose.SERVICE, "work", attempt).tolist()

        assert drawn.services_s(law, "work", attempt).tolist() == [
            -math.log1p(-one) * 3.0 for one in luck
        ]
