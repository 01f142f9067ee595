"""Each row of the reference is a field of the stage, and what contradicts it is refused.

`REFERENCE` is the reference's tables (jobqueues.md) by product: what is set, which field, its value.
"""

import inspect
import math

import pytest
from product_settings import HOST, NEEDED, SERVICE, field, stage

import toolkit as tk
from toolkit import systems
from toolkit.design import StaleBucket
from toolkit.systems import (
    CeleryBackoff,
    CloudTasksBackoff,
    HangfireBackoff,
    SidekiqBackoff,
    _versions,
)

RABBIT = {"broker": "rabbitmq"}
OLD_SQL = {"version": "1.7", "disconnect_s": 0}
REDIS = {"storage": "redis"}
FIFO = {"fifo": True, "message_groups": 20}
SHORT = {"wait_time_s": 0, "poll_every_s": 5.0}

REFERENCE = [
    # 1.1 worker, fetch, acknowledgement
    ("celery", {}, "workers", 4),
    ("celery", {"instances": 3}, "workers", 12),
    ("celery", {"instances": 3}, "delivery.instances", 3),
    ("celery", {}, "delivery.prefetch", 16),
    ("celery", {"prefetch_multiplier": 1}, "delivery.prefetch", 4),
    ("celery", {"prefetch_multiplier": 0}, "delivery.prefetch", math.inf),
    ("celery", {"disable_prefetch": True}, "delivery.prefetch", 0),
    ("celery", {}, "delivery.fetch", tk.BlockingPop()),
    ("celery", RABBIT, "delivery.fetch", tk.Push(to="round robin")),
    ("celery", {}, "delivery.ack", "start"),
    ("celery", {"acks_late": True}, "delivery.ack", "end"),
    ("celery", {}, "delivery.slot_crash", "lose"),
    ("celery", {"acks_late": True}, "delivery.slot_crash", "lose"),
    (
        "celery",
        {"acks_late": True, "reject_on_worker_lost": True},
        "delivery.slot_crash",
        "requeue",
    ),
    ("celery", {"acks_late": True, "retry_on_worker_lost": True}, "delivery.slot_crash", "retry"),
    (
        "celery",
        {"acks_late": True, "retry_on_worker_lost": True},
        "retry",
        tk.Retry(max_retries=3, backoff=tk.ConstantBackoff(delay_s=180)),
    ),
    ("celery", {}, "delivery.disconnect_s", None),
    ("celery", RABBIT, "delivery.disconnect_s", 0.0),
    ("celery", {}, "delivery.visibility.timeout_s", 3600),
    ("celery", {"visibility_timeout_s": 5}, "delivery.visibility.timeout_s", 5),
    ("celery", {}, "delivery.visibility.renew_every_s", None),
    ("celery", {}, "delivery.visibility.receipt", "series"),
    ("celery", {}, "delivery.visibility.sweep_first_s", 90),
    ("celery", {}, "delivery.give_back", "head"),
    ("celery", {}, "delivery.requeue", "tail"),
    ("celery", {"broker": "rabbitmq"}, "delivery.requeue", "head"),
    ("celery", {}, "delivery.visibility.sweep_every_s", 100),
    ("celery", {"version": "5.6.3"}, "delivery.visibility.sweep_every_s", 100),
    (
        "celery",
        {"unacked_restore_interval_s": 5, "unacked_restore_throttle": 1},
        "delivery.visibility.sweep_every_s",
        5,
    ),
    ("celery", {"sweep_first_s": 90}, "delivery.visibility.sweep_first_s", 90),
    ("celery", {}, "delivery.give_back", "head"),
    ("celery", RABBIT, "delivery.give_back", "head"),
    ("celery", RABBIT, "delivery.visibility", tk.Visibility(timeout_s=1800, receipt="lease")),
    ("celery", RABBIT | {"consumer_timeout_s": 900}, "delivery.visibility.timeout_s", 900),
    ("celery", RABBIT | {"consumer_timeout_s": None}, "delivery.visibility", None),
    ("celery", {"poison": 0.1}, "delivery.poison_kills", "slot"),
    # 1.2 retry
    ("celery", {"failure": 0.1}, "retry", None),
    (
        "celery",
        {"autoretry": True},
        "retry",
        tk.Retry(max_retries=3, backoff=tk.ConstantBackoff(delay_s=180)),
    ),
    ("celery", {"autoretry": True, "max_retries": None}, "retry.max_retries", None),
    (
        "celery",
        {"autoretry": True, "retry_backoff": True},
        "retry.backoff",
        CeleryBackoff(factor=1, max_s=600, jitter=True),
    ),
    (
        "celery",
        {
            "autoretry": True,
            "retry_backoff": 5,
            "retry_backoff_max_s": 60,
            "retry_jitter": False,
        },
        "retry.backoff",
        CeleryBackoff(factor=5, max_s=60, jitter=False),
    ),
    # 1.3 ETA
    ("celery", {}, "delivery.delayed", tk.InMemory()),
    ("celery", {"eta_task_limit": 50}, "delivery.delayed", tk.InMemory(most=50)),
    # 1.4 rate limit
    ("celery", {}, "delivery.limiter", None),
    ("celery", {"rate_limit": "0"}, "delivery.limiter", None),
    ("celery", {"rate_limit": "100/m"}, "delivery.limiter.rate_per_s", 100 / 60),
    ("celery", {"rate_limit": "100/m"}, "delivery.limiter.burst", 1),
    ("celery", {"rate_limit": "100/m"}, "delivery.limiter.when_empty", "wait"),
    ("celery", {"rate_limit": "100/m"}, "delivery.limiter_per", "instance"),
    # 2 Sidekiq
    ("sidekiq", {"version": "5.2.9"}, "workers", 10),
    ("sidekiq", {"version": "6.5.12"}, "workers", 10),
    ("sidekiq", {"version": "7.0.0"}, "workers", 5),
    ("sidekiq", {"processes": 3}, "workers", 15),
    ("sidekiq", {"processes": 3, "concurrency": 2}, "workers", 6),
    ("sidekiq", {}, "delivery.prefetch", 0),
    ("sidekiq", {}, "delivery.fetch", tk.BlockingPop()),
    ("sidekiq", {}, "delivery.ack", "fetch"),
    ("sidekiq", {}, "delivery.visibility", None),
    ("sidekiq", {}, "delivery.disconnect_s", None),
    ("sidekiq", {}, "delivery.give_back", "head"),
    ("sidekiq", {}, "delivery.poison_kills", "instance"),
    ("sidekiq", {}, "retry.max_retries", 25),
    ("sidekiq", {"retry": 0}, "retry.max_retries", 0),
    ("sidekiq", {}, "retry.backoff", SidekiqBackoff(version="8.1.7")),
    ("sidekiq", {"retry_in_s": 60}, "retry.backoff.retry_in_s", 60),
    ("sidekiq", {}, "delivery.delayed.first_low_s", 10),
    ("sidekiq", {}, "delivery.delayed.first_high_s", 15),
    ("sidekiq", {}, "delivery.delayed.low_s", 2.5),
    ("sidekiq", {}, "delivery.delayed.high_s", 7.5),
    ("sidekiq", {"processes": 9}, "delivery.delayed.low_s", 22.5),
    ("sidekiq", {"processes": 9}, "delivery.delayed.high_s", 67.5),
    ("sidekiq", {"processes": 10}, "delivery.delayed.low_s", 0),
    ("sidekiq", {"processes": 10}, "delivery.delayed.high_s", 100),
    ("sidekiq", {"processes": 10, "version": "8.0.10"}, "delivery.delayed.high_s", 100),
    ("sidekiq", {"processes": 10, "version": "8.0.9"}, "delivery.delayed.high_s", 50),
    ("sidekiq", {"average_scheduled_poll_interval_s": 2}, "delivery.delayed.high_s", 3),
    # 3 Hangfire
    ("hangfire", {}, "workers", 10),
    ("hangfire", {"cpus": 8}, "workers", 20),
    ("hangfire", {"cpus": None, "workers": 3, "servers": 2}, "workers", 6),
    ("hangfire", {}, "delivery.prefetch", 0),
    ("hangfire", {}, "delivery.fetch", tk.Poll(every_s=0.2)),
    ("hangfire", {"enqueued_in_process": True}, "delivery.fetch.wakes", True),
    ("hangfire", {"queue_poll_interval_s": 0.05}, "delivery.fetch.every_s", 0.1),
    ("hangfire", {"queue_poll_interval_s": 0.5}, "delivery.fetch.every_s", 0.5),
    ("hangfire", {"queue_poll_interval_s": 3}, "delivery.fetch.every_s", 3),
    ("hangfire", OLD_SQL, "delivery.fetch", tk.Poll(every_s=15)),
    ("hangfire", OLD_SQL | {"version": "1.5.0"}, "delivery.fetch.every_s", 15),
    ("hangfire", {}, "delivery.ack", "end"),
    (
        "hangfire",
        {},
        "delivery.visibility",
        tk.Visibility(timeout_s=300, renew_every_s=60, renews="held", receipt="always"),
    ),
    ("hangfire", {"invisibility_timeout_s": 50}, "delivery.visibility.renew_every_s", 10),
    ("hangfire", {}, "delivery.disconnect_s", None),
    ("hangfire", OLD_SQL, "delivery.visibility", None),
    ("hangfire", OLD_SQL | {"disconnect_s": 3}, "delivery.disconnect_s", 3),
    ("hangfire", REDIS, "delivery.fetch", tk.BlockingPop()),
    (
        "hangfire",
        REDIS,
        "delivery.visibility",
        tk.Visibility(timeout_s=1800, sweep_every_s=60, receipt="always"),
    ),
    ("hangfire", REDIS | {"invisibility_timeout_s": 60}, "delivery.visibility.timeout_s", 60),
    ("hangfire", {}, "delivery.poison_kills", "instance"),
    ("hangfire", {}, "delivery.max_deliveries", None),
    ("hangfire", {}, "retry", tk.Retry(max_retries=10, backoff=HangfireBackoff())),
    ("hangfire", {"delays_in_seconds": [1, 2]}, "retry.backoff.delays_in_seconds", (1, 2)),
    ("hangfire", {}, "delivery.delayed", tk.Poller(low_s=15, high_s=15, first_high_s=15)),
    # 4 SQS
    ("sqs", {}, "delivery.fetch", tk.BlockingPop(batch=1, refill_at=0)),
    ("sqs", {"batch": 10}, "delivery.fetch", tk.BlockingPop(batch=10, refill_at=0)),
    ("sqs", {"batch": 10}, "delivery.prefetch", 10),
    ("sqs", {"batch": 10, "concurrency": 4}, "delivery.fetch.refill_at", 3),
    ("sqs", {"batch": 10, "concurrency": 4}, "delivery.prefetch", 13),
    ("sqs", {"batch": 10, "concurrency": 4, "refill_at": 0}, "delivery.prefetch", 10),
    ("sqs", {"consumers": 2, "concurrency": 4}, "workers", 8),
    ("sqs", SHORT, "delivery.fetch", tk.Poll(every_s=5, batch=1, refill_at=0)),
    ("sqs", {}, "delivery.ack", "end"),
    ("sqs", {}, "delivery.visibility", tk.Visibility(timeout_s=30, receipt="delivery")),
    ("sqs", {"visibility_timeout_s": 43_200}, "delivery.visibility.timeout_s", 43_200),
    ("sqs", FIFO, "delivery.visibility.receipt", "lease"),
    ("sqs", FIFO, "delivery.groups", 20),
    ("sqs", {}, "delivery.groups", None),
    ("sqs", {}, "delivery.on_failure", "leave"),
    ("sqs", {}, "retry", None),
    ("sqs", {}, "delivery.max_deliveries", None),
    ("sqs", {"max_receive_count": 10}, "delivery.max_deliveries", 10),
    ("sqs", {}, "delivery.dead_letter_on", "receive"),
    ("sqs", {}, "delivery.delayed", "broker"),
    # 5 Cloud Tasks
    ("cloud_tasks", {}, "delivery.fetch", tk.Push(to="round robin")),
    ("cloud_tasks", {}, "workers", 1000),
    ("cloud_tasks", {"instances": 10}, "delivery.instances", 10),
    ("cloud_tasks", {}, "delivery.ack", "end"),
    ("cloud_tasks", {}, "delivery.visibility", tk.Visibility(timeout_s=600, receipt="lease")),
    ("cloud_tasks", {"dispatch_deadline_s": 15}, "delivery.visibility.timeout_s", 15),
    (
        "cloud_tasks",
        {},
        "delivery.limiter",
        tk.TokenBucket(rate_per_s=500, burst=100, when_empty="wait"),
    ),
    ("cloud_tasks", {}, "delivery.limiter_per", "queue"),
    ("cloud_tasks", {}, "retry.max_retries", 99),
    ("cloud_tasks", {}, "delivery.max_deliveries", 1),
    ("cloud_tasks", {}, "delivery.dead_letter_on", "return"),
    ("cloud_tasks", {"max_attempts": -1}, "retry.max_retries", None),
    (
        "cloud_tasks",
        {},
        "retry.backoff",
        CloudTasksBackoff(min_backoff_s=0.1, max_backoff_s=3600, max_doublings=16),
    ),
    # 6 Azure Storage queues
    ("azure_storage_queue", {}, "delivery.fetch", tk.Poll(every_s=1, batch=1, refill_at=0)),
    ("azure_storage_queue", {"batch": 32, "concurrency": 2}, "delivery.fetch.batch", 32),
    ("azure_storage_queue", {"batch": 32, "concurrency": 2}, "delivery.prefetch", 33),
    (
        "azure_storage_queue",
        {},
        "delivery.visibility",
        tk.Visibility(timeout_s=30, receipt="delivery"),
    ),
    ("azure_storage_queue", {}, "delivery.on_failure", "leave"),
    ("azure_storage_queue", {}, "delivery.max_deliveries", None),
    ("azure_storage_queue", HOST, "delivery.max_deliveries", 5),
    ("azure_storage_queue", HOST, "delivery.fetch.batch", 16),
    ("azure_storage_queue", HOST, "delivery.fetch.refill_at", 8),
    ("azure_storage_queue", HOST, "workers", 24),
    ("azure_storage_queue", HOST, "delivery.on_failure", "return"),
    ("azure_storage_queue", HOST | {"max_dequeue_count": 2}, "delivery.max_deliveries", 2),
    (
        "azure_storage_queue",
        HOST | {"failed_visible_after_s": 7},
        "retry",
        tk.Retry(max_retries=4, backoff=tk.ConstantBackoff(delay_s=7)),
    ),
    (
        "azure_storage_queue",
        HOST | {"failed_visible_after_s": 7},
        "delivery.max_deliveries",
        1,
    ),
    ("azure_storage_queue", HOST, "delivery.dead_letter_on", "return"),
    # 7 Azure Service Bus
    ("azure_service_bus", {}, "delivery.fetch", tk.BlockingPop()),
    ("azure_service_bus", {}, "workers", 1),
    ("azure_service_bus", {"processors": 3, "max_concurrent_calls": 4}, "workers", 12),
    ("azure_service_bus", {}, "delivery.prefetch", 0),
    ("azure_service_bus", {"prefetch_count": 10}, "delivery.prefetch", 11),
    (
        "azure_service_bus",
        {},
        "delivery.visibility",
        tk.Visibility(
            timeout_s=60, renew_every_s=50, renew_for_s=300, renews="running", receipt="lease"
        ),
    ),
    ("azure_service_bus", {"lock_duration_s": 8}, "delivery.visibility.renew_every_s", 2),
    ("azure_service_bus", {"renew_every_s": 30}, "delivery.visibility.renew_every_s", 30),
    (
        "azure_service_bus",
        {"max_auto_lock_renewal_s": 0},
        "delivery.visibility",
        tk.Visibility(timeout_s=60, receipt="lease"),
    ),
    ("azure_service_bus", {}, "delivery.max_deliveries", 10),
    ("azure_service_bus", {}, "delivery.dead_letter_on", "return"),
    ("azure_service_bus", {}, "delivery.on_failure", "return"),
    ("azure_service_bus", {}, "retry", None),
]


