"""Stated change requests, each as a real patch for both forms, and what it takes to make them.

A patch is a unified diff in ``changes/``, to be read, counted and applied; ``patch -p0`` in this folder
would do the same.  One that no longer fits the code is refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd

from toolkit import _check
from toolkit.exhibits.forms import FOLDER, FORMS, Texts, texts

REQUESTS = {
    "customer": "The customer zenith pays half of every price, and may spend 20,000 cents.",
    "retry": "A report is charged twice at most, with 2 s between; all else as before.",
    "format": "Results as CSV with a header, for whoever asks for it; JSON lines otherwise.",
    "store": "What was done and spent outlives the process, in a SQLite file, where one is given.",
    "steps": "The summary says how many jobs came to each step.",
}
"""What is asked for, by name."""

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")


@dataclass(slots=True)
class FilePatch:
    """The part of a patch for one file: ``hunks`` are pairs of the first old line and the lines."""

    file: str
    is_new: bool
    hunks: list[tuple[int, list[str]]] = field(default_factory=list)

    def lines(self, sign: str) -> list[str]:
        """Return the lines with this sign: ``+`` added, ``-`` removed."""
        return [line[1:] for _, lines in self.hunks for line in lines if line[0] == sign]

    def places(self) -> int:
        """Return how many stretches of lines are changed, each without an unchanged line between."""
        marks = "|".join("".join(line[0] for line in lines) for _, lines in self.hunks)
        return len(re.findall("[+-]+", marks))


def patch_text(request: str, form: str) -> str:
    """Return the patch that fulfils a request, to be read."""
    _check.choice("request", request, list(REQUESTS))
    _check.choice("form", form, FORMS)
    return (FOLDER / "changes" / f"{request}.{form}.patch").read_text(encoding="utf-8")


def patched(request: str, form: str) -> dict[str, str]:
    """Return the files of a form with a request fulfilled, by name."""
    return applied(texts(form), patch_text(request, form))


def change_table() -> pd.DataFrame:
    """Return a row a request and form, counted from the patches.

    ``files_edited`` existed before, ``files_new`` did not; ``added`` and ``removed`` are lines;
    ``places`` are the stretches of existing code that had to be found and changed.
    """
    rows = []
    for request in REQUESTS:
        for form in FORMS:
            parts = list(parsed(patch_text(request, form)))
            old = [part for part in parts if not part.is_new]
            row = {
                "files_edited": len(old),
                "files_new": len(parts) - len(old),
                "added": sum(len(part.lines("+")) for part in parts),
                "removed": sum(len(part.lines("-")) for part in parts),
                "places": sum(part.places() for part in old),
            }
            rows.append({"request": request, "form": form, **row})
    return pd.DataFrame(rows)


def written(before: Texts, after: Texts) -> str:
    """Return the patch that turns ``before`` into ``after``."""
    pieces: list[str] = []
    for file in sorted({*before, *after}):
        old, new = (files.get(file, "").splitlines(keepends=True) for files in (before, after))
        name = file if file in before else "/dev/null"
        pieces += difflib.unified_diff(old, new, name, file)
    return "".join(pieces)


def parsed(patch: str) -> Iterator[FilePatch]:
    """Read a patch, file by file."""
    for piece in re.split(r"^--- ", patch, flags=re.MULTILINE)[1:]:
        before, after, *lines = piece.splitlines()
        part = FilePatch(after.removeprefix("+++ "), is_new=before == "/dev/null")
        for line in lines:
            if found := _HUNK.match(line):
                part.hunks.append((int(found[1]), []))
            else:
                part.hunks[-1][1].append(line or " ")  # an editor may have cut an empty line's mark
        yield part


def applied(files: Texts, patch: str) -> dict[str, str]:
    """Return ``files`` with a patch applied; raises ``ValueError`` where it does not fit."""
    result = dict(files)
    for part in parsed(patch):
        if part.is_new and part.file in files:
            raise ValueError(f"patch must fit the code: {part.file} is already there")
        if not part.is_new and part.file not in files:
            raise ValueError(f"patch must fit the code: {part.file} is not there")
        result[part.file] = _patched_file(part, result.get(part.file, ""))
    return result


def _patched_file(part: FilePatch, text: str) -> str:
    """Return a file's text with its part of a patch applied."""
    old, new, done = text.splitlines(), [], 0
    for first, lines in part.hunks:
        start = max(first - 1, 0)
        before = [line[1:] for line in lines if line[0] in " -"]
        if old[start : start + len(before)] != before:
            raise ValueError(f"patch must fit the code: {part.file}, line {first} has changed")
        new += old[done:start] + [line[1:] for line in lines if line[0] in " +"]
        done = start + len(before)
    return "\n".join(new + old[done:]) + "\n"
