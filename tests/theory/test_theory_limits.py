"""Limiters job by job: what each promises, and two ways to write the same rule."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import theory
from toolkit.backoff import ExponentialBackoff
from toolkit.design import RunningBucket

tenths = st.integers(0, 40).map(lambda n: Fraction(n, 10))
flows = st.lists(tenths, max_size=60).map(sorted)
windows = pytest.mark.parametrize(
    ("rule", "times_over"),
    [
        (theory.sliding_log_admits, 1),
        (theory.fixed_window_admits, 2),
        (theory.sliding_counter_admits, 2),
    ],
)


def most_within(times_s, admitted, window_s):
    """Return the most that were let in during any half-open window."""
    let_in = [t for t, ok in zip(times_s, admitted, strict=True) if ok]
    return max((sum(s <= t < s + window_s for t in let_in) for s in let_in), default=0)


@given(times_s=flows, rate=st.integers(1, 30), burst=st.integers(1, 9), window=st.integers(1, 30))
def test_no_window_sees_more_than_the_envelope_of_a_token_bucket(times_s, rate, burst, window):
    """Cruz's arrival curve, for every window and not only from the start."""
    window_s = Fraction(window, 10)
    admitted = theory.token_bucket_admits(times_s, rate_per_s=rate, burst=burst)
    most = theory.most_in_window(rate_per_s=rate, burst=burst, window_s=window_s)

    assert most_within(times_s, admitted, window_s) <= most


@given(times_s=flows, rate=st.integers(1, 30), burst=st.integers(1, 9))
def test_counting_tokens_and_keeping_one_date_are_the_same_limiter(times_s, rate, burst):
    """The bucket against the generic cell rate algorithm, in fractions: equal to the last tie."""
    gcra = RunningBucket(interval=Fraction(1, rate), tolerance=Fraction(burst - 1, rate))
    admitted = theory.token_bucket_admits(times_s, rate_per_s=rate, burst=burst)

    assert admitted == [gcra.admit(t) for t in times_s]


@windows
@given(times_s=flows, limit=st.integers(1, 9))
def test_a_window_limiter_lets_in_its_limit_or_twice_of_it(rule, times_over, times_s, limit):
    """Only the log keeps the promise in every window; the others may break it at a border."""
    admitted = rule(times_s, limit=limit, window_s=1)

    assert most_within(times_s, admitted, 1) <= times_over * limit
    assert sum(admitted) >= min(limit, len(times_s))


@windows
def test_below_the_limit_nobody_is_turned_away(rule, times_over):
    """Nine evenly in a second that may have ten."""
    del times_over
    times_s = [Fraction(k, 9) for k in range(90)]

    assert all(rule(times_s, limit=10))


def test_the_border_between_two_windows_is_worth_twice_the_limit():
    """The folklore, with the log and the weighted count beside it."""
    times_s = [Fraction(999, 1000)] * 5 + [Fraction(1001, 1000)] * 5

    assert sum(theory.fixed_window_admits(times_s, limit=5)) == 10
    assert sum(theory.sliding_log_admits(times_s, limit=5)) == 5
    assert sum(theory.sliding_counter_admits(times_s, limit=5)) == 6


def test_what_is_a_whole_window_old_no_longer_counts():
    """The log looks at (t - window, t]: one a second may come every second."""
    assert theory.sliding_log_admits([0, 1, 2], limit=1) == [True, True, True]


@given(jobs=st.integers(1, 200), rate=st.integers(1, 20), burst=st.integers(1, 30))
def test_a_push_queue_with_workers_for_all_waits_for_tokens_only(jobs, rate, burst):
    """And with one worker and tokens for all it is the sum of the work."""
    tokens_only = theory.push_queue_makespan_s(
        jobs, rate_per_s=rate, burst=burst, workers=jobs, service_s=Fraction(1, 3)
    )
    work_only = theory.push_queue_makespan_s(
        jobs, rate_per_s=rate, burst=jobs, workers=1, service_s=Fraction(1, 3)
    )

    assert tokens_only == Fraction(max(0, jobs - burst), rate) + Fraction(1, 3)
    assert work_only == Fraction(jobs, 3)


def test_a_part_of_a_token_shortens_the_wait_for_the_rest():
    """A worker is free after 3/4 s and finds 3/4 of a token: the next job starts at 1 s."""
    makespan_s = theory.push_queue_makespan_s(
        3, rate_per_s=1, burst=1, workers=1, service_s=Fraction(3, 4)
    )

    assert makespan_s == Fraction(11, 4)


def test_in_the_long_run_a_push_queue_does_what_is_scarcer():
    """min(r, m / s): here 5 workers at half a second, and then 20."""
    args = {"rate_per_s": 20, "burst": 5, "service_s": Fraction(1, 2)}
    few, many = (theory.push_queue_makespan_s(4000, **args, workers=m) for m in (5, 20))

    assert 4000 / few == pytest.approx(10, rel=0.01)
    assert 4000 / many == pytest.approx(20, rel=0.01)


def test_cloud_tasks_with_doublings_enough_is_exponential_backoff():
    """Without any it is linear."""
    backoff = ExponentialBackoff(base_s=1.0, cap_s=100.0)
    pauses_s = theory.cloud_tasks_pauses_s(12, min_backoff_s=1, max_backoff_s=100, max_doublings=16)

    assert pauses_s == [backoff.pause_s(k, 0.0, None) for k in range(12)]
    assert theory.cloud_tasks_pauses_s(4, min_backoff_s=2, max_backoff_s=7, max_doublings=0) == [
        2,
        4,
        6,
        7,
    ]


def test_time_that_runs_backwards_is_refused():
    """Arrivals out of order are a mistake of the caller."""
    with pytest.raises(ValueError, match="times_s must not go backwards, got 1 after 2"):
        theory.token_bucket_admits([2, 1], rate_per_s=1, burst=1)
