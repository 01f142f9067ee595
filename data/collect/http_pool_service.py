"""A small HTTP service that behaves like a textbook queue, so that a load test has a known truth.

One asyncio thread reads requests and does nothing else of weight.  Every request joins one FIFO
queue; four worker threads serve it.  The work is a timed sleep: it stands in for a call to a
database or to another service, takes no processor, and therefore lasts what it should last even
on a small machine::

    connection -> front end -> SimpleQueue -> worker 1..4: work, then write the reply
                  arrived_s                   started_s     ended_s   replied_s

Durations come from a log-normal law.  Each path has its own stream of draws, so the k-th request
to ``/work`` always gets the same duration, whatever the warm-up did before.  On SIGTERM or SIGINT
the service writes what truly happened, a row a request, to ``--log`` and leaves.

Left out on purpose: request bodies, pipelining, time-outs, TLS.  Loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import ctypes
import gc
import math
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from queue import SimpleQueue

WORKERS = 4
MEAN_S = 0.020
SCV = 0.5  # squared coefficient of variation: variance / mean^2
PATHS = ("/work", "/warm-up")
BODY = b"done\n"
PR_SET_TIMERSLACK = 29  # linux/prctl.h
WAKE_UP_S = 0.000_08  # how late an idle machine ends a sleep, measured; every sleep aims this early


@dataclass(slots=True)
class Request:
    """What happened to one request; times in seconds since the service started."""

    path: str
    arrived_s: float
    intended_s: float
    started_s: float = math.nan
    ended_s: float = math.nan
    replied_s: float = math.nan
    worker: int = -1


@dataclass(slots=True)
class Job:
    """A request and the connection that waits for its answer."""

    request: Request
    connection: FrontEnd
    keep_alive: bool


@dataclass(slots=True)
class Pool:
    """The FIFO queue, the workers behind it, and the record of every request that came."""

    loop: asyncio.AbstractEventLoop
    seed: int
    queue: SimpleQueue[Job | None] = field(default_factory=SimpleQueue)
    requests: list[Request] = field(default_factory=list)
    zero_s: float = field(default_factory=time.perf_counter)
    draws: dict[str, Iterator[float]] = field(init=False)

    def __post_init__(self) -> None:
        self.draws = {path: durations(f"{self.seed}{path}") for path in PATHS}
        for number in range(WORKERS):
            threading.Thread(target=self.work, args=(number,), daemon=True).start()

    def now(self) -> float:
        """Seconds since the service started."""
        return time.perf_counter() - self.zero_s

    def admit(self, path: str, connection: FrontEnd, *, keep_alive: bool) -> None:
        """Stamp a request, draw its duration, and queue it."""
        request = Request(path, self.now(), next(self.draws[path]))
        self.requests.append(request)
        self.queue.put(Job(request, connection, keep_alive))

    def work(self, number: int) -> None:
        """Serve the queue for ever: what one worker does."""
        wake_up_on_time()
        while job := self.queue.get():
            request = job.request
            request.worker = number
            request.started_s = self.now()
            time.sleep(max(0.0, request.intended_s - WAKE_UP_S))
            request.ended_s = self.now()
            job.connection.send(b"200 OK", keep_alive=job.keep_alive)
            request.replied_s = self.now()


class FrontEnd(asyncio.Protocol):
    """One connection: reads a request head, hands it over, writes the answer when it comes."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a second handle on the socket, for the worker who will write the reply."""
        self.transport = transport
        self.socket = transport.get_extra_info("socket").dup()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Let the second handle go too; a worker who still writes gets an error, not a stranger."""
        self.socket.close()

    def data_received(self, data: bytes) -> None:
        """Collect bytes until a request head is complete, then admit it."""
        self.received += data
        if b"\r\n\r\n" not in self.received:
            return
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode("ascii")
        if path in PATHS:
            self.pool.admit(path, self, keep_alive=b"connection: close" not in head.lower())
        else:
            self.send(b"404 Not Found", keep_alive=False)

    def send(self, status: bytes, *, keep_alive: bool) -> None:
        """Write one response, in any thread; close after it unless the client wants to stay."""
        connection = b"keep-alive" if keep_alive else b"close"
        with contextlib.suppress(OSError):  # the client has gone
            self.socket.send(
                b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
                b"Connection: %b\r\n\r\n%b" % (status, len(BODY), connection, BODY)
            )
        if not keep_alive:
            self.pool.loop.call_soon_threadsafe(self.transport.close)


def durations(seed: str) -> Iterator[float]:
    """Draw log-normal durations in seconds, with mean ``MEAN_S`` and ``SCV``, for ever."""
    variance = math.log(1 + SCV)
    mu = math.log(MEAN_S) - variance / 2
    chance = random.Random(seed)
    while True:
        yield chance.lognormvariate(mu, math.sqrt(variance))


def wake_up_on_time() -> None:
    """Ask Linux to end this thread's sleeps without the usual 50 microseconds of slack."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)


def be_steady() -> None:
    """Avoid the two pauses Python itself would add: collections, and 5 ms turns of the GIL."""
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(0.0002)


def write_log(requests: list[Request], path: Path) -> None:
    """Write every request, in order of arrival, as CSV with times to the microsecond."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(column.name for column in fields(Request))
        for request in requests:
            rows.writerow(
                f"{value:.6f}" if isinstance(value, float) else value for value in astuple(request)
            )


async def serve(port: int, seed: int, log: Path) -> None:
    """Serve until told to stop; print the port that was taken, so that port 0 is of use."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    pool = Pool(loop, seed)
    server = await loop.create_server(lambda: FrontEnd(pool), "127.0.0.1", port, backlog=1024)
    print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    be_steady()
    await stop.wait()
    server.close()
    write_log(pool.requests, log)


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description="An HTTP service with a known pool of workers.")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--seed", type=int, default=2026, help="seed of the durations")
    parser.add_argument("--log", type=Path, required=True, help="where the truth goes on exit")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.seed, options.log))


if __name__ == "__main__":
    main()
