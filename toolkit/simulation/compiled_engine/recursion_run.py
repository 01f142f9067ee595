"""A run by recursion: which designs can take it, and their records."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.design import Design
from toolkit.laws import Array
from toolkit.simulation.codes import DONE, OK
from toolkit.simulation.compiled_engine import recursion
from toolkit.simulation.compiled_engine.draws import quick
from toolkit.simulation.compiled_engine.memory import address
from toolkit.simulation.records import Records
from toolkit.simulation.streams import Streams

BLOCK = 16_384  # jobs: draws and times of so many stay in the processor's cache


class RecursionRun:
    """One run by recursion."""

    engine = "compiled"
    stopped = False
    unfinished = 0

    def __init__(self, design: Design, streams: Streams) -> None:
        (self.stage,), self.design, self.streams = design.stages, design, quick(streams)
        self.made = self.arrived = jobs = streams.jobs
        self.arrived_s, self.started_s, self.ended_s = (np.empty(jobs) for _ in range(3))
        self.free_s = np.zeros(self.stage.workers)
        many = self.stage.workers > 1
        self.served_by = np.empty(jobs if many else 0, np.int32)

    def run(self) -> bool:
        """Fill in all times; say whether that was possible."""
        stage, streams = self.stage, self.streams
        gaps = streams.gap_row(self.design.arrivals)
        services = streams.service_row(stage.service, stage.name, 1)
        done = 0
        while done < self.streams.jobs:
            last = min(done + BLOCK, self.streams.jobs)
            end = self.step(done, last, gaps.up_to(last), services.up_to(last))
            if end < last:
                return False
            done = last
        return True

    def step(self, first: int, last: int, gaps_s: Array, services_s: Array) -> int:
        """Take the next jobs; return up to which that went."""
        tables = (gaps_s, services_s, self.arrived_s, self.started_s, self.ended_s)
        places = map(address, tables)
        if self.stage.workers == 1:
            return int(recursion.one_worker(first, last, *places))
        more = self.stage.workers, address(self.free_s), address(self.served_by)
        return int(recursion.some_workers(first, last, *places, *more))

    @property
    def now_s(self) -> float:
        """When the last event was."""
        return float(self.ended_s.max(initial=0.0))

    def records(self) -> Records:
        """Return the records; what is the same for all jobs is written once."""
        jobs = self.made

        def same(value: float, kind: type[np.generic]) -> npt.NDArray[Any]:
            return np.broadcast_to(kind(value), (jobs,))

        return Records(
            arrived_s=self.arrived_s,
            finished_s=self.ended_s,
            outcome=same(DONE, np.int8),
            job=np.arange(jobs),
            stage=same(0, np.int16),
            attempt=same(1, np.int32),
            queued_s=self.arrived_s,
            started_s=self.started_s,
            ended_s=self.ended_s,
            worker=self.served_by if self.stage.workers > 1 else same(0, np.int32),
            attempt_outcome=same(OK, np.int8),
            paused_s=same(0.0, np.float64),
        )
