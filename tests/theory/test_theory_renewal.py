"""Any gaps, work in phases, many clockwork servers: each meets a queue that is known."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from theorems import close, few, figures, loads, speeds

from toolkit import theory
from toolkit.laws import (
    Deterministic,
    Empirical,
    Exponential,
    Gamma,
    HyperExponential,
    LogNormal,
    Pareto,
    Uniform,
)

GAPS = [
    Deterministic(value_s=1.0),
    Uniform(low_s=0.5, high_s=1.5),
    Gamma(mean_s=1.0, scv=0.3),
    Exponential(mean_s=1.0),
    HyperExponential(mean_s=1.0, scv=4.0),
]


@given(load=loads, speed=speeds)
@few
def test_exponential_gaps_are_poisson_arrivals(load, speed):
    """G/M/1 with G = M, quantiles included; and with gaps that are exponential in disguise."""
    names = ("utilisation", "prob_wait", "wait_s", "sojourn_s", "waiting", "jobs")
    plain = theory.mm1(arrival_rate_per_s=load * speed, service_rate_per_s=speed)
    for gaps in (
        Exponential(mean_s=1 / (load * speed)),
        Gamma(mean_s=1 / (load * speed), scv=1.0),
        HyperExponential(mean_s=1 / (load * speed), scv=1.0),
    ):
        q = theory.gm1(interarrival=gaps, service_rate_per_s=speed)

        assert figures(q, *names) == pytest.approx(figures(plain, *names), rel=1e-8)
        assert q.wait_quantile_s(0.99) == pytest.approx(plain.wait_quantile_s(0.99), rel=1e-8)


@given(load=st.floats(0.05, 0.97))
@few
def test_the_more_uneven_the_gaps_the_longer_the_wait_and_kingman_bounds_it(load):
    """The estimate of heavy traffic may err to either side; the bound may not."""
    gaps = [law.times(1 / load) for law in GAPS]
    work = Exponential(mean_s=1.0)
    waits_s = [theory.gm1(interarrival=law, service_rate_per_s=1.0).wait_s for law in gaps]
    bounds_s = [theory.kingman_bound_s(interarrival=law, service=work) for law in gaps]

    assert waits_s == sorted(waits_s)
    assert all(wait <= bound for wait, bound in zip(waits_s, bounds_s, strict=True))


@given(load=loads, scv=st.floats(0.1, 20))
@few
def test_kingmans_estimate_is_pollaczek_and_khinchine_for_poisson_arrivals(load, scv):
    """There it is no estimate."""
    gaps, work = Exponential(mean_s=1 / load), LogNormal(mean_s=1.0, scv=scv)
    exact_s = theory.mg1(arrival_rate_per_s=load, service=work).wait_s

    assert theory.kingman_estimate_s(interarrival=gaps, service=work) == close(exact_s)


def test_measured_gaps_that_are_all_alike_are_a_clock():
    """The transform of samples, against the one in closed form."""
    clock = theory.gm1(interarrival=Deterministic(value_s=1.25), service_rate_per_s=1.0)
    measured = theory.gm1(interarrival=Empirical(samples_s=[1.25] * 3), service_rate_per_s=1.0)

    assert measured.wait_s == close(clock.wait_s)
    assert clock.wait_tail(clock.wait_quantile_s(0.95)) == close(0.05)


@pytest.mark.parametrize(
    "law",
    [
        Exponential(mean_s=2.0),
        Gamma(mean_s=2.0, scv=0.25),
        HyperExponential(mean_s=2.0, scv=6.0),
    ],
)
def test_the_wait_for_work_in_phases_has_pollaczek_and_khinchines_mean(law):
    """Two roads to one mean: the whole law of the wait, and two moments of the service."""
    q = theory.mph1(arrival_rate_per_s=0.35, service=law)
    mean_s = quad(q.wait_tail, 0, 60 * q.sojourn_s, limit=300)[0]

    assert mean_s == pytest.approx(q.wait_s, rel=1e-7)
    assert q.wait_tail(0.0) == close(q.utilisation)
    assert q.wait_tail(q.wait_quantile_s(0.97)) == pytest.approx(0.03, rel=1e-9)


@pytest.mark.parametrize(
    "law", [Gamma(mean_s=2.0, scv=0.25), HyperExponential(mean_s=2.0, scv=6.0)]
)
def test_wait_and_service_in_phases_last_as_long_as_both(law):
    """The mean of the sum is the sum of the means, and nobody is done at once."""
    q = theory.mph1(arrival_rate_per_s=0.35, service=law)
    mean_s = quad(q.sojourn_tail, 0, 60 * q.sojourn_s, limit=300)[0]

    assert mean_s == pytest.approx(q.sojourn_s, rel=1e-7)
    assert q.sojourn_tail(0.0) == close(1.0)
    assert q.sojourn_tail(3.0) > q.wait_tail(3.0)


@given(load=st.floats(0.02, 0.97), p=st.floats(0.0, 0.9999))
@few
def test_one_phase_is_the_exponential_server(load, p):
    phases = theory.mph1(arrival_rate_per_s=load, service=Exponential(mean_s=1.0))
    plain = theory.mm1(arrival_rate_per_s=load, service_rate_per_s=1.0)

    assert phases.sojourn_quantile_s(p) == pytest.approx(plain.sojourn_quantile_s(p), rel=1e-6)


@given(load=st.floats(0.02, 0.97), servers=st.integers(1, 20), p=st.floats(0.0, 0.9999))
@few
def test_the_estimate_for_many_servers_is_exact_for_exponential_work(load, servers, p):
    exact = theory.mmc(arrival_rate_per_s=load * servers, service_rate_per_s=1.0, servers=servers)
    estimate = theory.mgc_estimate(
        arrival_rate_per_s=load * servers, service=Exponential(mean_s=1.0), servers=servers
    )
    names = ("utilisation", "prob_wait", "wait_s", "sojourn_s", "waiting", "jobs")

    assert figures(estimate, *names) == close(figures(exact, *names))
    assert estimate.wait_tail(0.7) == close(exact.wait_tail(0.7))
    assert estimate.sojourn_quantile_s(p) == close(exact.sojourn_quantile_s(p))


@pytest.mark.parametrize("law", [Deterministic(value_s=0.5), HyperExponential(mean_s=2.0, scv=6.0)])
def test_the_estimate_for_one_server_has_pollaczek_and_khinchines_mean(law):
    estimate = theory.mgc_estimate(arrival_rate_per_s=0.3, service=law, servers=1)

    assert estimate.wait_s == close(theory.mg1(arrival_rate_per_s=0.3, service=law).wait_s)


@pytest.mark.parametrize(("servers", "load"), [(2, 0.5), (4, 0.8), (4, 0.95), (16, 0.9)])
def test_the_estimate_is_close_for_clockwork_at_many_servers(servers, load):
    """Where there is an exact law that is not exponential."""
    rules = {"arrival_rate_per_s": 5 * load * servers, "servers": servers}
    exact = theory.mdc(service_s=0.2, **rules)
    estimate = theory.mgc_estimate(service=Deterministic(value_s=0.2), **rules)

    assert estimate.wait_s == pytest.approx(exact.wait_s, rel=0.1)
    assert estimate.wait_s < exact.wait_s
    assert estimate.sojourn_s == pytest.approx(exact.sojourn_s, rel=0.01)


def test_the_estimate_of_heavy_work_is_the_branches_together():
    """A job is of one branch, and waits like any other."""
    law = HyperExponential(mean_s=1.0, scv=4.0)
    q = theory.mgc_estimate(arrival_rate_per_s=3.2, service=law, servers=4)
    mean_s = quad(q.sojourn_tail, 0, 80 * q.sojourn_s, limit=400)[0]

    assert mean_s == pytest.approx(q.sojourn_s, rel=1e-6)
    assert q.wait_tail(0.0) == close(q.prob_wait)


def test_very_many_phases_are_a_clock():
    """Erlang with 100 phases waits about as M/D/1 does, 1% longer on average."""
    phases = theory.mph1(arrival_rate_per_s=0.8, service=Gamma(mean_s=1.0, scv=0.01))
    clock = theory.md1(arrival_rate_per_s=0.8, service_s=1.0)

    assert phases.wait_s == close(1.01 * clock.wait_s)
    assert phases.wait_quantile_s(0.99) == pytest.approx(clock.wait_quantile_s(0.99), rel=0.015)


@given(load=st.floats(0.02, 0.97), t=st.floats(0.0, 12.0))
@few
def test_one_clockwork_server_of_many_is_md1(load, t):
    """The linear system against level crossing: two derivations, one law."""
    many = theory.mdc(arrival_rate_per_s=load / 2.0, service_s=2.0, servers=1)
    one = theory.md1(arrival_rate_per_s=load / 2.0, service_s=2.0)
    names = ("utilisation", "prob_wait", "wait_s", "sojourn_s", "waiting", "jobs")

    assert figures(many, *names) == pytest.approx(figures(one, *names), rel=1e-8, abs=1e-12)
    assert many.wait_cdf(2.0 * t) == pytest.approx(one.wait_cdf(2.0 * t), abs=1e-11)


@pytest.mark.parametrize(("servers", "load"), [(2, 0.5), (3, 0.9), (20, 0.95), (60, 0.8)])
def test_the_wait_at_many_clockwork_servers_integrates_to_its_mean(servers, load):
    """Franx's law of the wait, and Little's law for those waiting."""
    q = theory.mdc(arrival_rate_per_s=load * servers, service_s=1.0, servers=servers)
    steps = max(8, math.ceil(60 / servers / (1 - load)))
    mean_s = sum(quad(lambda t: 1 - q.wait_cdf(t), k, k + 1)[0] for k in range(steps))

    assert mean_s == pytest.approx(q.wait_s, rel=1e-6, abs=1e-12)
    assert q.wait_cdf(0.0) == pytest.approx(1 - q.prob_wait, abs=1e-12)
    assert q.chances.sum() == close(1)
    assert q.wait_cdf(q.wait_quantile_s(0.999)) == pytest.approx(0.999, abs=1e-9)
    # a clock about halves the wait of exponential work, with many servers a little less
    exponential = theory.mmc(
        arrival_rate_per_s=load * servers, service_rate_per_s=1.0, servers=servers
    )
    assert 0.45 * exponential.wait_s < q.wait_s < 0.8 * exponential.wait_s


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: theory.gm1(interarrival=GAPS[0], service_rate_per_s=1.0),
            r"must be < 1 \(servers\), got 1 / 1 = 1",
        ),
        (
            lambda: theory.gm1(interarrival=LogNormal(mean_s=2.0, scv=1.0), service_rate_per_s=1.0),
            r"must have a transform in closed form, got LogNormal",
        ),
        (
            lambda: theory.mph1(arrival_rate_per_s=0.5, service=Gamma(mean_s=1.0, scv=0.3)),
            "must be exponential, hyperexponential or Erlang, got Gamma",
        ),
        (
            lambda: theory.mdc(arrival_rate_per_s=4, service_s=1, servers=4),
            r"must be < 4 \(servers\), got 4 x 1 = 4;\n5 servers",
        ),
        (
            lambda: theory.mgc_estimate(
                arrival_rate_per_s=1, service=Deterministic(value_s=1.0), servers=2
            ).sojourn_tail(1.0),
            "service must be exponential or hyperexponential, got Deterministic",
        ),
        (
            lambda: theory.mgc_estimate(
                arrival_rate_per_s=1, service=Pareto(mean_s=0.5, alpha=1.5), servers=2
            ),
            "scv of service must be a finite number, got inf",
        ),
        (
            lambda: theory.mgc_estimate(
                arrival_rate_per_s=9, service=Exponential(mean_s=0.5), servers=4
            ),
            r"must be < 4 \(servers\)",
        ),
        (
            lambda: theory.kingman_bound_s(interarrival=GAPS[0], service=GAPS[0]),
            "unstable: mean service / mean interarrival",
        ),
    ],
)
def test_what_has_no_average_or_no_formula_is_refused(call, message):
    """The message names the rule and the value."""
    with pytest.raises(ValueError, match=message):
        call()
