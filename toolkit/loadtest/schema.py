"""The one table that every load-test tool is brought to.

A row is a request as the tool saw it.  ``COLUMNS`` is the whole contract: readers build their
frame from it, tests compare with it, and documentation prints it.  A column that a tool does not
record is absent rather than filled with something plausible.

Some rows are no requests: a JMeter transaction controller or a Gatling group is a *sum* of
requests that usually stand beside it, and adding both would count the same work twice.
They stay in ``requests``, marked ``is_controller``; ``LoadTest.samples`` leaves them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from toolkit._say import three_digits

if TYPE_CHECKING:
    from collections.abc import Mapping

_UTC_TIME = "datetime64[ns, UTC]"


class Column(NamedTuple):
    """One column of ``LoadTest.requests``; ``always`` means that every tool has it."""

    name: str
    dtype: str
    always: bool
    meaning: str


COLUMNS = (
    Column("start", _UTC_TIME, True, "when the request was sent"),
    Column("end", _UTC_TIME, True, "when its last byte was there: start + elapsed_ms"),
    Column("elapsed_ms", "float64", True, "how long it took, ms"),
    Column("label", "str", True, "what was asked: a label, a request's name, a tag or a URL"),
    Column("group", "str", False, "the groups around it, outermost first, joined by ' / '"),
    Column("success", "bool", True, "the tool's verdict, assertions included"),
    Column("code", "str", False, "response code; text, as it may be no number"),
    Column("message", "str", False, "why it failed, else the response message"),
    Column("bytes", "int64", False, "received, headers and body"),
    Column("sent_bytes", "int64", False, "sent, headers and body"),
    Column("latency_ms", "float64", False, "start to first byte, connecting included, ms"),
    Column("connect_ms", "float64", False, "start to an open connection, TLS included, ms"),
    Column("thread", "str", False, "the virtual user: JMeter's thread, others' user id"),
    Column("active_threads", "int64", False, "threads alive when the request ended"),
    Column("is_controller", "bool", True, "a sum of other rows, not a request of its own"),
    Column("level", "int64", True, "0: asked for by the plan itself; deeper: a part of a request"),
)


def tidy(values: Mapping[str, pd.Series | np.ndarray | int | bool | str]) -> pd.DataFrame:
    """Return a frame of the known columns in their order and dtype; absent ones stay absent."""
    present = {c.name: c.dtype for c in COLUMNS if c.name in values}
    missing = [c.name for c in COLUMNS if c.always and c.name not in present]
    assert not missing, f"a reader forgot {missing}"
    return pd.DataFrame({name: values[name] for name in present}).astype(present)


def span(start_ns: pd.Series, elapsed_ms: pd.Series) -> dict[str, pd.Series]:
    """Return the columns start, end and elapsed_ms from epoch nanoseconds and milliseconds.

    The sum is made in whole nanoseconds: a float of that size is only exact to 256 ns.
    """
    elapsed_ns = (elapsed_ms.astype("float64") * 1e6).round().astype("int64")
    end_ns = start_ns + elapsed_ns
    return {
        "start": pd.to_datetime(start_ns, unit="ns", utc=True),
        "end": pd.to_datetime(end_ns, unit="ns", utc=True),
        "elapsed_ms": elapsed_ms,
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LoadTest:
    """A load test that was read from a file.

    ``requests`` has a row for each record, columns as in ``COLUMNS``; ``tool`` is ``"jmeter"``,
    ``"gatling"``, ``"h2load"`` or ``"tsung"``; ``version`` is the tool's, ``None`` when the file
    does not tell; ``warnings`` lists every guess, every row left out and what such a file never
    tells; ``source`` is the file.
    ``users`` (Gatling; otherwise ``None``) has a row for each virtual user that started or ended:
    ``time`` (UTC), ``event`` (``"start"`` or ``"end"``), ``scenario``.
    """

    requests: pd.DataFrame
    tool: str
    version: str | None
    warnings: tuple[str, ...]
    source: str
    users: pd.DataFrame | None = None

    @property
    def samples(self) -> pd.DataFrame:
        """The requests that statistics and fits use: top level, each piece of work once.

        Controllers are left out, unless there is nothing else (JMeter's "generate parent
        sample" hides the children): then they are the only trace of the work.
        """
        top = self.requests[self.requests["level"] == 0]
        plain = top[~top["is_controller"]]
        return plain if len(plain) else top

    @property
    def rate_per_s(self) -> float:
        """Requests per second from the first start to the last; ``nan`` when no time passes."""
        start = self.samples["start"]
        seconds = (start.max() - start.min()).total_seconds()
        return (len(start) - 1) / seconds if seconds else float("nan")

    def _summary(self) -> dict[str, str]:
        """Say what a reader wants to know first; both displays are made from it."""
        samples = self.samples
        count = len(samples)
        seconds = (samples["end"].max() - samples["start"].min()).total_seconds()
        middle, tail = np.percentile(samples["elapsed_ms"], [50, 99])
        failed = count - int(samples["success"].sum())
        return {
            "file": self.source,
            "tool": " ".join(filter(None, [self.tool, self.version])),
            "requests": f"{count:,} in {seconds:,.4g} s"
            + (f", {count / seconds:,.4g} per s" if seconds > 0 else ""),
            "failed": f"{failed:,} ({failed / count:.2%})",
            "elapsed": f"p50 {three_digits(middle)} ms, p99 {three_digits(tail)} ms",
            "warnings": "; ".join(self.warnings) or "none",
        }

    def __repr__(self) -> str:
        lines = [f"  {name:<9} {text}" for name, text in self._summary().items()]
        return "\n".join(["LoadTest", *lines])

    def _repr_html_(self) -> str:
        rows = (
            f"<tr><th scope='row' style='text-align:left'>{name}</th>"
            f"<td style='text-align:left'>{escape(text)}</td></tr>"
            for name, text in self._summary().items()
        )
        return f"<table><caption>Load test</caption>{''.join(rows)}</table>"
