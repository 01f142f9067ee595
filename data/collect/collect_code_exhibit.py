"""Measure the data set code-exhibit: the job pipeline in both forms, raced, changed, broken and counted.

``python data/collect/collect_code_exhibit.py --out DIR`` (about four minutes; on Linux).
A fault is seeded in a process of its own, forked from this one, so that pytest and Hypothesis are loaded
once; the kernel ends a process that takes too long.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from toolkit import exhibits
from toolkit.exhibits import faults, forms

ROOT = Path(__file__).parents[2]
SHARED = ROOT / "tests" / "exhibits" / "test_pipelines.py"
OWN = {"layered": ROOT / "tests" / "exhibits" / "test_layered.py"}
PARTS = ("race", "faults", "counts")
ROUNDS, JOBS = 31, 5_000
MOST_CPU_S, MOST_BYTES = (
    20,
    4 * 2**30,
)  # of one seeded fault; without one it takes a second and 0.3 GB
QUIET = ("-q", "-x", "-n0", "-p", "no:cacheprovider", "-p", "no:nbval")


class Watch:
    """Counts tests, and notes what has failed first and after which CPU time."""

    def __init__(self) -> None:
        self.tests, self.failed, self.seconds = 0, "", 0.0

    def pytest_runtest_setup(self) -> None:
        """Begin with the first test: what collection takes is no matter of faults."""
        self.tests += 1
        self.begun_s = getattr(self, "begun_s", time.process_time())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look at each test's end."""
        self.seconds = time.process_time() - self.begun_s
        if report.failed and not self.failed:
            self.failed = report.nodeid.rpartition("::")[2]


def tested(path: Path, only: str) -> Watch:
    """Run the tests of a file whose names have ``only`` in them, up to the first that fails."""
    watch = Watch()
    code = pytest.main([str(path), "-k", only, *QUIET], plugins=[watch])
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        watch.failed = "collection"  # the tests themselves could not be loaded
    return watch


def verdict(form: str, files: Mapping[str, str]) -> dict[str, Any]:
    """Return who notices that a form is as these files say: the tests of both, its own, or nobody."""
    try:
        with forms.loaded(form, files):
            watch = tested(SHARED, form)
            found = {"tests": watch.tests, "cpu_ms": round(1000 * watch.seconds, 1)}
            if watch.failed:
                return {"caught": "shared", **found, "first_failed": watch.failed}
            if form in OWN and (own := tested(OWN[form], "test")).failed:
                return {"caught": "own", **found, "first_failed": own.failed}
            return {"caught": "no", **found}
    except Exception as error:  # noqa: BLE001, a fault may raise anything when its module is loaded
        return {"caught": "import", "tests": 0, "cpu_ms": 0.0, "first_failed": repr(error)}


def in_a_child(work: Callable[[], dict[str, Any]], answer: Path) -> int:
    """Fork a process that writes what ``work`` returns; return its number."""
    sys.stdout.flush()
    if number := os.fork():
        return number
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S, MOST_CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    try:
        answer.write_text(json.dumps(work()), encoding="utf-8")
    finally:
        os._exit(0)


def answers(works: Sequence[Callable[[], dict[str, Any]]], at_once: int) -> list[dict[str, Any]]:
    """Do all works in children, some at once; one without an answer has run out of time or memory."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.json" for number in range(len(works))]
        running: set[int] = set()
        for work, file in zip(works, files, strict=True):
            if len(running) == at_once:
                running.remove(os.wait()[0])
            running.add(in_a_child(work, file))
        for _ in running:
            os.wait()
        lost = {"caught": "time", "tests": 0, "cpu_ms": 1000.0 * MOST_CPU_S}
        return [json.loads(file.read_text()) if file.exists() else lost for file in files]


def measure_faults(out: Path, at_once: int) -> None:
    """Write a row a fault, and one for each form without any, which must go unnoticed."""
    os.environ["CI"] = "1"  # Hypothesis draws the same examples in every process
    seeded = [fault for form in forms.FORMS for fault in faults.seeded(form)]
    whole = [lambda form=form: verdict(form, forms.texts(form)) for form in forms.FORMS]
    broken = [lambda fault=fault: verdict(fault.form, fault.files()) for fault in seeded]
    found = answers([*whole, *broken], at_once)
    if any(row["caught"] != "no" for row in found[: len(whole)]):
        raise SystemExit(f"without a fault all tests must pass, got {found[: len(whole)]}")
    none = pd.DataFrame({"form": forms.FORMS, "sort": "none"})
    table = pd.concat([none, *map(exhibits.fault_table, forms.FORMS)], ignore_index=True)
    table = table.join(pd.DataFrame(found))
    table.astype({"line": "Int64"}).to_csv(out / "faults.csv", index=False)
    print(table.groupby(["form", "caught"]).size().to_string())


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description="Measure the data set code-exhibit.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--at-once", type=int, default=2, help="faults tried at the same time")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    if "race" in given.only:
        exhibits.race(jobs=JOBS, rounds=ROUNDS).to_csv(given.out / "race.csv", index=False)
    if "counts" in given.only:
        exhibits.size_table().to_csv(given.out / "sizes.csv")
        exhibits.change_table().to_csv(given.out / "changes.csv", index=False)
        costs = exhibits.dependencies(rounds=7, extras=True)
        costs.to_csv(given.out / "dependencies.csv", index=False)
    if "faults" in given.only:
        measure_faults(given.out, given.at_once)


if __name__ == "__main__":
    main()
