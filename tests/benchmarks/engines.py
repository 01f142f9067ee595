"""How fast this project simulates, beside five others: `python tests/benchmarks/engines.py --help`.

Four models of `comparison/models.py` and two queues, each in a fresh process, a round after the other;
SimPy before and after the others of a round, and the mean of both is what they are held against.
All programs keep a record of every job and, for the same seed, must give the same sojourn times.
This project's time is that of the public call with its random draws and the records of attempts kept;
"and its columns" adds what the first look at them costs.  The others are given their draws beforehand.
A slider moved: the same seed was run before with another number of workers.
"""

# ruff: noqa: T201, printing is what it is for

import argparse
import hashlib
import importlib
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from comparison import goals
from comparison.goals import Goal
from timing import measure, peak_bytes, wait_for_other_threads

JOBS, ROUNDS, LIMIT_S, ENOUGH_S, CHECK_JOBS = 100_000, 4, 120, 1.5, 2_000
FOUR, QUEUES = ("mm1", "mm4", "retry", "tbretry"), ("celery", "sqs")
PLAIN = FOUR[:2]
BEFORE, AFTER = "simpy", "simpy again"


@dataclass(frozen=True)
class Contender:
    """A program: its module in `comparison/`, what it can do, and how many jobs it gets for each of SimPy's."""

    says: str
    module: str
    models: Sequence[str] = FOUR
    share: float = 1.0
    options: Mapping[str, object] = field(default_factory=dict)


CONTENDERS = {
    BEFORE: Contender("SimPy, a process a job", "with_simpy", FOUR + QUEUES),
    "lab": Contender("Goodput Lab", "with_toolkit", FOUR + QUEUES, 2),
    "lab-loop": Contender("Goodput Lab, general loop", "with_toolkit", PLAIN, 2, {"loop": True}),
    "lab-columns": Contender(
        "Goodput Lab, and its columns", "with_toolkit", FOUR + QUEUES, 2, {"columns": True}
    ),
    "lab-drawn": Contender(
        "Goodput Lab, a slider moved", "with_toolkit", FOUR + QUEUES, 2, {"drawn": True}
    ),
    "lab-loop-drawn": Contender(
        "Goodput Lab, general loop, a slider moved",
        "with_toolkit",
        PLAIN,
        2,
        {"loop": True, "drawn": True},
    ),
    "cimba": Contender("Cimba", "with_cimba", share=2),
    "asimpy": Contender("asimpy", "with_asimpy", share=0.5),
    "ciw": Contender("Ciw", "with_ciw", FOUR[:3], 0.2),
    "salabim": Contender("salabim", "with_salabim", share=0.06),
    AFTER: Contender("SimPy, a process a job", "with_simpy", FOUR + QUEUES),
}
"""In the order of a round; every second round runs backwards."""

LEAST = {  # and the aim, in ratios to SimPy
    ("lab-loop", "mm1"): (160, 300),
    ("lab-loop", "mm4"): (130, 220),
    ("lab", "retry"): (100, 180),
    ("lab", "tbretry"): (85, 160),
    ("lab", "mm1"): (500, 650),
    ("lab", "mm4"): (280, 450),
    ("lab", "celery"): (70, 150),
    ("lab", "sqs"): (70, 150),
}
DRAWN_LEAST, DRAWN_AIM = 1.2, 2.0  # times the least, once the streams are drawn
CIMBA_LEAST, CIMBA_AIM = 4, 8


# --- one program in one process ---


def report(name: str, model: str, jobs: int, engine: str) -> dict[str, object]:
    """Run one program in this process and return its figures."""
    contender = CONTENDERS[name]
    try:
        module = importlib.import_module(f"comparison.{contender.module}")
    except ModuleNotFoundError as error:
        return {"skipped": f"{error.name} is not installed"}
    options = dict(contender.options)
    if contender.module == "with_toolkit":
        options["engine"] = engine
    few = min(jobs, CHECK_JOBS)
    check(module.program(model, few, **options))  # what is compiled is compiled now
    wait_for_other_threads()
    mean_s, digest = check(module.program(model, few, **options))
    program = module.program(model, jobs, **options)
    figures = time_it(program, jobs)
    return {**figures, "jobs": jobs, "check_mean_s": mean_s, "check": digest}


