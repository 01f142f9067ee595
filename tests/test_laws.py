"""The laws of a duration: what they say about themselves, and what they draw."""

import math

import numpy as np
import pytest

from toolkit import laws
from toolkit.laws import (
    Deterministic,
    Empirical,
    Exponential,
    Gamma,
    HyperExponential,
    LogNormal,
    Pareto,
    Uniform,
    Weibull,
)

LAWS = [
    Exponential(mean_s=0.2),
    Deterministic(value_s=0.2),
    Uniform(low_s=0.1, high_s=0.5),
    Gamma(mean_s=0.2, scv=0.25),
    Gamma(mean_s=0.2, scv=4.0),
    LogNormal(mean_s=0.2, scv=0.5),
    HyperExponential(mean_s=0.2, scv=4.0),
    HyperExponential(mean_s=0.2, scv=1.0),
    Weibull(mean_s=0.2, shape=0.8),
    Weibull(mean_s=0.2, shape=3.0),
    Pareto(mean_s=0.2, alpha=2.5),
    Pareto(mean_s=0.2, alpha=9.0),
    Empirical(samples_s=np.array([0.3, 0.1, 0.1, 2.0])),
]
every_law = pytest.mark.parametrize("law", LAWS, ids=repr)


@every_law
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_draws_have_the_moments_the_formulas_use(law, seed, k):
    """A formula and the simulator speak of the same law: 4 standard errors, at several seeds.

    The k-th moment is judged only where the 2k-th exists and so gives its draws an error.
    """
    alpha = getattr(law, "alpha", math.inf)
    if 2 * k >= alpha:
        pytest.skip(f"the average of X^{k} has no standard error at alpha {alpha}")
    n = 100_000
    powers = law.draw_s(np.random.default_rng(seed), n) ** k
    error = np.std(powers) / math.sqrt(n)

    assert abs(np.mean(powers) - law.moment(k)) <= 4 * error + 1e-12


@every_law
def test_a_longer_run_begins_with_the_same_jobs(law):
    """The first m of n draws are m draws: designs may be compared at any length."""
    few = law.draw_s(np.random.default_rng(5), 7)
    many = law.draw_s(np.random.default_rng(5), 1_000)

    assert few.shape == (7,)
    assert few.tolist() == many[:7].tolist()
    assert law.draw_s(np.random.default_rng(5), 0).shape == (0,)


@every_law
def test_a_slower_law_draws_the_same_jobs_slower(law):
    """``times`` stretches every duration and leaves the shape; common random numbers rest on it."""
    slower = law.times(2.5)
    drawn = law.draw_s(np.random.default_rng(9), 500)

    assert type(slower) is type(law)
    assert slower.draw_s(np.random.default_rng(9), 500) == pytest.approx(2.5 * drawn, rel=1e-12)
    for k in (1, 2, 3):
        assert slower.moment(k) == pytest.approx(2.5**k * law.moment(k), rel=1e-12)


@every_law
def test_the_mean_given_is_the_mean_kept(law):
    """The first moment is the mean in the constructor, and durations are never negative."""
    drawn = law.draw_s(np.random.default_rng(3), 10_000)
    given = getattr(law, "mean_s", law.moment(1))

    assert law.moment(1) == laws.mean_s(law) == pytest.approx(given, rel=1e-12)
    assert np.isfinite(drawn).all()
    assert drawn.min() >= 0


@pytest.mark.parametrize("law", [law for law in LAWS if hasattr(law, "scv")], ids=repr)
def test_the_scv_given_is_the_scv_kept(law):
    """Variance over squared mean, from the moments."""
    assert laws.scv(law) == pytest.approx(law.scv, rel=1e-12)


def test_heavy_tails_say_that_a_moment_is_infinite():
    """From alpha on Pareto's moments don't exist; inf says so, a number would lie."""
    law = Pareto(mean_s=1.0, alpha=2.0)

    assert math.isfinite(law.moment(1))
    assert law.moment(2) == law.moment(3) == math.inf


