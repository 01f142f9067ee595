"""A finished picture: something to look at, and one sentence that says the same."""

from __future__ import annotations

import base64
import html
import io
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURED, PREDICTED, GOAL, GUESS = "#000000", "#0072B2", "#D55E00", "#CC79A7"


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture: ``png`` to look at, ``text`` that says the same; shows itself in a notebook."""

    png: bytes
    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'{self.img()}<p role="status">{html.escape(self.text)}</p>'

    def img(self) -> str:
        """Return an HTML image with the text as its alternative."""
        data, alt = base64.b64encode(self.png).decode(), html.escape(self.text, quote=True)
        return f'<img alt="{alt}" src="data:image/png;base64,{data}" style="max-width:100%">'


def picture(
    draw: Callable[[Axes], str], *, caption: str = "", below: Callable[[Axes], str] | None = None
) -> Picture:
    """Draw on a styled figure with a caption below; ``draw`` returns the sentence.

    With ``below`` there are two Axes, one above the other with a common x, and two sentences.
    """
    import matplotlib.style  # noqa: PLC0415, half a second that only pictures need
    from matplotlib.figure import Figure  # noqa: PLC0415

    style = resources.files("toolkit") / "toolkit.mplstyle"
    with resources.as_file(style) as path, matplotlib.style.context(path):
        # not pyplot: it would keep every figure that a panel ever drew
        figure, buffer = Figure(), io.BytesIO()
        if below is None:
            text = draw(figure.subplots())
        else:
            upper, lower = figure.subplots(2, sharex=True)
            text = f"{draw(upper)} {below(lower)}"
            upper.set_xlabel("")
        if caption:
            lines = "\n".join(textwrap.wrap(caption, 120))
            figure.supxlabel(lines, fontsize=10, color="#444444", x=0.01, ha="left")
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return Picture(png=buffer.getvalue(), text=text)


def plain(value: float, _: float) -> str:
    """Label a tick without an exponent."""
    return f"{value:g}"


def two_and_five(value: float, _: float) -> str:
    """Label 2 and 5 of each decade, no more."""
    return f"{value:g}" if f"{value:.0e}"[0] in "25" else ""
