"""Which column is which in a JMeter CSV file.

Since 3.0 a file says so itself in a header line.  Older ones do not, but wrote one of two
fixed sets of columns unless somebody changed the settings, so the number of columns and the
type of three of them tell which.  Anything else the user must name.
Source: apache/jmeter, ``CSVSaveService.java`` and ``bin/jmeter.properties`` at the tags.
"""

from __future__ import annotations

import csv
import io

from toolkit.loadtest.records import Layout

DELIMITERS = (",", "\t", ";", "|")
REQUIRED = ("timeStamp", "elapsed", "label", "success")

_SINCE_2_3 = (
    "timeStamp", "elapsed", "label", "responseCode", "responseMessage",
    "threadName", "dataType", "success", "bytes", "Latency",
)  # fmt: skip
_SINCE_2_12 = (*_SINCE_2_3[:9], "grpThreads", "allThreads", "Latency")
_HEADERLESS = {10: ("2.3 to 2.11", _SINCE_2_3), 12: ("2.12 and 2.13", _SINCE_2_12)}
_KNOWN = {
    *_SINCE_2_12,
    "failureMessage", "sentBytes", "URL", "Filename", "Encoding",
    "SampleCount", "ErrorCount", "Hostname", "IdleTime", "Connect",
}  # fmt: skip


def header(head: str) -> Layout | None:
    """Return the layout that a header line gives; ``None`` when the first line is no header."""
    found = [Layout(d, tuple(first_cells(head, d)), has_header=True) for d in DELIMITERS]
    best = max(found, key=_known_names)
    # One known name may be chance ("label", "bytes"); a file of two known names is ours to read
    # or to refuse with the names that are missing.
    return best if _known_names(best) >= 2 else None


def headerless(head: str) -> tuple[Layout, str] | None:
    """Return the layout of a file without header and the versions that write it so."""
    for delimiter in DELIMITERS:
        cells = first_cells(head, delimiter)
        versions, names = _HEADERLESS.get(len(cells), ("", ()))
        if names and cells[0].isdigit() and cells[1].isdigit() and cells[7] in ("true", "false"):
            return Layout(delimiter, names, has_header=False), versions
    return None


def named(head: str, columns: tuple[str, ...]) -> Layout | None:
    """Return the layout of a file without header whose columns the user has named."""
    for delimiter in DELIMITERS:
        if len(first_cells(head, delimiter)) == len(columns):
            return Layout(delimiter, columns, has_header=False)
    return None


def first_cells(head: str, delimiter: str) -> list[str]:
    """Return the cells of the first record; none when it cannot be read."""
    try:
        return next(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter), [])
    except csv.Error:
        return []


def _known_names(layout: Layout) -> int:
    return len(_KNOWN.intersection(layout.names))
