"""The simplest design that meets the goal.

A goal is an ``SLO``; simple means cheap by a price list of parts, which anybody can read and change.
Every design is simulated on the same jobs, and its figures come with intervals.
A design meets the goal when the whole interval does, misses it when none of it does;
in between the answer is "uncertain", and more runs, not a guess, are the remedy.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping

import pandas as pd

from toolkit.advice.answer import Advice, Spare, with_verdicts
from toolkit.advice.futures import Future
from toolkit.advice.goals import SLO
from toolkit.advice.judging import Answer
from toolkit.advice.prices import Parts, Prices
from toolkit.advice.question import Effort, Outlook, Question, question
from toolkit.advice.slimming import cheaper
from toolkit.design import Design
from toolkit.experiments import Comparison

Row = dict[str, float | str]


def advise(
    designs: Mapping[str, Design],
    *,
    slo: SLO,
    current: str | None = None,
    prices: Prices | None = None,
    parts: Mapping[str, Parts] | None = None,
    futures: Mapping[str, Future] | None = None,
    require: tuple[str, ...] | None = None,
    optional: Collection[str] = (),
    jobs: int | None = 10_000,
    replications: int = 10,
    seed: int = 0,
    progress: bool = True,
) -> Advice:
    """Compare ``designs`` under the same jobs and name the cheapest that meets ``slo``.

    ``current`` names the design that is in use, so that the answer is about it.
    ``parts`` says what designs are made of where they do not say it all themselves (lines of code, say);
    the others are counted by ``Parts.of``.
    ``futures`` are held against the designs as well, such as ``tk.FUTURES``; those named in
    ``require`` must be stood (today, if not given, and with ``slo.recovery_s`` bursts and outages).
    ``optional`` names stages that may go, if the goal is met without them.

    Raises ``ValueError`` for no designs, an unknown name or an argument out of range.
    """
    _check_names(designs, current, parts)
    effort = Effort(jobs=jobs, replications=replications, seed=seed, progress=progress)
    asked = question(slo, effort, futures=futures, require=require)
    price = prices or Prices()
    costs = {name: price.of((parts or {}).get(name, design)) for name, design in designs.items()}
    advice = _answered(asked, designs, costs, current)
    name = current if advice.verdict in ("fits", "overbuilt") else advice.choice
    if name is None:
        return advice
    spare = _spare(asked, name, costs[name], cheaper(designs[name], price, optional))
    return dataclasses.replace(advice, spare=spare)


def _answered(
    asked: Question, designs: Mapping[str, Design], costs: Mapping[str, float], current: str | None
) -> Advice:
    comparison = asked.today(designs)
    outlook = asked.outlook(comparison)
    table = table_of(asked, comparison, outlook, costs)
    return Advice(
        slo=asked.slo,
        comparison=comparison,
        current=current,
        designs=table,
        outlook=outlook_table(outlook, table),
        require=asked.require,
    )


def _check_names(
    designs: Mapping[str, Design], current: str | None, parts: Mapping[str, Parts] | None
) -> None:
    if current is not None and current not in designs:
        raise ValueError(
            f"current must be one of the designs ({', '.join(designs)}), got {current!r}"
        )
    unknown = sorted(set(parts or {}) - set(designs))
    if unknown:
        raise ValueError(f"parts must be of the designs ({', '.join(designs)}), got {unknown}")


def table_of(
    asked: Question, comparison: Comparison, outlook: Outlook, costs: Mapping[str, float]
) -> pd.DataFrame:
    """Return the table of designs, cheapest first, each with its verdict."""
    rows = {}
    for name, done in comparison.replications.items():
        row: Row = {"cost": costs[name], "utilisation": done.figures["utilisation"].mean()}
        judgements = asked.judgements(done)
        for target, seen in judgements.items():
            row |= {target: seen.mean, f"{target} low": seen.low, f"{target} high": seen.high}
        row["margin"] = min((seen.margin for seen in judgements.values()), default=math.nan)
        row["survives"] = survives(outlook[name])
        row["verdict"] = asked.overall(outlook[name], costs[name])
        rows[name] = row
    if not rows:
        names = ["cost", "utilisation", "margin", "survives", "verdict"]
        return pd.DataFrame(columns=names).rename_axis("design")
    return with_verdicts(pd.DataFrame.from_dict(rows, orient="index").rename_axis("design"))


def survives(answers: Mapping[str, Answer]) -> float:
    """Return the share of futures, today among them, that are surely stood."""
    return sum(answer == "meets" for answer in answers.values()) / len(answers)


def outlook_table(outlook: Outlook, table: pd.DataFrame) -> pd.DataFrame:
    """Return the answers, a row a design, cheapest first, a column a future."""
    if not outlook:
        return pd.DataFrame()
    found = pd.DataFrame.from_dict(outlook, orient="index").rename_axis("design")
    return found.loc[table.index].rename_axis(columns="future")


def _spare(
    asked: Question, name: str, cost: float, thinner: Mapping[str, tuple[Design, float]]
) -> Spare:
    """Try ``name`` without each of its parts; ``thinner``: what is left, and what that saves."""
    if not thinner:
        return Spare(of=name, parts={})
    designs = {part: design for part, (design, _) in thinner.items()}
    outlook = asked.outlook(asked.today(designs), only_required=True)
    parts = {
        part: saved
        for part, (_, saved) in thinner.items()
        if asked.overall(outlook[part], cost - saved) == "meets"
    }
    return Spare(of=name, parts=dict(sorted(parts.items(), key=lambda one: -one[1])))
