"""The same small job pipeline as ``direct``, through layers, as teams really build it.

Steps, prices, retries, stores and writers stand behind interfaces; a registry finds them by the names in
a configuration, a container puts them together, and an event bus tells who listens how jobs ended.
What this is for: a step, a store or a writer is added or exchanged without touching the others.
Read ``pipeline`` first, then ``steps``, then ``factory``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TextIO

from toolkit.exhibits.layered.config import PipelineConfig
from toolkit.exhibits.layered.factory import PipelineFactory
from toolkit.exhibits.layered.pipeline import Pipeline
from toolkit.exhibits.layered.summary import SummaryCollector

__all__ = ["PipelineConfig", "PipelineFactory", "process"]


def process(
    lines: Iterable[str],
    charge: Callable[[str, int], None],
    pause: Callable[[float], None],
    out: TextIO,
    config: PipelineConfig | None = None,
) -> dict[str, Any]:
    """Process job lines, write a result line for each to ``out``, and return the summary.

    ``charge(customer, cents)`` raises ``ConnectionError`` where another try may help;
    ``pause(seconds)`` waits.  Empty lines are passed over, but counted.
    Raises ``ValueError`` where ``config`` names a part that nobody registered.
    """
    container = PipelineFactory(config or PipelineConfig()).container(charge, pause, out)
    container.resolve(Pipeline).run(lines)
    return container.resolve(SummaryCollector).summary()
