"""The engine to read: see ``system`` first, then ``station``, ``broker`` and ``instance``."""

from toolkit.simulation.simpy_engine.system import System

__all__ = ["System"]
