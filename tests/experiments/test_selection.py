"""The design that is chosen is the best one, at least as often as was asked for."""

import math
import types

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from toolkit.experiments import crew, selection
from toolkit.experiments.work import Seen, figure_names


def pool(workers=1, rate_per_s=0.5, mean_s=1.0, **more):
    stage = tk.Stage(name="work", service=tk.Exponential(mean_s=mean_s), workers=workers, **more)
    return tk.Design(arrivals=tk.Poisson(rate_per_s=rate_per_s), stages=[stage])


THREE = {"1": pool(1), "2": pool(2), "slow": pool(2, mean_s=1.3)}
QUICK = {"jobs": 40, "figure": "sojourn_mean_s", "indifference": 0.1, "progress": False}
QUICK |= {"engine": "simpy", "parallel": 1}


def best(designs=None, **more):
    return tk.best(designs or THREE, **QUICK | more)


# --- the answer ---


def test_the_best_is_chosen_and_the_others_drop_out():
    """Two workers who are not slow."""
    found = best(seed=1)
    table = found.table()

    assert found.choice == "2"
    assert list(table) == ["mean", "low", "high", "replications", "state"]
    assert table["state"].to_dict() == {"1": "dropped", "2": "best", "slow": "dropped"}
    assert table.loc["2", "replications"] == table["replications"].max()
    assert found.dropped_after == table["replications"].drop("2").to_dict()
    assert found.why.startswith("2 has the best sojourn_mean_s after ")
    assert found.warnings == ()


def test_the_largest_is_chosen_when_it_is_asked_for():
    """One worker has the longest sojourn time."""
    assert best(smallest=False, seed=1).choice == "1"


def test_the_runs_are_those_of_replicate():
    """What is seen of a design does not depend on the company it is in."""
    found = best(replications=4)
    for name, done in found.replications.items():
        alone = tk.replicate(
            THREE[name], jobs=40, replications=len(done.figures), engine="simpy", progress=False
        )
        pd.testing.assert_frame_equal(done.figures, alone.figures, check_exact=True)


def test_who_has_dropped_out_is_not_run_any_more(monkeypatch):
    """Runs go where the decision is close."""
    runs, measure = [], crew.measure

    def counted(one):
        runs.extend(one.designs)
        return measure(one)

    monkeypatch.setattr(crew, "measure", counted)
    found = best(replications=4, indifference=0.02)

    counts = {name: len(done.figures) for name, done in found.replications.items()}
    assert {name: runs.count(name) for name in THREE} == counts
    assert min(counts.values()) < max(counts.values())


def test_designs_alike_are_not_run_for_ever():
    """They meet the same jobs and do the same: no chance is left in the difference, and either will do."""
    found = best({"one": pool(), "same": pool()}, replications=3)

    assert found.choice == "one"
    assert len(found.replications["one"].figures) <= 4


def test_a_budget_that_does_not_do_leaves_it_undecided():
    """It says so, and names those that are left."""
    found = best({"1": pool(), "2": pool(2)}, jobs=5, indifference=1e-4, replications=2,
                 max_replications=3)  # fmt: skip

    assert found.choice is None
    assert found.why == "Undecided after 3 replications: it may be any of 1, 2."
    assert set(found.table()["state"]) == {"undecided"}
    assert any("undecided after 3 replications" in text for text in found.warnings)


def test_a_figure_that_a_design_does_not_have_leaves_it_undecided():
    """No job is ever done there, so there is no sojourn time to be better by."""
    lost = pool(failure=1.0)
    found = best({"1": pool(), "lost": lost}, replications=3, max_replications=5)

    assert found.choice is None


# --- its chance of being wrong ---


def measured(monkeypatch, means, sd=1.0, common=0.0, seed=0):
    """Let runs be normal numbers: ``common`` is the correlation between designs."""
    rng = np.random.default_rng(seed)
    rows = []

    def measure(one):
        while len(rows) <= one.replication:
            shared = math.sqrt(common) * rng.normal()
            rows.append(means + sd * (shared + math.sqrt(1 - common) * rng.normal(size=len(means))))
        [name] = one.designs
        figures = dict.fromkeys(figure_names(), 1.0)
        value = rows[one.replication][int(name)]
        return {name: Seen(figures | {"sojourn_mean_s": value}, ())}

    monkeypatch.setattr(crew, "measure", measure)
    return rows


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("common", "designs"), [(0.0, 2), (0.0, 4), (0.7, 4)])
def test_a_wrong_choice_is_no_more_frequent_than_was_allowed(monkeypatch, common, designs, seed):
    """The hardest case: all others worse by the indifference exactly.  Four standard errors of 150."""
    error, trials, wrong = 0.2, 150, 0
    means = np.full(designs, 1.0)
    means[-1] = 0.0
    plan = {str(number): pool() for number in range(designs)}
    for trial in range(trials):
        measured(monkeypatch, means, common=common, seed=1_000 * seed + trial)
        found = best(plan, indifference=1.0, error=error, replications=5)
        wrong += found.choice != str(designs - 1)

    assert wrong / trials <= error + 4 * math.sqrt(error * (1 - error) / trials)


