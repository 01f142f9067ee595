"""What the later exercises measure: dropping against waiting, services side by side, and histograms."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import kernel, network
from .kernel import Refused
from .limiter import Attachment, in_ns
from .load import Load, Process, last_cpu, socket_flood

if TYPE_CHECKING:
    from .session import Session

SERVICES = Path("/sys/fs/cgroup/lab")
CGROUP_EGRESS = 1  # BPF_CGROUP_INET_EGRESS
LONGEST_WAIT_S = 1  # of a packet that is made to wait; one that had to wait longer is dropped
NOTED = 4096  # arrivals that note_xdp has room for
PROGRAMS: dict[str, Any] = {}


def program(file: str) -> Any:
    """Return a file of programs, compiled at its first use."""
    if file not in PROGRAMS:
        PROGRAMS[file] = kernel.compiled(file)
    return PROGRAMS[file]


def _set(programs: Any, rate_per_s: float, burst: int, *, together: bool = False) -> None:
    pace = programs["pace"]
    pace[ctypes.c_int(0)] = pace.Leaf(
        *in_ns(rate_per_s, burst), LONGEST_WAIT_S * 10**9, int(together)
    )
    for name in ("service_due_ns", "service_fate"):
        programs[name].clear()
    for name in ("pace_due_ns", "arrived"):
        programs[name][ctypes.c_int(0)] = ctypes.c_ulong(0)
    programs["pace_fate"][ctypes.c_int(0)] = programs["pace_fate"].Leaf(0, 0)


def pace(how: str, load: Load, rate_per_s: float, burst: int, session: Session) -> dict[str, Any]:
    """Send through a limit that drops (police) or makes wait (shape); return when packets arrived."""
    from bcc import BPF  # noqa: PLC0415, see kernel.py

    programs, net = program("exercises.c"), session.net
    _set(programs, rate_per_s, burst)
    noting = Attachment(programs.load_func("note_xdp", BPF.XDP).fd, "xdp", net)
    try:
        with _way_out(how, rate_per_s, burst, session):
            sender = socket_flood(load, net, cpu=last_cpu())
            sender.wait()
            time.sleep(LONGEST_WAIT_S + 0.1 if how == "shape" else 0.1)
    finally:
        noting.close()
    noted = min(NOTED, int(programs["arrived"][ctypes.c_int(0)].value))
    times = [int(programs["arrived_ns"][ctypes.c_int(k)].value) for k in range(noted)]
    return {"sent": sender.numbers[0], "arrived_ns": times}


@contextmanager
def _way_out(how: str, rate_per_s: float, burst: int, session: Session) -> Iterator[None]:
    """Have the limiter or the pacer at the client's way out."""
    from bcc import BPF  # noqa: PLC0415, see kernel.py

    net, limiter = session.net, session.limiter
    if how == "police":
        limiter.forget()
        limiter.set(rate_per_s=rate_per_s, burst=burst)
        fd = limiter.function("limit_tc").fd
    else:
        fd = program("exercises.c").load_func("shape_tc", BPF.SCHED_CLS).fd
        with net.at_client():
            network.run("tc", "qdisc", "replace", "dev", network.CLIENT, "root", "fq")
    leaving = Attachment(fd, "tc-egress", net)
    try:
        yield
    finally:
        leaving.close()
        with net.at_client(), suppress(OSError):
            network.run("tc", "qdisc", "del", "dev", network.CLIENT, "root")


def share(
    rates_per_s: list[float], rate_per_s: float, burst: int, seconds: float, *, together: bool
) -> dict[str, Any]:
    """Let services send, each in a control group of its own, past a limiter on their way out.

    A group has one bucket, or all share one (``together``).  Only in a micro-VM: a control group would
    outlive this process.
    """
    programs = program("exercises.c")
    _set(programs, rate_per_s, burst, together=together)
    fates, rows = programs["service_fate"], []
    with _control_groups(programs, len(rates_per_s)) as groups:
        senders = [
            _service(group, rate, seconds) for group, rate in zip(groups, rates_per_s, strict=True)
        ]
        for group, sender in zip(groups, senders, strict=True):
            sender.wait()
            fate = fates[ctypes.c_ulong(group.stat().st_ino)]  # a group's number is its folder's
            counts = {"passed": int(fate.passed), "dropped": int(fate.dropped)}
            rows.append({"sent": sender.numbers[0]} | counts)
    return {"services": rows}


@contextmanager
def _control_groups(programs: Any, count: int) -> Iterator[list[Path]]:
    """Make some, with the limiter on the way out of all of them."""
    from bcc import BPF  # noqa: PLC0415, see kernel.py

    groups = [SERVICES / f"service-{k}" for k in range(count)]
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)
    folder = os.open(SERVICES, os.O_RDONLY)
    link = kernel.link(programs.load_func("limit_cgroup", BPF.CGROUP_SKB).fd, folder, CGROUP_EGRESS)
    try:
        yield groups
    finally:
        os.close(link)
        os.close(folder)
        for group in groups:
            with suppress(OSError):
                group.rmdir()


def _service(group: Path, rate_per_s: float, seconds: float) -> Process:
    def work(numbers: memoryview) -> None:
        (group / "cgroup.procs").write_text(str(os.getpid()))
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setblocking(False)
        begun = time.monotonic()
        while (now := time.monotonic() - begun) < seconds:
            while numbers[0] < now * rate_per_s:
                with suppress(OSError):  # a dropped packet is an error to its sender here
                    sender.sendto(bytes(18), ("127.0.0.1", network.PORT))
                numbers[0] += 1
            time.sleep(0.001)

    return Process(work, seconds=seconds + 1)


def observe(
    seconds: float, connections: int, flood: Load | None, session: Session
) -> dict[str, Any]:
    """Collect the histograms while so many TCP connections of 10 ms each come and go."""
    if not Path("/sys/kernel/tracing/events/sched").exists():
        raise Refused("this kernel shows no tracepoints here; use the micro-VM")
    programs = program("observe.c")
    for name in ("run_queue_us", "tcp_life_us"):
        programs[name].clear()
    sender = session.flood.start(flood, session.net, cpu=last_cpu()) if flood else None
    _connect(connections, seconds)
    if sender:
        sender.stop()
    counted = {name: dict.fromkeys(range(32), 0) for name in ("run_queue_us", "tcp_life_us")}
    for name, bins in counted.items():
        bins.update({int(power.value): int(count.value) for power, count in programs[name].items()})
    return {name: [bins[power] for power in range(32)] for name, bins in counted.items()}


def _connect(connections: int, seconds: float) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        begun = time.monotonic()
        for k in range(connections):
            time.sleep(max(0.0, begun + k * seconds / connections - time.monotonic()))
            with socket.create_connection(server.getsockname()), server.accept()[0]:
                time.sleep(0.01)
        time.sleep(max(0.0, begun + seconds - time.monotonic()))
