"""Common random numbers: the same jobs, whatever the design.

Every draw has an address: (seed, replication, purpose, stage, attempt), and within that row, the
job.  A row is one numpy stream, spawned from its address (``numpy.random.SeedSequence``) and drawn
for all jobs in order.  So job 17 brings the same work to every design under one seed, a draw added
in one place moves no other, and replication k alone is replication k of any experiment.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from toolkit.arrivals import Arrivals
from toolkit.laws import Array, Law

# The numbers are part of every result: append, never renumber.
_ARRIVALS, _SERVICE, _FAILURE, _JITTER = range(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """The draws of one run of ``jobs`` jobs."""

    seed: int
    replication: int
    jobs: int

    def gaps_s(self, arrivals: Arrivals) -> Array:
        """Return the gaps between arrivals in seconds, shape ``(jobs,)``."""
        return arrivals.gaps_s(self._generator(_ARRIVALS), self.jobs)

    def services_s(self, law: Law, stage: str, attempt: int) -> Array:
        """Return the service time in seconds of every job's attempt number ``attempt``."""
        return law.draw_s(self._generator(_SERVICE, _key(stage), attempt), self.jobs)

    def failures(self, stage: str, attempt: int) -> Array:
        """Return a uniform number a job: the attempt fails where it is below the chance of it."""
        return self._generator(_FAILURE, _key(stage), attempt).random(self.jobs)

    def jitters(self, stage: str, attempt: int) -> Array:
        """Return a uniform number a job: the jitter of the pause after this attempt."""
        return self._generator(_JITTER, _key(stage), attempt).random(self.jobs)

    def _generator(self, *address: int) -> np.random.Generator:
        seeds = np.random.SeedSequence(self.seed, spawn_key=(self.replication, *address))
        return np.random.default_rng(seeds)


def _key(stage: str) -> int:
    """Return a number for a stage's name, the same on every machine.

    By name, not by place: a stage added before it does not change what a stage draws.
    """
    return zlib.crc32(stage.encode())
