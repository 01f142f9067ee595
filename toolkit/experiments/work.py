"""One piece of work: a replication of one design, or of several on the same jobs.

It says all that its figures depend on, so they are the same wherever and whenever it is done.
Only figures come back from it: the records of a run stay where they were made and are dropped there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from toolkit import _check
from toolkit.arrivals import Poisson
from toolkit.design import Design, Stage
from toolkit.experiments.warmup import Warmup, warmup_jobs
from toolkit.laws import Deterministic
from toolkit.simulation import Engine, simulate


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all runs of an experiment have in common."""

    jobs: int | None
    seed: int
    warmup: Warmup
    engine: Engine

    def __post_init__(self) -> None:
        if self.jobs is not None:
            _check.count("jobs", self.jobs)
        _check.count("seed", self.seed, least=0)
        if self.warmup != "auto":
            _check.count("warmup", self.warmup, least=0)


@dataclass(frozen=True, slots=True)
class Work:
    """Designs by name, and which replication of them to run."""

    designs: dict[str, Design]
    replication: int
    setting: Setting


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of a run: its figures, ``warmup_jobs`` the last of them, and its warnings."""

    figures: dict[str, float]
    warnings: tuple[str, ...]


def measure(work: Work) -> dict[str, Seen]:
    """Run the designs of ``work`` and return what was seen of each.

    With ``warmup="auto"`` the longest cut of them serves all: the designs are compared on the same
    jobs, and a different cut would leave different ones.
    """
    jobs, seed, engine = work.setting.jobs, work.setting.seed, work.setting.engine
    runs = {
        name: simulate(design, jobs=jobs, seed=seed, replication=work.replication, engine=engine)
        for name, design in work.designs.items()
    }
    cut = work.setting.warmup
    skip = max(map(warmup_jobs, runs.values())) if cut == "auto" else cut
    seen = {}
    for name, run in runs.items():
        figures = {str(key): float(value) for key, value in run.summary(skip_jobs=skip).items()}
        seen[name] = Seen({**figures, "warmup_jobs": float(skip)}, run.warnings)
    return seen


@cache  # the same for all designs
def figure_names() -> tuple[str, ...]:
    """Return the names of all figures, as a small run has them."""
    stage = Stage(name="work", service=Deterministic(value_s=1.0))
    design = Design(arrivals=Poisson(rate_per_s=1.0), stages=[stage])
    setting = Setting(jobs=1, seed=0, warmup=0, engine="simpy")
    return tuple(measure(Work({"": design}, 0, setting))[""].figures)


def check_figure(figure: str) -> None:
    """Check that ``figure`` is one that runs have."""
    _check.choice("figure", figure, figure_names())
