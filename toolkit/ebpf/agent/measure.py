"""Measurements of the limiter: its decisions, its cost, its races, and what saying no costs where.

All are bounded in packets and time, and leave the session as they found it.
"""

from __future__ import annotations

import math
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import kernel, network
from .limiter import UPDATES, Attachment, Limiter
from .load import FIRST_SOURCE, Load, Process, last_cpu

if TYPE_CHECKING:
    from .session import Session

PACKET = network.udp_packet(FIRST_SOURCE)
PASSES = 2  # XDP_PASS


def decide(
    limiter: Limiter, arrivals_ns: list[int], limits: dict[str, Any], *, fresh: bool
) -> dict[str, Any]:
    """Return 1 or 0 for each arrival, in order; ``fresh``: with a full bucket."""
    program = limiter.function("judge_xdp")
    if fresh:
        limiter.forget()
        limiter.set(**limits)
    head, tail = PACKET[:42], bytes(10)
    said = [
        kernel.run_program(program.fd, head + struct.pack("=Q", at) + tail)[0] for at in arrivals_ns
    ]
    return {"passed": [int(word == PASSES) for word in said]}


def cost(limiter: Limiter, update: str, packets: int) -> dict[str, Any]:
    """Return nanoseconds a packet, of rounds that alternate: an empty program, and three cases."""
    empty, full = limiter.function("nothing_xdp"), limiter.function(UPDATES[update])
    rounds: dict[str, list[int]] = {"empty": [], "off": [], "passed": [], "dropped": []}
    for _ in range(5):
        rounds["empty"].append(kernel.run_program(empty.fd, PACKET, repeat=packets)[1])
        for case, limits in (
            ("off", {"rate_per_s": None}),
            ("passed", {"rate_per_s": 1e9, "burst": 1_000_000}),
            ("dropped", {"rate_per_s": 0.001, "burst": 1}),
        ):
            limiter.forget()
            limiter.set(**limits)
            rounds[case].append(kernel.run_program(full.fd, PACKET, repeat=packets)[1])
    return {"ns": rounds}


def race(limiter: Limiter, update: str, burst: int, each: int) -> dict[str, Any]:
    """Have every CPU offer ``each`` packets to one full bucket that hardly refills."""
    program = limiter.function(UPDATES[update])
    limiter.forget()
    limiter.set(rate_per_s=1.0, burst=burst)
    begin = time.monotonic() + 0.05

    def work(_numbers: memoryview) -> None:
        while time.monotonic() < begin:
            pass
        kernel.run_program(program.fd, PACKET, repeat=each)

    cpus = sorted(os.sched_getaffinity(0))
    for process in [Process(work, seconds=30, cpu=cpu) for cpu in cpus]:
        process.wait()
    counts = limiter.counts()
    elapsed_s = (counts["last_ns"] - counts["first_ns"]) / 1e9
    return counts | {
        "bound": burst + math.floor(elapsed_s),
        "cpus": len(cpus),
        "seconds": elapsed_s,
    }


# --- the cost ladder: the same packets, refused in different places ---

NFT = """
add table netdev lab
add set netdev lab sources {{ type ipv4_addr; size 4096; flags dynamic; timeout 60s; }}
add chain netdev lab in {{ type filter hook ingress device {interface} priority 0; }}
add rule netdev lab in {rule}
"""
NFT_RULES = {
    "nftables": "limit rate over 1000/second burst 10 packets drop",
    "nftables-per-source": "update @sources { ip saddr limit rate over 1000/second burst 10 packets } drop",
}
IPTABLES_RULE = (
    f"PREROUTING -i {network.SERVER} -m hashlimit --hashlimit-above 1000/sec --hashlimit-burst 10 "
    "--hashlimit-mode srcip --hashlimit-name lab -j DROP"
).split()
RUNGS = (
    *("xdp-drop", "xdp", "xdp-generic", "tc-drop", "tc", *NFT_RULES),
    *("iptables-hashlimit", "socket", "python"),
)


def rung(name: str, packets: int, session: Session) -> dict[str, Any]:
    """Send ``packets`` as fast as one CPU can to a refusal in one place; return the time of a packet."""
    net, flood = session.net, session.flood
    undo = refuse_at(name, session)
    server = _server(name)
    try:
        cpu = last_cpu()
        sender = flood.start(Load(count=packets, seconds=30), net, cpu=cpu)
        sender.wait()
        time.sleep(0.05)
        begun, ended = sender.numbers[0], sender.numbers[1]
        answer = {"ns": (ended - begun) / packets, "sent": flood.sent()}
        if name == "python" and server is not None:
            server.wait()
            received, busy_ns, passed = server.numbers[0], server.numbers[1], server.numbers[2]
            answer |= {"received": received, "passed": passed}
            answer["ns_user"] = busy_ns / max(received, 1)
        return answer
    finally:
        if server is not None:
            server.stop()
        undo()


