"""How many first jobs of a run to leave out: a queue that starts empty is not yet itself."""

from __future__ import annotations

from typing import Literal

import numpy as np

from toolkit.simulation import Run
from toolkit.simulation.codes import DONE

Warmup = Literal["auto"] | int


def warmup_jobs(run: Run) -> int:
    """Return how many first jobs of ``run`` to leave out, by the MSER-5 rule.

    The sojourn times of the jobs that were done, in order of arrival, are averaged in batches of
    five; the cut is where the standard error of what remains is least, looked for in the first half
    (White, Cobb and Spratt 2000, "A comparison of five steady-state truncation heuristics").
    """
    records = run.records
    done = np.flatnonzero(records.outcome == DONE)
    batches = done.size // 5
    if batches < 4:
        return 0
    done = done[: batches * 5]
    sojourn_s = records.finished_s[done] - records.arrived_s[done]
    means = sojourn_s.reshape(batches, 5).mean(axis=1)
    left = np.arange(batches, 0, -1)
    tail_sum = np.cumsum(means[::-1])[::-1]
    tail_squares = np.cumsum((means**2)[::-1])[::-1]
    error = (tail_squares - tail_sum**2 / left) / left**2
    error = error[: batches // 2]
    # the first that is as good as the best: of a series without spread, nothing is cut
    cut = int(np.argmax(error <= error.min() + 1e-12 * means.mean() ** 2))
    return int(done[cut * 5]) if cut else 0
