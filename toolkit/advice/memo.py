"""A decision on a page: goal, evidence, price, what may come, what is not known, who said what."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from toolkit._say import three_digits
from toolkit.advice.answer import Advice
from toolkit.advice.decision import Decision
from toolkit.advice.door import Flood
from toolkit.advice.formula import beside_formula, first_level
from toolkit.advice.prices import Prices
from toolkit.advice.trial import GOOD, Trial
from toolkit.fitting import Fit

_WIDE = 100
_NEARLY_FULL = 0.9


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Memo:
    """A page of ``sections``, each a few sentences or lines; shows itself, and prints as text."""

    title: str
    sections: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        blocks = [self.title.upper(), "=" * len(self.title)]
        for name, lines in self.sections.items():
            wrapped = (textwrap.fill(line, _WIDE, initial_indent="  - ", subsequent_indent="    ") for line in lines)  # fmt: skip
            blocks += ["", name, *wrapped]
        return "\n".join(blocks)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        left = "style='text-align:left;vertical-align:top'"
        rows = (
            f"<tr><th scope='row' {left}>{html.escape(name)}</th>"
            f"<td {left}>{'<br>'.join(map(html.escape, lines))}</td></tr>"
            for name, lines in self.sections.items()
        )
        # prices: between two dollar signs JupyterLab sees a formula
        title = f"<h3>{html.escape(self.title)}</h3>"
        return f"<div class='mathjax_ignore'>{title}<table>{''.join(rows)}</table></div>"


def memo(
    *,
    fit: Fit,
    trial: Trial,
    advice: Advice,
    found: Advice,
    decision: Decision,
    prices: Prices | None = None,
    flood: Flood | None = None,
    kernel: object = "was not asked",
) -> Memo:
    """Write down what was decided and why, on a page.

    ``advice`` is that on staffings, ``found`` the answer of a search in a wider space; ``flood`` what a door
    does; ``kernel`` anything whose text says what a real one did.
    """
    beside = beside_formula(advice)
    sections = {
        "Goal": tuple(_goal(advice, decision)),
        "Measured": tuple(_measured(fit)),
        "Fitted": fit.assumptions,
        "Checked": (" ".join(trial.said),),
        "Decision": tuple(_decision(decision, advice, found)),
        "Bill": tuple(_bill(decision, prices or Prices())),
        "What could go": tuple(_spare(advice, decision)),
        "What may come": tuple(_futures(advice, decision)),
        "At the door": tuple(_door(flood, advice)) if decision.meets else (),
        "What is not sure": (*_doubts(fit, trial, advice), *_unsure(found, decision, beside)),
        "What each witness says": tuple(_witnesses(trial, advice, beside, decision, kernel)),
    }
    kept = {name: lines for name, lines in sections.items() if lines}
    return Memo(title=f"Decision: {_headline(decision)}", sections=kept)


def _headline(decision: Decision) -> str:
    if decision.meets:
        return f"{decision.name}, ${decision.a_month:,.0f} a month"
    return "none of these designs surely meets the goal"


def _goal(advice: Advice, decision: Decision) -> Iterator[str]:
    load = decision.design.arrivals.rate_per_s
    yield f"{advice.slo}, at {three_digits(load)} requests/s."
    if len(advice.require) > 1:
        yield f"It must hold in: {'; '.join(advice.require)}."


def _measured(fit: Fit) -> Iterator[str]:
    samples = fit.test.samples
    p50, p95, p99 = np.percentile(samples["elapsed_ms"], [50, 95, 99])
    yield (
        f"{fit.test.source}: {len(samples):,} requests at {three_digits(fit.test.rate_per_s)}/s, "
        f"{1 - samples['success'].mean():.2%} failed; p50 {three_digits(p50)} ms, "
        f"p95 {three_digits(p95)} ms, p99 {three_digits(p99)} ms."
    )
    yield from fit.test.warnings


def _decision(decision: Decision, advice: Advice, found: Advice) -> Iterator[str]:
    yield advice.why
    if not decision.meets:
        yield f"To go on with, not to build: {decision.name}."
    if found.choice is None:
        yield f"The search in the wider space found none that surely does. {' '.join(found.said)}"
    else:
        cost = found.designs.loc[found.choice, "cost"]
        yield f"The search in the wider space chose {found.choice}, ${cost:,.0f} a month. {' '.join(found.said)}"


def _bill(decision: Decision, prices: Prices) -> Iterator[str]:
    bill = prices.bill(decision.design)
    for part, row in bill[bill["count"] > 0].iterrows():
        name = str(part).replace("_", " ")
        yield f"{name}: {row['count']:g} × ${row['each']:,.2f} = ${row['a_month']:,.0f} a month"


def _spare(advice: Advice, decision: Decision) -> Iterator[str]:
    if advice.spare is None or not decision.meets:
        return
    for part, saves in advice.spare.parts.items():
        yield f"Of {advice.spare.of}, {part} could go: that saves ${saves:,.0f} a month."
    if not advice.spare.parts:
        yield f"Of {advice.spare.of}, nothing: without any one part the goal is not surely met."


def _futures(advice: Advice, decision: Decision) -> Iterator[str]:
    survival = advice.survival()
    if decision.name not in survival.index:
        return
    row = survival.loc[decision.name]
    for answer, words in (
        ("meets", "Stands"),
        ("uncertain", "May stand"),
        ("misses", "Does not stand"),
    ):
        if names := [str(name) for name in row.index[row == answer]]:
            yield f"{words}: {'; '.join(names)}."


def _door(flood: Flood | None, advice: Advice) -> Iterator[str]:
    if flood is None:
        return
    if not advice.slo.goals_ms():
        yield "The goal says nothing about time, so a limit at the door protects nothing."
        return
    bucket, table = flood.bucket, flood.table
    yield (
        f"Past its limit: a token bucket of {bucket.rate_per_s:g}/s, burst {bucket.burst:g}. "
        f"At {flood.times:g} times the load it refuses {flood.refused:.0%}, and "
        f"{three_digits(table.loc['door', 'in time'])} requests/s are answered in time; "
        f"without it {three_digits(table.loc['no door', 'in time'])} are."
    )
    goal, refused = advice.slo.success, flood.refused_in_peace
    yield f"On an ordinary day it refuses {refused:.2%} of the requests, by formula." + (
        f" That alone is more than the goal allows ({1 - goal:.2%}), so the door is for worse days only."
        if goal is not None and refused > 1 - goal
        else ""
    )


def _doubts(fit: Fit, trial: Trial, advice: Advice) -> Iterator[str]:
    yield from fit.warnings
    failure, goal = fit.design.stages[0].failure, advice.slo.success
    if goal is not None and failure > 1 - goal:
        yield (
            f"success: {failure:.2%} of the measured requests fail, and the goal allows {1 - goal:.2%}; no number "
            "of workers changes that, so look into the errors (or retry, if a second try may succeed)"
        )
    if not trial.is_new:
        yield "the model: it was not held against anything new, so take every prediction as a guess"
    elif not trial.is_good:
        yield "the model: it did not pass its trial, so take every prediction as a guess"
    uncertain = [
        str(name) for name, row in advice.designs.iterrows() if row["verdict"] == "uncertain"
    ]
    if uncertain:
        yield f"designs whose interval lies on both sides of the goal: {', '.join(uncertain)}"


def _unsure(found: Advice, decision: Decision, beside: pd.DataFrame) -> Iterator[str]:
    if decision.meets and not _is_found(found, decision.a_month):
        yield (
            f"{decision.name}: the search, whose confidence holds for all designs together, was not sure of it; "
            "run more replications"
        )
    yield from (f"formula and simulator, {text}" for text in parted(beside))


def _is_found(found: Advice, a_month: float) -> bool:
    """Say whether the search, too, is sure of a design at this price."""
    return found.choice is not None and bool(
        found.designs.loc[found.choice, "cost"] < a_month + 0.01
    )


def parted(beside: pd.DataFrame) -> list[str]:
    """Say of which designs formula and simulator part by more than a seventh, and why, a sentence a reason."""
    endless = beside["utilisation"].isna()
    apart = beside["apart"].abs() > GOOD
    full = beside["utilisation"] > _NEARLY_FULL
    reasons = {
        "overloaded: the queue grows without end, so no formula holds, and no percentile either": endless,
        f"they part; over {_NEARLY_FULL:.0%} busy, the formula's queue builds up longer than a run lasts": apart
        & full,
        "they part; the rule of thumb does not fit these arrivals or this work": apart & ~full,
    }
    return [
        f"{', '.join(map(str, beside.index[where]))}: {reason}"
        for reason, where in reasons.items()
        if where.any()
    ]


def _witnesses(
    trial: Trial, advice: Advice, beside: pd.DataFrame, decision: Decision, kernel: object
) -> Iterator[str]:
    word = "confirms the model" if trial.is_good else "does not confirm the model"
    yield f"load test: {word}" + (f", worst error {trial.worst:.0%}" if trial.worst >= 0 else "")
    name = decision.name if decision.name in beside.index else advice.choice
    row = beside.loc[name] if name in beside.index else pd.Series({"apart": math.nan})
    if math.isfinite(row["apart"]):
        low, high = three_digits(row["simulated low"]), three_digits(row["simulated high"])
        level = f"p{first_level(advice.slo):g}"
        yield f"simulator: {name}, {level} {low} to {high} ms"
        told = three_digits(row["formula"])
        yield f"formula: {name}, {level} {told} ms, {row['apart']:+.0%} from the simulator"
    yield f"kernel: {kernel}"
