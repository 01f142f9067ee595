"""The study of backoff and jitter gives the published numbers, and the exact ones where there is no chance."""

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import toolkit as tk
from toolkit.simulation import contention

ORACLES = Path(__file__).parents[3] / "shared" / "oracles" / "oracles_open.csv"
LIMITS = {"base_s": 0.005, "cap_s": 2.0}
BACKOFFS = {
    "none": None,
    "exponential": tk.ExponentialBackoff(**LIMITS),
    "equal": tk.EqualJitter(**LIMITS),
    "full": tk.FullJitter(**LIMITS),
    "decorrelated": tk.DecorrelatedJitter(**LIMITS),
}
REPLICATIONS = 30
STUDY = "OCC contention study"


def points():
    """Return the table's rows of the study by (algorithm, clients)."""
    found = {}
    if ORACLES.exists():
        with ORACLES.open(newline="") as file:
            for row in csv.DictReader(file):
                if row["model"].startswith(STUDY):
                    p = json.loads(row["params"])
                    found.setdefault((p["algorithm"], p["clients"]), []).append(row)
    return found


POINTS = points()


def figures(algorithm, clients, seed):
    runs = [
        contention(clients=clients, backoff=BACKOFFS[algorithm], seed=seed, replication=k)
        for k in range(REPLICATIONS)
    ]
    return {
        "mean total write calls": np.array([run.calls for run in runs], dtype=float),
        "mean completion time ms": np.array([1000 * run.completion_s for run in runs]),
    }


@pytest.mark.skipif(not POINTS, reason=f"no table of exact results at {ORACLES}")
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("algorithm", "clients"), POINTS)
def test_calls_and_completion_are_those_of_the_study(algorithm, clients, seed):
    """Two simulations that share no line: four standard errors of the two together."""
    found = figures(algorithm, clients, seed)
    for row in POINTS[algorithm, clients]:
        values, theirs = found[row["metric"]], re.search(r"SE=([\d.e-]+)", row["method"])
        error = math.hypot(
            values.std(ddof=1) / math.sqrt(REPLICATIONS), float(theirs[1]) if theirs else 0.0
        )

        assert abs(values.mean() - float(row["value"])) <= 4 * error


@pytest.mark.parametrize("clients", [1, 2, 10, 50])
@pytest.mark.parametrize("algorithm", ["none", "exponential"])
def test_without_chance_all_move_in_lockstep(algorithm, clients):
    """Equal hops, no jitter: in each round one wins, and the formula knows when the last has."""
    backoff = BACKOFFS[algorithm]
    run = contention(clients=clients, backoff=backoff, hop_std_s=0.0)
    pauses = backoff or tk.ConstantBackoff(delay_s=0.0)
    exact_s = tk.theory.lockstep_s(clients, hop_s=0.010, backoff=pauses)

    assert run.calls == tk.theory.lockstep_calls(clients)
    assert run.completion_s == pytest.approx(exact_s)


def test_two_clients_with_full_jitter_take_the_exact_mean():
    backoff = BACKOFFS["full"]
    exact_s = tk.theory.two_clients_mean_s(hop_s=0.010, backoff=backoff)
    runs_s = [
        contention(clients=2, backoff=backoff, hop_std_s=0.0, replication=k).completion_s
        for k in range(400)
    ]
    error = np.std(runs_s, ddof=1) / math.sqrt(len(runs_s))

    assert np.mean(runs_s) == pytest.approx(exact_s, abs=4 * error)


def test_every_client_is_done_once_and_the_same_seed_is_the_same_study():
    one, two = (contention(clients=20, backoff=BACKOFFS["full"], seed=3) for _ in range(2))

    assert one.calls == one.write_times_s.size >= 20
    assert np.array_equal(one.write_times_s, two.write_times_s)
    assert (np.diff(one.write_times_s) >= 0).all()
    with pytest.raises(ValueError, match="clients must be a whole number >= 1, got 0"):
        contention(clients=0, backoff=None)
