"""Recorded experiments on real products, and the designs that repeat them.

``recorded`` reads one from ``data/job-queues``; ``twin`` is the same experiment on paper: the same sends,
the same lengths of work, the product as ``systems`` has it, and the deaths at the moments they happened.
``replay`` runs it.  What a model leaves out, the product's own time a job, is added where it matters:
it was measured, too (``OWN_TIME_S``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from toolkit.arrivals import Trace
from toolkit.design import Crash, Design, Stage
from toolkit.errors import ToolkitError
from toolkit.laws import Array
from toolkit.simulation import Run, simulate
from toolkit.systems import celery, sidekiq

FOLDER = Path(__file__).parents[1] / "data" / "job-queues"
OWN_TIME_S = {"celery": 0.0021, "sidekiq": 0.00055}
"""From the end of a job to the start of the next in its slot, median, as the datasheet has it."""

_CONNECTS_S = 1.06  # before it says that it is ready, a Celery worker is connected and sweeps


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One experiment: ``rows`` as measured, an execution each, and the ``facts`` of how it was set up."""

    name: str
    rows: pd.DataFrame
    facts: dict[str, Any]

    @property
    def jobs(self) -> pd.DataFrame:
        """A row a job, in order of sending: ``sent_s``, ``asked_s``, ``due_s`` and the first start."""
        return self.rows.groupby("job").first()

    @property
    def executions(self) -> pd.DataFrame:
        """The rows that started, with an ``outcome``: ok, duplicate or crashed.

        Of a job's executions that ended the first is ok; one that was killed ends with its process.
        Not for experiments in which jobs fail: their rows do not tell.
        """
        rows = self.rows.dropna(subset=["started_s"]).copy()
        later = rows["ended_s"] > rows.groupby("job")["ended_s"].transform("min")
        rows["outcome"] = np.where(later, "duplicate", "ok")
        rows.loc[rows["ended_s"].isna(), "outcome"] = "crashed"
        rows["ended_s"] = rows["ended_s"].fillna(rows["worker"].map(self._deaths_s()))
        return rows

    def _deaths_s(self) -> dict[int, float | None]:
        """Return when each worker died, or one of its children."""
        if "child_killed_s" in self.facts:
            return {0: self.facts["child_killed_s"]}
        workers = self.facts.get("workers", [])
        processes = self.facts.get("processes", [])
        return {number: worker["killed_s"] for number, worker in enumerate(workers)} | {
            process["worker"]: process["ended_s"] for process in processes
        }

    def waits_s(self) -> Array:
        """Return how long after its sending each job started first, in seconds."""
        jobs = self.jobs
        waits_s: Array = (jobs["started_s"] - jobs["sent_s"]).to_numpy(dtype=np.float64)
        return waits_s


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """A law whose draws are given values in seconds, one a job, in order; every attempt has its job's."""

    values_s: Array

    def moment(self, k: int) -> float:
        """Return the mean of the values^k."""
        return float(np.mean(self.values_s**k))

    def draw_s(self, rng: np.random.Generator, n: int) -> Array:  # noqa: ARG002, nothing is left to chance
        """Return the first ``n`` values."""
        if n > self.values_s.size:
            raise ValueError(f"jobs must be <= {self.values_s.size}, as many as recorded, got {n}")
        values_s: Array = self.values_s[:n]
        return values_s

    def times(self, factor: float) -> Self:
        """Return the law with every value ``factor`` times as long."""
        return type(self)(self.values_s * factor)


def names() -> list[str]:
    """Return the names of all recordings that have a file."""
    return sorted(path.stem for path in FOLDER.glob("*.csv"))


def recorded(name: str) -> Recording:
    """Read a recording, such as ``celery-redis-kill-late``.

    Raises ``ToolkitError`` where the data are not at hand or there is no such recording.
    """
    if not FOLDER.is_dir():
        raise ToolkitError(
            f"the recordings are not here: {FOLDER} is missing; they come with the repository"
        )
    if name not in names():
        raise ToolkitError(f"there is no recording {name!r}; there are: {', '.join(names())}")
    product = name.split("-", maxsplit=1)[0]
    facts = json.loads((FOLDER / f"{product}-experiments.json").read_text(encoding="utf-8"))
    return Recording(name, pd.read_csv(FOLDER / f"{name}.csv"), facts[name])


def replay(name: str, *, seed: int = 0, slept: bool = False) -> Run:
    """Simulate a recorded experiment of Celery or Sidekiq; ``slept`` as in ``twin``."""
    return simulate(twin(recorded(name), slept=slept), seed=seed)


