"""One queue and its servers: theorems, limits, and what is refused.

None of these needs a table: they are what the formulas must say about each other.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from theorems import close, few, figures, loads, speeds

from toolkit import theory
from toolkit.laws import (
    Exponential,
    Gamma,
    HyperExponential,
    LogNormal,
    Pareto,
    Uniform,
    Weibull,
)


@given(speed=speeds, load=loads)
@few
def test_one_server_of_many_is_the_single_server(speed, load):
    """M/M/c at c = 1 must be M/M/1 as every textbook writes it, law of the sojourn included."""
    one = theory.mmc(arrival_rate_per_s=load * speed, service_rate_per_s=speed, servers=1)

    assert one.prob_wait == close(load)
    assert one.jobs == close(load / (1 - load))
    assert one.sojourn_s == close(1 / (speed - load * speed))
    assert one.sojourn_quantile_s(0.95) == close(-math.log(0.05) * one.sojourn_s)
    assert one.wait_tail(one.wait_quantile_s(0.999)) == pytest.approx(0.001, rel=1e-6)


@given(speed=speeds, load=loads, servers=st.integers(1, 40), p=st.floats(0.0, 0.9999))
@few
def test_quantiles_of_many_servers_undo_their_tails(speed, load, servers, p):
    """The sojourn's law has a removable 0/0 where c mu - lambda = mu; it must not show."""
    q = theory.mmc(
        arrival_rate_per_s=load * speed * servers, service_rate_per_s=speed, servers=servers
    )

    assert q.sojourn_tail(q.sojourn_quantile_s(p)) == pytest.approx(1 - p, rel=1e-9)
    assert q.wait_tail(q.wait_quantile_s(p)) == pytest.approx(min(1 - p, q.prob_wait), rel=1e-9)


def test_the_sojourn_law_has_the_mean_it_should_also_where_two_rates_meet():
    """With 2 servers at load 1 the wait and the service have the same rate."""
    for rate in (0.5, 1.0, 1.0 + 1e-9, 1.9):
        q = theory.mmc(arrival_rate_per_s=rate, service_rate_per_s=1.0, servers=2)
        mean_s = quad(q.sojourn_tail, 0, 200 * q.sojourn_s, limit=500)[0]

        assert mean_s == pytest.approx(q.sojourn_s, rel=1e-7)


@given(load=st.floats(0.05, 0.8), servers=st.integers(1, 30))
@few
def test_endless_room_is_no_limit_and_room_for_the_served_only_is_erlang_b(load, servers):
    """M/M/c/K lies between two solved queues; both ends must be met."""
    rates_ = {"arrival_rate_per_s": load * servers, "service_rate_per_s": 1.0, "servers": servers}
    endless, roomy = theory.mmc(**rates_), theory.mmck(**rates_, capacity=servers + 300)
    tight = theory.mmck(**rates_, capacity=servers)
    names = ("utilisation", "prob_wait", "wait_s", "sojourn_s", "waiting", "jobs")

    assert figures(roomy, *names) == close(figures(endless, *names))
    assert tight.prob_blocked == close(theory.erlang_b(load * servers, servers))
    assert tight.wait_s == tight.prob_wait == 0


@given(speed=speeds, load=loads)
@few
def test_any_law_that_is_exponential_gives_the_exponential_answer(speed, load):
    """M/G/1 with Exponential, with Gamma and Weibull of shape 1, and with H2 of scv 1 is M/M/1."""
    single = theory.mm1(arrival_rate_per_s=load * speed, service_rate_per_s=speed)
    expected = figures(single, "utilisation", "wait_s", "sojourn_s", "waiting", "jobs")
    mean_s = 1 / speed
    for law in (
        Exponential(mean_s=mean_s),
        Gamma(mean_s=mean_s, scv=1.0),
        Weibull(mean_s=mean_s, shape=1.0),
        HyperExponential(mean_s=mean_s, scv=1.0),
    ):
        q = theory.mg1(arrival_rate_per_s=load * speed, service=law)

        assert figures(q, "utilisation", "wait_s", "sojourn_s", "waiting", "jobs") == close(
            expected
        )
        assert q.sojourn_shared_s == close(single.sojourn_s)
        # the wait is 0 with chance 1 - rho and exponential with the mean sojourn otherwise
        assert q.wait_std_s == close(single.sojourn_s * math.sqrt(load * (2 - load)))


