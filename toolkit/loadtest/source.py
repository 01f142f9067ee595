"""A load-test file, opened: its bytes, how they are encoded, and how to complain about them.

Readers never touch the file system and never word an error from scratch.  They get a ``Source``,
and raise what ``Source.error`` makes, so every message begins with the file and, where there
is one, the line.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import LoadTestError

HEAD_BYTES = 65_536  # what a reader sees to recognise a format; a header line always fits

_GZIP_MAGIC = b"\x1f\x8b"
_UTF8_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The unpacked bytes of a file and what the user said about them.

    ``tz``, ``timestamp`` and ``columns`` are the arguments of ``read_loadtest``.
    """

    name: str
    data: bytes
    encoding: str
    warnings: tuple[str, ...]
    tz: str
    timestamp: str
    columns: tuple[str, ...] | None

    @property
    def head(self) -> bytes:
        """The first bytes."""
        return self.data[:HEAD_BYTES]

    def error(self, problem: str, *, line: int | None = None) -> LoadTestError:
        """Make the error that says what is wrong with this file."""
        place = self.name if line is None else f"{self.name}, line {line}"
        return LoadTestError(f"{place}: {problem}")


def load(path: Path, *, tz: str, timestamp: str, columns: tuple[str, ...] | None) -> Source:
    """Open a file: undo gzip, remove a byte-order mark, find the encoding.

    Raises ``LoadTestError`` when there is no such file, or nothing in it.
    """
    data = _unpacked(path, _bytes(path)).removeprefix(_UTF8_BOM)
    if not data.strip():
        raise LoadTestError(f"{path}: the file is empty; did the test run to its end?")
    encoding, warnings = _encoding(data)
    return Source(
        name=str(path),
        data=data,
        encoding=encoding,
        warnings=warnings,
        tz=tz,
        timestamp=timestamp,
        columns=columns,
    )


def _encoding(data: bytes) -> tuple[str, tuple[str, ...]]:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        note = f"line {line} is not UTF-8: the file was read as Latin-1, so look at the labels"
        return "latin-1", (note,)
    return "utf-8", ()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise LoadTestError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise LoadTestError(
            f"{path}: this is a folder; name the file in it, such as results.jtl, simulation.log or "
            "tsung.dump"
        ) from None
    except OSError as error:
        raise LoadTestError(f"{path}: cannot be opened: {error.strerror}") from None


def _unpacked(path: Path, data: bytes) -> bytes:
    # The first bytes decide, not the name: downloads lose and gain `.gz` on their way.
    if not data.startswith(_GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise LoadTestError(
            f"{path}: the gzip data is damaged ({error}); copy the file again or unpack it by hand"
        ) from None
