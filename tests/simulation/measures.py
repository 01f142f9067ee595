"""What can be measured in a run: functions of the run and its jobs after the warm-up.

Averages over time are taken from the first to the last arrival of these jobs, all jobs included: after
that nobody comes any more and the run drains.
"""

import numpy as np

from toolkit.simulation.streams import Streams


def done(jobs):
    return jobs[jobs["outcome"] == "done"]


def share(outcome):
    return lambda _, jobs: (jobs["outcome"] == outcome).mean()


def column(name):
    return lambda _, jobs: jobs[name].mean()


def sojourn(_, jobs):
    return done(jobs)["sojourn_s"].mean()


def wait(_, jobs):
    return done(jobs)["wait_s"].mean()


def waits_at_all(_, jobs):
    return (jobs["wait_s"] > 0).mean()


def window(jobs):
    return jobs["arrived_s"].iloc[0], jobs["arrived_s"].iloc[-1]


def overlap_s(starts_s, ends_s, jobs):
    """Return the seconds from ``starts_s`` to ``ends_s`` that are in the window, added up, per second."""
    low_s, high_s = window(jobs)
    ends_s = np.where(np.isnan(ends_s), high_s, ends_s)
    seconds = np.clip(ends_s, low_s, high_s) - np.clip(starts_s, low_s, high_s)
    return seconds.sum() / (high_s - low_s)


def levels(run, jobs):
    """Return how many jobs are inside between changes, and the share of the window that lasts."""
    low_s, high_s = window(jobs)
    records = run.records
    times_s = np.concatenate([records.arrived_s, records.finished_s])
    order = np.argsort(times_s, kind="stable")
    count = np.cumsum(np.repeat([1, -1], records.arrived_s.size)[order])
    cut_s = np.clip(times_s[order], low_s, high_s)
    return count[:-1], np.diff(cut_s) / (high_s - low_s)


def inside(run, jobs, power=1, about=0.0):
    if power == 1 and about == 0.0:
        return overlap_s(run.records.arrived_s, run.records.finished_s, jobs)
    count, lasts = levels(run, jobs)
    return ((count - about) ** power * lasts).sum()


def inside_at_least(k):
    def measure(run, jobs):
        count, lasts = levels(run, jobs)
        return lasts[count >= k].sum()

    return measure


def empty(run, jobs):
    return 1 - inside_at_least(1)(run, jobs)


def jobs_at(t_s):
    def measure(run, _):
        records = run.records
        return np.sum((records.arrived_s <= t_s) & ~(records.finished_s <= t_s))

    return measure


def waiting(run, jobs):
    """Return the mean number in line: from the door to the start, or to the end for those who left."""
    records = run.records
    left_s = np.where(records.served, records.started_s, records.ended_s)
    return overlap_s(records.queued_s, left_s, jobs)


def rows_of(run, name):
    stages = [stage.name for stage in run.design.stages]
    return run.records.stage == stages.index(name)


def busy(name, workers):
    """Return the share of the time that a worker works."""

    def measure(run, jobs):
        rows = rows_of(run, name) & run.records.served
        return overlap_s(run.records.started_s[rows], run.records.ended_s[rows], jobs) / workers

    return measure


def queue_of(name):
    """Return the mean number of jobs in a stage, waiting and in service."""

    def measure(run, jobs):
        rows = rows_of(run, name)
        return overlap_s(run.records.queued_s[rows], run.records.ended_s[rows], jobs)

    return measure


def visits(name, *, only_ok=False):
    """Return how many services end in a stage per second (``only_ok``: those that worked)."""

    def measure(run, jobs):
        records, (low_s, high_s) = run.records, window(jobs)
        rows = rows_of(run, name) & records.served
        if only_ok:
            rows &= records.attempt_outcome == 0
        ends_s = records.ended_s[rows]
        return np.sum((low_s < ends_s) & (ends_s <= high_s)) / (high_s - low_s)

    return measure


def attempts(run, jobs, *, turned_away=False):
    """Return the attempts a job, with or without those that got no worker."""
    if turned_away:
        return np.sum(run.records.job >= jobs.index[0]) / len(jobs)
    return jobs["attempts"].mean()


def turned_away_first(run, jobs):
    """Return the share of jobs whose first attempt finds no place."""
    records = run.records
    firsts = (records.attempt == 1) & (records.job >= jobs.index[0])
    return (~records.served[firsts]).mean()


def orbit_size(run, jobs):
    """Return the mean number of jobs that are outside between two attempts."""
    records = run.records
    return overlap_s(records.queued_s - records.paused_s, records.queued_s, jobs)


def streams_of(run):
    return Streams(seed=run.seed, replication=run.replication, jobs=len(run.jobs))


def of_class(name, k):
    """Return the mean of a column over the jobs of class ``k``."""

    def measure(run, jobs):
        shares = {kind.name: kind.share for kind in run.design.classes}
        kinds = streams_of(run).classes(shares)[jobs.index]
        return jobs[name][kinds == k].mean()

    return measure


def work_s(run):
    stage = run.design.stages[0]
    return streams_of(run).services_s(stage.service, stage.name, 1)


def size_near(size):
    """Return the mean time of jobs of about ``size``, each scaled to it (it grows in proportion)."""

    def measure(run, jobs):
        work = work_s(run)[jobs.index]
        near = abs(work - size) < 0.5
        return (jobs["sojourn_s"][near] * size / work[near]).mean()

    return measure


def bucket_full(rate, burst):
    """Return the share of time that a bucket is full, from the times at which it let jobs pass."""

    def measure(run, jobs):
        low_s, high_s = window(jobs)
        due_s, full_s = 0.0, 0.0
        for now_s in done(run.jobs)["arrived_s"].tolist():
            full_s += max(0.0, now_s - max(due_s, low_s))
            due_s = max(now_s, due_s) + 1 / rate
        full_s += max(0.0, high_s - max(due_s, low_s))
        return full_s / (high_s - low_s)

    assert burst >= 1
    return measure


def calls_to_open(_, jobs):
    """Return how often a closed breaker opens, a call: its next call is turned away, then comes a probe."""
    refused = (jobs["outcome"] == "rejected").to_numpy()
    is_probe = np.append(False, refused[:-1])
    closed = ~refused & ~is_probe
    opened = refused[1:] & closed[:-1]
    return opened.sum() / closed.sum()


def denied(most):
    """Return the share of calls that were not tried as often as they might have been."""
    return lambda _, jobs: ((jobs["outcome"] == "dead") & (jobs["attempts"] < most)).mean()


def tokens_at_starts(rule, run):
    """Return the tokens before every call, from the outcomes of the calls before it."""
    budget, seen = rule.start(), []
    for tries, outcome in zip(run.jobs["attempts"], run.jobs["outcome"], strict=True):
        seen.append(budget.tokens)
        price = None
        for k in range(1, tries + 1):
            if k == tries and outcome == "done":
                budget.succeeded(price)
            else:
                budget.failed()
                price = budget.take(timed_out=False) if k < tries else None
    return np.array(seen)


def tokens(rule):
    return lambda run, jobs: tokens_at_starts(rule, run)[jobs.index].mean()


def has_more_than_half(rule):
    def measure(run, jobs):
        # the throttle at work counts in thousandths of a token
        return (tokens_at_starts(rule, run)[jobs.index] > 1000 * rule.max_tokens / 2).mean()

    return measure
