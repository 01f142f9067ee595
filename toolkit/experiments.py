"""Many runs instead of one, to know how sure we may be and whether a difference is real.

One run is one draw from a lottery, and its jobs depend on each other.
So uncertainty is taken from independent replications, never from the jobs of one run:
the mean over replications, with Student's t interval.
Designs are compared job for job: replication k sends the same jobs to each of them
(common random numbers), and the interval is that of the paired differences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from toolkit import _check
from toolkit.design import Design
from toolkit.simulation import Run, simulate

if TYPE_CHECKING:
    from tqdm.auto import tqdm

Warmup = Literal["auto"] | int


def replicate(
    design: Design,
    *,
    jobs: int | None = None,
    replications: int = 20,
    seed: int = 0,
    warmup: Warmup = "auto",
    confidence: float = 0.95,
    progress: bool = True,
) -> Replications:
    """Run ``design`` ``replications`` times, independently, and keep the figures of each run.

    ``warmup`` is the number of first jobs to leave out of the figures; ``"auto"`` chooses it for
    each replication (see ``warmup_jobs``).  A progress bar appears when it takes more than two seconds.
    Raises ``ValueError`` for an argument out of range.
    """
    return compare(
        {"design": design},
        jobs=jobs,
        replications=replications,
        seed=seed,
        warmup=warmup,
        confidence=confidence,
        progress=progress,
    ).replications["design"]


def compare(
    designs: Mapping[str, Design],
    *,
    jobs: int | None = None,
    replications: int = 20,
    seed: int = 0,
    warmup: Warmup = "auto",
    confidence: float = 0.95,
    progress: bool = True,
) -> Comparison:
    """Run every design on the same jobs, replication by replication; the first is the baseline.

    Arguments as in ``replicate``.  Raises ``ValueError`` for no design or an argument out of range.
    """
    if not designs:
        raise ValueError("designs must hold at least one design by name, got none")
    _check.count("replications", replications, least=2)
    if not 0 < _check.number("confidence", confidence) < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence!r}")
    if warmup != "auto":
        _check.count("warmup", warmup, least=0)
    books = {name: _Book([], {}) for name in designs}
    with _progress(len(designs) * replications, show=progress) as bar:
        for replication in range(replications):
            runs = {}
            for name, design in designs.items():
                runs[name] = simulate(design, jobs=jobs, seed=seed, replication=replication)
                bar.update()
            # one cut for all: the designs are compared on the same jobs
            skip = max(map(warmup_jobs, runs.values())) if warmup == "auto" else warmup
            for name, run in runs.items():
                books[name].enter(run, skip)
    done = {name: book.close(designs[name], confidence) for name, book in books.items()}
    return Comparison(replications=done, confidence=confidence)


class _Book(NamedTuple):
    """What is kept of a design's runs: their figures, and every warning once, in order."""

    figures: list[pd.Series[float]]
    warnings: dict[str, None]

    def enter(self, run: Run, skip: int) -> None:
        self.figures.append(run.summary(skip_jobs=skip).rename(run.replication))
        self.warnings.update(dict.fromkeys(run.warnings))

    def close(self, design: Design, confidence: float) -> Replications:
        return Replications(
            design=design,
            figures=pd.DataFrame(self.figures).rename_axis("replication"),
            confidence=confidence,
            warnings=tuple(self.warnings),
        )


def _progress(runs: int, *, show: bool) -> tqdm[Any]:
    """Return a progress bar that appears after two seconds, in a terminal or a notebook."""
    from tqdm.auto import tqdm  # noqa: PLC0415, an import of a tenth of a second

    return tqdm(total=runs, unit="run", delay=2, disable=not show)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replications:
    """Independent runs of one design; ``figures`` has a row a replication, a column a figure."""

    design: Design
    figures: pd.DataFrame
    confidence: float
    warnings: tuple[str, ...]

    def summary(self) -> pd.DataFrame:
        """Return a row a figure: its ``mean``, and ``low`` and ``high`` of the interval."""
        return _intervals(self.figures, self.confidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Designs that met the same jobs; the first is the baseline."""

    replications: Mapping[str, Replications]
    confidence: float

    @property
    def baseline(self) -> str:
        """The name of the first design."""
        return next(iter(self.replications))

    def table(self) -> pd.DataFrame:
        """Return a row for each figure and design other than the baseline.

        Columns: ``baseline`` and ``mean``, the two means; ``difference``, design less baseline, with
        ``low`` and ``high`` of its interval; ``clear``, whether the interval leaves out zero.
        """
        base = self.replications[self.baseline].figures
        tables = {}
        for name, replications in self.replications.items():
            if name != self.baseline:
                paired = _intervals(replications.figures - base, self.confidence)
                paired = paired.rename(columns={"mean": "difference"})
                paired.insert(0, "baseline", base.mean())
                paired.insert(1, "mean", replications.figures.mean())
                tables[name] = paired.assign(clear=(paired["low"] > 0) | (paired["high"] < 0))
        if not tables:
            raise ValueError("a table of differences needs at least two designs, got one")
        table = pd.concat(tables, names=["design", "figure"]).swaplevel()
        return table.loc[[(figure, name) for figure in base.columns for name in tables]]


def warmup_jobs(run: Run) -> int:
    """Return how many first jobs of ``run`` to leave out, by the MSER-5 rule.

    The sojourn times of the jobs that were done, in order of arrival, are averaged in batches of
    five; the cut is where the standard error of what remains is least, looked for in the first half
    (White, Cobb and Spratt 2000, "A comparison of five steady-state truncation heuristics").
    """
    done = run.jobs.index[run.jobs["outcome"] == "done"].to_numpy()
    batches = done.size // 5
    if batches < 4:
        return 0
    sojourn_s = run.jobs["sojourn_s"].to_numpy()[done[: batches * 5]]
    means = sojourn_s.reshape(batches, 5).mean(axis=1)
    left = np.arange(batches, 0, -1)
    tail_sum = np.cumsum(means[::-1])[::-1]
    tail_squares = np.cumsum((means**2)[::-1])[::-1]
    error = (tail_squares - tail_sum**2 / left) / left**2
    error = error[: batches // 2]
    # the first that is as good as the best: of a series without spread, nothing is cut
    cut = int(np.argmax(error <= error.min() + 1e-12 * means.mean() ** 2))
    return int(done[cut * 5]) if cut else 0


def _intervals(figures: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return mean, low and high of each column."""
    rows = {name: interval(column, confidence) for name, column in figures.items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high"])
    return table.rename_axis("figure")


def interval(values: pd.Series[float], confidence: float) -> tuple[float, float, float]:
    """Return the mean and the ends of its two-sided Student's t interval; ``values`` independent."""
    mean = float(values.mean())
    half = student(confidence, len(values)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def student(confidence: float, samples: int) -> float:
    """Return how many standard errors the two-sided interval of ``samples`` samples reaches."""
    from scipy.special import stdtrit  # noqa: PLC0415, scipy only where it is used

    return float(stdtrit(samples - 1, 0.5 + confidence / 2))
