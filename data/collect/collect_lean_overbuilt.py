"""Measure the data set ``data/lean-overbuilt``: three services that do the same work, under load.

    python data/collect/collect_lean_overbuilt.py --out DIR

A run starts a fresh service on one processor, a load generator on the other, kills or replaces parts
where the run says so, and writes what the load generator wrote, the truth (a row a request, from the
stamps of the service's parts), and a row in ``runs.csv``.  ``--only`` picks runs by name; a run whose
row is there is left out unless ``--overwrite`` is given.  All of them take about 65 minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import collect_http_pool
import lean_overbuilt_loads as loads
import lean_overbuilt_parts as parts
import pandas as pd
import servers

SEED = 2026
STEADY = {20: 50, 60: 60, 100: 45, 140: 180, 170: 60, 230: 40}  # arrivals a second: seconds
EDGE_PER_S = 170  # about what two of the services can do: measured three times
PACED = {100: 30}
RATE_PER_S, SECONDS = 60, 32  # of runs in which something happens
AT_S = 8.0  # when it happens, from the first arrival on
DRAIN_S = 20  # longest wait for what is unfinished after the load has ended
BOUND_S = 300  # longest run of a load generator
SUFFIX = {"jmeter": "jtl", "h2load": "h2load.tsv", "tsung": "tsung.dump"}
CRASHES = {
    "lean": ("service",),
    "celery": ("web", "redis", "worker/child", "worker/parent"),
    "overbuilt": ("gateway", "orchestrator", "broker", "worker-1", "redis"),
}
DEPLOYS = {
    "lean": ("service",),
    "celery": ("worker", "web"),
    "overbuilt": (*(f"worker-{number}" for number in range(1, 5)), "orchestrator", "gateway"),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run: which service, under which load, and what is done to it."""

    service: str
    scenario: str
    tool: str = "jmeter"
    rate_per_s: int = RATE_PER_S
    seconds: int = SECONDS
    slow: float = 1.0
    action: str = ""  # "kill", "replace"
    targets: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name the run and its files."""
        return f"{self.service}-{self.scenario}"

    @property
    def seed(self) -> int:
        """Seed of the work and, in JMeter, of the arrivals: the same for all services."""
        return SEED + self.rate_per_s


def all_runs() -> list[Run]:
    """List the runs, those that others are fitted from first."""
    runs = [
        Run(name, f"steady-{rate:03d}", rate_per_s=rate, seconds=seconds)
        for rate, seconds in STEADY.items()
        for name in parts.NAMES
    ]
    runs += [
        Run(name, f"{turn}-{EDGE_PER_S}", rate_per_s=EDGE_PER_S, seconds=STEADY[EDGE_PER_S])
        for turn in ("second", "third")
        for name in parts.NAMES
    ]
    burst_s = sum(seconds for seconds, _ in loads.BURST)
    for name in parts.NAMES:
        runs.append(Run(name, "burst", "jmeter", 0, burst_s))
        runs.append(Run(name, "slow", seconds=45, slow=2.0))
        runs += [Run(name, f"paced-{r:03d}", "h2load", r, seconds) for r, seconds in PACED.items()]
        for target in CRASHES[name]:
            scenario = f"crash-{target.replace('/', '-')}"
            runs.append(Run(name, scenario, action="kill", targets=(target,)))
        runs.append(Run(name, "deploy", action="replace", targets=DEPLOYS[name]))
    runs.append(Run("lean", "burst-tsung", "tsung", 0, burst_s))
    return runs


@dataclass(slots=True)
class Observed:
    """What was noted while a run went on; times in microseconds since 1970."""

    zero_us: int = 0
    action_us: int = 0
    restored_us: int = 0
    cpu_s: dict[str, float] | None = None
    memory_mb: dict[str, float] | None = None
    client_cpu_s: float = 0.0
    others_cpu_s: float = 0.0


def command(run: Run, home: Path, port: int, scratch: Path) -> tuple[tuple[str, ...], Path]:
    """Spell out the call of the load generator, and say where its results will be."""
    results = scratch / "results"
    if run.tool == "jmeter":
        phases = [(run.seconds, run.rate_per_s)] if run.rate_per_s else loads.BURST
        return loads.jmeter(home, port, scratch, phases=phases, seed=run.seed), results
    if run.tool == "h2load":
        call = loads.h2load(port, run.rate_per_s, run.seconds, results, scratch / "body")
        return call, results
    return loads.tsung(port, scratch), results


def warm_up(run: Run, port: int, scratch: Path, bound: tuple[str, ...]) -> None:
    """Send requests that nobody records; JMeter's plan has a warm-up of its own."""
    if run.tool != "jmeter":
        call = loads.h2load(port, RATE_PER_S, loads.WARM_UP_S, scratch / "unused", scratch / "body")
        subprocess.run((*bound, *call), check=True, stdout=subprocess.DEVNULL, timeout=60)
        time.sleep(1)


