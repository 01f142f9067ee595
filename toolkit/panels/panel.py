"""A figure, its sentence, and the controls that redraw it."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING

from toolkit import plots
from toolkit.lessons import Prediction

if TYPE_CHECKING:
    import ipywidgets


class Panel:
    """A figure, its sentence, and the controls that redraw it.

    ``draw(axes, **values)`` gets the value of every control by name and returns the sentence.
    Displayed by itself in a notebook; redrawn when a control or the learner's ``guess`` changes.
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
        self.summary = ""
        self._draw, self._caption = draw, caption
        self._image, self._text = ipywidgets.HTML(), ipywidgets.HTML()
        self.box = ipywidgets.VBox([*controls.values(), self._image, self._text])
        for control in controls.values():
            control.observe(lambda _: self.redraw(), names="value")
        if guess:
            guess.watch(self.redraw)
        self.redraw()

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415

        display(self.box)

    def redraw(self) -> None:
        """Draw with the controls as they are; an error is shown in place of the sentence."""
        values = {name: control.value for name, control in self.controls.items()}
        try:
            picture = plots.picture(lambda axes: self._draw(axes, **values), caption=self._caption)
        except Exception as error:
            said = html.escape(str(error))
            self._text.value = f'<p role="alert" style="color:#A84B00">{said}</p>'
            raise
        self.summary = picture.text
        self._image.value = picture.img()
        self._text.value = f'<p role="status">{html.escape(picture.text)}</p>'
