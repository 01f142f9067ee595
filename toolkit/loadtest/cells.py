"""Columns of text turned into values, or an error that points at the first bad cell.

Every check says the same five things: the line, the column, the rule, the value found and what
to do.  Finding the line is slow, so it is a function (``line_of``) that is called only then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from pandas.api.types import is_bool_dtype, is_float_dtype, is_numeric_dtype

if TYPE_CHECKING:
    from toolkit.errors import LoadTestError
    from toolkit.loadtest.source import Source

# The patterns that JMeter itself tries (apache/jmeter: CSVSaveService.java), then ISO 8601.
_FORMATS = (
    "%Y/%m/%d %H:%M:%S.%f",
    "%Y/%m/%d %H:%M:%S",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S",
    "%m/%d/%y %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.%f%z",
    "%Y-%m-%dT%H:%M:%S%z",
)
_LATEST_MS = 9e12  # the year 2255; epoch microseconds of today are far above it
_LONGEST_MS = 1e11  # three years
_YEAR_2000_MS = 946_684_800_000
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Cells:
    """Checks of the columns of one file; ``line_of(row)`` finds the line of a row label."""

    source: Source
    line_of: Callable[[int], int]

    def _complain(self, raw: pd.Series, bad: pd.Series, rule: str, remedy: str) -> LoadTestError:
        row = int(bad.to_numpy().argmax())
        value = str(raw.iloc[row])
        if value == raw.name:
            remedy = "this is a second header line: take the joined files apart"
        return self.source.error(
            f"{raw.name} must be {rule}, got {value[:80]!r}; {remedy}",
            line=self.line_of(int(raw.index[row])),
        )

    def number(
        self, raw: pd.Series, *, least: float = 0, most: float, rule: str, whole: bool = False
    ) -> pd.Series:
        """Return a column as numbers from ``least`` to ``most``; ``rule`` says so in words."""
        # A column of true/false is numeric for pandas, but no count or duration is.
        text = raw if is_numeric_dtype(raw) and not is_bool_dtype(raw) else raw.astype("str")
        values = pd.to_numeric(text, errors="coerce")
        bad = ~((values >= least) & (values <= most))  # NaN fails every comparison
        if whole and is_float_dtype(values):
            bad |= values % 1 != 0
        if bad.any():
            raise self._complain(raw, bad, rule, "correct the cell or remove the line")
        return values.astype("int64") if whole else values.astype("float64")

    def duration(self, raw: pd.Series) -> pd.Series:
        """Return a column of milliseconds."""
        return self.number(raw, most=_LONGEST_MS, rule="a number of ms from 0 to 1e11")

    def count(self, raw: pd.Series) -> pd.Series:
        """Return a column of whole numbers."""
        return self.number(raw, most=2**53, rule="a whole number >= 0", whole=True)

    def truth(self, raw: pd.Series) -> pd.Series:
        """Return a column of ``true`` and ``false`` (any case) as booleans."""
        words = raw.astype("str").str.lower()
        bad = ~words.isin(["true", "false"])
        if bad.any():
            raise self._complain(raw, bad, "true or false", "correct the cell or remove the line")
        return words == "true"

    def instants(self, raw: pd.Series) -> tuple[pd.Series, list[str]]:
        """Return a column of times as UTC epoch nanoseconds, and warnings about what was assumed.

        Times are epoch milliseconds, or formatted as JMeter can write them.
        """
        first = str(raw.iloc[0])
        form = next((f for f in _FORMATS if _fits(first, f)), None)
        if form is not None:
            return self._formatted(raw, form)
        rule = "epoch milliseconds (13 digits today) or a time such as 2026-01-31 12:00:00.000"
        millis = self.number(raw, most=_LATEST_MS, rule=rule, whole=True)
        notes = []
        if millis.min() < _YEAR_2000_MS:
            when = pd.Timestamp(millis.min(), unit="ms")
            notes.append(f"the times begin on {when:%Y-%m-%d}: were they seconds, not ms?")
        return millis * _NS_PER_MS, notes

    def _formatted(self, raw: pd.Series, form: str) -> tuple[pd.Series, list[str]]:
        zoned = form.endswith("%z")
        times = pd.to_datetime(raw.astype("str"), format=form, errors="coerce", utc=zoned)
        bad = ~times.dt.year.between(1970, 2255)  # NaT fails it too
        if bad.any():
            remedy = "all times of a file must have the pattern of its first"
            raise self._complain(raw, bad, f"a time like {form}", remedy)
        if zoned:
            return _epoch_ns(times), []
        zone = self.source.tz
        times = times.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
        if times.isna().any():
            remedy = "pass the offset that the writer used, such as tz='Etc/GMT-1' for UTC+1"
            rule = f"a time that {zone} has exactly once (the clocks were changed then)"
            raise self._complain(raw, times.isna(), rule, remedy)
        note = f"the times carry no zone: read as {form} in {zone}; pass tz= if that is wrong"
        return _epoch_ns(times), [note]


def _fits(text: str, form: str) -> bool:
    return bool(pd.notna(pd.to_datetime(text, format=form, errors="coerce")))


def _epoch_ns(times: pd.Series) -> pd.Series:
    return times.dt.tz_convert("UTC").dt.as_unit("ns").astype("int64")
