"""What a design is made of, and what each part costs a month.

"Simple" is no adjective here: it is a sum over a list of parts, which anybody can read and change.
A part costs what it takes to run, and what it takes to be there: somebody deploys it, patches it,
reads its code and gets up for it at night.  The second is usually the larger bill.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields

import pandas as pd

from toolkit import _check
from toolkit.design import Design, Stage

HOUR = 91.0
"""Dollars an hour of a software developer's work costs an employer in the USA.

A median wage of 133,080 a year (Bureau of Labor Statistics, May 2024) over 2,080 hours, and 30% of what
an employee costs is benefits (Employer Costs for Employee Compensation, 2024)."""

HOURS_A_MONTH = 730
"""Hours a machine runs in a month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """How many there are of what costs money or attention.

    ``workers``: processors or processes that work at once; ``hops``: times that a job crosses a
    network inside the system; ``state_stores``: databases, brokers and caches, each with something
    to lose; ``deploy_units``: what is released and watched by itself; ``failure_modes``: things that
    can die or go wrong on their own; ``knobs``: settings that somebody must choose well; ``lines`` of
    one's own code; ``pages`` a month, at any hour.
    """

    workers: float = 0
    hops: float = 0
    state_stores: float = 0
    deploy_units: float = 0
    failure_modes: float = 0
    knobs: float = 0
    lines: float = 0
    pages: float = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            _check.not_negative(field.name, getattr(self, field.name))

    @classmethod
    def of(cls, design: Design) -> Parts:
        """Count what a design says by itself.

        A stage is a hop and a deployment; a limiter or a delivery protocol keeps state; every
        deployment and every store can fail; code and pages are not on the paper.
        """
        stores = sum((s.limiter is not None) + (s.delivery is not None) for s in design.stages)
        units = len(design.stages)
        return cls(
            workers=sum(stage.workers for stage in design.stages),
            hops=units,
            state_stores=stores,
            deploy_units=units,
            failure_modes=units + stores,
            knobs=sum(sum(_knobs(stage)) for stage in design.stages) + len(design.callers),
        )


def _knobs(stage: Stage) -> Iterator[int]:
    """Yield the settings of a stage beside its number of workers."""
    yield 2 * (stage.limiter is not None)  # how many, and how many at once
    yield 2 * (stage.retry is not None)  # how often, and after how long
    yield from (
        int(part is not None)
        for part in (stage.capacity, stage.shed, stage.patience, stage.fan_out, stage.delivery)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What one of each part costs a month, in dollars (or any other money: only ratios decide).

    Sourced: ``worker``, one virtual processor with 2 GB (AWS Fargate, us-east-1, 2025: 0.04048 an hour and
    0.004445 a GB); ``hop``, an internal load balancer with one capacity unit (AWS ALB, us-east-1:
    0.0225 and 0.008 an hour); ``state_store``, two small nodes (AWS ElastiCache cache.t4g.small,
    us-east-1: 0.032 an hour each); ``line``, a twelfth of the yearly upkeep of 15% of its development at
    2.4 person-months of 152 hours for 1,000 lines (Boehm 1981, basic COCOMO, organic); ``page``, six hours
    of work for an incident with its follow-up (Beyer and others 2016, "Site Reliability Engineering",
    ch. 11), at ``HOUR``.
    Our own judgement, no measurement: a ``deploy_unit`` takes an hour a month (updates, releases,
    certificates), a ``failure_mode`` half an hour (alert, runbook, drill), a ``knob`` a quarter.
    """

    worker: float = (0.04048 + 2 * 0.004445) * HOURS_A_MONTH
    hop: float = (0.0225 + 0.008) * HOURS_A_MONTH
    state_store: float = 2 * 0.032 * HOURS_A_MONTH
    deploy_unit: float = HOUR
    failure_mode: float = HOUR / 2
    knob: float = HOUR / 4
    line: float = 0.15 * 2.4 * 152 / 1000 / 12 * HOUR
    page: float = 6 * HOUR

    def __post_init__(self) -> None:
        for field in fields(self):
            _check.not_negative(field.name, getattr(self, field.name))

    def of(self, parts: Design | Parts) -> float:
        """Return what a design, or a list of parts, costs a month."""
        return float(self.bill(parts)["a_month"].sum())

    def bill(self, parts: Design | Parts) -> pd.DataFrame:
        """Return a row a part: how many there are (``count``), ``each``, and ``a_month`` for all of them."""
        found = Parts.of(parts) if isinstance(parts, Design) else parts
        names = pd.Index([field.name for field in fields(found)], name="part")
        bill = pd.DataFrame({"count": astuple(found), "each": astuple(self)}, index=names)
        return bill.assign(a_month=bill["count"] * bill["each"])
