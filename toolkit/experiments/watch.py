"""Watching work get done: a progress bar, and what an interrupt leaves."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from toolkit.experiments.crew import Crew, Done
from toolkit.experiments.work import Work

if TYPE_CHECKING:
    from tqdm.auto import tqdm


def watched(
    crew: Crew, works: Iterable[Work], *, runs: int, begun: int = 0, show: bool
) -> Generator[Done, None, None]:
    """Yield what ``crew`` has finished, behind a progress bar of ``runs``, ``begun`` of them done."""
    with (
        progress_bar(runs, begun=begun, show=show) as bar,
        closing(crew.finished(works, runs)) as done,
    ):
        for work, seen in done:
            bar.update(len(seen))
            yield work, seen


def interrupted(finished: int, of: int, what: str) -> str:
    """Return a sentence about an interrupt; a Python warning too, so that nobody overlooks it."""
    text = f"interrupted: {finished} of {of} {what} are finished, and this is about them alone"
    warnings.warn(text, stacklevel=4)
    return text


def progress_bar(total: int, *, begun: int = 0, unit: str = "run", show: bool) -> tqdm[Any]:
    """Return a progress bar that appears after two seconds, in a terminal or a notebook."""
    from tqdm.auto import tqdm  # noqa: PLC0415, an import of a tenth of a second

    return tqdm(total=total, initial=begun, unit=unit, delay=2, disable=not show)
