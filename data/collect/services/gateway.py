"""Overbuilt: the gateway, the only part that clients see.

    client -> gateway -> orchestrator -> RabbitMQ -> worker 1..4
                 ^            ^------ callback ---------'
                 |            v
                 '------- Redis: result store, cache, "done" channel

It hands a job to the orchestrator, which accepts it, and waits until Redis tells that it is done.
While the orchestrator is away it tries again, so a restart behind it makes clients wait, not fail.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from typing import Any

import http_client
import redis.asyncio
import redis.exceptions
import shared
import stores

AGAIN_S = 0.1


class Gateway:
    """Those who wait for an answer, and the two parts behind."""

    def __init__(self, orchestrator: int, url: str) -> None:
        self.orchestrator = http_client.HttpClient(orchestrator)
        self.redis = stores.connect(url)
        self.channel = stores.connect(url, retries=0)  # a break must be seen, or results are missed
        self.waiting: dict[str, asyncio.Future[Any]] = {}
        self.listening = asyncio.create_task(self.listen())

    async def do(self, job: str) -> Any:
        """Have a job accepted, and wait until it is done."""
        done = self.waiting[job] = asyncio.get_running_loop().create_future()
        try:
            if await self.hand_over(f"/jobs/{job}") != 202:
                raise shared.RefusedError("full")
            return await done
        finally:
            del self.waiting[job]

    async def hand_over(self, path: str) -> int:
        """Post to the orchestrator, again and again while nobody answers; return the status."""
        while True:
            with contextlib.suppress(OSError):
                return (await self.orchestrator.post(path, {}))[0]
            await asyncio.sleep(AGAIN_S)

    async def listen(self) -> None:
        """Answer as results come; after a break look up what was told to nobody meanwhile."""
        while True:
            with contextlib.suppress(redis.exceptions.ConnectionError, OSError):
                async with self.channel.pubsub() as channel:
                    await channel.subscribe(stores.DONE)
                    async for message in channel.listen():
                        if message["type"] == "subscribe":
                            await self.catch_up()
                        else:
                            self.answer(json.loads(message["data"]))
            await asyncio.sleep(AGAIN_S)

    async def catch_up(self) -> None:
        """Answer whoever's result is there already."""
        for result in filter(None, [await self.look_up(job) for job in list(self.waiting)]):
            self.answer(result)

    def answer(self, result: dict[str, Any]) -> None:
        """Let a job be answered, if somebody waits for it here."""
        done = self.waiting.get(result["job"])
        if done and not done.done():
            done.set_result(result)

    async def look_up(self, job: str) -> Any:
        """Return a stored result, or None."""
        found = await self.redis.get(stores.key(job))
        return json.loads(found) if found else None

    async def replay(self, job: str) -> Any:
        """Do a stored job once more."""
        done = self.waiting[job] = asyncio.get_running_loop().create_future()
        await self.hand_over(f"/replay/{job}")
        try:
            return await done
        finally:
            del self.waiting[job]


class Replay(shared.Stored):
    """``POST /jobs/<id>/replay``."""

    async def post(self, job: str) -> None:
        """Answer with the new result."""
        self.finish(await self.look_up(job))


async def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description="The gateway of the overbuilt service.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--orchestrator", type=int, required=True, help="its port")
    parser.add_argument("--redis", required=True, help="URL")
    options = parser.parse_args()
    gateway = Gateway(options.orchestrator, options.redis)
    replay = ("/jobs/([^/]+)/replay", Replay, {"look_up": gateway.replay})
    await shared.serve(gateway.do, gateway.look_up, options.port, [replay])


if __name__ == "__main__":
    asyncio.run(main())
