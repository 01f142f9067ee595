"""JMeter's CSV result file (JTL): a row a sample, a header line since 3.0.

Columns are found by name, in any order; which of them are there depends on some twenty switches
in ``jmeter.properties``.  Three traps are worth knowing:

* ``timeStamp`` is the start in the settings JMeter ships, but the end if somebody has set
  ``sampleresult.timestamp.start=false``; the file does not tell (``timestamp="end"``).
* a transaction controller has a row of its own beside its children's, or instead of them;
  nothing marks it but the wording of its response message.
* with the statistical sender one row can stand for many samples (``SampleCount``).

Source: apache/jmeter, ``CSVSaveService.java``, ``TransactionController.java``, ``report/core/Sample.java``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from toolkit.loadtest.cells import Cells
from toolkit.loadtest.readers import jmeter_layout
from toolkit.loadtest.readers.jmeter_controllers import CONTROLLER_MESSAGE, controller_notes
from toolkit.loadtest.records import Layout, line_of, table
from toolkit.loadtest.schema import LoadTest, span, tidy

if TYPE_CHECKING:
    from toolkit.loadtest.source import Source

TOOL = "jmeter"
NAME = "JMeter CSV (.jtl, .csv)"

_TEXT = ("label", "success", "responseCode", "responseMessage", "failureMessage", "threadName")
_DURATIONS = {"Latency": "latency_ms", "Connect": "connect_ms"}
_COUNTS = {"bytes": "bytes", "sentBytes": "sent_bytes", "allThreads": "active_threads"}
_NUMBERS = ("timeStamp", "elapsed", *_DURATIONS, *_COUNTS, "SampleCount", "IdleTime")
_SWITCHES = {
    "timeStamp": "timestamp_format=ms",
    "elapsed": "time=true",
    "label": "label=true",
    "success": "successful=true",
}


def recognises(head: bytes) -> bool:
    """Say whether a file that begins so is a JMeter CSV."""
    text = head.decode("latin-1")  # the names are ASCII; never fails
    return bool(jmeter_layout.header(text) or jmeter_layout.headerless(text))


def read(source: Source) -> LoadTest:
    """Read the file; raises ``LoadTestError`` for anything that would have to be invented."""
    layout, notes = _layout(source)
    raw, found = table(source, layout, text=_TEXT, numbers=_NUMBERS)
    if raw.empty:
        raise source.error("there is a header but no sample; did the test run?")
    cells = Cells(source, lambda row: line_of(source, layout, row))
    requests, noticed = _requests(source, raw, cells)
    if requests.empty:
        raise source.error("there is nothing but empty transaction controllers")
    warnings = (*source.warnings, *notes, *found, *noticed)
    return LoadTest(
        requests=requests, tool=TOOL, version=None, warnings=warnings, source=source.name
    )


def _layout(source: Source) -> tuple[Layout, list[str]]:
    head = source.head.decode(source.encoding, errors="ignore")  # the cut may split a character
    layout, notes = jmeter_layout.header(head), []
    if source.columns is not None:
        if layout is not None:
            raise source.error("columns= is for a file without header line; this one has one")
        layout = jmeter_layout.named(head, source.columns)
    elif layout is None and (guess := jmeter_layout.headerless(head)):
        layout, versions = guess
        notes = [f"there is no header line: read with the columns of JMeter {versions}"]
    if layout is None:
        raise source.error(_unknown_columns(source), line=1)
    missing = [name for name in jmeter_layout.REQUIRED if name not in layout.names]
    if missing:
        switches = " ".join(f"jmeter.save.saveservice.{_SWITCHES[name]}" for name in missing)
        raise source.error(f"no column {', '.join(missing)}; set {switches} and run again")
    return layout, notes


def _unknown_columns(source: Source) -> str:
    if source.columns is not None:
        return f"columns= has {len(source.columns)} names, but the first line has not so many cells"
    return (
        "no header line, and not the 10 or 12 columns of JMeter 2.x; "
        "pass columns=['timeStamp', 'elapsed', ...], a name for each cell"
    )


def _requests(source: Source, raw: pd.DataFrame, cells: Cells) -> tuple[pd.DataFrame, list[str]]:
    """Check every column and bring it to the schema; return the frame and warnings."""
    elapsed = cells.duration(raw["elapsed"])
    stamp, notes = cells.instants(raw["timeStamp"])
    if source.timestamp == "end":
        stamp = stamp - (elapsed * 1e6).round().astype("int64")
    values: dict[str, pd.Series | bool | int] = {**span(stamp, elapsed), "level": 0}
    values["label"] = raw["label"]
    values["success"] = cells.truth(raw["success"])
    values |= {to: cells.duration(raw[name]) for name, to in _DURATIONS.items() if name in raw}
    values |= {to: cells.count(raw[name]) for name, to in _COUNTS.items() if name in raw}
    values |= {"code": raw["responseCode"]} if "responseCode" in raw else {}
    values |= {"thread": raw["threadName"]} if "threadName" in raw else {}
    values |= _message(raw, values["success"])
    said = raw["responseMessage"] if "responseMessage" in raw else raw["label"].map(lambda _: "")
    values["is_controller"] = said.astype("str").str.startswith(CONTROLLER_MESSAGE)
    requests = tidy(values)
    requests, more = controller_notes(requests, raw)
    return requests, notes + _lumped(raw, cells) + more


def _message(raw: pd.DataFrame, success: pd.Series | bool) -> dict[str, pd.Series]:
    """Take the failed assertion's message where there is one: the response may say "OK" then."""
    if "failureMessage" not in raw:
        return {"message": raw["responseMessage"]} if "responseMessage" in raw else {}
    failure = raw["failureMessage"].astype("str")
    if "responseMessage" not in raw:
        return {"message": failure}
    return {
        "message": raw["responseMessage"].astype("str").mask(~success & (failure != ""), failure)
    }


def _lumped(raw: pd.DataFrame, cells: Cells) -> list[str]:
    if "SampleCount" not in raw:
        return []
    count = cells.count(raw["SampleCount"])
    rows, samples = int((count > 1).sum()), int(count[count > 1].sum())
    if not rows:
        return []
    note = f"{rows} rows stand for {samples} samples (SampleCount > 1) but count as one request "
    return [note + "each: counts and percentiles are wrong; set mode=Standard and run again"]
