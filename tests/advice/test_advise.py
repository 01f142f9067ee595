"""Advice names the simplest design that meets the goal, and says when it is not sure."""

import dataclasses

import pytest
from fakes import pool

import toolkit as tk
from toolkit.advice.judging import settled_by_order


def staffed(*numbers, rate_per_s=140.0, **more):
    return {f"{n} workers": pool(n, rate_per_s, **more) for n in numbers}


def advised(designs, slo, **more):
    options = {"jobs": 2_000, "replications": 6, "progress": False}
    return tk.advise(designs, slo=slo, **options | more)


def test_the_cheapest_design_that_meets_the_goal_is_chosen():
    """2 workers cannot keep up with 2.8 erlangs, 3 keep up and are slow, 4 and 5 are quick."""
    enough = {"jobs": 3_000, "replications": 8}
    advice = advised(staffed(5, 2, 4, 3), tk.SLO(p99_s=0.12), current="5 workers", **enough)

    assert advice.choice == "4 workers"
    assert advice.table()["verdict"].to_dict() == {
        "2 workers": "underbuilt",
        "3 workers": "underbuilt",
        "4 workers": "fits",
        "5 workers": "overbuilt",
    }
    assert advice.verdict == "overbuilt"
    assert advice.why.startswith("5 workers (p99")
    assert "simplest design that meets p99 <= 120 ms is 4 workers" in advice.why


def test_a_design_that_cannot_keep_up_never_meets_a_goal():
    """In a short run an endless queue may look fine; the run's length must not decide."""
    advice = advised(staffed(2), tk.SLO(p99_s=1_000.0), current="2 workers")

    assert advice.choice is None
    assert advice.verdict == "underbuilt"
    assert "its queue grows without end" in advice.why


def test_an_interval_on_both_sides_of_the_goal_is_uncertain():
    first = advised(staffed(4), tk.SLO(p99_s=1.0))
    mean_s = first.table().loc["4 workers", "p99_s"]
    advice = advised(staffed(4, 8), tk.SLO(p99_s=mean_s), current="4 workers")

    assert advice.verdict == "uncertain"
    assert advice.choice == "8 workers"
    assert "Run more jobs or replications to be sure." in advice.why
    other = advised(staffed(4, 8), tk.SLO(p99_s=mean_s), current="8 workers")
    assert "4 workers might do, at less" in other.why


def test_no_design_that_meets_the_goal_is_said_with_the_nearest():
    advice = advised(staffed(4, 5), tk.SLO(p99_s=0.001))

    assert advice.choice is None
    assert "None of these designs surely meets p99 <= 1 ms" in advice.why
    assert "the nearest is" in advice.why


def test_fewer_workers_cannot_do_what_more_cannot():
    """A short noisy run may leave a small pool in doubt; a larger one that misses settles it."""
    designs = staffed(3, 30) | {"other work": pool(3, 140, tk.Exponential(mean_s=0.01))}
    answers = dict.fromkeys(designs, "uncertain") | {"30 workers": "misses"}

    assert settled_by_order(answers, designs) == {
        "3 workers": "misses",
        "30 workers": "misses",
        "other work": "uncertain",
    }


def test_work_that_is_too_slow_by_itself_is_said():
    """Workers are no remedy for work that takes longer than the goal."""
    slow = staffed(40, service=tk.Deterministic(value_s=0.2))

    assert "more workers would not help" in advised(slow, tk.SLO(p99_s=0.19)).why
    assert "would not help" not in advised(staffed(3), tk.SLO(p99_s=0.05)).why


def test_success_counts_as_well_as_speed():
    retry = tk.Retry(max_retries=3, backoff=tk.FullJitter(base_s=0.01, cap_s=1.0))
    designs = {
        "as it is": pool(4, 60, failure=0.05),
        "with retries": pool(4, 60, failure=0.05, retry=retry),
    }
    advice = advised(designs, tk.SLO(p99_s=0.5, success=0.99), current="as it is")

    assert advice.choice == "with retries"
    assert advice.verdict == "underbuilt"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_looser_goal_never_asks_for_more_workers(seed):
    costs = []
    for goal_s in (0.08, 0.12, 0.3, 2.0):
        advice = advised(staffed(3, 4, 5, 6), tk.SLO(p99_s=goal_s), seed=seed)
        costs.append(advice.table().loc[advice.choice, "cost"] if advice.choice else float("inf"))

    assert costs == sorted(costs, reverse=True)


def test_prices_decide_what_is_simple():
    """One big hop against two small ones: the price list is the judgement, and it is the user's."""
    stage = pool(4, 60).stages[0]
    two = [dataclasses.replace(stage, name=name, workers=2) for name in ("front", "back")]
    designs = {"one stage": pool(4, 60), "two stages": dataclasses.replace(pool(4, 60), stages=two)}
    slo = tk.SLO(p99_s=5.0)

    assert advised(designs, slo).choice == "one stage"
    free = tk.Prices(**dict.fromkeys(("worker", "hop", "deploy_unit", "failure_mode"), 0.0))
    assert advised(designs, slo, prices=free).table()["cost"].max() == 0
    assert advised(designs, slo, prices=tk.Prices(hop=0.0)).choice == "one stage"


