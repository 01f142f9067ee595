"""Futures change what is around a design, and the answers change with them."""

import dataclasses
import math

import pytest
from fakes import pool

import toolkit as tk
from toolkit.advice.judging import recovery_s
from toolkit.advice.question import Effort, question

QUICK = {"jobs": 1_500, "replications": 5, "progress": False}


def clockwork(rate_per_s=50.0, service_s=0.01):
    """Return a queue without chance: its backlog after a disturbance is known exactly."""
    stage = tk.Stage(name="work", service=tk.Deterministic(value_s=service_s))
    gaps = tk.Renewal(law=tk.Deterministic(value_s=1 / rate_per_s))
    return tk.Design(arrivals=gaps, stages=[stage])


def recovered_s(design, future, within_s=60.0):
    effort = Effort(jobs=None, replications=2, seed=0, progress=False)
    asked = question(tk.SLO(recovery_s=within_s), effort, futures={"it": future})
    [hit] = future.met_by(design).values()
    return asked.disturbed_figures(future, hit)["recovery_s"].tolist()


@pytest.mark.parametrize(("burst", "burst_s"), [(3.0, 10.0), (2.5, 20.0), (4.0, 5.0)])
def test_a_backlog_is_worked_off_with_the_slack(burst, burst_s):
    """Jobs that came too much, over jobs a second that are done beyond those that come."""
    rate_per_s, capacity_per_s = 50.0, 100.0
    backlog = (burst * rate_per_s - capacity_per_s) * burst_s
    expected_s = backlog / (capacity_per_s - rate_per_s)

    for seen_s in recovered_s(clockwork(), tk.Future(burst=burst, burst_s=burst_s)):
        assert seen_s == pytest.approx(expected_s, abs=2 / (100 - rate_per_s))


@pytest.mark.parametrize("rate_per_s", [20.0, 50.0, 80.0])
def test_an_outage_is_worked_off_with_the_slack(rate_per_s):
    expected_s = rate_per_s * 10 / (100 - rate_per_s)

    for seen_s in recovered_s(clockwork(rate_per_s), tk.Future(outage_s=10.0)):
        assert seen_s == pytest.approx(expected_s, abs=2 / (100 - rate_per_s))


def test_what_never_recovers_is_infinite():
    design = pool(2, 60)
    run = tk.simulate(design, jobs=500, seed=1)

    assert recovery_s(run, start_s=2.0, end_s=1e9) == math.inf
    assert recovery_s(run, start_s=0.0, end_s=1.0) == math.inf  # nothing to compare with


def test_a_lost_worker_is_one_worker_fewer():
    hit = tk.Future(workers_lost=1).met_by(pool(4, 60))["work"]

    assert hit == pool(3, 60)
    assert tk.Future(workers_lost=4).met_by(pool(4, 60))["work"] is None
    assert tk.Future(load=2.0).met_by(pool(4, 60))[""] == pool(4, 120)


def test_each_stage_is_hit_in_turn():
    """A design is as strong as its weakest part."""
    stage = pool(4, 60).stages[0]
    lone = dataclasses.replace(
        stage, name="lone", service=tk.Deterministic(value_s=0.001), workers=1
    )
    designs = {
        "strong": pool(4, 60),
        "weak": dataclasses.replace(pool(4, 60), stages=[stage, lone]),
    }
    futures = {"a worker lost": tk.Future(workers_lost=1)}
    advice = tk.advise(designs, slo=tk.SLO(p99_s=0.3), futures=futures, **QUICK)

    assert advice.survival()["a worker lost"].to_dict() == {"strong": "meets", "weak": "misses"}
    assert advice.table()["survives"].to_dict() == {"strong": 1.0, "weak": 0.5}


def test_only_what_is_required_decides():
    designs = {"4 workers": pool(4, 100), "8 workers": pool(8, 100)}
    slo = tk.SLO(p99_s=0.2)
    today = tk.advise(designs, slo=slo, futures=tk.FUTURES, **QUICK)
    double = tk.advise(designs, slo=slo, futures=tk.FUTURES, require=("load x2",), **QUICK)

    assert today.choice == "4 workers"
    assert double.choice == "8 workers"
    assert today.survival().equals(double.survival())


def test_with_a_goal_on_recovery_bursts_must_be_recovered_from():
    """A spike may hurt while it lasts, if it is over soon; without that goal percentiles count."""
    future = {"spike": tk.Future(burst=3.0, burst_s=5.0)}
    designs = {"4 workers": pool(4, 100), "9 workers": pool(9, 100)}
    for goal_s, choice in ((60.0, "4 workers"), (0.5, "9 workers")):
        slo = tk.SLO(p99_s=0.12, recovery_s=goal_s)
        assert tk.advise(designs, slo=slo, futures=future, **QUICK).choice == choice
    whole = tk.advise(designs, slo=tk.SLO(p99_s=0.12), futures=future, require=("spike",), **QUICK)
    assert whole.choice == "9 workers"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_more_load_never_makes_a_verdict_better(seed):
    """In steps of a fifth, from idle to overloaded; the goal is met, then in doubt, then missed."""
    loads = [0.5 * 1.2**k for k in range(9)]
    futures = {f"{load:.2f}": tk.Future(load=load) for load in loads}
    advice = tk.advise(
        {"4 workers": pool(4, 100)},
        slo=tk.SLO(p99_s=0.15),
        futures=futures,
        **QUICK | {"seed": seed},
    )
    order = ["meets", "uncertain", "misses"]
    seen = [order.index(word) for word in advice.survival()[list(futures)].iloc[0]]

    assert seen == sorted(seen)
    assert {seen[0], seen[-1]} == {0, 2}


BAD = [
    ({"load": 0}, "load must be > 0, got 0"),
    ({"burst_s": -1}, "burst_s must be > 0, got -1"),
    ({"workers_lost": 0.5}, "workers_lost must be a whole number >= 0, got 0.5"),
    ({"burst": 2, "outage_s": 3}, "give one of them"),
]


@pytest.mark.parametrize(("what", "message"), BAD)
def test_a_future_that_is_none_is_refused(what, message):
    with pytest.raises(ValueError, match=message):
        tk.Future(**what)


def test_questions_that_contradict_themselves_are_refused():
    designs = {"4 workers": pool(4, 60)}
    with pytest.raises(ValueError, match="recovery_s needs something to recover from"):
        tk.advise(designs, slo=tk.SLO(recovery_s=3), **QUICK)
    futures = {"x2": tk.Future(load=2)}
    with pytest.raises(ValueError, match="require must be 'today' or 'x2', got 'x3'"):
        tk.advise(designs, slo=tk.SLO(p99_s=3), futures=futures, require=("x3",), **QUICK)
    users = tk.Closed(users=3, think=tk.Exponential(mean_s=1.0))
    closed = {"closed": dataclasses.replace(pool(4, 60), arrivals=users)}
    with pytest.raises(ValueError, match="a burst needs open arrivals"):
        tk.advise(closed, slo=tk.SLO(p99_s=3), futures={"b": tk.Future(burst=2)}, **QUICK)
