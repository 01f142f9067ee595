"""A figure, its sentence, and the controls that redraw it."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Callable
from typing import TYPE_CHECKING

from toolkit import plots
from toolkit.lessons import Prediction

if TYPE_CHECKING:
    import ipywidgets

READ_ON_S = 0.002
"""How long a panel waits before it draws, and the kernel reads on: of thirty values that wait, eight are drawn."""


class Panel:
    """A figure, its sentence, and the controls that redraw it.

    ``draw(axes, **values)`` gets the value of every control by name and returns the sentence; it
    finds the same axes every time, emptied, see ``plots.Sketch``.
    Displayed by itself in a notebook; redrawn when a control or the learner's ``guess`` changes.
    A control that is dragged is followed: a drawing is finished, and then the newest value is drawn.
    """

    def __init__(
        self,
        draw: Callable[..., str],
        controls: dict[str, ipywidgets.Widget],
        *,
        caption: str = "",
        guess: Prediction | None = None,
    ) -> None:
        import ipywidgets  # noqa: PLC0415, widgets only in a notebook

        self.controls = controls
        self._draw, self._sketch = draw, plots.Sketch(caption=caption)
        self._said, self._is_behind = "", False
        self._image, self._text = ipywidgets.HTML(), ipywidgets.HTML()
        self.box = ipywidgets.VBox([*controls.values(), self._image, self._text])
        for control in controls.values():
            control.observe(lambda _: self._follow(), names="value")
        if guess:
            guess.watch(self._follow)
        self.redraw()

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415

        display(self.box)

    @property
    def summary(self) -> str:
        """The sentence, for the controls as they are."""
        self._catch_up()
        return self._said

    def redraw(self) -> None:
        """Draw with the controls as they are; an error is shown in place of the sentence."""
        self._is_behind = False
        values = {name: control.value for name, control in self.controls.items()}
        try:
            picture, said = self._sketch.redraw(lambda axes: self._draw(axes, **values))
        except Exception as error:
            said = html.escape(str(error))
            self._text.value = f'<p role="alert" style="color:#A84B00">{said}</p>'
            raise
        self._said = said
        self._image.value = plots.img(picture, "svg+xml", said)
        self._text.value = f'<p role="status">{html.escape(said)}</p>'

    def _follow(self) -> None:
        """Draw soon, once for all changes until then; without an event loop (no kernel), at once."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.redraw()
            return
        if not self._is_behind:
            self._is_behind = True
            loop.call_later(READ_ON_S, self._catch_up)

    def _catch_up(self) -> None:
        if self._is_behind:
            self.redraw()
