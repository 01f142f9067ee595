"""A load test of a system that is known: simulated, then written down as a tool would see it."""

import numpy as np
import pandas as pd

import toolkit as tk
from toolkit.loadtest import LoadTest


def simulated_test(design, *, jobs=6_000, seed=1, overhead_ms=0.0, threads=None):
    """Simulate ``design`` and return it as a test in whole milliseconds, as JMeter would."""
    run = tk.simulate(design, jobs=jobs, seed=seed)
    start_ns = (run.jobs["arrived_s"] * 1000).round().astype("int64") * 1_000_000
    elapsed_ms = (run.jobs["sojourn_s"] * 1000 + overhead_ms).round()
    start = pd.to_datetime(start_ns + 1_700_000_000_000_000_000, unit="ns", utc=True)
    requests = pd.DataFrame(
        {
            "start": start,
            "end": start + pd.to_timedelta(elapsed_ms, unit="ms"),
            "elapsed_ms": elapsed_ms,
            "label": "work",
            "success": (run.jobs["outcome"] == "done").to_numpy(),
            "is_controller": False,
            "level": 0,
        }
    )
    if threads:
        requests["thread"] = [f"user {k}" for k in np.arange(jobs) % threads]
    return LoadTest(
        requests=requests, tool="simulated", version=None, warnings=(), source="simulated"
    )


def pool(workers=4, rate_per_s=60.0, service=None, **more):
    """Return a design of one stage: ``workers`` that take 20 ms a job."""
    service = service or tk.LogNormal(mean_s=0.02, scv=0.5)
    stage = tk.Stage(name="work", service=service, workers=workers, **more)
    return tk.Design(arrivals=tk.Poisson(rate_per_s=rate_per_s), stages=[stage])
