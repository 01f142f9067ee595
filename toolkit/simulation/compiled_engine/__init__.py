"""The engine that follows a slider: the records of the SimPy engine, bit for bit, compiled by numba.

Three ways, the simplest that can do what a design says: ``recursion`` for one plain stage without
feedback, ``plain`` for plain stages, ``full`` for everything else.  ``events`` says in which order
things happen.
"""

from toolkit.simulation.compiled_engine.coverage import uncovered
from toolkit.simulation.compiled_engine.start import run

__all__ = ["run", "uncovered"]
