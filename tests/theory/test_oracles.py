"""Every formula, against numbers worked out elsewhere: 30 to 80 digit arithmetic, linear solves.

Of the kinds of rows in the table, ``published`` ones are no targets (they are what a source prints,
teaching material), and ``simulated`` ones are the simulator's.
"""

import csv
import json
import math
from collections import Counter
from pathlib import Path

import pytest
from rows_queues import QUEUES
from rows_systems import SYSTEMS

ORACLES = Path(__file__).parents[3] / "shared" / "oracles" / "oracles_open.csv"
TARGETS = (
    "exact",
    "exact (deterministic)",
    "asymptotic exact (n=infinity)",
    "bound",
    "approximation",
)
HANDLERS = QUEUES | SYSTEMS

LOOSER = {
    # the table's chain is cut off at queues of 27 to 170 jobs, and says so: 1e-6
    "JSQ(d) finite n": 1e-6,
    # the table stopped a fit where the sum of squares is flat; at the exact least squares (40 digits,
    # where ours agree to 14) beta is 2e-6 of itself further
    "USL fit": 1e-5,
}
"""Relative errors that are allowed where the table itself is not good to 1e-8."""

NOISY = {"AWS-SDK standard-mode": 1e-15, "gRPC retry throttling, sequential": 1e-15}
"""Differences that are the rounding of the table's own linear solve: it has negative chances."""

LEFT_OUT = {}
"""Why rows of a model are left out, by the start of its name: none are."""


def longest(starts, text):
    return max((start for start in starts if text.startswith(start)), key=len, default=None)


def worked_out(row):
    """Return the toolkit's number for a row of the table, None if it has none."""
    start = longest(HANDLERS, row["model"])
    return None if start is None else HANDLERS[start](json.loads(row["params"]), row["metric"])


def value_of(row):
    """Read a value: a number, a list of numbers, or a word."""
    try:
        return json.loads(row["value"])
    except ValueError:
        return row["value"]


def error(got, row):
    """Return how far ``got`` is from the table, relative; ``inf`` where a word or length differs."""
    want, noise = value_of(row), NOISY.get(longest(NOISY, row["model"]), 0.0)
    if isinstance(want, str) or isinstance(got, str):
        return 0.0 if got == want else math.inf
    if isinstance(want, list):
        return max(map(apart, got, want)) if len(got) == len(want) else math.inf
    if row["kind"] == "exact (deterministic)":
        # equality, of a fraction that the table prints with 15 digits
        return 0.0 if f"{float(got):.15g}" == f"{want:.15g}" else math.inf
    return 0.0 if abs(got - want) <= noise else apart(got, want)


def apart(got, want):
    return 0.0 if got == want else abs(float(got) - want) / abs(want or 1.0)


@pytest.fixture
def targets():
    if not ORACLES.exists():
        print(f"no table of exact results at {ORACLES}")  # noqa: T201
        pytest.skip(f"no table of exact results at {ORACLES}")
    with ORACLES.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] in TARGETS]


def test_every_formula_gives_the_number_of_the_table_of_exact_results(targets):
    """Independent arithmetic is the best witness; a row left out needs a reason in ``LEFT_OUT``."""
    wrong, left_out, covered = [], Counter(), Counter()
    worst = {}
    for row in targets:
        got = worked_out(row)
        if got is None:
            reason = LEFT_OUT.get(longest(LEFT_OUT, row["model"]), "NO REASON")
            left_out[row["model"], reason] += 1
            continue
        covered[row["kind"]] += 1
        looser = longest(LOOSER, row["model"])
        missed = error(got, row)
        worst[looser or "others"] = max(worst.get(looser or "others", (0.0,)), (missed, row["id"]))
        if not missed <= LOOSER.get(looser, 1e-8):
            wrong.append((row["id"], row["model"], row["metric"], row["params"], row["value"], got))
    report(targets, covered, left_out, worst)

    assert wrong == []
    assert [model for model, reason in left_out if reason == "NO REASON"] == []
    assert covered.total() >= 0.95 * len(targets)


def report(targets, covered, left_out, worst):
    print(f"{covered.total()} of {len(targets)} targets")  # noqa: T201
    for kind, count in Counter(row["kind"] for row in targets).items():
        print(f"  {covered[kind]:4} of {count:4} {kind}")  # noqa: T201
    for (model, reason), count in left_out.items():
        print(f"  left out: {count:3} rows of {model}: {reason}")  # noqa: T201
    for group, (missed, row) in worst.items():
        print(f"  worst relative error of {group}: {missed:.1e} ({row})")  # noqa: T201
