"""Formula, trial, door and memo: what stands beside an advice, also for files that are odd."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from fakes import pool, simulated_test

import toolkit as tk
from toolkit.advice import beside_formula, decided, door, estimate, flooded, guarded, memo, trial

EXPONENTIAL = tk.Exponential(mean_s=0.02)
GOAL = tk.SLO(p99_s=0.1, success=0.999)
QUICK = {"jobs": 3_000, "replications": 5, "seed": 1, "progress": False}


@pytest.fixture(scope="module")
def fit():
    return tk.fit(simulated_test(pool(4, 120), jobs=12_000))


@pytest.fixture(scope="module")
def advice(fit):
    return advised(fit)


def advised(fit, slo=GOAL, load=1.5, **more):
    designs = fit.staffings(load=load)
    current = tk.advice.staffing_name(fit.workers)
    return tk.advise(designs, slo=slo, current=current, **(QUICK | more))


def searched(fit, slo=GOAL, load=1.5):
    def build(workers, cap):
        return guarded(fit.variant(workers=workers, load=load), places=cap)

    return tk.simplest(build, slo=slo, workers=range(3, 9), cap=[None, 8], **QUICK)


def written(test, *, slo=GOAL, load=1.5):
    """Return the memo of a whole road, from a test on."""
    fit = tk.fit(test)
    advice, found = advised(fit, slo, load), searched(fit, slo, load)
    decision = decided(advice, found)
    flood = flooded(decision.design, door(decision.design, slo), slo, jobs=3_000)
    tried = trial(fit, progress=False)
    return memo(fit=fit, trial=tried, advice=advice, found=found, decision=decision, flood=flood)


# --- formula ---


@pytest.mark.parametrize(("workers", "rate_per_s"), [(1, 30), (4, 150), (12, 500)])
def test_for_exponential_work_the_estimate_is_the_exact_formula(workers, rate_per_s):
    """Then M/G/c is M/M/c; 100,000 draws of the work know a 99th percentile to about a hundredth."""
    known = estimate(pool(workers, rate_per_s, EXPONENTIAL))
    exact = tk.theory.mmc(arrival_rate_per_s=rate_per_s, service_rate_per_s=50, servers=workers)

    assert known.prob_wait == pytest.approx(exact.prob_wait)
    assert known.wait_s == pytest.approx(exact.wait_s)
    assert not known.doubts or exact.utilisation > 0.9
    for p in (0.5, 0.95, 0.99):
        assert known.sojourn_quantile_s(p) == pytest.approx(exact.sojourn_quantile_s(p), rel=0.02)


def test_work_that_is_all_alike_and_comes_like_clockwork_never_waits():
    work = tk.Deterministic(value_s=0.02)
    clock = tk.Renewal(law=tk.Deterministic(value_s=0.01))
    known = estimate(dataclasses.replace(pool(4, 100, work), arrivals=clock))

    assert known.wait_s == 0
    assert known.sojourn_quantile_s(0.99) == pytest.approx(0.02)


def test_arrivals_that_vary_twice_as_much_wait_longer_by_half():
    """(ca2 + cs2) / 2 of an M/M/c wait: (2 + 1) / 2."""
    bursty = tk.Renewal(law=tk.HyperExponential(mean_s=1 / 150, scv=2))
    known = estimate(dataclasses.replace(pool(4, 150, EXPONENTIAL), arrivals=bursty))

    assert known.wait_s == pytest.approx(1.5 * estimate(pool(4, 150, EXPONENTIAL)).wait_s)
    assert "not Poisson" in known.doubts[0]


def test_what_is_overloaded_has_no_formula_and_what_has_a_cap_is_refused():
    assert estimate(pool(4, 250)) is None
    with pytest.raises(ValueError, match="without cap"):
        estimate(pool(4, 100, capacity=10))


def test_formula_and_simulator_agree_where_workers_have_time(advice):
    table = beside_formula(advice)
    quiet = table[table["utilisation"] < 0.8]

    assert len(quiet) >= 3
    assert (quiet["apart"].abs() < 0.1).all()
    assert list(table.index) == [n for n in advice.table().index if n in table.index]


def test_the_overloaded_design_has_empty_cells_and_a_reason(fit):
    table = beside_formula(advised(fit, load=1.9))

    assert table.loc["4 workers"].isna().all()
    assert any(text.startswith("4 workers: overloaded") for text in tk.advice.parted(table))


# --- trial ---


def test_a_model_of_the_right_system_passes_and_of_another_one_does_not(fit):
    same = trial(fit, simulated_test(pool(4, 60), jobs=10_000, seed=2), progress=False)
    other = trial(fit, simulated_test(pool(2, 80), jobs=6_000, seed=2), progress=False)

    assert same.is_good
    assert "another test, at" in str(same)
    assert not other.is_good
    assert "too quick" in str(other)
    assert "Not good enough" in str(other)


def test_without_another_test_half_of_the_file_is_kept_back(fit):
    alone = trial(fit, progress=False)

    assert alone.is_new
    assert len(alone.test.samples) == pytest.approx(6_000, abs=60)
    assert alone.fit.test.samples["start"].max() < alone.test.samples["start"].min()
    assert "second half" in str(alone)


def test_a_trial_on_the_very_test_that_was_fitted_proves_little():
    short = trial(tk.fit(simulated_test(pool(), jobs=150)), progress=False)

    assert not short.is_new
    assert not short.is_good
    assert "proves little" in str(short)


def test_an_unseen_test_that_is_too_short_is_said(fit):
    with pytest.raises(tk.LoadTestError, match="at least 100 requests"):
        trial(fit, simulated_test(pool(), jobs=50), progress=False)


def test_the_formula_stands_beside_each_percentile_of_a_trial(fit):
    table = trial(fit, progress=False).table

    assert (table["formula_ms"] / table["predicted_ms"] - 1).abs().max() < 0.1


# --- door ---


def test_at_the_rate_of_the_door_the_formula_just_meets_the_goal():
    design = pool(6, 190)
    bucket = door(design, GOAL)
    times = bucket.rate_per_s / 190

    assert bucket.rate_per_s < tk.advice.capacity_per_s(design) == 300
    assert estimate(design.faster(times)).sojourn_quantile_s(0.99) <= 0.1
    assert estimate(design.faster(1.01 * times)).sojourn_quantile_s(0.99) > 0.1


def test_of_a_full_burst_to_idle_workers_the_last_starts_in_time():
    """Work that is all alike: six start at once, and each 20 ms six more; 80 ms are left for waiting."""
    design = pool(6, 190, tk.Deterministic(value_s=0.02))
    bucket = door(design, tk.SLO(p99_s=0.1))
    at_once = dataclasses.replace(design, arrivals=tk.Trace(times_s=[0.0] * bucket.burst))
    wait_s = tk.simulate(at_once).jobs["wait_s"]

    assert bucket.burst == 6 + 24
    assert wait_s.max() == pytest.approx(0.08)


@pytest.mark.parametrize("slo", [tk.SLO(success=0.9), tk.SLO(p99_s=0.001)])
def test_without_a_goal_on_time_that_can_be_met_the_door_keeps_a_tenth_of_the_capacity(slo):
    assert door(pool(6, 190), slo).rate_per_s == 270


@pytest.mark.parametrize("rate_per_s", [0.02, 3.0, 4_000.0])
def test_a_door_has_a_rate_of_three_digits_at_any_scale(rate_per_s):
    work = tk.Exponential(mean_s=2 / rate_per_s)
    bucket = door(pool(4, rate_per_s, work), tk.SLO(p95_s=20 / rate_per_s))

    assert rate_per_s < bucket.rate_per_s < 2 * rate_per_s
    assert float(f"{bucket.rate_per_s:.3g}") == bucket.rate_per_s


def test_in_a_flood_those_who_get_in_are_served_in_time_and_without_a_door_hardly_anybody():
    design = pool(6, 190)
    bucket = door(design, GOAL)
    flood = flooded(design, bucket, GOAL, times=10, jobs=20_000)
    table = flood.table

    assert table.loc["door", "let in"] <= bucket.rate_per_s + bucket.burst / flood.seconds + 1e-9
    assert table.loc["door", "in time"] > 0.95 * table.loc["door", "let in"]
    assert table.loc["no door", "in time"] < 0.1 * table.loc["door", "in time"]
    assert table.loc["no door", "let in"] == table.loc["no door", "asked"]
    assert flood.refused == pytest.approx(
        1 - table.loc["door", "let in"] / table.loc["door", "asked"]
    )


def test_what_the_door_refuses_in_peace_is_what_the_simulator_sees():
    """4 standard errors of a share; refusals come in clumps, so each counts as one in five."""
    design = pool(6, 190)
    bucket = tk.TokenBucket(rate_per_s=230, burst=6)
    told = flooded(design, bucket, GOAL, jobs=1_000).refused_in_peace
    stage = dataclasses.replace(design.stages[0], limiter=bucket)
    run = tk.simulate(dataclasses.replace(design, stages=[stage]), jobs=100_000, seed=3)
    seen = (run.jobs["outcome"] == "limited").mean()

    assert seen == pytest.approx(told, abs=4 * math.sqrt(5 * told / 100_000))


def test_guarded_counts_in_what_the_workers_can_do():
    stage = guarded(pool(6, 190), places=8, share=0.9).stages[0]

    assert stage.capacity == 48
    assert stage.limiter.rate_per_s == pytest.approx(270)
    assert guarded(pool(6, 190)) == pool(6, 190)


# --- decision and memo ---


def test_the_cheapest_sure_design_of_both_is_decided_on(fit, advice):
    found = searched(fit)
    decision = decided(advice, found)
    prices = [one.table()["cost"][one.choice] for one in (advice, found)]

    assert decision.meets
    assert decision.a_month == min(prices)
    assert tk.Prices().of(decision.design) == pytest.approx(decision.a_month)


def test_if_none_meets_the_goal_the_nearest_in_time_is_taken_and_said_to_be_no_answer(fit):
    advice = advised(fit, tk.SLO(p99_s=0.01))
    decision = decided(advice)

    assert not decision.meets
    assert decision.name == advice.table()["p99_s"].idxmin()


def text_of(written_memo, section):
    return " ".join(written_memo.sections[section])


def test_the_nearest_stands_what_it_must_before_it_is_cheap(fit):
    """All are too dear; the quickest of all stands the lost worker, the cheapest does not."""
    futures = {"a worker lost": tk.Future(workers_lost=1)}
    slo = tk.SLO(p99_s=0.1, cost=100)
    advice = advised(fit, slo, futures=futures, require=("today", "a worker lost"))
    decision = decided(advice)

    assert not decision.meets
    assert (advice.survival().loc[decision.name] == "meets").all()
    assert decision.name in advice.why


def test_prices_in_a_memo_are_not_set_as_mathematics(fit, advice):
    """JupyterLab reads what stands between two dollar signs as a formula, unless told not to."""
    tried = trial(fit, progress=False)
    page = memo(fit=fit, trial=tried, advice=advice, found=advice, decision=decided(advice))

    assert page._repr_html_().count("$") > 2
    assert page._repr_html_().startswith("<div class='mathjax_ignore'>")


def test_a_memo_has_goal_price_check_doubts_and_every_witness():
    page = written(simulated_test(pool(4, 120), jobs=6_000))
    bill = text_of(page, "Bill")

    assert page.title.startswith("Decision: ")
    assert "p99 <= 100 ms, success >= 0.999, at 18" in text_of(page, "Goal")
    assert "6,000 requests" in text_of(page, "Measured")
    assert "second half" in text_of(page, "Checked")
    assert "workers: " in bill
    assert "a month" in bill
    assert "token bucket" in text_of(page, "At the door")
    says = text_of(page, "What each witness says")
    assert all(name in says for name in ("load test:", "formula:", "simulator:", "kernel: was not"))
    assert page.title.upper() in str(page)
    assert "<td" in page._repr_html_()


def closed_test():
    users = tk.Closed(users=8, think=tk.Exponential(mean_s=0.01))
    return simulated_test(dataclasses.replace(pool(4, 60), arrivals=users), threads=8)


def failing(share):
    test = simulated_test(pool(4, 120), jobs=3_000)
    lucky = np.random.default_rng(1).random(3_000) >= share
    return dataclasses.replace(test, requests=test.requests.assign(success=lucky))


ODD = {
    "closed": (closed_test, GOAL, 1.0, "(a closed test)"),
    "some fail": (lambda: failing(0.05), GOAL, 1.5, "the goal allows 0.10%; no number of workers"),
    "all fail": (lambda: failing(1.1), GOAL, 1.5, "100.00% of the measured requests fail"),
    "few": (lambda: simulated_test(pool(), jobs=150), GOAL, 1.0, "not held against anything new"),
    "overloaded": (lambda: simulated_test(pool(4, 230)), GOAL, 1.0, "did not pass its trial"),
    "quiet": (lambda: simulated_test(pool(4, 5), jobs=300), GOAL, 1.0, "too few to tell"),
    "no times": (lambda: simulated_test(pool()), tk.SLO(success=0.9), 1.0, None),
    "too quick": (lambda: simulated_test(pool()), tk.SLO(p99_s=0.001), 1.0, None),
    "too dear": (lambda: simulated_test(pool()), tk.SLO(p99_s=0.1, cost=30), 1.0, None),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_or_goal_gets_plain_words_on_the_whole_road(name):
    make, slo, load, words = ODD[name]
    page = written(make(), slo=slo, load=load)

    assert "nan" not in text_of(page, "What each witness says")
    assert words is None or words in text_of(page, "What is not sure")
    if name in ("some fail", "all fail", "too quick", "too dear"):
        assert page.title == "Decision: none of these designs surely meets the goal"
        assert "At the door" not in page.sections


def test_a_door_that_refuses_more_than_the_goal_allows_says_so(fit, advice):
    tight = tk.TokenBucket(rate_per_s=200, burst=2)
    decision = decided(advice)
    flood = flooded(decision.design, tight, GOAL, jobs=2_000)
    tried = trial(fit, progress=False)
    page = memo(
        fit=fit, trial=tried, advice=advice, found=advice, decision=decision, flood=flood
    )  # fmt: skip

    assert "more than the goal allows (0.10%)" in text_of(page, "At the door")


def test_the_memo_says_when_the_search_is_less_sure_than_the_advice(fit, advice):
    dearer = dataclasses.replace(
        advice, designs=advice.designs.assign(cost=advice.designs["cost"] + 50.0)
    )
    decision = decided(advice, dearer)
    tried = trial(fit, progress=False)
    given = {"fit": fit, "trial": tried, "advice": advice, "decision": decision}

    assert "was not sure of it" in text_of(memo(**given, found=dearer), "What is not sure")
    assert "was not sure of it" not in str(memo(**given, found=advice))


def test_parted_names_designs_by_reason():
    rows = {"a": (0.97, 0.5), "b": (0.5, -0.3), "c": (0.5, 0.01), "d": (math.nan, math.nan)}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["utilisation", "apart"])
    said = tk.advice.parted(table)

    assert [text.split(":")[0] for text in said] == ["d", "a", "b"]
    assert "builds up longer" in said[1]
