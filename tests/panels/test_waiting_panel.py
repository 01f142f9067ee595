"""The first lesson's pool: formula and simulator agree, and the charts say what they show."""

import math

import numpy as np
import pandas as pd
import pytest

import toolkit as tk

waiting, evidence = tk.panels.waiting, tk.panels.evidence


@pytest.mark.parametrize("scv", [0, 1, 4, 6])
def test_work_has_the_mean_and_the_spread_it_is_asked_for(scv):
    law = waiting.work(scv, mean_s=0.25)

    assert tk.laws.mean_s(law) == pytest.approx(0.25)
    assert tk.laws.scv(law) == pytest.approx(scv, abs=1e-12)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_pool_is_as_busy_as_it_is_asked_to_be(workers):
    design = waiting.pool(0.7, workers=workers, scv=4)

    assert design.offered_load()[0].utilisation == pytest.approx(0.7)
    assert design.stages[0].workers == workers


@pytest.mark.parametrize("scv", [0, 1, 4])
@pytest.mark.parametrize("workers", [1, 4])
def test_the_simulator_says_what_the_formula_says(workers, scv):
    """Within four standard errors, and where it is an estimate within a tenth as well."""
    seen = waiting.by_simulation(0.7, workers=workers, scv=scv, jobs=40_000, runs=8)
    for exact_s, runs in zip(waiting.by_formula(0.7, workers=workers, scv=scv), seen, strict=True):
        error = runs.std(ddof=1) / math.sqrt(runs.size)
        estimate = 0.1 * exact_s if workers > 1 and scv > 1 else 0.0

        assert abs(runs.mean() - exact_s) < 4 * error + estimate


def test_one_exponential_worker_takes_the_work_divided_by_what_is_idle():
    mean_s, p99_s = waiting.by_formula(0.8)

    assert mean_s == pytest.approx(0.1 / 0.2)
    assert p99_s == pytest.approx(-math.log(0.01) * mean_s)


@pytest.mark.parametrize(
    ("control", "value", "says"),
    [
        ("load", 0.8, "1 worker, 80% busy, work varies as chance has it: mean 500 ms, p99 2,303 ms"),
        ("workers", 4, "4 workers, 50% busy, work varies as chance has it: mean 109 ms, p99 476 ms"),
        ("scv", 0, "1 worker, 50% busy, work varies not at all: mean 150 ms"),
        ("scv", 4, "work varies a lot: mean 350 ms"),
    ],
)  # fmt: skip
def test_the_panel_follows_every_control(control, value, says):
    panel = waiting.knee(jobs=500, runs=2)
    before = panel.summary
    panel.controls[control].value = value

    assert panel.summary != before
    assert says in panel.summary
    assert "by formula. Simulated, 2 runs of 500 jobs: mean" in panel.summary


def test_what_is_estimated_is_called_so():
    panel = waiting.knee(jobs=200, runs=2)
    panel.controls["scv"].value = 4
    panel.controls["workers"].value = 2

    assert "by estimate" in panel.summary


def test_the_guess_is_a_line_on_the_chart():
    guess = tk.lessons.predict("How long?", unit="ms", low=0, high=100_000)
    panel = waiting.knee(guess=guess, jobs=200, runs=2)
    blank = panel._image.value
    guess._field.value = "180"

    assert panel._image.value != blank
    [line] = [
        line for line in panel._sketch._axes.get_lines() if line.get_label() == "your guess: 180"
    ]
    assert list(line.get_ydata()) == [180, 180]


def test_a_queue_and_an_idle_worker_are_in_the_same_picture():
    said = waiting.first_jobs(end_s=4.0).text

    assert "At most 4 waiting at once" in said
    assert "idle for 1.5 s" in said


@pytest.mark.parametrize("order", ["fifo", "lifo"])
def test_littles_law_is_counted_and_not_computed(order):
    """Counting at moments, and adding up times, are two ways to the same number."""
    stage = tk.Stage(name="work", service=tk.Exponential(mean_s=0.1), order=order)
    design = tk.Design(arrivals=tk.Poisson(rate_per_s=8), stages=[stage])
    run = tk.simulate(design, jobs=20_000, seed=3)
    rate_per_s, sojourn_s = run.summary()[["goodput_per_s", "sojourn_mean_s"]]

    assert waiting.looks(run, every_s=0.05).mean() == pytest.approx(
        rate_per_s * sojourn_s, rel=0.01
    )


