"""A figure of several runs with how well it is known, to be set beside a formula."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.design import Design
from toolkit.experiments import replicate
from toolkit.laws import Array


def mean_and_four_errors(values: Sequence[float] | Array) -> tuple[float, float]:
    """Return the mean of independent ``values``, and four standard errors of it."""
    return float(np.mean(values)), 4.0 * float(np.std(values, ddof=1)) / len(values) ** 0.5


def figure_of(
    design: Design,
    figure: str,
    *,
    jobs: int,
    warmup: int = 0,
    replications: int = 10,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the mean over runs of a figure of ``Run.summary``, and four standard errors of it."""
    runs = replicate(
        design, jobs=jobs, warmup=warmup, replications=replications, seed=seed, progress=False
    )
    return mean_and_four_errors(runs.figures[figure].to_numpy())
