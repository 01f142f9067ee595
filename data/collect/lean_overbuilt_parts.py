"""How the three services of ``lean-overbuilt`` are started, watched, killed and replaced.

    with running("overbuilt", folder, seed="2086", slow=1.0) as service:
        ...  # http://127.0.0.1:{service.port}/jobs
        service.kill("orchestrator")

A service is a list of parts, each a process (or a family of them) in a session of its own, all bound
to one processor.  A part that dies is started again after ``RESTART_S``, as systemd would; what a dead
parent left behind is killed first.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import servers

SERVICES = Path(__file__).resolve().parent / "services"
NAMES = ("lean", "celery", "overbuilt")
NEEDS = {
    "lean": ("taskset",),
    "celery": ("taskset", "redis-server"),
    "overbuilt": ("taskset", "redis-server", "rabbitmq-server", "epmd"),
}
SERVICE_CORE, CLIENT_CORE = "0", "1"
RESTART_S = 0.5
READY_S = 60
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Part:
    """A program and its processes; ready when its port answers, or, without one, when it says so."""

    name: str
    command: tuple[str, ...]
    port: int | None = None
    env: dict[str, str] = field(default_factory=dict)
    ours: bool = True  # a deploy replaces our own programs, no brokers and stores
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ended_cpu_s: float = 0.0

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The one that counts: the newest."""
        return self.processes[-1]

    def cpu_s(self) -> float:
        """Processor time of all its processes, those gone included, in seconds."""
        return self.ended_cpu_s + sum(cpu_of_session_s(each.pid) for each in self.processes)

    def is_ready(self, folder: Path) -> bool:
        """Say whether it takes work."""
        if self.port is not None:
            return servers.answers(self.port)
        stamps = folder / f"{self.process.pid}.csv"
        return stamps.exists() and "ready" in stamps.read_text()


@dataclass(slots=True)
class Service:
    """The parts of a running service, in the order in which they start."""

    parts: list[Part]
    folder: Path  # where the stamps go
    port: int  # of the front
    priority: bool = False  # run above other programs; needs root
    closing: bool = False

    def part(self, name: str) -> Part:
        """Return a part by its name."""
        return next(part for part in self.parts if part.name == name)

    def start(self, part: Part) -> None:
        """Start a part, wait until it is ready, and watch it."""
        nice = ("nice", "-n", "-10") if self.priority else ()
        log = self.folder / f"{part.name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                ("taskset", "-c", SERVICE_CORE, *nice, *part.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "GOODPUT_STAMPS": str(self.folder), **part.env},
                cwd=SERVICES,
                start_new_session=True,
            )
        part.processes.append(process)
        threading.Thread(target=self._keep, args=(part, process), daemon=True).start()
        servers.wait_until(
            lambda: self.closing or part.is_ready(self.folder), READY_S, f"start of {log}"
        )

    def _keep(self, part: Part, process: subprocess.Popen[bytes]) -> None:
        """Wait for the end of a process; if nobody wanted it, start another."""
        process.wait()
        if process in part.processes and not self.closing:
            servers.kill_group(process)
            time.sleep(RESTART_S)
            if not self.closing:
                self.start(part)  # there is always a newest
                part.processes.remove(process)

    def kill(self, target: str) -> None:
        """Kill a part with all its processes, or one of them: ``worker/parent``, ``worker/child``."""
        name, _, which = target.partition("/")
        part = self.part(name)
        victims = session_members(part.process.pid)
        if which == "parent":
            victims = [part.process.pid]
        elif which == "child":
            victims = [max(victims)]
        if which != "child":
            part.ended_cpu_s = part.cpu_s()
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def replace(self, name: str) -> None:
        """Deploy a part: whoever has a port leaves before the new one comes, others afterwards."""
        part, old = self.part(name), self.part(name).process
        if part.port is None:
            self.start(part)
        part.ended_cpu_s += cpu_of_session_s(old.pid)
        part.processes.remove(old)
        old.terminate()
        old.wait(30)
        servers.kill_group(old)
        if part.port is not None:
            self.start(part)

    def stop(self) -> None:
        """End all parts, the front first."""
        self.closing = True
        for part in reversed(self.parts):
            for process in part.processes:
                servers.end(process)


