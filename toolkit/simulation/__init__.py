"""Designs at work: engines, their random numbers, and the records of a run."""

from toolkit.simulation.contention import Contention, contention, study
from toolkit.simulation.engines import Engine, engine_for
from toolkit.simulation.run import Run
from toolkit.simulation.simulate import simulate
from toolkit.simulation.totals import Totals

__all__ = ["Contention", "Engine", "Run", "Totals", "contention", "engine_for", "simulate", "study"]
