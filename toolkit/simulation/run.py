"""What happened in a run, job by job and attempt by attempt.

Records come first.  An engine hands over what it wrote down; every figure below is computed from
those records, so a figure can always be checked against the jobs behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit import _check
from toolkit.design import ATTEMPT_OUTCOMES, OUTCOMES, Design
from toolkit.laws import Array
from toolkit.simulation.codes import DONE, UNFINISHED
from toolkit.simulation.records import Records

PERCENTILES = (50, 90, 95, 99, 99.9)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What happened in one run; records and tables are made from what was written when asked for."""

    design: Design
    seed: int
    replication: int
    engine: str
    warnings: tuple[str, ...]
    sent: int = field(repr=False)  # jobs that were to arrive
    end_s: float = field(repr=False)
    book: Callable[[], Records] = field(repr=False)

    @cached_property
    def records(self) -> Records:
        """What the engine wrote down."""
        records = self.book()
        object.__setattr__(self, "book", lambda: records)  # the engine's own tables may go
        return records

    @cached_property
    def duration_s(self) -> float:
        """How long the run was: to its last record, or to its end if that cut off any job."""
        return self.records.duration_s(self.sent, self.end_s)

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """A row a job, index ``job``.

        Columns: ``arrived_s``, ``finished_s``, ``sojourn_s`` = ``wait_s`` (for a worker or a token)
        + ``service_s`` + ``backoff_s`` (pauses before retries, and a countdown), all in seconds and
        ``nan`` for unfinished jobs; ``attempts``, those that got a worker; ``outcome``, one of
        ``design.OUTCOMES``.  Where attempts of a job overlap, ``service_s`` counts a moment once.
        """
        records, overlaps = self.records, self.design.may_overlap
        parts_s = records.overlapping_parts_s() if overlaps else records.parts_s()
        finished = records.outcome != UNFINISHED
        return pd.DataFrame(
            {
                "arrived_s": records.arrived_s,
                "finished_s": records.finished_s,
                "sojourn_s": records.finished_s - records.arrived_s,
                **{name: np.where(finished, part, np.nan) for name, part in parts_s.items()},
                "attempts": records.attempts(),
                "outcome": _names(records.outcome, OUTCOMES),
            },
            index=pd.RangeIndex(records.arrived_s.size, name="job"),
        )

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
        done = self.records.outcome == DONE
        sojourn_ms: Array = 1000.0 * (self.records.finished_s - self.records.arrived_s)[done]
        return sojourn_ms

    def summary(self, *, skip_jobs: int = 0) -> pd.Series[float]:
        """Return the figures of the run, leaving out the first ``skip_jobs`` jobs as warm-up.

        ``jobs``; ``goodput_per_s``, jobs done per second; ``throughput_per_s``, attempts served per
        second and stage, failed ones included; ``utilisation`` of the busiest stage; ``waste``, the
        share of the workers' time that went into attempts which brought no job further;
        ``sojourn_mean_s``, ``sojourn_p50_s`` ... ``sojourn_p99.9_s`` and the same of the wait, over
        the jobs that are done (numpy's linear percentiles); and the count of each outcome.
        """
        _check.count("skip_jobs", skip_jobs, least=0)
        records, overlaps = self.records, self.design.may_overlap
        jobs = records.arrived_s.size - skip_jobs
        if skip_jobs and jobs <= 0:
            raise ValueError(
                f"skip_jobs must leave a job, got {skip_jobs} of {records.arrived_s.size}"
            )
        waits_s = records.overlapping_parts_s()["wait_s"] if overlaps else records.waits_s()
        outcome = records.outcome[skip_jobs:]
        done = outcome == DONE
        since_s = records.arrived_s[skip_jobs] if skip_jobs else 0.0
        sojourns_s = records.finished_s[skip_jobs:] - records.arrived_s[skip_jobs:]
        figures = {
            "jobs": float(jobs),
            "goodput_per_s": done.sum() / (self.duration_s - since_s or math.nan),
            **records.stage_figures(self.design.stages, since_s, self.duration_s),
            **_distribution("sojourn", sojourns_s, done),
            **_distribution("wait", waits_s[skip_jobs:], done),
        }
        counts = {name: np.count_nonzero(outcome == code) for code, name in enumerate(OUTCOMES)}
        return pd.Series({**figures, **counts}, dtype=float, name="run")


def _names(codes: npt.NDArray[np.signedinteger], names: Sequence[str]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes, pd.Index(names))


def _distribution(name: str, values_s: Array, done: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Return the mean and the percentiles of those that are ``done``, ``nan`` for none.

    Leaves ``values_s`` in another order: what is new memory takes longer than the figures do.
    """
    if not done.all():
        values_s = values_s[done]
    if values_s.size == 0:
        values_s = np.array([np.nan])
    mean_s = float(np.mean(values_s))
    values_s.sort()
    percentiles = {f"{name}_p{p:g}_s": percentile(values_s, p) for p in PERCENTILES}
    return {f"{name}_mean_s": mean_s, **percentiles}


def percentile(values: Array, percent: float) -> float:
    """Return what ``np.percentile`` does, of values in order; it would not know that they are."""
    if math.isnan(values[-1]):  # it has the last place
        return math.nan
    place = (values.size - 1) * (percent / 100)
    below = math.floor(place)
    low, high = float(values[below]), float(values[min(below + 1, values.size - 1)])
    part = place - below
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part
