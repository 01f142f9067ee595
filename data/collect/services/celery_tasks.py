"""Between: the Celery application.  ``celery -A celery_tasks worker`` runs its workers.

Set up as its documentation advises for jobs that must not be lost: acknowledged after the work, given
back when a child dies, one message prefetched a slot.
"""

from __future__ import annotations

import os
from typing import Any

import shared
from celery import Celery, signals

REDIS = "GOODPUT_REDIS"
VISIBILITY_S = (
    5  # after which Redis hands out again what a dead worker held; no job takes that long
)

app = Celery("celery_tasks", broker=os.environ[REDIS], backend=os.environ[REDIS])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_concurrency=shared.SLOTS,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_S,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
    broker_connection_retry_on_startup=True,
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0},
    result_backend_transport_options={
        "retry_policy": {"max_retries": 50, "interval_start": 0.1, "interval_step": 0}
    },
    result_expires=3600,
)


@app.task(name="do")
def do(job: str) -> dict[str, Any]:
    """Do a job."""
    return shared.work(job)


@signals.worker_process_init.connect
def _punctual(**_: Any) -> None:
    shared.be_punctual()


@signals.worker_ready.connect
def _ready(**_: Any) -> None:
    shared.stamp("ready")
