"""What happened to those who asked when a part was killed or replaced."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from toolkit import _check
from toolkit.laws import Array
from toolkit.twins.measured import load_test, runs, truth


def incidents() -> pd.DataFrame:
    """Return what a killed or replaced part did, a row a run.

    ``away_s``: until the part was ready again; ``inside``: requests that were inside at that moment;
    ``failed`` got no answer or an error, ``refused`` got 503; ``if_not_hidden``: the formula for a front that
    nothing hides, rate x away + inside; ``first_bad_s``: until the first of the bad was asked for;
    ``good_again_s``: to the first good answer after the last bad one was asked for, 0 if none was bad; ``slowest_s``: the slowest good answer; ``lost`` and done ``twice``
    are jobs.
    """
    rows = runs()[runs()["action"].notna()]
    table = pd.DataFrame({name: _seen(str(name), row) for name, row in rows.iterrows()}).T
    table = table.infer_objects().rename_axis("run")
    table = pd.concat([rows[["service", "action"]], table, rows[["lost", "twice"]]], axis="columns")
    return table.rename(columns={"targets": "part"})


def _seen(run: str, row: pd.Series) -> dict[str, float | str]:
    """Return one row, from the load generator's record and the service's."""
    seen = _from_action(run)
    bad, good = seen[~seen["success"]], seen[seen["success"]]
    after_s = bad["start_s"].max() if len(bad) else math.inf
    again_s = good.loc[good["start_s"] > after_s, "end_s"].min() if len(bad) else 0.0
    refused = int((bad["code"] == "503").sum())
    away_s, inside = row["restored_s"] - row["action_s"], _inside(run, row["action_s"])
    return {
        "part": row["targets"],
        "away_s": away_s,
        "inside": inside,
        "failed": len(bad) - refused,
        "refused": refused,
        "if_not_hidden": row["rate_per_s"] * away_s + inside,
        "first_bad_s": max(0.0, float(bad["start_s"].min())) if len(bad) else math.nan,
        "good_again_s": again_s,
        "slowest_s": float((good["end_s"] - good["start_s"]).max()),
    }


def _from_action(run: str) -> pd.DataFrame:
    """Return requests that were not answered when something happened, with times in s from that moment."""
    samples = load_test(run).samples
    zero = pd.to_datetime(runs().loc[run, "zero_unix_us"], unit="us", utc=True)
    start_s = (samples["start"] - zero).dt.total_seconds() - runs().loc[run, "action_s"]
    end_s = start_s + samples["elapsed_ms"] / 1000
    seen = samples[["success", "code"]].assign(start_s=start_s, end_s=end_s)
    return seen[seen["end_s"] > 0]


def _inside(run: str, action_s: float) -> int:
    """Count the requests that had arrived and had not been answered."""
    stamps = truth(run)
    came = stamps["arrived_us"] <= 1e6 * action_s
    answered_us = stamps["arrived_us"] + stamps["answered_us"]
    return int((came & ~(answered_us <= 1e6 * action_s)).sum())


def good_per_s(run: str, *, every_s: float = 0.5) -> tuple[Array, Array]:
    """Return how many good answers a second came, over time in s from when something happened.

    In runs in which nothing happens time counts from the first request.  The time is a step's middle.
    """
    _check.positive("every_s", every_s)
    samples = load_test(run).samples
    zero = pd.to_datetime(runs().loc[run, "zero_unix_us"], unit="us", utc=True)
    happened_s = runs().loc[run, "action_s"] if isinstance(runs().loc[run, "action"], str) else 0.0
    end_s = (samples["end"] - zero)[samples["success"]].dt.total_seconds() - happened_s
    edges_s = np.arange(-happened_s, float(end_s.max()), every_s)
    counts, _ = np.histogram(end_s, edges_s)
    return edges_s[:-1] + every_s / 2, counts / every_s
