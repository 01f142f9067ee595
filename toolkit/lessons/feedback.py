"""What a check says, and what checks share."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from numbers import Real
from typing import Any


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a check says; true when the answer is right."""

    right: bool
    text: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return f"{'✓' if self.right else '→'} {self.text}"

    def _repr_html_(self) -> str:
        color = "#007A5A" if self.right else "#A84B00"
        mark = "✓ right" if self.right else "→ not yet"
        look = f'class="mathjax_ignore" style="color:{color}"'  # two prices are no formula
        return f'<p role="status" {look}><b>{mark}:</b> {html.escape(self.text)}</p>'


def number(answer: Any) -> float:
    """Return the answer as a number; anything else is a ``TypeError``."""
    if isinstance(answer, bool) or not isinstance(answer, Real):
        raise TypeError(f"a number was asked for, got {answer!r}")
    return float(answer)


def close(answer: float, target: float) -> bool:
    """Say whether an answer is within 3% of the target."""
    return math.isclose(answer, target, rel_tol=0.03)
