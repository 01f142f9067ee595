"""What is asked of designs, and what simulation answers: today, and in every future that may come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pandas as pd

from toolkit import _check
from toolkit.advice.futures import TODAY, Future
from toolkit.advice.goals import SLO
from toolkit.advice.judging import (
    Answer,
    Judgement,
    judge,
    recovery_s,
    settled_by_order,
    values_of,
    worst,
)
from toolkit.arrivals import Trace
from toolkit.design import Design
from toolkit.experiments import Comparison, Replications, compare, progress_bar
from toolkit.simulation import simulate

Outlook = dict[str, dict[str, Answer]]
"""The answer for each design in each future, by name of the design and of the future."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is simulated for an answer, and how sure its intervals are."""

    jobs: int | None
    replications: int
    seed: int
    confidence: float = 0.95
    progress: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Goals, futures, those of them that must be stood, and the effort for an answer."""

    slo: SLO
    futures: Mapping[str, Future]
    require: tuple[str, ...]
    effort: Effort

    def today(self, designs: Mapping[str, Design]) -> Comparison:
        """Run the designs as they are, on the same jobs."""
        return compare(designs, **asdict(self.effort))

    def judgements(self, done: Replications) -> dict[str, Judgement]:
        """Hold what was seen of a design today against every goal on time and success."""
        return {
            target: judge(target, goal, values_of(target, done.figures), self.effort.confidence)
            for target, goal in self.slo.targets().items()
        }

    def answer_today(self, done: Replications) -> Answer:
        """Say whether a design meets every goal on time and success today."""
        if done.design.overloads():  # no percentile of a queue that grows for ever means anything
            return "misses"
        return worst(judgement.answer for judgement in self.judgements(done).values())

    def outlook(self, comparison: Comparison, *, only_required: bool = False) -> Outlook:
        """Return the answers for all designs in all futures, or in those that must be stood."""
        seen = comparison.replications
        designs = {name: done.design for name, done in seen.items()}
        answers = {TODAY: {name: self.answer_today(done) for name, done in seen.items()}}
        for name, future in self.futures.items():
            if name != TODAY and (name in self.require or not only_required):
                answers[name] = self._in_future(future, designs)
        by_future = {name: settled_by_order(found, designs) for name, found in answers.items()}
        return {
            name: {future: found[name] for future, found in by_future.items()} for name in designs
        }

    def overall(self, outlook: Mapping[str, Answer], cost: float) -> Answer:
        """Return the answer for a design: its worst in what must be stood, and its price."""
        if self.slo.cost is not None and cost > self.slo.cost:
            return "misses"
        return worst(outlook[name] for name in self.require)

    def _in_future(self, future: Future, designs: Mapping[str, Design]) -> dict[str, Answer]:
        """Say for each design whether it stands ``future``, whichever stage is hit."""
        hits = {
            (name, stage): hit
            for name, design in designs.items()
            for stage, hit in future.met_by(design).items()
        }
        alive = {key: hit for key, hit in hits.items() if hit and not hit.overloads()}
        if future.lasts_s:
            with progress_bar(len(alive), unit="design", show=self.effort.progress) as bar:
                found = {}
                for key, hit in alive.items():
                    found[key] = self._disturbed(future, hit)
                    bar.update()
        else:
            found = self._steady(alive)
        return {
            name: worst(found.get(key, "misses") for key in hits if key[0] == name)
            for name in designs
        }

    def _steady(self, hits: Mapping[tuple[str, str], Design]) -> dict[tuple[str, str], Answer]:
        if not hits:
            return {}
        comparison = self.today({str(place): hit for place, hit in enumerate(hits.values())})
        answers = map(self.answer_today, comparison.replications.values())
        return dict(zip(hits, answers, strict=True))

    def _disturbed(self, future: Future, hit: Design) -> Answer:
        """Run a disturbance and its aftermath; with a goal on recovery, percentiles are not asked."""
        goals = self.slo.targets()
        if self.slo.recovery_s is not None:
            goals = {name: goal for name, goal in goals.items() if name == "success"}
            goals["recovery_s"] = self.slo.recovery_s
        figures = self.disturbed_figures(future, hit)
        return worst(
            judge(target, goal, values_of(target, figures), self.effort.confidence).answer
            for target, goal in goals.items()
        )

    def disturbed_figures(self, future: Future, hit: Design) -> pd.DataFrame:
        """Return the figures of runs with a disturbance, a row a replication, ``recovery_s`` among them."""
        jobs = future.jobs(hit, recovery_s=self.slo.recovery_s or 0.0)
        if isinstance(hit.arrivals, Trace):
            jobs = min(jobs, hit.arrivals.times_s.size)
        spell = {"start_s": future.lasts_s, "end_s": 2 * future.lasts_s}
        rows = []
        for number in range(self.effort.replications):
            run = simulate(hit, jobs=jobs, seed=self.effort.seed, replication=number)
            rows.append(run.summary().to_dict() | {"recovery_s": recovery_s(run, **spell)})
        return pd.DataFrame(rows)


def question(
    slo: SLO,
    effort: Effort,
    *,
    futures: Mapping[str, Future] | None = None,
    require: tuple[str, ...] | None = None,
) -> Question:
    """Check what is asked, and fill in what is not said.

    Without ``require`` today must be stood, and every burst and outage if the goal is to be well again.
    Raises ``ValueError`` for a future that is required and not given, or a goal on recovery that no
    future can show.
    """
    every = {TODAY: Future(), **(futures or {})}
    disturbed = tuple(name for name, future in every.items() if future.lasts_s)
    if slo.recovery_s is not None and not disturbed:
        raise ValueError(
            "recovery_s needs something to recover from: give futures with a burst or an outage, "
            f"such as futures=tk.FUTURES, got {', '.join(every)}"
        )
    wanted = require or (TODAY, *(disturbed if slo.recovery_s is not None else ()))
    for name in wanted:
        _check.choice("require", name, list(every))
    return Question(slo=slo, futures=every, require=tuple(dict.fromkeys(wanted)), effort=effort)
