"""What traces made by hand share: a law that is a list, and a table of what happened."""

import numpy as np

import toolkit as tk


class Given:
    """Service times as given: a list a job for each attempt in turn, the last for all further ones.

    It is not a law of chance and remembers which attempt it was asked for last, so make one a run.
    """

    def __init__(self, *rows):
        self.rows, self.asked = rows, 0

    def draw_s(self, _rng, n):
        """Return the times of the next attempt."""
        row = self.rows[min(self.asked, len(self.rows) - 1)]
        self.asked += 1
        return np.array(row, dtype=float)[:n]

    def moment(self, k):
        """Return something like a moment; warnings of overload do not matter here."""
        return float(np.mean(np.array(self.rows[0], dtype=float) ** k))

    def times(self, _factor):
        """Return itself: no test needs more."""
        return self


def stage(service_s=1.0, **more):
    """Return a stage whose service takes ``service_s``, or as long as a list says, a job each."""
    is_list = isinstance(service_s, list)
    law = Given(service_s) if is_list else tk.Deterministic(value_s=service_s)
    return tk.Stage(**{"name": "work", "service": law} | more)


def at(times_s, *stages, **more):
    """Return a design: jobs at these times go through these stages."""
    return tk.Design(arrivals=tk.Trace(times_s=times_s), stages=stages, **more)


def retry(max_retries=1, delay_s=0.0, **more):
    """Return a retry after always the same pause."""
    return tk.Retry(max_retries=max_retries, backoff=tk.ConstantBackoff(delay_s=delay_s), **more)


def table(run, job=None, *columns):
    """Return what happened, a tuple an attempt: started, ended, outcome, and ``None`` for never."""
    rows = run.attempts if job is None else run.attempts.query("job == @job")
    picked = rows[list(columns) or ["started_s", "ended_s", "outcome"]].astype(object)
    return [
        tuple(None if value != value else value for value in row)  # noqa: PLR0124, nan
        for row in picked.itertuples(index=False)
    ]


def outcomes(run):
    """Return what became of each job."""
    return run.jobs["outcome"].tolist()
