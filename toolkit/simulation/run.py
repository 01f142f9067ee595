"""``simulate``: one run of a design; and ``Run``: what happened in it, job by job.

Records come first.  An engine hands over what it wrote down; every figure below is computed from
those records, so a figure can always be checked against the jobs behind it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit import _check
from toolkit.arrivals import Arrivals, Trace
from toolkit.design import ATTEMPT_OUTCOMES, OUTCOMES, Design
from toolkit.laws import Array
from toolkit.simulation.simpy_engine import System
from toolkit.simulation.streams import Streams

PERCENTILES = (50, 90, 95, 99, 99.9)
_UNFINISHED = OUTCOMES.index("unfinished")
_DONE = OUTCOMES.index("done")


def simulate(
    design: Design,
    *,
    jobs: int | None = None,
    seed: int = 0,
    replication: int = 0,
    horizon_s: float | None = None,
    engine: Literal["auto", "simpy"] = "auto",
) -> Run:
    """Run ``design`` and return what happened.

    ``jobs`` jobs arrive and the run drains, unless ``horizon_s`` ends it first; a trace brings its
    own number of jobs, and with a horizon alone jobs arrive until then.
    The same ``seed`` and ``replication`` give the same jobs to every design.

    Raises ``ValueError`` for an argument out of range.  A design that is asked for more than it can
    do is run all the same, and ``run.warnings`` says so.

    >>> import toolkit as tk
    >>> work = tk.Stage(name="work", service=tk.Deterministic(value_s=2.0))
    >>> design = tk.Design(arrivals=tk.Trace(times_s=[0.0, 1.0]), stages=[work])
    >>> tk.simulate(design).jobs["wait_s"].tolist()
    [0.0, 1.0]
    """
    if engine not in ("auto", "simpy"):
        raise ValueError(f"engine must be 'auto' or 'simpy', got {engine!r}")
    _check.count("seed", seed, least=0)
    _check.count("replication", replication, least=0)
    if horizon_s is not None:
        _check.positive("horizon_s", horizon_s)
    streams = _streams(design.arrivals, jobs, horizon_s, seed, replication)
    system = System(design, streams)
    system.env.run(until=horizon_s)
    records = _records(system)
    return Run(
        design=design,
        seed=seed,
        replication=replication,
        engine="simpy",
        duration_s=_duration_s(records, streams.jobs, horizon_s),
        warnings=(*design.overloads(), *_cut_off(records, horizon_s)),
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
    if horizon_s is None:
        raise ValueError(
            "jobs must be given (how many jobs arrive), or horizon_s (when the run ends)"
        )
    jobs = max(16, math.ceil(1.2 * arrivals.rate_per_s * horizon_s))
    while True:
        streams = Streams(seed=seed, replication=replication, jobs=jobs)
        if streams.gaps_s(arrivals).sum() >= horizon_s:
            return streams
        jobs *= 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What an engine writes down.

    The first three have shape ``(jobs,)``, in order of arrival, ``nan`` where a job did not finish;
    the others ``(attempts,)``, sorted by job, stage, attempt, ``nan`` where it did not come to it.
    ``outcome`` and ``attempt_outcome`` index ``design.OUTCOMES`` and ``design.ATTEMPT_OUTCOMES``;
    ``worker`` is -1 for none.
    """

    arrived_s: Array
    finished_s: Array
    outcome: npt.NDArray[np.int8]
    job: npt.NDArray[np.int64]
    stage: npt.NDArray[np.int16]
    attempt: npt.NDArray[np.int32]
    queued_s: Array
    started_s: Array
    ended_s: Array
    worker: npt.NDArray[np.int32]
    attempt_outcome: npt.NDArray[np.int8]


def _records(system: System) -> Records:
    arrived = len(system.arrived_s)  # a horizon may come before the last jobs do
    rows = np.array(system.attempts, dtype=np.float64).reshape(-1, 8)
    rows = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
    job, stage, attempt, queued_s, started_s, ended_s, worker, outcome = rows.T
    return Records(
        arrived_s=np.array(system.arrived_s),
        finished_s=np.array(system.finished_s[:arrived]),
        outcome=np.array(system.outcomes[:arrived], dtype=np.int8),
        job=job.astype(np.int64),
        stage=stage.astype(np.int16),
        attempt=attempt.astype(np.int32),
        queued_s=queued_s,
        started_s=started_s,
        ended_s=ended_s,
        worker=worker.astype(np.int32),
        attempt_outcome=outcome.astype(np.int8),
    )


def _duration_s(records: Records, jobs: int, horizon_s: float | None) -> float:
    """Return when the run ended: at the horizon, if that came before the last job's end."""
    drained = records.outcome.size == jobs and not np.any(records.outcome == _UNFINISHED)
    return float(records.finished_s.max()) if drained or horizon_s is None else horizon_s


