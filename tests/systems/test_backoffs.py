"""Every product's pauses are those of its source: base, jitter, ends and sums."""

from collections import Counter
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.systems import CeleryBackoff, CloudTasksBackoff, HangfireBackoff, SidekiqBackoff

BASE_S = [15, 16, 31, 96, 271, 640, 1311, 2416, 4111, 6576]
# lines of Sidekiq on both sides of each change of the jitter (jobqueues.md, section 2)
SIDEKIQ_JITTERS = {
    "5.2.9": ("wide", 4712.5),
    "6.2.1": ("wide", 4712.5),
    "6.2.2": ("coarse", 1462.5),
    "7.3.9": ("coarse", 1462.5),
    "8.0.0": ("fine", 1612.5),
    "8.1.7": ("fine", 1612.5),
}
uniforms = st.floats(0, 1, exclude_max=True)


def pauses(backoff, n, steps):
    """Return the pause before retry n for every one of ``steps`` equal parts of the unit interval."""
    return [backoff.pause_s(n, (step + 0.5) / steps, None) for step in range(steps)]


def mean_jitter_s(backoff, retries):
    """Return the mean of all jitters added up: exact, for steps are a multiple of every range."""
    zero = sum(backoff.pause_s(n, 0.0, None) for n in range(retries))
    return sum(mean(pauses(backoff, n, 30 * (n + 1))) for n in range(retries)) - zero


# --- Sidekiq ---


@pytest.mark.parametrize("version", SIDEKIQ_JITTERS)
def test_sidekiq_waits_n_to_the_fourth_and_fifteen_seconds(version):
    """The first ten base waits of the reference, whatever the version."""
    backoff = SidekiqBackoff(version=version)

    assert [backoff.pause_s(n, 0.0, None) for n in range(10)] == BASE_S


def test_sidekiqs_twenty_five_retries_take_twenty_days():
    """1,763,395 s are 20.41 days."""
    total_s = sum(SidekiqBackoff(version="8.0").pause_s(n, 0.0, None) for n in range(25))

    assert total_s == 1_763_395
    assert round(total_s / 86_400, 2) == 20.41


@pytest.mark.parametrize(("version", "jitter"), SIDEKIQ_JITTERS.items())
def test_sidekiqs_mean_jitter_over_all_retries_is_the_published_one(version, jitter):
    """1612.5 s in 8.x, 1462.5 s from 6.2.2 on, 4712.5 s before."""
    assert mean_jitter_s(SidekiqBackoff(version=version), 25) == pytest.approx(jitter[1])


@pytest.mark.parametrize(("version", "jitter"), SIDEKIQ_JITTERS.items())
@pytest.mark.parametrize("n", [0, 1, 4])
def test_sidekiqs_jitter_takes_each_of_its_values_equally_often(version, jitter, n):
    """UI(0..10(n+1)-1), UI(0..9) x (n+1) or UI(0..29) x (n+1): the set says which."""
    values = {
        "fine": range(10 * (n + 1)),
        "coarse": range(0, 10 * (n + 1), n + 1),
        "wide": range(0, 30 * (n + 1), n + 1),
    }[jitter[0]]
    found = Counter(pauses(SidekiqBackoff(version=version), n, 60 * (n + 1)))

    assert set(found) == {n**4 + 15 + value for value in values}
    assert len(set(found.values())) == 1


def test_the_retry_that_was_measured_with_sidekiq_is_a_possible_one():
    """6.4.1: the first retry was set 19 s after the failure, 15 s and a jitter of 4 s."""
    assert 19.0 in pauses(SidekiqBackoff(version="6.4.1"), 0, 10)


def test_a_custom_wait_of_sidekiq_keeps_the_jitter_since_6_2_2():
    """`sidekiq_retry_in` replaces the base only."""
    new = SidekiqBackoff(version="6.2.2", retry_in_s=60)
    old = SidekiqBackoff(version="6.2.1", retry_in_s=60)

    assert set(pauses(new, 1, 10)) == {60 + 2 * k for k in range(10)}
    assert set(pauses(old, 1, 10)) == {60}


# --- Hangfire ---


def test_hangfires_ten_retries_take_four_hours():
    """The base waits of the reference; 15,483 s are 4.30 h."""
    waits = [HangfireBackoff().pause_s(n, 0.0, None) for n in range(10)]

    assert waits == BASE_S
    assert sum(waits) == 15_483
    assert round(sum(waits) / 3600, 2) == 4.30


def test_hangfires_jitter_is_797_5_s_on_average_and_1595_s_at_most():
    """UI(0..29) x a, for a = 1..10."""
    backoff = HangfireBackoff()
    most = sum(max(pauses(backoff, n, 30)) for n in range(10)) - sum(BASE_S)

    assert mean_jitter_s(backoff, 10) == pytest.approx(797.5)
    assert most == 1595
    assert set(pauses(backoff, 2, 60)) == {31 + 3 * k for k in range(30)}


def test_hangfires_last_given_delay_repeats():
    """`DelaysInSeconds`; 0 is at once."""
    backoff = HangfireBackoff(delays_in_seconds=[0, 60, 300])

    assert [backoff.pause_s(n, 0.9, None) for n in range(5)] == [0, 60, 300, 300, 300]


# --- Celery ---


