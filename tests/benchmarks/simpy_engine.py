"""What the toolkit costs on top of SimPy: `python tests/benchmarks/simpy_engine.py [jobs] [rounds]`.

The same M/M/4 queue twice: `tk.simulate` by its SimPy engine, the table of jobs included, and a bare
SimPy model as one would write it for this question alone.  It has a process a job, a Resource, a
tuple a job, and no retries, limiters, caps or attempts; its streams are drawn beforehand with numpy,
inside the time.
"""

# ruff: noqa: T201, printing is what it is for

import json
import sys
import time

from timing import peak_bytes, rounds, show, show_ratio

JOBS, ROUNDS, GOAL = 100_000, 7, 1.4
RATE_PER_S, MEAN_S, WORKERS = 3.6, 1.0, 4
UNITS = {"us_per_job": "CPU µs/job", "peak_bytes_per_job": "peak B/job"}


def with_toolkit(jobs):
    """Simulate and make the table; return how many rows it has."""
    stage = tk.Stage(name="work", service=tk.Exponential(mean_s=MEAN_S), workers=WORKERS)
    design = tk.Design(arrivals=tk.Poisson(rate_per_s=RATE_PER_S), stages=[stage])
    return len(tk.simulate(design, jobs=jobs, seed=1, engine="simpy").jobs)


def with_bare_simpy(jobs):
    """Do the same with SimPy alone; return how many tuples there are."""
    rng = np.random.default_rng(1)
    gaps_s = (rng.standard_exponential(jobs) / RATE_PER_S).tolist()
    services_s = (rng.standard_exponential(jobs) * MEAN_S).tolist()
    env, records = simpy.Environment(), []
    workers = simpy.Resource(env, WORKERS)

    def visit(service_s):
        arrived_s = env.now
        with workers.request() as turn:
            yield turn
            started_s = env.now
            yield env.timeout(service_s)
        records.append((arrived_s, started_s, env.now))

    def source():
        for gap_s, service_s in zip(gaps_s, services_s, strict=True):
            yield env.timeout(gap_s)
            env.process(visit(service_s))

    env.process(source())
    env.run()
    return len(records)


def report(program, jobs):
    """Run one program in this process and print its figures."""
    program(10)  # what is made once is not a cost of a job
    held, since_s = peak_bytes(), time.process_time()
    made = program(jobs)
    cpu_s = time.process_time() - since_s
    assert made == jobs
    figures = {
        "cpu_s": cpu_s,
        "us_per_job": 1e6 * cpu_s / jobs,
        "peak_bytes_per_job": (peak_bytes() - held) / jobs,
    }
    print(json.dumps(figures))


def compare(jobs, count):
    """Let both take turns and print the table."""
    programs = {name: [__file__, f"--{name}", str(jobs)] for name in ("toolkit", "simpy")}
    results = rounds(programs, count)
    print(f"M/M/{WORKERS}, {jobs:,} jobs, medians of {count} rounds, fresh processes")
    show(results, UNITS)
    show_ratio(results, "toolkit", "simpy", goal=GOAL)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--toolkit"]:
        import toolkit as tk

        report(with_toolkit, int(sys.argv[2]))
    elif sys.argv[1:2] == ["--simpy"]:
        import numpy as np
        import simpy

        report(with_bare_simpy, int(sys.argv[2]))
    else:
        numbers = [int(text) for text in sys.argv[1:]]
        compare(*numbers, *(JOBS, ROUNDS)[len(numbers) :])
