"""Laws of growth: where they meet, and that a fit is one."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from theorems import close, few

from toolkit import theory

shares = st.floats(0.0, 1.0)
WORKERS = [1, 2, 4, 8, 16, 24, 32]


@given(workers=st.integers(1, 1000), serial=shares)
def test_scalability_without_talking_is_amdahls_law(workers, serial):
    """With beta = 0, alpha is the serial share."""
    law = theory.ScalabilityLaw(alpha=serial, beta=0.0)

    assert law.throughput(workers) == close(theory.amdahl(workers, serial=serial))
    assert law.peak == math.inf


@given(workers=st.integers(1, 1000), serial=shares)
def test_gustafson_is_amdahl_with_the_share_of_the_grown_job(workers, serial):
    """They speak of one machine: the job has grown, so the serial part is a smaller share of it."""
    grown = serial / (serial + (1 - serial) * workers)

    assert theory.gustafson(workers, serial=serial) == close(theory.amdahl(workers, serial=grown))


@given(alpha=st.floats(0.0, 0.5), beta=st.floats(1e-5, 0.1), aside=st.floats(0.01, 2.0))
def test_beyond_the_peak_more_is_less(alpha, beta, aside):
    """And so is before it."""
    law = theory.ScalabilityLaw(alpha=alpha, beta=beta, gamma=7.0)
    most = law.throughput(law.peak)

    assert law.throughput(law.peak * (1 + aside)) < most
    assert law.throughput(law.peak / (1 + aside)) < most


@given(alpha=st.floats(0.001, 0.5), beta=st.floats(1e-5, 0.05), gamma=st.floats(0.1, 1000))
@few
def test_a_fit_finds_the_law_that_made_the_points(alpha, beta, gamma):
    """Without noise it is found, free or with gamma given."""
    law = theory.ScalabilityLaw(alpha=alpha, beta=beta, gamma=gamma)
    made = [law.throughput(n) for n in WORKERS]

    for given_gamma in (None, gamma):
        found = theory.fit_scalability(WORKERS, made, gamma=given_gamma)

        assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(law), rel=1e-6)
        assert found.r_squared(WORKERS, made) == close(1.0)


@given(noise=st.lists(st.floats(0.8, 1.2), min_size=7, max_size=7), data=st.data())
@few
def test_nothing_near_a_fit_has_less_squares(noise, data):
    """Whatever the points: a nudge to any parameter that keeps it physical makes the sum larger."""
    law = theory.ScalabilityLaw(alpha=0.05, beta=1e-3, gamma=10.0)
    seen = [law.throughput(n) * x for n, x in zip(WORKERS, noise, strict=True)]
    fit = theory.fit_scalability(WORKERS, seen)
    name = data.draw(st.sampled_from(["alpha", "beta", "gamma"]))
    for nudge in (1e-3, -1e-3):
        moved = max(0.0, getattr(fit, name) + nudge * max(getattr(fit, name), 1e-3))
        near = dataclasses.replace(fit, **{name: moved})

        assert near.r_squared(WORKERS, seen) <= fit.r_squared(WORKERS, seen) + 1e-12
    assert min(fit.alpha, fit.beta) >= 0.0


def test_points_that_grow_faster_than_the_workers_have_no_physical_law():
    """Unconstrained the fit says so by a negative parameter; held to sense it says 'linear'."""
    points = [10 * n**1.2 for n in WORKERS]
    free = theory.fit_scalability(WORKERS, points, physical=False)
    physical = theory.fit_scalability(WORKERS, points)

    assert min(free.alpha, free.beta) < 0
    assert (physical.alpha, physical.beta) == (0.0, 0.0)


@given(availability=shares, parts=st.integers(1, 50))
def test_all_up_and_all_down_are_the_same_question(availability, parts):
    """Copies fail together when they are all down: a series of failures."""
    series = theory.series_availability(1 - availability, parts=parts)

    assert 1 - theory.redundant_availability(availability, copies=parts) == pytest.approx(
        series, abs=1e-12
    )
    assert theory.series_availability(availability, parts=1) == availability


def test_an_hour_a_month_is_not_quite_three_nines():
    """30 days, in minutes."""
    assert theory.downtime_minutes_per_month(1 - 1 / 720) == close(60)
    assert theory.downtime_minutes_per_month(1.0) == 0.0


@given(cached=st.integers(0, 200), exponent=st.floats(0.0, 2.0))
@few
def test_a_cache_of_the_most_popular_does_no_worse_than_chance(cached, exponent):
    """With all items alike the hit rate is the share kept; the steeper, the better."""
    flat, steep, steeper = (
        theory.zipf_hit_rate(cached=cached, items=150, exponent=s) for s in (0, exponent, 2.5)
    )
    kept = min(cached, 150) / 150

    assert flat == close(kept)
    assert flat - 1e-12 <= steep <= steeper + 1e-12


def test_too_few_points_are_refused():
    """Three parameters ask for three points."""
    with pytest.raises(ValueError, match="equally many and at least 3, got 2 and 2"):
        theory.fit_scalability([1, 2], [1.0, 2.0])
    with pytest.raises(ValueError, match="got 3 and 2"):
        theory.fit_scalability(np.array([1, 2, 3]), [1.0, 2.0])
