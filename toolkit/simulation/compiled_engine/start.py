"""The way into the compiled engine: which loop, and what to do while it is not compiled yet."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.arrivals import Closed, Poisson
from toolkit.design import Design, Stage
from toolkit.laws import Deterministic
from toolkit.simulation.compiled_engine.cache import folder
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
    loop = "recursion" if recursion and is_recursive(design, horizon_s) else "plain"
    if not must and streams.jobs <= MEANWHILE_JOBS and not is_ready(loop):
        compile_elsewhere()
        return None, None
    if loop == "recursion":
        from toolkit.simulation.compiled_engine.recursion_run import RecursionRun  # noqa: PLC0415

        quick = RecursionRun(design, streams)
        if quick.run():
            return quick, None
    from toolkit.simulation.compiled_engine.plain_run import PlainRun  # noqa: PLC0415, numba is slow to load

    done = PlainRun(design, streams, horizon_s)
    return (None, done.gave_up) if done.gave_up else (done, None)


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


@cache
def is_ready(loop: str) -> bool:
    """Say whether a loop has been compiled on this machine."""
    return marker(loop).exists()


def marker(loop: str) -> Path:
    """Return the file that is there once a loop has been compiled."""
    return Path(folder()) / f"{loop}.ready"


@cache
def compile_elsewhere() -> None:
    """Compile all loops in a process of their own, which ends by itself and leaves them on disk."""
    command = [
        sys.executable,
        "-c",
        "from toolkit.simulation.compiled_engine import start; start.compile_all()",
    ]
    subprocess.Popen(  # noqa: S603, this very interpreter
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def compile_all() -> None:
    """Compile all loops by small runs, the quickest first."""
    work = Stage(name="work", service=Deterministic(value_s=1.0), workers=2)
    for loop in ("recursion", "plain"):
        design = Design(arrivals=Poisson(rate_per_s=1.0), stages=[work])
        done, _ = run(
            design,
            Streams(seed=0, replication=0, jobs=4),
            None,
            must=True,
            recursion=loop == "recursion",
        )
        assert done is not None
        done.records()
        marker(loop).touch()
