"""Several queues: in a row, in a circle, side by side."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from theorems import close, few, figures, loads, speeds

from toolkit import theory

# --- networks ---


def test_a_row_of_stations_takes_the_sum_of_their_times():
    """Jackson: what leaves M/M/c is Poisson again."""
    network = theory.open_network(
        arrival_rates_per_s=[3.0, 0.0, 0.0],
        service_rates_per_s=[4.0, 1.0, 2.0],
        servers=[1, 4, 2],
        routes=[[0, 1, 0], [0, 0, 1], [0, 0, 0]],
    )
    alone = [
        theory.mmc(arrival_rate_per_s=3.0, service_rate_per_s=speed, servers=count).sojourn_s
        for speed, count in ((4.0, 1), (1.0, 4), (2.0, 2))
    ]

    assert network.sojourn_s == close(sum(alone))
    assert network.jobs == close(theory.jobs_inside(3.0, network.sojourn_s))


@given(load=st.floats(0.01, 0.9), failure=st.floats(0.0, 0.9))
@few
def test_a_station_that_is_its_own_successor_is_a_queue_with_retries(load, failure):
    """A failed job that joins the tail is a route back."""
    rate = load * (1 - failure)
    network = theory.open_network(
        arrival_rates_per_s=[rate], service_rates_per_s=[1.0], servers=[1], routes=[[failure]]
    )
    retried = theory.mm1_retries(
        arrival_rate_per_s=rate, service_rate_per_s=1.0, failure=failure, max_retries=None
    )

    assert network.sojourn_s == close(retried.sojourn_s)
    assert network.stations[0].utilisation == close(retried.utilisation)


@given(users=st.integers(1, 80), think_s=st.floats(0.01, 50), speed=speeds)
@few
def test_mean_value_analysis_of_one_station_is_the_interactive_system(users, think_s, speed):
    """The recursion over users, and the shares of time of a birth-death chain."""
    names = ("throughput_per_s", "sojourn_s")
    mva = theory.closed_network(users=users, think_s=think_s, demands_s=[1 / speed])
    chain = theory.closed_mmc(users=users, think_s=think_s, service_rate_per_s=speed, servers=1)

    assert figures(mva, *names) == pytest.approx(figures(chain, *names), rel=1e-8)
    assert mva.jobs[0] == pytest.approx(chain.jobs, rel=1e-7, abs=1e-12)
    assert mva.utilisations[0] == pytest.approx(chain.utilisation, rel=1e-8)


@given(
    users=st.integers(1, 60),
    think_s=st.floats(0, 5),
    demands_s=st.lists(st.floats(0.1, 2), min_size=1, max_size=5),
)
@few
def test_no_closed_network_beats_its_bounds(users, think_s, demands_s):
    """They are met by one user, who never waits, and nearly met by very many."""
    network = {"think_s": think_s, "demands_s": demands_s}
    solved, bounds = (
        solve(users=users, **network) for solve in (theory.closed_network, theory.network_bounds)
    )
    single = theory.closed_network(users=1, **network)

    assert solved.throughput_per_s <= bounds.throughput_per_s * (1 + 1e-12)
    assert solved.sojourn_s >= bounds.sojourn_s * (1 - 1e-12)
    assert sum(solved.jobs) + solved.throughput_per_s * think_s == close(users)
    assert single.sojourn_s == close(sum(demands_s))
    assert theory.closed_network(users=1500, **network).throughput_per_s == pytest.approx(
        1 / max(demands_s), rel=0.03
    )


# --- choices ---


@given(load=loads, speed=speeds)
@few
def test_a_single_choice_is_no_choice(load, speed):
    """Blindly assigned, every server is an M/M/1 of its own; so is one server of one."""
    plain = theory.mm1(arrival_rate_per_s=load * speed, service_rate_per_s=speed)
    many = theory.supermarket(arrival_rate_per_s=load * speed, service_rate_per_s=speed, choices=1)

    assert many.sojourn_s == close(plain.sojourn_s)
    assert many.prob_at_least(7) == close(plain.prob_at_least(7))


@given(load=st.floats(0.05, 0.99))
@few
def test_the_mean_over_servers_is_the_sum_of_their_tails(load):
    """Jobs by server = sum of s(k); Little's law makes the sojourn of it."""
    for choices in (2, 3, 5):
        q = theory.supermarket(arrival_rate_per_s=load, service_rate_per_s=1.0, choices=choices)
        jobs = sum(q.prob_at_least(k) for k in range(1, 60))

        assert q.sojourn_s == close(jobs / load)


def test_one_of_few_servers_chosen_blindly_is_mm1_and_all_of_them_nearly_a_shared_queue():
    """The chain of sorted lengths must meet what is known at both ends."""
    rates = {"arrival_rate_per_s": 1.4, "service_rate_per_s": 1.0, "servers": 2, "longest": 100}
    blind, best = (theory.join_shortest_sojourn_s(**rates, choices=d) for d in (1, 2))
    shared_s = theory.mmc(arrival_rate_per_s=1.4, service_rate_per_s=1.0, servers=2).sojourn_s

    assert blind == pytest.approx(1 / 0.3, rel=1e-8)
    assert theory.join_shortest_sojourn_s(**rates, choices=1, replace=True) == close(blind)
    assert shared_s < best < 1.2 * shared_s
    twice = theory.join_shortest_sojourn_s(**rates, choices=2, replace=True)
    assert best < twice < blind


