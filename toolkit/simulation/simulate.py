"""``simulate``: one run of a design."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from toolkit import _check
from toolkit.arrivals import Arrivals, Closed, Trace
from toolkit.design import Design
from toolkit.simulation.records import UNFINISHED, Records
from toolkit.simulation.run import Run
from toolkit.simulation.simpy_engine import System
from toolkit.simulation.streams import Streams

Engine = Literal["auto", "simpy", "compiled"]


def engine_for(design: Design, engine: Engine = "auto") -> Literal["simpy", "compiled"]:  # noqa: ARG001
    """Return which engine will run ``design``."""
    return "simpy"


def simulate(
    design: Design,
    *,
    jobs: int | None = None,
    seed: int = 0,
    replication: int = 0,
    horizon_s: float | None = None,
    engine: Engine = "auto",
) -> Run:
    """Run ``design`` and return what happened.

    ``jobs`` jobs arrive and the run drains, unless ``horizon_s`` ends it first; a trace brings its
    own number of jobs, and with a horizon alone jobs arrive until then.
    The same ``seed`` and ``replication`` give the same jobs to every design.

    Raises ``ValueError`` for an argument out of range, and for a design that by its own rules never
    ends and has no horizon.  A design that is asked for more than it can do is run all the same, and one
    that makes hundreds of attempts a job is stopped; ``run.warnings`` says so.

    >>> import toolkit as tk
    >>> work = tk.Stage(name="work", service=tk.Deterministic(value_s=2.0))
    >>> design = tk.Design(arrivals=tk.Trace(times_s=[0.0, 1.0]), stages=[work])
    >>> tk.simulate(design).jobs["wait_s"].tolist()
    [0.0, 1.0]
    """
    _check_arguments(design, seed, replication, horizon_s, engine)
    streams = _streams(design.arrivals, jobs, horizon_s, seed, replication)
    system = System(design, streams, is_bounded=horizon_s is not None)
    stopped = _stopped(system) if system.run(horizon_s) else []
    end_s = horizon_s if horizon_s is not None and not stopped else system.env.now
    records = Records.of(system.attempts, system.arrived_s, system.finished_s, system.outcomes)
    return Run(
        design=design,
        seed=seed,
        replication=replication,
        engine="simpy",
        duration_s=records.duration_s(streams.jobs, end_s),
        warnings=(*design.overloads(), *stopped, *_cut_off(records, end_s)),
        records=records,
    )


def _streams(
    arrivals: Arrivals, jobs: int | None, horizon_s: float | None, seed: int, replication: int
) -> Streams:
    """Decide how many jobs to draw for."""
    if jobs is None and isinstance(arrivals, Trace):
        jobs = arrivals.times_s.size
    if jobs is not None:
        return Streams(seed=seed, replication=replication, jobs=_check.count("jobs", jobs))
    if horizon_s is None or isinstance(arrivals, Closed):
        raise ValueError(
            "jobs must be given (how many jobs arrive)"
            + ("" if isinstance(arrivals, Closed) else ", or horizon_s (when the run ends)")
        )
    jobs = max(16, math.ceil(1.2 * arrivals.rate_per_s * horizon_s))
    while True:
        streams = Streams(seed=seed, replication=replication, jobs=jobs)
        if streams.gaps_s(arrivals).sum() >= horizon_s:
            return streams
        jobs *= 2


def _check_arguments(
    design: Design, seed: int, replication: int, horizon_s: float | None, engine: str
) -> None:
    _check.choice("engine", engine, ("auto", "simpy", "compiled"))
    _check.count("seed", seed, least=0)
    _check.count("replication", replication, least=0)
    if horizon_s is not None:
        _check.positive("horizon_s", horizon_s)
    elif endless := design.never_ends():
        raise ValueError(f"horizon_s must be given, for the run would never end: {endless}")


def _stopped(system: System) -> list[str]:
    made, jobs = len(system.attempts), system.streams.jobs
    text = (
        f"stopped at {system.env.now:g} s after {made:,} attempts for {jobs:,} jobs: "
        "this would hardly have ended; a horizon_s, a pause between tries or fewer of them would end it"
    )
    return [text]


def _cut_off(records: Records, end_s: float) -> list[str]:
    unfinished = int(np.sum(records.outcome == UNFINISHED))
    if not unfinished:
        return []
    text = (
        f"{unfinished} of {records.outcome.size} jobs were unfinished when the run ended at {end_s:g} s: "
        "percentiles leave them out, and they are the slow ones"
    )
    return [text]
