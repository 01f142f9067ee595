"""Overbuilt: the names that its parts share in Redis and RabbitMQ, and how they connect."""

from __future__ import annotations

import urllib.parse

import amqp
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

DONE = "done"  # the channel on which results are told
UNFINISHED = "unfinished"  # the set of jobs accepted and not done
QUEUE = "jobs"  # durable, in RabbitMQ
AGAIN_S = 0.1
PERSISTENT = 2  # AMQP's delivery mode that survives a restart of the broker


def key(job: str) -> str:
    """Name the place of a job's result."""
    return f"job:{job}"


def connect(url: str, retries: int = 20) -> redis.asyncio.Redis:
    """Connect to Redis; a command that meets a restart is tried again for two seconds."""
    return redis.asyncio.Redis.from_url(url, retry=Retry(ConstantBackoff(AGAIN_S), retries))


def open_channel(url: str) -> amqp.Channel:
    """Connect to RabbitMQ, and see that the queue is there."""
    place = urllib.parse.urlsplit(url)
    connection = amqp.Connection(
        f"{place.hostname}:{place.port}", place.username, place.password, connect_timeout=5
    )
    connection.connect()
    channel = connection.channel()
    channel.queue_declare(QUEUE, durable=True, auto_delete=False)
    return channel


def publish(channel: amqp.Channel, job: str) -> None:
    """Put a job into the queue."""
    channel.basic_publish(amqp.Message(job, delivery_mode=PERSISTENT), routing_key=QUEUE)
