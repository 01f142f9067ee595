"""The simulator against the table of exact results: every row that it can reach.

Where there is chance, four standard errors of the mean of twenty replications (of the table's own
simulations too, where the row is one).  A standard error from twenty runs is itself uncertain, so the
limit is where Student's t is as rare as four standard errors of a normal would be.
Where there is none, the same number.

One seed runs here.  ``GOODPUT_SEEDS=5 pytest tests/simulation/test_oracles_simulated.py`` runs five.
"""

import csv
import json
import math
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from played_rows import played, player_of
from scipy.special import ndtr, ndtri, stdtr
from simulated_rows import reading_of
from trials import runs_of

ORACLES = Path(__file__).parents[3] / "shared" / "oracles" / "oracles_open.csv"
SEEDS = range(1, 1 + int(os.environ.get("GOODPUT_SEEDS", "1")))
KINDS = ("exact", "exact (deterministic)", "simulated")

# models of the table that are not a system's behaviour, or not one that a design can say
NO_SYSTEM = {
    "OCC contention study": "simulated by `contention`, held to the table in test_contention.py",
    "OCC contention, network delay constant 10 ms, full": "simulated by `contention`, in test_contention.py",
    "M/M/1 retrial, constant": "only the head of the orbit retries: a design has no such orbit",
    "limiter on deterministic flow": "windows that count are no limiter of a design",
    "window boundary burst": "windows that count are no limiter of a design",
    "gRPC retry throttling drift": "a boundary of a formula",
    "metastable retry loop": "a boundary of a formula",
    "metastable look-aside cache": "a boundary of a formula",
    "coordinated omission": "statistics of given samples, no run",
    "pooling: ratio": "a quotient of two rows that are held to the table",
    "parallel redundancy": "failures of one job in 10,000 and less are too rare to be counted",
    "batching": "a worker of a design takes one job at a time",
    "staffing": "a search in a formula",
    "static perfect cache": "a sum",
    "Amdahl": "a formula",
    "Gustafson": "a formula",
    "USL": "a formula",
    "sample quantile": "statistics of given samples, no run",
    "JMeter": "statistics of given samples, no run",
    "Locust": "statistics of given samples, no run",
    "averaging percentiles": "statistics of given samples, no run",
    "distribution-free CI": "statistics of given samples, no run",
    "minimum n": "statistics of given samples, no run",
}


def rows_of_the_table():
    if not ORACLES.exists():
        return []
    with ORACLES.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] in KINDS]


def sorted_out():
    """Return the readings by trial, the rows to be played, and the reasons for those left out."""
    simulated, to_play, left_out = {}, [], Counter()
    for row in rows_of_the_table():
        if player_of(row) is not None:
            to_play.append(row)
            continue
        reading = reading_of(row)
        if isinstance(reading, tuple):
            trial, measure, want = reading
            simulated.setdefault(trial.key, (trial, []))[1].append((row, measure, want))
        else:
            starts = [start for start in NO_SYSTEM if row["model"].startswith(start)]
            left_out[row["model"], reading or NO_SYSTEM.get(max(starts, default=""))] += 1
    return simulated, to_play, left_out


SIMULATED, PLAYED, LEFT_OUT = sorted_out()
NAMES = {
    key: f"{rows[0][0]['id']} and {len(rows) - 1} more" for key, (_, rows) in SIMULATED.items()
}
needs_table = pytest.mark.skipif(not SIMULATED, reason=f"no table of exact results at {ORACLES}")


def own_error(row):
    """Return the standard error of the table's own number, 0 for an exact one."""
    found = re.search(r"SE=([\d.e-]+)", row["method"])
    return float(found[1]) if found and row["kind"] == "simulated" else 0.0


def is_share(metric):
    return bool(re.match(r"P\(|p[\d.]+$", metric)) or any(
        word in metric for word in ("quantile", "probability", "fraction", "availability")
    )


def standard_errors_off(values, want, row, clusters):
    """Return how far the mean is off, as the normal deviate that is as rare."""
    off = values.mean() - want
    error = values.std(ddof=1) / math.sqrt(len(values))
    if is_share(row["metric"]) and 0 < want < 1:
        # what happens seldom may not have been seen, or all too evenly: independent clusters spread so much
        error = max(error, math.sqrt(want * (1 - want) / clusters))
    error = math.hypot(error, own_error(row))
    if abs(off) <= 1e-9 * max(1.0, abs(want)):
        return 0.0
    if error == 0.0:
        return math.copysign(math.inf, off)
    t = off / error
    return math.copysign(-ndtri(max(stdtr(len(values) - 1, -abs(t)), 1e-300)), t)


def deviates(key, seed):
    """Run a trial; return the deviate of every one of its rows, by id."""
    trial, rows = SIMULATED[key]
    figures = runs_of(trial, seed, [measure for _, measure, _ in rows])
    return {
        row["id"]: standard_errors_off(values, want, row, trial.clusters)
        for values, (row, _, want) in zip(figures, rows, strict=True)
    }


@pytest.mark.slow
@needs_table
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("key", SIMULATED, ids=NAMES.get)
def test_the_simulator_agrees_with_the_table(key, seed):
    """A design is run once for all the rows that look at it."""
    off = deviates(key, seed)

    assert all(abs(z) <= 4.0 for z in off.values()), off


@pytest.mark.slow
@needs_table
@pytest.mark.parametrize("row", PLAYED, ids=lambda row: row["id"])
def test_where_nothing_is_left_to_chance_the_number_is_the_same(row):
    """Integer ticks: the metastable model to the last attempt, buckets to the last token."""
    got = played(row)
    value = row["value"]
    want = value if value == "never" else json.loads(value)
    if row["kind"] == "exact (deterministic)" and not isinstance(want, str):
        got, want = f"{float(got):.15g}", f"{float(want):.15g}"  # as many digits as are printed

        assert got == want
    else:
        assert got == (want if isinstance(want, str) else pytest.approx(want, rel=1e-8))


@needs_table
def test_what_the_simulator_does_not_cover_is_said():
    """A row left out has a reason; the formula's test covers what is no system."""
    covered = sum(len(rows) for _, rows in SIMULATED.values())
    reachable = (
        covered
        + len(PLAYED)
        + sum(
            count
            for (model, _), count in LEFT_OUT.items()
            if not model.startswith(tuple(NO_SYSTEM))
        )
    )
    print(f"{covered + len(PLAYED)} of {reachable} rows that are a simulator's")  # noqa: T201
    print(f"  {covered} in {len(SIMULATED)} trials, {len(PLAYED)} played without chance")  # noqa: T201
    for (model, why), count in LEFT_OUT.items():
        print(f"  left out: {count:3} rows of {model[:50]}: {why}")  # noqa: T201

    assert [model for model, why in LEFT_OUT if not why] == []
    assert covered + len(PLAYED) >= 0.8 * reachable


@needs_table
def test_a_number_that_is_wrong_would_be_noticed():
    """A mean wait that is a third too long is many standard errors off."""
    trial, rows = next(iter(SIMULATED.values()))
    row, measure, want = next(entry for entry in rows if entry[0]["metric"] == "Wq mean wait")
    (values,) = runs_of(trial, 1, [measure])

    assert abs(standard_errors_off(values, want, row, trial.clusters)) < 4
    assert abs(standard_errors_off(values, 1.33 * want, row, trial.clusters)) > 4


def test_a_standard_normal_deviate_is_what_is_judged():
    assert ndtri(ndtr(4.0)) == pytest.approx(4.0)
