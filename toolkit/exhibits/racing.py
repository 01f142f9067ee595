"""The two forms in a race: fresh processes that take turns, on this machine, now.

Other work on the machine slows both forms of a round alike, so ratios are taken within a round, and the
median over the rounds with its range is what counts.
The charge takes no time here: what is measured is the code alone.  A real charge takes milliseconds.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd

from toolkit import _check
from toolkit.exhibits.forms import FOLDER, FORMS

_JOBS_A_CUSTOMER = 20


def race(*, jobs: int = 2_000, rounds: int = 5, seed: int = 1) -> pd.DataFrame:
    """Race both forms over the same job lines; a row a round and form.

    ``ready_ms`` is from the start of the import until the first line could be taken, ``set_up_us`` what
    every later run takes before its first line; ``jobs_per_s`` is by CPU time; ``p50_us`` and ``p99_us``
    are of the time from one line to the next.  Takes about a third of a second a round.
    """
    _check.count("jobs", jobs, least=100)
    _check.count("rounds", rounds)
    lines = job_lines(jobs, seed)
    order = list(FORMS)
    for form in order:  # afterwards the files are in memory, and their byte code on disk
        _lap(form, lines)
    rows = []
    for number in range(rounds):
        rows += [{"round": number, "form": form, **_lap(form, lines)} for form in order]
        order.reverse()
    return pd.DataFrame(rows)


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """Return the layered form's figures over the direct one's, taken within each round of a ``race``.

    A row a figure: ``median``, ``low`` and ``high`` of the rounds.
    """
    forms = {
        form: rows.set_index("round").drop(columns="form") for form, rows in table.groupby("form")
    }
    ratio = forms["layered"] / forms["direct"]
    return pd.DataFrame({"median": ratio.median(), "low": ratio.min(), "high": ratio.max()})


def job_lines(jobs: int, seed: int) -> list[str]:
    """Return random job lines: nearly all good, one in twenty sent twice, one in twenty broken."""
    rng = np.random.default_rng(seed)
    names = rng.integers(0, 10 * jobs, jobs)
    customers = rng.integers(0, max(1, jobs // _JOBS_A_CUSTOMER), jobs)
    kinds = rng.choice(["thumbnail", "transcode", "report"], jobs)
    sizes_mb = np.exp(rng.uniform(0, np.log(2_000), jobs)).astype(int)
    broken, again = rng.random((2, jobs)) < 1 / 20
    lines: list[str] = []
    for number in range(jobs):
        job = {
            "job": f"job-{names[number]}",
            "customer": f"customer-{customers[number]}",
            "kind": str(kinds[number]),
            "size_mb": 0 if broken[number] else int(sizes_mb[number]),
        }
        lines.append(lines[number // 2] if again[number] and number else json.dumps(job))
    return lines


def _lap(form: str, lines: list[str]) -> dict[str, float]:
    """Run one form in a fresh process and return its figures."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-I", str(FOLDER / "lap.py"), form, str(FOLDER)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(done.stdout)
    return {
        "jobs_per_s": round(len(lines) / seen["cpu_s"]),
        "p50_us": round(1e6 * seen["p50_s"], 2),
        "p99_us": round(1e6 * seen["p99_s"], 2),
        "set_up_us": round(1e6 * seen["set_up_s"], 1),
        "ready_ms": round(1e3 * seen["ready_s"], 2),
    }
