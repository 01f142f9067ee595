"""The records of a run: what an engine writes down, and the sums that every table is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit.design import Stage
from toolkit.laws import Array
from toolkit.simulation.codes import CUT_OFF, OK, PREEMPTED, UNFINISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What an engine writes down.

    The first three have shape ``(jobs,)``, in order of arrival, ``nan`` where a job did not finish;
    the others ``(attempts,)``, sorted by job, stage, attempt, ``nan`` where it did not come to it.
    ``outcome`` and ``attempt_outcome`` index ``design.OUTCOMES`` and ``design.ATTEMPT_OUTCOMES``;
    ``worker`` is -1 for none; ``paused_s`` is the pause asked for before the attempt.
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
    paused_s: Array

    @classmethod
    def of(
        cls,
        rows: Sequence[Sequence[float]],
        arrived_s: Sequence[float],
        finished_s: Sequence[float],
        outcomes: Sequence[int],
    ) -> Records:
        """Put down what an engine has written: a row an attempt, columns as above, and a value a job."""
        table = np.fromiter(chain.from_iterable(rows), np.float64, 9 * len(rows)).reshape(-1, 9)
        table = table[np.lexsort((table[:, 2], table[:, 1], table[:, 0]))]
        job, stage, attempt, queued_s, started_s, ended_s, worker, outcome, paused_s = table.T
        arrived = len(arrived_s)  # a horizon may come before the last jobs do
        return cls(
            arrived_s=np.array(arrived_s, dtype=np.float64),
            finished_s=np.array(finished_s[:arrived], dtype=np.float64),
            outcome=np.array(outcomes[:arrived], dtype=np.int8),
            job=job.astype(np.int64),
            stage=stage.astype(np.int16),
            attempt=attempt.astype(np.int32),
            queued_s=queued_s,
            started_s=started_s,
            ended_s=ended_s,
            worker=worker.astype(np.int32),
            attempt_outcome=outcome.astype(np.int8),
            paused_s=paused_s,
        )

    @property
    def served(self) -> npt.NDArray[np.bool_]:
        """Which attempts had a worker."""
        return self.worker >= 0

    def attempts(self) -> npt.NDArray[np.intp]:
        """Return how many attempts of each job had a worker; one that was preempted counts once."""
        rows = self.served & (self.attempt_outcome != PREEMPTED)
        return np.bincount(self.job[rows], minlength=self.arrived_s.size)

    def duration_s(self, jobs: int, end_s: float) -> float:
        """Return how long the run was: to its last record, or to ``end_s`` if that cut off any of ``jobs``."""
        if self.outcome.size < jobs or np.any(self.outcome == UNFINISHED):
            return end_s
        lasts = (
            np.fmax.reduce(times_s, initial=0.0) for times_s in (self.ended_s, self.finished_s)
        )
        return float(max(lasts))

    def parts_s(self) -> dict[str, Array]:
        """Return each job's wait, service and pauses in seconds, where one attempt follows another."""
        service_s = np.where(self.served, self.ended_s - self.started_s, 0.0)
        return {
            "wait_s": self.waits_s(),
            "service_s": self._by_job(service_s),
            "backoff_s": self._by_job(self.paused_s),
        }

    def waits_s(self) -> Array:
        """Return each job's wait in seconds, where one attempt follows another."""
        waits_s = self.started_s - self.queued_s
        turned_away = np.flatnonzero(~self.served)
        waits_s[turned_away] = self.ended_s[turned_away] - self.queued_s[turned_away]
        return self._by_job(waits_s)

    def overlapping_parts_s(self) -> dict[str, Array]:
        """Return the same where attempts may overlap: a moment in service counts once, up to the end."""
        rows = np.flatnonzero(self.served)
        rows = rows[np.lexsort((self.started_s[rows], self.job[rows]))]
        job, last_s = self.job[rows], self.finished_s[self.job[rows]]
        begins_s = np.minimum(self.started_s[rows], last_s)
        ends_s = np.fmin(self.ended_s[rows], last_s)  # nan: still running when the run ended
        so_far = pd.Series(ends_s).groupby(job).cummax()
        covered_s = so_far.groupby(job).shift().fillna(-np.inf).to_numpy()
        fresh_s = np.maximum(0.0, ends_s - np.maximum(begins_s, covered_s))
        service_s = np.bincount(job, np.nan_to_num(fresh_s), self.arrived_s.size)
        sojourn_s = self.finished_s - self.arrived_s
        in_time = self.queued_s <= self.finished_s[self.job]
        room_s = np.nan_to_num(sojourn_s - service_s).clip(0.0)
        backoff_s = np.minimum(self._by_job(np.where(in_time, self.paused_s, 0.0)), room_s)
        return {
            "wait_s": np.maximum(0.0, sojourn_s - service_s - backoff_s),
            "service_s": service_s,
            "backoff_s": backoff_s,
        }

    def _by_job(self, values: Array) -> Array:
        """Add up a value an attempt to a value a job."""
        return np.asarray(np.bincount(self.job, values, self.arrived_s.size), dtype=np.float64)

    def stage_figures(
        self, stages: Sequence[Stage], since_s: float, end_s: float
    ) -> dict[str, float]:
        """Return throughput, highest utilisation and waste from ``since_s`` to ``end_s``."""
        window_s = end_s - since_s or math.nan
        served, busy_s = self.served, np.fmin(self.ended_s, end_s)
        if since_s:
            np.maximum(busy_s, since_s, out=busy_s)
        busy_s -= np.maximum(self.started_s, since_s) if since_s else self.started_s
        np.maximum(busy_s, 0.0, out=busy_s)
        busy_s[~served] = 0.0
        total_s = float(busy_s.sum())
        shares = [
            (
                self._shared_s(k, stage.workers, since_s, end_s)
                if stage.order == "shared"
                else float(busy_s[self.stage == k].sum())
            )
            / stage.workers
            for k, stage in enumerate(stages)
        ]
        wasted_s = float(busy_s[self._are_waste()].sum())
        return {
            "throughput_per_s": np.count_nonzero(served & (self.ended_s >= since_s))
            / len(stages)
            / window_s,
            "utilisation": max(shares) / window_s,
            "waste": wasted_s / total_s if total_s else 0.0,
        }

    def _are_waste(self) -> npt.NDArray[np.bool_]:
        """Which attempts brought no job further; the work of one that goes on is no waste."""
        which: npt.NDArray[np.bool_] = self.attempt_outcome != OK
        for code in (PREEMPTED, CUT_OFF):
            which &= self.attempt_outcome != code
        return which

    def _shared_s(self, stage: int, workers: int, since_s: float, end_s: float) -> float:
        """Return the seconds of work done by workers who share themselves among all jobs."""
        rows = (self.stage == stage) & self.served
        starts_s = self.started_s[rows].clip(since_s)
        ends_s = np.fmin(self.ended_s[rows], end_s).clip(since_s)
        times_s = np.concatenate([starts_s, ends_s])
        order = np.argsort(times_s, kind="stable")
        inside = np.cumsum(np.repeat([1, -1], starts_s.size)[order])[:-1]
        return float(np.sum(np.minimum(inside, workers) * np.diff(times_s[order])))
