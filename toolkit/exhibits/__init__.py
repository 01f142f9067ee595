"""Code as a design: one small job pipeline, written twice, counted, raced, changed and broken.

``direct`` is one module of functions, ``layered`` the same through interfaces, registry, event bus,
repositories and container; both keep the same tests.  This package shows what each costs and is good
at: ``size_table`` and ``change_table`` count, ``race`` measures here and now, ``measured`` reads what
was measured before (``data/code-exhibit``), and ``dependencies`` holds this project to its own rule.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from toolkit import _check
from toolkit.errors import ToolkitError
from toolkit.exhibits import direct, layered
from toolkit.exhibits.changes import REQUESTS, change_table, patch_text, patched
from toolkit.exhibits.comparison import compared
from toolkit.exhibits.faults import fault_table
from toolkit.exhibits.forms import FORMS, loaded, texts
from toolkit.exhibits.needs import dependencies
from toolkit.exhibits.racing import race, ratios
from toolkit.exhibits.sizes import size_table

__all__ = [
    "FORMS",
    "REQUESTS",
    "change_table",
    "compared",
    "dependencies",
    "direct",
    "fault_table",
    "layered",
    "loaded",
    "measured",
    "patch_text",
    "patched",
    "race",
    "ratios",
    "size_table",
    "texts",
]

FOLDER = Path(__file__).parents[2] / "data" / "code-exhibit"
TABLES = ("changes", "dependencies", "faults", "race", "sizes")


def measured(table: str) -> pd.DataFrame:
    """Read a table of the data set ``code-exhibit``: changes, dependencies, faults, race or sizes.

    Raises ``ValueError`` for another name, and ``ToolkitError`` where the data are not at hand.
    """
    _check.choice("table", table, TABLES)
    path = FOLDER / f"{table}.csv"
    if not path.is_file():
        raise ToolkitError(
            f"the table is not here: {path} is missing; it comes with the repository"
        )
    return pd.read_csv(path)
