"""One plain stage, first come, first served, nothing fails: no events are needed.

A job starts when it has arrived and a worker is free (Kiefer and Wolfowitz 1955, kept worker by
worker): with the lowest free number if any is free on its arrival, else with the worker that is free
first.  Times are added up as the loop of events adds them, so they are the same to the last bit.
"""

from __future__ import annotations

from toolkit.simulation.compiled_engine.memory import (
    answering_entry,
    read_float,
    write_float,
    write_short,
)


@answering_entry
def one_worker(first, last, gaps_s, services_s, arrived_s, started_s, ended_s):
    """Fill in the times of jobs ``first`` to ``last`` of a stage with one worker."""
    now = free_s = 0.0
    if first:
        now, free_s = read_float(arrived_s, first - 1), read_float(ended_s, first - 1)
    for job in range(first, last):
        now += read_float(gaps_s, job)
        start_s = max(now, free_s)
        free_s = start_s + read_float(services_s, job)
        write_float(arrived_s, job, now)
        write_float(started_s, job, start_s)
        write_float(ended_s, job, free_s)
    return last


@answering_entry
def some_workers(
    first, last, gaps_s, services_s, arrived_s, started_s, ended_s, workers, free_s, served_by
):
    """Do the same for ``workers``; return the first job that takes no time, ``last`` for none.

    Such a job is a matter of events: its worker may or may not be free for another at that moment.
    """
    now = read_float(arrived_s, first - 1) if first else 0.0
    for job in range(first, last):
        now += read_float(gaps_s, job)
        chosen, start_s = 0, read_float(free_s, 0)
        for worker in range(1, workers):
            if start_s <= now:
                break
            free = read_float(free_s, worker)
            if free < start_s:
                chosen, start_s = worker, free
        start_s = max(now, start_s)
        end_s = start_s + read_float(services_s, job)
        if end_s == start_s:
            return job
        write_float(free_s, chosen, end_s)
        write_float(arrived_s, job, now)
        write_float(started_s, job, start_s)
        write_float(ended_s, job, end_s)
        write_short(served_by, job, chosen)
    return last
