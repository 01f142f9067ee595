"""Every backoff keeps to its formula, however often a job has failed."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk

DOUBLING = {
    "exponential": tk.ExponentialBackoff,
    "full jitter": tk.FullJitter,
    "equal jitter": tk.EqualJitter,
    "decorrelated jitter": tk.DecorrelatedJitter,
}
by_strategy = pytest.mark.parametrize("strategy", DOUBLING.values(), ids=DOUBLING.keys())
uniforms = st.floats(0, 1, exclude_max=True)
retries = st.one_of(st.integers(0, 70), st.integers(0, 5_000))


@st.composite
def bases_and_caps(draw):
    base_s = draw(st.floats(1e-6, 1e9))
    return {"base_s": base_s, "cap_s": base_s * draw(st.floats(1, 1e12))}


def test_powers_of_two_from_the_base_to_the_cap():
    """The published schedule, in numbers that one can read."""
    backoff = tk.ExponentialBackoff(base_s=1.0, cap_s=20.0)

    assert [backoff.pause_s(n, 0.3, None) for n in range(7)] == [1, 2, 4, 8, 16, 20, 20]


@given(numbers=bases_and_caps(), n=retries)
def test_the_limit_is_the_exact_smaller_of_cap_and_doubled_base(numbers, n):
    """Doubling is exact in floating point, so nothing less than equality will do."""
    exact = min(Fraction(numbers["cap_s"]), Fraction(numbers["base_s"]) * 2**n)

    assert Fraction(tk.FullJitter(**numbers).limit_s(n)) == exact


@given(numbers=bases_and_caps(), n=retries, uniform=uniforms)
def test_jitter_spreads_below_the_limit(numbers, n, uniform):
    """None of the limit is certain with full jitter, half of it with equal jitter."""
    limit_s = tk.ExponentialBackoff(**numbers).pause_s(n, uniform, None)
    full_s = tk.FullJitter(**numbers).pause_s(n, uniform, None)
    equal_s = tk.EqualJitter(**numbers).pause_s(n, uniform, None)

    assert full_s == pytest.approx(uniform * limit_s)
    assert equal_s == pytest.approx((1 + uniform) / 2 * limit_s)
    assert 0 <= full_s <= equal_s <= limit_s <= numbers["cap_s"]


@given(numbers=bases_and_caps(), steps=st.lists(uniforms, min_size=1, max_size=80))
def test_decorrelated_jitter_stays_between_base_and_three_times_the_last_pause(numbers, steps):
    """It remembers the pause, not the count, and the cap holds all the same."""
    backoff, pause_s = tk.DecorrelatedJitter(**numbers), None
    for n, uniform in enumerate(steps):
        last_s = numbers["base_s"] if pause_s is None else pause_s
        pause_s = backoff.pause_s(n, uniform, pause_s)

        assert numbers["base_s"] <= pause_s <= numbers["cap_s"]
        assert pause_s <= 3 * last_s * (1 + 1e-12)


@by_strategy
@pytest.mark.parametrize("cap_s", [1e300, math.inf])
@pytest.mark.parametrize("base_s", [1e-300, 1.0, 1e12])
def test_a_billion_retries_do_not_overflow(strategy, base_s, cap_s):
    """2^n leaves floating point at n = 1024; a job that is retried for a year gets there."""
    pause_s = strategy(base_s=base_s, cap_s=cap_s).pause_s(10**9, 0.5, 1e200)

    assert 0 <= pause_s <= cap_s  # false for nan, too


@given(delay_s=st.floats(0, 1e9), n=retries, uniform=uniforms)
def test_a_constant_backoff_is_constant(delay_s, n, uniform):
    """Zero included: that is a retry at once."""
    assert tk.ConstantBackoff(delay_s=delay_s).pause_s(n, uniform, 7.0) == delay_s


def test_the_expected_delay_of_a_schedule_is_the_published_one(oracles):
    """Every pause is linear in its uniform number, so its mean is the pause at one half."""
    rows = oracles("backoff schedule", "expected total delay")
    totals = {}
    for row_id, row in rows.items():
        p = row["params"]
        backoff = DOUBLING[p["kind"]](base_s=p["base"], cap_s=p["cap"])
        totals[row_id] = sum(backoff.pause_s(n, 0.5, None) for n in range(p["n"]))

    assert totals == pytest.approx({row_id: float(row["value"]) for row_id, row in rows.items()})


def test_the_expected_decorrelated_pause_is_the_exact_one(oracles):
    """E[s_k] = 2 x 1.5^k - 1: without a cap each pause is linear in its number and in the last."""
    rows = oracles("decorrelated jitter, uncapped", "E[s_k]")
    backoff, pauses_s = tk.DecorrelatedJitter(base_s=1.0, cap_s=math.inf), [None]
    for n in range(10):
        pauses_s.append(backoff.pause_s(n, 0.5, pauses_s[-1]))

    assert {row_id: pauses_s[row["params"]["k"]] for row_id, row in rows.items()} == pytest.approx(
        {row_id: float(row["value"]) for row_id, row in rows.items()}
    )


@pytest.mark.parametrize("seed", range(3))
def test_drawn_decorrelated_pauses_have_the_expected_mean(seed):
    """The same by chance: the mean of the third pause, within four standard errors."""
    backoff, third_s = tk.DecorrelatedJitter(base_s=1.0, cap_s=math.inf), []
    for steps in np.random.default_rng(seed).random((5_000, 3)):
        pause_s = None
        for n, uniform in enumerate(steps):
            pause_s = backoff.pause_s(n, uniform, pause_s)
        third_s.append(pause_s)

    assert abs(np.mean(third_s) - 5.75) <= 4 * np.std(third_s) / math.sqrt(len(third_s))


NAN, INF = float("nan"), float("inf")
BAD_PAIRS = [
    (0, 1, "base_s must be > 0, got 0"),
    (-1, 1, "base_s must be > 0, got -1"),
    (NAN, 1, "base_s must be a finite number, got nan"),
    (INF, INF, "base_s must be a finite number, got inf"),
    (True, 1, "base_s must be a finite number, got True"),
    ("1", 1, "base_s must be a finite number, got '1'"),
    (2, 1, r"cap_s must be >= base_s \(2\), got 1"),
    (1, NAN, "cap_s must be a finite number, got nan"),
    (1, -INF, "cap_s must be a finite number, got -inf"),
    (1, True, "cap_s must be a finite number, got True"),
    (1, "60", "cap_s must be a finite number, got '60'"),
    (1, None, "cap_s must be a finite number, got None"),
]


@by_strategy
@pytest.mark.parametrize(("base_s", "cap_s", "message"), BAD_PAIRS)
def test_a_wrong_base_or_cap_is_refused(strategy, base_s, cap_s, message):
    """A message names the field, the rule and the value."""
    with pytest.raises(ValueError, match=message):
        strategy(base_s=base_s, cap_s=cap_s)


@pytest.mark.parametrize("delay_s", [-1, NAN, INF, True, "1", None])
def test_a_wrong_delay_is_refused(delay_s):
    """As above."""
    with pytest.raises(ValueError, match=f"delay_s must be .*, got {delay_s!r}"):
        tk.ConstantBackoff(delay_s=delay_s)
