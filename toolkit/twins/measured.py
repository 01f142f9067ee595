"""What was measured: the runs, the two records of each, and what the services are made of."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit import _check
from toolkit.advice import Parts
from toolkit.errors import ToolkitError
from toolkit.laws import Array
from toolkit.loadtest import LoadTest, read_loadtest

FOLDER = Path(__file__).parents[2] / "data" / "lean-overbuilt"
SERVICES = ("lean", "celery", "overbuilt")
SLOTS = 4
"""Jobs that each service works on at once."""


@cache
def runs() -> pd.DataFrame:
    """Return what was measured, a row a run, by its name such as ``lean-steady-060``.

    Columns as the datasheet in ``data/lean-overbuilt`` has them.
    Raises ``ToolkitError`` where the data are not at hand.
    """
    if not (FOLDER / "runs.csv").exists():
        raise ToolkitError(f"the measured services are not here: {FOLDER} is missing")
    return pd.read_csv(FOLDER / "runs.csv").set_index("run")


def load_test(run: str) -> LoadTest:
    """Read what the load generator saw of a run."""
    _check.choice("run", run, list(runs().index))
    return read_loadtest(FOLDER / runs().loc[run, "file"])


def truth(run: str) -> pd.DataFrame:
    """Read the service's own stamps of a run, a row a request, in order of arrival."""
    _check.choice("run", run, list(runs().index))
    return pd.read_csv(FOLDER / runs().loc[run, "truth"])


def parts(service: str) -> Parts:
    """Return what a service is made of, counted; the worker is the one processor that each has."""
    _check.choice("service", service, SERVICES)
    counted = pd.read_csv(FOLDER / "parts.csv").set_index("service").loc[service]
    names = ("hops", "state_stores", "deploy_units", "failure_modes", "knobs", "lines")
    return Parts(workers=1, **{name: float(counted[name]) for name in names})


@cache
def answers(run: str) -> tuple[Array, Array]:
    """Return when requests were sent, in s from the first, and how long good answers took in ms."""
    samples = load_test(run).samples
    start_s = (samples["start"] - samples["start"].min()).dt.total_seconds()
    elapsed_ms = samples["elapsed_ms"][samples["success"]]
    return np.sort(start_s.to_numpy(dtype=float)), elapsed_ms.to_numpy(dtype=float)


def figures() -> pd.DataFrame:
    """Return what was seen of every run in which nothing dies, a row a run.

    ``rate_per_s`` came and ``done_per_s`` were done; ``p50``, ``p95`` and ``p99`` of good answers in ms;
    ``refused``: the share that got 503; ``processor``: the share of the one that was used, and
    ``processor_ms`` of it for each job done.
    """
    quiet = runs()[runs()["action"].isna()]
    rows = {name: _seen(str(name)) for name in quiet.index}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("run")
    table["processor"] = quiet["cpu_s"] / quiet["seconds"]
    table["processor_ms"] = 1000 * quiet["cpu_s"] / quiet["done_in_window"]
    return pd.concat([quiet[["service", "scenario", "slow"]], table], axis="columns")


def _seen(run: str) -> dict[str, float]:
    arrived_s, elapsed_ms = answers(run)
    p50, p95, p99 = np.percentile(elapsed_ms, [50, 95, 99])
    return {
        "rate_per_s": arrived_s.size / arrived_s[-1],
        "done_per_s": elapsed_ms.size / arrived_s[-1],
        "p50": p50,
        "p95": p95,
        "p99": p99,
        "refused": 1 - elapsed_ms.size / arrived_s.size,
    }
