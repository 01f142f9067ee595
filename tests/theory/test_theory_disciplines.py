"""Who is served next: what changes for a class, and what cannot change for all."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from theorems import close, few, figures, loads

from toolkit import theory
from toolkit.laws import Deterministic, Exponential, Gamma, HyperExponential, Uniform, mean_s

LAWS = [
    Exponential(mean_s=1.0),
    Deterministic(value_s=0.3),
    Gamma(mean_s=2.0, scv=0.5),
    HyperExponential(mean_s=0.7, scv=5.0),
]


@given(load=loads, law=st.sampled_from(LAWS), preemptive=st.booleans())
@few
def test_a_single_class_is_first_come_first_served(load, law, preemptive):
    """Nobody to pass, nobody to let pass."""
    rate = load / mean_s(law)
    plain = theory.mg1(arrival_rate_per_s=rate, service=law)
    (only,) = theory.priority(arrival_rates_per_s=[rate], services=[law], preemptive=preemptive)

    assert figures(only, "wait_s", "sojourn_s", "waiting", "jobs") == close(
        figures(plain, "wait_s", "sojourn_s", "waiting", "jobs")
    )


@given(loads_=st.lists(st.floats(0.01, 0.3), min_size=2, max_size=4))
@few
def test_what_one_class_gains_the_others_lose(loads_):
    """Kleinrock's conservation law: the waits, weighted by load, add up to the same."""
    loads_ = [min(load, 0.95 / len(loads_)) for load in loads_]
    laws = LAWS[: len(loads_)]
    rates = [load / mean_s(law) for load, law in zip(loads_, laws, strict=True)]
    work = sum(rate * law.moment(2) for rate, law in zip(rates, laws, strict=True)) / 2
    rho = sum(loads_)
    classes = theory.priority(arrival_rates_per_s=rates, services=laws)

    assert sum(c.utilisation * c.wait_s for c in classes) == close(rho * work / (1 - rho))
    assert sorted(c.wait_s for c in classes) == [c.wait_s for c in classes]


def test_who_may_interrupt_does_not_see_the_others():
    """The first class has the server to itself; with equal exponential work nothing is lost."""
    laws = [Exponential(mean_s=1.0)] * 3
    rates = [0.2, 0.3, 0.3]
    classes = theory.priority(arrival_rates_per_s=rates, services=laws, preemptive=True)

    assert classes[0].sojourn_s == close(
        theory.mm1(arrival_rate_per_s=0.2, service_rate_per_s=1.0).sojourn_s
    )
    assert sum(c.jobs for c in classes) == close(
        theory.mm1(arrival_rate_per_s=0.8, service_rate_per_s=1.0).jobs
    )


@pytest.mark.parametrize("load", [0.3, 0.8, 0.95])
def test_the_shortest_job_first_is_priority_with_a_class_for_each_size(load):
    """Phipps's integral is the limit of Cobham's sum."""
    edges = np.append(np.linspace(0.0, 12.0, 3001), 40.0)
    shares = -np.diff(np.exp(-edges))
    sizes = [Uniform(low_s=low, high_s=high) for low, high in pairwise(edges)]
    classes = theory.priority(arrival_rates_per_s=load * shares, services=sizes)
    wait_s = shares @ [c.wait_s for c in classes]
    exact_s = theory.mm1_shortest_first_wait_s(arrival_rate_per_s=load, service_rate_per_s=1.0)

    assert wait_s == pytest.approx(exact_s, rel=2e-3)
    assert exact_s < theory.mm1(arrival_rate_per_s=load, service_rate_per_s=1.0).wait_s


@given(load=loads)
@few
def test_a_shared_server_gives_every_size_the_same_stretch(load):
    """Averaged over the sizes it is M/M/1 again, but spread wider than first come first served."""
    rates = {"arrival_rate_per_s": load, "service_rate_per_s": 1.0}
    plain_s = theory.mm1(**rates).sojourn_s
    mean = quad(lambda x: math.exp(-x) * theory.shared_sojourn_s(x, utilisation=load), 0, 60)[0]

    assert mean == pytest.approx(plain_s, rel=1e-7)
    assert theory.mm1_shared_sojourn_variance_s2(**rates) > plain_s**2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: theory.priority(arrival_rates_per_s=[0.5, 0.5], services=LAWS[:1] * 2),
            r"must be < 1 \(servers\), got 1;",
        ),
        (
            lambda: theory.priority(arrival_rates_per_s=[0.5], services=LAWS[:2]),
            r"services must be as many as arrival_rates_per_s \(1\)",
        ),
        (lambda: theory.priority(arrival_rates_per_s=[], services=[]), "at least one, got 0"),
        (lambda: theory.shared_sojourn_s(1.0, utilisation=1.0), "unstable: utilisation must be"),
    ],
)
def test_classes_that_cannot_be_are_refused(call, message):
    """The message names the rule and the value."""
    with pytest.raises(ValueError, match=message):
        call()
