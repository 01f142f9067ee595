"""The Celery application that is measured: jobs which sleep and note when they start and end.

    GOODPUT_CELERY='{"broker_url": "redis://..."}' GOODPUT_NOTES=FILE celery -A celery_app worker

A job is a timed sleep, a stand-in for a call to another service.  Each event is a line of the notes,
written at once, so that it survives the death of who wrote it: ``event,job,pid,seconds``.  The seconds
are those of ``time.monotonic()``, a clock that all processes of a machine share and nobody sets.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from celery import Celery, signals

SETTINGS = "GOODPUT_CELERY"
NOTES = "GOODPUT_NOTES"


def note(event: str, job: int) -> None:
    """Append an event to the notes; one write, so that lines of two processes don't mix."""
    line = f"{event},{job},{os.getpid()},{time.monotonic():.6f}\n"
    file = os.open(os.environ[NOTES], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)


def work(job: int, asked_s: float) -> None:
    """Sleep, between two notes."""
    note("started", job)
    time.sleep(asked_s)
    note("ended", job)


def make_app(settings: Mapping[str, Any]) -> Celery:
    """Build the application; ``work`` and ``limited`` do the same, but may have different limits."""
    app = Celery("measured", set_as_current=False)
    app.conf.update(settings)
    app.task(name="work")(work)
    app.task(name="limited")(work)
    return app


@signals.task_received.connect
def _note_received(request: Any, **_: Any) -> None:
    """Note that a worker instance holds the message; it may start much later, or never."""
    note("received", request.args[0])


@signals.worker_ready.connect
def _note_ready(**_: Any) -> None:
    """Note that an instance asks for messages."""
    note("ready", -1)


if SETTINGS in os.environ:
    app = make_app(json.loads(os.environ[SETTINGS]))
