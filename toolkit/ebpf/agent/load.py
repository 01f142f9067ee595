"""Load on the limiter: processes at the client's end that send, and end by themselves.

A frame generator is the kernel's own loop around ``flood.c``; a socket sends as a program would.  Each
is a process of its own, so that it can be timed, pinned to a CPU and ended at any moment.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import kernel, network

CEASELESS = 2**31 - 1
FIRST_SOURCE = "198.18.0.1"  # of the range that is kept for benchmarks
PATIENCE_S = 10.0  # for a process to begin, on a busy machine
GRACE_S = 0.25  # what a process may take after the end of its load


def die_with_parent() -> None:
    """Have the kernel end this process when the one that made it ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Process:
    """A piece of work in a process of its own, pinned to a CPU; four numbers can come back from it."""

    def __init__(
        self, work: Callable[[memoryview], None], *, seconds: float, cpu: int | None = None
    ) -> None:
        self._shared = mmap.mmap(-1, 32)
        self.numbers = memoryview(self._shared).cast("q")
        self.pid = os.fork()
        if self.pid:
            return
        try:
            die_with_parent()
            for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, seconds)
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})
            work(self.numbers)
        except OSError as error:
            os.write(2, f"{error}\n".encode())
        finally:
            os._exit(0)

    def running(self) -> bool:
        """Say whether it still works."""
        if self.pid and os.waitpid(self.pid, os.WNOHANG)[0]:
            self.pid = 0
        return bool(self.pid)

    def wait(self) -> None:
        """Wait for its end."""
        if self.pid:
            os.waitpid(self.pid, 0)
            self.pid = 0

    def stop(self) -> None:
        """End it."""
        if self.running():
            os.kill(self.pid, signal.SIGKILL)
            self.wait()


class Load:
    """What to send: at a rate or (0) as fast as can be, for so long, no more than so many.

    No dataclass: making one costs the guest a fifth of a second.
    """

    def __init__(
        self,
        *,
        rate_per_s: float = 0.0,
        seconds: float = 1.0,
        count: int = CEASELESS,
        sources: int = 1,
        law: str = "constant",
        ip6: bool = False,
    ) -> None:
        self.rate_per_s, self.seconds, self.count = rate_per_s, seconds, count
        self.sources, self.law, self.ip6 = sources, law, ip6

    @property
    def packet(self) -> bytes:
        """The frame that is sent."""
        return network.udp_packet(network.CLIENT_IP6 if self.ip6 else FIRST_SOURCE, ip6=self.ip6)


class FrameFlood:
    """Frames made by the kernel: millions a second, and still due at their times."""

    def __init__(self, program: Any, program_fd: int) -> None:
        self._program, self._fd = program, program_fd
        self._has_quantiles = False

    def _fill_quantiles(self) -> None:
        quantiles, self._has_quantiles = self._program["exponential"], True
        size = len(quantiles)
        for k in range(size):
            quantiles[ctypes.c_int(k)] = ctypes.c_uint(round(-1024 * math.log1p(-(k + 0.5) / size)))

    def start(self, load: Load, net: network.Network, *, cpu: int | None = None) -> Process:
        """Begin to send from the client's end."""
        if load.law == "poisson" and not self._has_quantiles:
            self._fill_quantiles()
        progress = self._program["progress"]
        progress[ctypes.c_int(0)] = progress.Leaf(0, 0)
        packet = load.packet
        turns = load.count if not load.rate_per_s else CEASELESS

        def work(numbers: memoryview) -> None:
            network.enter(net.client_fd)
            self._plan(load)
            signal.setitimer(signal.ITIMER_REAL, load.seconds + GRACE_S)
            numbers[0] = time.monotonic_ns()
            kernel.run_program(self._fd, packet, repeat=turns, live_on=net.client_index)
            numbers[1] = time.monotonic_ns()

        return Process(work, seconds=load.seconds + PATIENCE_S, cpu=cpu)

    def _plan(self, load: Load) -> None:
        """Set the times; called by the process that sends, when it is really there."""
        plan, start_ns = self._program["plan"], time.monotonic_ns()
        entry = plan.Leaf(
            round(1e9 / load.rate_per_s) if load.rate_per_s else 0, load.law == "poisson"
        )
        if load.rate_per_s or load.count == CEASELESS:  # otherwise it looks at no clock
            entry.start_ns, entry.end_ns = start_ns, start_ns + round(load.seconds * 1e9)
        entry.sources, entry.count = load.sources, load.count
        plan[ctypes.c_int(0)] = entry

    def sent(self) -> int:
        """Return how many packets went out since the start."""
        return int(self._program["progress"][ctypes.c_int(0)].sent)


def socket_flood(load: Load, net: network.Network, *, cpu: int | None = None) -> Process:
    """Send through a socket at the client's end, in time; the first number is how many were sent.

    These packets take a program's way out, past ``tc`` at the client's egress.
    """

    def work(numbers: memoryview) -> None:
        network.enter(net.client_fd)
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sender.bind((network.CLIENT, 0))
        packet = load.packet
        signal.setitimer(signal.ITIMER_REAL, load.seconds + GRACE_S)
        begun, gap_s = time.monotonic(), 1 / load.rate_per_s if load.rate_per_s else 0.0
        while numbers[0] < load.count and (now := time.monotonic() - begun) < load.seconds:
            due = load.count if not gap_s else min(load.count, int(now / gap_s) + 1)
            while numbers[0] < due:
                with suppress(OSError):  # a packet that tc drops is an error to its sender
                    sender.send(packet)
                numbers[0] += 1
                if not gap_s and time.monotonic() - begun >= load.seconds:
                    return
            time.sleep(min(gap_s, 0.0005))

    return Process(work, seconds=load.seconds + PATIENCE_S, cpu=cpu)


def last_cpu() -> int:
    """Return the CPU for load: the last, since the first has the most else to do."""
    return max(os.sched_getaffinity(0))
