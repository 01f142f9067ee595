"""Print the tables of the datasheet of kernel-lab: ``python data/collect/kernel_lab_facts.py data/kernel-lab``."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

BACKENDS = {"host": "this machine", "microvm": "micro-VM"}


def spread(values: pd.Series) -> str:
    """Return the median and the range."""
    return f"{values.median():.0f} ({values.min():.0f} to {values.max():.0f})"


def ladder_table(folder: Path) -> str:
    """Return nanoseconds a packet on every rung, sender included."""
    tables = {name: pd.read_csv(folder / f"ladder-{name}.csv").groupby("rung") for name in BACKENDS}
    lines = ["| refused at | " + " | ".join(BACKENDS.values()) + " |", "| --- | ---: | ---: |"]
    for rung in pd.read_csv(folder / "ladder-host.csv")["rung"].unique():
        cells = [spread(table.get_group(rung)["ns"]) for table in tables.values()]
        lines.append(f"| {rung} | {' | '.join(cells)} |")
    return "\n".join(lines)


def update_table(folder: Path) -> str:
    """Return what each form of the limiter costs a packet that passes, and lets through too many."""
    lines = ["| form | ns, this machine | ns, micro-VM | over, this machine | over, micro-VM |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for update in ("swap", "racy", "locked"):
        cells = []
        for kind, column in (("cost", "ns"), ("race", "over")):
            for name in BACKENDS:
                table = pd.read_csv(folder / f"{kind}-{name}.csv").query("update == @update")
                if kind == "cost":
                    table = table.query("case == 'passed'")
                cells.append(spread(table[column]))
        lines.append(f"| {update} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    print(ladder_table(place), update_table(place), sep="\n\n")