def test_a_tail_too_heavy_for_a_mean_wait_gives_infinity_and_not_a_number():
    """With Pareto alpha <= 2 the mean wait is infinite though the server is mostly idle."""
    heavy = theory.mg1(arrival_rate_per_s=0.5, service=Pareto(mean_s=1.0, alpha=2.0))
    medium = theory.mg1(arrival_rate_per_s=0.5, service=Pareto(mean_s=1.0, alpha=2.5))

    assert heavy.wait_s == heavy.jobs == math.inf
    assert heavy.utilisation == 0.5
    assert math.isfinite(medium.wait_s)
    assert medium.wait_std_s == math.inf


# --- retries, staffing, Little ----------------------------------------------------------------------


@given(failure=st.floats(0, 1), max_retries=st.integers(0, 30))
def test_attempts_are_the_sum_of_the_chances_that_each_is_made(failure, max_retries):
    """Attempt k + 1 is made when the k before it failed; the closed form must not cancel near 1."""
    attempts = sum(failure**k for k in range(max_retries + 1))

    assert theory.attempts_per_job(failure, max_retries) == close(attempts)
    assert theory.attempts_through_layers(failure, max_retries, 1) == close(attempts)


def test_retries_without_limit_are_the_limit_of_many_retries():
    """The capped and the endless formula are one."""
    rates_ = {"arrival_rate_per_s": 0.5, "service_rate_per_s": 1.0, "failure": 0.3}
    endless = theory.mm1_retries(**rates_, max_retries=None)
    many = theory.mm1_retries(**rates_, max_retries=200)
    none = theory.mm1_retries(**rates_, max_retries=0)

    assert many.sojourn_s == close(endless.sojourn_s)
    assert endless.dead == 0
    assert none.sojourn_s == theory.mm1(arrival_rate_per_s=0.5, service_rate_per_s=1.0).sojourn_s
    assert none.dead == close(0.3)


@given(load=st.floats(0, 300), prob_wait=st.floats(0.001, 1))
@few
def test_one_server_less_than_needed_is_too_few(load, prob_wait):
    """The answer keeps the promise and the number below it does not, or could not keep up."""
    servers = theory.servers_needed(load, prob_wait=prob_wait)

    assert theory.erlang_c(load, servers) <= prob_wait
    if servers - 1 > load:
        assert theory.erlang_c(load, servers - 1) > prob_wait


def test_littles_law_holds_in_every_answer():
    """Jobs inside = rate let in x time inside: an identity, so it finds slips in any of them."""
    answers = [
        (0.9, theory.mm1(arrival_rate_per_s=0.9, service_rate_per_s=1.0)),
        (3.6, theory.mmc(arrival_rate_per_s=3.6, service_rate_per_s=1.0, servers=4)),
        (0.7, theory.mg1(arrival_rate_per_s=0.7, service=LogNormal(mean_s=1.0, scv=4.0))),
        (0.7, theory.md1(arrival_rate_per_s=0.7, service_s=1.0)),
    ]
    full = theory.mmck(arrival_rate_per_s=9.0, service_rate_per_s=1.0, servers=4, capacity=11)
    answers.append((full.throughput_per_s, full))
    retried = theory.mm1_retries(
        arrival_rate_per_s=0.6, service_rate_per_s=1.0, failure=0.3, max_retries=2
    )
    closed = theory.closed_mmc(users=20, think_s=3.0, service_rate_per_s=1.0, servers=4)
    shaped = theory.token_bucket_wait(arrival_rate_per_s=0.9, rate_per_s=1.0, burst=5)

    for rate, q in [*answers, (0.6, retried), (closed.throughput_per_s, closed)]:
        assert q.jobs == close(theory.jobs_inside(rate, q.sojourn_s))
    for rate, q in [*answers, (0.9, shaped)]:
        assert q.waiting == close(theory.jobs_inside(rate, q.wait_s))
    assert closed.throughput_per_s == close(20 / (closed.sojourn_s + 3.0))


def test_a_mean_wait_known_to_five_percent_takes_tens_of_thousands_of_jobs():
    """Daley's variance, times (1.96 / 0.05)^2, rounded up; the load makes it explode."""
    half = theory.mm1(arrival_rate_per_s=30.0, service_rate_per_s=60.0)
    busy = theory.mm1(arrival_rate_per_s=54.0, service_rate_per_s=60.0)

    assert half.jobs_to_simulate(relative_error=0.05) == 44_563
    assert busy.jobs_to_simulate(relative_error=0.05) == 681_073