def test_the_procedure_is_the_one_that_was_published(monkeypatch):
    """KN with c = 1, spelled out once more after the paper's steps 1 to 4, on the same numbers."""
    rng, decided = np.random.default_rng(7), set()
    for trial in range(40):
        means = rng.normal(0.0, 0.5, 4)
        rows = measured(monkeypatch, means, common=0.5, seed=trial)
        plan = {str(number): pool() for number in range(4)}
        found = best(
            plan, indifference=0.4, error=0.1, replications=6, smallest=False, max_replications=500
        )
        choice, dropped_after = kim_nelson(np.array(rows), n0=6, delta=0.4, alpha=0.1)
        decided.add(max(dropped_after.values()))

        assert found.choice == str(choice)
        assert found.dropped_after == {str(k): count for k, count in dropped_after.items()}
    assert len(decided) > 10, "the trials are too much alike to tell procedures apart"


def kim_nelson(x, n0, delta, alpha):
    """Return the choice and after how many observations each other system was dropped."""
    k = x.shape[1]
    eta = 0.5 * ((2 * alpha / (k - 1)) ** (-2 / (n0 - 1)) - 1)
    h2 = 2 * eta * (n0 - 1)
    s2 = {
        (i, j): np.sum((x[:n0, i] - x[:n0, j] - (x[:n0, i] - x[:n0, j]).mean()) ** 2) / (n0 - 1)
        for i in range(k)
        for j in range(k)
    }
    most = max(math.floor(h2 * value / delta**2) for value in s2.values())
    left, dropped, r = set(range(k)), {}, n0
    while len(left) > 1:
        mean = x[:r].mean(axis=0)
        if r > most:
            gone = left - {max(left, key=lambda i: mean[i])}
        else:
            gone = {
                i
                for i in left
                for j in left - {i}
                if mean[i] < mean[j] - max(0.0, delta / (2 * r) * (h2 * s2[i, j] / delta**2 - r))
            }
        left -= gone
        dropped |= dict.fromkeys(gone, r)
        r += 1
    return left.pop(), dropped


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_best_of_real_queues_is_found_as_often_as_asked_for(seed):
    """M/M/c at a load of 0.5: the formula says which is best, and by how much."""
    designs = {
        "2": pool(2, 1.0),
        "2, slower": pool(2, 1.0, mean_s=1.08),
        "1, quick": pool(1, 1.0, mean_s=0.6),
    }
    exact_s = {
        "2": tk.theory.mmc(arrival_rate_per_s=1.0, service_rate_per_s=1.0, servers=2).sojourn_s,
        "2, slower": tk.theory.mmc(
            arrival_rate_per_s=1.0, service_rate_per_s=1 / 1.08, servers=2
        ).sojourn_s,
        "1, quick": tk.theory.mm1(arrival_rate_per_s=1.0, service_rate_per_s=1 / 0.6).sojourn_s,
    }
    best_s, second_s, _ = sorted(exact_s.values())
    trials, error, right = 40, 0.1, 0
    for trial in range(trials):
        found = best(
            designs,
            engine="auto",
            jobs=200,
            warmup=50,
            indifference=0.8 * (second_s - best_s),
            error=error,
            seed=1_000 * seed + trial,
        )
        right += found.choice is not None and exact_s[found.choice] == best_s

    assert right / trials >= 1 - error - 4 * math.sqrt(error * (1 - error) / trials)


# --- what is refused ---


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"designs": {"one": pool()}}, "at least two designs by name, got 1"),
        ({"figure": "p99"}, "figure must be .*got 'p99'"),
        ({"indifference": 0}, "indifference must be > 0, got 0"),
        ({"error": 0}, r"error must be > 0 and < 0.667, a guess's, got 0"),
        ({"error": 0.7}, "got 0.7"),
        ({"replications": 1}, "replications must be a whole number >= 2, got 1"),
        ({"max_replications": 9}, "max_replications must be a whole number >= 10, got 9"),
        ({"engine": "fast"}, "engine must be"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_name_rule_and_value(more, message):
    with pytest.raises(ValueError, match=message):
        best(**more)


def test_nothing_is_kept_of_what_was_run_ahead(monkeypatch):
    """A crew that is far ahead of the decision."""

    def finished(works, _most):
        given = [one for one, _ in zip(works, range(60), strict=False)]
        for one in given[::-1]:
            yield one, crew.measure(one)

    monkeypatch.setattr(
        selection, "crew_for", lambda *_, **__: types.SimpleNamespace(finished=finished)
    )
    found = best(seed=1, replications=4)

    assert found.choice == "2"
    counts = {name: len(done.figures) for name, done in found.replications.items()}
    assert max(counts.values()) < 20
