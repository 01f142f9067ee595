"""tsung's ``tsung.dump`` of ``dumptraffic="protocol"``: a line an HTTP request, 13 cells.

The cells stand between semicolons and are never quoted, but a URL may hold semicolons of its own.
So a line with too many is taken apart around its middle: behind the URL come the status, the size
and the duration, which look like nothing else.

``date`` is when the answer was complete, in seconds with microseconds; ``duration``, in ms, begins
before the connection is opened, if there was none.  ``id`` is the user, ``size`` has the headers in
it.  An answer that breaks off is complete for tsung: it has its status, and only its size tells.
``protocol_local`` writes the same lines on each client, without a header and without errors.

Source: processone/tsung 1.7.0, ``ts_http.erl``, ``ts_mon.erl``, ``ts_mon_cache.erl``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from toolkit.loadtest.lines import Lines, checks, numbered, table
from toolkit.loadtest.schema import LoadTest, span, tidy
from toolkit.loadtest.source import Source

TOOL = "tsung"
NAME = 'tsung.dump of dumptraffic="protocol"'

_HEADER = "#date;pid;id;http method;host;URL;HTTP status;size;duration;transaction;match;error;tag"
_NAMES = _HEADER[1:].split(";")
_PLACES = {name: place for place, name in enumerate(_NAMES) if name not in ("pid", "host")}
_NUMBERS = ("date", "size", "duration")
_NO_STATUS = "error_no_http_status"
_ROW = re.compile(
    r"([^;]*);" * 5 + rf"(.*?);(\d{{3}}|{_NO_STATUS});(\d+);([\d.]+);" + r"([^;]*);" * 3 + "(.*)"
)
_BEGIN = re.compile(rb"\s*(#date;pid;|\d[\d.e+]*;<\d+\.\d+\.\d+>;\d+;)")  # 1.8e9 is a time, too
_SUMMARIES = "this is tsung.log, which sums up every 10 s and has no requests"
_TRAFFIC = "this dump has what was sent and received, but not how long it took"
_OTHERS = (
    (re.compile(rb"# stats: dump at \d"), _SUMMARIES),
    (re.compile(rb'\{\s*"stats": \[\s*\{"timestamp": \d+,\s*"samples": \['), _SUMMARIES),
    (re.compile(rb"(NewClient|EndClient|Send|Recv|load):"), _TRAFFIC),
)
_REMEDY = 'set dumptraffic="protocol" in the <tsung> tag of the scenario, run it again and read tsung.dump'


def recognises(head: bytes) -> bool:
    """Say whether a file that begins so is a dump of requests, or one of tsung's to refuse."""
    return _BEGIN.match(head) is not None or _other(head) is not None


def read(source: Source) -> LoadTest:
    """Read the file; raises ``LoadTestError`` when a line breaks the format."""
    if (problem := _other(source.head)) is not None:
        raise source.error(f"{problem}; {_REMEDY}")
    lines, notes = numbered(source)
    headers = _headers(source, lines)
    rows = {
        number: _tabbed(source, number, line)
        for number, line in lines.items()
        if not line.startswith("#")
    }
    if not rows:
        raise source.error("there is no request; did the test run? Only HTTP is dumped so")
    requests = _requests(source, rows)
    return LoadTest(
        requests=requests,
        tool=TOOL,
        version=None,
        warnings=(*source.warnings, *notes, *_doubts(headers, requests)),
        source=source.name,
    )


def _other(head: bytes) -> str | None:
    """Name what is wrong with a file of tsung's that has no requests."""
    return next((problem for begin, problem in _OTHERS if begin.match(head.lstrip())), None)


def _headers(source: Source, lines: Lines) -> int:
    """Count the header lines; raises ``LoadTestError`` for other columns than those of 1.7."""
    headers = {number: line for number, line in lines.items() if line.startswith("#")}
    for number, line in headers.items():
        if line != _HEADER:
            raise source.error(
                f"the columns must be those of tsung 1.7, {_HEADER}, got {line[:80]!r}", line=number
            )
    return len(headers)


def _tabbed(source: Source, number: int, line: str) -> str:
    """Return the 13 cells of a line with TABs between them."""
    if line.count(";") == len(_NAMES) - 1:
        return line.replace(";", "\t")
    if (found := _ROW.fullmatch(line)) is None:
        raise source.error(
            f"a line must have {len(_NAMES)} cells, among them HTTP status, size and duration one "
            f"behind the other, got {line[:80]!r}; remove the line",
            line=number,
        )
    return "\t".join(found.groups())


def _requests(source: Source, rows: Lines) -> pd.DataFrame:
    """Check every column and bring it to the schema."""
    raw = table(rows, _PLACES, text=[name for name in _PLACES if name not in _NUMBERS])
    cells = checks(source)
    end_s = cells.number(
        raw["date"], least=1e9, most=9e9, rule="seconds since the epoch (10 digits and a fraction)"
    )
    elapsed_ms = cells.duration(raw["duration"])
    # the file has whole microseconds: until 2106 floats are fine enough to find them again
    end_ns = (end_s * 1e6).round().astype("int64") * 1000
    words = {name: raw[name].astype("str") for name in _PLACES if name not in _NUMBERS}
    code, error = words["HTTP status"], words["error"]
    rule = f"a status of three digits or {_NO_STATUS}"
    status = cells.number(code.mask(code == _NO_STATUS, "0"), most=999, rule=rule, whole=True)
    asked = words["http method"].str.upper() + " " + words["URL"]
    requests = tidy(
        {
            **span(end_ns - (elapsed_ms * 1e6).round().astype("int64"), elapsed_ms),
            "label": words["tag"].mask(words["tag"] == "", asked),
            "group": words["transaction"].mask(words["transaction"] == "-", ""),
            "success": status.between(200, 399) & (error == ""),
            "code": code,
            "message": error.mask(error == "", words["match"]),
            "bytes": cells.count(raw["size"]),
            "thread": words["id"],
            "is_controller": False,
            "level": 0,
        }
    )
    return requests.reset_index(drop=True)


def _doubts(headers: int, requests: pd.DataFrame) -> Iterator[str]:
    yield (
        "requests that got no connection or timed out are not in the dump: "
        "tsung.log counts them (error_connect_..., timeout)"
    )
    if headers == 0:
        yield "there is no header line (protocol_local): protocol errors are not in the dump"
    if headers > 1:
        yield f"there are {headers} header lines instead of one: read as one test"
    if requests["message"].str.contains("match").any():
        yield (
            "success means a status of 2xx or 3xx and no protocol error: whether a match is good "
            "or bad is known to the scenario only (see message)"
        )
