"""What to do in the end: one design, out of an advice and a search, and its price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from toolkit.advice.answer import Advice
from toolkit.design import Design


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A design by name and price a month; ``meets``: whether it surely meets the goal."""

    name: str
    design: Design
    a_month: float
    meets: bool


def decided(*advices: Advice) -> Decision:
    """Return the cheapest design that surely meets the goal in any of ``advices``.

    If there is none, the one that stands most of what it must, of those the one that is least too slow, and
    of those the cheapest: to go on with, not to build.  Of equal prices the first advice's counts.  Raises ``ValueError`` if nothing at all was simulated.
    """
    good = [_of(advice, advice.choice, meets=True) for advice in advices if advice.choice]
    near = [_of(advice, _nearest(advice), meets=False) for advice in advices if _seen(advice)]
    if not near:
        raise ValueError("advices must have a design that was simulated, got none")
    return min(good, key=lambda one: one.a_month) if good else near[0]


def _of(advice: Advice, name: str, *, meets: bool) -> Decision:
    return Decision(
        name=name,
        design=advice.comparison.replications[name].design,
        a_month=float(advice.designs.loc[name, "cost"]),
        meets=meets,
    )


def _seen(advice: Advice) -> list[str]:
    return [name for name in advice.designs.index if name in advice.comparison.replications]


def _nearest(advice: Advice) -> str:
    """Return the design that stands most of what it must, is least too slow, and costs least."""
    seen = advice.designs.loc[_seen(advice)]
    over = pd.Series(1.0, index=seen.index)
    for target, goal in advice.slo.targets().items():
        if target != "success":
            over = np.maximum(over, seen[target] / goal)
    stood = (advice.outlook.loc[seen.index, list(advice.require)] == "meets").sum(axis="columns")
    order = pd.DataFrame({"misses": -stood, "over": over})  # as in the table, cheapest first
    return str(order.sort_values(list(order), kind="stable").index[0])
