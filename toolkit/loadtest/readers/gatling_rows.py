"""The cells of Gatling's events, whichever version wrote them.

The columns around the times moved from version to version, but a request's status has always
been ``OK`` or ``KO``, with times, name and groups right before it.  So the status is the anchor,
and one rule reads every version (2.0 lines have been brought to this order already)::

    3.4 to 3.12   REQUEST                    groups  name  start  end              OK  message
    3.0 to 3.3    REQUEST           user id  groups  name  start  end              OK  message
    2.2 and 2.3   REQUEST scenario  user id  groups  name  start  end              OK  message
    2.0 and 2.1   REQUEST scenario  user id  groups  name  start  sent  heard  end  OK  message

A group event has its cumulated response time between the end and the status; the words that
anchor a user event are ``START`` and ``END``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from toolkit.loadtest.lines import Lines, checks, table
from toolkit.loadtest.schema import span

if TYPE_CHECKING:
    from toolkit.loadtest.source import Source

_UNMATCHED = -(2**63)  # the end of a request whose answer never came: Scala's Long.MinValue
_TEXT = ("groups", "name", "user", "status", "message", "scenario", "event")


def status_place(cells: list[str], *, times: int) -> int | None:
    """Return where the status stands: OK or KO behind so many whole numbers."""
    for place in range(times + 2, len(cells)):
        numbers = cells[place - times : place]
        if cells[place] in ("OK", "KO") and all(n.lstrip("-").isdigit() for n in numbers):
            return place
    return None


def requests(source: Source, lines: Lines) -> tuple[pd.DataFrame, list[str]]:
    """Return the requests in the columns of the schema, indexed by line; and warnings."""
    at = _anchor(source, lines, times=2)
    start = at - 4 if _is_old(source) else at - 2
    places = {"groups": start - 2, "name": start - 1, "start": start, "end": at - 1}
    places |= {"status": at, "message": at + 1}
    if start > 3:
        places["user"] = start - 3
    raw = table(lines, places, text=_TEXT)
    unmatched = pd.to_numeric(raw["end"], errors="coerce") == _UNMATCHED
    dropped = int(unmatched.sum())
    notes = [f"{dropped} requests without an answer (unmatched) were dropped"] if dropped else []
    raw = raw[~unmatched]
    if raw.empty:
        return pd.DataFrame(), notes
    frame = _common(source, raw).assign(label=raw["name"], is_controller=False)
    frame["group"] = raw["groups"].astype("str").str.replace(",", " / ")
    frame["message"] = raw["message"].astype("str").str.strip()  # a lone space means none
    return (frame.assign(thread=raw["user"]) if "user" in raw else frame), notes


def groups(source: Source, lines: Lines) -> pd.DataFrame:
    """Return the groups as controllers: named by the innermost, inside the ones around it."""
    at = _anchor(source, lines, times=3)
    raw = table(lines, {"groups": at - 4, "start": at - 3, "end": at - 2, "status": at}, text=_TEXT)
    path = raw["groups"].astype("str").str.rpartition(",")
    frame = _common(source, raw).assign(label=path[2], is_controller=True, message="")
    frame["group"] = path[0].str.replace(",", " / ")
    return frame


def users(source: Source, lines: Lines) -> pd.DataFrame:
    """Return when virtual users started and ended: time, event, scenario."""
    number, line = next(iter(lines.items()))
    cells = line.split("\t")
    at = next((i for i in range(2, len(cells)) if cells[i] in ("START", "END")), None)
    if at is None:
        raise source.error("a USER line must have START or END", line=number)
    # Before 3.4 an END line repeats the start first.
    raw = table(lines, {"scenario": 1, "event": at, "start": at + 1, "end": at + 2}, text=_TEXT)
    event = raw["event"].astype("str")
    late = raw["end"].astype("str")
    raw["time"] = raw["start"].astype("str").mask((event == "END") & (late != ""), late)
    time, _ = checks(source).instants(raw["time"])
    frame = pd.DataFrame({"time": pd.to_datetime(time, unit="ns", utc=True)})
    frame["event"] = event.str.lower()
    frame["scenario"] = raw["scenario"].astype("str")
    return frame.reset_index(drop=True)


def _common(source: Source, raw: pd.DataFrame) -> pd.DataFrame:
    """Return what requests and groups share: times, success, level."""
    cells = checks(source)
    bad = ~raw["status"].isin(["OK", "KO"])
    if bad.any():
        line = int(bad.idxmax())
        found = str(raw["status"][line])
        raise source.error(
            f"the status must be OK or KO in the same cell as before, got {found!r}; "
            "remove the line",
            line=line,
        )
    start, _ = cells.instants(raw["start"])
    end, _ = cells.instants(raw["end"])
    elapsed_ms = cells.duration(((end - start) / 1e6).rename("end - start"))
    success = raw["status"] == "OK"
    return pd.DataFrame({**span(start, elapsed_ms), "success": success, "level": 0})


def _anchor(source: Source, lines: Lines, *, times: int) -> int:
    number, line = next(iter(lines.items()))
    place = status_place(line.split("\t"), times=times)
    if place is None:
        kind = line.partition("\t")[0]
        raise source.error(
            f"a {kind} line must have OK or KO behind {times} whole numbers; this layout is of "
            "no Gatling version from 2.0 to 3.12",
            line=number,
        )
    return place


def _is_old(source: Source) -> bool:
    return source.head.split(b"\n", 1)[0].split(b"\t")[2:3] == [b"RUN"]
