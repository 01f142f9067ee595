"""Both forms in one table: for everything that is counted or measured, layered over direct."""

from __future__ import annotations

import pandas as pd

from toolkit.exhibits.changes import change_table
from toolkit.exhibits.faults import fault_table
from toolkit.exhibits.racing import ratios
from toolkit.exhibits.sizes import size_table

_SIZES = {
    "code_lines": "lines of code",
    "branches": "branches",
    "functions_a_job": "functions that one job goes through",
    "deepest_stack": "deepest stack of calls",
}
_TIMES = {
    "p50_us": "time of one job, p50",
    "p99_us": "time of one job, p99",
    "set_up_us": "time to set up a run",
    "ready_ms": "time to import and be ready",
}


def compared(race: pd.DataFrame) -> pd.DataFrame:
    """Return layered over direct: ``median``, ``low`` and ``high``, a row a figure, less is better in all.

    ``race`` is what ``race`` or ``measured("race")`` returned; the rest is counted from the sources and
    has one value.  Changes count the lines added and removed, and the places in existing code.
    """
    sizes = size_table()
    rows = {say: _ratio(sizes[name]) for name, say in _SIZES.items()}
    rows["places for a fault"] = len(fault_table("layered")) / len(fault_table("direct"))
    changes = change_table().assign(lines=lambda table: table["added"] + table["removed"])
    for what in ("lines", "places"):
        for request, table in changes.groupby("request", sort=False):
            rows[f"{what} to change: {request}"] = _ratio(table.set_index("form")[what])
    counted = pd.DataFrame(dict.fromkeys(("median", "low", "high"), rows))
    return pd.concat([counted, ratios(race).loc[list(_TIMES)].rename(_TIMES)]).rename_axis("figure")


def _ratio(values: pd.Series) -> float:
    return float(values["layered"] / values["direct"])
