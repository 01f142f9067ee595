"""Compare two programs fairly: fresh processes, taking turns, judged by CPU time.

Other work on the machine slows both programs of a round alike, so the ratio is taken within a round,
and the median over rounds with its range is what is reported.
"""

# ruff: noqa: T201, printing is what it is for

import json
import os
import resource
import statistics
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any


def measure(
    command: Sequence[str], *, limit_s: float | None = None, env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run a Python command that prints one JSON object of figures as its last line.

    ``env`` is put on top of this process's environment.  Raises ``RuntimeError`` if the command fails,
    and ``subprocess.TimeoutExpired`` after ``limit_s`` seconds.
    """
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=limit_s,
        env={**os.environ, **(env or {})},
    )
    if done.returncode:
        raise RuntimeError(f"python {' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def rounds(programs: Mapping[str, Sequence[str]], count: int) -> list[dict[str, dict[str, float]]]:
    """Run all programs in turn, ``count`` times, every second time in the opposite order."""
    order, results = list(programs.items()), []
    for _ in range(count):
        results.append({name: measure(command) for name, command in order})
        order.reverse()
    return results


def show(results: Sequence[Mapping[str, Mapping[str, float]]], units: Mapping[str, str]) -> None:
    """Print a table of medians: a row a program, a column for each figure named in ``units``."""
    print("| program |" + "".join(f" {unit} |" for unit in units.values()))
    print("| --- |" + " ---: |" * len(units))
    for name in results[0]:
        medians = [
            statistics.median(result[name][figure] for result in results) for figure in units
        ]
        print(f"| {name} |" + "".join(f" {median:.4g} |" for median in medians))


def show_ratio(
    results: Sequence[Mapping[str, Mapping[str, float]]], ours: str, theirs: str, *, goal: float
) -> float:
    """Print and return the median ratio of CPU times, with its range and the goal."""
    ratios = sorted(result[ours]["cpu_s"] / result[theirs]["cpu_s"] for result in results)
    median = statistics.median(ratios)
    verdict = "met" if median <= goal else "missed"
    print(
        f"{ours} / {theirs}: {median:.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f} in {len(ratios)} rounds); "
        f"goal {goal:g} {verdict}"
    )
    return median


def wait_for_other_threads() -> None:
    """Let whoever compiles in the background come to an end."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(timeout=60)


def peak_bytes() -> int:
    """Return the most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
