"""The search finds the simplest design, where theory knows which it is."""

import math
import os
from collections import Counter
from functools import partial
from itertools import count

import pytest
from fakes import pool

import toolkit as tk

SEEDS = int(os.environ.get("GOODPUT_SEEDS", "10"))
"""Seeds a case; 100 is the full statement: right in 95 of them."""

QUICK = {"jobs": 4_000, "progress": False}


def queue(workers=1, cap=None, *, rate_per_s, service_s=1.0):
    service = tk.Exponential(mean_s=service_s)
    return pool(workers, rate_per_s, service, capacity=cap)


def hops_of(hops, *, failure, retries=0):
    """Return ``hops`` in a row that nobody waits at, each of which fails by itself."""
    retry = tk.Retry(max_retries=retries, backoff=tk.ConstantBackoff(delay_s=0.0))
    stages = [
        tk.Stage(
            name=f"hop {number}",
            service=tk.Deterministic(value_s=0.001),
            workers=3,
            failure=failure,
            retry=retry if retries else None,
        )
        for number in range(hops)
    ]
    return tk.Design(arrivals=tk.Poisson(rate_per_s=10), stages=stages)


def between(good, bad):
    """Return a goal that ``good`` meets and ``bad`` misses, as far from both as it can be."""
    return math.sqrt(good * bad) if math.isfinite(bad) else 1.3 * good


def quantile_s(workers, load, percent):
    """Return a percentile of the sojourn time of M/M/c with a mean service of 1 s; Erlang's C."""
    if workers <= load:
        return math.inf
    exact = tk.theory.mmc(arrival_rate_per_s=load, service_rate_per_s=1.0, servers=workers)
    return exact.sojourn_quantile_s(percent / 100)


def fewest_workers(load, workers, percent):
    """Ask for the least number of servers for a percentile of the sojourn time."""
    goal_s = between(quantile_s(workers, load, percent), quantile_s(workers - 1, load, percent))
    truth = next(c for c in count(1) if quantile_s(c, load, percent) <= goal_s)
    space = {"workers": range(max(1, truth - 3), truth + 4)}
    build = partial(queue, rate_per_s=load)
    return build, space, tk.SLO(**{f"p{percent}_s": goal_s}), f"workers={truth}"


def blocked(cap, load, workers):
    exact = tk.theory.mmck(
        arrival_rate_per_s=load, service_rate_per_s=1.0, servers=workers, capacity=cap
    )
    return exact.prob_blocked


def shortest_queue(load, workers, cap):
    """Ask for the least room in front of the servers for a share that is turned away (Erlang, M/M/c/K)."""
    goal = between(blocked(cap, load, workers), blocked(cap - 1, load, workers))
    truth = next(k for k in count(workers) if blocked(k, load, workers) <= goal)
    space = {"cap": range(max(workers, truth - 3), truth + 4)}
    build = partial(queue, workers, rate_per_s=load)
    return build, space, tk.SLO(success=1 - goal), f"cap={truth}"


def fewest_retries(hops, failure, retries):
    """Ask for the least retries at every hop: a job is done with (1 - f^(r+1))^n."""

    def success(r):
        return tk.theory.series_availability(1 - failure ** (r + 1), parts=hops)

    goal = 1 - between(1 - success(retries), 1 - success(retries - 1))
    truth = next(r for r in count(0) if success(r) >= goal)
    build = partial(hops_of, hops, failure=failure)
    return (
        lambda retries: build(retries=retries),
        {"retries": range(6)},
        tk.SLO(success=goal),
        (f"retries={truth}"),
    )


def most_hops(failure, hops):
    """Ask, with hops as free as they are said to be, how many a goal allows: a^n."""

    def success(n):
        return tk.theory.series_availability(1 - failure, parts=n)

    goal = 1 - between(1 - success(hops), 1 - success(hops + 1))
    truth = max(n for n in range(1, 30) if success(n) >= goal)
    build = partial(hops_of, failure=failure)
    return (
        build,
        {"hops": range(hops + 3, max(0, hops - 3), -1)},
        tk.SLO(success=goal),
        f"hops={truth}",
    )


