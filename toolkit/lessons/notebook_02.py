"""The questions of notebook 02, and the ideas behind wrong answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from toolkit.lessons.feedback import Feedback, close, number
from toolkit.simulation import Run


def _stranded(answer: Any, *, run: Run) -> Feedback:
    """Check how many jobs waited behind the long one, in the memory of its worker."""
    given = number(answer)
    long = run.attempts.set_index("job").loc[run.jobs["service_s"].idxmax()]
    of_its_worker = run.attempts["worker"] == long["worker"]
    right = int((of_its_worker & (run.attempts["started_s"] >= long["ended_s"])).sum())
    if close(given, right):
        return Feedback(True, f"{right} jobs were fetched with the long one and had to wait for it")
    slips = [
        (right + 1, "that counts the long job itself; how many wait behind it?"),
        (int(of_its_worker.sum()) - 1, "some of those were done before the long one began"),
        (_held(run), "that much all workers may hold together; which jobs does the busy one hold?"),
    ]
    return _hint(
        given, slips, "which jobs of the long job's worker began only when that had ended?"
    )


def _takeover(answer: Any, *, run: Run) -> Feedback:
    """Check how long after the crash the victim was started again."""
    given = number(answer)
    rows = run.attempts[run.attempts["worker"] >= 0]
    victim = rows.loc[rows["outcome"] == "crashed"].iloc[0]
    again = rows[(rows["job"] == victim["job"]) & (rows["attempt"] > victim["attempt"])]
    if again.empty:
        return Feedback(
            False, "in this run the job never came back: take one that is acknowledged late"
        )
    again_s, ran_s = float(again["started_s"].iloc[0]), victim["ended_s"] - victim["started_s"]
    right, lease_s = again_s - victim["ended_s"], _lease_s(run)
    if close(given, right):
        return Feedback(
            True, f"{right:.0f} s: the lease had to run out before anybody else could start"
        )
    slips = [
        (again_s, "that is when it started again; how long after the crash was that?"),
        (right + ran_s, "that is counted from the first start; the crash came later"),
        (lease_s, "that is a whole lease from the crash on; when was it renewed last?"),
        (lease_s - ran_s, "that is a lease from the fetch on; was it renewed before the crash?"),
    ]
    return _hint(given, slips, "the start of its second row, less the end of its first, in seconds")


def _copies(answer: Any, *, run: Run) -> Feedback:
    """Check how many times the one job of a run was started."""
    given = number(answer)
    right = int((run.attempts["worker"] >= 0).sum())
    if close(given, right):
        return Feedback(True, f"{right} runs of one job: a new one each time the lease ran out")
    stage = run.design.stages[0]
    most = stage.delivery.max_deliveries if stage.delivery else None
    unrenewed = stage.service.moment(1) / _lease_s(run)
    slips = [
        (right - 1, "those are the copies; the first run counts as well"),
        (most or math.nan, "that is the most that are allowed; time runs out before"),
        (unrenewed, "that is a lock that nobody renews; how long does a renewed one last?"),
    ]
    return _hint(given, slips, "one start at once, and one more each time the time-out has passed")


def _hint(given: float, slips: Sequence[tuple[float, str]], otherwise: str) -> Feedback:
    """Return the hint for the first slip that leads to the answer that was given."""
    return Feedback(False, next((hint for slip, hint in slips if close(given, slip)), otherwise))


def _held(run: Run) -> float:
    """Return how many messages all instances may hold beside those they run."""
    delivery = run.design.stages[0].delivery
    return delivery.instances * delivery.prefetch if delivery else math.nan


def _lease_s(run: Run) -> float:
    delivery = run.design.stages[0].delivery
    return delivery.visibility.timeout_s if delivery and delivery.visibility else math.nan


QUESTIONS: dict[str, Callable[..., Feedback]] = {
    "02-1 stranded jobs": _stranded,
    "02-2 takeover": _takeover,
    "02-3 copies": _copies,
}
