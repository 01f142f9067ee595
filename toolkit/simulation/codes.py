"""Outcomes as numbers, and how many attempts are too many: what engines have in common."""

from toolkit.design import ATTEMPT_OUTCOMES, OUTCOMES

DONE, DEAD, REJECTED, LIMITED, ABANDONED, LOST, UNFINISHED = range(len(OUTCOMES))
(
    OK,
    FAILED,
    TURNED_AWAY,
    CUT_OFF,
    LATE,
    DUPLICATE,
    CRASHED,
    CANCELLED,
    LEFT,
    PREEMPTED,
) = range(len(ATTEMPT_OUTCOMES))

MOST_ROWS_PER_JOB, MOST_ROWS, MOST_ROWS_AT_ONCE = 200, 200_000, 10_000


def most_rows(jobs: int) -> tuple[int, int]:
    """Return after how many attempts a run will hardly end: in all, and at one moment."""
    return MOST_ROWS_PER_JOB * jobs + MOST_ROWS, MOST_ROWS_PER_JOB * jobs + MOST_ROWS_AT_ONCE