def first_arrival_us(folder: Path, since_us: int) -> int | None:
    """Find the first request of the test itself in the stamps: no warm-up has a name of digits."""
    for file in folder.glob("[0-9]*.csv"):
        for line in file.read_text().splitlines():
            event, job, at_us = line.split(",")
            if event == "arrived" and not job.startswith("w") and int(at_us) >= since_us:
                return int(at_us)
    return None


def watch(run: Run, service: parts.Service, seen: Observed, since_us: int) -> None:
    """Wait for the first arrival, do to the service what the run says, and take its figures."""
    servers.wait_until(lambda: first_arrival_us(service.folder, since_us), 60, "first arrival")
    before, others_s = cpu_by_part(service), parts.cpu_of_others_s(service)
    seen.zero_us = first_arrival_us(service.folder, since_us) or 0
    if run.action:
        sleep_until(seen.zero_us + int(AT_S * 1e6))
        seen.action_us = time.time_ns() // 1000
        for target in run.targets:
            getattr(service, run.action)(target)
        if run.action == "kill":
            time.sleep(parts.RESTART_S)
            whole = service.part(run.targets[0].partition("/")[0])
            servers.wait_until(lambda: whole.process.poll() is None, 30)
            servers.wait_until(lambda: whole.is_ready(service.folder), 60, "restart")
        seen.restored_us = time.time_ns() // 1000
    sleep_until(seen.zero_us + int(run.seconds * 1e6))
    seen.cpu_s = {name: value - before[name] for name, value in cpu_by_part(service).items()}
    seen.others_cpu_s = parts.cpu_of_others_s(service) - others_s
    seen.memory_mb = {part.name: parts.memory_mb(part.process.pid) for part in service.parts}


