"""How controls look: the names of all stand in one column, the handles in another."""

from __future__ import annotations

from typing import Any


def look(description: str, **more: Any) -> dict[str, Any]:
    """Return the arguments that every control gets, with its ``description``."""
    from ipywidgets import Layout  # noqa: PLC0415, widgets only in a notebook

    column = {"style": {"description_width": "140px"}, "layout": Layout(width="480px")}
    return {"description": description, **column, **more}
