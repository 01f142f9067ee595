"""The whole on paper: who sends work, the stages it goes through, and who waits for it.

A design is data: it can be compared, replaced in part (``dataclasses.replace``), and printed.
It is checked when made, so that a run never fails half-way over a wrong number.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from toolkit import _check
from toolkit.arrivals import Arrivals, Closed, is_arrivals
from toolkit.design.caller import Caller
from toolkit.design.stage import Stage
from toolkit.laws import Law, is_law


@dataclass(frozen=True, slots=True, kw_only=True)
class JobClass:
    """A kind of job: its share of the jobs, and its own law of service in some stages.

    The first class of a design has the highest priority.
    """

    name: str
    share: float
    service: Mapping[str, Law] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check.share("share", self.share)
        for stage, law in self.service.items():
            if not is_law(law):
                raise ValueError(f"service[{stage!r}] must be a law, got {law!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Arrivals, and the stages every job goes through in order.

    ``classes``: kinds of jobs, the first with the highest priority; ``callers``: who waits for a job,
    the outermost first, each wrapped around the next and the last around all stages.
    """

    arrivals: Arrivals
    stages: Sequence[Stage]
    classes: Sequence[JobClass] = ()
    callers: Sequence[Caller] = ()

    def __post_init__(self) -> None:
        if not is_arrivals(self.arrivals):
            raise ValueError(
                f"arrivals must be arrivals such as Poisson(rate_per_s=90), got {self.arrivals!r}"
            )
        stages = (self.stages,) if isinstance(self.stages, Stage) else tuple(self.stages)
        if not stages or not all(isinstance(stage, Stage) for stage in stages):
            raise ValueError(f"stages must be one or more Stage(...), got {self.stages!r}")
        names = [stage.name for stage in stages]
        if len(set(names)) < len(names):
            raise ValueError(f"stages must have different names, got {names}")
        object.__setattr__(self, "stages", stages)
        object.__setattr__(self, "classes", _check.series("classes", self.classes, JobClass))
        object.__setattr__(self, "callers", _check.series("callers", self.callers, Caller))
        self._check_names(set(names))

    def _check_names(self, names: set[str]) -> None:
        if self.classes and not math.isclose(sum(c.share for c in self.classes), 1.0):
            raise ValueError(
                f"classes must have shares that add up to 1, got {[c.share for c in self.classes]}"
            )
        for stage in self.stages:
            unknown = sorted(set(stage.routes or {}) - names)
            if unknown:
                raise ValueError(f"stage '{stage.name}': routes must name stages, got {unknown}")
            if stage.order in ("priority", "preemptive") and not self.classes:
                raise ValueError(
                    f"stage '{stage.name}': order={stage.order!r} needs classes in the design, got none"
                )
            if stage.when_full == "block" and any(s.routes for s in self.stages):
                raise ValueError(
                    f"stage '{stage.name}': when_full='block' and routes may block each other for ever"
                )
        for kind in self.classes:
            unknown = sorted(set(kind.service) - names)
            if unknown:
                raise ValueError(f"class '{kind.name}': service must name stages, got {unknown}")

    def faster(self, factor: float) -> Self:
        """Return the design under ``factor`` times the load."""
        _check.positive("factor", factor)
        return dataclasses.replace(self, arrivals=self.arrivals.faster(factor))

    def mean_service_s(self, stage: Stage) -> float:
        """Return the mean service time of an attempt in ``stage`` in seconds, over all classes."""
        if not self.classes:
            return stage.service.moment(1)
        laws = [(kind.share, kind.service.get(stage.name, stage.service)) for kind in self.classes]
        return sum(share * law.moment(1) for share, law in laws)

    def offered_load(self) -> list[StageLoad]:
        """Return what each stage is asked to carry, in order, by rates alone.

        Callers' retries and hedges are left out: they depend on what happens.
        """
        if any(stage.routes is not None for stage in self.stages):
            return self._routed_load()
        loads, rate_per_s = [], self.arrivals.rate_per_s
        for stage in self.stages:
            load = StageLoad(
                stage=stage,
                rate_per_s=rate_per_s * stage.share if stage.share < 1 else rate_per_s,
                service_s=self.mean_service_s(stage),
            )
            loads.append(load)
            passed = load.passed_per_s
            rate_per_s = passed + rate_per_s * (1.0 - stage.share) if stage.share < 1 else passed
        return loads

    def _routed_load(self) -> list[StageLoad]:
        """Solve the traffic equations (Jackson 1957), as if every stage could hand on what it gets."""
        names = [stage.name for stage in self.stages]
        moves = np.zeros((len(names), len(names)))
        for k, stage in enumerate(self.stages):
            follows = {names[k + 1]: 1.0} if k + 1 < len(names) else {}
            for name, share in (follows if stage.routes is None else stage.routes).items():
                moves[k, names.index(name)] = share
        outside = np.zeros(len(names))
        outside[0] = self.arrivals.rate_per_s
        rates = np.linalg.solve(np.eye(len(names)) - moves.T, outside)
        return [
            StageLoad(stage=s, rate_per_s=float(r) * s.share, service_s=self.mean_service_s(s))
            for s, r in zip(self.stages, rates, strict=True)
        ]

    def overloads(self) -> list[str]:
        """Say, a sentence each, where the design is asked for more than it can do without end."""
        if isinstance(self.arrivals, Closed):
            return []  # those who wait do not ask again
        return [text for load in self.offered_load() for text in load.overloads()]

    @property
    def may_overlap(self) -> bool:
        """Whether a job's attempts may overlap or leave gaps: then its times do not simply add up."""
        return bool(self.callers) or any(
            stage.fan_out or (stage.delivery and stage.delivery.repeats) for stage in self.stages
        )

    def never_ends(self) -> str | None:
        """Say why a run of this design could go on for ever, ``None`` if it cannot by its rules alone."""
        for stage in self.stages:
            where = f"stage '{stage.name}': "
            delivery = stage.delivery
            if stage.failure == 1.0 and stage.retry and stage.retry.max_retries is None:
                return (
                    where
                    + "every attempt fails (failure=1) and is retried for ever (max_retries=None)"
                )
            if not delivery or delivery.max_deliveries is not None:
                continue
            if delivery.poison and delivery.ack == "end" and delivery.brings_back(poison=True):
                return (
                    where
                    + "a poison job comes back after every crash (poison) without max_deliveries"
                )
            if stage.failure == 1.0 and delivery.on_failure != "retry":
                return (
                    where + "every attempt fails (failure=1) and comes back without max_deliveries"
                )
        return self._looks_for_ever()

    def _looks_for_ever(self) -> str | None:
        """Say whether some will look for work that those who are dead for good leave undone."""
        deliveries = {stage.name: stage.delivery for stage in self.stages if stage.delivery}
        dead = [name for name, delivery in deliveries.items() if delivery.dies_out]
        if not dead or not any(delivery.looks for delivery in deliveries.values()):
            return None
        return (
            f"stage '{dead[0]}': all its instances die and none comes back (restart_after_s=None), "
            "and whoever looks for work (Poll, Poller) may look for ever"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLoad:
    """What a stage is asked to carry: ``rate_per_s`` jobs come to its door, ``service_s`` an attempt."""

    stage: Stage
    rate_per_s: float
    service_s: float | None = None

    @property
    def entered_per_s(self) -> float:
        """Jobs per second that get past the limiter, in the long run and at most."""
        limiter = self.stage.limiter
        return min(self.rate_per_s, limiter.rate_per_s) if limiter else self.rate_per_s

    def _erlangs(self, rate_per_s: float) -> float:
        return self.stage.offered_erlangs(rate_per_s, self.service_s)

    @property
    def utilisation(self) -> float:
        """Offered load over workers; at 1 and above a queue without a cap grows for ever."""
        return self._erlangs(self.entered_per_s) / self.stage.workers

    @property
    def passed_per_s(self) -> float:
        """Jobs per second that the stage can hand on."""
        served: float = 1.0 - self.stage.failure**self.stage.max_attempts
        erlangs_per_job = self._erlangs(1.0)
        most_per_s = self.stage.workers / erlangs_per_job if erlangs_per_job else math.inf
        return served * min(self.entered_per_s, most_per_s)

    def overloads(self) -> list[str]:
        """Say, a sentence each, which queue of this stage grows for ever."""
        stage, limiter, texts = self.stage, self.stage.limiter, []
        if math.isinf(self.rate_per_s):
            return []  # one batch at time zero: a long wait, but it ends
        if limiter and limiter.when_empty == "wait" and self.rate_per_s >= limiter.rate_per_s:
            texts.append(
                f"stage '{stage.name}': its limiter lets {limiter.rate_per_s:.4g} jobs/s through and "
                f"{self.rate_per_s:.4g} come: the wait for a token grows as long as the run lasts"
            )
        endless = stage.capacity is None and stage.patience is None and stage.shed is None
        if endless and self.utilisation >= 1:
            needed = math.floor(self._erlangs(self.entered_per_s)) + 1
            texts.append(
                f"stage '{stage.name}' is overloaded: offered utilisation {self.utilisation:.2f} >= 1, so its queue "
                f"grows as long as the run lasts; {needed} workers would keep up, {stage.workers} do not"
            )
        return [*texts, *self._start_limit()]

    def _start_limit(self) -> list[str]:
        """Say where the delivery's own limit on starts is too low for what comes."""
        delivery = self.stage.delivery
        if delivery is None or delivery.limiter is None:
            return []
        limits = delivery.instances if delivery.limiter_per == "instance" else 1
        most_per_s = limits * delivery.limiter.rate_per_s
        asked_per_s = self.entered_per_s * self.stage.attempts_per_job
        if asked_per_s < most_per_s:
            return []
        text = (
            f"stage '{self.stage.name}': its rate limit starts {most_per_s:.4g} attempts/s and "
            f"{asked_per_s:.4g} come: the backlog grows as long as the run lasts"
        )
        return [text]
