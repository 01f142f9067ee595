"""What the three services have in common: the work, the limits, the stamps and the front door.

The job: ``POST /jobs`` with ``{"job": "17"}``, answered with the job and its result once it is done;
``GET /jobs/17`` returns what is stored.  The work is a timed sleep, drawn from a seed and the job's
name: whatever order, machine or service does job 17 of a seed, it lasts equally long.

Every part appends its stamps to a file of its own, a line an event, written at once, so that they
survive the death of who wrote them: ``event,job,microseconds since 1970``.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gc
import itertools
import json
import math
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

HOST = "127.0.0.1"
MEAN_S = 0.020
SCV = 0.5  # squared coefficient of variation: variance / mean^2
SLOTS = 4
MOST_UNFINISHED = 64  # jobs accepted and not done; one more gets 503 at once
DEADLINE_S = 10  # whoever waits longer gets 504; the job stays
PR_SET_TIMERSLACK = 29  # linux/prctl.h
WAKE_UP_S = (
    0.000_08  # how late an idle machine ends a sleep, as in http-pool; every sleep aims this early
)

SEED, SLOW, STAMPS = "GOODPUT_SEED", "GOODPUT_SLOW", "GOODPUT_STAMPS"  # of the environment

Do = Callable[[str], Awaitable[Any]]
"""What does a job and returns what shall be answered."""


class RefusedError(Exception):
    """The service can't take a job now: 503."""


def work_s(seed: str, job: str) -> float:
    """Draw how long a job's work takes, in seconds, from a log-normal law."""
    variance = math.log(1 + SCV)
    mu = math.log(MEAN_S) - variance / 2
    return random.Random(f"{seed}/{job}").lognormvariate(mu, math.sqrt(variance))


def work(job: str) -> dict[str, Any]:
    """Do a job: sleep between two stamps; ``SLOW`` stretches it, as a slow dependency does."""
    drawn_s = work_s(os.environ[SEED], job) * float(os.environ.get(SLOW, "1"))
    stamp("started", job)
    time.sleep(max(0.0, drawn_s - WAKE_UP_S))
    stamp("ended", job)
    return {"job": job, "worked_us": round(drawn_s * 1e6)}


@functools.cache
def _stamps_of(process: int) -> int:
    """Open this process's file of stamps; a forked child gets another."""
    path = Path(os.environ[STAMPS]) / f"{process}.csv"
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def stamp(event: str, job: str = "") -> None:
    """Append an event to this process's file; one write, so that threads don't mix their lines."""
    os.write(_stamps_of(os.getpid()), f"{event},{job},{time.time_ns() // 1000}\n".encode())


def be_punctual() -> None:
    """End this thread's sleeps without the usual 50 us of slack, and keep collections short."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    gc.collect()
    gc.freeze()


class Door:
    """Counts the requests that are inside, so that a service can finish them before it leaves."""

    def __init__(self) -> None:
        self.inside = 0
        self.closing = False
        self.names = (f"s{os.getpid()}-{number}" for number in itertools.count())


class Jobs(RequestHandler):
    """``POST /jobs``: stamp, do, answer."""

    def initialize(self, door: Door, do: Do) -> None:
        """Keep what the application was made with."""
        self.door, self.do = door, do

    async def post(self) -> None:
        """Do a job; a client that names none gets one named by the service."""
        job = str(json.loads(self.request.body).get("job") or next(self.door.names))
        stamp("arrived", job)
        self.door.inside += 1
        status, answer = await self.outcome(job)
        self.set_status(status)
        if self.door.closing:
            self.set_header("Connection", "close")
        self.finish(answer)
        stamp(str(status), job)
        self.door.inside -= 1

    async def outcome(self, job: str) -> tuple[int, Any]:
        """Do a job and say how it went, as HTTP does."""
        if self.door.closing:
            return 503, {"job": job, "error": "leaving"}
        try:
            async with asyncio.timeout(DEADLINE_S):
                return 200, await self.do(job)
        except RefusedError as refused:
            return 503, {"job": job, "error": str(refused)}
        except TimeoutError:
            return 504, {"job": job, "error": f"not done within {DEADLINE_S} s"}


class Stored(RequestHandler):
    """``GET /jobs/<id>``: look up."""

    def initialize(self, look_up: Do) -> None:
        """Keep what the application was made with."""
        self.look_up = look_up

    async def get(self, job: str) -> None:
        """Answer with a job that is done, or 404."""
        found = await self.look_up(job)
        self.set_status(200 if found else 404)
        self.finish(found or {"job": job, "error": "no such job is done"})


async def serve(do: Do, look_up: Do, port: int, more: list[Any] | None = None) -> None:
    """Serve both paths, and ``more``, until SIGTERM; then finish what is inside, and return."""
    door = Door()
    routes = [("/jobs", Jobs, {"door": door, "do": do}), *(more or [])]
    routes.append(("/jobs/([^/]+)", Stored, {"look_up": look_up}))
    await listen(routes, port, lambda: door.inside, functools.partial(setattr, door, "closing"))


async def listen(
    routes: list[Any],
    port: int,
    inside: Callable[[], int] = lambda: 0,
    close: Callable[[bool], None] = lambda _: None,
) -> None:
    """Listen until SIGTERM; then say so with ``close`` and wait until nobody is ``inside``."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = HTTPServer(Application(routes, log_function=lambda _: None))
    be_punctual()
    server.listen(port, HOST, backlog=1024)
    stamp("ready")
    await stop.wait()
    server.stop()
    close(True)
    while inside():  # noqa: ASYNC110  on the way out nobody is in a hurry
        await asyncio.sleep(0.01)
    await server.close_all_connections()