@pytest.mark.parametrize(("product", "settings", "path", "value"), REFERENCE)
def test_a_row_of_the_reference_is_a_field_of_the_stage(product, settings, path, value):
    """Defaults by product, version, broker and storage, and what each setting changes."""
    assert field(stage(product, **settings), path) == value


@pytest.mark.parametrize(("version", "is_stale"), [("5.6.3", True), ("5.7.0", False)])
def test_celerys_bucket_is_stale_before_5_7(version, is_stale):
    """Two starts at once after an idle spell (kombu #680)."""
    made = stage("celery", version=version, rate_limit="1/s")

    assert isinstance(made.delivery.limiter, StaleBucket) is is_stale


@pytest.mark.parametrize(
    ("limit", "rate"), [("10/s", 10), ("90/m", 1.5), ("1800/h", 0.5), (3, 3), ("2.5", 2.5)]
)
def test_celerys_rate_limit_is_a_number_by_second_minute_or_hour(limit, rate):
    """celery/utils/time.py :: rate."""
    assert stage("celery", rate_limit=limit).delivery.limiter.rate_per_s == pytest.approx(rate)


@pytest.mark.parametrize(("version", "grace_s"), [("5.2.9", 8), ("6.0.0", 25), ("8.1", 25)])
def test_sidekiq_has_25_s_to_finish_and_had_8_s_in_5(version, grace_s):
    """A stop that the user plans, with the version's own patience."""
    crash = systems.sidekiq_stop(version=version, at_s=60, instance=1, restart_after_s=2)

    assert crash == tk.Crash(at_s=60, instance=1, restart_after_s=2, grace_s=grace_s)