# --- size, and refusals -------------------------------------------------------------------------------


def test_ten_thousand_servers_overflow_nothing():
    """Factorials of 171 already overflow a double; the recursion and the sums must not."""
    big = theory.mmc(arrival_rate_per_s=9_950, service_rate_per_s=1.0, servers=10_000)
    room = {"service_rate_per_s": 1.0, "servers": 10_000, "capacity": 50_000}
    drowned = theory.mmck(arrival_rate_per_s=20_000, **room)
    idle = theory.mmck(arrival_rate_per_s=1.0, **room)

    # Halfin & Whitt (1981): 1 / (1 + b Phi(b) / phi(b)) at b = 0.5, up to 1 / sqrt(servers)
    assert big.prob_wait == pytest.approx(0.5045, abs=0.005)
    assert drowned.prob_blocked == pytest.approx(0.5)
    assert drowned.jobs == pytest.approx(49_999)
    assert idle.jobs == pytest.approx(1.0)
    assert theory.erlang_b(1.0, 10_000) == 0.0
    assert theory.closed_mmc(
        users=50_000, think_s=1.0, service_rate_per_s=1.0, servers=10_000
    ).throughput_per_s == pytest.approx(10_000)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: theory.mmc(arrival_rate_per_s=5, service_rate_per_s=1, servers=4),
            r"must be < 4 \(servers\), got 5 / 1 = 5;\n6 servers would be stable",
        ),
        (
            lambda: theory.mm1(arrival_rate_per_s=1, service_rate_per_s=1),
            r"got 1 / 1 = 1;\n2 servers would be stable",
        ),
        (lambda: theory.erlang_c(4.0, 4), r"must be < 4 \(servers\), got 4;\n5 servers"),
        (
            lambda: theory.mg1(arrival_rate_per_s=3, service=Uniform(low_s=0, high_s=1)),
            r"got 3 x 0.5 = 1.5;\n2 servers",
        ),
        (lambda: theory.md1(arrival_rate_per_s=3, service_s=1), "4 servers would be stable"),
        (
            lambda: theory.mm1_retries(
                arrival_rate_per_s=0.6, service_rate_per_s=1, failure=0.5, max_retries=3
            ),
            r"got 0.6 x 1.875 / 1 = 1.125;\n2 servers",
        ),
        (
            lambda: theory.token_bucket_wait(arrival_rate_per_s=5, rate_per_s=5, burst=3),
            r"got 5 and 5;\na rate_per_s above 5 would be stable",
        ),
        (
            lambda: theory.mm1(arrival_rate_per_s=0, service_rate_per_s=1),
            "arrival_rate_per_s must be > 0, got 0",
        ),
        (
            lambda: theory.mmc(arrival_rate_per_s=1, service_rate_per_s=1, servers=2.5),
            "servers must be a whole number >= 1, got 2.5",
        ),
        (
            lambda: theory.mmck(arrival_rate_per_s=1, service_rate_per_s=1, servers=3, capacity=2),
            "capacity must be a whole number >= 3, got 2",
        ),
        (
            lambda: theory.token_bucket(arrival_rate_per_s=1, rate_per_s=1, burst=0.5),
            "burst must be >= 1 token",
        ),
        (lambda: theory.attempts_per_job(1.0, None), "failure must be < 1 without max_retries"),
        (lambda: theory.attempts_per_job(1.5, 2), "failure must be from 0 to 1, got 1.5"),
        (lambda: theory.servers_needed(1.0, prob_wait=0.0), "prob_wait must be > 0, got 0.0"),
        (
            lambda: theory.mm1(arrival_rate_per_s=1, service_rate_per_s=2).wait_quantile_s(1.0),
            "p must be < 1",
        ),
        (
            lambda: theory.md1(arrival_rate_per_s=1, service_s=0.5).wait_tail(-1),
            "t_s must be >= 0, got -1",
        ),
        (lambda: theory.erlang_b(-1, 3), "offered_load must be >= 0, got -1"),
    ],
)
def test_a_refusal_names_the_rule_and_the_value_and_the_way_out(call, message):
    """A queue that has no average must not get one, and the reader must know what to change."""
    with pytest.raises(ValueError, match=message):
        call()
