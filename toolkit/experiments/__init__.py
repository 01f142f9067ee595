"""Many runs: replications, comparisons, sweeps, and the choice of the best, here or on a cluster."""

from toolkit.experiments.confidence import interval, intervals, student
from toolkit.experiments.grid import sweep
from toolkit.experiments.replications import compare, replicate
from toolkit.experiments.results import Comparison, Replications
from toolkit.experiments.selection import Selection, best
from toolkit.experiments.warmup import warmup_jobs
from toolkit.experiments.watch import progress_bar

__all__ = [
    "Comparison",
    "Replications",
    "Selection",
    "best",
    "compare",
    "interval",
    "intervals",
    "progress_bar",
    "replicate",
    "student",
    "sweep",
    "warmup_jobs",
]
