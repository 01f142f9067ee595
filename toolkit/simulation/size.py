"""How much memory a run takes, before it starts: one that cannot fit is refused, with the way that can.

The size is the least that its draws and records take, so that nothing is refused which would fit:
retries that may come or not, queues and tables made of the records are not in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from toolkit.arrivals import Closed
from toolkit.design import Design, Stage
from toolkit.simulation.compiled_engine import start
from toolkit.simulation.compiled_engine.coverage import is_plain
from toolkit.simulation.engines import Engine, engine_for
from toolkit.simulation.totals import needs_records

SMALL_BYTES = 16e6  # so little that nobody need look whether it is there
# measured on runs of a million jobs, as the process's peak
DRAW = 8  # a number
# what the compiled engine writes: a job, an attempt, and that sorted
JOB, ROW, COLUMNS = 17, 48, 51
NO_LIMIT_BYTES = 1e18  # what a group without a limit has for one is a little less than 2^63
TIMES = 24  # three times of a job, by the recursion
SIMPY_JOB, SIMPY_ATTEMPT = 150, 370  # Python's numbers and tuples


def check_fits(design: Design, jobs: float, horizon_s: float | None, engine: Engine) -> None:
    """Raise ``MemoryError`` if a run of ``jobs`` jobs cannot fit into what is available now."""
    needed = least_bytes(design, jobs, horizon_s, engine)
    if needed < SMALL_BYTES or needed <= (available := available_bytes()):
        return
    way = "tk.replicate makes several shorter runs, and keeps only their figures"
    if engine != "simpy" and not needs_records(design):
        way = "keep='summary' runs any number of them in the same memory"
        way += ", if it is given jobs in place of horizon_s" if horizon_s is not None else ""
    raise MemoryError(
        f"jobs must fit into memory: {jobs:,.0f} of them with their records take {_text(needed)} at least, "
        f"and {_text(available)} are available; {way}"
    )


def least_bytes(design: Design, jobs: float, horizon_s: float | None, engine: Engine) -> float:
    """Return how many bytes the draws and records of a run take at least."""
    arriving = jobs
    if horizon_s is not None:
        closed = isinstance(design.arrivals, Closed)
        arriving = 0.0 if closed else min(jobs, design.arrivals.rate_per_s * horizon_s)
    draws = DRAW * (1 + len(design.stages) + sum(stage.failure > 0 for stage in design.stages))
    if engine_for(design, engine) == "simpy":
        written = SIMPY_JOB + SIMPY_ATTEMPT * _least_attempts(design, horizon_s)
    elif is_plain(design) and start.is_recursive(design, horizon_s):
        written = TIMES
    else:
        written = JOB + (ROW + COLUMNS) * _least_attempts(design, horizon_s)
    return draws * jobs + written * arriving


def _least_attempts(design: Design, horizon_s: float | None) -> float:
    """Return how many attempts a job makes on average at least."""
    if design.callers:  # they may be told no before they get in
        return 0.0
    if horizon_s is not None or any(map(_may_turn_away, design.stages)):
        return design.stages[0].share
    attempts, inside = 0.0, 1.0
    for stage in design.stages:
        attempts += inside * stage.share * stage.attempts_per_job
        inside *= 1.0 - stage.share * stage.failure**stage.max_attempts
    return attempts


def _may_turn_away(stage: Stage) -> bool:
    """Say whether a job may leave a stage with fewer attempts than its failures make."""
    others = (
        stage.limiter,
        stage.routes,
        stage.patience,
        stage.shed,
        stage.delivery,
        stage.fan_out,
    )
    budget = stage.retry.budget if stage.retry else None
    return stage.capacity is not None or any(part is not None for part in (*others, budget))


def available_bytes(root: Path = Path("/")) -> float:
    """Return how much memory this process may still take; ``inf`` where the system does not say."""
    return min((*_of_machine(root), *_of_groups(root)), default=math.inf)


def _of_machine(root: Path) -> Iterator[float]:
    """Yield what Linux takes for available: free, or a cache that can be dropped."""
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            yield 1024.0 * int(line.split()[1])


def _of_groups(root: Path) -> Iterator[float]:
    """Yield what the limits of this process's control groups leave, as containers have them."""
    for line in _lines(root / "proc/self/cgroup"):
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            place, limit, usage = "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in kinds.split(","):
            place, limit, usage = (
                "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            )
        else:
            continue
        group = Path(path.lstrip("/"))
        for folder in (root / place / part for part in (group, *group.parents)):
            yield from _left(folder, limit, usage)


def _left(folder: Path, limit: str, usage: str) -> Iterator[float]:
    """Yield what a group's limit leaves, files in its cache not counted: they can be dropped."""
    most = _number(folder / limit)
    if most is None or most > NO_LIMIT_BYTES:
        return
    used = _number(folder / usage)
    if used is not None:
        counts = dict(line.split()[:2] for line in _lines(folder / "memory.stat"))
        cache = sum(int(counts.get(name, 0)) for name in ("active_file", "inactive_file"))
        yield max(0.0, most - used + cache)


def _number(path: Path) -> float | None:
    """Return the number that a file holds, ``None`` if it is no number or no file."""
    lines = _lines(path)
    return float(lines[0]) if lines and lines[0].isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _text(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
