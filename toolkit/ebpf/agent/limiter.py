"""The limiter, compiled, attached, told its limits, and read."""

from __future__ import annotations

import ctypes
import math
import os
import socket
import struct
from pathlib import Path
from typing import Any

from . import kernel, network

UPDATES = {"swap": "limit_xdp", "racy": "racy_xdp", "locked": "locked_xdp"}
HOOKS = ("xdp", "xdp-generic", "tc", "tc-egress")


class Limiter:
    """``limiter.c`` and, compiled with it, ``flood.c``; programs are loaded when they are asked for."""

    def __init__(self) -> None:
        from bcc import BPF  # noqa: PLC0415, see kernel.py

        self.program = kernel.compiled("limiter.c", "flood.c")
        self._kinds = {"xdp": BPF.XDP, "tc": BPF.SCHED_CLS}
        self._slot, self._some_always_in = 0, False
        self._limits: tuple[int, ...] = (0,) * 5
        self._listening = False
        self._events: list[dict[str, Any]] = []

    def function(self, name: str) -> Any:
        """Return a program of the file, loaded: ``limit_xdp``, ``drop_tc``, ``flood_xdp``, ..."""
        return self.program.load_func(name, self._kinds[name.rsplit("_", 1)[1]])

    def set(
        self,
        *,
        rate_per_s: float | None,
        burst: float = 1,
        newcomers_per_s: float = 0.0,
        newcomers_burst: float = 1,
        report_gap_s: float = 0.0,
    ) -> None:
        """Change the limits, in one write, while packets fly; no rate is no limit.

        An interval is a whole number of nanoseconds, rounded up: too few may pass, never too many.
        """
        own, shared = in_ns(rate_per_s, burst), in_ns(newcomers_per_s or None, newcomers_burst)
        self._write(*own, *shared, round(report_gap_s * 1e9))

    def _write(self, *limits: int) -> None:
        """Fill the place that is not in use, and then switch."""
        slot, places = self._slot ^ 1, self.program["limits"]
        places[ctypes.c_int(slot)] = places.Leaf(*limits, int(self._some_always_in))
        self.program["current_limits"][ctypes.c_int(0)] = ctypes.c_uint(slot)
        self._slot, self._limits = slot, limits

    def always_let_in(self, length: int, address: bytes) -> None:
        """Let a prefix pass whatever it sends."""
        allowed = self.program["always_in"]
        words = (ctypes.c_uint * 4).from_buffer_copy(address)
        allowed[allowed.Key(length, words)] = ctypes.c_ulong(1)
        self._some_always_in = True
        self._write(*self._limits)

    def forget(self) -> None:
        """Empty all buckets' books and counts: every source is new, every bucket full."""
        for name in ("due_ns", "always_in"):
            self.program[name].clear()
        self._some_always_in = False
        self.program["newcomers_due_ns"][ctypes.c_int(0)] = ctypes.c_ulong(0)
        counts = self.program["counts"]
        counts[ctypes.c_int(0)] = (counts.Leaf * counts.total_cpu)()
        self.drops()

    def counts(self) -> dict[str, int]:
        """Add up the counts of all CPUs; first and last are those of all decisions."""
        rows = self.program["counts"][ctypes.c_int(0)]
        added = ("passed", "dropped", "allowed", "exempt", "newcomers", "raced")
        total = {name: sum(int(getattr(row, name)) for row in rows) for name in added}
        total["first_ns"] = min((int(row.first_ns) for row in rows if row.first_ns), default=0)
        total["last_ns"] = max((int(row.last_ns) for row in rows), default=0)
        return total

    def sources(self) -> int:
        """Return how many sources have a bucket."""
        return len(self.program["due_ns"])

    def drops(self) -> list[dict[str, Any]]:
        """Take the reported drops: a sample, never more than one a gap on a CPU."""
        if not self._listening:
            self.program["drops"].open_ring_buffer(self._note)
            self._listening = True
        self._events = []
        self.program.ring_buffer_consume()
        return self._events

    def _note(self, _context: Any, data: Any, _size: int) -> int:
        address, at_ns = struct.unpack("=16sQ", ctypes.string_at(data, 24))
        mapped = address[:12] == bytes(10) + b"\xff\xff"
        family, raw = (socket.AF_INET, address[12:]) if mapped else (socket.AF_INET6, address)
        self._events.append({"source": socket.inet_ntop(family, raw), "at_ns": at_ns})
        return 0


def in_ns(rate_per_s: float | None, burst: float) -> tuple[int, int]:
    """Return the time of one token and of ``burst`` - 1 of them, in whole nanoseconds; 0 for no limit."""
    if not rate_per_s:
        return 0, 0
    interval_ns = math.ceil(1e9 / rate_per_s - 1e-6)
    return interval_ns, int((burst - 1) * interval_ns)


class Attachment:
    """A program at a hook of the server's end (``tc-egress``: the client's), until it is closed."""

    def __init__(self, program_fd: int, hook: str, net: network.Network) -> None:
        self._net, self._hook, self._link = net, hook, -1
        if hook in kernel.MODES:
            self._link = kernel.attach_xdp(program_fd, net.server_index, hook)
        elif hook == "tc-egress":
            with net.at_client():
                self._attach_tc(program_fd, network.CLIENT, "egress")
        else:
            self._attach_tc(program_fd, network.SERVER, "ingress")

    @staticmethod
    def _attach_tc(program_fd: int, interface: str, direction: str) -> None:
        from bcc import lib  # noqa: PLC0415, see kernel.py

        pin = private_bpffs() / f"{direction}-{program_fd}"
        if lib.bpf_obj_pin(program_fd, os.fsencode(pin)):
            raise OSError(ctypes.get_errno(), f"bpf_obj_pin {pin}")
        try:
            network.run("tc", "qdisc", "add", "dev", interface, "clsact")
            filters = ("filter", "add", "dev", interface, direction, "bpf", "direct-action")
            network.run("tc", *filters, "object-pinned", str(pin))
        finally:
            pin.unlink()

    def close(self) -> None:
        """Take the program away."""
        if self._hook in kernel.MODES:
            os.close(self._link)
        elif self._hook == "tc-egress":
            with self._net.at_client():
                network.run("tc", "qdisc", "del", "dev", network.CLIENT, "clsact")
        else:
            network.run("tc", "qdisc", "del", "dev", network.SERVER, "clsact")


_private: list[Path] = []


def private_bpffs() -> Path:
    """Return a folder for pins that only this process sees: ``tc`` takes a program by such a name.

    It is mounted in a mount namespace of its own, so it is gone with the process.
    """
    folder = Path("/sys/fs/bpf")
    if not _private:
        network.unshare(network.NEW_MOUNTS)
        network.mount("none", "/", None, network.PRIVATE_FOR_ALL_BELOW)
        network.mount("none", str(folder), "bpf", 0)
        _private.append(folder)
    return folder
