"""Sessions measured before, where no kernel can be had now; every answer says so.

``data/kernel-lab/sessions.json.gz`` holds each call that the notebooks make, with its arguments and what
a kernel answered.  Any other call is refused: a recording knows no answer to a new question.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path
from typing import Any

from toolkit.ebpf.channel import BackendUnavailable
from toolkit.ebpf.seen import Source

SESSIONS = Path(__file__).parents[2] / "data" / "kernel-lab" / "sessions.json.gz"


def key(call: str, arguments: dict[str, Any]) -> str:
    """Return what a recording is found by."""
    return json.dumps([call, arguments], sort_keys=True)


class Recorded:
    """The lab's answers of another day."""

    name = "recorded"

    def __init__(self, sessions: Path | None = None) -> None:
        sessions = sessions or SESSIONS
        if not sessions.exists():
            raise BackendUnavailable(f"there are no recorded sessions at {sessions}")
        with gzip.open(sessions, "rt") as file:
            kept = json.load(file)
        self.kernel, self.when = kept["kernel"], f"{kept['backend']}, {kept['date']}"
        self._answers = {
            key(call["call"], call["arguments"]): call["answer"] for call in kept["calls"]
        }
        self._calls = [(call["call"], call["arguments"]) for call in kept["calls"]]

    def recall(self, call: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what was answered then; raises ``ValueError`` for what was not asked then."""
        found = self._answers.get(key(call, arguments))
        if found is not None:
            return dict(found)
        near = [known for name, known in self._calls if name == call]
        hint = (
            f"; recorded {call}: " + "; ".join(map(_differing, [arguments] * len(near), near))
            if near
            else ""
        )
        raise ValueError(
            f"{call} was not recorded with these arguments, and no kernel can be asked here{hint}"
            " (see: python -m toolkit ebpf doctor)"
        )

    def close(self) -> None:
        """Nothing to end."""


def _differing(asked: dict[str, Any], known: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}={value!r}" for name, value in known.items() if asked.get(name) != value
    )


def keep(path: Path, *, source: Source, date: dt.date, calls: list[dict[str, Any]]) -> None:
    """Write a recording, the same bytes for the same answers; what is there already is kept."""
    before = []
    if path.exists():
        with gzip.open(path, "rt") as file:
            before = json.load(file)["calls"]
    merged = {key(call["call"], call["arguments"]): call for call in [*before, *calls]}
    kept = {"backend": source.backend, "kernel": source.kernel, "date": date.isoformat()}
    text = json.dumps(kept | {"calls": list(merged.values())})
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(text.encode())