def sleep_until(at_us: int) -> None:
    """Sleep until a time."""
    time.sleep(max(0.0, (at_us - time.time_ns() // 1000) / 1e6))


def cpu_by_part(service: parts.Service) -> dict[str, float]:
    """Processor time of each part so far."""
    return {part.name: part.cpu_s() for part in service.parts}


def load(run: Run, home: Path, service: parts.Service, scratch: Path, given: Any) -> Observed:
    """Run the load generator and, beside it, what is to happen."""
    bound = loads.on_client_core(given.priority)
    warm_up(run, service.port, scratch, bound)
    call, _ = command(run, home, service.port, scratch)
    seen, since_us = Observed(), time.time_ns() // 1000
    watcher = threading.Thread(target=watch, args=(run, service, seen, since_us), daemon=True)
    before = os.times()
    watcher.start()
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    subprocess.run((*bound, *call), check=True, cwd=scratch, timeout=BOUND_S, **quiet)
    after = os.times()
    spent = after.children_user + after.children_system
    seen.client_cpu_s = spent - before.children_user - before.children_system
    watcher.join(BOUND_S)
    with contextlib.suppress(TimeoutError):
        servers.wait_until(lambda: not unfinished(service.folder), DRAIN_S)
    return seen


def stamps(folder: Path) -> Iterator[tuple[str, str, int]]:
    """Read every event, job and time of a run."""
    for file in sorted(folder.glob("[0-9]*.csv")):
        for line in file.read_text().splitlines():
            event, job, at_us = line.split(",")
            yield event, job, int(at_us)


def unfinished(folder: Path) -> set[str]:
    """Name the jobs that were queued and have not ended."""
    jobs: dict[str, set[str]] = defaultdict(set)
    for event, job, _ in stamps(folder):
        jobs[event].add(job)
    return jobs["queued"] - jobs["ended"]


def truth(folder: Path, zero_us: int) -> pd.DataFrame:
    """Make a row a request of the stamps, in order of arrival; times in whole microseconds.

    ``arrived_us`` counts from the first request, the others from this request's arrival.  Of a job
    that was done several times the first start and the first end count.
    """
    jobs: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for event, job, at_us in stamps(folder):
        jobs[job]["answered" if event.isdigit() else event].append(at_us)
        if event.isdigit():
            jobs[job]["status"].append(int(event))
    rows = [row(job, seen, zero_us) for job, seen in jobs.items() if seen["arrived"]]
    table = pd.DataFrame([row for row in rows if row["arrived_us"] >= 0 and row["job"][0] != "w"])
    return table.sort_values("arrived_us", kind="stable", ignore_index=True)


def row(job: str, seen: dict[str, list[int]], zero_us: int) -> dict[str, Any]:
    """Make one row of a job's events."""
    arrived = seen["arrived"][0]
    later = ("queued", "started", "ended", "answered")
    times = {f"{name}_us": min(seen[name]) - arrived if seen[name] else None for name in later}
    status = seen["status"][0] if seen["status"] else None
    counts = {"starts": len(seen["started"]), "ends": len(seen["ended"])}
    return {"job": job, "arrived_us": arrived - zero_us, **times, "status": status, **counts}


def row_of_run(run: Run, seen: Observed, table: pd.DataFrame) -> dict[str, Any]:
    """Make the run's row of ``runs.csv``."""
    assert seen.cpu_s is not None
    assert seen.memory_mb is not None
    window = (table["arrived_us"] + table["ended_us"]) <= run.seconds * 1e6
    cpu_s: dict[str, float] = defaultdict(float)
    for name, value in seen.cpu_s.items():
        kind = "broker" if name == "epmd" else name.rstrip("-1234")
        cpu_s[f"cpu_{kind}_s"] += value
    return {
        "run": run.name,
        "service": run.service,
        "scenario": run.scenario,
        "tool": run.tool,
        "file": f"{run.name}.{SUFFIX[run.tool]}.gz",
        "truth": f"{run.name}.truth.csv.gz",
        "rate_per_s": run.rate_per_s or None,
        "seconds": run.seconds,
        "slow": run.slow,
        "seed": run.seed,
        "zero_unix_us": seen.zero_us,
        "arrived": len(table),
        "refused": int((table["status"] == 503).sum()),
        "done": int((table["ends"] > 0).sum()),
        "lost": int((table["queued_us"].notna() & (table["ends"] == 0)).sum()),
        "twice": int((table["ends"] > 1).sum()),
        "done_in_window": int(window.sum()),
        "action": run.action,
        "targets": " ".join(run.targets),
        "action_s": (seen.action_us - seen.zero_us) / 1e6 if run.action else None,
        "restored_s": (seen.restored_us - seen.zero_us) / 1e6 if run.action else None,
        "memory_mb": round(sum(seen.memory_mb.values()), 1),
        "others_cpu_s": round(seen.others_cpu_s, 2),
        "cpu_s": round(sum(seen.cpu_s.values()), 2),
        "cpu_client_s": round(seen.client_cpu_s, 2),
        **{name: round(value, 2) for name, value in sorted(cpu_s.items())},
    }


def measure(run: Run, home: Path, given: Any) -> None:
    """Do one run and write its files."""
    with tempfile.TemporaryDirectory() as place:
        folder, scratch = Path(place) / "service", Path(place) / "client"
        folder.mkdir()
        scratch.mkdir()
        awake = loads.processors_awake(given.priority, BOUND_S)
        serving = parts.running(
            run.service, folder, seed=str(run.seed), slow=run.slow, priority=given.priority
        )
        try:
            with awake, serving as service:
                seen = load(run, home, service, scratch, given)
        finally:
            if given.keep:
                subprocess.run(("cp", "-r", place, given.keep / run.name), check=False)
        _, results = command(run, home, 0, scratch)
        if run.tool == "tsung":
            results = loads.tsung_dump(scratch)
        table = truth(folder, seen.zero_us)
        made = row_of_run(run, seen, table)
        compress(results.read_bytes(), given.out / made["file"])
        integers = table.astype(dict.fromkeys(table.columns[1:], "Int64"))
        compress(integers.to_csv(index=False).encode(), given.out / made["truth"])
        keep(made, given.out / "runs.csv")
        print(pd.Series(made).drop(["file", "truth"]).to_string(), file=sys.stderr, flush=True)


def compress(data: bytes, target: Path) -> None:
    """Write bytes with gzip, the same bytes for the same data."""
    target.write_bytes(gzip.compress(data, mtime=1))


def keep(made: dict[str, Any], file: Path) -> None:
    """Put a run's row into ``runs.csv``, in the order of the runs."""
    order = {run.name: place for place, run in enumerate(all_runs())}
    old = pd.read_csv(file).to_dict("records") if file.exists() else []
    rows = [row for row in old if row["run"] != made["run"]] + [made]
    rows.sort(key=lambda row: order.get(str(row["run"]), len(order)))
    pd.DataFrame(rows).convert_dtypes().to_csv(file, index=False)


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure the data set lean-overbuilt.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "goodput-lab")
    parser.add_argument("--only", nargs="+", help="names of runs, such as lean-steady-060")
    parser.add_argument("--list", action="store_true", help="print the names of all runs")
    parser.add_argument("--overwrite", action="store_true", help="measure again what is there")
    parser.add_argument("--keep", type=Path, help="folder for logs of all parts, to look at")
    parser.add_argument(
        "--priority",
        action="store_true",
        help="run above other programs, and keep idle processors awake (root)",
    )
    return parser.parse_args()


def todo(given: argparse.Namespace) -> list[Run]:
    """Pick the runs that were asked for and are not there yet."""
    runs = [run for run in all_runs() if not given.only or run.name in given.only]
    file = given.out / "runs.csv"
    there = set(pd.read_csv(file)["run"]) if file.exists() and not given.overwrite else set()
    return [run for run in runs if run.name not in there]


def main() -> None:
    """Say what is missing, or measure."""
    given = options()
    given.out.mkdir(parents=True, exist_ok=True)
    runs = todo(given)
    if given.list:
        print("\n".join(run.name for run in runs))
        return
    needed = {program for run in runs for program in parts.NEEDS[run.service]}
    needed |= set(loads.programs([run.tool for run in runs]))
    if reason := servers.missing(*sorted(needed)):
        sys.exit(reason)
    home = collect_http_pool.prepare_jmeter(given.cache.resolve())
    for run in runs:
        measure(run, home, given)


if __name__ == "__main__":
    main()
