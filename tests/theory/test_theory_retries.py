"""Retries that meet each other: orbits, contention, budgets, breakers, storms."""

import math
from fractions import Fraction
from heapq import heapify, heappop, heappush

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from theorems import close, few, figures

from toolkit import theory
from toolkit.backoff import ConstantBackoff, ExponentialBackoff, FullJitter

# --- orbits ---


@given(load=st.floats(0.02, 0.95), retry=st.floats(0.05, 50.0))
@few
def test_the_numeric_orbit_of_one_server_is_the_closed_form(load, retry):
    """The recursion for many servers must give, for one, what is known."""
    rates = {"arrival_rate_per_s": load, "service_rate_per_s": 1.0, "retry_rate_per_s": retry}
    names = ("orbit", "prob_busy", "sojourn_s", "retries_per_job")
    exact, numeric = theory.mm1_orbit(**rates), theory.mmc_orbit(**rates, servers=1)

    assert figures(numeric, *names) == pytest.approx(figures(exact, *names), rel=1e-7)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.6), (2, 0.7), (6, 0.8)])
def test_who_tries_again_at_once_might_as_well_queue(servers, load):
    """With endless retries no server idles while somebody is in orbit: Erlang C."""
    rates = {"arrival_rate_per_s": load * servers, "service_rate_per_s": 1.0, "servers": servers}
    orbit = theory.mmc_orbit(**rates, retry_rate_per_s=1e7)
    queue = theory.mmc(**rates)

    assert orbit.orbit == pytest.approx(queue.waiting, rel=1e-5)
    assert orbit.prob_busy == pytest.approx(queue.prob_wait, rel=1e-5)
    assert orbit.sojourn_s == pytest.approx(queue.sojourn_s, rel=1e-5)


@pytest.mark.parametrize(("rate", "retry"), [(0.4, 1.0), (0.3, 0.6), (0.7, 9.0)])
def test_the_orbit_where_only_the_head_retries_agrees_with_its_chain(rate, retry):
    """States (busy?, orbit), solved as they stand."""
    size = 400
    chain = np.zeros((2 * size, 2 * size))
    for n in range(size):
        chain[2 * n, 2 * n + 1] += rate
        chain[2 * n + 1, 2 * n] += 1.0
        if n:
            chain[2 * n, 2 * n - 1] += retry
        if n < size - 1:
            chain[2 * n + 1, 2 * n + 3] += rate
    chain -= np.diag(chain.sum(axis=1))
    chain[:, 0] = 1.0
    shares = np.linalg.solve(chain.T, np.eye(2 * size)[0]).reshape(size, 2)
    q = theory.mm1_constant_orbit(
        arrival_rate_per_s=rate, service_rate_per_s=1.0, retry_rate_per_s=retry
    )

    assert q.orbit == close(shares.sum(axis=1) @ np.arange(size))
    assert q.prob_busy == close(shares[:, 1].sum())
    assert q.retries_per_job == close(retry * (1 - shares[0].sum()) / rate)
    assert q.sojourn_s == close((q.orbit + q.prob_busy) / rate)


# --- contention ---


def play_study(clients, pauses):
    """Play the study with hops of 10 ms: return the writes, and when the last answer came."""
    todo = [(10, "read", c, 0, 0) for c in range(clients)]
    heapify(todo)
    version = writes = done = 0
    while todo:
        now, what, c, failures, seen = heappop(todo)
        if what == "read":
            heappush(todo, (now + 20, "write", c, failures, version))
            continue
        writes += 1
        if seen == version:
            version, done = version + 1, now + 10
        else:
            heappush(todo, (now + 20 + pauses(failures + 1), "read", c, failures + 1, 0))
    return writes, done


@pytest.mark.parametrize("clients", [1, 2, 7, 30])
@pytest.mark.parametrize(
    "backoff", [ConstantBackoff(delay_s=0.0), ExponentialBackoff(base_s=5.0, cap_s=2000.0)]
)
def test_clients_in_lockstep_do_what_the_played_study_does(clients, backoff):
    """The argument (one winner a round) against the events one by one."""
    played = play_study(clients, lambda k: backoff.pause_s(k, 0.0, None))
    argued = theory.lockstep_calls(clients), theory.lockstep_s(clients, hop_s=10, backoff=backoff)

    assert argued == played


def test_jitter_is_no_lockstep():
    """Only the mean of two clients is simple: two tries and half a cap."""
    jitter = FullJitter(base_s=5.0, cap_s=2000.0)

    assert theory.two_clients_mean_s(hop_s=10, backoff=jitter) == 85.0
    with pytest.raises(ValueError, match="backoff must not have jitter for lockstep"):
        theory.lockstep_s(2, hop_s=10, backoff=jitter)


# --- budgets ---

BUDGETS = [
    lambda p: theory.sdk_quota(p, capacity=60),
    lambda p: theory.sdk_quota(p, capacity=40, retry_cost=10, max_attempts=5, earned=2),
    lambda p: theory.grpc_throttle(p, max_tokens=10),
    lambda p: theory.grpc_throttle(p, max_tokens=6, token_ratio=0.25, max_attempts=3),
]
budgets = pytest.mark.parametrize("solve", BUDGETS)