def refuse_at(name: str, session: Session) -> Callable[[], object]:
    """Put the refusal in place; return how to take it away."""
    if name in ("socket", "python"):
        return lambda: None
    if name in NFT_RULES:
        rules = NFT.format(interface=network.SERVER, rule=NFT_RULES[name])
        network.run("nft", "-f", "-", given=rules)
        return lambda: network.run("nft", "delete", "table", "netdev", "lab")
    if name == "iptables-hashlimit":
        network.run("iptables", "-t", "raw", "-A", *IPTABLES_RULE)
        return lambda: network.run("iptables", "-t", "raw", "-F")
    limiter = session.limiter
    limiter.forget()
    limiter.set(rate_per_s=1000.0, burst=10)
    hook = name.removesuffix("-drop")
    kind = "tc" if hook == "tc" else "xdp"
    program = limiter.function(f"drop_{kind}" if name.endswith("-drop") else f"limit_{kind}")
    return Attachment(program.fd, hook, session.net).close


def _receiver() -> socket.socket:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((network.SERVER_IP, network.PORT))
    return receiver


def _server(name: str) -> Process | None:
    """Return a process that receives: one that sleeps (a full socket), or one with a token bucket."""
    if name not in ("socket", "python"):
        return None
    receiver = _receiver()
    receiver.settimeout(0.5)

    def work(numbers: memoryview) -> None:
        if name == "socket":
            time.sleep(30)
        interval_ns, tolerance_ns, due_ns = 1_000_000, 9_000_000, 0
        idle = time.process_time_ns()
        while True:
            try:
                receiver.recv(64)
            except TimeoutError:
                if numbers[0]:
                    return
                continue
            now = time.monotonic_ns()
            if now >= due_ns - tolerance_ns:
                due_ns = max(now, due_ns) + interval_ns
                numbers[2] += 1
            numbers[0] += 1
            numbers[1] = time.process_time_ns() - idle

    server = Process(work, seconds=30, cpu=min(os.sched_getaffinity(0)))
    receiver.close()
    return server


# --- a client that behaves, and a flood ---

ASKS_PER_S, WORK_S = 200, 50e-6


def defend(
    hook: str, seconds: float, flood_per_s: float | None, session: Session
) -> dict[str, Any]:
    """Let a client ask 200 times a second while another address floods the server, or (``None``) alone."""
    net, flood = session.net, session.flood
    undo = refuse_at(hook, session) if hook != "none" else lambda: None
    server = Process(_answer, seconds=seconds + 2, cpu=min(os.sched_getaffinity(0)))
    try:
        time.sleep(0.05)
        attacker = None
        if flood_per_s is not None:
            load = Load(rate_per_s=flood_per_s, seconds=seconds + 0.3)
            attacker = flood.start(load, net, cpu=last_cpu())
        times_s, asked = _ask(net, seconds)
        if attacker:
            attacker.stop()
    finally:
        server.stop()
        undo()
    answer: dict[str, Any] = {"asked": asked, "answered": len(times_s), "seconds": seconds}
    answer |= {"p50_s": _quantile(times_s, 0.5), "p99_s": _quantile(times_s, 0.99)}
    return answer | {"flooded": flood.sent() if attacker else 0}


def _quantile(values: list[float], share: float) -> float | None:
    return sorted(values)[int(share * (len(values) - 1))] if values else None


def _answer(numbers: memoryview) -> None:
    receiver = _receiver()
    while True:
        question, sender = receiver.recvfrom(64)
        until = time.monotonic() + WORK_S
        while time.monotonic() < until:
            pass
        receiver.sendto(question, sender) if sender[0] == network.CLIENT_IP else None
        numbers[0] += 1


def _ask(net: network.Network, seconds: float) -> tuple[list[float], int]:
    """Ask at a fixed pace whatever comes back (an open load); return round trips and how many were asked."""
    with net.at_client():
        asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asker.bind((network.CLIENT_IP, 0))
    asker.setblocking(False)
    total, sent, times_s = int(seconds * ASKS_PER_S), 0, []
    begun = time.monotonic()
    while (now := time.monotonic() - begun) < seconds + 0.2:
        if sent < total and now >= sent / ASKS_PER_S:
            asker.sendto(
                struct.pack("=Id", sent, begun + sent / ASKS_PER_S),
                (network.SERVER_IP, network.PORT),
            )
            sent += 1
        try:
            _, due = struct.unpack("=Id", asker.recv(64))
            times_s.append(time.monotonic() - due)
        except (BlockingIOError, ConnectionRefusedError):
            time.sleep(0.0002)
    asker.close()
    return times_s, sent
