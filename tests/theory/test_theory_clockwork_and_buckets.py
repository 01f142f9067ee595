"""Clockwork services and token buckets, against Crommelin's sum and against each other."""

import math
from decimal import Decimal, localcontext
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from theorems import close, few, loads, speeds

from toolkit import theory
from toolkit.laws import Deterministic


def crommelin(rho, x):
    """P(wait <= x) / P(wait = 0) of M/D/1 with unit services: the alternating sum, 400 digits."""
    with localcontext(prec=400):
        load, level, total, factorial = Decimal(rho), Decimal(x), Decimal(0), Decimal(1)
        for k in range(math.floor(x) + 1):
            factorial *= max(k, 1)
            z = load * (k - level)
            total += (z**k if k else 1) / factorial * (-z).exp()
        return total


def crommelin_tail(rho, x):
    with localcontext(prec=400):
        return float(1 - (1 - Decimal(rho)) * crommelin(rho, x))


# --- the law of the M/D/1 wait --------------------------------------------------------------------


@pytest.mark.parametrize("load", [0.01, 0.2, 0.5, 0.8, 0.95, 0.999, 1 - 1e-9])
@pytest.mark.parametrize("x", [0.0, 0.3, 1.0, 5.5, 20.0, 63.9, 64.0, 64.1, 66.5, 130.25])
def test_the_wait_of_clockwork_services_equals_crommelins_sum_in_400_digits(load, x):
    """In doubles that sum is noise beyond 15 services; ours is good wherever the tail is a float."""
    q = theory.md1(arrival_rate_per_s=2 * load, service_s=0.5)

    assert q.wait_tail(0.5 * x) == pytest.approx(crommelin_tail(load, x), rel=1e-11, abs=1e-290)


@given(load=loads, service_s=st.floats(0.001, 100), t=st.lists(st.floats(0, 300), min_size=2))
@few
def test_the_wait_of_clockwork_services_has_a_distribution_function(load, service_s, t):
    """It starts at 1 - rho, never falls and never leaves 0 to 1."""
    wait_cdf = partial(
        theory.md1_wait_cdf, arrival_rate_per_s=load / service_s, service_s=service_s
    )
    heights = [wait_cdf(x * service_s) for x in sorted(t)]

    assert wait_cdf(0.0) == close(1 - load)
    assert all(low <= high + 1e-14 for low, high in pairwise(heights))
    assert all(0 <= height <= 1 for height in heights)


@pytest.mark.parametrize("load", [0.1, 0.5, 0.9, 0.97])
def test_the_wait_of_clockwork_services_integrates_to_pollaczek_and_khinchine(load):
    """Two roads to one mean: its whole law, and the first two moments of the service."""
    q = theory.md1(arrival_rate_per_s=load, service_s=1.0)
    kinks = [quad(q.wait_tail, k, k + 1, limit=10)[0] for k in range(20)]
    rest = quad(q.wait_tail, 20, 20 + 60 / (1 - load), limit=200)[0]

    assert sum(kinks) + rest == pytest.approx(q.wait_s, rel=1e-7)
    assert q.wait_s == close(
        theory.mg1(arrival_rate_per_s=load, service=Deterministic(value_s=1.0)).wait_s
    )


@given(load=loads, p=st.floats(0.0, 0.999999))
@few
def test_quantiles_of_the_clockwork_wait_undo_its_tail(load, p):
    """Below the atom at 0 the quantile is 0; above, the tail at it is what was asked for."""
    q = theory.md1(arrival_rate_per_s=load, service_s=1.0)
    wait_s = q.wait_quantile_s(p)

    assert q.wait_tail(wait_s) == pytest.approx(min(1 - p, load), rel=1e-9)
    assert q.sojourn_quantile_s(p) == wait_s + 1.0


# --- token buckets ----------------------------------------------------------------------------------


