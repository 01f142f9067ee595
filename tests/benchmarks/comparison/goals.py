"""Figures with their spread, set beside what they must reach; and the files they are kept in."""

# ruff: noqa: T201, printing is what it is for

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"
PACKAGES = ("goodput-lab", "numpy", "numba", "simpy", "ciw", "salabim", "asimpy", "cimba")


@dataclass(frozen=True)
class Goal:
    """A figure's rounds, the value that it must reach and the one that it should."""

    what: str
    unit: str
    values: Sequence[float]
    least: float
    aim: float
    more_is_better: bool = True

    def verdict(self) -> str:
        """Return what became of it."""
        middle, turn = statistics.median(self.values), 1 if self.more_is_better else -1
        if turn * middle >= turn * self.aim:
            return "met, and the aim"
        return "met" if turn * middle >= turn * self.least else "missed"


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the least and the most."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def show_goals(goals: Sequence[Goal]) -> None:
    """Print a table: a row a figure."""
    print("\n| figure | median | least | most | goal | aim | |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for goal in goals:
        found = " | ".join(f"{value:.3g}" for value in spread(goal.values).values())
        print(
            f"| {goal.what}, {goal.unit} | {found} | {goal.least:.3g} | {goal.aim:.3g} | {goal.verdict()} |"
        )


def save(
    out: Path, name: str, results: Mapping[str, object], goals: Sequence[Goal] = ()
) -> dict[str, object]:
    """Write ``results`` with what they were measured on, and return all of it."""
    found: dict[str, object] = {"machine": machine(), **results}
    if goals:
        found["goals"] = [
            {**asdict(goal), "values": [*goal.values], "verdict": goal.verdict()} for goal in goals
        ]
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    print(f"\nwritten: {name}.json in {out.name}/")
    return found


def machine() -> dict[str, object]:
    """Return what the figures depend on."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="minutes"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_at_the_end": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _processor() -> str:
    """Return the processor's name, as Linux has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
