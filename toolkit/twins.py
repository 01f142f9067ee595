"""Three measured services that do the same work, and their twins: designs fitted at low load alone.

``data/lean-overbuilt`` has a lean service, one with Celery and an overbuilt one, each on one processor,
under the same loads.  A hop costs an answer its own time; and on a shared processor it costs all other
answers time as well.  A twin says no more than that::

    arrivals -> processor: all that is no work, one job at a time -> four slots that work
                '------------------- at most 64 jobs inside, else 503 -------------------'

Its numbers come from the two quietest runs: processor time a job, the law of the work, and how long a
slot takes from one job to the next.  The last is processor time too, and takes longer the busier the
processor is.  ``Twin.check`` holds a twin against runs that it has not seen.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit import _check
from toolkit.advice import Parts
from toolkit.arrivals import Arrivals, Trace
from toolkit.design import Design, Stage
from toolkit.errors import ToolkitError
from toolkit.experiments.confidence import student
from toolkit.laws import Array, Gamma, LogNormal
from toolkit.loadtest import LoadTest, read_loadtest
from toolkit.simulation import simulate

FOLDER = Path(__file__).parents[1] / "data" / "lean-overbuilt"
SERVICES = ("lean", "celery", "overbuilt")
LOW_LOAD = ("steady-020", "steady-060")
"""The runs that a twin is fitted from: a tenth and a third of what the slots can do."""

LIMITS = {"p50": 0.15, "p95": 0.15, "p99": 0.25, "done_per_s": 0.05}
"""How far a prediction may be off, as a share of what was measured; set before the runs were made."""

SLOTS, MOST_UNFINISHED = 4, 64
_READY = 8  # jobs that may be ready and waiting behind the processor; the rest wait before it
_STEADY_SCV = 0.1  # of the processor's time a job: nearly the same for all; not fitted


@cache
def runs() -> pd.DataFrame:
    """Return what was measured, a row a run, by its name such as ``lean-steady-060``.

    Columns as the datasheet in ``data/lean-overbuilt`` has them.
    Raises ``ToolkitError`` where the data are not at hand.
    """
    if not (FOLDER / "runs.csv").exists():
        raise ToolkitError(f"the measured services are not here: {FOLDER} is missing")
    return pd.read_csv(FOLDER / "runs.csv").set_index("run")


def load_test(run: str) -> LoadTest:
    """Read what the load generator saw of a run."""
    _check.choice("run", run, list(runs().index))
    return read_loadtest(FOLDER / runs().loc[run, "file"])


def truth(run: str) -> pd.DataFrame:
    """Read the service's own stamps of a run, a row a request, in order of arrival."""
    _check.choice("run", run, list(runs().index))
    return pd.read_csv(FOLDER / runs().loc[run, "truth"])


