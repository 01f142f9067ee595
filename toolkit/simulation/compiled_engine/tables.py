"""A design and its draws as tables for compiled code, and what a loop asks for while it runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.design import Stage
from toolkit.simulation.compiled_engine.draws import GENERATOR, generator_of, jumps
from toolkit.simulation.compiled_engine.memory import address
from toolkit.simulation.streams import Purpose, Streams

ALL_READY = np.iinfo(np.int64).max
JUMPS = jumps()


class Tables:
    """Numpy arrays that a world's record points to, kept alive and made larger here."""

    def __init__(self, world: npt.NDArray[np.void]) -> None:
        self.world, self._kept = world, dict[str, npt.NDArray[Any]]()

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._kept[name]

    def __contains__(self, name: str) -> bool:
        return name in self._kept

    def where(self, name: str) -> int:
        """Return a table's address."""
        return address(self._kept[name])

    def keep(self, name: str, table: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Point the world's field ``name`` to ``table``."""
        self._kept[name] = table
        if name in (self.world.dtype.names or ()):
            self.world[name] = address(table)
        return table

    def grow(self, name: str, used: int, least: int) -> int:
        """Make a table twice as large if it has fewer than ``least`` places left; return its size."""
        old = self._kept[name]
        if old.size - used >= least:
            return old.size
        new = np.empty(max(2 * old.size, used + least), old.dtype)
        new[:used] = old[:used]
        self.keep(name, new)
        return new.size

    def grow_ring(self, name: str, first: int, count: int, least: int) -> tuple[int, int]:
        """Make a ring of a power of two places larger; return its mask and where it begins now."""
        old = self._kept[name]
        if old.size - count > least:
            return old.size - 1, first
        size = old.size
        while size - count <= least:
            size *= 2
        new = np.empty(size, old.dtype)
        new[:count] = old[(first + np.arange(count)) & (old.size - 1)]
        self.keep(name, new)
        return size - 1, 0


class Draws:
    """Rows of draws by stream and attempt number: durations drawn, uniform numbers as far as is wise."""

    def __init__(self, tables: Tables, streams: Streams, count: int) -> None:
        self.tables, self.streams, self.count = tables, streams, count
        self.rows: list[npt.NDArray[np.float64]] = []  # kept alive
        self.width = 8
        tables.keep("jumps", JUMPS)
        tables.keep("drawn", np.zeros(count * self.width, np.int64))
        tables.keep("generators", np.zeros(count * self.width, GENERATOR))
        tables.world["draws"] = self.width

    def make_room(self, attempt: int) -> None:
        """Widen the tables until they have a column for ``attempt``."""
        while attempt >= self.width:
            for name in ("drawn", "generators"):
                old = self.tables[name].reshape(self.count, self.width)
                new = np.zeros((self.count, 2 * self.width), old.dtype)
                new[:, : self.width] = old
                self.tables.keep(name, new.reshape(-1))
            self.width *= 2
            self.tables.world["draws"] = self.width

    def put(self, stream: int, attempt: int, row: npt.NDArray[np.float64]) -> None:
        """Hand over a row."""
        self.rows.append(row)
        self.tables["drawn"][stream * self.width + attempt] = address(row)

    def seed(self, stream: int, attempt: int, purpose: Purpose, name: str) -> None:
        """Hand over the generator of a row of uniform numbers in the row's place."""
        generator = self.streams.generator(purpose, name, attempt)
        self.tables["generators"][stream * self.width + attempt] = generator_of(generator)

    def uniforms(self, stream: int, attempt: int, purpose: Purpose, name: str) -> None:
        """Hand over the numbers of first attempts, which all jobs make, and a generator for others."""
        if attempt == 1:
            self.put(stream, 1, self.streams.at_stage(purpose, name, 1))
        else:
            self.seed(stream, attempt, purpose, name)


def rooms(jobs: int, stages: list[Stage]) -> int:
    """Return for how many rows to make room at first; what is not written to costs nothing."""
    per_job = sum(min(_attempts_per_job(stage), 4.0) for stage in stages)
    return int(1.1 * per_job * jobs) + 1000


def _attempts_per_job(stage: Stage) -> float:
    """Return how many attempts a job makes in the mean, at least; what fails may be delivered again."""
    if stage.delivery is None or not stage.delivery.repeats or stage.failure == 1:
        return stage.attempts_per_job
    return max(stage.attempts_per_job, 1 / (1 - stage.failure))