def check(program) -> tuple[float, str]:
    """Run few jobs; return the mean sojourn time and a digest of all of them."""
    if program.before:
        program.before()
    sojourns_s = program.sojourns_s(program.run())
    return float(sojourns_s.mean()), hashlib.sha256(sojourns_s.tobytes()).hexdigest()[:12]


def time_it(program, jobs: int) -> dict[str, object]:
    """Run a program as often as it wants, or until it has taken as long as SimPy does; return the means.

    The speed of a machine changes from second to second, so what takes milliseconds must meet as many
    of its phases as what takes a second.  One that runs several times in a session runs once before its
    time counts.
    """
    cpu_s, wall_s, held, peak = [], [], peak_bytes(), 0
    for number in range(program.times + (program.times > 1)):
        if program.before:
            program.before()
        since_wall_s, since_cpu_s = time.perf_counter(), time.process_time()
        records = program.run()
        taken_cpu_s, taken_s = time.process_time() - since_cpu_s, time.perf_counter() - since_wall_s
        peak = peak or peak_bytes()
        if number or program.times == 1:
            cpu_s.append(taken_cpu_s)
            wall_s.append(taken_s)
        if sum(wall_s) > ENOUGH_S:
            break
    return {
        "cpu_ns": 1e9 * statistics.mean(cpu_s) / jobs,
        "wall_ns": 1e9 * statistics.mean(wall_s) / jobs,
        "peak_bytes_per_job": (peak - held) / jobs,
        "says": program.says(records),
    }


# --- all of them ---


class Comparison:
    """Rounds of all programs on one model after the other."""

    def __init__(self, models: Sequence[str], jobs: int, engine: str) -> None:
        self.models, self.jobs, self.engine = models, jobs, engine
        self.rounds: list[dict[tuple[str, str], dict[str, object]]] = []
        self.skipped: dict[tuple[str, str], str] = {}
        self.wrong: list[str] = []

    def run(self, count: int) -> None:
        """Run so many rounds."""
        for number in range(count):
            names, found = list(CONTENDERS.items())[:: -1 if number % 2 else 1], {}
            for model in self.models:
                for name, contender in names:
                    if model in contender.models and (name, model) not in self.skipped:
                        self.one(found, name, model)
            self.rounds.append(found)
            print(f"round {number + 1} of {count} is over", file=sys.stderr)
        self.compare_records()

    def one(self, found, name: str, model: str) -> None:
        """Measure one program once, or note why not."""
        jobs = max(10, round(self.jobs * CONTENDERS[name].share))
        command = [__file__, "--one", name, "--models", model]
        command += ["--jobs", str(jobs), "--engine", self.engine]
        try:
            figures = measure(command, limit_s=LIMIT_S)
        except subprocess.TimeoutExpired:
            figures = {"skipped": f"stopped after {LIMIT_S} s"}
        except RuntimeError as error:
            figures = {"skipped": str(error).strip().splitlines()[-1]}
            self.wrong.append(f"{name} on {model} failed:\n{error}")
        if "skipped" in figures:
            self.skipped[name, model] = str(figures["skipped"])
        else:
            found[name, model] = figures

    def compare_records(self) -> None:
        """Hold the sojourn times of the check against SimPy's."""
        for found in self.rounds[:1]:
            for (name, model), figures in found.items():
                theirs = found.get((BEFORE, model), figures)
                same_number = min(figures["jobs"], theirs["jobs"], CHECK_JOBS) == CHECK_JOBS
                if same_number and figures["check"] != theirs["check"]:
                    self.wrong.append(
                        f"{name} on {model} simulates something else: mean sojourn time "
                        f"{figures['check_mean_s']!r} s, SimPy {theirs['check_mean_s']!r} s"
                    )

    def ratios(self, name: str, model: str, figure: str = "cpu_ns") -> list[float]:
        """Return in each round how many times as fast as SimPy it was."""
        return [
            statistics.mean(found[simpy, model][figure] for simpy in (BEFORE, AFTER))
            / found[name, model][figure]
            for found in self.rounds
            if all((one, model) in found for one in (name, BEFORE, AFTER))
        ]

    def rows(self) -> list[dict[str, object]]:
        """Return a row a program and model: medians with their spread."""
        rows = []
        for model in self.models:
            for name, contender in CONTENDERS.items():
                values = [found[name, model] for found in self.rounds if (name, model) in found]
                ratios = self.ratios(name, model)
                if name == AFTER or not values or not ratios:
                    continue
                figures = ("cpu_ns", "wall_ns", "peak_bytes_per_job")
                rows.append(
                    {
                        "model": model,
                        "program": name,
                        "says": contender.says,
                        "jobs": values[0]["jobs"],
                        "engine": values[0]["says"],
                        "check": values[0]["check"],
                        **{key: goals.spread([one[key] for one in values]) for key in figures},
                        "ratio": goals.spread(ratios),
                        "wall_ratio": goals.spread(self.ratios(name, model, "wall_ns")),
                    }
                )
        return rows

    def goals(self) -> list[Goal]:
        """Return what must be reached, as far as it was measured."""
        found = []
        for (name, model), (least, aim) in LEAST.items():
            if ratios := self.ratios(name, model):
                found.append(
                    Goal(f"{CONTENDERS[name].says}, {model}", "x SimPy", ratios, least, aim)
                )
            drawn = f"{name}-drawn"
            if model in FOUR and (ratios := self.ratios(drawn, model)):
                says = f"{CONTENDERS[drawn].says}, {model}"
                most = DRAWN_AIM * least
                found.append(Goal(says, "x SimPy", ratios, DRAWN_LEAST * least, most))
        both = zip(self.ratios("lab", "retry"), self.ratios("cimba", "retry"), strict=False)
        if ratios := [ours / theirs for ours, theirs in both]:
            found.append(Goal("Goodput Lab, retry", "x Cimba", ratios, CIMBA_LEAST, CIMBA_AIM))
        return found


