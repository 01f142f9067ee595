"""Text with one record a line: nothing is quoted, and no record spans lines.

Such files are written line by line while a test runs, so whatever stops the writer (a kill, a full
disk, a copy that broke off) leaves half a line at the end.  Half a number looks like a smaller
number, so a last line without its line end is dropped; anything wrong earlier is an error.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping

import pandas as pd

from toolkit.loadtest.cells import Cells
from toolkit.loadtest.source import Source

Lines = dict[int, str]  # line number -> line


def numbered(source: Source) -> tuple[Lines, list[str]]:
    """Return the lines that are not blank by their number, from 1, and what was dropped.

    Raises ``LoadTestError`` when not even the first line is complete.
    """
    text = source.data.decode(source.encoding).replace("\r\n", "\n")
    *lines, unfinished = text.split("\n")
    found = {number: line for number, line in enumerate(lines, start=1) if line.strip()}
    if not found:
        raise source.error("there is no complete line; did the test run?")
    if not unfinished.strip():
        return found, []
    return found, [f"line {len(lines) + 1}: the last line is cut short and was dropped"]


def table(lines: Lines, places: Mapping[str, int], *, text: Collection[str]) -> pd.DataFrame:
    """Return the cells at the places, between TABs, indexed by line number; absent ones are ''.

    ``text`` columns come as categories of str, the others as whatever pandas takes them for.
    """
    columns = {str(place): name for name, place in places.items()}
    header = "\t".join(map(str, range(max(places.values()) + 1)))
    frame = pd.read_csv(
        io.BytesIO("\n".join([header, *lines.values()]).encode()),
        sep="\t",
        usecols=list(columns),
        index_col=False,
        # as str first: what could be a number would become one as a category
        dtype={str(places[name]): str for name in text if name in places},
        quoting=3,  # csv.QUOTE_NONE: these tools never quote
        lineterminator="\n",
        keep_default_na=False,
        low_memory=False,
    ).rename(columns=columns)
    frame = frame.astype({name: "category" for name in text if name in places})
    return frame.set_axis(pd.Index(list(lines)), axis="index")


def checks(source: Source) -> Cells:
    """Return the checks for such a table: its index is the line number already."""
    return Cells(source, lambda line: line)
