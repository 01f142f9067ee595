"""The way into the compiled engine: which loop, and what to do while it is not compiled yet."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from toolkit.arrivals import Closed
from toolkit.design import Design
from toolkit.simulation.compiled_engine.compiler import is_ready
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

    ``must``: wait until it is compiled, if need be; else small runs are left to SimPy until then, and
    there is no reason to tell.  ``recursion=False`` takes the loop of events for what could do without.
    """
    loop = "plain" if is_plain(design) else "full"
    if recursion and loop == "plain" and is_recursive(design, horizon_s):
        loop = "recursion"
    if not must and streams.jobs <= MEANWHILE_JOBS and not is_ready(loop):
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
    """Return a class of this engine by its module and name; whatever needs LLVM is loaded late."""
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
