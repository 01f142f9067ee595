"""The answer of notebook 00 in a terminal: ``python -m toolkit advise results.jtl --slo p99=300ms``.

Exit status: 0 when there is an answer, whatever it is; 2 when something is wrong with the question.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from toolkit import ebpf, panels
from toolkit.advice import FUTURES, SLO, advise
from toolkit.errors import ToolkitError
from toolkit.fitting import Fit, fit, staffing_name
from toolkit.loadtest import read_loadtest, statistics

_GOAL = re.compile(
    r"(p50|p90|p95|p99|success|cost|recovery)\s*=\s*(\d+(?:\.\d+)?)\s*(ms|s|%|)", re.IGNORECASE
)
_UNITS = {"ms": Decimal("0.001"), "%": Decimal("0.01")}
_TIME = ("a time with its unit, ms or s", ("ms", "s"))
_KINDS = {
    "success": ("a share such as 0.999 or 99.9%", ("", "%")),
    "cost": ("a number of dollars a month", ("",)),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (the process's own by default); return the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ToolkitError, ebpf.BackendUnavailable, ValueError, OSError) as error:
        print(f"toolkit: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe has seen enough
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m toolkit",
        description="Queues, retries, rate limits and load tests: is your system overbuilt or underbuilt?",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    read = commands.add_parser("read", help="show what a load-test file holds")
    read.set_defaults(run=_read)
    advice = commands.add_parser(
        "advise",
        help="say which is the simplest design that meets a goal",
        epilog="example: python -m toolkit advise results.jtl --slo p99=300ms --slo success=99.9%% --load 1.5",
    )
    advice.set_defaults(run=_advise)
    for command in (read, advice):
        add = command.add_argument
        add("file", type=Path, help="a file of JMeter (CSV), Gatling, h2load or tsung")
        add("--tool", default="auto", help="the tool that wrote it (default: look and see)")
        add("--tz", default="UTC", help="zone of times that carry none (default: UTC)")
    _add_questions(advice.add_argument)
    _add_lab(commands)
    return parser


def _add_lab(commands: Any) -> None:
    lab = commands.add_parser(
        "ebpf", help="the kernel lab: what this machine can do, and its helper"
    )
    actions = lab.add_subparsers(title="actions", required=True, metavar="ACTION")
    doctor = actions.add_parser("doctor", help="show what this machine can do, and what is missing")
    doctor.add_argument(
        "--try", dest="live", action="store_true", help="start it, and try each part"
    )
    doctor.set_defaults(run=lambda given: print(ebpf.doctor.report(live=given.live)))
    serve = actions.add_parser("serve", help="as root: let a user's notebooks ask this kernel")
    serve.add_argument("--uid", type=int, required=True, help="the user's number (see: id -u)")
    serve.set_defaults(run=lambda given: ebpf.host.serve(given.uid))


def _add_questions(add: Callable[..., object]) -> None:
    goals = "p50, p90, p95, p99=300ms, success=99.9%%, cost=500 ($ a month), recovery=30s; several are allowed"
    add("--slo", action="append", required=True, metavar="GOAL", help=goals)
    futures = "also: twice and ten times the load, a burst, a lost worker, an outage"
    add("--futures", action="store_true", help=futures)
    add("--workers", type=int, help="how many workers the measured system has, if you know")
    add("--load", type=float, default=1.0, help="times the measured load (default: 1)")
    add("--jobs", type=int, default=10_000, help="simulated requests a run (default: 10000)")
    add("--replications", type=int, default=10, help="runs a design (default: 10)")
    add("--seed", type=int, default=0, help="the same seed gives the same answer (default: 0)")
    add("--save", type=Path, metavar="PICTURE.png", help="save the picture of the answer")
    add("--overwrite", action="store_true", help="let --save replace a file that is there")


def parse_slo(goals: Iterable[str]) -> SLO:
    """Return the SLO that texts such as ``p99=300ms`` and ``success=99.9%`` ask for.

    Raises ``ValueError`` for anything else, a time without its unit included.

    >>> parse_slo(["p99=300ms", "success=99.9%"])
    SLO(p50_s=None, p90_s=None, p95_s=None, p99_s=0.3, success=0.999, cost=None, recovery_s=None)
    """
    targets: dict[str, float] = {}
    for goal in goals:
        match = _GOAL.fullmatch(goal.strip())
        if not match:
            raise ValueError(f"--slo must look like p99=300ms or success=99.9%, got {goal!r}")
        name, number, unit = match[1].lower(), match[2], match[3].lower()
        wanted, units = _KINDS.get(name, _TIME)
        if unit not in units:
            raise ValueError(f"--slo {name} must be {wanted}, got {goal!r}")
        field = name if name in _KINDS else f"{name}_s"
        targets[field] = float(Decimal(number) * _UNITS.get(unit, 1))
    return SLO(**targets)


def _read(arguments: argparse.Namespace) -> None:
    test = read_loadtest(arguments.file, tool=arguments.tool, tz=arguments.tz)
    print(test)
    print()
    print(_table(statistics(test)))


def _advise(arguments: argparse.Namespace) -> None:
    slo = parse_slo(arguments.slo)
    _check_target(arguments.save, overwrite=arguments.overwrite)
    test = read_loadtest(arguments.file, tool=arguments.tool, tz=arguments.tz)
    print(test)
    fitted = fit(test, workers=arguments.workers)
    _print_fit(fitted)
    advice = advise(
        fitted.staffings(load=arguments.load),
        slo=slo,
        current=staffing_name(fitted.workers),
        futures=FUTURES if arguments.futures or slo.recovery_s is not None else None,
        jobs=arguments.jobs,
        replications=arguments.replications,
        seed=arguments.seed,
    )
    print(f"\nAdvice for {slo}, at {arguments.load:g} times the measured load, cheapest first")
    print(_table(_in_ms(advice.table())))
    if advice.survival().shape[1] > 1:
        print("\nDoes it stand what may come?")
        print(advice.survival().to_string(index_names=False))
    print(f"\n{advice.why}")
    if arguments.save:
        arguments.save.write_bytes(panels.advised(advice, fitted).png)
        print(f"Picture: {arguments.save}")


def _check_target(path: Path | None, *, overwrite: bool) -> None:
    """Find out before the work whether its result can be saved."""
    if path and not path.resolve().parent.is_dir():
        raise ValueError(
            f"--save {path}: there is no folder {path.resolve().parent}; make it first"
        )
    if path and path.exists() and not overwrite:
        raise ValueError(f"--save {path}: it is there already; give another name or --overwrite")


def _print_fit(fitted: Fit) -> None:
    print("\nThe model, and what it assumes")
    for assumption in fitted.assumptions:
        print(f"  - {assumption}")
    for warning in fitted.warnings:
        print(f"  warning: {warning}")
    print("\nIts check: the test's own arrivals, replayed")
    print(_table(fitted.check()))


def _in_ms(table: pd.DataFrame) -> pd.DataFrame:
    """Show times in ms, as people say them."""
    times = [column for column in table if re.match(r"p\d+_s", column)]
    shown = table.assign(**{column: 1000 * table[column] for column in times})
    return shown.rename(columns={column: column.replace("_s", "_ms") for column in times})


def _table(table: pd.DataFrame) -> str:
    def show(value: float) -> str:
        if not math.isfinite(value):
            return "-"
        return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"

    return str(table.to_string(float_format=show, index_names=False))
