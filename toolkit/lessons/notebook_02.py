"""The questions of notebook 02, and the ideas behind wrong answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolkit.lessons.feedback import Feedback, close, number
from toolkit.simulation import Run


def _stranded(answer: Any, *, run: Run) -> Feedback:
    """Check how many jobs waited behind the long one while the other worker was idle."""
    given = number(answer)
    long = run.attempts.set_index("job").loc[run.jobs["service_s"].idxmax()]
    of_its_worker = run.attempts["worker"] == long["worker"]
    right = int((of_its_worker & (run.attempts["started_s"] >= long["ended_s"])).sum())
    if close(given, right):
        return Feedback(True, f"{right} jobs were fetched with the long one and had to wait for it")
    if close(given, right + 1):
        return Feedback(False, "that counts the long job itself; how many wait behind it?")
    if close(given, int(of_its_worker.sum()) - 1):
        return Feedback(False, "some of those were done before the long one began")
    return Feedback(False, "which jobs of the long job's worker began only when that had ended?")


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
    right = float(again["started_s"].iloc[0] - victim["ended_s"])
    if close(given, right):
        return Feedback(
            True, f"{right:.0f} s: the lease had to run out before anybody else could start"
        )
    if close(given, float(again["started_s"].iloc[0])):
        return Feedback(False, "that is when it started again; how long after the crash was that?")
    if close(given, right + float(victim["ended_s"] - victim["started_s"])):
        return Feedback(False, "that is counted from the first start; the crash came later")
    return Feedback(False, "the start of its second row, less the end of its first, in seconds")


def _copies(answer: Any, *, run: Run) -> Feedback:
    """Check how many times the one job of a run was started."""
    given = number(answer)
    right = int((run.attempts["worker"] >= 0).sum())
    if close(given, right):
        return Feedback(True, f"{right} runs of one job: a new one each time the lease ran out")
    if close(given, right - 1):
        return Feedback(False, "those are the copies; the first run counts as well")
    return Feedback(False, "one start at once, and one more each time the time-out has passed")


QUESTIONS: dict[str, Callable[..., Feedback]] = {
    "02-1 stranded jobs": _stranded,
    "02-2 takeover": _takeover,
    "02-3 copies": _copies,
}
