"""Which engine runs a design, and what every engine gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from toolkit.design import Design
from toolkit.simulation import compiled_engine
from toolkit.simulation.codes import UNFINISHED
from toolkit.simulation.compiled_engine.compiler import compile_elsewhere
from toolkit.simulation.heap import keep_what_is_freed
from toolkit.simulation.records import Records
from toolkit.simulation.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Sequence

Engine = Literal["auto", "simpy", "compiled"]


class Done(Protocol):
    """A run that is over, in the engine's own hands."""

    engine: str
    stopped: bool
    """Whether it was stopped because it would hardly have ended."""

    @property
    def now_s(self) -> float:
        """When the last event was."""
        ...

    @property
    def made(self) -> int:
        """How many attempts were made."""
        ...

    @property
    def arrived(self) -> int:
        """How many jobs arrived."""
        ...

    @property
    def unfinished(self) -> int:
        """How many of those were unfinished at the end."""
        ...

    def records(self) -> Records:
        """Return what was written down."""
        ...


def engine_for(design: Design, engine: Engine = "auto") -> Literal["simpy", "compiled"]:
    """Return which engine can run ``design``: with ``"auto"`` the compiled one if it knows all fields."""
    if engine != "auto":
        return engine
    return "simpy" if compiled_engine.uncovered(design) else "compiled"


def run_with(
    engine: Engine, design: Design, streams: Streams, horizon_s: float | None
) -> tuple[Done, Sequence[str]]:
    """Run ``design`` with ``engine``; return the run, and what must be said of the choice.

    Raises ``ValueError`` if ``engine="compiled"`` does not know a field of the design.
    """
    unknown = compiled_engine.uncovered(design) if engine != "simpy" else []
    if engine == "compiled" and unknown:
        raise ValueError(
            f"engine must be 'simpy' or 'auto' for this design, got 'compiled': "
            f"the compiled engine does not know {', '.join(unknown)}"
        )
    if unknown:
        text = f"run by SimPy: the compiled engine does not know {', '.join(unknown)}"
        return SimPyRun(design, streams, horizon_s), [text]
    if engine == "simpy":
        return SimPyRun(design, streams, horizon_s), []
    keep_what_is_freed()
    done, why = compiled_engine.run(design, streams, horizon_s, must=engine == "compiled")
    if done is not None:
        return done, []
    by_simpy = SimPyRun(design, streams, horizon_s)
    if why is not None:
        return by_simpy, [f"run by SimPy, since the compiled engine gave up: {why}"]
    compile_elsewhere()  # not before: it would have made this run slower
    return by_simpy, []


class SimPyRun:
    """A run by the SimPy engine."""

    engine = "simpy"

    def __init__(self, design: Design, streams: Streams, horizon_s: float | None) -> None:
        from toolkit.simulation.simpy_engine import System  # noqa: PLC0415, most runs need none

        self._system = System(design, streams, is_bounded=horizon_s is not None)
        self.stopped = self._system.run(horizon_s)
        self.now_s = float(self._system.env.now)
        self.made, self.arrived = len(self._system.attempts), len(self._system.arrived_s)
        self.unfinished = self._system.outcomes[: self.arrived].count(UNFINISHED)

    def records(self) -> Records:
        """Return what was written down."""
        system = self._system
        return Records.of(system.attempts, system.arrived_s, system.finished_s, system.outcomes)
