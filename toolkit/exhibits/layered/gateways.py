"""The world outside, behind the interfaces of the inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from toolkit.exhibits.layered.interfaces import PaymentGateway, Sleeper


class FunctionGateway(PaymentGateway):
    """Charges by calling a function."""

    def __init__(self, function: Callable[[str, int], None]) -> None:
        self._function = function

    def charge(self, customer: str, cents: int) -> None:
        """Charge a customer; raise ``ConnectionError`` where another try may help."""
        self._function(customer, cents)


class FunctionSleeper(Sleeper):
    """Waits by calling a function."""

    def __init__(self, function: Callable[[float], None]) -> None:
        self._function = function

    def pause(self, seconds: float) -> None:
        """Wait."""
        self._function(seconds)


@dataclass(frozen=True, slots=True)
class Output:
    """Where results are written to."""

    file: TextIO
