"""Checks of arguments, with one wording: the name, the rule, the value.

Every check returns the value it was given, so that a check can stand where the value is used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any


def number(name: str, value: Any) -> float:
    """Check that ``value`` is a finite number (``True`` is not one)."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def positive(name: str, value: Any) -> float:
    """Check that ``value`` is a finite number above zero."""
    if number(name, value) <= 0:
        raise ValueError(f"{name} must be > 0, got {value!r}")
    return float(value)


def not_negative(name: str, value: Any) -> float:
    """Check that ``value`` is a finite number, zero or above."""
    if number(name, value) < 0:
        raise ValueError(f"{name} must be >= 0, got {value!r}")
    return float(value)


def share(name: str, value: Any) -> float:
    """Check that ``value`` is a number from 0 to 1."""
    if not 0 <= number(name, value) <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
    return float(value)


def count(name: str, value: Any, *, least: int = 1) -> int:
    """Check that ``value`` is a whole number, at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
    return int(value)


def choice(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Check that ``value`` is one of the words in ``allowed``."""
    if value not in allowed:
        words = ", ".join(map(repr, allowed[:-1])) + f" or {allowed[-1]!r}"
        raise ValueError(f"{name} must be {words}, got {value!r}")
    return str(value)


def kind(name: str, value: Any, wanted: type | tuple[type, ...]) -> None:
    """Check that ``value`` is a ``wanted`` or ``None``."""
    if value is not None and not isinstance(value, wanted):
        kinds = wanted if isinstance(wanted, tuple) else (wanted,)
        words = ", ".join(f"a {one.__name__}(...)" for one in kinds)
        raise ValueError(f"{name} must be {words} or None, got {value!r}")


def series(name: str, values: Any, wanted: type) -> tuple[Any, ...]:
    """Check that ``values`` is one ``wanted`` or several; return them as a tuple."""
    found = tuple(values) if isinstance(values, Iterable) else (values,)
    if not all(isinstance(value, wanted) for value in found):
        raise ValueError(f"{name} must be a list of {wanted.__name__}(...), got {values!r}")
    return found
