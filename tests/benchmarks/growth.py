"""How cost grows: `python tests/benchmarks/growth.py --help`.

The model with retries, larger: up to ten million jobs, a thousand workers, twenty stages in a row, all
nine tenths busy.  The time is that of `tk.simulate` with its draws; each size in a fresh process.
"""

# ruff: noqa: T201, printing is what it is for

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from comparison import goals
from timing import measure, peak_bytes, wait_for_other_threads

MOST_JOBS, ROUNDS, LIMIT_S = 10_000_000, 2, 300
ENOUGH_S, LEAST_TIMES, TIMES = 0.5, 3, 20
SIZES = {
    "jobs": (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    "workers": (1, 4, 10, 30, 100, 300, 1000),
    "stages": (1, 2, 5, 10, 20),
}
USUAL = {"jobs": 100_000, "workers": 4, "stages": 1}
"""What the other two are while one grows."""


def design(workers: int, stages: int):
    """Return the model with retries, with so many workers in so many stages in a row."""
    from comparison.models import CHANCE, RATE_PER_S, RETRY, WORKERS

    import toolkit as tk

    row = [
        tk.Stage(
            name=f"work {number}",
            service=tk.Exponential(mean_s=1.0),
            workers=workers,
            failure=CHANCE,
            retry=RETRY,
        )
        for number in range(stages)
    ]
    arrivals = tk.Poisson(rate_per_s=RATE_PER_S * workers / WORKERS)
    return tk.Design(arrivals=arrivals, stages=row)


def report(jobs: int, workers: int, stages: int, engine: str) -> dict[str, object]:
    """Time one size in this process, a new seed every time."""
    import toolkit as tk

    shape = design(workers, stages)
    for _ in range(2):
        tk.simulate(shape, jobs=min(jobs, 1000), engine=engine)
        wait_for_other_threads()
    taken_s, held, peak = [], peak_bytes(), 0
    while len(taken_s) < LEAST_TIMES or (len(taken_s) < TIMES and sum(taken_s) < ENOUGH_S):
        since_s = time.process_time()
        run = tk.simulate(shape, jobs=jobs, seed=1 + len(taken_s), engine=engine)
        taken_s.append(time.process_time() - since_s)
        peak = peak or peak_bytes()
    ns = 1e9 * statistics.median(taken_s[1:]) / jobs  # the first may compile
    return {"ns": ns, "peak_bytes": (peak - held) / jobs, "engine": run.engine}


def sizes(most_jobs: int) -> list[tuple[str, int, dict[str, int]]]:
    """Return what grows, how far, and the whole size."""
    usual = {**USUAL, "jobs": min(most_jobs, USUAL["jobs"])}
    return [
        (axis, value, {**usual, axis: value})
        for axis, values in SIZES.items()
        for value in values
        if axis != "jobs" or value <= most_jobs
    ]


def main(options: argparse.Namespace) -> None:
    """Measure all sizes in turn, print, write."""
    todo, results = sizes(options.most_jobs), {}
    for number in range(options.rounds):
        for axis, value, size in todo[:: -1 if number % 2 else 1]:
            command = [__file__, "--engine", options.engine, "--one"]
            command += [str(size[name]) for name in USUAL]
            results.setdefault((axis, value), []).append(measure(command, limit_s=LIMIT_S))
        print(f"round {number + 1} of {options.rounds} is over", file=sys.stderr)
    rows = []
    print(f"medians of {options.rounds} rounds, fresh processes")
    print("| size | CPU ns/job | from | to | peak B/job | engine |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for axis, value, _ in todo:
        found = results[axis, value]
        ns = goals.spread([one["ns"] for one in found])
        bytes_per_job = statistics.median(one["peak_bytes"] for one in found)
        cells = " | ".join(f"{one:,.1f}" for one in ns.values())
        engine = found[0]["engine"]
        print(f"| {value:,} {axis} | {cells} | {bytes_per_job:,.0f} | {engine} |")
        rows.append({"axis": axis, "value": value, "ns": ns, "engine": engine})
    results = {"rounds": options.rounds, "usual": USUAL, "rows": rows}
    kept = goals.save(options.out, "growth", results)
    from comparison import pictures

    print(pictures.growth(kept, options.out / "growth.png"))


def parsed() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most-jobs", type=int, default=MOST_JOBS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--engine", default="auto", choices=["auto", "compiled", "simpy"])
    parser.add_argument(
        "--out", type=Path, default=goals.RESULTS, help="folder for what is written"
    )
    parser.add_argument("--one", nargs=3, type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    given = parsed()
    if given.one:
        print(json.dumps(report(*given.one, given.engine)))
    else:
        main(given)
