"""What a user waits for, and what a run holds in memory: `python tests/benchmarks/figures.py --help`.

From the start of a fresh process to its first result, with numba's cache filled and empty; the answer
to a call; two threads against one; bytes a job beyond its streams.
"""

# ruff: noqa: T201, printing is what it is for

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from comparison import goals
from comparison.goals import Goal
from timing import measure, peak_bytes, wait_for_other_threads

JOBS, FIRST_JOBS, REPLICATIONS, ROUNDS, TIMES = 200_000, 20_000, 64, 4, 7
JOB_BYTES, ATTEMPT_BYTES = 48, 40  # what a run may hold beyond its streams
FIRST_RESULT = """
import toolkit as tk
work = tk.Stage(
    name="work",
    service=tk.Exponential(mean_s=1.0),
    workers=4,
    failure=0.1,
    retry=tk.Retry(max_retries=7, backoff=tk.FullJitter(base_s=1.0, cap_s=60.0)),
)
design = tk.Design(arrivals=tk.Poisson(rate_per_s=3.24), stages=[work])
run = tk.simulate(design, jobs={jobs}, seed=1, engine="{engine}")
run.summary()
print(run.engine, flush=True)
"""
COMPILE = "from toolkit.simulation.compiled_engine import compiler; compiler.compile_all()"
FOUNDATION = "import numpy, pandas, simpy; print('simpy', flush=True)"


# --- from the start of a process ---


def first_line_s(program: str, cache: str) -> tuple[float, str]:
    """Return how long a fresh process takes to print its first line, and the line; then end it."""
    env = {**os.environ, "NUMBA_CACHE_DIR": cache}
    since_s = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        line = process.stdout.readline().strip()
        taken_s = time.perf_counter() - since_s
        process.kill()  # it may be compiling still
    if not line:
        raise RuntimeError("the process ended without a result")
    return taken_s, line


