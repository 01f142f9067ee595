"""What may come: more load, a burst, a lost worker, a stage that is away for a while.

A design that is right for today only is one point of a range.  A future changes a design's
surroundings, never the design, and the same goals are held against it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

from toolkit import _check
from toolkit.arrivals import Closed, Profile
from toolkit.design import Design, Outage, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Future:
    """Surroundings that a design may meet, one change or several.

    ``load``: times today's load, for ever; ``burst``: times that load for ``burst_s`` seconds;
    ``outage_s``: for so many seconds a stage starts no work; ``workers_lost``: so many workers of a
    stage are gone, for ever.  The last two go through the stages in turn, and every one must be stood.
    """

    load: float = 1.0
    burst: float = 1.0
    burst_s: float = 30.0
    outage_s: float = 0.0
    workers_lost: int = 0

    def __post_init__(self) -> None:
        _check.positive("load", self.load)
        _check.positive("burst", self.burst)
        _check.positive("burst_s", self.burst_s)
        _check.not_negative("outage_s", self.outage_s)
        _check.count("workers_lost", self.workers_lost, least=0)
        if self.outage_s and self.burst != 1.0:
            raise ValueError(
                f"burst and outage_s are two futures: give one of them, got {self.burst!r} and {self.outage_s!r} s"
            )

    @property
    def lasts_s(self) -> float:
        """How long the disturbance lasts in seconds; 0 if there is none that ends."""
        return self.burst_s if self.burst != 1.0 else self.outage_s

    def met_by(self, design: Design) -> dict[str, Design | None]:
        """Return what becomes of ``design``, by the stage that is hit; ``None``: nothing is left of it.

        A disturbance begins after ``lasts_s``.
        """
        loaded = design if self.load == 1.0 else design.faster(self.load)
        if self.burst != 1.0:
            loaded = dataclasses.replace(loaded, arrivals=self._bursting(loaded))
        if not self.outage_s and not self.workers_lost:
            return {"": loaded}
        return {stage.name: self._hit(loaded, stage) for stage in loaded.stages}

    def _bursting(self, design: Design) -> Profile:
        if isinstance(design.arrivals, Closed):
            raise ValueError(  # noqa: TRY004, the design is of the right type
                "a burst needs open arrivals: a fixed number of users (Closed) cannot send more"
            )
        ends_s = (self.lasts_s, self.lasts_s + self.burst_s)
        return Profile(arrivals=design.arrivals, factors=(1.0, self.burst, 1.0), until_s=ends_s)

    def _hit(self, design: Design, stage: Stage) -> Design | None:
        if stage.workers <= self.workers_lost:
            return None
        hit = dataclasses.replace(stage, workers=stage.workers - self.workers_lost)
        if self.outage_s:
            away = Outage(start_s=self.lasts_s, duration_s=self.outage_s)
            hit = dataclasses.replace(hit, outages=(*hit.outages, away))
        stages = [hit if one.name == stage.name else one for one in design.stages]
        return dataclasses.replace(design, stages=stages)

    def jobs(self, design: Design, *, recovery_s: float) -> int:
        """Return how many jobs show a disturbance: as long before it, and twice as long after it.

        ``recovery_s`` is the time after it that is of interest at least, half of what is shown.
        """
        after_s = 2 * max(self.lasts_s, recovery_s)
        expected_s = 2 * self.lasts_s + after_s + (self.burst - 1.0) * self.burst_s
        return math.ceil(design.arrivals.rate_per_s * self.load * expected_s)


TODAY = "today"

FUTURES: Mapping[str, Future] = {
    TODAY: Future(),
    "load x2": Future(load=2.0),
    "load x10": Future(load=10.0),
    "burst x3, 30 s": Future(burst=3.0),
    "a worker lost": Future(workers_lost=1),
    "10 s outage": Future(outage_s=10.0),
}
"""A range to begin with: our own judgement of what systems meet.  Make one of your own."""
