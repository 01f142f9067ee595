"""The simplest design that meets the goal, what it costs, and what else it would stand."""

from toolkit.advice.advising import advise
from toolkit.advice.answer import VERDICTS, Advice, Spare
from toolkit.advice.decision import Decision, decided
from toolkit.advice.door import Flood, capacity_per_s, door, flooded, guarded
from toolkit.advice.formula import Estimate, beside_formula, estimate
from toolkit.advice.futures import FUTURES, Future
from toolkit.advice.goals import SLO
from toolkit.advice.memo import Memo, memo, parted
from toolkit.advice.prices import HOUR, Parts, Prices
from toolkit.advice.search import simplest
from toolkit.advice.trial import GOOD, Trial, trial
from toolkit.fitting import staffing_name

__all__ = [
    "FUTURES",
    "GOOD",
    "HOUR",
    "SLO",
    "VERDICTS",
    "Advice",
    "Decision",
    "Estimate",
    "Flood",
    "Future",
    "Memo",
    "Parts",
    "Prices",
    "Spare",
    "Trial",
    "advise",
    "beside_formula",
    "capacity_per_s",
    "decided",
    "door",
    "estimate",
    "flooded",
    "guarded",
    "memo",
    "parted",
    "simplest",
    "staffing_name",
    "trial",
]
