"""What an argument may be.  Each check returns the value it was given, or says what is wrong with it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from .kernel import Refused

Check = Callable[[str, Any], Any]


def number(low: float, high: float) -> Check:
    """Accept a finite number in a range."""

    def check(name: str, value: Any) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not low <= value <= high
        ):
            raise Refused(f"{name} must be a number from {low:,} to {high:,}, got {_short(value)}")
        return float(value)

    return check


def whole(low: int, high: int) -> Check:
    """Accept a whole number in a range."""

    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Refused(
                f"{name} must be a whole number from {low:,} to {high:,}, got {_short(value)}"
            )
        return value

    return check


def one_of(*choices: str) -> Check:
    """Accept one of a list of words."""

    def check(name: str, value: Any) -> str:
        if value not in choices:
            raise Refused(f"{name} must be one of {', '.join(choices)}, got {_short(value)}")
        return str(value)

    return check


def text(longest: int) -> Check:
    """Accept a text that is not too long."""

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest:
            raise Refused(
                f"{name} must be a text of at most {longest:,} characters, got {_short(value)}"
            )
        return value

    return check


def yes_or_no(name: str, value: Any) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise Refused(f"{name} must be true or false, got {_short(value)}")
    return value


def prefix(name: str, value: Any) -> tuple[int, bytes]:
    """Return the length and the 16 bytes of a network's address; IPv4 as ::ffff:a.b.c.d."""
    try:
        network = ipaddress.ip_network(str(value), strict=False)
    except ValueError:
        raise Refused(
            f"{name} must be an IPv4 or IPv6 prefix like 10.0.0.0/8, got {_short(value)}"
        ) from None
    if isinstance(network, ipaddress.IPv4Network):
        return 96 + network.prefixlen, bytes(10) + b"\xff\xff" + network.network_address.packed
    return network.prefixlen, network.network_address.packed


def list_of(each: Check, longest: int) -> Check:
    """Accept a list of no more than so many, each of which is checked."""

    def check(name: str, value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) > longest:
            raise Refused(
                f"{name} must be a list of at most {longest:,} entries, got {_short(value)}"
            )
        return [each(f"{name}[{k}]", entry) for k, entry in enumerate(value)]

    return check


def _short(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 60 else said[:57] + "..."
