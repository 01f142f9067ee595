"""A sweep's own file: what is finished is finished, whatever happens next.

The first line says which sweep it is, and every further one is a run.  Lines are only ever added,
each in one piece, so a kill costs at most the line that was being written.
JSON keeps a float as it is, to the last bit.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from toolkit.design import Design
from toolkit.experiments.work import Seen

DESIGNS = "SHA-256 of the designs"
"""The entry of a title that stands for what ``build`` made."""

Key = tuple[int, int]
"""A run's place in a sweep: the number of its point, and its replication."""


class Logbook:
    """The runs in a file, and more of them; ``title`` says which sweep it has to be of."""

    def __init__(self, path: str | Path, title: Mapping[str, Any]) -> None:
        self._path = Path(path)
        self._title = _line({"sweep": title})
        self._file: BinaryIO = self._path.open("a+b")
        try:
            self.seen = self._read(json.loads(self._title)["sweep"])
        except BaseException:
            self._file.close()
            raise

    def enter(self, key: Key, seen: Seen) -> None:
        """Add a run."""
        point, replication = key
        run = {"point": point, "replication": replication, **dataclasses.asdict(seen)}
        self._file.write(self._title + _line(run))
        self._title = b""  # it stands there now
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self, title: dict[str, Any]) -> dict[Key, Seen]:
        """Return the runs that are there, and drop a line that was cut off in writing."""
        self._file.seek(0)
        text = self._file.read()
        whole = text[: text.rfind(b"\n") + 1]
        if not whole and not self._title.startswith(text):
            raise ValueError(f"file must be that of a sweep, got {str(self._path)!r}")
        lines = [self._parsed(number, line) for number, line in enumerate(whole.splitlines(), 1)]
        if lines:
            self._check(lines[0].get("sweep"), title)
            self._title = b""
        self._file.truncate(len(whole))
        try:
            return {
                (run["point"], run["replication"]): Seen(run["figures"], tuple(run["warnings"]))
                for run in lines[1:]
            }
        except KeyError as error:
            raise ValueError(
                f"file must have a run in every line but the first, got one without {error} "
                f"in {str(self._path)!r}"
            ) from None

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            parsed = json.loads(line)
        except ValueError:
            parsed = None
        if isinstance(parsed, dict):
            return parsed
        raise ValueError(
            f"file must be that of a sweep, got line {number} of {str(self._path)!r}: {line[:40]!r}"
        )

    def _check(self, there: Any, here: dict[str, Any]) -> None:
        """Check that the file is of this sweep, and say what differs."""
        if not isinstance(there, dict):
            raise ValueError(f"file must be that of a sweep, got {str(self._path)!r}")  # noqa: TRY004
        differ = list(_differences(there, here))
        if differ:
            raise ValueError(
                f"file must be of this sweep, got another one in {str(self._path)!r}: "
                + "; ".join(differ)
            )


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _differences(there: dict[str, Any], here: dict[str, Any]) -> Iterator[str]:
    """Say what is another in two titles; designs only where nothing else explains it."""
    names = [name for name in {**there, **here} if name != DESIGNS]
    told = [name for name in names if there.get(name) != here.get(name)]
    for name in told:
        yield f"{name} is {json.dumps(there.get(name))} there and {json.dumps(here.get(name))} here"
    if not told and there.get(DESIGNS) != here[DESIGNS]:
        yield "build makes other designs there from the same values"


def fingerprint(design: Design) -> str:
    """Return a short text that is another for another design, and the same in every process."""
    return hashlib.sha256(repr(plain(design)).encode()).hexdigest()[:16]


def plain(value: Any) -> Any:
    """Return ``value`` told in numbers, words and lists: a ``repr`` may leave out half of an array."""
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).hexdigest()]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str | bytes | int | float | type(None)):
        return value
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    if isinstance(value, Mapping):
        return [[plain(key), plain(part)] for key, part in value.items()]
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        parts = {name: getattr(value, name) for name in names}
    else:
        parts = dict(vars(value)) if hasattr(value, "__dict__") else {"": repr(value)}
    return [type(value).__qualname__, plain(parts)]
