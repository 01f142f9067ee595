"""The exercises of notebook 02 as they stand there: each likely wrong idea has its own hint."""

import numpy as np
import pytest

import toolkit as tk


def said(question, answer, **evidence):
    return tk.lessons.check(question, answer, **evidence)


@pytest.fixture(scope="module")
def takeover():
    """Two jobs of 90 s; one server dies at 80 s; the lease of 300 s was renewed at 60 s."""
    stage = tk.systems.hangfire(
        version="1.8",
        storage="sql",
        servers=2,
        workers=1,
        service=tk.Deterministic(value_s=90.0),
        crashes=[tk.Crash(at_s=80.0)],
    )
    return tk.simulate(tk.Design(arrivals=tk.Trace(times_s=[0.0, 0.0]), stages=[stage]))


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (360.0, "when it started again"),
        (300.0, "renewed last"),
        (220.0, "lease from the fetch"),
        (12.0, "the start of its second row"),
    ],
)
def test_a_lease_runs_from_its_last_renewal(takeover, answer, hint):
    feedback = said("02-2 takeover", answer, run=takeover)

    assert not feedback
    assert hint in feedback.text
    assert said("02-2 takeover", 280.0, run=takeover)


def test_a_lost_job_has_no_takeover():
    stage = tk.systems.sidekiq(
        version="6.4.1",
        processes=2,
        concurrency=1,
        service=tk.Deterministic(value_s=4.0),
        crashes=[tk.Crash(at_s=2.0)],
    )
    run = tk.simulate(tk.Design(arrivals=tk.Trace(times_s=[0.0]), stages=[stage]))

    assert "never came back" in said("02-2 takeover", 4.0, run=run).text


@pytest.mark.parametrize(
    ("answer", "hint"),
    [(2, "first run counts"), (10, "most that are allowed"), (15, "nobody renews"), (7, "one start")],
)  # fmt: skip
def test_a_renewed_lock_ends_too(answer, hint):
    stage = tk.systems.azure_service_bus(
        service=tk.Deterministic(value_s=900.0), processors=8, max_delivery_count=10
    )
    design = tk.Design(arrivals=tk.Trace(times_s=[0.0]), stages=[stage])
    feedback = said("02-3 copies", answer, run=tk.simulate(design, horizon_s=899.0))

    assert not feedback
    assert hint in feedback.text


def test_only_the_busy_worker_strands_jobs():
    """The prefetch of all workers together is eight; two of those are behind the long job."""
    stage = tk.systems.celery(
        version="5.7",
        broker="redis",
        instances=4,
        concurrency=1,
        prefetch_multiplier=2,
        service=tk.recordings.Replayed(np.array([9.0] + [0.5] * 15)),
    )
    run = tk.simulate(tk.Design(arrivals=tk.Trace(times_s=[0.0] * 16), stages=[stage]))

    assert said("02-1 stranded jobs", 2, run=run)
    assert "all workers may hold together" in said("02-1 stranded jobs", 8, run=run).text
    assert "counts the long job" in said("02-1 stranded jobs", 3, run=run).text
    assert "began only when" in said("02-1 stranded jobs", 5, run=run).text