# --- what all products share ---

products = pytest.mark.parametrize("product", NEEDED)


@products
def test_a_stage_has_its_products_name_unless_told_otherwise(product):
    assert stage(product).name == product
    assert stage(product, name="mails").name == "mails"


@products
def test_every_product_takes_the_usual_fields(product):
    """Service, failures, delays and deaths are no product's own."""
    crash = tk.Crash(at_s=5, restart_after_s=1)
    countdown = tk.Deterministic(value_s=9)
    made = stage(product, failure=0.2, countdown=countdown, crashes=crash, poison=0.01, restart_s=3)
    delivery = made.delivery

    assert (made.service, made.failure) == (SERVICE, 0.2)
    assert (delivery.countdown, delivery.crashes) == (countdown, (crash,))
    assert (delivery.poison, delivery.restart_s) == (0.01, 3)


@products
def test_settings_are_keywords_and_unknown_ones_are_refused(product):
    with pytest.raises(TypeError, match="positional argument"):
        getattr(systems, product)("5.7")
    with pytest.raises(TypeError, match="unexpected keyword argument 'prefetched'"):
        stage(product, prefetched=4)


@products
def test_help_shows_the_settings_and_a_stage(product):
    """What must be given comes first."""
    signature = inspect.signature(getattr(systems, product))
    must = [p.default is p.empty for p in signature.parameters.values()]

    assert signature.return_annotation is tk.Stage
    assert must == sorted(must, reverse=True)
    assert set(NEEDED[product]) <= set(signature.parameters)
    assert getattr(systems, product).__doc__.startswith("Return a stage that behaves like")


