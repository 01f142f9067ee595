"""The simplest design that meets the goal, what it costs, and what else it would stand."""

from toolkit.advice.advising import advise
from toolkit.advice.answer import VERDICTS, Advice, Spare
from toolkit.advice.futures import FUTURES, Future
from toolkit.advice.goals import SLO
from toolkit.advice.prices import HOUR, Parts, Prices
from toolkit.advice.search import simplest

__all__ = [
    "FUTURES",
    "HOUR",
    "SLO",
    "VERDICTS",
    "Advice",
    "Future",
    "Parts",
    "Prices",
    "Spare",
    "advise",
    "simplest",
]
