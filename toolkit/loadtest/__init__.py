"""Load tests: what a real service did, read from the files of a real tool.

One tidy table (``schema``), one function that makes it (``read``), one module for each
format (``readers``) and the figures that a report would show (``statistics``).

``statistics`` names the function here, as users write ``tk.loadtest.statistics(test)``;
the module of the same name is for reading.
"""

from toolkit.loadtest.read import read_loadtest
from toolkit.loadtest.schema import LoadTest
from toolkit.loadtest.statistics import statistics

__all__ = ["LoadTest", "read_loadtest", "statistics"]