UNSOURCED = [
    *(("cloud_tasks", name) for name in NEEDED["cloud_tasks"]),
    ("celery", "version"),
    ("celery", "broker"),
    ("celery", "concurrency"),
    ("sidekiq", "version"),
    ("hangfire", "version"),
    ("hangfire", "storage"),
    ("azure_storage_queue", "poll_every_s"),
]


@pytest.mark.parametrize(("product", "name"), UNSOURCED)
def test_what_has_no_primary_source_or_changes_with_the_version_must_be_given(product, name):
    settings = {key: value for key, value in NEEDED[product].items() if key != name}

    with pytest.raises(TypeError, match=f"missing 1 required keyword-only argument: '{name}'"):
        getattr(systems, product)(service=SERVICE, **settings)


def test_every_exported_name_exists_and_is_sorted():
    assert sorted(systems.__all__) == systems.__all__
    assert all(hasattr(systems, name) for name in systems.__all__)
    assert set(NEEDED) <= set(systems.__all__)


# --- versions ---


def test_a_version_of_two_parts_is_the_first_of_its_line():
    """So "8.0" of Sidekiq is before the poller's repair in 8.0.10."""
    assert _versions.parse("Celery", ("5.7",), "5.7") == (5, 7, 0)
    assert stage("sidekiq", version="8.0", processes=10).delivery.delayed.high_s == 50


