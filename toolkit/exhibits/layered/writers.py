"""Writers of results."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TextIO

from toolkit.exhibits.layered.container import Container
from toolkit.exhibits.layered.domain import JobResult
from toolkit.exhibits.layered.gateways import Output
from toolkit.exhibits.layered.interfaces import ResultWriter
from toolkit.exhibits.layered.registry import WRITERS

COLUMNS = tuple(column.name for column in fields(JobResult))


class JsonLinesWriter(ResultWriter):
    """Writes a JSON object a line, with what is known of a result."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, result: JobResult) -> None:
        """Write one result."""
        values = {name: getattr(result, name) for name in COLUMNS}
        known = {name: value for name, value in values.items() if value is not None}
        self._out.write(json.dumps(known) + "\n")


@WRITERS.register("json-lines")
def make_json_lines(container: Container) -> ResultWriter:
    """Return the writer of JSON lines."""
    return JsonLinesWriter(container.resolve(Output).file)