def test_celerys_mean_waits_spend_the_default_retries_in_three_and_a_half_seconds():
    """Full jitter over whole seconds: 0.5, 1 and 2 s."""
    means = [mean(pauses(CeleryBackoff(), n, 2**n + 1)) for n in range(3)]

    assert means == [0.5, 1, 2]
    assert sum(means) == 3.5


@pytest.mark.parametrize("n", range(6))
def test_celerys_jitter_takes_each_whole_second_to_the_limit_equally_often(n):
    """`random.randrange(countdown + 1)`: 0 is possible, and so is the limit."""
    limit = min(20, 2 * 2**n)
    found = Counter(pauses(CeleryBackoff(factor=2.9, max_s=20), n, 10 * (limit + 1)))

    assert found == dict.fromkeys(range(limit + 1), 10)


def test_without_jitter_celery_waits_the_limit():
    """F x 2^n up to retry_backoff_max = 600 s."""
    backoff = CeleryBackoff(jitter=False)

    assert [backoff.pause_s(n, 0.2, None) for n in (0, 3, 9, 10, 10**6)] == [1, 8, 512, 600, 600]


@given(n=st.integers(0, 40), uniform=uniforms, factor=st.floats(0, 50))
def test_celerys_pause_is_celerys_own_formula(n, uniform, factor):
    """Celery draws in `random.randrange`; put our draw there."""
    time = pytest.importorskip("celery.utils.time", reason="celery is not installed")
    original, time.random.randrange = time.random.randrange, lambda size: int(uniform * size)
    try:
        theirs = time.get_exponential_backoff_interval(int(max(1.0, factor)), n, 600, True)
    finally:
        time.random.randrange = original

    assert CeleryBackoff(factor=factor).pause_s(n, uniform, None) == theirs


# --- Cloud Tasks ---

CLOUD_TASKS = {
    (10, 300, 3): [10, 20, 40, 80, 160, 240, 300, 300],
    (10, 200, 0): [*range(10, 200, 10), 200, 200],
    (0.1, 3600, 16): [0.1 * 2**n for n in range(16)] + [3600, 3600],
}


def cloud_tasks_backoff(numbers):
    names = ("min_backoff_s", "max_backoff_s", "max_doublings")
    return CloudTasksBackoff(**dict(zip(names, numbers, strict=True)))


@pytest.mark.parametrize("numbers", [(10, 300, 3), (10, 200, 0)])
@given(uniform=uniforms)
def test_cloud_tasks_doubles_then_grows_by_as_much_then_stays(numbers, uniform):
    """The two examples of Google's documentation; no jitter is documented."""
    published = CLOUD_TASKS[numbers]
    backoff = cloud_tasks_backoff(numbers)

    assert [backoff.pause_s(n, uniform, None) for n in range(len(published))] == published


def test_cloud_tasks_ninety_nine_waits_add_up_to_84_8_hours():
    """0.1, 0.2 ... 1638.4, 3276.8, 3600, 3600 ... with the numbers that emulators have."""
    backoff = cloud_tasks_backoff((0.1, 3600, 16))
    waits = [backoff.pause_s(n, 0.5, None) for n in range(99)]

    assert waits[14:18] == pytest.approx([1638.4, 3276.8, 3600, 3600])
    assert round(sum(waits) / 3600, 1) == 84.8


# --- all of them ---

ALL = {
    "celery": CeleryBackoff(),
    "sidekiq": SidekiqBackoff(version="8.0"),
    "hangfire": HangfireBackoff(),
    "cloud tasks": cloud_tasks_backoff((0.1, 3600, 10**6)),
}


@pytest.mark.parametrize("backoff", ALL.values(), ids=ALL)
@given(n=st.integers(0, 10**5), uniform=uniforms)
def test_every_pause_is_a_finite_number_of_seconds(backoff, n, uniform):
    """A job that is retried for a year gets there."""
    assert 0 <= backoff.pause_s(n, uniform, 1.0) < float("inf")


WRONG = [
    (CeleryBackoff, {"factor": -1}, "factor must be >= 0, got -1"),
    (CeleryBackoff, {"max_s": 1.5}, "max_s must be a whole number >= 0, got 1.5"),
    (SidekiqBackoff, {"version": "4.2"}, "known Sidekiq versions .*, got '4.2'"),
    (SidekiqBackoff, {"version": "8.0", "retry_in_s": 0}, "retry_in_s must be a whole number >= 1"),
    (HangfireBackoff, {"delays_in_seconds": []}, "delays_in_seconds must hold at least one"),
    (HangfireBackoff, {"delays_in_seconds": [-1]}, "delays_in_seconds must be a whole number >= 0"),
    (
        CloudTasksBackoff,
        {"min_backoff_s": 0, "max_backoff_s": 1, "max_doublings": 1},
        "min_backoff_s must be > 0, got 0",
    ),
    (
        CloudTasksBackoff,
        {"min_backoff_s": 2, "max_backoff_s": 1, "max_doublings": 1},
        r"max_backoff_s must be >= min_backoff_s \(2\), got 1",
    ),
    (
        CloudTasksBackoff,
        {"min_backoff_s": 1, "max_backoff_s": 2, "max_doublings": -1},
        "max_doublings must be a whole number >= 0, got -1",
    ),
]


@pytest.mark.parametrize(("backoff", "settings", "message"), WRONG)
def test_a_wrong_number_in_a_backoff_is_refused(backoff, settings, message):
    """The field, the rule and the value."""
    with pytest.raises(ValueError, match=message):
        backoff(**settings)
