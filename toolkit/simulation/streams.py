"""Common random numbers: the same jobs, whatever the design.

Every draw has an address: (seed, replication, purpose, stage, attempt), and within that row, the
job.  A row is one numpy stream, spawned from its address (``numpy.random.SeedSequence``) and drawn
for all jobs in order.  So job 17 brings the same work to every design under one seed, a draw added
in one place moves no other, and replication k alone is replication k of any experiment.

What does not belong to a job (when an instance polls, which one a balancer picks) has streams of its
own, drawn in the order of use.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from toolkit.arrivals import Arrivals
from toolkit.laws import Array, Law


class Purpose(IntEnum):
    """What a stream is for.  The numbers are part of every result: append, never renumber."""

    ARRIVALS = 0
    SERVICE = 1
    FAILURE = 2
    JITTER = 3
    THINK = 4
    PATIENCE = 5
    CLASS = 6
    SHARE = 7
    ROUTE = 8
    CHOICE = 9
    POLLER = 10
    ORDER = 11
    COUNTDOWN = 12
    POISON = 13
    GROUP = 14
    TIMEOUT = 15
    CALLER_JITTER = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """The draws of one run of ``jobs`` jobs."""

    seed: int
    replication: int
    jobs: int

    def gaps_s(self, arrivals: Arrivals) -> Array:
        """Return the gaps between arrivals in seconds, shape ``(jobs,)``."""
        return arrivals.gaps_s(self._generator(Purpose.ARRIVALS), self.jobs)

    def services_s(self, law: Law, stage: str, attempt: int) -> Array:
        """Return the service time in seconds of every job's attempt number ``attempt``."""
        return law.draw_s(self._generator(Purpose.SERVICE, _key(stage), attempt), self.jobs)

    def class_services_s(
        self, laws: Sequence[Law], classes: npt.NDArray[np.intp], stage: str, attempt: int
    ) -> Array:
        """Return the service times in seconds of jobs of several classes, each by the law of its class."""
        rows = [
            law.draw_s(self._generator(Purpose.SERVICE, _key(stage), attempt, 1 + k), self.jobs)
            for k, law in enumerate(laws)
        ]
        return (
            np.choose(classes, rows)
            if len(rows) < 32
            else np.array(rows)[classes, range(self.jobs)]
        )

    def failures(self, stage: str, attempt: int) -> Array:
        """Return a uniform number a job: the attempt fails where it is below the chance of it."""
        return self.uniforms(Purpose.FAILURE, _key(stage), attempt)

    def jitters(self, stage: str, attempt: int) -> Array:
        """Return a uniform number a job: the jitter of the pause after this attempt."""
        return self.uniforms(Purpose.JITTER, _key(stage), attempt)

    def thinks_s(self, law: Law, users: int, turn: int) -> Array:
        """Return how long each of ``users`` thinks before its turn number ``turn``, in seconds."""
        return law.draw_s(self._generator(Purpose.THINK, turn), users)

    def waits_s(self, law: Law, purpose: Purpose, stage: str, attempt: int) -> Array:
        """Return a duration a job for another ``purpose``, in seconds."""
        return law.draw_s(self._generator(purpose, _key(stage), attempt), self.jobs)

    def at_stage(self, purpose: Purpose, stage: str, attempt: int) -> Array:
        """Return a uniform number a job for ``purpose`` in this stage."""
        return self.uniforms(purpose, _key(stage), attempt)

    def uniforms(self, *address: int) -> Array:
        """Return a uniform number a job."""
        return self._generator(*address).random(self.jobs)

    def sequence(self, purpose: Purpose, stage: str, number: int = 0) -> Iterator[float]:
        """Yield uniform numbers without end, for what belongs to no job."""
        generator = self._generator(purpose, _key(stage), number)
        while True:
            yield from generator.random(256).tolist()

    def classes(self, shares: Mapping[str, float]) -> npt.NDArray[np.intp]:
        """Return the number of the class of every job."""
        ends = np.cumsum(list(shares.values()))
        found = np.searchsorted(ends, self.uniforms(Purpose.CLASS), side="right")
        return np.minimum(found, len(ends) - 1)

    def _generator(self, *address: int) -> np.random.Generator:
        seeds = np.random.SeedSequence(self.seed, spawn_key=(self.replication, *address))
        return np.random.default_rng(seeds)


def _key(stage: str) -> int:
    """Return a number for a stage's name, the same on every machine.

    By name, not by place: a stage added before it does not change what a stage draws.
    """
    return zlib.crc32(stage.encode())
