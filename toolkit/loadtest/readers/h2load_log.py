"""h2load's ``--log-file``: a line a request, TAB between start, status and duration.

Start is in microseconds since the epoch, the duration in microseconds until the end of the answer,
the status -1 when the stream was reset.  h2load counts 2xx and 3xx as succeeded, and so do we.

Lines are in order of their end, nearly so with several threads.  h2load appends: a second run into
the same file stands behind the first, and nothing between them says so.

Source: nghttp2/nghttp2 1.52, ``src/h2load.cc``, ``Client::on_stream_close`` and ``rps_cb``.
"""

from __future__ import annotations

import re

import pandas as pd

from toolkit.loadtest.lines import checks, numbered, table
from toolkit.loadtest.schema import LoadTest, span, tidy
from toolkit.loadtest.source import Source

TOOL = "h2load"
NAME = "h2load --log-file"

LABEL = "request"  # of every request, as the file names none

_PLACES = {"start": 0, "status": 1, "duration": 2}  # "more columns may be added later" (h2load(1))
_LINE = re.compile(rb"\s*\d{16}\t(-1|\d{1,3})\t\d+\s")
_NO_NAMES = f"h2load's log has no names and no sizes: every request is labelled {LABEL!r}"
_NO_ANSWER = (
    "requests that got no answer (refused or closed connections, time-outs) are not in the log: "
    "h2load itself counts them as errored, together with the resets (-1) that are in it"
)
_NO_PACE = (
    "a client has at most -m requests under way, one as shipped, with --rps too: a slow answer "
    "holds back those behind it, and how long is not in the log (coordinated omission)"
)


def recognises(head: bytes) -> bool:
    """Say whether a file that begins so is a log of h2load."""
    return _LINE.match(head) is not None


def read(source: Source) -> LoadTest:
    """Read the file; raises ``LoadTestError`` when a line breaks the format."""
    lines, notes = numbered(source)
    return LoadTest(
        requests=_requests(source, table(lines, _PLACES, text=())),
        tool=TOOL,
        version=None,
        warnings=(*source.warnings, *notes, _NO_NAMES, _NO_ANSWER, _NO_PACE),
        source=source.name,
    )


def _requests(source: Source, raw: pd.DataFrame) -> pd.DataFrame:
    """Check every column and bring it to the schema."""
    cells = checks(source)
    rule = "microseconds since the epoch (16 digits)"
    start_us = cells.number(raw["start"], least=1e15, most=9e15, rule=rule, whole=True)
    rule = "-1 or a status of three digits"
    status = cells.number(raw["status"], least=-1, most=999, rule=rule, whole=True)
    rule = "a whole number of microseconds up to 1e14"
    elapsed_us = cells.number(raw["duration"], most=1e14, rule=rule, whole=True)
    values = {
        **span(start_us * 1000, elapsed_us / 1000),
        "label": LABEL,
        "success": status.between(200, 399),
        "code": status,
        "is_controller": False,
        "level": 0,
    }
    return tidy(values).reset_index(drop=True)
