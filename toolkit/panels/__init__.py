"""Controls around a picture: move a slider, see the chart and its sentence change.

A panel does no arithmetic.  It hands the values of its controls to a function that draws on an Axes
and returns a sentence, and shows both; the sentence is the picture's text for screen readers too.
"""

from toolkit.panels import (
    batching,
    capstone,
    evidence,
    hops,
    jobs,
    limiter,
    metastable,
    pools,
    products,
    published,
    redundancy,
    refusals,
    retries,
    slack,
    thrift,
    waiting,
    witnesses,
)
from toolkit.panels.affordable import affordable
from toolkit.panels.frontier import frontier
from toolkit.panels.layered import layered
from toolkit.panels.panel import Panel
from toolkit.panels.staffing import RETRIES, advised, checked, staffing

__all__ = [
    "RETRIES",
    "Panel",
    "advised",
    "affordable",
    "batching",
    "capstone",
    "checked",
    "evidence",
    "frontier",
    "hops",
    "jobs",
    "layered",
    "limiter",
    "metastable",
    "pools",
    "products",
    "published",
    "redundancy",
    "refusals",
    "retries",
    "slack",
    "staffing",
    "thrift",
    "waiting",
    "witnesses",
]