def show(comparison: Comparison) -> None:
    """Print a table for each model, and what was left out."""
    by_model = defaultdict(list)
    for row in comparison.rows():
        by_model[row["model"]].append(row)
    for model, rows in by_model.items():
        print(
            f"\n{model}\n| program | jobs | CPU ns/job | x SimPy | from | to | by wall | peak B/job |"
        )
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for row in rows:
            engine = f" (ran on {row['engine']})" if row["engine"] == "simpy" else ""
            ratios = " | ".join(f"{value:.3g}" for value in row["ratio"].values())
            print(
                f"| {row['says']}{engine} | {row['jobs']:,} | {row['cpu_ns']['median']:,.1f} | {ratios} "
                f"| {row['wall_ratio']['median']:.3g} | {row['peak_bytes_per_job']['median']:,.0f} |"
            )
    for (name, model), reason in comparison.skipped.items():
        print(f"left out: {name} on {model}: {reason}")


def main(options: argparse.Namespace) -> int:
    """Compare, print, write; return 1 if a program failed or simulates something else."""
    comparison = Comparison(options.models, options.jobs, options.engine)
    comparison.run(options.rounds)
    show(comparison)
    found = comparison.goals()
    goals.show_goals(found)
    skipped = {f"{name} on {model}": why for (name, model), why in comparison.skipped.items()}
    results = {"rounds": options.rounds, "rows": comparison.rows(), "left_out": skipped}
    kept = goals.save(options.out, "engines", results, found)
    if comparison.rows():
        from comparison import pictures

        print(pictures.speed(kept, options.out / "speed.png"))
    print(*comparison.wrong, sep="\n", file=sys.stderr)
    return 1 if comparison.wrong else 0


def parsed() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--jobs", type=int, default=JOBS, help="for SimPy; others get a share of it"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--engine", default="auto", choices=["auto", "compiled", "simpy"])
    parser.add_argument("--models", nargs="+", default=FOUR + QUEUES, choices=FOUR + QUEUES)
    parser.add_argument(
        "--out", type=Path, default=goals.RESULTS, help="folder for what is written"
    )
    parser.add_argument("--one", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    given = parsed()
    if given.one:
        print(json.dumps(report(given.one, given.models[0], given.jobs, given.engine)))
    else:
        sys.exit(main(given))
