"""The way into the compiled engine: which loop, and what to do while it is not compiled yet."""

from __future__ import annotations

import dataclasses
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.arrivals import Closed, Poisson
from toolkit.design import Delivery, Design, Stage
from toolkit.laws import Deterministic
from toolkit.simulation.compiled_engine.cache import folder
from toolkit.simulation.compiled_engine.coverage import is_plain
from toolkit.simulation.streams import Streams

if TYPE_CHECKING:
    from toolkit.simulation.engines import Done

MEANWHILE_JOBS = 20_000  # what SimPy does in less time than compiling takes
MOST_WORKERS = 16  # beyond that, looking at every worker costs more than events do


def run(
    design: Design, streams: Streams, horizon_s: float | None, *, must: bool, recursion: bool = True
) -> tuple[Done | None, str | None]:
    """Run a design that is covered; return the run, or ``None`` and why there is none.

    ``must``: compile first, if need be; else small runs are left to SimPy until that is done
    elsewhere.  ``recursion=False`` takes the loop of events for what could do without.
    """
    loop = "plain" if is_plain(design) else "full"
    if recursion and loop == "plain" and is_recursive(design, horizon_s):
        loop = "recursion"
    if not must and streams.jobs <= MEANWHILE_JOBS and not is_ready(loop):
        compile_elsewhere()
        return None, None
    if loop == "recursion":
        quick = _class("recursion_run.RecursionRun")(design, streams)
        if quick.run():
            return quick, None
        loop = "plain"
    run_of = "plain_run.PlainRun" if loop == "plain" else "full.run.FullRun"
    done = _class(run_of)(design, streams, horizon_s)
    return (None, done.gave_up) if done.gave_up else (done, None)


def _class(path: str) -> Any:
    """Return a class of this engine by its module and name; numba is slow to load."""
    module, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(f"toolkit.simulation.compiled_engine.{module}"), name)


def is_recursive(design: Design, horizon_s: float | None) -> bool:
    """Say whether ``design`` is one plain stage without feedback, run to its end."""
    stage = design.stages[0]
    return (
        len(design.stages) == 1
        and horizon_s is None
        and stage.workers <= MOST_WORKERS
        and not isinstance(design.arrivals, Closed)
        and stage.capacity is None
        and stage.limiter is None
        and stage.routes is None
        and stage.failure == 0
        and stage.share == 1
        and (stage.retry is None or stage.retry.budget is None)
        and not design.classes
    )


_READY: set[str] = set()


def is_ready(loop: str) -> bool:
    """Say whether a loop has been compiled on this machine."""
    if loop not in _READY and marker(loop).exists():
        _READY.add(loop)
    return loop in _READY


def marker(loop: str) -> Path:
    """Return the file that is there once a loop has been compiled."""
    return Path(folder()) / f"{loop}.ready"


_COMPILERS: list[int] = []  # process ids


def compile_elsewhere() -> None:
    """Compile all loops in a process of their own, which ends by itself and leaves them on disk."""
    if _COMPILERS or is_being_compiled():
        return
    code = "from toolkit.simulation.compiled_engine import start; start.compile_all()"
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(  # noqa: S603, this very interpreter
        command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
    )
    process.returncode = 0  # nobody will wait for it, and Python need not warn that it still runs
    _COMPILERS.append(process.pid)
    note().write_text(str(process.pid))


def note() -> Path:
    """Return the file with the number of the process that compiles."""
    return Path(folder()) / "compiler.pid"


def is_being_compiled() -> bool:
    """Say whether some process on this machine is at it."""
    try:
        os.kill(int(note().read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def compile_all() -> None:
    """Compile all loops by small runs, the quickest first."""
    work = Stage(name="work", service=Deterministic(value_s=1.0), workers=2)
    sent = dataclasses.replace(work, delivery=Delivery())
    for loop, stage in (("recursion", work), ("plain", work), ("full", sent)):
        streams = Streams(seed=0, replication=0, jobs=4)
        design = Design(arrivals=Poisson(rate_per_s=1.0), stages=[stage])
        done, _ = run(design, streams, None, must=True, recursion=loop == "recursion")
        assert done is not None
        done.records()
        marker(loop).touch()
    _class("totals_run.TotalsRun")(dataclasses.replace(design, stages=[work]), streams).step()
