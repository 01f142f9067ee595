"""The pipeline: takes every job line through all steps, and publishes how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from toolkit.exhibits.layered.domain import JobContext, JobResult, JobStoppedError, Outcome
from toolkit.exhibits.layered.events import EventBus, JobFinished
from toolkit.exhibits.layered.interfaces import Step


class Pipeline:
    """A sequence of steps; knows none of them."""

    def __init__(self, steps: Sequence[Step], bus: EventBus) -> None:
        self._steps = steps
        self._bus = bus

    def run(self, lines: Iterable[str]) -> None:
        """Take all lines through, one after the other; empty ones are passed over, but counted."""
        for number, text in enumerate(lines, start=1):
            if text.strip():
                self._bus.publish(JobFinished(self._handle(JobContext(number, text))))

    def _handle(self, context: JobContext) -> JobResult:
        """Take one job through the steps until one of them stops it."""
        try:
            for step in self._steps:
                step.handle(context)
        except JobStoppedError as stopped:
            return context.result(stopped.outcome, stopped.reason)
        return context.result(Outcome.DONE)
