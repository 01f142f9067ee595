"""The registry of parts: each registers itself by name, and the configuration picks by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from toolkit.exhibits.layered.container import Container
from toolkit.exhibits.layered.interfaces import (
    PricingStrategy,
    ResultWriter,
    RetryPolicy,
    Step,
)

T = TypeVar("T")
Maker = Callable[[Container], T]


class Registry(Generic[T]):
    """The parts of one sort, by name."""

    def __init__(self, sort: str) -> None:
        self._sort = sort
        self._makers: dict[str, Maker[T]] = {}

    def register(self, name: str) -> Callable[[Maker[T]], Maker[T]]:
        """Return a decorator for the function that makes the part called ``name``."""

        def remember(maker: Maker[T]) -> Maker[T]:
            self._makers[name] = maker
            return maker

        return remember

    def create(self, name: str, container: Container) -> T:
        """Make the part called ``name``; raises ``ValueError`` where there is none."""
        if name not in self._makers:
            known = ", ".join(sorted(self._makers))
            raise ValueError(f"{self._sort} must be one of {known}, got {name!r}")
        return self._makers[name](container)


STEPS: Registry[Step] = Registry("step")
PRICING: Registry[PricingStrategy] = Registry("pricing strategy")
RETRIES: Registry[RetryPolicy] = Registry("retry policy")
WRITERS: Registry[ResultWriter] = Registry("writer")
STORES: Registry[None] = Registry("store")
"""A store provides both repositories to the container."""

BUILT_IN = ("steps", "pricing", "retries", "writers", "repositories")


def load_plugins(others: Iterable[str]) -> None:
    """Import the modules that register parts: those built in, then those of others."""
    for name in BUILT_IN:
        importlib.import_module(f"toolkit.exhibits.layered.{name}")
    for name in others:
        importlib.import_module(name)
