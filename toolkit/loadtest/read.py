"""From a file to a ``LoadTest``: find out which tool wrote it, and let that reader read it.

The first bytes decide, never the file's name: results are called ``results.csv``, ``log.txt`` or
``simulation (2).log.gz`` by the time somebody reads them.
A file that is not understood is refused in a sentence that says what was seen, what would have
been understood, and what to do.
"""

from __future__ import annotations

import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from toolkit.loadtest.readers import gatling_text, h2load_log, jmeter_csv, tsung_dump
from toolkit.loadtest.readers.jmeter_layout import REQUIRED
from toolkit.loadtest.source import Source, load

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from toolkit.errors import LoadTestError
    from toolkit.loadtest.schema import LoadTest


class _Reader(Protocol):
    """What every module in ``readers`` has."""

    @property
    def TOOL(self) -> str: ...  # noqa: N802  a constant of the module

    @property
    def NAME(self) -> str: ...  # noqa: N802

    def recognises(self, head: bytes) -> bool: ...

    def read(self, source: Source) -> LoadTest: ...


_READERS: tuple[_Reader, ...] = (jmeter_csv, gatling_text, h2load_log, tsung_dump)


def read_loadtest(
    path: str | os.PathLike[str],
    *,
    tool: str = "auto",
    tz: str = "UTC",
    timestamp: str = "start",
    columns: Sequence[str] | None = None,
) -> LoadTest:
    """Read the result file of a load test; ``.gz`` is unpacked.

    ``tool`` is ``"auto"`` (look at the file), ``"jmeter"``, ``"gatling"``, ``"h2load"`` or ``"tsung"``.
    ``tz`` is the zone of times that carry none, such as ``"Europe/Berlin"``; epoch times need none.
    ``timestamp`` says whether JMeter's ``timeStamp`` is the ``"start"`` of a sample (as shipped) or
    its ``"end"`` (``sampleresult.timestamp.start=false``).
    ``columns`` names the columns of a JMeter CSV without header line.

    Returns a ``LoadTest``; ``.requests`` has the columns of ``schema.COLUMNS``, and ``.warnings``
    lists every guess.  Raises ``LoadTestError`` for a file that cannot be read, ``ValueError`` for
    an argument that makes no sense.
    """
    _check_arguments(tool, tz, timestamp)
    names = None if columns is None else tuple(columns)
    source = load(Path(path), tz=tz, timestamp=timestamp, columns=names)
    reader = _reader_of(source, tool)
    if reader is not jmeter_csv and (timestamp != "start" or columns is not None):
        raise ValueError(f"timestamp= and columns= are for JMeter; {reader.NAME} needs neither")
    return reader.read(source)


def _check_arguments(tool: str, tz: str, timestamp: str) -> None:
    tools = ["auto", *(reader.TOOL for reader in _READERS)]
    if tool not in tools:
        raise ValueError(f"tool must be one of {', '.join(tools)}, got {tool!r}")
    if timestamp not in ("start", "end"):
        raise ValueError(f"timestamp must be start or end, got {timestamp!r}")
    try:
        zoneinfo.ZoneInfo(tz)
    except (ValueError, OSError, KeyError):  # not found is a KeyError, a folder of zones an OSError
        raise ValueError(
            f"tz must be a time zone such as UTC or Europe/Berlin, got {tz!r}"
        ) from None


def _reader_of(source: Source, tool: str) -> _Reader:
    """Return the reader of the file, or raise what says why there is none."""
    if reason := _unsupported(source.head):
        raise source.error(reason)
    if tool == "auto" and source.columns is not None:
        tool = jmeter_csv.TOOL  # a file of cells alone could be anything; its columns were named
    readers = [reader for reader in _READERS if tool in ("auto", reader.TOOL)]
    found = next((reader for reader in readers if reader.recognises(source.head)), None)
    if found is not None:
        return found
    if tool == "auto" or _is_binary(source.head):
        raise _unknown(source)
    return readers[0]  # the user insists: its own error says what it misses


def _unsupported(head: bytes) -> str | None:
    """Name the formats that are known but not read, each with the way around it."""
    if head.lstrip().startswith((b"<?xml", b"<testResults")):
        return (
            "an XML result file of JMeter is not supported yet; "
            "set jmeter.save.saveservice.output_format=csv and run again"
        )
    if head[:1] == b"\0":
        length = int.from_bytes(head[1:5], "big")
        version = head[5 : 5 + length].decode("latin-1")
        if 0 < length < 40 and version[:1].isdigit():
            return (
                f"a binary log of Gatling {version} is not supported yet; "
                "run the simulation with Gatling 3.12, the last version that writes text"
            )
    return None


def _is_binary(head: bytes) -> bool:
    return b"\0" in head


def _unknown(source: Source) -> LoadTestError:
    supported = "; ".join(reader.NAME for reader in _READERS)
    if _is_binary(source.head):
        seen = f"it is binary and begins with {source.head[:8].hex(' ')}"
    else:
        line = source.head.lstrip().split(b"\n", 1)[0].decode("utf-8", errors="replace").rstrip()
        missing = ", ".join(name for name in REQUIRED if name not in line)
        seen = f"its first line is {line[:60]!r}"
        seen += f" (a JMeter CSV would also have {missing})" if missing else ""
    return source.error(
        f"this is in no format that can be read: {seen}.\nSupported are: {supported}"
    )