def parts(service: str) -> Parts:
    """Return what a service is made of, counted; workers are its slots, the same for all."""
    _check.choice("service", service, SERVICES)
    counted = pd.read_csv(FOLDER / "parts.csv").set_index("service").loc[service]
    names = ("hops", "state_stores", "deploy_units", "failure_modes", "knobs", "lines")
    return Parts(workers=SLOTS, **{name: float(counted[name]) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A service on paper.

    ``processor_s``: processor time a job, all parts together; ``work``: the law of the work;
    ``handing_s``: from the end of a job to the start of the next in a slot, if nothing else wanted the
    processor; ``rest_s``: what an answer takes outside the model, in the client and on the way.
    """

    service: str
    processor_s: float
    work: LogNormal
    handing_s: float
    rest_s: float

    def most_per_s(self, *, slow: float = 1.0, slots: int = SLOTS) -> float:
        """Return the jobs a second that the slots can do, the processor as busy as they make it.

        The rate x at which ``slots`` = x (work + ``between_s`` at x), the smaller root of a quadratic.
        """
        work_s = slow * self.work.mean_s
        half = (work_s + self.handing_s + slots * self.processor_s) / 2
        return slots / (half + math.sqrt(half**2 - work_s * self.processor_s * slots))

    def between_s(self, rate_per_s: float, *, slow: float = 1.0, slots: int = SLOTS) -> float:
        """Return how long a slot takes from one job to the next, when ``rate_per_s`` jobs come.

        Stretched by one over the processor's idle share, as for many who share it (M/M/1).
        """
        done_per_s = min(rate_per_s, self.most_per_s(slow=slow, slots=slots))
        return self.handing_s / (1.0 - self.processor_s * done_per_s)

    def design(self, arrivals: Arrivals, *, slow: float = 1.0, slots: int = SLOTS) -> Design:
        """Return the service under ``arrivals``; ``slow`` times the work, with ``slots``."""
        work_s = slow * self.work.mean_s
        held_s = work_s + self.between_s(arrivals.rate_per_s, slow=slow, slots=slots)
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

    def check(self, run: str, *, replications: int = 8, seed: int = 0) -> pd.DataFrame:
        """Set predicted beside measured, for the arrivals of ``run`` as they were.

        A row for each of ``LIMITS``, columns ``measured``, ``predicted``, ``low`` and ``high`` (where one
        more run would fall in 95 of 100 cases), ``error`` and ``within`` its limit.  Times in ms.
        """
        arrived_s, elapsed_ms = _answers(load_test(run))
        slow = float(runs().loc[run, "slow"])
        runs_ms = self.answers_ms(
            Trace(times_s=arrived_s), slow=slow, replications=replications, seed=seed
        )
        seen = pd.DataFrame([_figures(answers_ms, arrived_s[-1]) for answers_ms in runs_ms])
        mean, sd = seen.mean(), seen.std(ddof=1)
        reach = student(0.95, replications) * sd * math.sqrt(1 + 1 / replications)
        table = pd.DataFrame({"measured": _figures(elapsed_ms, arrived_s[-1]), "predicted": mean})
        table["low"], table["high"] = mean - reach, mean + reach
        table["error"] = table["predicted"] / table["measured"] - 1.0
        return table.assign(within=table["error"].abs() <= pd.Series(LIMITS))

    def answers_ms(
        self, arrivals: Trace, *, slow: float = 1.0, replications: int = 8, seed: int = 0
    ) -> list[Array]:
        """Return how long good answers take in ms, an array a replication.

        An answer does not see how long its slot takes to the next job.
        """
        design = self.design(arrivals, slow=slow)
        offset_ms = 1000 * (self.rest_s - self.between_s(arrivals.rate_per_s, slow=slow))
        runs = (simulate(design, seed=seed, replication=k) for k in range(replications))
        return [run.done_ms() + offset_ms for run in runs]


def twin(service: str) -> Twin:
    """Fit the twin of a service from its ``LOW_LOAD`` runs.

    Processor time a job is the slope between the two loads, so what a part does while nothing comes
    (heartbeats) is left out.  ``rest_s`` makes the mean of the second run right; nothing else is tuned.
    """
    _check.choice("service", service, SERVICES)
    names = [f"{service}-{scenario}" for scenario in LOW_LOAD]
    rows = runs().loc[names]
    stamps = [truth(name) for name in names]
    work_s = np.concatenate([(t["ended_us"] - t["started_us"]).to_numpy() for t in stamps]) / 1e6
    (quiet_per_s, busy_per_s), (quiet_share, busy_share) = (
        rows["arrived"] / rows["seconds"],
        rows["cpu_s"] / rows["seconds"],
    )
    first = Twin(
        service=service,
        processor_s=(busy_share - quiet_share) / (busy_per_s - quiet_per_s),
        work=LogNormal(mean_s=work_s.mean(), scv=work_s.var() / work_s.mean() ** 2),
        handing_s=float(np.median(_between_s(stamps[1]))) * (1.0 - busy_share),
        rest_s=0.0,
    )
    arrived_s, elapsed_ms = _answers(load_test(names[1]))
    predicted_ms = [ms.mean() for ms in first.answers_ms(Trace(times_s=arrived_s), seed=1)]
    return dataclasses.replace(first, rest_s=(elapsed_ms.mean() - np.mean(predicted_ms)) / 1000)


def _between_s(stamps: pd.DataFrame) -> Array:
    """Return, for jobs that waited for a slot, from the end of one in a slot to their own start."""
    times_s = (
        stamps[["queued_us", "started_us", "ended_us"]].add(stamps["arrived_us"], axis=0) / 1e6
    )
    queued_s, started_s, ended_s = times_s.dropna().to_numpy().T
    found = []
    for place in range(queued_s.size):
        busy = (started_s < queued_s[place]) & (ended_s > queued_s[place])
        busy[place] = False
        if busy.sum() >= SLOTS and started_s[place] > queued_s[place]:
            found.append(started_s[place] - ended_s[ended_s < started_s[place]].max())
    return np.array(found)


def _answers(test: LoadTest) -> tuple[Array, Array]:
    """Return when requests were sent, in seconds from the first, and how long good answers took in ms."""
    samples = test.samples
    start_s = (samples["start"] - samples["start"].min()).dt.total_seconds()
    elapsed_ms = samples["elapsed_ms"][samples["success"]]
    return np.sort(start_s.to_numpy(dtype=float)), elapsed_ms.to_numpy(dtype=float)


def _figures(elapsed_ms: Array, seconds: float) -> pd.Series[float]:
    """Return what ``LIMITS`` is about."""
    values = [*np.percentile(elapsed_ms, [50, 95, 99]), elapsed_ms.size / seconds]
    return pd.Series(values, index=pd.Index(LIMITS, name="figure"))


def checks(services: Sequence[str] = SERVICES, *, replications: int = 8) -> pd.DataFrame:
    """Hold twins against every run that they have not seen and in which nothing dies; a row a figure."""
    tables = {}
    for service in services:
        fitted = twin(service)
        rows = runs()[(runs()["service"] == service) & runs()["action"].isna()]
        for name in rows.index:
            if rows.loc[name, "scenario"] not in LOW_LOAD:
                tables[name] = fitted.check(name, replications=replications)
    return pd.concat(tables, names=["run", "figure"])