def twin(recording: Recording, *, slept: bool = False) -> Design:
    """Return the design that repeats a recording of Celery or Sidekiq.

    ``slept``: with the lengths that the work really had, not those asked for.
    Raises ``ValueError`` for another product, and where jobs have different rules.
    """
    product = recording.name.split("-")[0]
    if product not in _STAGES:
        raise ValueError(f"recording must be of {' or '.join(_STAGES)}, got {recording.name!r}")
    if "task" in recording.rows and len(set(recording.rows["task"])) > 1:
        raise ValueError(f"recording must have one kind of jobs, got {recording.name!r}")
    jobs = recording.jobs
    work_s = (jobs["ended_s"] - jobs["started_s"] if slept else jobs["asked_s"]).to_numpy()
    service = Replayed(work_s + OWN_TIME_S[product])
    countdown = None
    if "due_s" in jobs and jobs["due_s"].notna().all():
        countdown = Replayed(np.maximum(0.0, (jobs["due_s"] - jobs["sent_s"]).to_numpy()))
    stage = _STAGES[product](recording, service, countdown)
    # a limiter that had been idle is idle in the twin, too: its clock begins that much earlier
    sent_s = jobs["sent_s"].to_numpy() + recording.facts.get("idle_s", 0.0)
    return Design(arrivals=Trace(times_s=sent_s), stages=[stage])


def _celery(recording: Recording, service: Replayed, countdown: Replayed | None) -> Stage:
    facts = recording.facts
    on_redis = facts["broker"] == "redis"
    settings: dict[str, Any] = {
        "version": ".".join(facts["versions"]["celery"].split(".")[:2]),
        "visibility_timeout_s": facts["visibility_timeout_s"],
        "unacked_restore_interval_s": facts["sweep_s"],
        "unacked_restore_throttle": facts["sweep_throttle"],
        "reject_on_worker_lost": facts["reject_on_worker_lost"],
        "sweep_first_s": _first_sweep_s(facts) if on_redis else None,
        "crashes": _celery_deaths(recording),
    }
    same = ("broker", "instances", "concurrency", "prefetch_multiplier", "acks_late")
    settings |= {name: facts[name] for name in (*same, "disable_prefetch", "rate_limit")}
    return celery(**settings, service=service, countdown=countdown)


def _first_sweep_s(facts: dict[str, Any]) -> float:
    """Return when Redis is swept first, by the survivor whose sweep comes soonest after a time-out."""
    interval_s, throttle = facts["sweep_s"] or 10.0, facts["sweep_throttle"] or 10
    every_s, timeout_s = throttle * interval_s, facts["visibility_timeout_s"] or 3600.0
    firsts_s = [
        worker["ready_s"] - _CONNECTS_S + (throttle - 1) * interval_s
        for worker in facts["workers"]
        if worker["killed_s"] is None
    ]
    first_s = float(
        min(firsts_s, key=lambda s: max(s, s + every_s * -(-(timeout_s - s) // every_s)))
    )
    return first_s if first_s >= 0 else first_s % every_s


def _celery_deaths(recording: Recording) -> list[Crash]:
    """Return who dies and when; the instance that got the first job is number 0 in the twin."""
    workers = recording.facts["workers"]
    first = int(recording.rows.sort_values("started_s")["worker"].iloc[0])
    killed = [
        Crash(at_s=worker["killed_s"], instance=(number - first) % len(workers))
        for number, worker in enumerate(workers)
        if worker["killed_s"] is not None
    ]
    if "child_killed_s" in recording.facts:
        killed.append(Crash(at_s=recording.facts["child_killed_s"], slot=0))
    return killed


def _sidekiq(recording: Recording, service: Replayed, countdown: Replayed | None) -> Stage:
    """Return the processes that were there from the start; one that came later replaces a dead one."""
    processes = recording.facts["processes"]
    first = [process for process in processes if process["started_s"] < 0]
    later = [process["up_s"] for process in processes if process["started_s"] >= 0]
    deaths = []
    for number, process in enumerate(first):
        if process["ended_s"] is not None:
            term_s = recording.facts.get("term_s")
            at_s = process["ended_s"] if term_s is None else term_s
            grace_s = None if term_s is None else float(process["timeout_s"])
            back_s = later[0] - process["ended_s"] if later else None
            deaths.append(
                Crash(at_s=at_s, instance=number, restart_after_s=back_s, grace_s=grace_s)
            )
    return sidekiq(
        version="6.4.1",
        processes=len(first),
        concurrency=first[0]["concurrency"],
        service=service,
        countdown=countdown,
        crashes=deaths,
    )


_STAGES = {"celery": _celery, "sidekiq": _sidekiq}
