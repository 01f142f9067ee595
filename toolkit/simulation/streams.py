"""Common random numbers: the same jobs, whatever the design.

Every draw has an address: (seed, replication, purpose, stage, attempt), and within that row, the
job.  A row is one numpy stream, spawned from its address (``numpy.random.SeedSequence``) and drawn
for all jobs in order.  So job 17 brings the same work to every design under one seed, a draw added
in one place moves no other, and replication k alone is replication k of any experiment.

Rows that were drawn lately are kept, so that a design that differs in something else meets them at once.

What does not belong to a job (when an instance polls, which one a balancer picks) has streams of its
own, drawn in the order of use.
"""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from toolkit import laws
from toolkit.arrivals import Arrivals, Poisson, Renewal
from toolkit.design import Design, Stage
from toolkit.laws import Array, Exponential, Law


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


RunKey = tuple[int, int, int]  # seed, replication, jobs


class Shelf:
    """Rows of draws of runs that may come again; read-only, for all threads.

    New memory costs more than new numbers, so the rows of a run that was never met before stay only
    until the next such run, which then gets their place.  Those of a run that comes a second time stay
    as long as there is room for them.
    """

    def __init__(self, most_bytes: int, most_seen: int = 256) -> None:
        self.most_bytes, self.held_bytes, self._most_seen = most_bytes, 0, most_seen
        self._runs: OrderedDict[RunKey, dict[Hashable, Array]] = OrderedDict()
        self._seen: OrderedDict[RunKey, None] = OrderedDict()
        self._on_trial: RunKey | None = None
        self._lock = threading.Lock()

    def find(self, run: RunKey, key: Hashable) -> Array | None:
        """Return a run's row if it is there; if not, the run is expected to put it there."""
        with self._lock:
            rows = self._runs.get(run)
            if rows is None:
                self._expect(run)
                return None
            self._runs.move_to_end(run)
            row = rows.get(key)
            if row is not None and run == self._on_trial:
                self._on_trial = None
            return row

    def put(self, run: RunKey, key: Hashable, row: Array) -> None:
        """Keep a row of a run that is expected, and let go of the oldest runs if there are too many."""
        row.flags.writeable = False
        with self._lock:
            rows = self._runs.get(run)
            if rows is None or key in rows:
                return
            rows[key] = row
            self.held_bytes += row.nbytes
            while self.held_bytes > self.most_bytes:
                self._drop(next(iter(self._runs)))

    def _expect(self, run: RunKey) -> None:
        if run in self._seen:
            self._seen.move_to_end(run)
        else:
            if self._on_trial is not None:
                self._drop(self._on_trial)
            self._on_trial = run
            self._seen[run] = None
            if len(self._seen) > self._most_seen:
                self._seen.popitem(last=False)
        self._runs[run] = {}

    def _drop(self, run: RunKey) -> None:
        rows = self._runs.pop(run, {})
        self.held_bytes -= sum(row.nbytes for row in rows.values())
        if run == self._on_trial:
            self._on_trial = None


SHELF = Shelf(most_bytes=64 << 20)
# sources of numbers whose rows may be drawn part by part, with the same result
IN_PARTS = (
    *(laws.Deterministic, laws.Empirical, laws.Exponential, laws.Gamma, laws.HyperExponential),
    *(laws.LogNormal, laws.Pareto, laws.Uniform, laws.Weibull, Poisson),
)


def is_in_parts(source: Arrivals | Law | None) -> bool:
    """Say whether draws from ``source`` are the same, drawn at once or part by part."""
    law = source.law if isinstance(source, Renewal) else source
    return type(law) in IN_PARTS


def is_apart(law: Law, attempt: int) -> bool:
    """Say whether each service time of attempts of a number can be had without those before it.

    Few jobs make a second attempt, so it would be a waste to draw it for all.
    """
    return attempt > 1 and type(law) is Exponential


def _draw_of(law: Law, attempt: int) -> Callable[[np.random.Generator, int], Array]:
    """Return how the service times of attempts of a number are drawn."""
    if isinstance(law, Exponential) and is_apart(law, attempt):
        return law.draw_apart_s
    return law.draw_s