def test_the_longest_queue_of_a_single_server_is_its_room():
    """What is cut off is turned away, and the mean is of those let in."""
    rates = {"arrival_rate_per_s": 0.8, "service_rate_per_s": 1.0, "servers": 1}
    room = theory.mmck(**rates, capacity=5)

    assert theory.join_shortest_sojourn_s(**rates, choices=1, longest=5) == close(room.sojourn_s)


def test_more_servers_come_closer_to_the_supermarket():
    """At a load of 0.5 the limit is 1.2657; three servers are nearer to it than two."""
    limit_s = theory.supermarket(
        arrival_rate_per_s=0.5, service_rate_per_s=1.0, choices=2
    ).sojourn_s
    two, three = (
        theory.join_shortest_sojourn_s(
            arrival_rate_per_s=0.5 * n, service_rate_per_s=1.0, servers=n, choices=2, longest=25
        )
        for n in (2, 3)
    )

    assert limit_s < three < two


# --- fan-out ---


@given(leaves=st.integers(1, 60), p=st.floats(0.0, 0.9999), data=st.data())
@few
def test_the_slowest_leaf_has_a_law(leaves, p, data):
    """Its quantiles undo its tail, and all leaves together miss a level where one may miss less."""
    q = theory.SlowestOf(leaves=leaves, k=data.draw(st.integers(1, leaves)), mean_s=0.2)

    assert q.tail(q.quantile_s(p)) == pytest.approx(1 - p, rel=1e-8)
    assert theory.any_slow(1 - theory.leaf_level(p, leaves=leaves), leaves=leaves) == (
        pytest.approx(1 - p, rel=1e-9, abs=1e-12)
    )


@pytest.mark.parametrize(("leaves", "k"), [(1, 1), (5, 3), (30, 30), (40, 1)])
def test_the_time_of_the_kth_answer_has_the_moments_it_should(leaves, k):
    """Integrals of the tail against sums of 1/i and 1/i^2."""
    q = theory.SlowestOf(leaves=leaves, k=k, mean_s=0.5)
    mean_s = quad(q.tail, 0, 20, limit=300)[0]
    square_s2 = quad(lambda t: 2 * t * q.tail(t), 0, 20, limit=300)[0]

    assert mean_s == pytest.approx(q.sojourn_s, rel=1e-7)
    assert square_s2 - mean_s**2 == pytest.approx(q.variance_s2, rel=1e-6)


@given(load=loads, speed=speeds)
@few
def test_fork_join_of_two_is_exact_and_lies_between_one_queue_and_two_in_turn(load, speed):
    """Waiting for both is longer than for one and shorter than for independent ones."""
    rates = {"arrival_rate_per_s": load * speed, "service_rate_per_s": speed}
    both_s = theory.fork_join_two_s(**rates)
    one_s = theory.mm1(**rates).sojourn_s

    assert one_s < both_s < 1.5 * one_s
    assert theory.fork_join_estimate_s(**rates, servers=2) == close(both_s)


def test_fork_join_without_queues_is_the_slowest_of_all():
    """At no load the estimate must be H(n) services."""
    q = theory.fork_join_estimate_s(arrival_rate_per_s=1e-9, service_rate_per_s=2.0, servers=8)

    assert q == pytest.approx(theory.SlowestOf(leaves=8, k=8, mean_s=0.5).sojourn_s, rel=1e-8)


def two_kinds(t):
    return 0.95 * math.exp(-t) + 0.05 * math.exp(-t / 20)


def test_a_hedge_is_worth_something_between_two_copies_at_once_and_none():
    """At once: the fastest of two.  After a very long delay: as if alone."""
    at_once, soon, never = (theory.Hedged(alone=two_kinds, delay_s=d) for d in (0.0, 2.0, 2000.0))
    fastest_s = 0.95**2 / 2 + 2 * 0.95 * 0.05 / (1 + 1 / 20) + 0.05**2 * 10

    assert at_once.mean_s() == close(fastest_s)
    assert never.mean_s() == close(0.95 + 0.05 * 20)
    assert at_once.mean_s() < soon.mean_s() < never.mean_s()
    assert at_once.extra == 1.0 > soon.extra > never.extra
    assert soon.tail(soon.quantile_s(0.999)) == pytest.approx(0.001, rel=1e-9)
    assert soon.tail(2.0) == two_kinds(2.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: theory.open_network(
                arrival_rates_per_s=[1], service_rates_per_s=[2], servers=[1], routes=[[1]]
            ),
            "routes must let every job leave some day",
        ),
        (
            lambda: theory.open_network(
                arrival_rates_per_s=[1], service_rates_per_s=[2], servers=[1], routes=[[0.7, 0.5]]
            ),
            "routes must have 1 rows of shares",
        ),
        (
            lambda: theory.open_network(
                arrival_rates_per_s=[2], service_rates_per_s=[2], servers=[1], routes=[[0]]
            ),
            "unstable",
        ),
        (
            lambda: theory.closed_network(users=3, think_s=1, demands_s=[0]),
            "demands_s must hold a demand above 0 s",
        ),
        (
            lambda: theory.join_shortest_sojourn_s(
                arrival_rate_per_s=1, service_rate_per_s=1, servers=2, choices=3, longest=9
            ),
            r"choices must be at most 2 \(servers\), got 3",
        ),
        (lambda: theory.SlowestOf(leaves=2, k=3, mean_s=1.0), "k must be at most leaves = 2"),
        (lambda: theory.Hedged(alone=two_kinds, delay_s=-1.0), "delay_s must be >= 0"),
    ],
)
def test_a_network_that_cannot_be_is_refused(call, message):
    """The message names the rule and the value."""
    with pytest.raises(ValueError, match=message):
        call()
