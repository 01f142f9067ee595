"""What layers cost and what they save, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from toolkit import plots
from toolkit.plots import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CAPTION = "Measured and counted, less is better in all. Counts have no range; that of a time is over all rounds of the race."


def layered(compared: pd.DataFrame) -> Picture:
    """Return the picture of one pipeline written through layers over the same one written directly.

    ``compared`` is what ``tk.exhibits.compared`` returned: ``median``, ``low`` and ``high``, a row a figure.
    """

    def draw(axes: Axes) -> str:
        axes.set_title("The same pipeline: through layers, over directly")
        return plots.ratios(axes, compared, over="layered", under="direct")

    return plots.picture(draw, caption=_CAPTION)
