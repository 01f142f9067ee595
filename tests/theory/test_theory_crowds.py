"""Bounded rooms, impatient crowds, batches, and how a queue fills up."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm
from theorems import close, few, figures, loads, speeds

from toolkit import theory

NAMES = ("prob_wait", "wait_s", "waiting", "jobs", "utilisation")


@given(load=st.floats(0.05, 0.9), servers=st.integers(1, 20))
@few
def test_endless_patience_is_erlang_c(load, servers):
    """Where nobody ever leaves, Erlang A has the queue of Erlang C."""
    rates = {"arrival_rate_per_s": load * servers, "service_rate_per_s": 1.0, "servers": servers}
    patient = theory.erlang_a(**rates, patience_rate_per_s=1e-9)

    assert figures(patient, *NAMES) == pytest.approx(figures(theory.mmc(**rates), *NAMES), rel=1e-5)


@given(load=st.floats(0.05, 3.0), servers=st.integers(1, 20))
@few
def test_no_patience_at_all_is_erlang_b(load, servers):
    """Who leaves at once is turned away."""
    hasty = theory.erlang_a(
        arrival_rate_per_s=load * servers,
        service_rate_per_s=1.0,
        servers=servers,
        patience_rate_per_s=1e9,
    )

    assert hasty.prob_abandon == pytest.approx(theory.erlang_b(load * servers, servers), rel=1e-6)


@given(offered=st.floats(0.1, 60.0), servers=st.integers(1, 40), speed=speeds)
@few
def test_patience_as_long_as_a_service_makes_servers_and_queue_alike(offered, servers, speed):
    """Everybody then leaves at the same rate wherever he is: as many inside as with servers for all."""
    q = theory.erlang_a(
        arrival_rate_per_s=offered * speed,
        service_rate_per_s=speed,
        servers=servers,
        patience_rate_per_s=speed,
    )

    assert q.jobs == close(offered)
    assert q.throughput_per_s == close(offered * speed * (1 - q.prob_abandon))


def test_a_queue_fills_from_nothing_to_its_steady_state():
    """At first every arrival counts, in the end the average is that of M/M/1."""
    rates = {"arrival_rate_per_s": 0.8, "service_rate_per_s": 1.0}

    assert theory.mm1_jobs_at(0.0, **rates) == 0.0
    assert theory.mm1_jobs_at(1e-6, **rates) == pytest.approx(0.8e-6, rel=1e-5)
    assert theory.mm1_jobs_at(5000.0, **rates) == close(theory.mm1(**rates).jobs)


@pytest.mark.parametrize(("rate", "t_s"), [(0.5, 3.0), (0.9, 20.0), (1.5, 10.0)])
def test_the_filling_queue_agrees_with_a_matrix_exponential(rate, t_s):
    """Another way through the same chain; with more work than a server can do as well."""
    size = 120
    chain = np.diag(np.full(size, rate), 1) + np.diag(np.ones(size), -1)
    chain -= np.diag(chain.sum(axis=1))
    mean = expm(chain * t_s)[0] @ np.arange(size + 1)

    got = theory.mm1_jobs_at(t_s, arrival_rate_per_s=rate, service_rate_per_s=1.0)

    assert got == close(mean)


@given(load=loads, speed=speeds)
@few
def test_batches_of_one_are_no_batches(load, speed):
    """M^X/M/1 with X = 1 is M/M/1."""
    single = theory.mm1(arrival_rate_per_s=load * speed, service_rate_per_s=speed)
    q = theory.batch_mm1(
        batch_rate_per_s=load * speed,
        batch_mean=1.0,
        batch_second_moment=1.0,
        service_rate_per_s=speed,
    )
    names = ("utilisation", "wait_s", "sojourn_s", "waiting", "jobs")

    assert figures(q, *names) == close(figures(single, *names))


def test_batches_of_two_agree_with_their_chain():
    """The chain that jumps up by two and down by one, solved as it stands."""
    size, rate = 400, 0.3
    chain = np.diag(np.full(size - 1, rate), 2) + np.diag(np.ones(size), -1)
    chain -= np.diag(chain.sum(axis=1))
    chain[:, 0] = 1.0
    shares = np.linalg.solve(chain.T, np.eye(size + 1)[0])

    q = theory.batch_mm1(
        batch_rate_per_s=rate, batch_mean=2.0, batch_second_moment=4.0, service_rate_per_s=1.0
    )

    assert q.jobs == close(shares @ np.arange(size + 1))


def test_a_batch_fills_slower_the_larger_it_is_and_pays_more():
    """What the waiting buys: fewer fixed costs for each item."""
    rates = [
        theory.batch_throughput_per_s(batch=b, fixed_s=5.0, per_item_s=1.0) for b in (1, 10, 1000)
    ]
    waits_s = [theory.batch_fill_wait_s(batch=b, arrival_rate_per_s=2.0) for b in (1, 2, 11)]

    assert rates == close([1 / 6, 10 / 15, 1000 / 1005])
    assert waits_s == [0.0, 0.25, 2.5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.mm1_jobs_at(-1, arrival_rate_per_s=1, service_rate_per_s=1), "t_s must be"),
        (
            lambda: theory.batch_mm1(
                batch_rate_per_s=1, batch_mean=2, batch_second_moment=4, service_rate_per_s=2
            ),
            r"got 1 x 2 / 2 = 1;\n2 servers",
        ),
        (
            lambda: theory.batch_mm1(
                batch_rate_per_s=1, batch_mean=2, batch_second_moment=3, service_rate_per_s=9
            ),
            r"batch_second_moment must be >= batch_mean\^2 = 4, got 3",
        ),
        (
            lambda: theory.batch_mm1(
                batch_rate_per_s=1, batch_mean=0.5, batch_second_moment=4, service_rate_per_s=9
            ),
            "batch_mean must be >= 1 job, got 0.5",
        ),
        (
            lambda: theory.erlang_a(
                arrival_rate_per_s=1,
                service_rate_per_s=1,
                servers=1,
                patience_rate_per_s=math.inf,
            ),
            "patience_rate_per_s must be a finite number",
        ),
    ],
)
def test_a_crowd_that_cannot_be_is_refused(call, message):
    """The message names the rule and the value."""
    with pytest.raises(ValueError, match=message):
        call()
