"""Overbuilt: the orchestrator, which knows what is accepted, queued and done.

A job is accepted once Redis has it; then it goes to RabbitMQ.  What is accepted and not done is put
into the queue again whenever this process or the broker was away (an outbox), so a job may be done
twice, but never be lost; only the first result counts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from typing import Any

import amqp
import redis.exceptions
import shared
import stores
from tornado.web import RequestHandler

BROKEN = (OSError, EOFError, amqp.exceptions.AMQPError, AttributeError)
"""How py-amqp says that a connection is gone; ``AttributeError`` when it was closed before."""


class Orchestrator:
    """The unfinished jobs, and the two parts behind."""

    def __init__(self, broker: str, redis_url: str) -> None:
        self.broker = broker
        self.redis = stores.connect(redis_url)
        self.unfinished: set[str] = set()
        self.channel: amqp.Channel | None = None

    async def start(self) -> None:
        """Find what was left unfinished, and connect to the broker, which queues it again."""
        self.unfinished = {job.decode() for job in await self.redis.smembers(stores.UNFINISHED)}
        await self.connect()

    async def connect(self) -> None:
        """Connect to the broker as soon as it answers, and queue what is unfinished."""
        while self.channel is None:
            try:
                self.channel = stores.open_channel(self.broker)
            except BROKEN:
                await asyncio.sleep(stores.AGAIN_S)
        socket = self.channel.connection.sock
        asyncio.get_running_loop().add_reader(socket, self.hear, socket)
        for job in sorted(self.unfinished):
            self.queue(job)

    def hear(self, socket: Any) -> None:
        """Read what the broker says, mostly that it is gone; then connect again."""
        try:
            self.channel.connection.drain_events(timeout=0.01)
        except TimeoutError:
            return
        except BROKEN:
            asyncio.get_running_loop().remove_reader(socket)
            self.channel = None
            self.connecting = asyncio.create_task(self.connect())

    def queue(self, job: str) -> None:
        """Put a job into the queue; without a broker it waits among the unfinished."""
        if self.channel is not None:
            with contextlib.suppress(BROKEN):  # `hear` is told as well
                stores.publish(self.channel, job)
                shared.stamp("queued", job)

    async def accept(self, job: str) -> int:
        """Accept a job, once; return the HTTP status."""
        if job not in self.unfinished:
            if len(self.unfinished) >= shared.MOST_UNFINISHED:
                return 503
            self.unfinished.add(job)
            await self.redis.sadd(stores.UNFINISHED, job)
            self.queue(job)
        return 202

    async def finish(self, job: str, result: bytes) -> int:
        """Store a result and tell it; of a job done twice the first one counts."""
        if job in self.unfinished:
            async with self.redis.pipeline() as together:
                together.set(stores.key(job), result, ex=3600)
                together.srem(stores.UNFINISHED, job)
                together.publish(stores.DONE, result)
                await together.execute()
            self.unfinished.discard(job)
        return 200


class Step(RequestHandler):
    """A request of another part: ``POST /jobs/<id>``, ``/replay/<id>``, ``/done/<id>``."""

    def initialize(self, orchestrator: Orchestrator) -> None:
        """Keep what the application was made with."""
        self.orchestrator = orchestrator

    async def post(self, step: str, job: str) -> None:
        """Take the step; 503 if Redis is away."""
        try:
            if step == "done":
                status = await self.orchestrator.finish(job, self.request.body)
            else:
                status = await self.orchestrator.accept(job)
        except redis.exceptions.ConnectionError:
            status = 503
        self.set_status(status)
        self.finish(json.dumps({"job": job}))


async def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description="The orchestrator of the overbuilt service.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--broker", required=True, help="URL of RabbitMQ")
    parser.add_argument("--redis", required=True, help="URL")
    options = parser.parse_args()
    orchestrator = Orchestrator(options.broker, options.redis)
    await orchestrator.start()
    step = ("/(jobs|replay|done)/([^/]+)", Step, {"orchestrator": orchestrator})
    await shared.listen([step], options.port)


if __name__ == "__main__":
    asyncio.run(main())
