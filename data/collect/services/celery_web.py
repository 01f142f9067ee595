"""Between: the web process in front of Celery.

    client -> web -> Redis (queue) -> worker parent -> child 1..4
               ^---- Redis (pub/sub of the results) <-----'

The event loop sends the task.  A thread of its own waits at the result backend's pub/sub, which wakes
it when a result is there: nothing is polled.
"""

from __future__ import annotations

import argparse
import asyncio
import threading
from typing import Any

import celery_tasks
import shared
from celery.result import AsyncResult
from kombu.exceptions import OperationalError


class Web:
    """Sends tasks, and hands results to those who wait."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting: dict[str, asyncio.Future[Any]] = {}
        self.backend = celery_tasks.app.backend  # of this thread; another would get another
        self.connect()
        threading.Thread(target=self.listen, daemon=True).start()

    def connect(self) -> None:
        """Load and connect all that the first job would have to wait for otherwise."""
        with celery_tasks.app.producer_pool.acquire(block=True) as producer:
            producer.connection.ensure_connection(max_retries=10)
        self.backend.client.ping()
        self.backend.result_consumer.start("none")

    async def do(self, job: str) -> Any:
        """Send a job, and wait until it is done."""
        if len(self.waiting) >= shared.MOST_UNFINISHED:
            raise shared.RefusedError("full")
        done = self.waiting[job] = self.loop.create_future()
        try:
            self.send(job)
            return await done
        except OperationalError as error:
            raise shared.RefusedError("the broker does not answer") from error
        finally:
            del self.waiting[job]

    def send(self, job: str) -> None:
        """Subscribe to the result, and put the task into the queue."""
        result = celery_tasks.do.apply_async((job,), task_id=job)
        shared.stamp("queued", job)
        result.then(self.came)

    def listen(self) -> None:
        """Wait for results for ever."""
        while True:
            self.backend.result_consumer.drain_events(timeout=1)

    def came(self, result: AsyncResult) -> None:
        """Hand a result over to the event loop; this may run in either thread."""
        self.loop.call_soon_threadsafe(self.answer, result.id, result.result)

    def answer(self, job: str, result: Any) -> None:
        """Let a job be answered, if somebody still waits."""
        if job in self.waiting and not self.waiting[job].done():
            self.waiting[job].set_result(result)

    async def look_up(self, job: str) -> Any:
        """Return a stored result, or None."""
        return self.backend.get_task_meta(job)["result"]


async def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description="The web process of the service with Celery.")
    parser.add_argument("--port", type=int, required=True)
    web = Web(asyncio.get_running_loop())
    await shared.serve(web.do, web.look_up, parser.parse_args().port)


if __name__ == "__main__":
    asyncio.run(main())