@given(load=st.floats(0.001, 1e6), rate=speeds)
@few
def test_a_bucket_without_depth_loses_like_a_single_server_without_a_queue(load, rate):
    """With burst = 1 it is Erlang's loss system with one server: rho / (1 + rho)."""
    q = theory.token_bucket(arrival_rate_per_s=load * rate, rate_per_s=rate, burst=1)

    assert q.lost == close(theory.erlang_b(load, 1))
    assert q.full == q.admitted == close(1 / (1 + load))


@given(load=st.floats(0.01, 300), burst=st.floats(1, 500), more=st.floats(1, 50))
@few
def test_what_a_bucket_admits_is_what_it_refills(load, burst, more):
    """Tokens used = tokens made while not full, whatever the load; depth never hurts."""
    q = theory.token_bucket(arrival_rate_per_s=load * 3, rate_per_s=3, burst=burst)
    deeper = theory.token_bucket(arrival_rate_per_s=load * 3, rate_per_s=3, burst=burst + more)

    assert q.admitted_per_s == close(3 * (1 - q.full))
    assert q.admitted + q.lost == close(1)
    assert 0 <= q.lost <= 1
    assert deeper.lost <= q.lost + 1e-14


@pytest.mark.parametrize(
    ("load", "burst"),
    [(0.5, 60), (0.9, 100.25), (0.999, 300), (1.0, 200), (1.001, 150.5), (1.5, 90), (8.0, 2.5)],
)
def test_losses_of_a_deep_bucket_equal_crommelins_sum_in_400_digits(load, burst):
    """A loss of 1e-33 and one beside rho = 1 are the places where subtraction would ruin it."""
    with localcontext(prec=400):
        growth = crommelin(load, burst - 1)
        lost = float((1 + (Decimal(load) - 1) * growth) / (1 + Decimal(load) * growth))

    got = theory.token_bucket(arrival_rate_per_s=load, rate_per_s=1, burst=burst).lost

    assert got == pytest.approx(lost, rel=1e-11, abs=0)


@pytest.mark.parametrize("burst", [1.0, 1.5, 4.0, 30.0, 70.25, 200.0])
def test_a_bucket_as_fast_as_its_traffic_is_the_limit_from_both_sides(burst):
    """At rho = 1 the formulas for below and above meet; all of it is finite there."""
    below, at, above = (
        theory.token_bucket(arrival_rate_per_s=rate, rate_per_s=1.0, burst=burst).lost
        for rate in (1 - 1e-9, 1.0, 1 + 1e-9)
    )

    assert below < at < above
    assert (below + above) / 2 == pytest.approx(at, rel=1e-6)


@given(load=loads, rate=speeds)
@few
def test_a_shaping_bucket_without_depth_is_a_server_with_clockwork_services(load, rate):
    """With burst = 1, when empty wait: the wait for a token is the M/D/1 wait."""
    shaped = theory.token_bucket_wait(arrival_rate_per_s=load * rate, rate_per_s=rate, burst=1)
    clockwork = theory.md1(arrival_rate_per_s=load * rate, service_s=1 / rate)

    assert shaped.wait_s == close(clockwork.wait_s)
    assert shaped.wait_quantile_s(0.99) == pytest.approx(clockwork.wait_quantile_s(0.99), rel=1e-7)


@pytest.mark.parametrize(("load", "burst"), [(0.5, 3), (0.9, 7.5), (0.97, 80)])
def test_the_mean_wait_for_a_token_is_the_integral_of_its_tail(load, burst):
    """The mean comes from a sum over whole tokens of debt; integration knows nothing of that."""
    q = theory.token_bucket_wait(arrival_rate_per_s=10 * load, rate_per_s=10, burst=burst)
    mean_s = quad(q.wait_tail, 0, 10 / (1 - load), limit=400)[0]

    assert mean_s == pytest.approx(q.wait_s, rel=1e-6)
    assert q.prob_wait == q.wait_tail(0.0)
