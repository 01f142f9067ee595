"""Pictures: each function draws data on an ``Axes`` and returns one sentence that says the same.

The sentence is for those who cannot see the picture, for a terminal, and for tests.
Nothing here knows a model: times come in as numbers, in the unit that the name says.
Every picture carries its units on the axes and its assumptions in a caption below.
"""

from toolkit.plots.agreement import agreement
from toolkit.plots.designs import designs
from toolkit.plots.frontier import frontier
from toolkit.plots.kernel import answered, counted, histogram, ladder
from toolkit.plots.latency import latency
from toolkit.plots.lines import lines
from toolkit.plots.picture import GOAL, GUESS, MEASURED, PREDICTED, Picture, img, picture
from toolkit.plots.ratios import ratios
from toolkit.plots.sketch import Sketch
from toolkit.plots.timeline import timeline
from toolkit.plots.waits import waits

__all__ = [
    "GOAL",
    "GUESS",
    "MEASURED",
    "PREDICTED",
    "Picture",
    "Sketch",
    "agreement",
    "answered",
    "counted",
    "designs",
    "frontier",
    "histogram",
    "img",
    "ladder",
    "latency",
    "lines",
    "picture",
    "ratios",
    "timeline",
    "waits",
]
