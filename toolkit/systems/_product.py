"""What all products have in common: settings, checked together, that become one stage.

A product is a frozen record of its settings in its own words, each with its default and where that
comes from.  ``stage_of`` turns the record's class into the function that people call.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, ParamSpec

from toolkit import _check
from toolkit.design import Crash, Delivery, Retry, Stage
from toolkit.laws import Deterministic, Empirical, Law, Uniform

P = ParamSpec("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """The settings that every product has, as the fields of ``Stage`` and ``Delivery`` of that name.

    ``service``: the law of one attempt.  ``failure``: the chance that it fails.  ``countdown``: the
    law of how long a job is put off by its sender.  ``crashes`` and ``poison``: who dies.
    ``restart_s``: how long an instance that was killed by poison is away.
    """

    slots_die_alone: ClassVar[bool] = False  # True where a slot is a process of its own

    service: Law
    name: str
    failure: float = 0.0
    countdown: Law | None = None
    crashes: Sequence[Crash] = ()
    poison: float = 0.0
    restart_s: float = 0.0

    def size(self) -> tuple[int, int]:
        """Return the number of instances, and of slots in each."""
        raise NotImplementedError

    def retries(self) -> Retry | None:
        """Return what becomes of a failed job that is acknowledged."""
        return None

    def delivery(self) -> Delivery:
        """Return the protocol, without what ``Product`` knows of it."""
        raise NotImplementedError

    def stage(self) -> Stage:
        """Return the stage that behaves like the product."""
        instances, slots = self.size()
        crashes: tuple[Crash, ...] = _check.series("crashes", self.crashes, Crash)
        slot = next((crash.slot for crash in crashes if crash.slot is not None), None)
        if slot is not None and not self.slots_die_alone:
            raise ValueError(
                f"crashes must be of whole instances in {type(self).__name__.removesuffix('Settings')}, "
                f"whose slots are threads or calls of one process, got slot={slot}"
            )
        delivery = dataclasses.replace(
            self.delivery(),
            instances=instances,
            countdown=self.countdown,
            crashes=crashes,
            poison=self.poison,
            restart_s=self.restart_s,
        )
        return Stage(
            name=self.name,
            service=self.service,
            workers=instances * slots,
            failure=self.failure,
            retry=self.retries(),
            delivery=delivery,
        )


def stage_of(name: str, settings: Callable[P, Product]) -> Callable[P, Stage]:
    """Return a function ``name`` that takes the settings and returns the stage."""

    @functools.wraps(settings, updated=())
    def build(*args: P.args, **kwargs: P.kwargs) -> Stage:
        return settings(*args, **kwargs).stage()

    build.__name__ = build.__qualname__ = name
    told = inspect.signature(settings)
    needed_first = sorted(
        told.parameters.values(), key=lambda field: field.default is not field.empty
    )
    signature = told.replace(parameters=needed_first, return_annotation=Stage)
    vars(build)["__signature__"] = signature  # what help() and a notebook show
    return build


def positive_if_given(settings: Product, *names: str) -> None:
    """Check that each of these settings is ``None`` or a number above zero."""
    for name in names:
        if getattr(settings, name) is not None:
            _check.positive(name, getattr(settings, name))


def count_if_given(settings: Product, *names: str) -> None:
    """Check that each of these settings is ``None`` or a whole number above zero."""
    for name in names:
        if getattr(settings, name) is not None:
            _check.count(name, getattr(settings, name))


def within(name: str, value: Any, low: float, high: float, unit: str = "s") -> float:
    """Check that ``value`` is a number that the product allows."""
    if not low <= _check.number(name, value) <= high:
        raise ValueError(f"{name} must be from {low:g} to {high:.7g} {unit}, got {value!r}")
    return float(value)


def countdown_within(countdown: Law | None, most_s: float) -> None:
    """Check that no delay is longer than the product allows; a law without an end is refused."""
    if countdown is None or most_s >= _longest_s(countdown):
        return
    raise ValueError(
        f"countdown must never be longer than {most_s:.7g} s (use Deterministic, Uniform or Empirical), "
        f"got {countdown!r}"
    )


def _longest_s(law: Law) -> float:
    if isinstance(law, Deterministic):
        return law.value_s
    if isinstance(law, Uniform):
        return law.high_s
    return float(law.samples_s[-1]) if isinstance(law, Empirical) else float("inf")


def refuse(given: str, because: str, reason: str) -> ValueError:
    """Return the error for two settings that contradict each other, naming both."""
    return ValueError(f"{given} contradicts {because}: {reason}")
