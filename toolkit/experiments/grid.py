"""A design at every point of a grid, several times: how figures move with what one can choose."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from toolkit import _check
from toolkit.design import Design
from toolkit.experiments.crew import Crew, crew_for
from toolkit.experiments.logbook import DESIGNS, Key, Logbook, fingerprint, plain
from toolkit.experiments.warmup import Warmup
from toolkit.experiments.watch import interrupted, watched
from toolkit.experiments.work import Seen, Setting, Work, figure_names
from toolkit.simulation import Engine

if TYPE_CHECKING:
    from distributed import Client

_TAKEN = ("replication", "warnings", "figure", "mean", "low", "high", "noisy")
"""The other columns of the table and of its ``intervals``."""


def sweep(
    build: Callable[..., Design],
    *,
    jobs: int | None = None,
    replications: int = 5,
    seed: int = 0,
    warmup: Warmup = "auto",
    engine: Engine = "auto",
    parallel: int | None = None,
    client: Client | None = None,
    file: str | Path | None = None,
    progress: bool = True,
    **axes: Sequence[Any],
) -> pd.DataFrame:
    """Run the design that ``build`` makes of every combination of the values of ``axes``.

    ``sweep(build, workers=[1, 2, 4], rate_per_s=[50, 90], jobs=20_000)`` calls
    ``build(workers=1, rate_per_s=50)`` and so on, and replicates each of the six designs.
    Returns a row a point and replication: the axes, ``replication``, the figures of the run as in
    ``Run.summary``, ``warmup_jobs`` that were left out of them, and ``warnings``, one text.
    ``intervals`` makes means with intervals of it, a row a point.

    Replication k sends the same jobs to all points that draw them alike, and is replication k of
    ``replicate`` and ``simulate``.  The other arguments are as in ``replicate``; ``warmup="auto"`` is
    a cut for each run.  With ``file`` every run is written down when it is finished, and runs that
    are there already are not made again: the same call goes on after an interrupt or a crash, and
    with more ``replications`` adds to what there is.

    An interrupt returns the rows that are finished, if any, with a Python warning.
    Raises ``ValueError`` for an argument out of range, and for a ``file`` that is not of this sweep.
    """
    _check.count("replications", replications)
    grid = points(axes)
    designs = [built(build, point) for point in grid]
    setting = Setting(jobs=jobs, seed=seed, warmup=warmup, engine=engine)
    plan = _Plan(designs, setting, replications)
    crew = crew_for(designs, engine=engine, parallel=parallel, client=client)
    with ExitStack() as stack:
        log = None
        if file is not None:
            log = stack.enter_context(closing(Logbook(file, _title(axes, plan))))
        seen = plan.carried_out(crew, log, progress=progress)
    return _table(grid, seen)


class _Plan(NamedTuple):
    """What is to be run."""

    designs: list[Design]
    setting: Setting
    replications: int

    def carried_out(self, crew: Crew, log: Logbook | None, *, progress: bool) -> dict[Key, Seen]:
        """Return every run, those that ``log`` has and those that had still to be made."""
        keys = set(self.keys())
        seen = {} if log is None else {key: log.seen[key] for key in keys & set(log.seen)}
        works = (self.work(key) for key in self.keys() if key not in seen)
        begun = len(seen)
        try:
            with closing(watched(crew, works, runs=len(keys), begun=begun, show=progress)) as done:
                for work, found in done:
                    [(name, one)] = found.items()
                    key = int(name), work.replication
                    if log is not None:
                        log.enter(key, one)
                    seen[key] = one
        except KeyboardInterrupt:
            if not seen:
                raise
            interrupted(len(seen), len(keys), "runs")
        return seen

    def keys(self) -> Iterator[Key]:
        """Yield all runs, every point's first replication before the second of any."""
        for replication, point in itertools.product(
            range(self.replications), range(len(self.designs))
        ):
            yield point, replication

    def work(self, key: Key) -> Work:
        """Return the piece of work at a place of the sweep."""
        point, replication = key
        return Work({str(point): self.designs[point]}, replication, self.setting)


def points(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return every combination of values, the last axis moving fastest."""
    if not axes:
        raise ValueError("axes must be given, such as workers=[1, 2, 4], got none")
    for name, values in axes.items():
        if name in {*_TAKEN, *figure_names()}:
            raise ValueError(f"an axis must not be named like a column of the table, got {name!r}")
        if isinstance(values, str | bytes) or not hasattr(values, "__len__") or not len(values):
            raise ValueError(f"{name} must be a list of values, got {values!r}")
        if _different(name, values) < len(values):
            raise ValueError(f"{name} must be a list of different values, got {values!r}")
    rows = itertools.product(*axes.values())
    return [dict(zip(axes, row, strict=True)) for row in rows]


def _different(name: str, values: Sequence[Any]) -> int:
    try:
        return len(set(values))
    except TypeError:
        raise ValueError(
            f"{name} must be a list of values that do not change, such as numbers, got {values!r}"
        ) from None


def built(build: Callable[..., Design], point: Mapping[str, Any]) -> Design:
    """Return the design that ``build`` makes of a point; an error says of which."""
    where = ", ".join(f"{name}={value!r}" for name, value in point.items())
    try:
        design = build(**point)
    except Exception as error:
        error.add_note(f"while building the design of {where}")
        raise
    if not isinstance(design, Design):
        raise ValueError(f"build must return a Design(...), got {design!r} for {where}")  # noqa: TRY004
    return design


def _title(axes: Mapping[str, Sequence[Any]], plan: _Plan) -> dict[str, Any]:
    """Return all that figures depend on; more replications are the same sweep, and so is any engine."""
    setting = plan.setting
    return {
        **{name: plain(list(values)) for name, values in axes.items()},
        "jobs": setting.jobs,
        "seed": setting.seed,
        "warmup": setting.warmup,
        DESIGNS: [fingerprint(design) for design in plan.designs],
    }


def _table(points: list[dict[str, Any]], seen: Mapping[Key, Seen]) -> pd.DataFrame:
    """Return the runs as rows, point by point."""
    keys = sorted(seen)
    columns = {name: _column([points[point][name] for point, _ in keys]) for name in points[0]}
    columns["replication"] = pd.Series([replication for _, replication in keys], dtype=np.int64)
    figures = pd.DataFrame([seen[key].figures for key in keys])
    warnings = pd.Series(
        ["; ".join(seen[key].warnings) for key in keys], name="warnings", dtype=str
    )
    return pd.concat([pd.DataFrame(columns), figures, warnings], axis=1)


def _column(values: list[Any]) -> pd.Series[Any]:
    """Return values as they are: pandas would make a number that is not one of ``None``."""
    has_none = any(value is None for value in values)
    return pd.Series(values, dtype=object if has_none else None)
