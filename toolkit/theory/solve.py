"""What the formulas share: a load that must be below one, and a tail turned into a quantile."""

from __future__ import annotations

import math
from collections.abc import Callable

from toolkit import _check


def steady_load(rule: str, values: str, offered: float, servers: int = 1) -> float:
    """Return the load of each server; raise ``ValueError`` where the queue would grow for ever."""
    if offered / servers >= 1.0:
        raise ValueError(
            f"unstable: {rule} must be < {servers} (servers), got {values};\n"
            f"{math.floor(offered) + 1} servers would be stable"
        )
    return offered / servers


def quantile(tail: Callable[[float], float], p: float, scale: float) -> float:
    """Solve ``tail(t) = 1 - p`` for t >= 0; ``tail`` falls, ``scale`` is a typical t."""
    from scipy.optimize import brentq  # noqa: PLC0415, scipy is slow to load

    left = 1.0 - below_one(p)
    if tail(0.0) <= left:
        return 0.0
    high = scale
    while tail(high) > left:
        high *= 2.0
    return float(brentq(lambda t: tail(t) - left, 0.0, high, xtol=1e-15 * scale, rtol=1e-15))


def below_one(p: float) -> float:
    """Check that ``p`` is a share below one."""
    if _check.not_negative("p", p) >= 1:
        raise ValueError(f"p must be < 1 (no wait is longer than all waits), got {p!r}")
    return float(p)
