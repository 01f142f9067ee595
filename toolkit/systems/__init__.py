"""Products, by what their own sources say they do: one function each, which returns a ``Stage``.

A product here is its defaults, its protocol and its backoff, by version where versions differ.  Times
are in seconds; settings have the product's own names with a unit.  Every number has its source beside
it; what has no primary source must be given.  Nothing is added to the stage that ``Stage`` and
``Delivery`` cannot say, so it can be looked at, and changed with ``dataclasses.replace``.
"""

from toolkit.systems.amazon import sqs
from toolkit.systems.azure import azure_service_bus, azure_storage_queue
from toolkit.systems.celery import CeleryBackoff, celery
from toolkit.systems.google import CloudTasksBackoff, cloud_tasks
from toolkit.systems.hangfire import HangfireBackoff, hangfire
from toolkit.systems.sidekiq import SidekiqBackoff, sidekiq, sidekiq_stop

__all__ = [
    "CeleryBackoff",
    "CloudTasksBackoff",
    "HangfireBackoff",
    "SidekiqBackoff",
    "azure_service_bus",
    "azure_storage_queue",
    "celery",
    "cloud_tasks",
    "hangfire",
    "sidekiq",
    "sidekiq_stop",
    "sqs",
]
