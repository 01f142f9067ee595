"""Notebook 10 as a learner meets it: checks that know no answer beforehand, and words instead of tracebacks."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from exercises import Book, without_solution
from fakes import pool, simulated_test
from IPython.core.interactiveshell import InteractiveShell

import toolkit as tk

BOOK = Book("10")
DATA = BOOK.path.parents[1] / "data" / "http-pool"
SHEET = (DATA / "README.md").read_text(encoding="utf-8")
GOAL = tk.SLO(p99_s=0.1)
QUICK = {"jobs": 2_000, "replications": 5, "seed": 1, "progress": False}


def evidence(slo=GOAL, *, load=1.5, must=("today",)):
    """Return what the notebook has at hand when it comes to the exercises, for a file of its own."""
    fit = tk.fit(simulated_test(pool(4, 120), jobs=6_000), workers=4)
    futures = {"a worker lost": tk.Future(workers_lost=1)}
    advice = tk.advise(fit.staffings(load=load), slo=slo, futures=futures, require=must, **QUICK)
    return {
        "tk": tk,
        "goal": slo,
        "advice": advice,
        "trial": tk.advice.trial(fit, progress=False),
        "beside": tk.advice.beside_formula(advice),
        "bucket": tk.TokenBucket(rate_per_s=244.0, burst=13),
    }


@pytest.fixture(scope="module")
def known():
    return evidence(must=("today", "a worker lost"))


@pytest.mark.parametrize("code", BOOK.exercises, ids=lambda code: code.split(" ")[0])
def test_the_solution_is_right_for_any_file_and_the_dots_are_no_answer(code, known):
    assert BOOK.shown(code, dict(known))
    assert "no answer yet" in BOOK.shown(without_solution(code), dict(known)).text


@pytest.mark.parametrize("slo", [tk.SLO(success=0.9), tk.SLO(p99_s=0.001)])
def test_with_a_goal_on_no_time_or_one_that_nobody_meets_the_solutions_end_in_words(slo):
    names = evidence(slo)

    assert all(BOOK.shown(code, dict(names)).text for code in BOOK.exercises)


@pytest.mark.parametrize(
    ("factor", "hint"),
    [(-1, "without its sign"), (0.01, "give it in percent"), (5, "which is furthest")],
)
def test_a_slip_about_the_worst_error_is_explained(factor, hint):
    table = pd.DataFrame({"error": [0.02, -0.12, 0.05]}, index=["p50", "p95", "p99"])
    tried = SimpleNamespace(worst=0.12, is_good=True, table=table)

    assert tk.lessons.check("10-1 worst error", 12, trial=tried)
    assert hint in tk.lessons.check("10-1 worst error", 12 * factor, trial=tried).text
    assert "look at p95" in tk.lessons.check("10-1 worst error", 5, trial=tried).text


def test_where_nothing_succeeded_there_is_no_error_to_find():
    tried = SimpleNamespace(worst=np.nan, is_good=False, table=pd.DataFrame({"error": [np.nan]}))

    assert "nothing to compare" in tk.lessons.check("10-1 worst error", 3, trial=tried).text


def test_a_slip_about_the_formula_is_explained():
    table = pd.DataFrame(
        {"formula": [np.nan, 180.0, 90.0, 75.0], "simulated": [np.nan, 150.0, 110.0, 74.0]},
        index=["3 workers", "4 workers", "5 workers", "6 workers"],
    )

    def said(given):
        return tk.lessons.check("10-2 by formula", given, table=table, slo=GOAL)

    assert said("5 workers")
    assert "but not in the simulator" in said(5).text
    assert "one row up" in said("6 workers").text
    assert "keeping up is not the goal: 180 ms" in said(4).text
    assert "cannot keep up" in said("3 workers").text
    assert "one of the designs" in said("seven").text


def test_a_slip_about_the_price_of_the_range_is_explained(known):
    costs, today = known["advice"].table()["cost"], known["advice"].survival()["today"]
    choice, least = costs[known["advice"].choice], costs[today == "meets"].min()

    def said(given):
        return tk.lessons.check("10-3 price of a range", given, advice=known["advice"])

    assert choice > least
    assert said(choice - least)
    assert "whole bill" in said(choice).text
    assert "how much more" in said(least).text
    assert "a year" in said(12 * (choice - least)).text


@pytest.mark.parametrize(
    ("given", "hint"),
    [(14_640, "saved up before"), (14_640 + 780, "once, not every"), (257, "that is one second")],
)
def test_a_slip_about_the_door_is_explained(given, hint):
    bucket = tk.TokenBucket(rate_per_s=244, burst=13)
    feedback = tk.lessons.check("10-4 through the door", given, bucket=bucket, seconds=60)

    assert not feedback
    assert hint in feedback.text


# --- the cell at the top, and what follows from it ---


def test_only_one_cell_names_a_file_or_a_goal():
    """Whatever follows must follow from the names in it."""
    mine = next(code for code in BOOK.code if code.startswith("file = "))
    rest = [code for code in BOOK.code if code != mine]

    assert not [code for code in rest if re.search(r"\.jtl|SLO\(|Future\(|Prices\(\)", code)]
    assert all(name in mine for name in ("unseen", "workers", "expected_per_s", "goal", "prices"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such file"),
        ("", "the file is empty"),
        ("<?xml version='1.0'?><testResults>", "XML"),
        ("a,b\n1,2\n", "in no format that can be read"),
    ],
)
def test_a_wrong_file_gets_words_in_a_notebook_and_no_way_through_our_code(
    content, words, tmp_path, capsys
):
    path = tmp_path / "mine.jtl"
    if content is not None:
        path.write_text(content)
    shell = InteractiveShell.instance()
    shell.push({"tk": tk, "path": str(path)})
    shell.run_cell("tk.read_loadtest(path)")
    said = capsys.readouterr().out
    InteractiveShell.clear_instance()

    assert words in said
    assert "Traceback" not in said
    assert "read.py" not in said


def test_what_the_prose_says_of_the_file_that_is_there_holds():
    """An eighth too slow, 20.6 ms in place of 20.1, 82% busy in place of 81%."""
    fit = tk.fit(tk.read_loadtest(DATA / "rate-120.jtl"))
    busy = tk.read_loadtest(DATA / "rate-160.jtl")
    trial = tk.advice.trial(fit, busy, progress=False)
    service_ms = 1000 * fit.design.stages[0].service.mean_s

    assert "by an eighth at p95 and p99" in BOOK.prose
    assert trial.table["error"][["p95", "p99"]].to_list() == pytest.approx([0.125] * 2, abs=0.02)
    assert "need 20.1 ms for a request, and the file says 20.6" in BOOK.prose
    assert service_ms == pytest.approx(20.6, abs=0.05)
    assert "| server: work mean, ms | 19.89 | 20.10 | 20.07 |" in SHEET
    assert "82% busy in the model which are 81% busy in truth" in BOOK.prose
    assert trial.utilisation == pytest.approx(0.82, abs=0.005)
    assert "| server: utilisation | 0.301 | 0.608 | 0.809 |" in SHEET
