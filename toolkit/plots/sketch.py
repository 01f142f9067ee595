"""A picture that is drawn again and again, fast enough to follow a hand.

Most of a picture's time goes into making axes, finding room for what stands around them, and turning
letters into pixels.  A sketch keeps its axes, looks for room only when other words need it, and
leaves the letters to the browser: it is SVG.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from toolkit.plots.picture import say_below, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PLAIN = dict.fromkeys(("Date", "Creator", "Format", "Type"))


class Sketch:
    """Axes with a caption below, to be drawn on many times."""

    def __init__(self, *, caption: str = "") -> None:
        from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415, slow to load
        from matplotlib.figure import Figure  # noqa: PLC0415

        with styled():
            self._figure = Figure(dpi=72)  # the unit of SVG
            self._canvas: Any = FigureCanvasSVG(self._figure)
            self._axes = self._figure.subplots()
            say_below(self._figure, caption)
            self._layout: Any = self._figure.get_layout_engine()
            self._figure.set_layout_engine("none")
        self._words: Any = None

    def redraw(self, draw: Callable[[Axes], str]) -> tuple[bytes, str]:
        """Empty the axes, let ``draw`` fill them, and return the picture as SVG, and the sentence.

        ``draw`` has to set the limits, ticks and labels it wants every time, or never.
        """
        with styled():
            _empty(self._axes)
            text = draw(self._axes)
            svg = self._svg()
            if (words := _words_around(self._axes)) != self._words:
                # what stands around the axes may have another size; to look takes a third of the time
                self._layout.execute(self._figure)
                self._words, svg = words, self._svg()
        return svg, text

    def _svg(self) -> bytes:
        """Return the figure as it is; `savefig` would go through all of it twice."""
        buffer = io.BytesIO()
        self._canvas.print_svg(buffer, metadata=_PLAIN)
        return buffer.getvalue()


def _empty(axes: Axes) -> None:
    """Remove what was drawn; ``axes.clear()`` would make all ticks anew as well, in twice the time."""
    for other in axes.figure.axes[1:]:
        other.remove()
    drawn = (*axes.lines, *axes.collections, *axes.patches, *axes.images, *axes.texts)
    for artist in (*drawn, axes.get_legend()):
        if artist is not None:
            artist.remove()
    axes.containers.clear()
    axes.set_prop_cycle(None)
    axes.set(title="", xlabel="", ylabel="", xscale="linear", yscale="linear")
    axes.set(xlim=(0, 1), ylim=(0, 1))  # an axis that was turned round is not any more
    axes.relim()
    axes.autoscale(enable=True)


def _words_around(axes: Axes) -> object:
    """Return what decides how much room is left for axes that were drawn."""
    legend = axes.get_legend()
    named = legend.get_texts() if legend else []
    ticks = [*axes.yaxis.get_major_ticks(), *axes.yaxis.get_minor_ticks()]
    beside = {_shape(tick.label1.get_text()) for tick in ticks}
    lines = axes.get_title(loc="left").count("\n")
    words = [_shape(text.get_text()) for text in named]
    return words, beside, lines, bool(axes.get_xlabel()), axes.get_ylabel()


def _shape(text: str) -> str:
    """Return a text of the same width; all digits are as wide."""
    return re.sub(r"\d", "0", text)