def _cut_off(records: Records, horizon_s: float | None) -> list[str]:
    unfinished = int(np.sum(records.outcome == _UNFINISHED))
    if not unfinished:
        return []
    text = (
        f"{unfinished} of {records.outcome.size} jobs were unfinished when the run ended at {horizon_s:g} s: "
        "percentiles leave them out, and they are the slow ones"
    )
    return [text]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What happened in one run; ``jobs`` and ``attempts`` are made from the records when asked for."""

    design: Design
    seed: int
    replication: int
    engine: str
    duration_s: float
    warnings: tuple[str, ...]
    records: Records = field(repr=False)

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """A row a job, index ``job``.

        Columns: ``arrived_s``, ``finished_s``, ``sojourn_s`` = ``wait_s`` (for a worker or a token)
        + ``service_s`` + ``backoff_s``, all in seconds and ``nan`` for unfinished jobs;
        ``attempts``, those that got a worker; ``outcome``, one of ``design.OUTCOMES``.
        """
        records, count = self.records, self.records.arrived_s.size
        finished = records.outcome != _UNFINISHED
        sums = {
            name: np.where(finished, np.bincount(records.job, weights, count), np.nan)
            for name, weights in self._parts_s().items()
        }
        return pd.DataFrame(
            {
                "arrived_s": records.arrived_s,
                "finished_s": records.finished_s,
                "sojourn_s": records.finished_s - records.arrived_s,
                **sums,
                "attempts": np.bincount(records.job[records.worker >= 0], minlength=count),
                "outcome": _names(records.outcome, OUTCOMES),
            },
            index=pd.RangeIndex(count, name="job"),
        )

    def _parts_s(self) -> dict[str, Array]:
        """Return each attempt's wait, service, and the pause before it, in seconds."""
        records = self.records
        started = records.worker >= 0
        left_queue_s = np.where(started, records.started_s, records.ended_s)
        again = records.attempt > 1  # rows are sorted: the attempt before is the row before
        pause_s = np.where(again, records.queued_s - np.roll(records.ended_s, 1), 0.0)
        return {
            "wait_s": left_queue_s - records.queued_s,
            "service_s": np.where(started, records.ended_s - records.started_s, 0.0),
            "backoff_s": pause_s,
        }

    @cached_property
    def attempts(self) -> pd.DataFrame:
        """A row an attempt, sorted by job, stage, attempt.

        Columns: ``job``; ``stage``, its name; ``attempt``, from 1 in each stage; ``queued_s``, when
        it came to the stage's door; ``started_s``, ``ended_s``; ``worker``, from 0, -1 for none;
        ``outcome``, one of ``design.ATTEMPT_OUTCOMES``.
        """
        records = self.records
        names = [stage.name for stage in self.design.stages]
        return pd.DataFrame(
            {
                "job": records.job,
                "stage": _names(records.stage, names),
                "attempt": records.attempt,
                "queued_s": records.queued_s,
                "started_s": records.started_s,
                "ended_s": records.ended_s,
                "worker": records.worker,
                "outcome": _names(records.attempt_outcome, ATTEMPT_OUTCOMES),
            }
        )

    def done_ms(self) -> Array:
        """Return the sojourn times of the jobs that were done, in ms, in order of arrival."""
        done = self.records.outcome == _DONE
        sojourn_ms: Array = 1000.0 * (self.records.finished_s - self.records.arrived_s)[done]
        return sojourn_ms

    def summary(self, *, skip_jobs: int = 0) -> pd.Series[float]:
        """Return the figures of the run, leaving out the first ``skip_jobs`` jobs as warm-up.

        ``jobs``; ``goodput_per_s``, jobs done per second; ``throughput_per_s``, attempts served per
        second and stage, failed ones included; ``utilisation`` of the busiest stage;
        ``sojourn_mean_s``, ``sojourn_p50_s`` ... ``sojourn_p99.9_s`` and the same of the wait, over
        the jobs that are done (numpy's linear percentiles); and the count of each outcome.
        """
        _check.count("skip_jobs", skip_jobs, least=0)
        jobs = self.jobs.iloc[skip_jobs:]
        if skip_jobs and jobs.empty:
            raise ValueError(f"skip_jobs must leave a job, got {skip_jobs} of {len(self.jobs)}")
        outcome = self.records.outcome[skip_jobs:]
        done = outcome == _DONE
        since_s = self.records.arrived_s[skip_jobs] if skip_jobs else 0.0
        figures = {
            "jobs": float(len(jobs)),
            "goodput_per_s": done.sum() / (self.duration_s - since_s or math.nan),
            **self._stage_figures(since_s),
            **_distribution("sojourn", jobs["sojourn_s"].to_numpy()[done]),
            **_distribution("wait", jobs["wait_s"].to_numpy()[done]),
        }
        counts = dict(zip(OUTCOMES, np.bincount(outcome, minlength=len(OUTCOMES)), strict=True))
        return pd.Series({**figures, **counts}, dtype=float, name="run")

    def _stage_figures(self, since_s: float) -> dict[str, float]:
        """Return the throughput and the highest utilisation from ``since_s`` to the end."""
        records, stages = self.records, self.design.stages
        window_s = self.duration_s - since_s or math.nan
        served = records.worker >= 0
        end_s = np.where(np.isnan(records.ended_s), self.duration_s, records.ended_s)
        busy_s = np.maximum(end_s, since_s) - np.maximum(records.started_s, since_s)
        busy = np.bincount(records.stage[served], busy_s[served], minlength=len(stages))
        ended = np.sum(served & (records.ended_s >= since_s))
        return {
            "throughput_per_s": ended / len(stages) / window_s,
            "utilisation": float(np.max(busy / [s.workers for s in stages])) / window_s,
        }


def _names(codes: npt.NDArray[np.signedinteger], names: Sequence[str]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes, pd.Index(names))


def _distribution(name: str, values_s: Array) -> dict[str, float]:
    """Return the mean and the percentiles of ``values_s``, ``nan`` for none."""
    if values_s.size == 0:
        values_s = np.array([np.nan])
    cuts = np.percentile(values_s, PERCENTILES)
    percentiles = {f"{name}_p{p:g}_s": cut for p, cut in zip(PERCENTILES, cuts, strict=True)}
    return {f"{name}_mean_s": float(np.mean(values_s)), **percentiles}
