"""Three measured services that do the same work, and their twins: designs fitted at low load alone.

``data/lean-overbuilt`` has a lean service, one with Celery and an overbuilt one, each on one processor,
under the same loads.  ``runs``, ``figures`` and ``incidents`` say what was measured, ``parts`` what each
is made of, ``twin`` what a fitted design predicts, and ``checks`` holds it against what it has not seen.
"""

from toolkit.twins.bills import ceilings, month, total
from toolkit.twins.incidents import good_per_s, incidents
from toolkit.twins.measured import (
    SERVICES,
    SLOTS,
    answers,
    figures,
    load_test,
    parts,
    runs,
    truth,
)
from toolkit.twins.twin import LIMITS, LOW_LOAD, MISSES, Twin, checks, twin

__all__ = [
    "LIMITS",
    "LOW_LOAD",
    "MISSES",
    "SERVICES",
    "SLOTS",
    "Twin",
    "answers",
    "ceilings",
    "checks",
    "figures",
    "good_per_s",
    "incidents",
    "load_test",
    "month",
    "parts",
    "runs",
    "total",
    "truth",
    "twin",
]