def test_the_two_branches_carry_half_of_the_work_each():
    """Balanced means: the one rule that fixes a hyperexponential with mean and scv given."""
    law = HyperExponential(mean_s=2.0, scv=16.0)
    (common, common_s), (rare, rare_s) = law.branches

    assert common == pytest.approx(0.969668218313862, rel=1e-12)
    assert common * common_s == pytest.approx(1.0)
    assert rare * rare_s == pytest.approx(1.0)


def test_the_tail_drawn_is_the_tail_meant():
    """Moments don't see everything: the share of draws above a level, against the survival."""
    n, level = 200_000, 0.5
    survival = {
        Exponential(mean_s=0.2): math.exp(-level / 0.2),
        Weibull(mean_s=0.2, shape=0.8): math.exp(-((level * math.gamma(1 + 1 / 0.8) / 0.2) ** 0.8)),
        Pareto(mean_s=0.2, alpha=2.5): (0.12 / level) ** 2.5,
        Uniform(low_s=0.1, high_s=0.6): 0.2,
    }
    for seed, (law, expected) in enumerate(survival.items()):
        above = np.mean(law.draw_s(np.random.default_rng(seed), n) > level)

        assert abs(above - expected) <= 4 * math.sqrt(expected * (1 - expected) / n)


def test_what_was_measured_is_drawn_again_and_nothing_else():
    """Empirical keeps a sorted copy that nobody can change, and draws only from it."""
    measured = np.array([3.0, 1.0, 2.0])
    law = Empirical(samples_s=measured)
    measured[:] = 99.0
    drawn = law.draw_s(np.random.default_rng(1), 30_000)

    assert law.samples_s.tolist() == [1.0, 2.0, 3.0]
    assert set(drawn.tolist()) == {1.0, 2.0, 3.0}
    assert np.mean(drawn == 1.0) == pytest.approx(1 / 3, abs=4 * math.sqrt(2 / 9 / 30_000))
    with pytest.raises(ValueError, match="read-only"):
        law.samples_s[0] = 0.0


def test_equal_measurements_are_equal_laws_and_print_in_one_line():
    """A design is data: it is compared, used as a key and printed, whatever the sample's size."""
    law = Empirical(samples_s=np.arange(1, 1_001) / 1_000)
    same = Empirical(samples_s=np.arange(1_000, 0, -1) / 1_000)

    assert law == same
    assert hash(law) == hash(same)
    assert law != Empirical(samples_s=np.array([1.0]))
    assert repr(law) == "Empirical(samples_s=<1000 durations, mean 0.5005 s>)"


def test_everything_with_the_three_methods_is_a_law_and_nothing_else():
    """Users may bring a law of their own; a number is not one."""
    assert all(laws.is_law(law) for law in LAWS)
    assert not laws.is_law(0.2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Exponential(mean_s=0), "mean_s must be > 0, got 0"),
        (lambda: Exponential(mean_s=math.inf), "mean_s must be a finite number, got inf"),
        (lambda: Exponential(mean_s=True), "mean_s must be a finite number, got True"),
        (lambda: Deterministic(value_s=-1), "value_s must be >= 0, got -1"),
        (lambda: Uniform(low_s=2, high_s=2), r"high_s must be > low_s \(2\), got 2"),
        (lambda: Uniform(low_s=-2, high_s=2), "low_s must be >= 0, got -2"),
        (lambda: Gamma(mean_s=1, scv=0), "scv must be > 0, got 0"),
        (lambda: LogNormal(mean_s=1, scv=-2), "scv must be > 0, got -2"),
        (lambda: Weibull(mean_s=1, shape=0), "shape must be > 0, got 0"),
        (lambda: Pareto(mean_s=1, alpha=1), "alpha must be > 1 .*got 1"),
        (lambda: HyperExponential(mean_s=1, scv=0.5), "scv must be >= 1 .*got 0.5"),
        (lambda: Empirical(samples_s=np.array([])), "at least one duration in s, got none"),
        (lambda: Empirical(samples_s=np.array([1.0, -0.5])), "finite and >= 0 s, got -0.5"),
        (lambda: Empirical(samples_s=np.array([1.0, np.nan])), "finite and >= 0 s, got nan"),
    ],
)
def test_a_law_that_cannot_be_is_refused_with_the_rule_and_the_value(make, message):
    """A wrong parameter must not become a wrong figure."""
    with pytest.raises(ValueError, match=message):
        make()