@budgets
@given(failure=st.floats(0.0, 1.0))
@few
def test_each_attempt_succeeds_alike_whatever_the_budget(solve, failure):
    """Wald: successes = attempts x (1 - p); and a budget never makes more attempts than no budget."""
    q = solve(failure)

    assert q.success == pytest.approx((1 - failure) * q.attempts_per_call, abs=1e-12)
    assert 1 - 1e-12 <= q.attempts_per_call <= theory.attempts_per_job(failure, 4) + 1e-12
    assert q.denied <= 1 - q.success + 1e-12


@budgets
def test_a_budget_is_full_when_nothing_fails_and_silent_when_all_does(solve):
    """Then a call is an attempt."""
    fine, dead = solve(0.0), solve(1.0)

    assert (fine.attempts_per_call, fine.success, fine.denied, fine.open) == (1, 1, 0, 1)
    assert (dead.attempts_per_call, dead.success, dead.denied, dead.open) == (1, 0, 1, 0)


def play_quota(rng, failure, calls, tokens=40):
    """Play the SDK's quota call by call; return attempts and tokens at the start, each on average."""
    attempts = started = 0
    for _ in range(calls):
        started += tokens
        for attempt in (1, 2, 3):
            attempts += 1
            if rng.random() >= failure:
                tokens = min(40, tokens + (1 if attempt == 1 else 5))
                break
            if attempt == 3 or tokens < 5:
                break
            tokens -= 5
    return attempts / calls, started / calls


def play_throttle(rng, failure, calls, tokens=4):
    """Play gRPC's throttle with a ratio of 1; return attempts and tokens at the start, on average."""
    attempts = started = 0
    for _ in range(calls):
        started += tokens
        for attempt in (1, 2, 3):
            attempts += 1
            if rng.random() >= failure:
                tokens = min(4, tokens + 1)
                break
            tokens = max(0, tokens - 1)
            if attempt == 3 or tokens <= 2:
                break
    return attempts / calls, started / calls


@pytest.mark.parametrize(
    ("play", "exact"),
    [
        (play_quota, theory.sdk_quota(0.35, capacity=40)),
        (play_throttle, theory.grpc_throttle(0.35, max_tokens=4, token_ratio=1, max_attempts=3)),
    ],
)
def test_the_chain_of_a_budget_is_what_calls_one_by_one_do(play, exact):
    """20 independent plays; four standard errors of their mean."""
    played = np.array([play(np.random.default_rng(seed), 0.35, 20_000) for seed in range(20)])
    error = played.std(axis=0, ddof=1) / math.sqrt(len(played))

    assert all(abs(played.mean(axis=0) - [exact.attempts_per_call, exact.tokens]) < 4 * error)


def test_an_outage_ends_the_retries():
    """Spent one by one: so many and no more."""
    tokens, retries = 503, 0
    while tokens >= 5:
        tokens, retries = tokens - 5, retries + 1

    assert theory.sdk_retries_in_outage(capacity=503) == retries
    assert [theory.grpc_failures_in_outage(max_tokens=m) for m in (1, 2, 9, 10, 11)] == [
        next(k for k in range(1, 20) if m - k <= m / 2) - 1 for m in (1, 2, 9, 10, 11)
    ]


@given(ratio=st.floats(0.01, 5))
def test_at_the_drift_of_nought_tokens_neither_come_nor_go(ratio):
    """What good attempts earn is what bad ones cost."""
    p = theory.grpc_drift_failure(ratio)

    assert ratio * (1 - p) == close(p)


# --- breakers ---


@given(failure=st.floats(0.05, 1.0), threshold=st.integers(1, 8))
@few
def test_a_run_of_failures_is_awaited_as_the_recursion_says(failure, threshold):
    """From k - 1 in a row: one more call, and with chance 1 - p all over again."""
    calls = 0.0
    for _ in range(threshold):
        calls = (calls + 1) / failure

    assert theory.calls_to_open(failure, threshold=threshold) == close(calls)


def play_breaker(rng, calls, *, rate, failure, threshold, open_s):
    """Play a breaker call by call; return the shares rejected and good."""
    now = rejected = good = run = 0
    until, probing = -1.0, False
    for gap, u in zip(rng.exponential(1 / rate, calls), rng.random(calls), strict=True):
        now += gap
        if now < until:
            rejected += 1
            continue
        if u >= failure:
            good, run, probing = good + 1, 0, False
            continue
        run += 1
        if probing or run == threshold:
            until, probing, run = now + open_s, True, 0
    return rejected / calls, good / calls


