"""Designs at work: engines, their random numbers, and the records of a run."""

from toolkit.simulation.contention import Contention, contention, study
from toolkit.simulation.engines import Engine, engine_for
from toolkit.simulation.run import Run
from toolkit.simulation.simulate import simulate

__all__ = ["Contention", "Engine", "Run", "contention", "engine_for", "simulate", "study"]
