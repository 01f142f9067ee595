"""A guess before the run: ``predict`` asks for a number and keeps it for the charts."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from typing import Any


class Prediction:
    """A question that is put before the answer is shown; ``value`` is ``None`` until answered."""

    def __init__(self, question: str, *, unit: str, low: float, high: float) -> None:
        import ipywidgets  # noqa: PLC0415, widgets only in a notebook

        self.value: float | None = None
        self.unit = unit
        self._low, self._high = low, high
        self._watchers: list[Callable[[], None]] = []
        self._field = ipywidgets.Text(
            description=f"Your guess ({unit})",
            placeholder=f"{low:g} to {high:g}, then Enter",
            continuous_update=False,
            style={"description_width": "initial"},
        )
        self._said = ipywidgets.HTML()
        self._field.observe(self._record, names="value")
        self.box = ipywidgets.VBox(
            [ipywidgets.HTML(f"<b>{html.escape(question)}</b>"), self._field, self._said]
        )

    def __repr__(self) -> str:
        guess = "no guess yet" if self.value is None else f"{self.value:g} {self.unit}"
        return f"Prediction({guess})"

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415

        display(self.box)

    def watch(self, redraw: Callable[[], None]) -> None:
        """Call ``redraw`` whenever the guess changes."""
        self._watchers.append(redraw)

    def _record(self, change: dict[str, Any]) -> None:
        """Keep a usable number, say what is wrong with any other."""
        text = str(change["new"]).strip().removesuffix(self.unit).strip().replace(",", ".")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        unit = html.escape(self.unit)
        if self._low <= number <= self._high:
            self.value = number
            self._said.value = f"Kept: {number:g} {unit}. It is on the charts below."
        else:
            self.value = None
            self._said.value = (
                f"Not kept: a number from {self._low:g} to {self._high:g} {unit}, please."
            )
        for redraw in self._watchers:
            redraw()


def predict(question: str, *, unit: str, low: float, high: float) -> Prediction:
    """Ask ``question`` and return a widget that keeps the guess; it can be left out."""
    return Prediction(question, unit=unit, low=low, high=high)
