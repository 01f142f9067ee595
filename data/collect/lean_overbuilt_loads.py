"""The load generators of ``lean-overbuilt``: how JMeter, h2load and tsung are called.

Each function returns a command; all of them send ``POST /jobs`` and nothing else.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import collect_http_pool
import lean_overbuilt_parts as parts
import servers

HERE = Path(__file__).resolve().parent
WARM_UP_S, PAUSE_S = 7, 9  # both from the start of the schedules
BURST = ((20, 60), (8, 300), (32, 60))

Phases = Sequence[tuple[int, int]]
"""Seconds, and arrivals a second meanwhile."""

TSUNG_SEED = 2026

TSUNG = """<?xml version="1.0"?>
<!DOCTYPE tsung SYSTEM "/usr/share/tsung/tsung-1.0.dtd">
<tsung loglevel="warning" dumptraffic="protocol" version="1.0">
  <clients><client host="localhost" use_controller_vm="true" maxusers="4000"/></clients>
  <servers><server host="127.0.0.1" port="{port}" type="tcp"/></servers>
  <load>{phases}</load>
  <options><option name="seed" value="{seed}"/></options>
  <sessions><session name="job" probability="100" type="ts_http">
    <request><http url="/jobs" method="POST" version="1.1"
      content_type="application/json" contents="{{}}"/></request>
  </session></sessions>
</tsung>
"""


def on_client_core(priority: bool) -> tuple[str, ...]:
    """Bind a load generator to the processor that the service doesn't have."""
    nice = ("nice", "-n", "-10") if priority else ()
    return ("taskset", "-c", parts.CLIENT_CORE, *nice)


def jmeter(home: Path, port: int, scratch: Path, *, phases: Phases, seed: int) -> tuple[str, ...]:
    """Send open Poisson arrivals after an unrecorded warm-up, which goes at 60/s at most."""
    schedule = " ".join(
        f"rate({rate}/sec) random_arrivals({seconds} sec) rate({rate}/sec)"
        for seconds, rate in phases
    )
    properties = {
        "port": port,
        "warmup": f"rate({min(phases[0][1], 60)}/sec) random_arrivals({WARM_UP_S} sec)",
        "schedule": f"pause({PAUSE_S} sec) {schedule}",
        "seed": seed,
        "results": scratch / "results",
        "jmeterengine.force.system.exit": "true",
        "jmeterengine.nongui.port": 0,
    }
    java = ("java", *collect_http_pool.JVM, collect_http_pool.CONNECTIONS)
    # Java would send a POST again by itself when a kept connection turns out to be closed.
    more = ("-Dsun.net.http.retryPost=false", "-Djava.awt.headless=true")
    call = ("-cp", home / "bin/ApacheJMeter.jar", "org.apache.jmeter.NewDriver", "-d", home, "-n")
    files = ("-t", HERE / "lean_overbuilt_plan.jmx", "-j", scratch / "jmeter.log")
    own = f"-Djava.util.prefs.userRoot={scratch}"
    given = (f"-J{name}={value}" for name, value in properties.items())
    return tuple(str(part) for part in (*java, *more, own, *call, *files, *given))


def h2load(port: int, rate: int, seconds: int, results: Path, body: Path) -> tuple[str, ...]:
    """Send from ``rate`` clients, each once a second, whose starts are spread over a second."""
    body.write_text("{}", encoding="utf-8")
    pace = ("--h1", "-c", rate, "-r", 1, "--rate-period", f"{1000 // rate}ms", "--rps", 1)
    call = ("h2load", *pace, "-n", rate * seconds, "-d", body, "--log-file", results)
    where = f"http://{servers.HOST}:{port}/jobs"
    return tuple(str(part) for part in (*call, "-H", "content-type: application/json", where))


def tsung(port: int, scratch: Path) -> tuple[str, ...]:
    """Send the phases of ``BURST``; each arrival is a new user with a new connection."""
    phases = "".join(
        f'<arrivalphase phase="{number}" duration="{seconds}" unit="second">'
        f'<users arrivalrate="{rate}" unit="second"/></arrivalphase>'
        for number, (seconds, rate) in enumerate(BURST, start=1)
    )
    plan = scratch / "tsung.xml"
    plan.write_text(TSUNG.format(port=port, phases=phases, seed=TSUNG_SEED), encoding="utf-8")
    return ("tsung", "-f", str(plan), "-l", str(scratch / "tsung"), "-n", "start")


def tsung_dump(scratch: Path) -> Path:
    """Find what tsung wrote, a line a request."""
    return next((scratch / "tsung").glob("*/tsung.dump"))


def programs(tools: Sequence[str]) -> tuple[str, ...]:
    """Name the programs that some load generators need."""
    needed = {"jmeter": ("java",), "h2load": ("h2load",), "tsung": ("tsung", "h2load")}
    return tuple(program for tool in tools for program in needed[tool])


@contextlib.contextmanager
def processors_awake(priority: bool, seconds: int) -> Iterator[None]:
    """Let both processors spin when idle, below all other programs; see ``collect_http_pool``."""
    spin = (sys.executable, "-c", "while True: pass")
    commands = [
        ("timeout", str(seconds), "taskset", "-c", core, "chrt", "--idle", "0", *spin)
        for core in (parts.SERVICE_CORE, parts.CLIENT_CORE)
    ]
    processes = [subprocess.Popen(command) for command in commands if priority]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait(timeout=10)
