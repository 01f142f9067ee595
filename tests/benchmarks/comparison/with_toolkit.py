"""The same by this project: the public call with its draws, records of jobs and attempts kept."""

from itertools import count

import numpy as np
from comparison.models import MODELS, SEED, Program, with_far_cap

import toolkit as tk

TIMES = 100  # or less: as long as SimPy takes


def sojourns_s(run) -> np.ndarray:
    """Return the sojourn times in order of arrival."""
    return run.records.finished_s - run.records.arrived_s


def program(
    model: str,
    jobs: int,
    *,
    engine: str,
    loop: bool = False,
    drawn: bool = False,
    columns: bool = False,
) -> Program:
    """Return the program for ``model``.

    ``loop`` keeps a plain queue from the recursion; ``drawn`` is a slider that was moved: the seed
    is that of a run with one worker more; ``columns`` looks at the records, which sorts them.
    """
    shape, seeds = MODELS[model], count(SEED)
    designs = [shape.design(shape.workers + more) for more in (0, 1)]
    design, other = map(with_far_cap, designs) if loop else designs
    seed = SEED

    def before():
        nonlocal seed
        if drawn:
            tk.simulate(other, jobs=jobs, seed=seed, engine=engine)
        else:
            seed = next(seeds)

    def run():
        made = tk.simulate(design, jobs=jobs, seed=seed, engine=engine)
        if columns:
            _ = made.records
        return made

    return Program(run, sojourns_s, before, TIMES, lambda run: run.engine)