def session_members(leader: int) -> list[int]:
    """Return the processes of a session, which is what a part has to itself."""
    return [pid for pid, values in process_table().items() if values[3] == leader]


def cpu_of_session_s(leader: int) -> float:
    """Processor time of a session's processes and of their children that ended, in seconds."""
    rows = process_table().values()
    return sum(sum(values[11:15]) for values in rows if values[3] == leader) / TICKS_PER_S


def cpu_of_others_s(service: Service) -> float:
    """Processor time of whoever is no part of the service nor of this program's session, in seconds."""
    ours = {each.pid for part in service.parts for each in part.processes} | {os.getsid(0)}
    rows = process_table().values()
    return sum(sum(values[11:15]) for values in rows if values[3] not in ours) / TICKS_PER_S


def process_table() -> dict[int, list[int]]:
    """Read ``/proc/<pid>/stat`` of every process, from ``ppid`` (proc(5), field 4) on."""
    table = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(") ")[2].split()
            table[int(stat.parent.name)] = [0, *(int(value) for value in fields[1:15])]
    return table


def memory_mb(leader: int) -> float:
    """Memory of a session's processes, pages that several share divided among them, in MB."""
    total_kb = 0
    for pid in session_members(leader):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total_kb += int(text.partition("\nPss:")[2].split()[0])
    return total_kb / 1024


@contextlib.contextmanager
def running(
    name: str, folder: Path, *, seed: str, slow: float = 1.0, priority: bool = False
) -> Iterator[Service]:
    """Run a service until the block ends."""
    port = servers.free_port()
    work = {"GOODPUT_SEED": seed, "GOODPUT_SLOW": str(slow)}
    parts = {"lean": lean, "celery": celery, "overbuilt": overbuilt}[name](folder, port)
    for part in parts:
        part.env |= work
    service = Service(parts, folder, port, priority)
    try:
        for part in parts:
            service.start(part)
        yield service
    finally:
        service.stop()


def python(program: str, *options: object) -> tuple[str, ...]:
    """Spell out the call of one of our programs."""
    return (sys.executable, f"{SERVICES / program}.py", *(str(option) for option in options))


def lean(folder: Path, port: int) -> list[Part]:
    """One process and a file."""
    return [Part("service", python("lean", "--port", port, "--database", folder / "jobs.db"), port)]


def celery(folder: Path, port: int) -> list[Part]:
    """Redis, a worker with four children, and the web process."""
    redis, url = redis_part(folder)
    env = {"GOODPUT_REDIS": url}
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING")
    command = (sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "-c", "4", *quiet)
    worker = Part("worker", command, env=dict(env))
    return [redis, worker, Part("web", python("celery_web", "--port", port), port, dict(env))]


def overbuilt(folder: Path, port: int) -> list[Part]:
    """Redis, RabbitMQ, the orchestrator, four workers, and the gateway."""
    redis, url = redis_part(folder)
    mapper, broker, orchestrator = (servers.free_port() for _ in range(3))
    env = servers.rabbitmq_environment(folder, broker, mapper, servers.free_port())
    amqp = f"amqp://guest:guest@{servers.HOST}:{broker}//"
    epmd = ("epmd", "-port", str(mapper), "-address", servers.HOST)
    node = (str(servers.RABBITMQ_SCRIPTS / "rabbitmq-server"),)
    behind = ("--orchestrator", orchestrator)
    serve = ("--port", orchestrator, "--broker", amqp, "--redis", url)
    work = python("worker", "--broker", amqp, *behind)
    return [
        redis,
        Part("epmd", epmd, mapper, ours=False),
        Part("broker", node, broker, env, ours=False),
        Part("orchestrator", python("orchestrator", *serve), orchestrator),
        *(Part(f"worker-{number}", work) for number in range(1, 5)),
        Part("gateway", python("gateway", "--port", port, *behind, "--redis", url), port),
    ]


def redis_part(folder: Path) -> tuple[Part, str]:
    """Keep Redis on disk, so that a restart finds what was there, and return its URL as well."""
    port = servers.free_port()
    options = ("--save", "", "--appendonly", "yes", "--dir", str(folder), "--bind", servers.HOST)
    command = ("redis-server", "--port", str(port), *options)
    return Part("redis", command, port, ours=False), f"redis://{servers.HOST}:{port}/0"
