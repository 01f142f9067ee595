"""Designs at work: engines, their random numbers, and the records of a run."""

from toolkit.simulation.run import Run, simulate

__all__ = ["Run", "simulate"]
