"""The simplest design of a space: cheapest first, until one surely meets the goal."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from toolkit import _check
from toolkit.advice.advising import outlook_table, table_of
from toolkit.advice.answer import Advice
from toolkit.advice.futures import Future
from toolkit.advice.goals import SLO
from toolkit.advice.judging import Answer, is_smaller
from toolkit.advice.prices import Prices
from toolkit.advice.question import Effort, Outlook, Question, question
from toolkit.design import Design
from toolkit.experiments import Comparison, Replications
from toolkit.experiments.confidence import check_confidence
from toolkit.experiments.grid import built, points


def simplest(
    build: Callable[..., Design],
    *,
    slo: SLO,
    prices: Prices | None = None,
    futures: Mapping[str, Future] | None = None,
    require: tuple[str, ...] | None = None,
    confidence: float = 0.95,
    jobs: int | None = 10_000,
    replications: int = 10,
    max_replications: int = 160,
    seed: int = 0,
    progress: bool = True,
    **space: Sequence[Any],
) -> Advice:
    """Return the cheapest design that ``build`` makes of ``space`` and that meets ``slo``.

    ``simplest(build, slo=slo, workers=range(1, 20), cap=[None, 64])`` looks at ``build(workers=1,
    cap=None)`` and so on, cheapest first (in the order given, where prices are equal), and stops at the
    first that surely meets the goal.  A design that cannot keep up, or of which a larger one of the
    same kind has missed, is not simulated.  Where the answer is in doubt, replications are doubled up to
    ``max_replications``; what is in doubt even then stays "uncertain", and the search goes on.

    With probability ``confidence`` or more, no verdict is wrong: each interval is widened for the
    number of designs and of looks (Bonferroni), taking the figures of replications as normal.

    ``futures``, ``require`` and the other arguments are as in ``advise``.
    Raises ``ValueError`` for an empty space or an argument out of range.
    """
    check_confidence(confidence)
    _check.count("replications", replications, least=2)
    most = _check.count("max_replications", max_replications, least=replications)
    designs = {_name(point): built(build, point) for point in points(space)}
    doubt = (1 - confidence) / (len(designs) * (1 + int(math.log2(most / replications))))
    effort = Effort(
        jobs=jobs, replications=replications, seed=seed, confidence=1 - doubt, progress=progress
    )
    asked = question(slo, effort, futures=futures, require=require)
    costs = {name: (prices or Prices()).of(design) for name, design in designs.items()}
    search = _Search(asked, designs, costs, most)
    search.run()
    return search.close(confidence)


def _name(point: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in point.items())


@dataclass(slots=True)
class _Search:
    """The search at work: what was seen, and what need not be."""

    asked: Question
    designs: dict[str, Design]
    costs: dict[str, float]
    most: int
    seen: dict[str, Replications] = field(default_factory=dict)
    outlook: Outlook = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)
    missed: list[Design] = field(default_factory=list)

    def run(self) -> None:
        """Look at designs, cheapest first, until one meets the goal."""
        for name in sorted(self.designs, key=lambda name: self.costs[name]):
            reason = self._need_not_run(name)
            if reason:
                self.unseen[name] = reason
            elif self._look(name) == "meets":
                return

    def _need_not_run(self, name: str) -> str:
        design, cost = self.designs[name], self.costs[name]
        if self.asked.slo.cost is not None and cost > self.asked.slo.cost:
            return f"not simulated: ${cost:,.0f} a month is more than the goal allows"
        if design.overloads():
            return "overloaded: its queue grows without end"
        if any(is_smaller(design, more) for more in self.missed):
            return "not simulated: with more workers it misses as well"
        return ""

    def _look(self, name: str) -> Answer:
        """Simulate one design, with more replications while the answer is in doubt."""
        asked = self.asked
        while True:
            comparison = asked.today({name: self.designs[name]})
            outlook = asked.outlook(comparison, only_required=True)[name]
            answer = asked.overall(outlook, self.costs[name])
            twice = 2 * asked.effort.replications
            if answer != "uncertain" or twice > self.most:
                break
            more = dataclasses.replace(asked.effort, replications=twice)
            asked = dataclasses.replace(asked, effort=more)
        self.seen |= comparison.replications
        self.outlook[name] = outlook
        if answer == "misses":
            self.missed.append(self.designs[name])
        return answer

    def close(self, confidence: float) -> Advice:
        """Return what was found; designs that were not needed are left out."""
        comparison = Comparison(replications=self.seen, confidence=self.asked.effort.confidence)
        table = table_of(self.asked, comparison, self.outlook, self.costs)
        text = (
            f"Cheapest first, {len(self.seen)} of {len(self.designs)} designs were simulated; "
            f"with a confidence of {confidence:.0%} no verdict is wrong."
        )
        unseen = pd.DataFrame({"cost": {name: self.costs[name] for name in self.unseen}})
        unseen["verdict"] = "underbuilt"
        every = pd.concat([table, unseen]) if len(table) else unseen.reindex(columns=table.columns)
        return Advice(
            slo=self.asked.slo,
            comparison=comparison,
            current=None,
            designs=every.rename_axis("design").sort_values("cost", kind="stable"),
            outlook=outlook_table(self.outlook, table),
            require=self.asked.require,
            unseen=self.unseen,
            said=(text,),
        )
