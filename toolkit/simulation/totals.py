"""A run that keeps no records: what it adds up and counts on the way, in the same memory for any length.

Everything else here computes figures from records.  This is for runs whose records nobody could
hold: one plain stage, first come, first served, whose jobs can be drawn, timed and forgotten a block
at a time.  Counts and means are exact; percentiles come from bins and are within ``RELATIVE_ERROR``.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit import _check
from toolkit.design import OUTCOMES, Design, Stage
from toolkit.laws import Array
from toolkit.simulation.run import PERCENTILES
from toolkit.simulation.streams import Streams, is_in_parts

if TYPE_CHECKING:
    from toolkit.simulation.compiled_engine.totals_run import TotalsRun

RELATIVE_ERROR = 2.0**-11  # half a bin, as wide as the last of the ten bits that are looked at
SHORT_JOBS = 2_000_000  # far less than the two seconds after which a progress bar would show


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Durations in bins: the middle of each in seconds, how many fell into it, and the exact sum."""

    middles_s: Array
    counts: npt.NDArray[np.int64]
    sum_s: float

    @classmethod
    def of(cls, bins: npt.NDArray[np.int64], sum_s: float) -> Spread:
        """Take the bins that hold something, numbered by the first bits of their durations."""
        found = np.flatnonzero(bins)
        bits = 64 - bins.size.bit_length()
        middles_s = ((found << bits) | (1 << (bits - 1))).view(np.float64)
        return cls(middles_s=np.where(found, middles_s, 0.0), counts=bins[found], sum_s=sum_s)

    def figures(self, name: str) -> dict[str, float]:
        """Return the mean and the percentiles, as ``Run.summary`` names them."""
        ends = np.cumsum(self.counts)
        places = (ends[-1] - 1) * np.array(PERCENTILES) / 100.0
        below, above = (
            self.middles_s[np.searchsorted(ends, rank, side="right")]
            for rank in (np.floor(places), np.ceil(places))
        )
        cuts = below + (above - below) * (places - np.floor(places))
        percentiles = {
            f"{name}_p{p:g}_s": float(cut) for p, cut in zip(PERCENTILES, cuts, strict=True)
        }
        return {f"{name}_mean_s": self.sum_s / int(ends[-1]), **percentiles}


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What is left of a run that kept no records (``simulate(..., keep="summary")``)."""

    design: Design
    seed: int
    replication: int
    engine: str
    warnings: tuple[str, ...]
    jobs_done: int
    duration_s: float
    busy_s: float
    sojourn: Spread = field(repr=False)
    wait: Spread = field(repr=False)

    def summary(self, *, skip_jobs: int = 0) -> pd.Series[float]:
        """Return the figures that ``Run.summary`` has, under the same names.

        Counts are exact, means, rates and the utilisation to rounding; each percentile is within 0.05%
        of the one that records would give.  ``skip_jobs`` is refused: the first jobs are in the sums.
        """
        if _check.count("skip_jobs", skip_jobs, least=0):
            raise ValueError(
                f"skip_jobs must be 0 for a run that kept no records, got {skip_jobs}: its first jobs "
                "are in the sums already; keep='records' can leave them out, a longer run makes them "
                "matter less"
            )
        per_s = 1 / (self.duration_s or math.nan)
        figures = {
            "jobs": self.jobs_done,
            "goodput_per_s": self.jobs_done * per_s,
            "throughput_per_s": self.jobs_done * per_s,
            "utilisation": self.busy_s / self.design.stages[0].workers * per_s,
            "waste": 0.0,
            **self.sojourn.figures("sojourn"),
            **self.wait.figures("wait"),
            **dict.fromkeys(OUTCOMES, 0),
            "done": self.jobs_done,
        }
        return pd.Series(figures, dtype=float, name="run")

    def __getattr__(self, name: str) -> NoReturn:
        """Say where the tables are that a run would have."""
        text = f"{type(self).__name__!r} has no attribute {name!r}"
        if name in {"jobs", "attempts", "records", "done_ms"}:
            text = (
                f"{name!r} was not kept: this run was asked for keep='summary'; "
                f"simulate(..., keep='records') has it, and `jobs` for a number that memory can hold"
            )
        raise AttributeError(text)


def needs_records(design: Design) -> list[str]:
    """Return the fields of ``design`` for which a run must keep records; none for a plain stage."""
    found = [name for name in ("classes", "callers") if getattr(design, name)]
    if not is_in_parts(design.arrivals):
        found.insert(0, "arrivals")
    if len(design.stages) > 1:
        return [*found, "stages"]
    (stage,) = design.stages
    return [*found, *(f"stage '{stage.name}': {name}" for name in _more_than_plain(stage))]


def _more_than_plain(stage: Stage) -> list[str]:
    plain = Stage(name=stage.name, service=stage.service, workers=stage.workers)
    if stage.retry and stage.retry.budget is None and stage.failure == 0:
        plain = dataclasses.replace(plain, retry=stage.retry)  # nothing ever is tried again
    names = [part.name for part in dataclasses.fields(Stage)]
    found = [name for name in names if getattr(stage, name) != getattr(plain, name)]
    return found if is_in_parts(stage.service) else ["service", *found]


def run_totals(design: Design, streams: Streams) -> Totals:
    """Run ``design``, which needs no records, a block at a time.

    An interrupt ends the run after the last whole block; its figures are those of a run of so many
    jobs, and ``warnings`` says so.
    """
    from toolkit.simulation.compiled_engine.totals_run import TotalsRun  # noqa: PLC0415, numba is slow to load

    run, cut = TotalsRun(design, streams), list[str]()
    with _progress(streams.jobs) as bar:
        try:
            while run.jobs < streams.jobs:
                count = run.step()
                if bar is not None:
                    bar.update(count)
        except KeyboardInterrupt:
            if run.jobs == 0:
                raise
            cut.append(_interrupted(run, streams.jobs))
    return Totals(
        design=design,
        seed=streams.seed,
        replication=streams.replication,
        engine="compiled",
        warnings=(*design.overloads(), *cut),
        jobs_done=run.jobs,
        duration_s=run.last_s,
        busy_s=run.sum_s("busy"),
        sojourn=Spread.of(run.sojourns, run.sum_s("sojourn")),
        wait=Spread.of(run.waits, run.sum_s("wait")),
    )


def _progress(jobs: int) -> AbstractContextManager[Any]:
    """Return a progress bar that appears after two seconds, nothing for a short run."""
    if jobs <= SHORT_JOBS:
        return nullcontext()
    from tqdm.auto import tqdm  # noqa: PLC0415, an import of a tenth of a second

    bar: AbstractContextManager[Any] = tqdm(total=jobs, unit="job", unit_scale=True, delay=2)
    return bar


def _interrupted(run: TotalsRun, of: int) -> str:
    """Return a sentence about an interrupt; a Python warning too, so that nobody overlooks it."""
    text = f"interrupted: {run.jobs:,} of {of:,} jobs are finished, and this is about them alone"
    warnings.warn(text, stacklevel=4)
    return text
