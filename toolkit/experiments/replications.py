"""Many runs instead of one, to know how sure we may be and whether a difference is real.

One run is one draw from a lottery, and its jobs depend on each other.
So uncertainty is taken from independent replications, never from the jobs of one run:
the mean over replications, with Student's t interval.
Designs are compared job for job: replication k sends the same jobs to each of them
(common random numbers), and the interval is that of the paired differences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from toolkit import _check
from toolkit.design import Design
from toolkit.experiments.confidence import check_confidence, student
from toolkit.experiments.crew import Crew, crew_for
from toolkit.experiments.results import Comparison, Replications, replications_of
from toolkit.experiments.warmup import Warmup
from toolkit.experiments.watch import interrupted, watched
from toolkit.experiments.work import Seen, Setting, Work, check_figure
from toolkit.simulation import Engine

if TYPE_CHECKING:
    from distributed import Client


def replicate(
    design: Design,
    *,
    jobs: int | None = None,
    replications: int = 20,
    seed: int = 0,
    warmup: Warmup = "auto",
    confidence: float = 0.95,
    precision: float | None = None,
    figure: str = "sojourn_mean_s",
    max_replications: int = 1_000,
    engine: Engine = "auto",
    parallel: int | None = None,
    client: Client | None = None,
    progress: bool = True,
) -> Replications:
    """Run ``design`` ``replications`` times, independently, and keep the figures of each run.

    ``warmup`` is the number of first jobs to leave out of the figures; ``"auto"`` chooses it for
    each replication (see ``experiments.warmup_jobs``), and the figure ``warmup_jobs`` says how many.

    With ``precision``, replications go on until the interval of ``figure`` reaches no further than
    that share of its mean to either side; ``warnings`` says so if ``max_replications`` are not enough.
    It is looked at after every replication, from the given number on.  The stopping rule is that of
    Law (2015), "Simulation Modeling and Analysis", section 9.4.1: a share p of the truth is taken as
    p / (1 + p) of the estimate.  Such an interval holds the truth a little less often than one of a
    number of replications that was fixed before.

    At most ``parallel`` runs go on at once (as many as there are processors, if not given): in
    threads with the compiled engine; in processes with SimPy, when that pays; on a Dask cluster when
    a ``client`` is given.  None of it changes a figure.
    A progress bar appears when it takes more than two seconds.  An interrupt keeps what is finished,
    two replications or more, and says so in ``warnings`` and as a Python warning.
    Raises ``ValueError`` for an argument out of range.
    """
    check_confidence(confidence)
    check_figure(figure)
    rule = None
    if precision is not None:
        rule = _UntilPrecise(_check.positive("precision", precision), figure, confidence)
        rule.first = _check.count("replications", replications, least=2)
        replications = _check.count("max_replications", max_replications, least=replications)
    crew = crew_for([design], engine=engine, parallel=parallel, client=client)
    setting = Setting(jobs=jobs, seed=seed, warmup=warmup, engine=engine)
    designs = {"design": design}
    seen, said = _collected(designs, setting, crew, replications, progress=progress, rule=rule)
    return replications_of(design, seen["design"], confidence, said)


def compare(
    designs: Mapping[str, Design],
    *,
    jobs: int | None = None,
    replications: int = 20,
    seed: int = 0,
    warmup: Warmup = "auto",
    confidence: float = 0.95,
    engine: Engine = "auto",
    parallel: int | None = None,
    client: Client | None = None,
    progress: bool = True,
) -> Comparison:
    """Run every design on the same jobs, replication by replication; the first is the baseline.

    Arguments as in ``replicate``, but ``warmup="auto"`` is one cut for all designs of a replication,
    the longest: a cut of its own for each would leave different jobs.
    Raises ``ValueError`` for no design or an argument out of range.
    """
    if not designs:
        raise ValueError("designs must hold at least one design by name, got none")
    check_confidence(confidence)
    crew = crew_for(designs.values(), engine=engine, parallel=parallel, client=client)
    setting = Setting(jobs=jobs, seed=seed, warmup=warmup, engine=engine)
    seen, said = _collected(dict(designs), setting, crew, replications, progress=progress)
    done = {
        name: replications_of(design, seen[name], confidence, said)
        for name, design in designs.items()
    }
    return Comparison(replications=done, confidence=confidence)


BySeen = dict[str, dict[int, Seen]]


def _collected(
    designs: dict[str, Design],
    setting: Setting,
    crew: Crew,
    replications: int,
    *,
    progress: bool,
    rule: _UntilPrecise | None = None,
) -> tuple[BySeen, list[str]]:
    """Return what was seen of each design, by replication, and what there is to say about it."""
    _check.count("replications", replications, least=2)
    books: BySeen = {name: {} for name in designs}
    finished = books[next(iter(books))]
    works = (Work(designs, number, setting) for number in range(replications))
    runs = len(designs) * replications
    try:
        with closing(watched(crew, works, runs=runs, show=progress)) as done:
            for work, seen in done:
                for name, one in seen.items():
                    books[name][work.replication] = one
                if rule is not None and rule.is_met(finished):
                    break
    except KeyboardInterrupt:
        if len(finished) < 2:
            raise
        return books, [interrupted(len(finished), replications, "replications")]
    return books, [] if rule is None else rule.close(finished)


@dataclass(slots=True)
class _UntilPrecise:
    """When to stop: decided on the first n replications in their order, whoever is done first."""

    share: float
    figure: str
    confidence: float
    first: int = 2
    values: list[float] = field(default_factory=list)

    def is_met(self, finished: Mapping[int, Seen]) -> bool:
        """Look at the replications in order, as far as they are finished without a gap."""
        while len(self.values) in finished:
            self.values.append(finished[len(self.values)].figures[self.figure])
            if len(self.values) >= self.first and self._reach() <= self.share / (1 + self.share):
                return True
        return False

    def _reach(self) -> float:
        """Return half the interval over the mean."""
        samples, mean = len(self.values), abs(float(np.mean(self.values)))
        half = student(self.confidence, samples) * float(np.std(self.values, ddof=1))
        return half / math.sqrt(samples) / mean if mean else math.inf if half else 0.0

    def close(self, finished: dict[int, Seen]) -> list[str]:
        """Leave out what was run ahead of the decision, and say if there was none."""
        for number in [number for number in finished if number >= len(self.values)]:
            del finished[number]
        if self._reach() <= self.share / (1 + self.share):
            return []
        text = (
            f"{self.figure} is known to ± {self._reach():.1%} after {len(self.values)} replications, not "
            f"to the {self.share:.1%} asked for: run more jobs, or raise max_replications"
        )
        return [text]