def test_looks_count_who_is_inside():
    """Two jobs of two seconds, and a last one that ends the looking; who comes is inside, who goes is not."""
    stage = tk.Stage(name="work", service=tk.Deterministic(value_s=2.0))
    run = tk.simulate(tk.Design(arrivals=tk.Trace(times_s=[1.0, 2.0, 7.0]), stages=[stage]))

    assert waiting.looks(run, every_s=1.0).tolist() == [0, 1, 2, 1, 1, 0, 0]


def test_variation_makes_the_wait_and_kingman_says_how_much():
    table = waiting.variability(0.7, jobs=20_000, replications=8)
    exact = table.iloc[:4]  # Poisson arrivals, or none by chance
    error = (exact["high"] - exact["low"]) / 2 / tk.experiments.student(0.95, 8)

    assert table.iloc[0].tolist() == pytest.approx([0, 0, 0, 0], abs=1e-6)
    assert (abs(exact["simulated"] - exact["formula"]) <= 4 * error + 1e-6).all()
    assert table["formula"].tolist() == pytest.approx(
        [0, *(233.333 * spread for spread in (0.5, 1, 2.5, 4))], rel=1e-4
    )
    assert table["simulated"].is_monotonic_increasing


def test_runs_of_one_worker_differ_and_come_together():
    early, late = (evidence.so_far(0.5, jobs=jobs, runs=4).text for jobs in (200, 20_000))

    def spread(text):
        ends = [
            float(part.split(" to ")[1].rstrip(".").split(".")[0])
            for part in text.split(": ", 1)[1].split("; ")[:4]
        ]
        return max(ends) - min(ends)

    assert spread(early) > 4 * spread(late)
    assert "The formula says 200 ms" in late


def test_a_queue_fills_as_the_formula_says():
    """Every moment within four standard errors; the band that is drawn has two."""
    picture = evidence.filling(0.6, end_s=6.0, runs=200)

    assert "In the long run 1.5." in picture.text
    at_s, exact, middle, error = evidence.filled(0.6, end_s=6.0, runs=200)
    assert exact[0] == middle[0] == 0
    assert exact[-1] == pytest.approx(
        tk.theory.mm1_jobs_at(6.0, arrival_rate_per_s=6, service_rate_per_s=10)
    )
    assert (np.abs(middle - exact) <= 4 * error).all()
    assert at_s[-1] == 6.0


def test_a_load_test_stands_beside_both_models(tmp_path):
    """A test that the model made itself is predicted by it."""
    stage = tk.Stage(name="work", service=tk.LogNormal(mean_s=0.02, scv=0.5), workers=4)
    design = tk.Design(arrivals=tk.Poisson(rate_per_s=120), stages=[stage])
    run = tk.simulate(design, jobs=5_000, seed=9)
    start_ms = (1000 * run.jobs["arrived_s"]).round().astype(int) + 1_700_000_000_000
    rows = {
        "timeStamp": start_ms,
        "elapsed": run.done_ms().round().astype(int),
        "label": "work",
        "success": "true",
    }
    pd.DataFrame(rows).to_csv(tmp_path / "test.jtl", index=False)
    test = tk.read_loadtest(tmp_path / "test.jtl")
    row = evidence.load_tests({120: test}, service=stage.service, workers=4).loc[120]

    assert row["", "busy"] == pytest.approx(0.6)
    assert row["mean", "measured"] == pytest.approx(row["mean", "simulated"], rel=0.05)
    assert row["mean", "formula"] == pytest.approx(row["mean", "simulated"], rel=0.02)
    assert row["p99", "low"] < row["p99", "measured"] < row["p99", "high"]
    assert row["p99", "low"] < row["p99", "simulated"] < row["p99", "high"]


def test_what_a_worker_buys_is_drawn_beside_the_goal():
    p99 = pd.DataFrame(
        {"workers": [4, 5], "mean": [0.108, 0.077], "low": [0.1, 0.076], "high": [0.12, 0.078]}
    )
    said = waiting.bought(p99, 90).text

    assert "p99 108 to 77" in said
