"""The minimal metastable system, simulated in whole ticks, gives the exact counts of the table.

Ties are everywhere: services end, callers give up and jobs arrive at the same ticks.  So times are whole
numbers of a tick that divides 1 / 280, 1 / 300 and the time-out; the design's "seconds" are ticks here.
"""

import csv
import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import toolkit as tk

ORACLES = Path(__file__).parents[3] / "shared" / "oracles" / "oracles_open.csv"


def groups():
    found = {}
    if ORACLES.exists():
        with ORACLES.open(newline="") as file:
            for row in csv.DictReader(file):
                if row["model"].startswith("deterministic metastable"):
                    found.setdefault(row["params"], []).append(row)
    return found


GROUPS = groups()


def ticks_per_s(p):
    parts = (Fraction(1, p["lam"]), Fraction(1, p["mu"]), Fraction(str(p["timeout"])))
    return math.lcm(*(part.denominator for part in parts))


def simulated(p, tick):
    """Return the run, in ticks; jobs arrive at k / lambda for k = 0, 1, ... up to the horizon."""
    gap, service = tick // p["lam"], tick // p["mu"]
    horizon = p["horizon"] * tick
    server = tk.Stage(
        name="server",
        service=tk.Deterministic(value_s=service),
        capacity=p["queue_cap"],
        when_full="drop",
        outages=[tk.Outage(start_s=p["outage_start"] * tick, duration_s=p["outage_s"] * tick)],
    )
    retry = tk.Retry(max_retries=p["max_retries"], backoff=tk.ConstantBackoff(delay_s=0))
    caller = tk.Caller(
        timeout=float(p["timeout"] * tick), retry=retry if p["max_retries"] else None
    )
    arrivals = tk.Trace(times_s=np.arange(0, horizon + 1, gap, dtype=float))
    design = tk.Design(arrivals=arrivals, stages=[server], callers=[caller])
    return tk.simulate(design, horizon_s=horizon + 0.5)


def figures(p, run, tick):
    """Count what the table counts."""
    attempts, jobs = run.attempts, run.jobs
    good_s = jobs.loc[jobs["outcome"] == "done", "finished_s"] / tick
    up_s = p["outage_start"] + p["outage_s"]
    after = good_s[good_s >= up_s]
    tail = good_s[good_s > p["horizon"] - 60]
    return {
        "attempts": len(attempts),
        "late": int((attempts["outcome"] == "late").sum()),
        "backlog": int((attempts["ended_s"].isna() & attempts["started_s"].isna()).sum()),
        "goodput_last60": len(tail) / 60,
        "first_good_after": after.min() if len(after) else None,
    }


@pytest.mark.slow
@pytest.mark.skipif(not GROUPS, reason=f"no table of exact results at {ORACLES}")
@pytest.mark.parametrize("params", GROUPS)
def test_the_counts_are_those_of_the_exact_model(params):
    p = json.loads(params)
    tick = ticks_per_s(p)
    found = figures(p, simulated(p, tick), tick)
    for row in GROUPS[params]:
        print(row["metric"], row["value"], found[row["metric"]])  # noqa: T201
        if row["value"] in ("never", "None", ""):
            assert found[row["metric"]] is None
        else:
            assert found[row["metric"]] == pytest.approx(float(row["value"]), rel=1e-9)
