"""The least that each product must be told, so that a test names only what it is about."""

from dataclasses import dataclass

import numpy as np

import toolkit as tk
from toolkit import systems

SERVICE = tk.Exponential(mean_s=0.04)
NEEDED = {
    "celery": {"version": "5.7", "broker": "redis", "concurrency": 4},
    "sidekiq": {"version": "8.1.7"},
    "hangfire": {"version": "1.8", "storage": "sql", "cpus": 2},
    "sqs": {"wait_time_s": 20},
    "cloud_tasks": {
        "max_dispatches_per_s": 500,
        "max_burst_size": 100,
        "max_concurrent_dispatches": 1000,
        "max_attempts": 100,
        "min_backoff_s": 0.1,
        "max_backoff_s": 3600,
        "max_doublings": 16,
    },
    "azure_storage_queue": {"poll_every_s": 1.0},
    "azure_service_bus": {},
}
HOST = {
    "functions_host": True,
    "new_batch_threshold": 8,
    "failed_visible_after_s": 0,
    "visibility_timeout_s": 600,
}
"""The host of Azure Functions, with numbers of ours where no source has one."""


def stage(product, **settings):
    """Return the stage of a product with what it must be told, and ``settings``."""
    return getattr(systems, product)(**{"service": SERVICE} | NEEDED[product] | settings)


def field(stage, path):
    """Return a field of a stage by its path, such as ``delivery.visibility.timeout_s``."""
    for name in path.split("."):
        stage = getattr(stage, name)
    return stage


@dataclass(frozen=True)
class Listed:
    """A law that draws the durations it was told, in their order: work that a test can follow."""

    seconds: tuple

    def moment(self, k):
        """Return the mean of the durations^k."""
        return sum(s**k for s in self.seconds) / len(self.seconds)

    def draw_s(self, rng, n):  # noqa: ARG002
        """Return the first ``n`` durations, from the first again after the last."""
        return np.resize(np.array(self.seconds, dtype=float), n)

    def times(self, factor):
        """Return the law with every duration ``factor`` times as long."""
        return Listed(tuple(factor * s for s in self.seconds))


def run(stage, times_s, **options):
    """Return the run of a stage whose jobs come at given times."""
    design = tk.Design(arrivals=tk.Trace(times_s=times_s), stages=[stage])
    return tk.simulate(design, jobs=len(times_s), seed=1, **options)
