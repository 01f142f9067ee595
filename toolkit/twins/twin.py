"""A service on paper: a design fitted at low load alone, and held against runs that it has not seen.

A hop costs an answer its own time; and on a shared processor it costs all other answers time as well.
A twin says no more than that::

    arrivals -> processor: all that is no work, one job at a time -> four slots that work
                '------------------- at most 64 jobs inside, else 503 -------------------'

Its numbers come from the two quietest runs: processor time a job, the law of the work, and how long a
slot takes from one job to the next.  The last is processor time too, and takes longer the busier the
processor is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from toolkit import _check
from toolkit.arrivals import Arrivals, Trace
from toolkit.design import Design, Stage
from toolkit.experiments.confidence import student
from toolkit.laws import Array, Gamma, LogNormal, mean_s
from toolkit.simulation import simulate
from toolkit.twins.measured import SERVICES, SLOTS, answers, runs, truth

LOW_LOAD = ("steady-020", "steady-060")
"""The runs that a twin is fitted from: a tenth and a third of what the slots can do."""

LIMITS = {"p50": 0.15, "p95": 0.15, "p99": 0.25, "done_per_s": 0.05}
"""How far a prediction may be off, as a share of what was measured; set before the runs were made."""

_EDGE = "170 a second is its edge ({most} by the twin): the same arrivals and work, measured three times, gave a {figure} of {three} ms"

MISSES = {
    "celery-steady-170": _EDGE.format(most=165, figure="p50", three="191, 142 and 273"),
    "celery-second-170": _EDGE.format(most=165, figure="p50", three="191, 142 and 273"),
    "overbuilt-steady-170": _EDGE.format(most=182, figure="p99", three="264, 179 and 172"),
}
"""Runs in which a twin misses a limit, and why."""

MOST_UNFINISHED = 64
_READY = 8  # jobs that may be ready and waiting behind the processor; the rest wait before it
_STEADY_SCV = 0.1  # of the processor's time a job: nearly the same for all; not fitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A service on paper.

    ``processor_s``: processor time a job, all parts together; ``idle_share``: the share of the processor
    that is used while nothing comes; ``work``: the law of the work; ``handing_s``: from the end of a job to
    the start of the next in a slot, if nothing else wanted the processor; ``rest_s``: what an answer takes
    outside the model, in the client and on the way.
    """

    service: str
    processor_s: float
    idle_share: float
    work: LogNormal
    handing_s: float
    rest_s: float

    def processor_share(self, done_per_s: float) -> float:
        """Return the share of the processor that is used, by the utilisation law."""
        return self.idle_share + self.processor_s * done_per_s

    def most_per_s(self, *, slow: float = 1.0, slots: int = SLOTS) -> float:
        """Return the jobs a second that the slots can do, the processor as busy as they make it.

        The rate x at which ``slots`` = x (work + ``between_s`` at x), the smaller root of a quadratic.
        """
        free, half_s = 1.0 - self.idle_share, self.handing_s / 2
        work_s = slow * self.work.mean_s
        square = self.processor_s * (work_s + half_s)
        half = (work_s * free + half_s * (1.0 + free) + slots * self.processor_s) / 2
        return slots * free / (half + math.sqrt(half**2 - square * slots * free))

    def between_s(self, rate_per_s: float, *, slow: float = 1.0, slots: int = SLOTS) -> float:
        """Return how long a slot takes from one job to the next, when ``rate_per_s`` jobs come.

        Each of its steps waits behind others that are about as long (M/D/1: Pollaczek 1930, Khinchine 1932).
        """
        done_per_s = min(rate_per_s, self.most_per_s(slow=slow, slots=slots))
        return self.handing_s * _stretch(self.processor_share(done_per_s))

    def design(
        self,
        arrivals: Arrivals,
        *,
        slow: float = 1.0,
        slots: int = SLOTS,
        busiest_per_s: float | None = None,
    ) -> Design:
        """Return the service under ``arrivals``; ``slow`` times the work, with ``slots``.

        ``busiest_per_s``: the rate at which slots are short, if not that of ``arrivals`` on average.
        """
        rate_per_s = busiest_per_s or arrivals.rate_per_s
        work_s = slow * self.work.mean_s
        held_s = work_s + self.between_s(rate_per_s, slow=slow, slots=slots)
        held = LogNormal(mean_s=held_s, scv=self.work.scv * (work_s / held_s) ** 2)
        inside = slots + _READY
        return Design(
            arrivals=arrivals,
            stages=[
                Stage(
                    name="processor",
                    service=Gamma(mean_s=self.processor_s, scv=_STEADY_SCV),
                    capacity=MOST_UNFINISHED - inside,
                ),
                Stage(name="work", service=held, workers=slots, capacity=inside, when_full="block"),
            ],
        )

    def played(
        self,
        arrivals: Arrivals,
        *,
        slow: float = 1.0,
        slots: int = SLOTS,
        busiest_per_s: float | None = None,
        jobs: int | None = None,
        replications: int = 8,
        seed: int = 0,
    ) -> list[Array]:
        """Return how long good answers take in ms, an array a replication.

        An answer does not see how long its slot takes to the next job.
        """
        design = self.design(arrivals, slow=slow, slots=slots, busiest_per_s=busiest_per_s)
        unseen_s = mean_s(design.stages[1].service) - slow * self.work.mean_s
        runs = (simulate(design, jobs=jobs, seed=seed, replication=k) for k in range(replications))
        return [run.done_ms() + 1000 * (self.rest_s - unseen_s) for run in runs]

    def check(self, run: str, *, replications: int = 8, seed: int = 0) -> pd.DataFrame:
        """Set predicted beside measured, for the arrivals of ``run`` as they were.

        A row for each of ``LIMITS``, columns ``measured``, ``predicted``, ``low`` and ``high`` (where one
        more run would fall in 95 of 100 cases), ``error`` and ``within`` its limit.  Times in ms.
        """
        arrived_s, elapsed_ms = answers(run)
        runs_ms = self.played(
            Trace(times_s=arrived_s),
            slow=float(runs().loc[run, "slow"]),
            busiest_per_s=_busiest_per_s(run),
            replications=replications,
            seed=seed,
        )
        seen = pd.DataFrame([_figures(answers_ms, arrived_s[-1]) for answers_ms in runs_ms])
        mean, sd = seen.mean(), seen.std(ddof=1)
        reach = student(0.95, replications) * sd * math.sqrt(1 + 1 / replications)
        table = pd.DataFrame({"measured": _figures(elapsed_ms, arrived_s[-1]), "predicted": mean})
        table["low"], table["high"] = mean - reach, mean + reach
        table["error"] = table["predicted"] / table["measured"] - 1.0
        return table.assign(within=table["error"].abs() <= pd.Series(LIMITS))


