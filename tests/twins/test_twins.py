"""Twins are fitted at low load, and foretell what they have not seen within limits set before."""

import dataclasses

import pytest

import toolkit as tk
from toolkit import twins

UNSEEN = [
    str(name)
    for name, row in twins.runs().iterrows()
    if row["scenario"] not in twins.LOW_LOAD and not isinstance(row["action"], str)
]


@pytest.fixture(scope="module")
def checks():
    return twins.checks()["within"].unstack("figure")


@pytest.mark.parametrize("run", UNSEEN)
def test_an_unseen_run_is_foretold_within_the_limits(run, checks):
    """15% on p50 and p95, 25% on p99, 5% on jobs done a second; a listed miss must really be one."""
    assert checks.loc[run].all() != (run in twins.MISSES)


def test_every_miss_has_its_run_and_its_reason():
    assert set(twins.MISSES) <= set(UNSEEN)
    assert all(len(reason) > 20 for reason in twins.MISSES.values())


def test_nearly_all_runs_are_foretold():
    """The list of misses must not become the rule."""
    assert len(twins.MISSES) <= len(UNSEEN) // 5


@pytest.mark.parametrize("service", twins.SERVICES)
def test_what_was_fitted_is_what_was_measured(service):
    """The law of the work is known: a mean of 20 ms, a squared coefficient of variation of 0.5."""
    fitted = twins.twin(service)
    table = twins.figures()
    quiet = table[(table["service"] == service) & (table["scenario"] == "steady-060")].iloc[0]

    assert fitted.work.mean_s == pytest.approx(0.020, rel=0.02)
    assert fitted.work.scv == pytest.approx(0.5, rel=0.1)
    assert fitted.processor_s * 1000 <= quiet["processor_ms"]
    assert abs(fitted.rest_s) < 0.001


@pytest.mark.parametrize("service", twins.SERVICES)
def test_the_most_that_slots_can_do_solves_its_equation(service):
    fitted = twins.twin(service)
    for slow, slots in ((1.0, 4), (2.0, 4), (1.0, 8)):
        most = fitted.most_per_s(slow=slow, slots=slots)
        held_s = slow * fitted.work.mean_s + fitted.between_s(most, slow=slow, slots=slots)
        assert most * held_s == pytest.approx(slots)


@pytest.mark.parametrize("service", twins.SERVICES)
def test_more_load_and_slower_work_never_make_answers_quicker(service):
    fitted = twins.twin(service)

    def p99(rate_per_s, slow=1.0):
        design = fitted.design(tk.Poisson(rate_per_s=rate_per_s), slow=slow)
        return tk.simulate(design, jobs=4_000, seed=3).summary()["sojourn_p99_s"]

    by_load = [p99(rate) for rate in (40, 100, 160, 260)]
    by_work = [p99(60, slow) for slow in (0.5, 1.0, 2.0, 3.0)]

    assert by_load == sorted(by_load)
    assert by_work == sorted(by_work)


def test_each_hop_has_its_price():
    """Lean, Celery, seven hops: in this order by price; on the processor all hops cost."""
    cost = [tk.Prices().of(twins.parts(service)) for service in twins.SERVICES]
    processor_s = {service: twins.twin(service).processor_s for service in twins.SERVICES}

    assert cost == sorted(cost)
    assert processor_s["lean"] < 0.5 * min(processor_s["celery"], processor_s["overbuilt"])


def test_hidden_deaths_fail_nobody_and_the_others_as_the_formula_says():
    seen = twins.incidents()
    for run in ("overbuilt-crash-worker-1", "overbuilt-crash-orchestrator"):
        assert seen.loc[run, "failed"] + seen.loc[run, "refused"] == 0
    for run in ("lean-crash-service", "celery-crash-web", "overbuilt-crash-gateway"):
        row = seen.loc[run]
        # those who come meanwhile are as many as chance sends: four standard errors
        reach = 4 * row["if_not_hidden"] ** 0.5
        assert abs(row["failed"] - row["if_not_hidden"]) <= reach


def test_a_month_adds_up_and_follows_what_happens_more_often():
    once = twins.month(part_deaths=1)
    twice = twins.month(part_deaths=2)

    assert (twice["failed"] == 2 * once["failed"]).all()
    assert twins.month(part_deaths=0)["failed"].sum() == 0
    assert twins.month(work_deaths=10).loc["lean", "failed"] > once.loc["lean", "failed"]
    bill = twins.total(failed=2.0, lost=3.0)
    assert (bill["a_month"] == bill["parts"] + bill["failed"] + bill["lost"]).all()


def test_dearer_failures_move_the_choice_to_what_hides_them():
    """Every verdict changes in the right direction when prices change."""
    often = {"work_deaths": 30, "deploys": 20}
    cheapest = [twins.total(failed=price, often=often).index[0] for price in (0.01, 1, 10)]
    dearest = [twins.total(failed=price, often=often).index[-1] for price in (0.01, 1, 10)]

    assert cheapest[0] == "lean"
    assert cheapest[-1] != "lean"
    assert dearest[-1] == "lean"


def test_a_name_that_is_none_is_refused():
    with pytest.raises(ValueError, match="service must be 'lean'"):
        twins.twin("monolith")
    with pytest.raises(ValueError, match="run must be"):
        twins.load_test("lean-steady-999")
    with pytest.raises(ValueError, match="part_deaths must be >= 0, got -1"):
        twins.month(part_deaths=-1)


def test_a_twin_is_data():
    fitted = twins.twin("lean")

    assert dataclasses.replace(fitted, rest_s=fitted.rest_s) == fitted
