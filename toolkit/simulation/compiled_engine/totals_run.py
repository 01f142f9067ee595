"""A run that keeps totals: a block of jobs at a time, drawn, timed, counted and forgotten."""

from __future__ import annotations

import numpy as np

from toolkit.design import Design
from toolkit.simulation.compiled_engine import totals
from toolkit.simulation.compiled_engine.draws import quick
from toolkit.simulation.compiled_engine.memory import address
from toolkit.simulation.streams import Streams

BLOCK = 16_384  # jobs: their draws stay in the processor's cache


class TotalsRun:
    """One run, as far as it has come; an interrupt falls between blocks."""

    def __init__(self, design: Design, streams: Streams) -> None:
        (stage,), streams = design.stages, quick(streams)
        self.workers, self.of = stage.workers, streams.jobs
        self.next_gaps_s = streams.gap_parts(design.arrivals)
        self.next_services_s = streams.service_parts(stage.service, stage.name, 1)
        self.sums, self.free_s = np.zeros(1, totals.TOTALS), np.zeros(stage.workers)
        self.sojourns, self.waits = (np.zeros(totals.BINS, np.int64) for _ in range(2))

    def step(self) -> int:
        """Let the next block of jobs through; return how many they were."""
        count = min(BLOCK, self.of - self.jobs)
        gaps_s, services_s = self.next_gaps_s(count), self.next_services_s(count)
        tables = (self.free_s, self.sojourns, self.waits)
        draws = address(gaps_s), address(services_s)
        totals.take(address(self.sums), count, *draws, self.workers, *map(address, tables))
        return count

    @property
    def jobs(self) -> int:
        """How many jobs have been through."""
        return int(self.sums["jobs"][0])

    @property
    def last_s(self) -> float:
        """When the last of them left."""
        return float(self.sums["last_s"][0])

    def sum_s(self, name: str) -> float:
        """Return one of ``totals.SUMS``."""
        return float(self.sums[f"{name}_s"][0] + self.sums[f"{name}_lost_s"][0])
