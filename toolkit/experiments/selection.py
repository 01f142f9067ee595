"""Which design is best, with a bound on the chance of being wrong.

Comparing means and taking the best is right more often than not, and nobody knows how often.
Here designs are run replication by replication, those that fall clearly behind drop out,
and the last one is the answer: runs go where the decision is close.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit import _check
from toolkit._say import three_digits
from toolkit.design import Design
from toolkit.experiments.crew import Crew, crew_for
from toolkit.experiments.results import Replications, replications_of
from toolkit.experiments.warmup import Warmup
from toolkit.experiments.watch import interrupted, watched
from toolkit.experiments.work import Seen, Setting, Work, check_figure
from toolkit.laws import Array
from toolkit.simulation import Engine

if TYPE_CHECKING:
    from distributed import Client


def best(
    designs: Mapping[str, Design],
    *,
    figure: str = "sojourn_p99_s",
    smallest: bool = True,
    indifference: float,
    error: float = 0.05,
    jobs: int | None = None,
    replications: int = 10,
    max_replications: int = 1_000,
    seed: int = 0,
    warmup: Warmup = "auto",
    engine: Engine = "auto",
    parallel: int | None = None,
    client: Client | None = None,
    progress: bool = True,
) -> Selection:
    """Find the design with the smallest (or largest) mean of ``figure``.

    If the best is better than every other by ``indifference`` or more, in the figure's own unit, the
    chance that another one is chosen is at most ``error``; a closer one is as good to you, and may be
    chosen.  After ``replications`` of each, designs drop out one by one; the choice is ``None`` if more
    than one is left after ``max_replications``.

    The procedure is KN of Kim and Nelson (2001), "A fully sequential procedure for indifference-zone
    selection in simulation", ACM TOMACS 11, with c = 1.  It allows for designs that meet the same
    jobs, as they do here, and takes the figures of replications as normal, which means and
    percentiles over thousands of jobs nearly are.  Every run has a warm-up of its own, so that what
    is seen of a design does not depend on which others are left.

    The other arguments are as in ``replicate``.  An interrupt keeps what is finished, undecided.
    Raises ``ValueError`` for fewer than two designs or an argument out of range.
    """
    sign, budget = -1.0 if smallest else 1.0, (replications, max_replications)
    race = _Race(dict(designs), figure, sign, indifference, error, *budget)
    crew = crew_for(designs.values(), engine=engine, parallel=parallel, client=client)
    said = race.run(
        crew, Setting(jobs=jobs, seed=seed, warmup=warmup, engine=engine), progress=progress
    )
    return race.close(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which design was found best; ``choice`` is ``None`` while more than one may be."""

    choice: str | None
    figure: str
    indifference: float
    error: float
    replications: Mapping[str, Replications]
    dropped_after: Mapping[str, int]
    warnings: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """Return a row a design.

        Columns: ``mean``, ``low`` and ``high`` of the figure, a 95% interval; ``replications`` that
        it took part in; ``state``, one of "best", "dropped" and "undecided".
        """
        rows = {}
        for name, done in self.replications.items():
            state = "dropped" if name in self.dropped_after else "undecided"
            rows[name] = {
                **done.summary().loc[self.figure].to_dict(),
                "replications": len(done.figures),
                "state": "best" if name == self.choice else state,
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("design")

    @property
    def why(self) -> str:
        """The answer in a sentence."""
        runs = max(len(done.figures) for done in self.replications.values())
        if self.choice is None:
            left = [name for name in self.replications if name not in self.dropped_after]
            return f"Undecided after {runs} replications: it may be any of {', '.join(left)}."
        return (
            f"{self.choice} has the best {self.figure} after {runs} replications. If another one were "
            f"better than all by {three_digits(self.indifference)} or more, the chance that it was "
            f"missed would be at most {self.error:.3g}."
        )


@dataclass(slots=True)
class _Race:
    """The procedure at work; it goes by the order of replications, whoever finishes first."""

    designs: dict[str, Design]
    figure: str
    sign: float
    indifference: float
    error: float
    first: int
    most: int
    left: list[str] = field(default_factory=list)
    dropped_after: dict[str, int] = field(default_factory=dict)
    seen: dict[str, dict[int, Seen]] = field(default_factory=dict)
    rows: list[Array] = field(default_factory=list)
    reach: Array = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        if len(self.designs) < 2:
            raise ValueError(
                f"designs must hold at least two designs by name, got {len(self.designs)}"
            )
        check_figure(self.figure)
        _check.positive("indifference", self.indifference)
        _check.count("replications", self.first, least=2)
        _check.count("max_replications", self.most, least=self.first)
        guess = 1 - 1 / len(self.designs)
        if not 0 < _check.number("error", self.error) < guess:
            raise ValueError(f"error must be > 0 and < {guess:.3g}, a guess's, got {self.error!r}")
        self.left = list(self.designs)
        self.seen = {name: {} for name in self.designs}

    def run(self, crew: Crew, setting: Setting, *, progress: bool) -> list[str]:
        """Run until one design is left or the budget is spent; return what there is to say."""
        runs = len(self.designs) * self.most
        try:
            with closing(watched(crew, self._works(setting), runs=runs, show=progress)) as done:
                for work, found in done:
                    for name, one in found.items():
                        self.seen[name][work.replication] = one
                    self._advance()
                    if len(self.left) == 1:
                        return []
        except KeyboardInterrupt:
            finished = min(map(len, self.seen.values()))
            if finished < 2:
                raise
            return [interrupted(finished, self.most, "replications")]
        return [f"undecided after {self.most} replications: raise max_replications or indifference"]

    def _works(self, setting: Setting) -> Iterator[Work]:
        for number, name in itertools.product(range(self.most), self.designs):
            if name in self.left:
                yield Work({name: self.designs[name]}, number, setting)

    def _advance(self) -> None:
        """Take in the replications that all designs left have finished, one after the other."""
        while len(self.left) > 1 and all(len(self.rows) in self.seen[name] for name in self.left):
            number, row = len(self.rows), np.full(len(self.designs), np.nan)
            for place, name in enumerate(self.designs):
                if name in self.left:
                    row[place] = self.sign * self.seen[name][number].figures[self.figure]
            self.rows.append(row)
            if len(self.rows) == self.first:
                self.reach = self._reach(np.array(self.rows))
            if len(self.rows) >= self.first:
                self._drop(len(self.rows))

    def _reach(self, rows: Array) -> Array:
        """Return h² S² of every pair of designs, from the first stage."""
        freedom = self.first - 1
        eta = ((2 * self.error / (len(self.designs) - 1)) ** (-2 / freedom) - 1) / 2
        differences = rows[:, :, np.newaxis] - rows[:, np.newaxis, :]
        reach: Array = 2 * eta * freedom * differences.var(axis=0, ddof=1)
        return reach

    def _drop(self, count: int) -> None:
        """Let those drop out that are further behind another one than chance explains."""
        places = [place for place, name in enumerate(self.designs) if name in self.left]
        mean = np.mean([row[places] for row in self.rows], axis=0)
        reach, delta = self.reach[np.ix_(places, places)], self.indifference
        slack = np.maximum(0.0, (reach / delta - delta * count) / (2 * count))
        behind = np.any(mean[:, np.newaxis] < mean[np.newaxis, :] - slack, axis=1)
        if count > np.max(self.reach) / delta**2:  # chance explains nothing any more
            behind = np.arange(mean.size) != np.argmax(mean)
        for name in [name for name, is_behind in zip(self.left, behind, strict=True) if is_behind]:
            self.left.remove(name)
            self.dropped_after[name] = count

    def close(self, said: list[str], *, confidence: float = 0.95) -> Selection:
        """Leave out what was run ahead of the decision, and return what was found."""
        is_decided = len(self.left) == 1
        ends = dict.fromkeys(self.left, len(self.rows) if is_decided else self.most)
        ends |= self.dropped_after
        replications = {}
        for name, design in self.designs.items():
            kept = {number: one for number, one in self.seen[name].items() if number < ends[name]}
            replications[name] = replications_of(design, kept, confidence, said)
        return Selection(
            choice=self.left[0] if is_decided else None,
            figure=self.figure,
            indifference=self.indifference,
            error=self.error,
            replications=replications,
            dropped_after=self.dropped_after,
            warnings=tuple(said),
        )
