"""What more money buys, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit import plots
from toolkit.advice import Advice
from toolkit.plots import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def frontier(advice: Advice, target: str | None = None) -> Picture:
    """Return the designs of an advice by price: ``target`` above, the futures that they stand below.

    ``target``: the first of the goals, if not given.  Without futures there is the upper half only.
    """
    wanted = target or next(iter(advice.slo.targets()), "survives")

    def draw(axes: Axes) -> str:
        axes.set_title("What more money buys")
        goal = advice.slo.targets().get(wanted)
        return plots.frontier(axes, advice.frontier(wanted), target=wanted, goal=goal)

    def below(axes: Axes) -> str:
        said = plots.frontier(axes, advice.frontier("survives"), target="survives")
        if legend := axes.get_legend():
            legend.remove()  # the names are beside the upper half
        return said

    both = wanted != "survives" and advice.survival().shape[1] > 1
    caption = f"Goal: {advice.slo}. Mean of the runs and its interval; the line joins designs that nothing cheaper equals."
    if both:
        caption += f" Futures: {', '.join(advice.survival())}."
    return plots.picture(draw, caption=caption, below=below if both else None)
