"""A finished picture: something to look at, and one sentence that says the same."""

from __future__ import annotations

import base64
import html
import io
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURED, PREDICTED, GOAL, GUESS = "#000000", "#0072B2", "#D55E00", "#CC79A7"


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture: ``png`` to look at, ``text`` that says the same; shows itself in a notebook."""

    png: bytes
    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        # prices: between two dollar signs JupyterLab sees a formula
        return f'{self.img()}<p role="status" class="mathjax_ignore">{html.escape(self.text)}</p>'

    def img(self) -> str:
        """Return an HTML image with the text as its alternative."""
        return img(self.png, "png", self.text)


def img(image: bytes, kind: str, text: str) -> str:
    """Return ``image`` in HTML, 1080 wide where there is room; ``text`` is its alternative.

    It is decoded before the page is painted and keeps its room meanwhile, so that one in place of
    another does not flicker.
    """
    data, alt = base64.b64encode(image).decode(), html.escape(text, quote=True)
    style = "width:1080px;max-width:100%;aspect-ratio:auto 9/5"
    source = f"data:image/{kind};base64,{data}"
    return f'<img alt="{alt}" src="{source}" decoding="sync" style="{style}">'


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the toolkit's style."""
    import matplotlib.style  # noqa: PLC0415, half a second that only pictures need

    style = resources.files("toolkit") / "toolkit.mplstyle"
    with resources.as_file(style) as path, matplotlib.style.context(path):
        yield


def picture(
    draw: Callable[[Axes], str], *, caption: str = "", below: Callable[[Axes], str] | None = None
) -> Picture:
    """Draw on a styled figure with a caption below; ``draw`` returns the sentence.

    With ``below`` there are two Axes, one above the other with a common x, and two sentences.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415, half a second that only pictures need

    with styled():
        # not pyplot: it would keep every figure that a panel ever drew
        figure, buffer = Figure(), io.BytesIO()
        if below is None:
            text = draw(figure.subplots())
        else:
            upper, lower = figure.subplots(2, sharex=True)
            text = f"{draw(upper)} {below(lower)}"
            upper.set_xlabel("")
        say_below(figure, caption)
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return Picture(png=buffer.getvalue(), text=text)


def say_below(figure: Figure, caption: str) -> None:
    """Put ``caption`` below all that is on ``figure``."""
    if caption:
        lines = "\n".join(textwrap.wrap(caption, 120))
        figure.supxlabel(lines, fontsize=10, color="#444444", x=0.01, ha="left")


def plain(value: float, _: float) -> str:
    """Label a tick without an exponent."""
    return f"{value:g}"


def two_and_five(value: float, _: float) -> str:
    """Label 2 and 5 of each decade, no more."""
    return f"{value:g}" if f"{value:.0e}"[0] in "25" else ""
