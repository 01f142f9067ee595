"""What replications say: the figures of each run, their means with intervals, paired differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from toolkit.design import Design
from toolkit.experiments.confidence import doubts, of_figures
from toolkit.experiments.work import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Replications:
    """Independent runs of one design; ``figures`` has a row a replication, a column a figure.

    The columns are those of ``Run.summary`` and ``warmup_jobs``, the first jobs that were left out.
    ``warnings`` has what the runs warned of, and what here is too noisy to trust.
    """

    design: Design
    figures: pd.DataFrame
    confidence: float
    warnings: tuple[str, ...]

    def summary(self) -> pd.DataFrame:
        """Return a row a figure: its ``mean``, and ``low`` and ``high`` of the interval."""
        return of_figures(self.figures, self.confidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Designs that met the same jobs; the first is the baseline."""

    replications: Mapping[str, Replications]
    confidence: float

    @property
    def baseline(self) -> str:
        """The name of the first design."""
        return next(iter(self.replications))

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings about each design, after its name."""
        return tuple(
            f"{name}: {text}" for name, done in self.replications.items() for text in done.warnings
        )

    def table(self) -> pd.DataFrame:
        """Return a row for each figure and design other than the baseline.

        Columns: ``baseline`` and ``mean``, the two means; ``difference``, design less baseline, with
        ``low`` and ``high`` of its interval; ``clear``, whether the interval leaves out zero.
        """
        base = self._figures(self.baseline)
        tables = {}
        for name in self.replications:
            if name != self.baseline:
                figures = self._figures(name)
                paired = of_figures(figures - base, self.confidence)
                paired = paired.rename(columns={"mean": "difference"})
                paired.insert(0, "baseline", base.mean())
                paired.insert(1, "mean", figures.mean())
                tables[name] = paired.assign(clear=(paired["low"] > 0) | (paired["high"] < 0))
        if not tables:
            raise ValueError("a table of differences needs at least two designs, got one")
        table = pd.concat(tables, names=["design", "figure"]).swaplevel()
        return table.loc[[(figure, name) for figure in base.columns for name in tables]]

    def _figures(self, name: str) -> pd.DataFrame:
        """Return what can differ: the warm-up is one for all."""
        return self.replications[name].figures.drop(columns="warmup_jobs")


def replications_of(
    design: Design, seen: Mapping[int, Seen], confidence: float, said: Iterable[str]
) -> Replications:
    """Put the runs in order, whatever the order in which they were finished."""
    rows = [seen[number] for number in sorted(seen)]
    index = pd.Index(sorted(seen), name="replication")
    figures = pd.DataFrame([row.figures for row in rows], index=index)
    warnings = dict.fromkeys(text for row in rows for text in row.warnings)
    return Replications(
        design=design,
        figures=figures,
        confidence=confidence,
        warnings=(*warnings, *said, *doubts(figures, confidence)),
    )