@pytest.mark.parametrize("version", ["4.4", "5.8.0", "5", "5.7.0rc1", "", "latest", 5.7, None])
def test_an_unknown_version_is_refused_with_the_known_ones(version):
    message = (
        r"version must be one of the known Celery versions \(5\.6, 5\.7, and their patches such as "
        rf"5\.7\.0\), got {version!r}"
    )

    with pytest.raises(ValueError, match=message):
        stage("celery", version=version)


# --- refusals ---

LATE = {"acks_late": True}
SLOT = {"crashes": tk.Crash(at_s=1, slot=0)}
THREADS = [name for name in NEEDED if name != "celery"]
REFUSED = [
    ("sidekiq", {"version": "9.0"}, "known Sidekiq versions .*8.1.*, got '9.0'"),
    ("hangfire", {"version": "2.0"}, "known Hangfire versions .*1.8.*, got '2.0'"),
    ("celery", {"broker": "sqs"}, "broker must be 'redis' or 'rabbitmq', got 'sqs'"),
    ("celery", {"concurrency": 0}, "concurrency must be a whole number >= 1, got 0"),
    ("celery", {"instances": 0}, "instances must be a whole number >= 1, got 0"),
    ("celery", {"prefetch_multiplier": -1}, "prefetch_multiplier must be a whole number >= 0"),
    (
        "celery",
        {"reject_on_worker_lost": True},
        "reject_on_worker_lost=True contradicts acks_late=False",
    ),
    (
        "celery",
        {"retry_on_worker_lost": True},
        "retry_on_worker_lost=True contradicts acks_late=False",
    ),
    (
        "celery",
        LATE | {"retry_on_worker_lost": True, "reject_on_worker_lost": True},
        "reject_on_worker_lost=True contradicts retry_on_worker_lost=True",
    ),
    (
        "celery",
        LATE | {"retry_on_worker_lost": True, "version": "5.6.3"},
        "retry_on_worker_lost=True contradicts version='5.6.3': it can be set since 5.7.0",
    ),
    (
        "celery",
        LATE | {"retry_on_worker_lost": True, "autoretry": True, "retry_backoff": True},
        "retry_backoff=True contradicts retry_on_worker_lost=True",
    ),
    (
        "celery",
        LATE | {"retry_on_worker_lost": True, "failure": 0.1},
        "failure=0.1 with autoretry=False contradicts retry_on_worker_lost=True",
    ),
    (
        "celery",
        RABBIT | {"disable_prefetch": True},
        "disable_prefetch=True contradicts broker='rabbitmq': it is a setting of Redis",
    ),
    (
        "celery",
        RABBIT | {"visibility_timeout_s": 60},
        "visibility_timeout_s=60 contradicts broker='rabbitmq'",
    ),
    ("celery", RABBIT | {"sweep_first_s": 9}, "sweep_first_s=9 contradicts broker='rabbitmq'"),
    (
        "celery",
        RABBIT | {"unacked_restore_throttle": 1},
        "unacked_restore_throttle=1 contradicts broker='rabbitmq'",
    ),
    (
        "celery",
        {"consumer_timeout_s": None},
        "consumer_timeout_s=None contradicts broker='redis': it is a setting of RabbitMQ",
    ),
    (
        "celery",
        {"version": "5.6.3", "unacked_restore_interval_s": 5},
        "unacked_restore_interval_s=5 contradicts version='5.6.3'",
    ),
    (
        "celery",
        {"version": "5.6", "unacked_restore_throttle": 1},
        "unacked_restore_throttle=1 contradicts version='5.6'",
    ),
    ("celery", {"unacked_restore_throttle": 0}, "unacked_restore_throttle must be a whole number"),
    ("celery", {"unacked_restore_interval_s": 0}, "unacked_restore_interval_s must be > 0, got 0"),
    ("celery", {"max_retries": 5}, "max_retries=5 contradicts autoretry=False"),
    ("celery", {"retry_backoff": True}, "retry_backoff=True contradicts autoretry=False"),
    ("celery", {"retry_jitter": False}, "retry_jitter=False contradicts autoretry=False"),
    ("celery", {"default_retry_delay_s": 9}, "default_retry_delay_s=9 contradicts autoretry=False"),
    ("celery", {"visibility_timeout_s": 0}, "visibility_timeout_s must be > 0, got 0"),
    ("celery", RABBIT | {"consumer_timeout_s": -1}, "consumer_timeout_s must be > 0, got -1"),
    ("celery", {"sweep_first_s": -1}, "sweep_first_s must be >= 0, got -1"),
    ("celery", {"eta_task_limit": 0}, "eta_task_limit must be a whole number >= 1, got 0"),
    ("celery", {"autoretry": True, "max_retries": -1}, "max_retries must be a whole number >= 0"),
    ("celery", {"autoretry": True, "retry_backoff": -2}, "retry_backoff must be >= 0, got -2"),
    ("celery", {"autoretry": True, "default_retry_delay_s": -1}, "default_retry_delay_s must be >"),
    ("hangfire", {"invisibility_timeout_s": 0}, "invisibility_timeout_s must be > 0, got 0"),
    ("hangfire", OLD_SQL | {"disconnect_s": -1}, "disconnect_s must be >= 0, got -1"),
    ("sqs", SHORT | {"poll_every_s": 0}, "poll_every_s must be > 0, got 0"),
    ("sqs", {"max_receive_count": 0}, "max_receive_count must be a whole number >= 1, got 0"),
    ("sqs", {"fifo": True, "message_groups": 0}, "message_groups must be a whole number >= 1"),
    ("azure_storage_queue", {"poll_every_s": 0}, "poll_every_s must be > 0, got 0"),
    *(
        ("celery", {"rate_limit": wrong}, f"rate_limit must be like .*, got {wrong!r}")
        for wrong in ("100/d", "fast", "-1/s", "nan", -2)
    ),
    ("sidekiq", {"processes": 0}, "processes must be a whole number >= 1, got 0"),
    ("sidekiq", {"concurrency": 0}, "concurrency must be a whole number >= 1, got 0"),
    ("sidekiq", {"retry": -1}, "retry must be a whole number >= 0, got -1"),
    (
        "sidekiq",
        {"average_scheduled_poll_interval_s": 0},
        "average_scheduled_poll_interval_s must be > 0, got 0",
    ),
    ("hangfire", {"storage": "mongo"}, "storage must be 'sql' or 'redis', got 'mongo'"),
    ("hangfire", {"cpus": None}, "workers or cpus must be given, and not both"),
    ("hangfire", {"workers": 4}, "workers or cpus must be given, and not both"),
    ("hangfire", {"cpus": 0}, "cpus must be a whole number >= 1, got 0"),
    ("hangfire", {"version": "1.7"}, "disconnect_s must be given with storage='sql' in version"),
    (
        "hangfire",
        OLD_SQL | {"invisibility_timeout_s": 60},
        "invisibility_timeout_s=60 contradicts storage='sql' in version='1.7'",
    ),
    ("hangfire", {"disconnect_s": 0}, "disconnect_s=0 contradicts storage='sql' in version='1.8'"),
    (
        "hangfire",
        REDIS | {"queue_poll_interval_s": 1},
        "queue_poll_interval_s=1 contradicts storage='redis'",
    ),
    (
        "hangfire",
        REDIS | {"enqueued_in_process": True},
        "enqueued_in_process=True contradicts storage='redis'",
    ),
    (
        "hangfire",
        OLD_SQL | {"queue_poll_interval_s": 0},
        "queue_poll_interval_s must be > 0, got 0",
    ),
    ("hangfire", {"queue_poll_interval_s": -1}, "queue_poll_interval_s must be >= 0, got -1"),
    ("sqs", {"batch": 11}, "batch must be from 1 to 10 messages, got 11"),
    ("sqs", {"wait_time_s": 21}, "wait_time_s must be from 0 to 20 s, got 21"),
    ("sqs", {"visibility_timeout_s": 43_201}, "visibility_timeout_s must be from 0 to 43200 s"),
    ("sqs", {"visibility_timeout_s": -1}, "visibility_timeout_s must be from 0 to 43200 s"),
    ("sqs", {"visibility_timeout_s": 0}, "visibility_timeout_s must be > 0 s here"),
    ("sqs", {"wait_time_s": 0}, "poll_every_s must be given with wait_time_s=0"),
    ("sqs", {"poll_every_s": 1}, "poll_every_s=1 contradicts wait_time_s=20"),
    ("sqs", {"refill_at": -1}, "refill_at must be a whole number >= 0, got -1"),
    (
        "sqs",
        {"concurrency": 4, "refill_at": 0},
        "concurrency=4 contradicts refill_at=0 and batch=1: the consumer never holds more than 1",
    ),
    ("sqs", {"fifo": True}, "message_groups must be given with fifo=True"),
    ("sqs", {"message_groups": 4}, "message_groups=4 contradicts fifo=False"),
    (
        "sqs",
        {"countdown": tk.Deterministic(value_s=901)},
        "countdown must never be longer than 900 s",
    ),
    ("sqs", {"countdown": tk.Exponential(mean_s=1)}, "countdown must never be longer than 900 s"),
    (
        "sqs",
        FIFO | {"countdown": tk.Uniform(low_s=0, high_s=9)},
        "countdown=Uniform.* contradicts fifo=True",
    ),
    (
        "cloud_tasks",
        {"max_dispatches_per_s": 501},
        "max_dispatches_per_s must be from 0 to 500 tasks/s, got 501",
    ),
    ("cloud_tasks", {"max_dispatches_per_s": 0}, "max_dispatches_per_s must be > 0, got 0"),
    ("cloud_tasks", {"max_burst_size": 0}, "max_burst_size must be a whole number >= 1, got 0"),
    (
        "cloud_tasks",
        {"max_concurrent_dispatches": 5001},
        "max_concurrent_dispatches must be from 1 to 5000 tasks, got 5001",
    ),
    ("cloud_tasks", {"instances": 3}, "max_concurrent_dispatches must be in equal parts for 3"),
    ("cloud_tasks", {"max_attempts": 0}, "max_attempts must be a whole number >= 1, got 0"),
    ("cloud_tasks", {"dispatch_deadline_s": 14}, "dispatch_deadline_s must be from 15 to 1800 s"),
    ("cloud_tasks", {"dispatch_deadline_s": 1801}, "dispatch_deadline_s must be from 15 to 1800 s"),
    (
        "cloud_tasks",
        {"countdown": tk.Deterministic(value_s=2_592_001)},
        "countdown must never be longer than 2592000 s",
    ),
    ("azure_storage_queue", {"batch": 33}, "batch must be from 1 to 32 messages, got 33"),
    ("azure_storage_queue", {"batch": 0}, "batch must be a whole number >= 1, got 0"),
    (
        "azure_storage_queue",
        {"visibility_timeout_s": 0.5},
        "visibility_timeout_s must be from 1 to 604800 s, got 0.5",
    ),
    (
        "azure_storage_queue",
        {"countdown": tk.Deterministic(value_s=604_801)},
        "countdown must never be longer than 604800 s",
    ),
    (
        "azure_storage_queue",
        {"new_batch_threshold": 8},
        "new_batch_threshold=8 contradicts functions_host=False",
    ),
    (
        "azure_storage_queue",
        {"max_dequeue_count": 5},
        "max_dequeue_count=5 contradicts functions_host=False",
    ),
    (
        "azure_storage_queue",
        HOST | {"concurrency": 4},
        "concurrency=4 contradicts functions_host=True",
    ),
    *(
        ("azure_storage_queue", HOST | {name: None}, f"{name} must be given with functions_host")
        for name in ("new_batch_threshold", "failed_visible_after_s", "visibility_timeout_s")
    ),
    ("azure_service_bus", {"lock_duration_s": 301}, "lock_duration_s must be from 0 to 300 s"),
    ("azure_service_bus", {"lock_duration_s": 0}, "lock_duration_s must be > 0, got 0"),
    ("azure_service_bus", {"prefetch_count": -1}, "prefetch_count must be a whole number >= 0"),
    ("azure_service_bus", {"max_delivery_count": 0}, "max_delivery_count must be a whole number"),
    (
        "azure_service_bus",
        {"max_auto_lock_renewal_s": 0, "renew_every_s": 30},
        "renew_every_s=30 contradicts max_auto_lock_renewal_s=0",
    ),
    ("azure_service_bus", {"renew_every_s": 60}, "renew_every_s must be < lock_duration_s"),
    *((product, SLOT, "crashes must be of whole instances.*got slot=0") for product in THREADS),
]


@pytest.mark.parametrize(("product", "settings", "message"), REFUSED)
def test_what_a_product_cannot_do_is_refused(product, settings, message):
    """With the names of what contradicts, and the value."""
    with pytest.raises(ValueError, match=message):
        stage(product, **settings)