CASES = {
    **{
        f"{workers} workers, p{percent}": fewest_workers(load, workers, percent)
        for load, workers, percent in [
            (0.5, 1, 90),
            (0.7, 2, 50),
            (1.5, 2, 95),
            (1.5, 3, 99),
            (3.0, 4, 50),
            (3.0, 5, 90),
            (4.5, 6, 95),
            (8.0, 9, 90),
            (8.0, 10, 50),
        ]
    },
    **{
        f"room for {cap}, {workers} workers": shortest_queue(load, workers, cap)
        for load, workers, cap in [(0.8, 1, 5), (0.9, 1, 8), (2.5, 3, 6), (4.0, 4, 7), (6.0, 5, 9)]
    },
    **{
        f"{retries} retries, {hops} hops": fewest_retries(hops, failure, retries)
        for hops, failure, retries in [(1, 0.1, 1), (3, 0.2, 2), (5, 0.3, 3)]
    },
    **{
        f"at most {hops} hops": most_hops(failure, hops)
        for failure, hops in [(0.02, 3), (0.05, 2), (0.01, 4)]
    },
}
FREE = tk.Prices(**dict.fromkeys(("worker", "hop", "deploy_unit", "failure_mode", "knob"), 0.0))
"""Where nothing costs anything, the order given decides."""


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_the_one_that_theory_knows(name):
    """Stated confidence 95%: of 100 seeds at least 95 must be right, of ten all but one."""
    build, space, slo, truth = CASES[name]
    prices = FREE if "hops" in space or "cap" in space else None
    found = Counter(
        tk.simplest(build, slo=slo, prices=prices, seed=seed, **QUICK, **space).choice
        for seed in range(SEEDS)
    )

    assert len(CASES) == 20
    assert found[truth] >= math.floor(0.95 * SEEDS), (truth, found)


def test_it_stops_at_the_first_that_meets_the_goal():
    build = partial(queue, rate_per_s=3.0)
    advice = tk.simplest(build, slo=tk.SLO(p90_s=4.0), workers=range(1, 9), **QUICK)

    looked_at = list(advice.comparison.replications)
    assert looked_at[-1] == advice.choice
    assert list(advice.unseen) == ["workers=1", "workers=2", "workers=3"]
    assert "overloaded" in advice.unseen["workers=3"]
    assert "with a confidence of 95% no verdict is wrong" in advice.why


def test_the_order_of_the_space_does_not_matter_but_for_equal_prices():
    build = partial(queue, rate_per_s=3.0)
    orders = ([7, 4, 6, 5], [4, 5, 6, 7])
    found = [tk.simplest(build, slo=tk.SLO(p90_s=4.0), workers=order, **QUICK) for order in orders]

    assert found[0].choice == found[1].choice
    assert list(found[0].comparison.replications) == list(found[1].comparison.replications)


def test_replications_are_doubled_while_the_answer_is_in_doubt():
    """The goal is 2% away: two replications cannot tell, some more can."""
    goal_s = 1.02 * quantile_s(4, 3.0, 50)
    ask = partial(tk.simplest, partial(queue, rate_per_s=3.0), slo=tk.SLO(p50_s=goal_s), **QUICK)
    few = ask(workers=[4], replications=2, max_replications=2)
    many = ask(workers=[4], replications=2, max_replications=1_024)

    assert few.choice is None
    assert "workers=4 might do" in few.why
    assert many.choice == "workers=4"
    assert len(many.comparison.replications["workers=4"].figures) > 2


def test_what_a_larger_one_has_missed_is_not_simulated():
    """Cheap workers and a dear cap: the small designs come after a larger one that missed."""
    slo = tk.SLO(p99_s=0.5)  # the work itself takes longer
    prices = tk.Prices(worker=0.0)
    build = partial(queue, rate_per_s=0.5)
    advice = tk.simplest(build, slo=slo, prices=prices, workers=[3, 2, 1], **QUICK)

    assert advice.choice is None
    assert list(advice.comparison.replications) == ["workers=3"]
    assert "with more workers it misses as well" in advice.unseen["workers=1"]
    assert (
        "None of these designs surely meets p99 <= 500 ms; the nearest is workers=3" in advice.why
    )


def test_what_is_too_dear_is_not_simulated():
    slo = tk.SLO(p99_s=100.0, cost=200.0)
    advice = tk.simplest(partial(queue, rate_per_s=0.5), slo=slo, workers=[1, 2, 9], **QUICK)

    assert advice.choice == "workers=1"
    nothing = tk.simplest(
        partial(queue, rate_per_s=0.5), slo=tk.SLO(p99_s=100.0, cost=1.0), workers=[2, 9], **QUICK
    )
    assert nothing.choice is None
    assert "more than the goal allows" in nothing.why


def test_an_empty_space_is_refused():
    build = partial(queue, rate_per_s=0.5)
    with pytest.raises(ValueError, match=r"workers must be a list of values, got \[\]"):
        tk.simplest(build, slo=tk.SLO(p99_s=1), workers=[])
    with pytest.raises(ValueError, match="axes must be given"):
        tk.simplest(build, slo=tk.SLO(p99_s=1))
    with pytest.raises(ValueError, match="confidence must be between 0 and 1"):
        tk.simplest(build, slo=tk.SLO(p99_s=1), confidence=95, workers=[1])
