"""Gatling's text ``simulation.log``, as written up to version 3.12.

One event a line, TAB between the cells: RUN, USER, REQUEST, GROUP, ERROR, ASSERTION.
This module takes the lines apart by kind and keeps the books of what was left out;
``gatling_rows`` knows the cells.

Lines are written when something ends, so the last line of a killed run is often half a line.

Source: gatling/gatling, ``LogFileDataWriter.scala`` and ``LogFileReader.scala`` at the tags.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from toolkit.loadtest.lines import Lines
from toolkit.loadtest.readers import gatling_rows as rows
from toolkit.loadtest.schema import LoadTest, tidy

if TYPE_CHECKING:
    from toolkit.loadtest.source import Source

TOOL = "gatling"
NAME = "Gatling text log up to 3.12 (simulation.log)"

_KINDS = ("RUN", "ASSERTION", "USER", "REQUEST", "GROUP", "ERROR")


def recognises(head: bytes) -> bool:
    """Say whether a file that begins so is a Gatling text log."""
    cells = head.split(b"\n", 1)[0].rstrip(b"\r").split(b"\t")
    return cells[0] in (b"RUN", b"ASSERTION") or cells[2:3] == [b"RUN"]


def read(source: Source) -> LoadTest:
    """Read the file; raises ``LoadTestError`` when a line breaks the format."""
    events, notes = _by_kind(source)
    if not events["REQUEST"]:
        raise source.error("there is no REQUEST line; did the test run?")
    requests, dropped = rows.requests(source, events["REQUEST"])
    if requests.empty:
        raise source.error("no request was ever answered (all are unmatched)")
    frames = [requests]
    if events["GROUP"]:
        frames.append(rows.groups(source, events["GROUP"]))
    # Both are indexed by line, so this is the order of the file again.
    everything = pd.concat(frames).sort_index().reset_index(drop=True)
    return LoadTest(
        requests=tidy({str(name): column for name, column in everything.items()}),
        tool=TOOL,
        version=_version(events["RUN"]),
        warnings=(*source.warnings, *notes, *dropped, *_errors(events["ERROR"])),
        source=source.name,
        users=rows.users(source, events["USER"]) if events["USER"] else None,
    )


def _by_kind(source: Source) -> tuple[dict[str, Lines], list[str]]:
    """Return the lines of each kind with their numbers, and warnings about the other ones."""
    text = source.data.decode(source.encoding).replace("\r\n", "\n")
    lines = text.rstrip("\n").split("\n")
    old = lines[0].split("\t")[2:3] == ["RUN"]
    notes = []
    if not _whole(_kind_first(lines[-1]) if old else lines[-1], ended=text.endswith("\n")):
        notes = [f"line {len(lines)}: the last line is cut short and was dropped"]
        lines.pop()
    events: dict[str, Lines] = {kind: {} for kind in _KINDS}
    strange: Lines = {}
    for number, line in enumerate(lines, start=1):
        event = _kind_first(line) if old else line
        kind = event.partition("\t")[0]
        # 2.2 and 2.3 write errors under the name GROUP; only the number of cells differs.
        if kind == "GROUP" and event.count("\t") == 2:
            kind = "ERROR"
        events.get(kind, strange)[number] = event
    return events, notes + _oddities(events, {n: x for n, x in strange.items() if x.strip()})


def _kind_first(line: str) -> str:
    """Bring a line of 2.0 or 2.1, whose kind is the third cell, to the later order."""
    cells = line.split("\t")
    return "\t".join([*cells[2:3], *cells[:2], *cells[3:]])


def _whole(line: str, *, ended: bool) -> bool:
    """Say whether the last line is complete; without its line end only a status proves it."""
    if line.startswith("REQUEST\t"):
        return rows.status_place(line.split("\t"), times=2) is not None
    return ended


def _oddities(events: dict[str, Lines], strange: Lines) -> list[str]:
    notes = []
    if len(events["RUN"]) != 1:
        notes.append(f"there are {len(events['RUN'])} RUN lines instead of one: read as one test")
    if strange:
        first = next(iter(strange))
        notes.append(
            f"{len(strange)} lines of an unknown kind were skipped, the first is line {first}: "
            f"{strange[first][:60]!r}"
        )
    return notes


def _version(run: Lines) -> str | None:
    """Take Gatling's version from the RUN line: its last cell that looks like one."""
    for line in run.values():
        cells = [cell for cell in line.split("\t") if re.fullmatch(r"\d+(\.\d+)+\S*", cell)]
        # Every 2.x writes the constant 2.0, the version of the format.
        return "2.x" if cells[-1:] == ["2.0"] else next(reversed(cells), None)
    return None


def _errors(lines: Lines) -> list[str]:
    if not lines:
        return []
    first = next(iter(lines.values())).split("\t")[1].strip()
    return [f"{len(lines)} errors outside of requests, the first: {first}"]
