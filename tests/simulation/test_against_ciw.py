"""The simulator agrees with Ciw, a simulator that shares no line with it or with SimPy."""

import math

import numpy as np
import pandas as pd
import pytest

import toolkit as tk

REPLICATIONS, JOBS, WARM_UP = 20, 1_600, 400
DESIGN = tk.Design(
    arrivals=tk.Poisson(rate_per_s=2.6),
    stages=[
        tk.Stage(name="first", service=tk.Exponential(mean_s=1.0), workers=3, capacity=6),
        tk.Stage(name="second", service=tk.Gamma(mean_s=0.3, scv=0.5), workers=1),
    ],
)


def ours(seed):
    """Return for each replication: share rejected, mean wait before each stage, mean sojourn."""
    runs = []
    for replication in range(REPLICATIONS):
        run = tk.simulate(DESIGN, jobs=JOBS, seed=seed, replication=replication)
        jobs, rows = run.jobs[WARM_UP:], run.attempts.query("job >= @WARM_UP and worker >= 0")
        wait_s = (rows["started_s"] - rows["queued_s"]).groupby(rows["stage"], observed=True).mean()
        rejected = (jobs["outcome"] == "rejected").mean()
        sojourn_s = jobs.loc[jobs["outcome"] == "done", "sojourn_s"].mean()
        runs.append([rejected, wait_s["first"], wait_s["second"], sojourn_s])
    return np.array(runs)


def theirs(ciw, seed):
    """Return the same figures, from Ciw's records."""
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(2.6), None],
        service_distributions=[ciw.dists.Exponential(1.0), ciw.dists.Gamma(2.0, 0.15)],
        number_of_servers=[3, 1],
        queue_capacities=[3, float("inf")],  # places to wait, where ours counts those in service
        routing=[[0.0, 1.0], [0.0, 0.0]],
    )
    runs = []
    for replication in range(REPLICATIONS):
        ciw.seed(1_000 * seed + replication)
        simulation = ciw.Simulation(network)
        simulation.simulate_until_max_time(JOBS / 2.6)
        rows = pd.DataFrame(simulation.get_all_records())
        rows = rows[rows["arrival_date"] > WARM_UP / 2.6]
        served = rows[rows["record_type"] == "service"]
        came = rows[rows["node"] == 1]
        wait_s = served.groupby("node")["waiting_time"].mean()
        twice = served.groupby("id_number").filter(lambda visits: len(visits) == 2)
        sojourn_s = (
            twice.groupby("id_number")["exit_date"].max()
            - twice.groupby("id_number")["arrival_date"].min()
        )
        rejected = (came["record_type"] == "rejection").mean()
        runs.append([rejected, wait_s[1], wait_s[2], sojourn_s.mean()])
    return np.array(runs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_capped_stage_and_a_second_one_behave_as_in_ciw(seed):
    """M/M/3/6 and what it lets through, to a Gamma server: no formula covers the second wait."""
    ciw = pytest.importorskip("ciw", reason="Ciw is in the extra `test`")
    mine, other = ours(seed), theirs(ciw, seed)
    errors = np.sqrt((mine.var(axis=0, ddof=1) + other.var(axis=0, ddof=1)) / REPLICATIONS)
    off = (mine.mean(axis=0) - other.mean(axis=0)) / errors

    assert (abs(off) <= 4).all(), dict(
        zip(["rejected", "first wait", "second wait", "sojourn"], off, strict=True)
    )
    assert math.isclose(mine.mean(axis=0)[0], 0.13, abs_tol=0.02)