def test_the_cycle_of_a_breaker_is_what_calls_one_by_one_meet():
    """20 independent plays; four standard errors of their mean."""
    system = {"failure": 0.4, "threshold": 2, "open_s": 1.5}
    exact = theory.breaker(arrival_rate_per_s=2.0, **system)
    played = np.array(
        [
            play_breaker(np.random.default_rng(seed), 20_000, rate=2.0, **system)
            for seed in range(20)
        ]
    )
    error = played.std(axis=0, ddof=1) / math.sqrt(len(played))

    assert all(abs(played.mean(axis=0) - [exact.rejected, exact.success]) < 4 * error)
    assert exact.opens_per_s * theory.calls_to_open(0.4, threshold=2) < 2.0


# --- storms ---


def a_storm(**changes):
    usual = {
        "arrival_rate_per_s": 28,
        "service_rate_per_s": 30,
        "timeout_s": 1,
        "max_retries": 1,
        "outage_start_s": 5,
        "outage_s": 10,
        "horizon_s": 100,
    }
    return theory.retry_storm(**(usual | changes))


def test_an_overload_that_feeds_itself_stays_after_its_cause():
    """Above mu / (1 + R) for ever; without retries, with a short queue, or below it, not."""
    hidden = theory.hidden_capacity_per_s(service_rate_per_s=30, max_retries=1)

    assert a_storm().first_good_s is None
    assert a_storm(horizon_s=400).goodput_per_s(300, 400) == 0
    for cure in ({"max_retries": 0}, {"capacity": 20}, {"arrival_rate_per_s": hidden - 1}):
        cured = a_storm(**cure, horizon_s=400)
        rate = cure.get("arrival_rate_per_s", 28)

        assert cured.goodput_per_s(300, 400) == pytest.approx(rate)
        assert cured.backlog == 0


def test_an_outage_shorter_than_the_patience_of_clients_does_no_harm():
    """Just below the timeout no answer is late; just above it some are."""
    assert a_storm(outage_s=0.9).late == 0
    # what was in service when it began is finished in it; what counts is after it
    during = a_storm(outage_start_s=4.97, outage_s=0.9)
    assert 4.97 < max(t for t in during.good_s if t < 5.5) < 5
    assert during.first_good_s > 5.87
    assert a_storm(outage_s=1.1).late > 0


@pytest.mark.parametrize("retries", [0, 1, 3])
@pytest.mark.parametrize("capacity", [None, 1, 12])
def test_every_attempt_is_answered_or_waits_or_was_turned_away(retries, capacity):
    """Served, good or late, cannot be more than the server had time for."""
    seen = a_storm(max_retries=retries, capacity=capacity)
    served = len(seen.good_s) + seen.late
    turned_away = seen.attempts - served - seen.backlog

    assert 0 <= turned_away <= (1 if capacity is None else seen.attempts)
    assert served <= 30 * (100 - 10) + 1
    assert seen.attempts <= (28 * 100 + 1) * (1 + retries)
    assert seen.backlog <= (capacity or math.inf)


def test_what_happens_at_the_same_time_happens_in_a_fixed_order():
    """An answer at the very deadline is in time; one tick later it is not."""
    slow = {"arrival_rate_per_s": 0.5, "service_rate_per_s": 1, "max_retries": 0, "outage_s": 0.5}

    assert a_storm(**slow, timeout_s=1, outage_start_s=99).late == 0
    assert a_storm(**slow, timeout_s=0.999, outage_start_s=99).good_s == ()
    assert a_storm(**slow, timeout_s=1, outage_start_s=99).good_s[:2] == (Fraction(1), Fraction(3))


def test_a_retry_takes_the_place_of_who_comes_at_the_same_time():
    """Timeouts come before arrivals: where there is one place, nobody gets it at the first try again."""
    seen = a_storm(
        arrival_rate_per_s=1,
        service_rate_per_s=Fraction(10, 9),
        capacity=1,
        outage_start_s=0.5,
        outage_s=2.7,
        horizon_s=20.5,
    )

    assert seen.goodput_per_s(10, 20) == 1
    assert (seen.late, seen.attempts) == (1, 21 + 19)


def test_a_cache_that_never_misses_has_no_capacity():
    """Nor is there a share above 1."""
    with pytest.raises(ValueError, match="hit_rate must be < 1, got 1"):
        theory.cached_capacity_per_s(service_rate_per_s=300, hit_rate=1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: theory.mm1_constant_orbit(
                arrival_rate_per_s=0.5, service_rate_per_s=1, retry_rate_per_s=0.5
            ),
            "unstable: arrival rate x .* = 0.5, got 0.5",
        ),
        (
            lambda: theory.mmc_orbit(
                arrival_rate_per_s=3, service_rate_per_s=1, servers=3, retry_rate_per_s=1
            ),
            r"must be < 3 \(servers\), got 3 / 1 = 3;\n4 servers",
        ),
        (
            lambda: theory.breaker(arrival_rate_per_s=1, failure=1.0, threshold=1, open_s=1),
            "failure must be above 0 and below 1, got 1.0",
        ),
        (lambda: theory.sdk_quota(1.5), "failure must be from 0 to 1"),
        (lambda: a_storm(capacity=0), "capacity must be a whole number >= 1, got 0"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    """The message names the rule and the value."""
    with pytest.raises(ValueError, match=message):
        call()
