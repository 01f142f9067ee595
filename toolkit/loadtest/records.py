"""Delimited text, one record a row, when a record may span lines.

pandas reads a million rows in a second but cannot say where a row stood in the file.  Python's own
``csv`` can, slowly.  So pandas reads, and ``walk`` follows behind only when there is something
to complain about.

What this module mends is the one kind of damage that every killed test leaves behind: a last
record that was never finished.  Anything wrong earlier in the file is an error.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolkit.loadtest.source import Source

_OVERFLOW = "one column too many"


class Record(NamedTuple):
    """A record of a delimited file with the lines it stands on, counted from 1."""

    first_line: int
    last_line: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a delimited file is laid out: delimiter, column names in order, header line or none."""

    delimiter: str
    names: tuple[str, ...]
    has_header: bool


def walk(source: Source, layout: Layout) -> Iterator[Record]:
    """Yield every data record (no header, no blank lines).

    Raises ``csv.Error`` at a quote that is never closed.
    """
    lines = io.TextIOWrapper(io.BytesIO(source.data), encoding=source.encoding, newline="")
    reader = csv.reader(lines, delimiter=layout.delimiter, strict=True)
    if layout.has_header:
        next(reader)
    before = reader.line_num
    for cells in reader:
        if len(cells) > 1 or "".join(cells).strip():
            yield Record(before + 1, reader.line_num, cells)
        before = reader.line_num


def line_of(source: Source, layout: Layout, row: int) -> int:
    """Return the line on which data row ``row`` (from 0) begins."""
    return next(islice(walk(source, layout), row, None)).first_line


def table(
    source: Source, layout: Layout, *, text: Sequence[str], numbers: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Read the named columns that are there; return them and the warnings.

    ``text`` columns come as categories of str, where a million equal labels cost one string;
    ``numbers`` as whatever pandas takes them for, unchecked.
    A last record that was cut short is dropped; raises ``LoadTestError`` for any other bad shape.
    """
    wanted = [name for name in (*text, *numbers) if name in layout.names]
    last = layout.names[-1]
    try:
        frame = _parsed(source.data, source, layout, wanted, text)
        warnings: list[str] = []
    except pd.errors.ParserError:
        # With the columns given beforehand, an open quote is the only thing left to stumble on.
        data, warnings = _without_open_quote(source, layout)
        frame = _parsed(data, source, layout, wanted, text)
    _refuse_long_rows(source, layout, frame)
    # pandas pads a short row with empty cells, so only rows that end empty need a second look.
    if (frame[last].astype("str") == "").any():
        frame, dropped = _without_short_row(source, layout, frame)
        warnings += dropped
    elif not source.data.endswith((b"\n", b"\r")) and not warnings:
        warnings.append("the last line has no line end: it was kept, but it may be cut short")
    return frame[wanted], warnings


def _parsed(
    data: bytes, source: Source, layout: Layout, wanted: list[str], text: Sequence[str]
) -> pd.DataFrame:
    # A name may occur twice (a sample variable called "label"): the first is JMeter's own.
    places = {layout.names.index(name): name for name in [*wanted, layout.names[-1]]}
    places[len(layout.names)] = _OVERFLOW
    # A header line of our own, of plain numbers, with one column more than there should be.
    numbers = layout.delimiter.join(map(str, range(len(layout.names) + 1)))
    frame = pd.read_csv(
        io.BytesIO(numbers.encode() + b"\n" + data),
        sep=layout.delimiter,
        usecols=[str(place) for place in places],
        skiprows=[1] if layout.has_header else None,
        index_col=False,
        # as str first: what could be a number would become one as a category
        dtype={str(place): str for place, name in places.items() if name in text},
        keep_default_na=False,  # a label "null" or "NA" is a label
        low_memory=False,  # or a column's type would depend on the chunk
        encoding=source.encoding,
    )
    frame = frame.rename(columns={str(place): name for place, name in places.items()})
    return frame.astype({name: "category" for name in places.values() if name in text})


def _refuse_long_rows(source: Source, layout: Layout, frame: pd.DataFrame) -> None:
    overflow = frame[_OVERFLOW].astype("str").to_numpy() != ""
    if overflow.any():
        row = int(overflow.argmax())
        raise source.error(
            f"more than the {len(layout.names)} columns of the header; "
            f"a cell that contains {layout.delimiter!r} must stand in double quotes",
            line=line_of(source, layout, row),
        )


def _without_short_row(
    source: Source, layout: Layout, frame: pd.DataFrame
) -> tuple[pd.DataFrame, list[str]]:
    width, rows = len(layout.names), len(frame)
    for row, record in enumerate(islice(walk(source, layout), rows)):
        if len(record.cells) >= width:
            continue
        found = f"{len(record.cells)} of {width} columns"
        if row < rows - 1:
            raise source.error(
                f"the row has {found}; remove the line, or read the file up to it",
                line=record.first_line,
            )
        note = f"line {record.first_line}: the last row has {found} and was dropped"
        return frame.iloc[:-1], [note + " (was the test killed?)"]
    return frame, []


def _without_open_quote(source: Source, layout: Layout) -> tuple[bytes, list[str]]:
    """Cut off the last record, whose quote is never closed."""
    begin = 1 + int(layout.has_header)
    try:
        for record in walk(source, layout):
            begin = record.last_line + 1
    except csv.Error as error:
        lines = source.data.splitlines(keepends=True)
        if "unexpected end" not in str(error):
            raise source.error(f"cannot be read as a table: {error}", line=begin) from None
        note = f"lines {begin} to {len(lines)}: a quote is opened and never closed, dropped"
        return b"".join(lines[: begin - 1]), [note + " (was the test killed?)"]
    raise source.error("cannot be read as a table; are all quotes in pairs?")