class Row:
    """A row of draws that is made as far as it is asked for, so that its newest part is near."""

    def __init__(
        self,
        run: RunKey,
        key: Hashable,
        make: Callable[[int], Array],
        *,
        is_in_parts: bool,
    ) -> None:
        self.size, self._run, self._key, self._make = run[2], run, key, make
        self.values, self.made, self.is_in_parts = np.empty(0), 0, is_in_parts
        try:
            known = SHELF.find(run, key)
        except TypeError:  # a law of one's own that cannot be looked up
            self._key = None
        else:
            if known is not None:
                self.values, self.made = known, self.size

    def up_to(self, end: int) -> Array:
        """Return the row, drawn up to ``end`` at least."""
        if end <= self.made:
            return self.values
        if self.made == 0 and (end == self.size or not self.is_in_parts):
            end, self.values = self.size, self._make(self.size)
        else:
            self.values = self.values if self.made else np.empty(self.size)
            self.values[self.made : end] = self._make(end - self.made)
        self.made = end
        if end == self.size and self._key is not None:
            SHELF.put(self._run, self._key, self.values)
        return self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """The draws of one run of ``jobs`` jobs."""

    seed: int
    replication: int
    jobs: int

    def gap_row(self, arrivals: Arrivals) -> Row:
        """Return the gaps between arrivals in seconds, as a row to be drawn in parts."""
        return self._row(arrivals, arrivals.gaps_s, Purpose.ARRIVALS)

    def gaps_s(self, arrivals: Arrivals) -> Array:
        """Return the gaps between arrivals in seconds, shape ``(jobs,)``."""
        return self.gap_row(arrivals).up_to(self.jobs)

    def service_row(self, law: Law, stage: str, attempt: int) -> Row:
        """Return the service times of all jobs' attempts of a number, as a row to be drawn in parts."""
        return self._row(law, _draw_of(law, attempt), Purpose.SERVICE, _key(stage), attempt)

    def gap_parts(self, arrivals: Arrivals) -> Callable[[int], Array]:
        """Return a function that draws the next so many gaps, and keeps none."""
        return self._parts(arrivals, arrivals.gaps_s, Purpose.ARRIVALS)

    def service_parts(self, law: Law, stage: str, attempt: int) -> Callable[[int], Array]:
        """Return a function that draws the service times of the next so many jobs, and keeps none."""
        return self._parts(law, _draw_of(law, attempt), Purpose.SERVICE, _key(stage), attempt)

    def services_s(self, law: Law, stage: str, attempt: int) -> Array:
        """Return the service time in seconds of every job's attempt number ``attempt``."""
        return self.service_row(law, stage, attempt).up_to(self.jobs)

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

    def stage_services_s(
        self, design: Design, stage: Stage, classes: npt.NDArray[np.intp] | None, attempt: int
    ) -> Array:
        """Return the service times in seconds of all jobs in a stage of ``design``."""
        if classes is None:
            return self.services_s(stage.service, stage.name, attempt)
        laws = [kind.service.get(stage.name, stage.service) for kind in design.classes]
        return self.class_services_s(laws, classes, stage.name, attempt)

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
        return self._row(law, law.draw_s, purpose, _key(stage), attempt).up_to(self.jobs)

    def at_stage(self, purpose: Purpose, stage: str, attempt: int) -> Array:
        """Return a uniform number a job for ``purpose`` in this stage."""
        return self.uniforms(purpose, _key(stage), attempt)

    def uniforms(self, *address: int) -> Array:
        """Return a uniform number a job."""
        return self._row(None, lambda rng, n: rng.random(n), *address).up_to(self.jobs)

    def generator(self, purpose: Purpose, stage: str, number: int) -> np.random.Generator:
        """Return the generator of a row of uniform numbers, or of a sequence, before its first draw."""
        return self._generator(purpose, _key(stage), number)

    def sequence(self, purpose: Purpose, stage: str, number: int = 0) -> Iterator[float]:
        """Yield uniform numbers without end, for what belongs to no job."""
        generator = self.generator(purpose, stage, number)
        while True:
            yield from generator.random(256).tolist()

    def classes(self, shares: Mapping[str, float]) -> npt.NDArray[np.intp]:
        """Return the number of the class of every job."""
        ends = np.cumsum(list(shares.values()))
        found = np.searchsorted(ends, self.uniforms(Purpose.CLASS), side="right")
        return np.minimum(found, len(ends) - 1)

    def _row(
        self,
        source: Arrivals | Law | None,
        draw: Callable[[np.random.Generator, int], Array],
        *address: int,
    ) -> Row:
        run = self.seed, self.replication, self.jobs
        make = self._parts(source, draw, *address)
        return Row(run, (source, address), make, is_in_parts=is_in_parts(source))

    def _parts(
        self,
        source: Arrivals | Law | None,  # noqa: ARG002, for engines that draw some sources by themselves
        draw: Callable[[np.random.Generator, int], Array],
        *address: int,
    ) -> Callable[[int], Array]:
        rng: list[np.random.Generator] = []

        def make(n: int) -> Array:
            if not rng:  # a row that is kept needs none
                rng.append(self._generator(*address))
            return draw(rng[0], n)

        return make

    def _generator(self, *address: int) -> np.random.Generator:
        seeds = np.random.SeedSequence(self.seed, spawn_key=(self.replication, *address))
        return np.random.default_rng(seeds)


def _key(stage: str) -> int:
    """Return a number for a stage's name, the same on every machine.

    By name, not by place: a stage added before it does not change what a stage draws.
    """
    return zlib.crc32(stage.encode())
