"""The simulator against the table of exact results: every row it can reach, at four standard errors.

One seed runs here.  ``GOODPUT_SEEDS=5 pytest tests/simulation/test_oracles_simulated.py`` runs five.
A standard error from twenty runs is itself uncertain, so the limit is where Student's t is as rare as
four standard errors of a normal would be.
"""

import csv
import json
import math
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from scipy.special import ndtr, stdtrit
from simulated_rows import key_of, runs_of, trial_of

ORACLES = Path(__file__).parents[3] / "shared" / "oracles" / "oracles_open.csv"
REPLICATIONS = 20
LIMIT = stdtrit(REPLICATIONS - 1, ndtr(4.0))
SEEDS = range(1, 1 + int(os.environ.get("GOODPUT_SEEDS", "1")))
KINDS = ("exact", "simulated")


def rows_of_the_table():
    if not ORACLES.exists():
        return []
    with ORACLES.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] in KINDS]


def groups():
    """Return the trials with their rows, and the reasons for the rows that have none."""
    found, left_out = {}, Counter()
    for row in rows_of_the_table():
        trial = trial_of(row)
        if isinstance(trial, str):
            left_out[row["model"], trial] += 1
        elif row["metric"] not in trial.metrics:
            left_out[row["model"], "a figure of the formula: " + row["metric"][:40]] += 1
        else:
            found.setdefault(key_of(row), (trial, []))[1].append(row)
    return found, left_out


GROUPS, LEFT_OUT = groups()


def own_error(row):
    """Return the standard error of the table's own number, 0 for an exact one."""
    found = re.search(r"SE=([\d.e-]+)", row["method"])
    return float(found[1]) if found and row["kind"] == "simulated" else 0.0


def standard_errors_off(values, row, jobs):
    exact = float(row["value"])
    error = values.std(ddof=1) / math.sqrt(len(values))
    if 0 < exact < 1:  # a share: what is too rare to have been seen is no error
        error = max(error, math.sqrt(exact * (1 - exact) / (len(values) * jobs)))
    return (values.mean() - exact) / (math.hypot(error, own_error(row)) or 1e-9)


@pytest.mark.slow
@pytest.mark.skipif(not GROUPS, reason=f"no table of exact results at {ORACLES}")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("key", GROUPS, ids=lambda key: f"{key[0][:30]} {key[1][:40]}")
def test_the_simulator_agrees_with_the_table(key, seed):
    trial, rows = GROUPS[key]
    figures = runs_of(trial, seed, REPLICATIONS)
    off = {row["id"]: standard_errors_off(figures[row["metric"]], row, trial.jobs) for row in rows}

    assert all(abs(errors) <= LIMIT for errors in off.values()), off


@pytest.mark.skipif(not GROUPS, reason=f"no table of exact results at {ORACLES}")
def test_what_the_simulator_does_not_cover_is_said():
    """Rows left out each have a reason; the formula test covers what is not a system."""
    covered = sum(len(rows) for _, rows in GROUPS.values())
    print(f"{covered} rows in {len(GROUPS)} trials")  # noqa: T201
    for (model, why), count in LEFT_OUT.items():
        print(f"  left out: {count:3} rows of {model[:60]}: {why}")  # noqa: T201

    assert covered >= 300
    assert all(why for _, why in LEFT_OUT)


def test_a_row_that_is_wrong_would_be_noticed():
    """The tenth of a mean wait is many standard errors."""
    row = {"model": "M/M/1 FCFS", "params": json.dumps({"lam": 0.5, "mu": 1}), "value": "1.5"}
    wait_s = runs_of(trial_of(row), 1, REPLICATIONS)["Wq mean wait"]

    assert abs(standard_errors_off(wait_s, row | {"kind": "exact", "method": ""}, 1)) > LIMIT
