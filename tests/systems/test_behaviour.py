"""In a run a product does what was measured with the real one, or what its formulas say.

The numbers are those of the reference (jobqueues.md, sections 10 to 12).
"""

import pytest
from product_settings import HOST, Listed, run, stage

import toolkit as tk

LONG = tk.Deterministic(value_s=10)
KILLED = tk.Crash(at_s=5, restart_after_s=1)


def starts_s(run):
    """Return when attempts started, in order."""
    return sorted(run.attempts.started_s.dropna().round(6))


def first(run):
    """Return the first job's outcome."""
    return run.jobs.outcome.iloc[0]


# --- a killed worker ---


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_celery_loses_what_ran_when_acknowledged_early(broker):
    """Measured: with either broker, the running job of a killed worker never came back."""
    made = stage("celery", broker=broker, concurrency=1, service=LONG, crashes=KILLED)

    assert first(run(made, [1.0])) == "lost"


def test_celery_on_redis_starts_a_late_job_again_at_the_sweep_after_the_timeout():
    """Measured: a timeout of 5 s, and yet 91 s, for the sweep comes every 100 s."""
    made = stage(
        "celery",
        concurrency=1,
        instances=2,
        acks_late=True,
        visibility_timeout_s=5,
        sweep_first_s=90,
        service=LONG,
        crashes=KILLED,
    )
    done = run(made, [1.0])

    assert first(done) == "done"
    assert starts_s(done) == [1, 90]


def test_celery_on_rabbitmq_starts_a_late_job_again_at_once():
    """Measured: 0.04 s after the kill."""
    made = stage(
        "celery",
        broker="rabbitmq",
        instances=2,
        concurrency=1,
        acks_late=True,
        service=LONG,
        crashes=KILLED,
    )

    assert starts_s(run(made, [1.0])) == [1, 5]


def test_sidekiq_loses_what_ran_and_keeps_what_was_queued():
    """Measured with 6.4.1: two running jobs lost, one queued survived."""
    made = stage("sidekiq", version="6.4.1", concurrency=2, service=LONG, crashes=KILLED)

    assert list(run(made, [1.0, 2.0, 3.0]).jobs.outcome) == ["lost", "lost", "done"]


def test_hangfire_takes_a_dead_servers_job_over_after_four_to_five_minutes():
    """300 s after the last renewal: 240 to 300 s after the crash, and 0.2 s for the look."""
    killed = tk.Crash(at_s=100)
    made = stage("hangfire", servers=2, cpus=None, workers=1, service=LONG, crashes=killed)
    long = stage(
        "hangfire",
        servers=2,
        cpus=None,
        workers=1,
        service=tk.Deterministic(value_s=200),
        crashes=[killed, tk.Crash(at_s=100, instance=1, restart_after_s=1)],
    )
    _, again = starts_s(run(long, [1.0]))

    assert first(run(made, [1.0])) == "done"
    assert 100 + 240 <= again <= 100 + 300 + 0.2


def test_a_job_longer_than_the_lease_of_hangfire_on_redis_runs_twice():
    """A second copy half an hour in: Hangfire #514 and others."""
    two_hours = tk.Deterministic(value_s=2 * 3600)
    made = stage("hangfire", storage="redis", cpus=None, workers=2, service=two_hours)
    first_s, second_s = starts_s(run(made, [1.0]))

    assert 1800 <= second_s - first_s <= 1860


OVERLAP = {
    "acks_late": True,
    "concurrency": 2,
    "visibility_timeout_s": 5,
    "unacked_restore_interval_s": 1,
    "service": tk.Deterministic(value_s=25),
}


def test_a_late_job_of_celery_on_redis_that_outlives_its_lease_overlaps_itself():
    """Measured: a timeout of 5 s and a job of 40 s; a second copy started at the next sweep."""
    done = run(stage("celery", **OVERLAP), [0.0], horizon_s=20)

    assert starts_s(done) == [0, 9]


def test_the_first_copy_of_celery_on_redis_that_ends_ends_it():
    """An acknowledgement deletes by tag, and a restored message has its old one."""
    done = run(stage("celery", **OVERLAP), [0.0], horizon_s=300)

    assert len(done.attempts) <= 4


# --- time ---


def test_sqs_delivers_a_job_that_takes_15_minutes_every_30_seconds():
    """A visibility timeout shorter than the job: a copy every timeout, bounded by the receive count."""
    made = stage("sqs", concurrency=5, max_receive_count=4, service=tk.Deterministic(value_s=900))

    assert starts_s(run(made, [0.0])) == [0, 30, 60, 90]


def test_a_handler_of_service_bus_that_is_too_slow_runs_every_six_minutes_ten_times():
    """A lock of 1 min renewed for 5 min, then the dead-letter queue: azure-service-bus #744."""
    made = stage(
        "azure_service_bus", max_concurrent_calls=20, service=tk.Deterministic(value_s=9e4)
    )
    done = run(made, [0.0])

    assert starts_s(done) == [360 * k for k in range(10)]
    assert first(done) == "dead"


def test_a_failing_message_of_sqs_is_tried_every_timeout_and_then_a_dead_letter():
    """A retry has no delay of its own: 3 receives, 30 s apart."""
    made = stage("sqs", failure=1, max_receive_count=3, service=tk.Deterministic(value_s=1))
    done = run(made, [0.0])

    assert starts_s(done) == [0, 30, 60]
    assert first(done) == "dead"


