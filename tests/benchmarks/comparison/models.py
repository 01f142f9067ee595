"""What all programs simulate: the four models and the two queues, and the numbers that they draw.

A program of a peer is given its draws beforehand, by the addresses that the toolkit draws from, so
that all simulate the same jobs; the toolkit draws them itself, inside the time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

import toolkit as tk
from toolkit.simulation.streams import Streams

SEED, TRIES, CHANCE, WORKERS = 1, 8, 0.1, 4
BASE_S, CAP_S = 1.0, 60.0
RATE_PER_S, TOKENS_PER_S, BURST = 3.24, 1.1 * 3.24, 10
RETRY = tk.Retry(max_retries=TRIES - 1, backoff=tk.FullJitter(base_s=BASE_S, cap_s=CAP_S))
BUCKET = tk.TokenBucket(rate_per_s=TOKENS_PER_S, burst=BURST, when_empty="wait")
CELERY = {"instances": 2, "prefetch_multiplier": 4, "visibility_timeout_s": 4.0, "max_retries": 3}
SQS = {"consumers": 2, "batch": 10, "visibility_timeout_s": 6.0, "max_receive_count": 3}
QUEUE_RATE_PER_S, QUEUE_TRIES = 6.0, 30
FAR_AWAY = 1_000_000_000


def queue(rate_per_s: float, workers: int, **parts: object) -> tk.Design:
    """Return a design of one stage with exponential times, one second long in the mean."""
    stage = tk.Stage(name="work", service=tk.Exponential(mean_s=1.0), workers=workers, **parts)
    return tk.Design(arrivals=tk.Poisson(rate_per_s=rate_per_s), stages=[stage])


def celery(workers: int) -> tk.Design:
    """Celery on Redis: acknowledged late, fetched ahead, swept, retried after whole seconds."""
    stage = tk.systems.celery(
        version="5.7",
        broker="redis",
        concurrency=workers,
        acks_late=True,
        autoretry=True,
        retry_backoff=True,
        service=tk.Exponential(mean_s=1.0),
        failure=CHANCE,
        **CELERY,
    )
    return tk.Design(arrivals=tk.Poisson(rate_per_s=QUEUE_RATE_PER_S), stages=[stage])


def sqs(workers: int) -> tk.Design:
    """SQS: lent in batches, back in sight after a while, a dead letter after three receives."""
    stage = tk.systems.sqs(
        concurrency=workers,
        wait_time_s=20.0,
        refill_at=workers - 1,
        service=tk.Exponential(mean_s=1.0),
        failure=CHANCE,
        **SQS,
    )
    return tk.Design(arrivals=tk.Poisson(rate_per_s=QUEUE_RATE_PER_S), stages=[stage])


@dataclass(frozen=True)
class Model:
    """A design for a number of workers, the number that is meant, and how often a job may be tried."""

    says: str
    design: Callable[[int], tk.Design]
    workers: int = WORKERS
    tries: int = 1


MODELS = {
    "mm1": Model("M/M/1, 80% busy", partial(queue, 0.8), workers=1),
    "mm4": Model("M/M/4, 90% busy", partial(queue, 3.6)),
    "retry": Model(
        "four workers, a tenth fails and tries again",
        partial(queue, RATE_PER_S, failure=CHANCE, retry=RETRY),
        tries=TRIES,
    ),
    "tbretry": Model(
        "the same behind a token bucket",
        partial(queue, RATE_PER_S, failure=CHANCE, retry=RETRY, limiter=BUCKET),
        tries=TRIES,
    ),
    "celery": Model(
        "Celery on Redis: prefetch, visibility time-out, retries", celery, tries=QUEUE_TRIES
    ),
    "sqs": Model("SQS: batches, visibility time-out, dead letters", sqs, tries=QUEUE_TRIES),
}


def with_far_cap(design: tk.Design) -> tk.Design:
    """Cap the queue where no job will ever meet it: same records, and no short cut fits."""
    return replace(design, stages=[replace(stage, capacity=FAR_AWAY) for stage in design.stages])


Row = Sequence[float]


@dataclass(frozen=True)
class Draws:
    """What the jobs bring: for each a gap, and for each try of it a service time and two numbers in [0, 1)."""

    jobs: int
    gaps_s: list[float]
    services_s: list[Row]
    failures: list[Row]
    jitters: list[Row]


def draws(model: str, jobs: int) -> Draws:
    """Draw for ``jobs`` jobs, with the addresses of the toolkit."""
    design, tries = MODELS[model].design(MODELS[model].workers), MODELS[model].tries
    streams, (stage,) = Streams(seed=SEED, replication=0, jobs=jobs), design.stages
    fails = range(1, tries + 1) if tries > 1 else ()
    return Draws(
        jobs=jobs,
        gaps_s=streams.gaps_s(design.arrivals).tolist(),
        services_s=[
            _row(streams.services_s(stage.service, stage.name, k), k) for k in range(1, tries + 1)
        ],
        failures=[_row(streams.failures(stage.name, k), k) for k in fails],
        jitters=[_row(streams.jitters(stage.name, k), k) for k in fails],
    )


def _row(values: np.ndarray, attempt: int) -> Row:
    """Return a list, which is fastest, for tries that are many, and a small view for the others."""
    return values.tolist() if attempt <= 2 else memoryview(values)


@dataclass
class Program:
    """A program ready to run: ``run`` is what is timed, ``before`` what comes before each time."""

    run: Callable[[], object]
    sojourns_s: Callable[[object], np.ndarray]
    before: Callable[[], object] | None = None
    times: int = 1
    says: Callable[[object], str] = lambda _: ""


def sojourns_s(records: Sequence[Sequence[float]]) -> np.ndarray:
    """Return the sojourn times of records ``(arrived_s, started_s, ended_s, ...)`` in order of arrival."""
    times_s = np.array([(record[0], record[2]) for record in records])
    times_s = times_s[np.argsort(times_s[:, 0], kind="stable")]
    return times_s[:, 1] - times_s[:, 0]
