"""What a system is asked for: how quick, how reliable, how dear, how soon well again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise

from toolkit import _check

_NO_TARGETS = ("cost", "recovery_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class SLO:
    """A goal: percentiles of the sojourn time of done jobs in seconds, and the share that is done.

    ``SLO(p99_s=0.3, success=0.999)``: 99 of 100 answers within 300 ms, 999 of 1000 jobs done.
    ``cost`` is the most that the design may cost a month, by the price list that is used.
    ``recovery_s``: how long after a burst or an outage until a job takes no longer than half of them
    did before; while it lasts, nothing is asked of the percentiles.

    Raises ``ValueError`` for no goal at all, a value out of range, or goals that contradict each other.
    """

    p50_s: float | None = None
    p90_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    success: float | None = None
    cost: float | None = None
    recovery_s: float | None = None

    def __post_init__(self) -> None:
        goals = self.goals()
        if not goals:
            names = ", ".join(field.name for field in fields(self))
            raise ValueError(f"an SLO needs at least one goal: {names}")
        for name, goal in goals.items():
            if name == "success":
                _check.share(name, goal)
            elif name == "cost":
                _check.not_negative(name, goal)
            else:
                _check.positive(name, goal)
        self._check_order()

    def _check_order(self) -> None:
        """Refuse a lower percentile that may take longer than a higher one."""
        times = [(name, goal) for name, goal in self.targets().items() if name != "success"]
        for (lower, early), (higher, late) in pairwise(times):
            if early > late:
                raise ValueError(
                    f"{lower} must be <= {higher} ({late!r} s), which asks for more already, got {early!r}"
                )

    def goals(self) -> dict[str, float]:
        """Return the goals that are set, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def targets(self) -> dict[str, float]:
        """Return the goals that every run shows: percentiles in seconds, and ``success``."""
        return {name: goal for name, goal in self.goals().items() if name not in _NO_TARGETS}

    def goals_ms(self) -> dict[float, float]:
        """Return the goals on latency: percentile to milliseconds."""
        return {
            float(name[1:-2]): 1000 * goal
            for name, goal in self.targets().items()
            if name != "success"
        }

    def __str__(self) -> str:
        return ", ".join(self._texts())

    def _texts(self) -> Iterator[str]:
        for name, goal in self.goals().items():
            if name == "success":
                yield f"success >= {goal:.4g}"
            elif name == "cost":
                yield f"cost <= ${goal:,.0f} a month"
            elif name == "recovery_s":
                yield f"well again within {goal:.4g} s"
            else:
                yield f"{name[:-2]} <= {goal * 1000:.4g} ms"
