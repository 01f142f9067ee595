"""What a load generator sees, what a histogram keeps, what a sample can say."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from theorems import few

from toolkit import theory
from toolkit.loadtest.statistics import sample_percentile


@given(
    values=st.lists(st.integers(0, 500), max_size=20),
    interval=st.integers(1, 60),
    remainder=st.booleans(),
)
def test_a_stall_is_filled_with_what_it_held_up(values, interval, remainder):
    """A value of 100 at an interval of 30 holds up 70 and 40, and what is left of 10."""
    filled = theory.corrected(values, expected_interval=interval, remainder=remainder)
    fit = [-(-v // interval) if remainder else v // interval for v in values]
    more = sum(max(0, k - 1) for k in fit)

    assert len(filled) == len(values) + more
    assert set(values) <= set(filled)
    assert min(filled, default=0) >= 0


def test_the_correction_finds_what_a_constant_rate_would_have_measured():
    """Requests of no work at a server that freezes: both remedies must tell the same story."""
    run = theory.frozen_run(
        requests=1000, rate_per_s=10, service_s=0, freeze_start_s=20, freeze_s=30
    )
    felt = sorted(t for t in run.from_intended_s if t > 0)
    stalled = [t for t in run.from_sent_s if t > 0]

    assert stalled == [30]
    assert sorted(theory.corrected(stalled, expected_interval=Fraction(1, 10))) == felt


@given(
    requests=st.integers(1, 40),
    rate=st.integers(1, 9),
    work=st.integers(1, 9),
    start=st.integers(0, 30),
    length=st.integers(0, 30),
)
def test_a_freeze_costs_its_length_once_and_never_shortens_anything(
    requests, rate, work, start, length
):
    """From the intended start is never less than from the actual one."""
    args = {"requests": requests, "rate_per_s": rate, "service_s": Fraction(work, 10)}
    run, calm = (
        theory.frozen_run(**args, freeze_start_s=Fraction(start, 10), freeze_s=Fraction(f, 10))
        for f in (length, 0)
    )
    frozen = [t - Fraction(work, 10) for t in run.from_sent_s]

    assert all(a >= b for a, b in zip(run.from_intended_s, run.from_sent_s, strict=True))
    assert all(a >= b for a, b in zip(run.from_intended_s, calm.from_intended_s, strict=True))
    assert sum(1 for t in frozen if t) <= 1
    assert max(frozen) <= Fraction(length, 10)
    assert set(calm.from_sent_s) == {Fraction(work, 10)}


def test_work_that_a_freeze_interrupts_is_finished_after_it():
    """One second of work that is stopped half-way for two."""
    run = theory.frozen_run(requests=1, rate_per_s=1, service_s=1, freeze_start_s=0.5, freeze_s=2)

    assert run.from_sent_s == [3]


def test_who_asks_during_a_freeze_waits_for_its_end_only():
    """Sent at 0.5 s into a freeze from 0.25 to 1.25 s: 0.75 s, and the work."""
    run = theory.frozen_run(
        requests=2, rate_per_s=2, service_s=0.1, freeze_start_s=0.25, freeze_s=1
    )

    assert run.from_sent_s == [Fraction(1, 10), Fraction(85, 100)]


@given(value=st.integers(0, 10**12), digits=st.integers(1, 5))
def test_a_bucket_holds_its_value_and_is_as_narrow_as_its_digits(value, digits):
    """Its neighbours begin where it ends."""
    bucket = theory.histogram_bucket(value, digits=digits)

    assert value in bucket
    assert len(bucket) <= max(1, value / 10**digits)
    assert theory.histogram_bucket(bucket[-1], digits=digits) == bucket
    assert theory.histogram_bucket(bucket[-1] + 1, digits=digits)[0] == bucket[-1] + 1


@given(values=st.lists(st.integers(1, 10**9), min_size=1, max_size=30), p=st.integers(0, 100))
def test_a_histogram_reports_no_less_than_the_sample_and_a_thousandth_more(values, p):
    """The rank n p rounded half up is that of JMeter's report."""
    sample = sample_percentile(values, p, estimator="jmeter_report")
    reported = theory.histogram_percentile(values, p)

    assert sample <= reported <= 1.001 * sample
    assert theory.histogram_mean(values) == pytest.approx(sum(values) / len(values), rel=1e-3)


@given(samples=st.integers(1, 2000), p=st.floats(0.001, 0.999), confidence=st.floats(0.5, 0.999))
@few
def test_ranks_cover_the_quantile_as_surely_as_they_say_and_no_tighter_ones_do(
    samples, p, confidence
):
    """The coverage from the chances of each count, added up; either end moved in loses too much."""
    found = theory.quantile_ranks(samples, p=p, confidence=confidence)
    chance = sum(binom.pmf(k, samples, p) for k in range(found.low, found.high))
    side = (1 - confidence) / 2

    assert found.coverage == pytest.approx(chance, abs=1e-9)
    assert found.coverage >= confidence - 1e-9
    assert binom.cdf(found.low, samples, p) >= side * (1 - 1e-9)
    assert binom.sf(found.high - 2, samples, p) >= side * (1 - 1e-9)


@given(p=st.floats(0.01, 0.9999), confidence=st.floats(0.01, 0.999))
def test_one_sample_less_than_needed_is_too_few(p, confidence):
    """p^n is the chance that all are below."""
    n = theory.samples_for_maximum(p, confidence=confidence)

    assert p**n <= (1 - confidence) * (1 + 1e-6)
    assert p ** (n - 1) > (1 - confidence) * (1 - 1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.corrected([1], expected_interval=0), "expected_interval must be > 0"),
        (
            lambda: theory.frozen_run(
                requests=1, rate_per_s=0, service_s=1, freeze_start_s=1, freeze_s=1
            ),
            "rate_per_s must be > 0, got 0",
        ),
        (lambda: theory.histogram_percentile([], 50), "values must hold at least one"),
        (lambda: theory.histogram_percentile([1], 101), "percentile / 100 must be from 0 to 1"),
        (lambda: theory.histogram_mean([]), "values must hold at least one"),
        (lambda: theory.histogram_bucket(-1), "value must be a whole number >= 0, got -1"),
        (lambda: theory.samples_for_maximum(1.0), "p and confidence must be above 0 and below 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, message):
    """The message names the rule and the value."""
    with pytest.raises(ValueError, match=message):
        call()
