"""What saying no costs in a kernel: `python tests/benchmarks/kernel_limiter.py [rounds] [backend ...]`.

Ratios of rounds that take turns, with their range: an exact limiter against a racy and a locked one
(the program alone, less an empty one), the limiter at XDP against `tc` and nftables (sender
included), and how many frames a second the generator makes.  Backends: host, microvm.
"""

# ruff: noqa: T201, printing is what it is for

import statistics
import sys
from collections.abc import Sequence

from toolkit import ebpf

ROUNDS, BACKENDS = 7, ("host", "microvm")
COST_GOALS = {"racy": 1.1, "locked": 0.8}
RUNG_GOALS = {"tc": 1 / 2, "nftables-per-source": 1 / 3}
FRAMES_GOAL = {"host": 3e6, "microvm": 0.8e6}
PACKETS = {"host": 500_000, "microvm": 100_000}


def ratio(name: str, ours: Sequence[float], theirs: Sequence[float], goal: float) -> None:
    """Print the median ratio of rounds with its range and the goal."""
    ratios = sorted(mine / other for mine, other in zip(ours, theirs, strict=True))
    median = statistics.median(ratios)
    verdict = "met" if median <= goal else "missed"
    print(
        f"{name}: {median:.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f} in {len(ratios)} rounds); "
        f"goal {goal:.2f} {verdict}"
    )


def program_alone(lab: ebpf.Lab, rounds: int) -> None:
    """Compare the three forms of the limiter, a packet that passes."""
    table = lab.cost(packets=PACKETS[lab.backend], rounds=rounds)
    passed = table[table["case"] == "passed"].groupby("update")["ns"]
    # five values a round; their median is the round's
    of = {name: [sorted(ns[k : k + 5])[2] for k in range(0, len(ns), 5)] for name, ns in passed}
    for name, values in of.items():
        print(f"| {name} | {statistics.median(values):.0f} ns |")
    for other, goal in COST_GOALS.items():
        ratio(f"swap / {other}", of["swap"], of[other], goal)


def end_to_end(lab: ebpf.Lab, rounds: int) -> None:
    """Compare the places where a flood can be refused, the sender's work included."""
    table = lab.ladder(packets=PACKETS[lab.backend], rounds=rounds)
    of = table.groupby("rung", sort=False)["ns"].apply(list)
    for name, values in of.items():
        print(
            f"| {name} | {statistics.median(values):.0f} ns, {min(values):.0f} to {max(values):.0f} |"
        )
    for other, goal in RUNG_GOALS.items():
        if other in of:
            ratio(f"xdp / {other}", of["xdp"], of[other], goal)
    frames_per_s = 1e9 / statistics.median(of["xdp-drop"])
    goal = FRAMES_GOAL[lab.backend]
    verdict = "met" if frames_per_s >= goal else "missed"
    print(f"frames: {frames_per_s / 1e6:.2f} million/s; goal {goal / 1e6:g} million/s {verdict}")


def main(rounds: int, backends: Sequence[str]) -> None:
    """Measure on each backend that there is."""
    for backend in backends:
        try:
            with ebpf.Lab(backend) as lab:
                print(
                    f"\n{lab.source}, medians of {rounds} rounds\n| program | ns a packet |\n| --- | ---: |"
                )
                program_alone(lab, rounds)
                end_to_end(lab, rounds)
        except ebpf.BackendUnavailable as error:
            print(f"\n{backend}: not to be had here: {error}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else ROUNDS, sys.argv[2:] or BACKENDS)
