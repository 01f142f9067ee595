"""An advice: which design, why, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from toolkit._say import three_digits
from toolkit.advice.goals import SLO
from toolkit.experiments import Comparison

VERDICTS = {
    "fits": "meets the goal, and nothing cheaper here surely does",
    "overbuilt": "meets the goal, and a cheaper one does too",
    "underbuilt": "misses the goal",
    "uncertain": "may or may not meet the goal: its interval lies on both sides of it",
}


def with_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Sort designs by price, and tell the cheapest that meets the goal from dearer ones."""
    table = table.sort_values("cost", kind="stable")
    meeting = table.index[table["verdict"] == "meets"]
    words = {"meets": "overbuilt", "misses": "underbuilt", "uncertain": "uncertain"}
    table["verdict"] = table["verdict"].map(words)
    table.loc[meeting[:1], "verdict"] = "fits"
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Spare:
    """Parts of a design that could go, each by itself, with the goal still met; the dearest first.

    ``parts``: what each saves a month.
    """

    of: str
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to build: ``choice`` by name (``None`` if no design meets the goal), ``why``, ``table()``.

    ``spare``: what could go from the current design, or from the choice; ``None`` if neither meets the
    goal.  ``require``: the futures that must be stood.  ``unseen``: designs that were not simulated, and
    why not.
    """

    slo: SLO
    comparison: Comparison
    current: str | None
    designs: pd.DataFrame
    outlook: pd.DataFrame
    require: tuple[str, ...]
    spare: Spare | None = None
    unseen: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        """Return a row a design, cheapest first: ``cost`` a month, ``utilisation``, ``verdict``.

        For each goal there are three columns: the mean over the replications and the ends of its
        interval, in seconds, or as a share for ``success``.  ``margin`` is the share of the tightest goal
        that is left over, ``survives`` the share of the futures that the design surely stands.
        """
        return self.designs.copy()

    def survival(self) -> pd.DataFrame:
        """Return a row a design, a column a future: "meets", "misses" or "uncertain"."""
        return self.outlook.copy()

    def frontier(self, target: str | None = None) -> pd.DataFrame:
        """Return the table with ``on_frontier``: whether nothing costs less and is as good in ``target``.

        ``target``: one of the goals on time (the first, if not given), ``success`` or ``survives``.
        Of designs that are alike in both, the first is on the frontier.
        """
        names = [*self.slo.targets(), "survives"]
        wanted = names[0] if target is None else target
        if wanted not in names:
            raise ValueError(f"target must be one of {', '.join(names)}, got {target!r}")
        sign = 1.0 if wanted.endswith("_s") else -1.0
        best, on_frontier = math.inf, []
        for value in sign * self.designs[wanted]:
            on_frontier.append(bool(value < best))
            best = min(best, value) if not math.isnan(value) else best
        return self.designs.assign(on_frontier=on_frontier)

    @property
    def choice(self) -> str | None:
        """The cheapest design that meets the goal with its whole interval."""
        return next(iter(self._named("fits")), None)

    @property
    def verdict(self) -> str | None:
        """The verdict on the current design, one of ``VERDICTS``; ``None`` if none was named."""
        return None if self.current is None else str(self.designs.loc[self.current, "verdict"])

    @property
    def why(self) -> str:
        """The answer in a few sentences."""
        parts = (self._about_current(), self._about_choice(), self._about_spare())
        return " ".join(
            [*(text for part in parts for text in part), *self._about_doubt(), *self.said]
        )

    def _cost(self, name: str) -> float:
        return float(self.designs.loc[name, "cost"])

    def _named(self, verdict: str) -> list[str]:
        return [str(name) for name in self.designs.index[self.designs["verdict"] == verdict]]

    def _about_current(self) -> Iterator[str]:
        if self.current is not None and self.verdict is not None:
            word = {"fits": "right", "uncertain": "perhaps too little"}.get(
                self.verdict, self.verdict
            )
            text = f"{self._described(self.current)} is {word} for {self.slo}"
            yield f"{text}: it {VERDICTS[self.verdict]}."

    def _about_choice(self) -> Iterator[str]:
        if self.choice is None:
            best = self._nearest()
            yield f"None of these designs surely meets {self.slo}; the nearest is {self._described(best)}."
            yield from self._what_misses(best)
            if self._hardly_waits(best):
                yield "Its jobs hardly wait, so more workers would not help: the work itself is too slow."
        elif self.choice != self.current:
            yield f"The simplest design that meets {self.slo} is {self._described(self.choice)}."

    def _nearest(self) -> str:
        """Return the design that stands most of what it must, misses by least and costs least."""
        stood = (self.outlook.reindex(columns=list(self.require)) == "meets").sum(axis="columns")
        order = pd.DataFrame(
            {
                "stood": stood.reindex(self.designs.index, fill_value=0),
                "short": self.designs["margin"].fillna(-math.inf).clip(upper=0.0),
                "saves": -self.designs["cost"],
            }
        )
        return str(order.sort_values(list(order), ascending=False, kind="stable").index[0])

    def _what_misses(self, name: str) -> Iterator[str]:
        if name in self.unseen:
            return
        row = self.designs.loc[name]
        if self.slo.cost is not None and row["cost"] > self.slo.cost:
            yield f"It costs ${row['cost'] - self.slo.cost:,.0f} a month too much."
        if math.isfinite(row["margin"]) and row["margin"] < 0:
            yield f"It misses by {-row['margin']:.0%} of the goal."
        lost = [f for f in self.require if self.outlook.loc[name, f] != "meets"]
        if len(self.require) > 1 and lost:
            yield f"It does not surely stand: {', '.join(lost)}."

    def _about_spare(self) -> Iterator[str]:
        if self.spare is not None and self.spare.parts:
            part, saves = next(iter(self.spare.parts.items()))
            yield f"Of {self.spare.of}, {part} could go: that saves ${saves:,.0f} a month."

    def _about_doubt(self) -> Iterator[str]:
        for name in self._named("uncertain"):
            if name == self.current:
                yield "Run more jobs or replications to be sure."
            elif self.choice is None or self._cost(name) < self._cost(self.choice):
                yield (
                    f"{name} might do, at less: its interval lies on both sides of the goal, "
                    "so run more jobs or replications before you decide against it."
                )

    def _hardly_waits(self, name: str) -> bool:
        """Say whether waiting is less than a twentieth of the time that jobs spend."""
        is_slow = self.designs.loc[name, "margin"] < 0
        if name in self.unseen or not is_slow:
            return False
        mean = self.comparison.replications[name].figures.mean()
        times = any(target.endswith("_s") for target in self.slo.targets())
        return times and bool(mean["wait_mean_s"] < 0.05 * mean["sojourn_mean_s"])

    def _described(self, name: str) -> str:
        """Return the name with what was predicted for each goal."""
        if name in self.unseen:
            return f"{name} ({self.unseen[name]})"
        if self.comparison.replications[name].design.overloads():
            return f"{name} (overloaded: its queue grows without end)"
        row = self.designs.loc[name]
        texts = []
        for target in self.slo.targets():
            low, high = row[f"{target} low"], row[f"{target} high"]
            if target == "success":
                texts.append(f"success {row[target]:.4f}")
            else:
                texts.append(
                    f"{target[:-2]} {three_digits(1000 * low)} to {three_digits(1000 * high)} ms"
                )
        texts.append(f"${row['cost']:,.0f} a month")
        return f"{name} ({', '.join(texts)})"
