"""``simulate``: one run of a design."""

from __future__ import annotations

import math
from typing import Literal, overload

from toolkit import _check
from toolkit.arrivals import Arrivals, Closed, Trace
from toolkit.design import Design
from toolkit.simulation.engines import Done, Engine, run_with
from toolkit.simulation.run import Run
from toolkit.simulation.size import check_fits
from toolkit.simulation.streams import Streams
from toolkit.simulation.totals import Totals, needs_records, run_totals


@overload
def simulate(
    design: Design,
    *,
    jobs: int | None = None,
    seed: int = 0,
    replication: int = 0,
    horizon_s: float | None = None,
    engine: Engine = "auto",
    keep: Literal["records"] = "records",
) -> Run: ...


@overload
def simulate(
    design: Design,
    *,
    jobs: int | None = None,
    seed: int = 0,
    replication: int = 0,
    horizon_s: float | None = None,
    engine: Engine = "auto",
    keep: Literal["summary"],
) -> Totals: ...


def simulate(
    design: Design,
    *,
    jobs: int | None = None,
    seed: int = 0,
    replication: int = 0,
    horizon_s: float | None = None,
    engine: Engine = "auto",
    keep: Literal["records", "summary"] = "records",
) -> Run | Totals:
    """Run ``design`` and return what happened.

    ``jobs`` jobs arrive and the run drains, unless ``horizon_s`` ends it first; a trace brings its
    own number of jobs, and with a horizon alone jobs arrive until then.
    The same ``seed`` and ``replication`` give the same jobs to every design.

    ``engine``: ``"simpy"``, the one to read; ``"compiled"``, the same records a hundred times as fast;
    ``"auto"`` takes the compiled one where it knows all of the design's fields, and else says in
    ``run.warnings`` which it does not.  While it is being compiled, which happens once on a machine
    and takes less than a minute, small runs are done by SimPy meanwhile, and larger ones wait;
    ``run.engine`` says who it was.

    ``keep="summary"`` keeps no record of any job, so the run takes the same memory for any number of
    them, a thousand million too.  It has the warnings and the ``summary()`` of a run, counts and means
    exact, percentiles within 0.05%, no warm-up left out; and it knows one first-come-first-served stage
    without failures, caps or limits, with arrivals and services that can be drawn part by part
    (``Poisson``, ``Renewal``, most laws).  An interrupt leaves the figures so far.

    Raises ``ValueError`` for an argument out of range, and for a design that by its own rules never
    ends and has no horizon.  A design that is asked for more than it can do is run all the same, and one
    that makes hundreds of attempts a job is stopped; ``run.warnings`` says so.
    ``MemoryError``, before anything is drawn, for jobs whose records cannot fit into memory: it says
    how much they take, how much there is, and the way without.

    >>> import toolkit as tk
    >>> work = tk.Stage(name="work", service=tk.Deterministic(value_s=2.0))
    >>> design = tk.Design(arrivals=tk.Trace(times_s=[0.0, 1.0]), stages=[work])
    >>> tk.simulate(design).jobs["wait_s"].tolist()
    [0.0, 1.0]
    """
    _check_arguments(design, seed, replication, horizon_s, engine)
    if _check.choice("keep", keep, ("records", "summary")) == "summary":
        _check_no_records(design, horizon_s, engine)
        return run_totals(design, _streams(design.arrivals, jobs, None, seed, replication))
    check_fits(design, _expected(design.arrivals, jobs, horizon_s), horizon_s, engine)
    streams = _streams(design.arrivals, jobs, horizon_s, seed, replication)
    done, notes = run_with(engine, design, streams, horizon_s)
    stopped = [_stopped(done, streams.jobs)] if done.stopped else []
    end_s = horizon_s if horizon_s is not None and not stopped else done.now_s
    unfinished = [_cut_off(done, end_s)] if done.unfinished else []
    return Run(
        design=design,
        seed=seed,
        replication=replication,
        engine=done.engine,
        warnings=(*design.overloads(), *notes, *stopped, *unfinished),
        sent=streams.jobs,
        end_s=end_s,
        book=done.records,
    )


def _expected(arrivals: Arrivals, jobs: int | None, horizon_s: float | None) -> float:
    """Return for how many jobs numbers will be drawn, about."""
    if jobs is not None:
        return _check.count("jobs", jobs)
    if isinstance(arrivals, Trace):
        return arrivals.times_s.size
    return 0 if isinstance(arrivals, Closed) else arrivals.rate_per_s * (horizon_s or 0.0)


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
    if not isinstance(design, Design):
        raise ValueError(f"design must be a Design(...), got {design!r}")  # noqa: TRY004, as all others
    _check.choice("engine", engine, ("auto", "simpy", "compiled"))
    _check.count("seed", seed, least=0)
    _check.count("replication", replication, least=0)
    if horizon_s is not None:
        _check.positive("horizon_s", horizon_s)
    elif endless := design.never_ends():
        raise ValueError(f"horizon_s must be given, for the run would never end: {endless}")


def _check_no_records(design: Design, horizon_s: float | None, engine: str) -> None:
    _check.choice("engine with keep='summary'", engine, ("auto", "compiled"))
    if fields := needs_records(design):
        raise ValueError(
            f"keep must be 'records' for this design, got 'summary': one first-come-first-served stage "
            f"without feedback can do without, this design needs them for {', '.join(fields)}"
        )
    if horizon_s is not None:
        raise ValueError(f"horizon_s must be None with keep='summary', got {horizon_s}: give jobs")


def _stopped(done: Done, jobs: int) -> str:
    return (
        f"stopped at {done.now_s:g} s after {done.made:,} attempts for {jobs:,} jobs: "
        "this would hardly have ended; a horizon_s, a pause between tries or fewer of them would end it"
    )


def _cut_off(done: Done, end_s: float) -> str:
    return (
        f"{done.unfinished} of {done.arrived} jobs were unfinished when the run ended at {end_s:g} s: "
        "percentiles leave them out, and they are the slow ones"
    )
