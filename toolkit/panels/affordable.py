"""How many jobs a panel can run for every move of a slider."""

from __future__ import annotations

from toolkit.simulation.compiled_engine import compiler


def affordable(jobs: int, *, meanwhile: int = 2_000) -> int:
    """Return ``jobs``, or fewer (``meanwhile``) until the engine that makes them cheap has been compiled.

    That happens once on a machine, in a process of its own, from the first run on.  A panel that asks
    before every run follows the hand from the start, and is steadier as soon as it can be.
    """
    return jobs if compiler.is_ready("plain") else min(jobs, meanwhile)
