"""Print the tables of the datasheet of code-exhibit: ``python data/collect/code_exhibit_facts.py data/code-exhibit``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from toolkit.exhibits import REQUESTS, ratios

FORMS = ("direct", "layered")


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table whose first column is text and the rest numbers."""
    lines = [list(head), ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def size_table(folder: Path) -> str:
    """Return what each form is made of."""
    sizes = pd.read_csv(folder / "sizes.csv", index_col="form").T
    return markdown(["", *FORMS], [[name, *row] for name, row in sizes[list(FORMS)].iterrows()])


def race_table(folder: Path) -> str:
    """Return the median of each figure and form, and their ratio with its range."""
    race = pd.read_csv(folder / "race.csv")
    medians = race.groupby("form").median()
    rows = [
        [
            name,
            *(_short(medians.loc[form, name]) for form in FORMS),
            f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})",
        ]
        for name, ratio in ratios(race).iterrows()
    ]
    return markdown(["", *FORMS, "layered / direct, and its range"], rows)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def change_table(folder: Path) -> str:
    """Return what each request takes: direct and layered, with a stroke between."""
    table = pd.read_csv(folder / "changes.csv")
    names = ["files_edited", "files_new", "added", "removed", "places"]
    rows = [
        [
            request,
            *(
                " / ".join(str(value) for value in part.set_index("form").loc[list(FORMS), name])
                for name in names
            ),
        ]
        for request, part in table.groupby("request", sort=False)
    ]
    return markdown(["direct / layered", *(name.replace("_", " ") for name in names)], rows)


def request_lines() -> str:
    """Return what each request asks for."""
    return "\n".join(f"- `{name}`: {text}" for name, text in REQUESTS.items())


def fault_table(folder: Path) -> str:
    """Return how many faults there are, who catches them, and how soon."""
    faults = pd.read_csv(folder / "faults.csv").query("sort != 'none'")
    rows = []
    for name, part in [(form, faults[faults["form"] == form]) for form in FORMS]:
        caught = part[part["caught"].isin(["shared", "time"])]
        counts = part["caught"].value_counts()
        seen = [counts.get(who, 0) for who in ("shared", "time", "import", "own", "no")]
        rows.append(
            [
                name,
                len(part),
                *seen,
                f"{caught['tests'].median():.0f}",
                f"{caught['tests'].mean():.1f}",
                f"{caught['cpu_ms'].median():.0f}",
            ]
        )
    head = ["", "faults", "shared tests", "time-out", "import", "own tests only", "nobody"]
    return markdown(
        [*head, "tests to the first that fails, median", "mean", "CPU ms, median"], rows
    )


def dependency_table(folder: Path) -> str:
    """Return what the dependencies that everybody needs cost."""
    costs = pd.read_csv(folder / "dependencies.csv").query("`for` == 'run'")
    rows = [
        [
            row.dependency,
            f"{row.own_mb:.1f}",
            f"{row.brings:.0f}",
            f"{row.with_all_mb:.1f}",
            f"{row.shared:.0f}",
            f"{row.frees_mb:.1f}",
            f"{row.import_ms:.0f} ({row.import_low_ms:.0f} to {row.import_high_ms:.0f})",
        ]
        for row in costs.itertuples()
    ]
    head = [
        "",
        "own MB",
        "brings",
        "MB with all",
        "of these shared",
        "MB freed without it",
        "import, ms",
    ]
    return markdown(head, rows)


TABLES = (size_table, race_table, change_table, fault_table, dependency_table)

if __name__ == "__main__":
    print(*(table(Path(sys.argv[1])) for table in TABLES), request_lines(), sep="\n\n")