BAD_GOALS = [
    ({}, "at least one goal"),
    ({"p99_s": -1}, "p99_s must be > 0, got -1"),
    ({"p99_s": float("nan")}, "p99_s must be a finite number, got nan"),
    ({"success": 99.9}, "success must be from 0 to 1, got 99.9"),
    ({"cost": -1}, "cost must be >= 0, got -1"),
    ({"recovery_s": 0}, "recovery_s must be > 0, got 0"),
    ({"p50_s": 0.3, "p99_s": 0.1}, r"p50_s must be <= p99_s \(0.1 s\).*got 0.3"),
]


@pytest.mark.parametrize(("goals", "message"), BAD_GOALS)
def test_a_goal_that_is_none_is_refused(goals, message):
    with pytest.raises(ValueError, match=message):
        tk.SLO(**goals)


def test_bad_questions_are_refused():
    with pytest.raises(ValueError, match="current must be one of the designs"):
        advised(staffed(4), tk.SLO(p99_s=1.0), current="5 workers")
    with pytest.raises(ValueError, match="at least one design"):
        advised({}, tk.SLO(p99_s=1.0))
    with pytest.raises(ValueError, match="worker must be >= 0, got -1"):
        tk.Prices(worker=-1)


def test_a_price_above_the_ceiling_misses_and_is_said():
    """A ceiling is a goal like the others, though it needs no simulation."""
    designs = staffed(4, 5)
    ceiling = tk.Prices().of(designs["4 workers"]) - 1
    advice = advised(designs, tk.SLO(p99_s=0.2, cost=ceiling))

    assert advice.choice is None
    assert "the nearest is 4 workers" in advice.why
    assert "It costs $1 a month too much." in advice.why
    assert advised(designs, tk.SLO(p99_s=0.2, cost=ceiling + 2)).choice == "4 workers"


def test_a_ceiling_alone_is_a_goal():
    advice = advised(staffed(3, 4), tk.SLO(cost=1_000))

    assert advice.choice == "3 workers"


def test_what_could_go_is_what_the_goal_is_met_without():
    """Ten workers where five do, and retries that nobody needs: both could go, the dearer is named."""
    retry = tk.Retry(max_retries=3, backoff=tk.ConstantBackoff(delay_s=0.1))
    advice = advised(staffed(10, retry=retry), tk.SLO(p99_s=0.2), current="10 workers")

    assert set(advice.spare.parts) == {"a worker of work", "the retries of work"}
    assert "Of 10 workers, the retries of work could go: that saves" in advice.why
    assert advised(staffed(4), tk.SLO(p99_s=0.12), replications=8).spare.parts == {}


def test_a_stage_goes_only_if_its_owner_allows_it():
    hop = tk.Stage(name="hop", service=tk.Deterministic(value_s=0.001), workers=4)
    design = pool(4, 60)
    designs = {"two": dataclasses.replace(design, stages=[hop, *design.stages])}

    assert "the stage hop" not in advised(designs, tk.SLO(p99_s=0.3)).spare.parts
    allowed = advised(designs, tk.SLO(p99_s=0.3), optional=["hop"]).spare
    assert next(iter(allowed.parts)) == "the stage hop"


def test_stated_parts_replace_what_a_design_says():
    """The paper knows nothing of lines of code and pages at night."""
    designs = staffed(4, 5)
    parts = {"4 workers": tk.Parts(workers=4, lines=10_000, pages=2)}
    advice = advised(designs, tk.SLO(p99_s=0.2), parts=parts)

    assert advice.choice == "5 workers"
    assert advice.table().loc["4 workers", "cost"] == tk.Prices().of(parts["4 workers"])
    with pytest.raises(ValueError, match="parts must be of the designs"):
        advised(designs, tk.SLO(p99_s=0.2), parts={"six": tk.Parts()})


def test_the_frontier_is_where_nothing_cheaper_is_as_good():
    advice = advised(staffed(3, 4, 5), tk.SLO(p99_s=0.12), replications=8)
    rows = advice.frontier()
    best = float("inf")
    for cost, p99_s, on_frontier in rows[["cost", "p99_s", "on_frontier"]].itertuples(index=False):
        assert on_frontier == (p99_s < best), cost
        best = min(best, p99_s)
    first, *others = advice.frontier("survives")["on_frontier"]
    assert (first, others) == (True, [True, False])  # 3 workers stand nothing; 5 are as good as 4

    with pytest.raises(ValueError, match="target must be one of p99_s, survives"):
        advice.frontier("p50_s")
