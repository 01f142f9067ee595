"""The container: makes each part once, when it is first needed, with the parts that it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

T = TypeVar("T")


class Container:
    """Knows for each interface how its part is made, and keeps what was made."""

    def __init__(self) -> None:
        self._providers: dict[object, Callable[[Container], object]] = {}
        self._parts: dict[object, object] = {}

    def provide(self, interface: Callable[..., T], provider: Callable[[Container], T]) -> None:
        """Say how the part behind an interface is made."""
        self._providers[interface] = provider

    def resolve(self, interface: Callable[..., T]) -> T:
        """Return the part behind an interface; raises ``LookupError`` where nobody provides it."""
        if interface not in self._parts:
            if interface not in self._providers:
                raise LookupError(f"nobody provides {interface!r}")
            self._parts[interface] = self._providers[interface](self)
        return cast("T", self._parts[interface])