def _stretch(busy: float) -> float:
    """Return how many times as long a step takes on a processor that is ``busy`` otherwise."""
    return (1.0 - busy / 2) / (1.0 - busy)


def _busiest_per_s(run: str) -> float:
    """Return the rate that a run was made with; of a burst, the most that came within five seconds."""
    if math.isfinite(rate_per_s := float(runs().loc[run, "rate_per_s"])):
        return rate_per_s
    arrived_s, _ = answers(run)
    window_s = 5.0
    return (
        float((np.searchsorted(arrived_s, arrived_s + window_s) - np.arange(arrived_s.size)).max())
        / window_s
    )


def _figures(elapsed_ms: Array, seconds: float) -> pd.Series[float]:
    """Return what ``LIMITS`` is about."""
    values = [*np.percentile(elapsed_ms, [50, 95, 99]), elapsed_ms.size / seconds]
    return pd.Series(values, index=pd.Index(LIMITS, name="figure"))


@cache
def twin(service: str) -> Twin:
    """Fit the twin of a service from its ``LOW_LOAD`` runs.

    Processor time a job is the slope between the two loads, what is used while nothing comes the rest.
    ``rest_s`` makes the mean of the second run right; nothing else is tuned.
    """
    _check.choice("service", service, SERVICES)
    names = [f"{service}-{scenario}" for scenario in LOW_LOAD]
    rows = runs().loc[names]
    stamps = [truth(name) for name in names]
    work_s = np.concatenate([(t["ended_us"] - t["started_us"]).to_numpy() for t in stamps]) / 1e6
    quiet_per_s, busy_per_s = (float(rate) for rate in rows["arrived"] / rows["seconds"])
    quiet, busy = (float(share) for share in rows["cpu_s"] / rows["seconds"])
    processor_s = (busy - quiet) / (busy_per_s - quiet_per_s)
    first = Twin(
        service=service,
        processor_s=processor_s,
        idle_share=quiet - processor_s * quiet_per_s,
        work=LogNormal(mean_s=float(work_s.mean()), scv=float(work_s.var() / work_s.mean() ** 2)),
        handing_s=float(handing_over_s(stamps[1]).mean()) / _stretch(busy),
        rest_s=0.0,
    )
    arrived_s, elapsed_ms = answers(names[1])
    predicted_ms = [ms.mean() for ms in first.played(Trace(times_s=arrived_s), seed=1)]
    rest_s = float(elapsed_ms.mean() - np.mean(predicted_ms)) / 1000
    return dataclasses.replace(first, rest_s=rest_s)


def handing_over_s(stamps: pd.DataFrame, slots: int = SLOTS) -> Array:
    """Return how long slots took from one job to the next, where the next was there already.

    The slot that is free longest gets the next job: so of starts and ends in order of time, a start
    belongs to the end that came ``slots`` before it.
    """
    columns = ["queued_us", "started_us", "ended_us"]
    times_s = stamps[columns].add(stamps["arrived_us"], axis=0).dropna() / 1e6
    queued_s, started_s, _ = times_s.sort_values("started_us").to_numpy(dtype=float)[slots:].T
    free_s = np.sort(times_s["ended_us"].to_numpy(dtype=float))[:-slots]
    found: Array = (started_s - free_s)[queued_s < free_s]
    return found


def checks(services: Sequence[str] = SERVICES, *, replications: int = 8) -> pd.DataFrame:
    """Hold twins against every run that they have not seen and in which nothing dies; a row a figure."""
    quiet = runs()[runs()["action"].isna() & ~runs()["scenario"].isin(LOW_LOAD)]
    tables = {
        name: twin(row["service"]).check(str(name), replications=replications)
        for name, row in quiet.iterrows()
        if row["service"] in services
    }
    return pd.concat(tables, names=["run", "figure"])