def starts(jobs: int, engine: str, rounds: int) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Return the seconds to the first result, by kind of start, and which engine gave it."""
    seconds, engines = defaultdict(list), {}
    program = FIRST_RESULT.format(jobs=jobs, engine=engine)
    with tempfile.TemporaryDirectory() as filled:
        subprocess.run(
            [sys.executable, "-c", COMPILE],
            env={**os.environ, "NUMBA_CACHE_DIR": filled},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as empty:
                for kind, code, cache in (
                    ("foundation", FOUNDATION, filled),
                    ("filled", program, filled),
                    ("empty", program, empty),
                ):
                    taken_s, engines[kind] = first_line_s(code, cache)
                    seconds[kind].append(taken_s)
                end_compiler(empty)
    return seconds, engines


def end_compiler(cache: str) -> None:
    """End the process that compiles into an empty cache, or it would slow down what is measured next."""
    for note in Path(cache).rglob("compiler.pid"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(note.read_text()), signal.SIGKILL)


# --- inside a process ---


def answer(jobs: int, engine: str) -> dict[str, float]:
    """Time a call with its draws and its summary, a new seed every time."""
    import toolkit as tk

    design, taken_ms = warm(engine), []
    for seed in range(TIMES + 1):
        since_s = time.perf_counter()
        run = tk.simulate(design, jobs=jobs, seed=seed, engine=engine)
        run.summary()
        taken_ms.append(1e3 * (time.perf_counter() - since_s))
    return {"ms": statistics.median(taken_ms[1:])}


def threads(jobs: int, engine: str) -> dict[str, float]:
    """Time many replications, on one thread and on two, and see that they say the same."""
    import toolkit as tk

    design, taken_s, tables = warm(engine), [], []
    for parallel in (1, 2):
        since_s = time.perf_counter()
        made = tk.replicate(
            design,
            jobs=jobs,
            replications=REPLICATIONS if jobs > FIRST_JOBS else 4,
            engine=engine,
            parallel=parallel,
            progress=False,
        )
        taken_s.append(time.perf_counter() - since_s)
        tables.append(made.figures)
    if not tables[0].equals(tables[1]):
        raise RuntimeError("two threads give other figures than one")
    return {"one_s": taken_s[0], "two_s": taken_s[1], "speed_up": taken_s[0] / taken_s[1]}


def memory(jobs: int, engine: str) -> dict[str, float]:
    """Return the bytes that a run holds at most, the streams left out, as the kernel counts them."""
    import toolkit as tk
    from toolkit.simulation.streams import SHELF

    design = warm(engine)
    held, drawn = peak_bytes(), SHELF.held_bytes
    run = tk.simulate(design, jobs=jobs, seed=2, engine=engine)
    streams = SHELF.held_bytes - drawn
    beyond = peak_bytes() - held - streams
    attempts = len(run.records.job)
    columns = peak_bytes() - held - streams
    allowed = JOB_BYTES * jobs + ATTEMPT_BYTES * attempts
    return {
        "bytes_per_job": beyond / jobs,
        "bytes_per_job_with_columns": columns / jobs,
        "streams_per_job": streams / jobs,
        "of_allowed": beyond / allowed,
    }


def warm(engine: str):
    """Return the model with retries, after it has run and all has been compiled."""
    from comparison.models import MODELS

    import toolkit as tk

    design = MODELS["retry"].design(MODELS["retry"].workers)
    for _ in range(2):
        tk.simulate(design, jobs=1000, engine=engine).summary()
        wait_for_other_threads()
    return design


PARTS = {"answer": answer, "threads": threads, "memory": memory}


# --- all of them ---


def main(options: argparse.Namespace) -> None:
    """Measure, print, write."""
    jobs, engine = options.jobs, options.engine
    seconds, engines = starts(min(jobs, FIRST_JOBS), engine, options.rounds)
    found = {name: [] for name in PARTS}
    for _ in range(options.rounds):
        for name, results in found.items():
            command = [__file__, "--one", name, "--jobs", str(jobs), "--engine", engine]
            results.append(measure(command))
    print(
        f"medians of {options.rounds} rounds, fresh processes\n| figure | median | least | most |"
    )
    print("| --- | ---: | ---: | ---: |")
    for kind, values in seconds.items():
        row(f"s from the start of a process to its first line, {kind} ({engines[kind]})", values)
    for name, results in found.items():
        for figure in results[0]:
            row(f"{figure}, {name}", [result[figure] for result in results])
    reached = goals_of(seconds, found, jobs)
    goals.show_goals(reached)
    results = {"rounds": options.rounds, "jobs": jobs, "starts_s": seconds, "engines": engines}
    goals.save(options.out, "figures", {**results, **found}, reached)


def row(what: str, values: list[float]) -> None:
    """Print a figure with its spread."""
    found = " | ".join(f"{value:.4g}" for value in goals.spread(values).values())
    print(f"| {what} | {found} |")


def goals_of(
    seconds: dict[str, list[float]], found: dict[str, list[dict[str, float]]], jobs: int
) -> list[Goal]:
    """Return what must be reached."""

    def values(part: str, figure: str) -> list[float]:
        return [result[figure] for result in found[part]]

    less = {"more_is_better": False}
    return [
        Goal(
            "memory beyond the streams",
            "of 48 B a job + 40 B an attempt",
            values("memory", "of_allowed"),
            1.0,
            0.5,
            **less,
        ),
        Goal(
            f"simulate, {jobs:,} jobs with retries, and summary()",
            "ms",
            values("answer", "ms"),
            40,
            20,
            **less,
        ),
        Goal(
            "process start to first result, cache filled", "s", seconds["filled"], 1.1, 0.8, **less
        ),
        Goal("the same, cache empty", "s", seconds["empty"], 0.9, 0.7, **less),
        Goal(
            f"{REPLICATIONS} replications x {jobs:,} jobs, two threads",
            "x one",
            values("threads", "speed_up"),
            1.8,
            1.95,
        ),
    ]


def parsed() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--engine", default="auto", choices=["auto", "compiled", "simpy"])
    parser.add_argument(
        "--out", type=Path, default=goals.RESULTS, help="folder for what is written"
    )
    parser.add_argument("--one", choices=list(PARTS), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    given = parsed()
    if given.one:
        print(json.dumps(PARTS[given.one](given.jobs, given.engine)))
    else:
        main(given)
