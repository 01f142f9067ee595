"""What the tests share: how hard Hypothesis looks, and the exact results we are judged by."""

import csv
import json
import os
from pathlib import Path

import pytest
from hypothesis import settings

# a run of a simulation has no deadline on a busy laptop; in CI a red build must stay red when re-run
settings.register_profile("lab", deadline=None, max_examples=60)
settings.register_profile("ci", settings.get_profile("lab"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "lab")

ORACLES = Path(__file__).parents[2] / "shared" / "oracles" / "oracles_open.csv"


# programs to compare with, run by tests; most need a simulator that is not installed
collect_ignore_glob = ["benchmarks/comparison/*"]

# real servers, kernels, browsers and notebooks: what else runs at the time would be in their way
ALONE = ("live", "browser", "kernel", "microvm")


def pytest_collection_modifyitems(items):
    """Mark what `make test` runs by itself, after the rest has had all cores."""
    for item in items:
        if item.nodeid.startswith("notebooks/") or any(map(item.get_closest_marker, ALONE)):
            item.add_marker("alone")


@pytest.fixture(scope="session")
def oracles():
    """Return a function: the rows of exact results whose model and metric begin so, by id."""
    if not ORACLES.exists():
        pytest.skip(f"the exact results are not here: {ORACLES} is missing")
    with ORACLES.open(newline="") as file:
        rows = [row | {"params": json.loads(row["params"])} for row in csv.DictReader(file)]

    def pick(model, metric=""):
        found = {
            row["id"]: row
            for row in rows
            if row["model"].startswith(model) and row["metric"].startswith(metric)
        }
        assert found, f"no exact result for {model}: {metric}"
        return found

    return pick