def test_cloud_tasks_calls_after_its_backoff_and_deletes_after_the_last_attempt():
    """10, 20 and 40 s after a failure that takes 1 s."""
    made = stage(
        "cloud_tasks",
        failure=1,
        max_attempts=4,
        min_backoff_s=10,
        max_backoff_s=300,
        max_doublings=3,
        service=tk.Deterministic(value_s=1),
    )
    done = run(made, [0.0])

    assert starts_s(done) == [0, 11, 32, 73]
    assert first(done) == "dead"


def test_cloud_tasks_deletes_a_task_that_is_late_at_every_attempt_when_its_last_deadline_passes():
    """No answer in 15 s is a failure: backoffs of 10 and 20 s, though the handlers run on."""
    late = tk.Deterministic(value_s=100)
    made = stage(
        "cloud_tasks",
        dispatch_deadline_s=15,
        max_attempts=3,
        min_backoff_s=10,
        max_backoff_s=300,
        max_doublings=3,
        service=late,
    )
    done = run(made, [0.0])

    assert starts_s(done) == [0, 15 + 10, 40 + 20]
    assert first(done) == "dead"


@pytest.mark.parametrize(("after_s", "starts"), [(0, [0, 1, 2, 3, 4]), (7, [0, 8, 16, 24, 32])])
def test_the_functions_host_puts_a_failing_message_aside_after_five_dequeues(after_s, starts):
    """Each run takes 1 s; then the message is seen again after 0 or 7 s, at a look every 0.001 s."""
    settings = HOST | {"failed_visible_after_s": after_s, "poll_every_s": 0.001}
    made = stage("azure_storage_queue", failure=1, service=tk.Deterministic(value_s=1), **settings)
    done = run(made, [0.0])

    assert starts_s(done) == pytest.approx(starts, abs=0.01)
    assert first(done) == "dead"


# --- limits and prefetch ---


@pytest.mark.parametrize(
    ("version", "after_idle"), [("5.7.0", [0, 1, 2, 3]), ("5.6.3", [0, 0, 1, 2])]
)
def test_celerys_rate_limit_starts_one_a_second_but_two_after_idle_before_5_7(version, after_idle):
    """Measured: starts at 0, 1, 2, 3 s with kombu 5.7.0, two at once after idle with 5.6.2."""
    made = stage(
        "celery", version=version, rate_limit="1/s", service=tk.Deterministic(value_s=0.01)
    )

    assert starts_s(run(made, [10.0] * 4)) == [10 + start for start in after_idle]


STARVATION = {
    "prefetch 4, early": ({}, 4),
    "prefetch 1, early": ({"prefetch_multiplier": 1}, 1),
    "prefetch 1, late": ({"prefetch_multiplier": 1, "acks_late": True}, 0),
    "no prefetch": ({"disable_prefetch": True}, 0),
}


@pytest.mark.parametrize(("settings", "stuck"), STARVATION.values(), ids=STARVATION)
def test_a_long_job_of_celery_holds_up_what_its_worker_has_fetched(settings, stuck):
    """Measured: two workers, a job of 10 s, then 12 of 0.1 s; so many waited although one was idle."""
    service = Listed((10.0, *[0.1] * 12))
    made = stage("celery", instances=2, concurrency=1, service=service, **settings)
    done = run(made, [0.0, *[1.0] * 12])

    assert (done.jobs.wait_s > 8).sum() == stuck


def test_celery_runs_a_job_with_an_eta_beyond_the_timeout_several_times_at_once():
    """Measured: ETA 20 s, timeout 4 s, sweep every 2 s gave 5 runs within 0.2 s of each other."""
    made = stage(
        "celery",
        concurrency=8,
        acks_late=True,
        visibility_timeout_s=4,
        unacked_restore_interval_s=2,
        unacked_restore_throttle=1,
        countdown=tk.Deterministic(value_s=20),
        service=tk.Deterministic(value_s=0.5),
    )
    starts = starts_s(run(made, [0.0]))

    assert starts == [20.0] * len(starts)
    assert 4 <= len(starts) <= 6


# --- who brings back what is due ---


def test_sidekiq_releases_all_that_is_due_at_one_look():
    """Measured: six jobs due 1 s apart were started within 2 ms, the first 9.4 s late."""
    made = stage(
        "sidekiq",
        concurrency=10,
        countdown=tk.Deterministic(value_s=2),
        service=tk.Deterministic(value_s=0.1),
    )
    starts = starts_s(run(made, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]))

    assert len(set(starts)) == 1
    assert 10 <= starts[0] <= 15


def test_hangfire_looks_for_delayed_jobs_every_15_seconds():
    """One server: 0 to 15 s late, 7.5 s in the mean, and 0.2 s for the look."""
    made = stage(
        "hangfire",
        countdown=tk.Deterministic(value_s=100),
        service=tk.Deterministic(value_s=0.001),
    )
    waits = run(made, [7.001 * k for k in range(300)]).jobs.wait_s

    assert waits.max() <= 15 + 0.21
    assert waits.mean() == pytest.approx(7.6, abs=0.6)


@pytest.mark.parametrize(
    ("version", "processes", "late_s"),
    [("8.1", 1, 2.71), ("8.1", 10, 4.75), ("8.0.9", 10, 2.4), ("8.1", 5, 4.1)],
)
def test_sidekiqs_extra_delay_of_a_scheduled_job_is_the_published_one(version, processes, late_s):
    """Mean wait for the next look of any process; half of it from ten processes on before 8.0.10."""
    made = stage(
        "sidekiq",
        version=version,
        processes=processes,
        countdown=tk.Deterministic(value_s=500),
        service=tk.Deterministic(value_s=0.001),
    )
    done = run(made, [0.7131 * k for k in range(20_000)])

    assert done.jobs.wait_s.mean() == pytest.approx(late_s, rel=0.06)
