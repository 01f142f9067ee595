"""The four models in Cimba: workers that take jobs from a store; compiled by numba, run in C.

Draws are arrays of this module, which compiled code may read; datasets keep the records.
"""

import cimba as cb
import numpy as np
from comparison.models import (
    BASE_S,
    BURST,
    CAP_S,
    CHANCE,
    MODELS,
    TOKENS_PER_S,
    TRIES,
    Program,
    draws,
)

NO_DRAWS = np.zeros((1, 1))
SERVICES_S, FAILURES, JITTERS, GAPS_S = NO_DRAWS, NO_DRAWS, NO_DRAWS, NO_DRAWS[0]
AHEAD_S, INTERVAL_S = (BURST - 1.0) / TOKENS_PER_S, 1.0 / TOKENS_PER_S
KEPT = ("arrived_s", "job", "started_s", "ended_s")


class Pause(cb.Model):
    """A job that waits before it joins the queue."""

    shop: cb.Ref["Shop"]
    job: cb.Param[int] = 0
    pause_s: cb.Param[float] = 0.0

    @cb.process
    def wait(self):
        """Wait, join the queue, and be gone."""
        cb.hold(self.pause_s)
        self.shop.queue.put(self.job)
        cb.release(self)


class Worker(cb.Model):
    """Serves each job once."""

    shop: cb.Ref["Shop"]

    @cb.process
    def work(self):
        """Take the next job, again and again."""
        shop = self.shop
        while True:
            job = shop.queue.get()
            started_s = cb.now()
            cb.hold(SERVICES_S[0, job])
            shop.job.record(job)
            shop.started_s.record(started_s)
            shop.ended_s.record(cb.now())


class PatientWorker(Worker):
    """Sends jobs that failed to a pause."""

    @cb.process
    def work(self):
        """Take the next job, again and again."""
        shop = self.shop
        while True:
            job = shop.queue.get()
            started_s = cb.now()
            made = shop.made[job]
            cb.hold(SERVICES_S[made, job])
            shop.made[job] = made + 1
            if FAILURES[made, job] < CHANCE and made + 1 < TRIES:
                pause_s = JITTERS[made, job] * min(CAP_S, BASE_S * 2.0**made)
                cb.spawn(Pause, shop=shop, job=job, pause_s=pause_s)
            else:
                shop.job.record(job)
                shop.started_s.record(started_s)
                shop.ended_s.record(cb.now())


class Shop(cb.Model):
    """Jobs come, queue, and are worked on."""

    jobs: cb.Param[int] = 0
    limited: cb.Param[bool] = False
    due_s: cb.Param[float] = 0.0
    made: cb.Array[int]
    queue: cb.Store[int]
    workers: list[Worker]
    arrived_s: cb.Dataset
    job: cb.Dataset
    started_s: cb.Dataset
    ended_s: cb.Dataset

    def __init__(self, jobs: int, workers: int, *, tries: int, limited: bool) -> None:
        self.jobs, self.limited = jobs, limited
        self.made = cb.Array(jobs if tries > 1 else 0)
        self.workers = [(Worker if tries == 1 else PatientWorker)() for _ in range(workers)]
        for worker in self.workers:
            worker.shop = self
        for name in KEPT:
            kept = cb.Dataset()
            kept.capture()
            setattr(self, name, kept)

    @cb.process
    def source(self):
        """Send the jobs, each after its gap, to the queue or first to their token."""
        for job in range(self.jobs):
            cb.hold(GAPS_S[job])
            now_s = cb.now()
            self.arrived_s.record(now_s)
            granted_s = now_s
            if self.limited:
                granted_s = max(now_s, self.due_s - AHEAD_S)
                self.due_s = max(granted_s, self.due_s) + INTERVAL_S
            if granted_s > now_s:
                cb.spawn(Pause, shop=self, job=job, pause_s=granted_s - now_s)
            else:
                self.queue.put(job)


def simulate(shop: Shop, experiment: cb.Experiment):
    """Run once; return what was kept."""
    results = experiment.run(workers=1)
    if results.failed.any():
        raise RuntimeError(str(results.failure_reasons))
    return {name: getattr(results[shop], name).trial(0, 0)[1] for name in KEPT}


def sojourns_s(kept) -> np.ndarray:
    """Return the sojourn times in order of arrival."""
    ended_s = np.empty(kept["arrived_s"].size)
    ended_s[kept["job"].astype(int)] = kept["ended_s"]
    return ended_s - kept["arrived_s"]


def program(model: str, jobs: int) -> Program:
    """Return the program for ``model``, its draws made and its classes compiled."""
    global SERVICES_S, FAILURES, JITTERS, GAPS_S  # noqa: PLW0603, Cimba reads arrays of the module
    given, shape = draws(model, jobs), MODELS[model]
    SERVICES_S = np.array([np.asarray(row) for row in given.services_s])
    FAILURES = np.array([np.asarray(row) for row in given.failures] or NO_DRAWS)
    JITTERS = np.array([np.asarray(row) for row in given.jitters] or NO_DRAWS)
    GAPS_S = np.array(given.gaps_s)
    cb.clear_cache()
    options = {"tries": shape.tries, "limited": model == "tbretry"}
    simulate(*ready(10, shape.workers, **options))  # compiles
    shop, experiment = ready(jobs, shape.workers, **options)
    return Program(lambda: simulate(shop, experiment), sojourns_s)


def ready(jobs: int, workers: int, **options: object) -> tuple[Shop, cb.Experiment]:
    """Return a shop and the experiment that runs it once, to the end."""
    shop = Shop(jobs, workers, **options)
    return shop, cb.Experiment(shop, window=cb.Window.until_idle())
