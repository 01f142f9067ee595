"""What a micro-VM costs: `python tests/benchmarks/microvm_start.py [starts]`.

Each start is a guest of its own: the time from `start()` to the agent's hello and to the limiter at
work, the memory that QEMU then holds, and the round trip of a small question.  Without an image or QEMU it says what is missing.
"""

# ruff: noqa: T201, printing is what it is for

import os
import statistics
import sys
import time
from collections.abc import Sequence

from toolkit.ebpf import microvm
from toolkit.ebpf.channel import BackendUnavailable, Channel

STARTS, PINGS = 30, 200
UNITS = {
    "hello_s": ("s to the hello", 3.5),
    "attached_s": ("s to the first attached program", 12),
    "rss_mb": ("MB with the limiter at work", 450),
    "trip_ms": ("ms a round trip", 1),
}
"""For each figure what it is, and the most that its median may be on an idle machine."""


def measure() -> dict[str, float]:
    """Start a guest, ask it, end it; return the figures."""
    begun_s = time.perf_counter()
    with microvm.start() as guest:
        channel = Channel(guest.socket)
        hello_s = time.perf_counter() - begun_s
        channel.ask("ping")  # the session that answers is made with the first question
        asked_s = time.perf_counter()
        trips_s = []
        for _ in range(PINGS):
            since_s = time.perf_counter()
            channel.ask("ping")
            trips_s.append(time.perf_counter() - since_s)
        taken_s = time.perf_counter() - asked_s
        channel.ask("open", hook="xdp", deadline_s=120)
        attached_s = time.perf_counter() - begun_s - taken_s  # without the small questions between
        trip_ms, rss_mb = 1e3 * statistics.median(trips_s), guest.rss_mb()
        return {
            "hello_s": hello_s,
            "attached_s": attached_s,
            "rss_mb": rss_mb,
            "trip_ms": trip_ms,
        }


def show(results: Sequence[dict[str, float]]) -> None:
    """Print a table: a row a figure."""
    print("| figure | median | least | most | goal for the median |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, (unit, goal) in UNITS.items():
        values = [result[name] for result in results]
        median = statistics.median(values)
        verdict = "met" if median <= goal else "missed"
        print(
            f"| {unit} | {median:.3g} | {min(values):.3g} | {max(values):.3g} | {goal:g} {verdict} |"
        )


def main(starts: int) -> int:
    """Start so many; return 1 if one of them failed."""
    if missing := microvm.why_not():
        print("no micro-VM here:", *(f"{what} ({remedy})" for what, remedy in missing), sep="\n  ")
        return 0
    results, failures = [], 0
    for _ in range(starts):
        try:
            results.append(measure())
        except BackendUnavailable as error:
            failures += 1
            print(f"failed: {error}")
    load = os.getloadavg()[0]
    print(
        f"micro-VM, {len(results)} of {starts} starts; load of this machine at the end {load:.1f}"
    )
    if results:
        show(results)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else STARTS))
