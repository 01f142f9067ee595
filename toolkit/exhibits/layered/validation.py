"""The rules for the fields of a job line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from toolkit.exhibits.layered.interfaces import Validator


class TextValidator(Validator):
    """A field must be a text, and not empty."""

    def __init__(self, name: str) -> None:
        self._name = name

    def check(self, fields: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` with the rule where it is broken."""
        value = fields.get(self._name)
        if not isinstance(value, str) or not value:
            raise ValueError(f"{self._name} must be a text, and not empty")


class KindValidator(Validator):
    """A job's kind must be one that has a price."""

    def __init__(self, kinds: Collection[str]) -> None:
        self._kinds = kinds

    def check(self, fields: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` with the rule where it is broken."""
        kind = fields.get("kind")
        if not isinstance(kind, str) or kind not in self._kinds:
            raise ValueError(f"kind must be one of {', '.join(self._kinds)}")


class SizeValidator(Validator):
    """A job's size must be a whole number of megabytes within bounds."""

    def __init__(self, most_mb: int) -> None:
        self._most_mb = most_mb

    def check(self, fields: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` with the rule where it is broken."""
        size_mb = fields.get("size_mb")
        if type(size_mb) is not int or not 1 <= size_mb <= self._most_mb:
            raise ValueError(f"size_mb must be a whole number from 1 to {self._most_mb}")
