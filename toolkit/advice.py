"""The simplest design that meets the goal.

A goal is an ``SLO``; simple means cheap by a price list of parts, which anybody can read and change.
Every design is simulated on the same jobs, and its figures come with intervals.
A design meets the goal when the whole interval does, misses it when none of it does;
in between the answer is "uncertain", and more runs, not a guess, are the remedy.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import pandas as pd

from toolkit import _check
from toolkit._say import three_digits
from toolkit.design import Design
from toolkit.experiments import Comparison, Replications, compare, interval

VERDICTS = {
    "fits": "meets the goal, and nothing cheaper here surely does",
    "overbuilt": "meets the goal, and a cheaper one does too",
    "underbuilt": "misses the goal",
    "uncertain": "may or may not meet the goal: its interval lies on both sides of it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SLO:
    """A goal: percentiles of the sojourn time of done jobs in seconds, and the share that is done.

    ``SLO(p99_s=0.3, success=0.999)``: 99 of 100 answers within 300 ms, 999 of 1000 jobs done.
    """

    p50_s: float | None = None
    p90_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    success: float | None = None

    def __post_init__(self) -> None:
        if not self.targets():
            names = ", ".join(field.name for field in fields(self))
            raise ValueError(f"an SLO needs at least one goal: {names}")
        for name, target in self.targets().items():
            _check.share(name, target) if name == "success" else _check.positive(name, target)

    def targets(self) -> dict[str, float]:
        """Return the goals that are set, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def goals_ms(self) -> dict[float, float]:
        """Return the goals on latency: percentile to milliseconds."""
        return {
            float(name[1:-2]): 1000 * goal
            for name, goal in self.targets().items()
            if name != "success"
        }

    def __str__(self) -> str:
        texts = []
        for name, target in self.targets().items():
            text = (
                f"success >= {target:.4g}"
                if name == "success"
                else f"{name[:-2]} <= {target * 1000:.4g} ms"
            )
            texts.append(text)
        return ", ".join(texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What the parts of a design cost, in workers: one worker is 1.

    A worker costs for running; every other part costs for being there, in things to deploy, watch,
    understand and repair.  The defaults are our own judgement and no measurement: a stage is a hop
    with a queue, a deployment and an on-call page of its own (3 workers); a limiter is state that
    has to be shared and tuned (1); retries and a cap are a knob each (0.5).  Put in your own.
    """

    worker: float = 1.0
    stage: float = 3.0
    limiter: float = 1.0
    retry: float = 0.5
    capacity: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            _check.not_negative(field.name, getattr(self, field.name))

    def of(self, design: Design) -> float:
        """Return the cost of ``design`` in workers."""
        return sum(
            self.stage
            + self.worker * stage.workers
            + self.limiter * (stage.limiter is not None)
            + self.retry * (stage.retry is not None)
            + self.capacity * (stage.capacity is not None)
            for stage in design.stages
        )


def advise(
    designs: Mapping[str, Design],
    *,
    slo: SLO,
    current: str | None = None,
    prices: Prices | None = None,
    jobs: int | None = 10_000,
    replications: int = 10,
    seed: int = 0,
    progress: bool = True,
) -> Advice:
    """Compare ``designs`` under the same jobs and name the cheapest that meets ``slo``.

    ``current`` names the design that is in use, so that the answer is about it.
    Raises ``ValueError`` for no designs, an unknown ``current`` or an argument out of range.
    """
    if current is not None and current not in designs:
        raise ValueError(
            f"current must be one of the designs ({', '.join(designs)}), got {current!r}"
        )
    comparison = compare(
        designs, jobs=jobs, replications=replications, seed=seed, progress=progress
    )
    table = _judged(comparison, slo, prices or Prices())
    return Advice(slo=slo, comparison=comparison, current=current, designs=table)


def _judged(comparison: Comparison, slo: SLO, prices: Prices) -> pd.DataFrame:
    """Return the table of designs, cheapest first, each with its verdict."""
    replications = comparison.replications
    rows = {name: _row(done, slo, prices.of(done.design)) for name, done in replications.items()}
    settle_by_order(rows, {name: done.design for name, done in replications.items()})
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("design")
    table = table.sort_values("cost", kind="stable")
    meeting = table.index[table["verdict"] == "meets"]
    words = {"meets": "overbuilt", "misses": "underbuilt", "uncertain": "uncertain"}
    table["verdict"] = table["verdict"].map(words)
    table.loc[meeting[:1], "verdict"] = "fits"
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to build: ``choice`` by name (``None`` if no design meets the goal), ``why``, ``table()``."""

    slo: SLO
    comparison: Comparison
    current: str | None
    designs: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Return a row a design, cheapest first: ``cost`` in workers, ``utilisation``, ``verdict``.

        For each goal there are three columns: the mean over the replications and the ends of its
        95% interval, in seconds, or as a share for ``success``.
        """
        return self.designs.copy()

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
        return " ".join([*self._about_current(), *self._about_choice(), *self._about_doubt()])

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
            best = str(self.designs[next(iter(self.slo.targets()))].idxmin())
            yield f"None of these designs surely meets {self.slo}; the nearest is {self._described(best)}."
            if self._hardly_waits(best):
                yield "Its jobs hardly wait, so more workers would not help: the work itself is too slow."
        elif self.choice != self.current:
            yield f"The simplest design that meets {self.slo} is {self._described(self.choice)}."

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
        mean = self.comparison.replications[name].figures.mean()
        is_slow = any(target.endswith("_s") for target in self.slo.targets())
        return is_slow and mean["wait_mean_s"] < 0.05 * mean["sojourn_mean_s"]

    def _described(self, name: str) -> str:
        """Return the name with what was predicted for each goal."""
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
        return f"{name} ({', '.join(texts)})"


def _row(done: Replications, slo: SLO, cost: float) -> dict[str, float | str]:
    """Return the line of the table for one design, its verdict still "meets", "misses", "uncertain"."""
    row: dict[str, float | str] = {"cost": cost, "utilisation": done.figures["utilisation"].mean()}
    # a queue that grows for ever has no percentile to meet, whatever this run length shows
    verdicts = {"misses"} if done.design.overloads() else set()
    for target, goal in slo.targets().items():
        mean, low, high = interval(_figure(done, target), done.confidence)
        row |= {target: mean, f"{target} low": low, f"{target} high": high}
        if target == "success":
            mean, low, high, goal = -mean, -high, -low, -goal  # noqa: PLW2901, more is better here
        verdicts.add("meets" if high <= goal else "uncertain" if low <= goal else "misses")
    return row | {"verdict": next(v for v in ("misses", "uncertain", "meets") if v in verdicts)}


def settle_by_order(rows: dict[str, dict[str, float | str]], designs: Mapping[str, Design]) -> None:
    """Let a design miss that is uncertain by itself, if more workers of the same kind miss."""
    for name, row in rows.items():
        more = [other for other in designs if _has_fewer_workers(designs[name], designs[other])]
        if row["verdict"] == "uncertain" and any(rows[o]["verdict"] == "misses" for o in more):
            row["verdict"] = "misses"


def _has_fewer_workers(one: Design, other: Design) -> bool:
    """Say whether ``one`` is ``other`` with fewer workers somewhere and more of them nowhere."""
    if one.arrivals != other.arrivals or len(one.stages) != len(other.stages) or one == other:
        return False
    return all(
        a.workers <= b.workers and a == dataclasses.replace(b, workers=a.workers)
        for a, b in zip(one.stages, other.stages, strict=True)
    )


def _figure(done: Replications, target: str) -> pd.Series[float]:
    """Return what ``target`` is about, a value a replication."""
    if target == "success":
        return done.figures["done"] / done.figures["jobs"]
    return done.figures[f"sojourn_{target}"].fillna(math.inf)  # no job done: no answer in any time
