"""Measure the Celery part of the data set ``data/job-queues``: real workers, real brokers.

    python data/collect/collect_celery.py --out DIR

Each experiment is a function: it starts worker instances on a broker, sends jobs, sometimes kills
something, and returns a ``Recording``: a row for every execution of a job, and what was set.  The
program runs them all, with Redis and RabbitMQ on loopback, and prints the datasheet's tables.
Nothing that exists is overwritten unless ``--overwrite`` is given.  Takes about 15 minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import celery_app
import celery_facts
import pandas as pd
import servers

HERE = Path(__file__).resolve().parent
SEED = 2026
MEAN_S = 0.2
LOAD_S = 150
RATES_PER_S = {"load-50": 10, "load-70": 14, "load-85": 17}  # utilisation in percent, of 4 slots
OLD = ("celery[redis]==5.6.3", "kombu==5.6.2")
WARM_UP_JOB = -1
PATIENCE_S = 60  # longest wait for what should come soon


@dataclass(frozen=True, slots=True)
class Setup:
    """How the workers are set up; the names of the settings are Celery's where it has one.

    ``sweep_s`` and ``sweep_throttle`` are kombu's ``unacked_restore_interval`` and
    ``unacked_restore_throttle``; None leaves a default.  ``python`` runs the workers.
    """

    url: str
    instances: int = 1
    concurrency: int = 1
    prefetch_multiplier: int = 4
    acks_late: bool = False
    reject_on_worker_lost: bool = False
    disable_prefetch: bool = False
    visibility_timeout_s: int | None = None
    sweep_s: int | None = None
    sweep_throttle: int | None = None
    rate_limit: str | None = None
    results: bool = False
    python: str = sys.executable

    @property
    def broker(self) -> str:
        """Name the broker."""
        return "redis" if self.url.startswith("redis") else "rabbitmq"

    def settings(self, queue: str) -> dict[str, Any]:
        """Write the setup as settings of Celery."""
        transport = {
            "visibility_timeout": self.visibility_timeout_s,
            "unacked_restore_interval": self.sweep_s,
            "unacked_restore_throttle": self.sweep_throttle,
        }
        limits = {"limited": {"rate_limit": self.rate_limit}} if self.rate_limit else None
        return {
            "broker_url": self.url,
            "broker_connection_retry_on_startup": True,
            "broker_transport_options": {k: v for k, v in transport.items() if v is not None},
            "result_backend": self._backend() if self.results else None,
            "task_acks_late": self.acks_late,
            "task_annotations": limits,
            "task_default_queue": queue,
            "task_ignore_result": not self.results,
            "task_reject_on_worker_lost": self.reject_on_worker_lost,
            "worker_disable_prefetch": self.disable_prefetch,
            "worker_prefetch_multiplier": self.prefetch_multiplier,
        }

    def _backend(self) -> str:
        return self.url if self.broker == "redis" else "rpc://"

    def told(self) -> dict[str, Any]:
        """Return what goes beside a recording."""
        hidden = ("url", "python")
        shown = {name: value for name, value in asdict(self).items() if name not in hidden}
        return {"broker": self.broker, **shown}


@dataclass(slots=True)
class Instance:
    """A worker instance: a parent that fetches, and its children, the slots."""

    process: subprocess.Popen[bytes]
    notes: Path
    spawned: float
    killed: float | None = None

    def events(self) -> list[tuple[str, int, int, float]]:
        """Read the notes: event, job, process and time."""
        lines = (line.split(",") for line in self.notes.read_text().splitlines())
        return [(event, int(job), int(pid), float(at)) for event, job, pid, at in lines]


@dataclass(frozen=True, slots=True)
class Recording:
    """An experiment's rows, all times in seconds since the first send, and what was set."""

    table: pd.DataFrame
    parameters: dict[str, Any]

    def runs(self, job: int) -> pd.DataFrame:
        """Pick the executions of a job."""
        return self.table[(self.table["job"] == job) & self.table["started_s"].notna()]


@dataclass(slots=True)
class Lab:
    """Running workers, a client, and what has been sent so far."""

    setup: Setup
    queue: str
    app: Any
    instances: list[Instance] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    returned: dict[int, float] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)

    def send(self, asked_s: float, *, due: float | None = None, task: str = "work") -> int:
        """Send a job and return its number; ``due`` is when it may start, on the monotonic clock."""
        job = len(self.sent)
        eta = due and datetime.fromtimestamp(time.time() + due - time.monotonic(), UTC)
        row = {"job": job, "task": task, "sent_s": time.monotonic(), "due_s": due}
        result = self.app.tasks[task].apply_async((job, asked_s), eta=eta)
        self.sent.append(row | {"asked_s": asked_s})
        if self.setup.results:
            result.then(lambda _: self.returned.setdefault(job, time.monotonic()))
        return job

    def receive_until(self, moment: float) -> None:
        """Take in results, which come one by one, until a moment of the monotonic clock."""
        while (left := moment - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                self.app.backend.result_consumer.drain_events(timeout=left)

    def warm_up(self) -> None:
        """Let every child work before the clock starts."""
        count = 6 * self.setup.instances * self.setup.concurrency
        for _ in range(count):
            self.app.tasks["work"].apply_async((WARM_UP_JOB, 0.1))
        self.wait(lambda: len(self.times("ended", WARM_UP_JOB)) == count)
        time.sleep(1)

    def times(self, event: str, job: int) -> list[tuple[float, int, int]]:
        """Return when an event of a job happened, at which instance, in which process."""
        return sorted(
            (at, number, pid)
            for number, instance in enumerate(self.instances)
            for name, which, pid, at in instance.events()
            if (name, which) == (event, job)
        )

    def wait(self, happened: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
        """Wait until something is in the notes."""
        servers.wait_until(happened, timeout_s, "what the experiment waits for")

    def wait_for_ends(self, jobs: range, timeout_s: float = PATIENCE_S) -> None:
        """Wait until each of these jobs has ended at least once."""
        wanted = set(jobs)

        def ended() -> bool:
            events = (event for instance in self.instances for event in instance.events())
            return wanted <= {job for name, job, _, _ in events if name == "ended"}

        self.wait(ended, timeout_s)

    def kill(self, number: int) -> None:
        """Kill an instance with its children, at once."""
        self.instances[number].killed = time.monotonic()
        servers.kill_group(self.instances[number].process)

    def queue_length(self) -> int:
        """Ask the broker how many messages it still has to hand out."""
        with self.app.connection() as connection:
            try:
                return int(connection.default_channel.queue_declare(self.queue, passive=True)[1])
            except connection.channel_errors:  # an empty list doesn't exist, says Redis
                return 0

    def prefetch_counts(self) -> list[int]:
        """Ask every instance how many messages it may hold at once now."""
        names = [hostname(self.queue, number) for number in range(len(self.instances))]
        stats = self.app.control.inspect(names, timeout=2).stats()
        return [stats[name]["prefetch_count"] for name in names]

    def recording(self) -> Recording:
        """Put notes and sends together."""
        zero = self.sent[0]["sent_s"]
        sent = pd.DataFrame(self.sent)
        runs = pd.DataFrame(self._runs(), columns=RUN_COLUMNS)
        table = sent.merge(runs, on="job", how="left").sort_values(["job", "started_s"])
        table["returned_s"] = table["job"].map(self.returned)
        times = [name for name in table if name.endswith("_s") and name != "asked_s"]
        table[times] = table[times].astype(float) - zero
        table[["worker", "slot"]] = table[["worker", "slot"]].astype("Int64")
        unused = [name for name in ("due_s", "returned_s") if table[name].isna().all()]
        unused += ["task"] if set(table["task"]) == {"work"} else []
        parameters = self.setup.told() | {"workers": self._instances(zero)} | self.seen
        return Recording(table.drop(columns=unused).reset_index(drop=True), parameters)

    def _runs(self) -> list[list[Any]]:
        """Pair the notes: the first reception of a job at an instance with its first start there."""
        rows: list[list[Any]] = []
        for number, instance in enumerate(self.instances):
            events = instance.events()
            slots = sorted({pid for event, _, pid, _ in events if event == "started"})
            received: defaultdict[int, deque[float]] = defaultdict(deque)
            running: dict[tuple[int, int], list[Any]] = {}
            for event, job, pid, at in events:
                if event == "received":
                    received[job].append(at)
                elif event == "started":
                    got = received[job].popleft()
                    rows.append([job, got, at, None, number, slots.index(pid)])
                    running[job, pid] = rows[-1]
                elif event == "ended":
                    running.pop((job, pid))[3] = at
        return rows

    def _instances(self, zero: float) -> list[dict[str, Any]]:
        """Tell when instances came and went, and how many jobs each of them received."""
        return [
            {
                "spawned_s": round(instance.spawned - zero, 4),
                "ready_s": round(
                    next(at for event, _, _, at in instance.events() if event == "ready") - zero, 4
                ),
                "killed_s": instance.killed and round(instance.killed - zero, 4),
                "received": sum(
                    event == "received" and job >= 0 for event, job, _, _ in instance.events()
                ),
            }
            for instance in self.instances
        ]


def hostname(queue: str, number: int) -> str:
    """Name an instance; a RabbitMQ with several experiments at once wants different names."""
    return f"w{number}@{queue}"


RUN_COLUMNS = ["job", "received_s", "started_s", "ended_s", "worker", "slot"]


@contextlib.contextmanager
def lab(setup: Setup) -> Iterator[Lab]:
    """Run the worker instances of a setup, on a queue of their own, one started after the other."""
    queue = f"jobs-{uuid.uuid4().hex[:8]}"
    settings = setup.settings(queue)
    app = celery_app.make_app(settings)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.callback(app.close)
        here = Lab(setup, queue, app)
        server = {f"{setup.broker}-server": broker_version(app)}
        here.seen["versions"] = server | versions(setup.python)
        for number in range(setup.instances):
            here.instances.append(stack.enter_context(_instance(setup, settings, folder, number)))
        yield here


@contextlib.contextmanager
def _instance(
    setup: Setup, settings: dict[str, Any], folder: Path, number: int
) -> Iterator[Instance]:
    """Run one worker instance; it is ready when it has noted so."""
    notes = folder / f"notes-{number}.csv"
    program = (setup.python, "-m", "celery", "-A", "celery_app", "worker")
    flags = (
        "--concurrency",
        str(setup.concurrency),
        "--hostname",
        hostname(settings["task_default_queue"], number),
    )
    spawned = time.monotonic()
    with servers.running(
        (*program, *flags, "--loglevel", "WARNING"),
        ready=notes.exists,
        log=folder / f"log-{number}",
        env={celery_app.SETTINGS: json.dumps(settings), celery_app.NOTES: str(notes)},
        cwd=HERE,
    ) as process:
        time.sleep(0.2)  # from "ready" to the first request for messages
        yield Instance(process, notes, spawned)


# The experiments.  Their defaults are what was recorded; a live test gives smaller sizes.


def load(
    setup: Setup,
    rate_per_s: float,
    seconds: float = LOAD_S,
    seed: int = SEED,
    mean_s: float = MEAN_S,
) -> Recording:
    """Send open Poisson arrivals with exponential sleeps, and take in the results."""
    arrivals, sleeps = (random.Random(f"{seed}/{rate_per_s}/{use}") for use in ("gaps", "sleeps"))
    with lab(setup) as here:
        here.warm_up()
        begin = now = time.monotonic() + 0.5
        while (now := now + arrivals.expovariate(rate_per_s)) < begin + seconds:
            here.receive_until(now)
            here.send(sleeps.expovariate(1 / mean_s))
        patience = time.monotonic() + PATIENCE_S
        while len(here.returned) < len(here.sent) and time.monotonic() < patience:
            here.receive_until(time.monotonic() + 0.2)
        here.seen |= {"rate_per_s": rate_per_s, "mean_s": mean_s, "seconds": seconds, "seed": seed}
        return here.recording()


def dispatch(setup: Setup, jobs: int = 300, gap_s: float = 0.04) -> Recording:
    """Send jobs of no length to idle workers: what is left is the product's own time."""
    with lab(setup) as here:
        here.warm_up()
        for _ in range(jobs):
            here.send(0)
            time.sleep(gap_s)
        here.wait_for_ends(range(jobs))
        return here.recording()


def turns(setup: Setup, jobs: int = 30, mean_gap_s: float = 0.5, seed: int = SEED) -> Recording:
    """Send a short job now and then, when every instance is free, to see whose turn it is."""
    gaps = random.Random(f"{seed}/turns")
    with lab(setup) as here:
        for _ in range(jobs):
            here.send(0.02)
            time.sleep(0.1 + gaps.expovariate(1 / (mean_gap_s - 0.1)))
        here.wait_for_ends(range(jobs))
        return here.recording()


def prefetch(setup: Setup, long_s: float = 5, jobs: int = 12, short_s: float = 0.1) -> Recording:
    """Send short jobs after a long one; some wait behind it, beside a free worker."""
    with lab(setup) as here:
        here.send(long_s)
        here.wait(lambda: here.times("started", 0))
        for _ in range(jobs):
            here.send(short_s)
        here.wait_for_ends(range(jobs + 1))
        return here.recording()


def kill(
    setup: Setup,
    *,
    long_s: float = 3,
    jobs: int = 20,
    short_s: float = 0.8,
    timeout_s: float = PATIENCE_S,
    settle_s: float = 3,
) -> Recording:
    """Kill the instance that runs a long job and holds short ones; watch what comes back."""
    with lab(setup) as here:
        here.send(long_s)
        here.wait(lambda: here.times("started", 0))
        for _ in range(jobs):
            here.send(short_s)
        time.sleep(long_s / 3)
        _, victim, _ = here.times("started", 0)[0]
        here.kill(victim)
        here.wait_for_ends(range(0 if setup.acks_late else 1, jobs + 1), timeout_s)
        time.sleep(settle_s)
        return here.recording()


def child_kill(
    setup: Setup, long_s: float = 2, jobs: int = 5, short_s: float = 0.3, settle_s: float = 5
) -> Recording:
    """Kill only the child that runs a job, as the kernel does when memory is short."""
    with lab(setup) as here:
        here.send(long_s)
        here.wait(lambda: here.times("started", 0))
        for _ in range(jobs):
            here.send(short_s)
        time.sleep(long_s / 4)
        ((_, _, child),) = here.times("started", 0)
        here.seen["child_killed_s"] = round(time.monotonic() - here.sent[0]["sent_s"], 4)
        os.kill(child, signal.SIGKILL)
        here.wait_for_ends(range(0 if setup.reject_on_worker_lost else 1, jobs + 1))
        time.sleep(settle_s)
        return here.recording()


def overlap(setup: Setup, long_s: float = 10, settle_s: float = 8) -> Recording:
    """Run a job for longer than the visibility timeout, and count the copies that join it."""
    with lab(setup) as here:
        here.send(long_s)
        here.wait(lambda: here.times("ended", 0))
        here.wait(lambda: len(here.times("ended", 0)) == len(here.times("started", 0)))
        time.sleep(settle_s)
        here.wait(lambda: len(here.times("ended", 0)) == len(here.times("started", 0)))
        return here.recording()


def eta(
    setup: Setup,
    dues_s: list[float],
    *,
    asked_s: float = 0.02,
    look_s: float | None = None,
    settle_s: float = 3,
) -> Recording:
    """Send jobs that may only start later; on the way look who holds them."""
    with lab(setup) as here:
        begin = time.monotonic()
        for due_s in dues_s:
            here.send(asked_s, due=begin + due_s)
        if look_s is not None:
            time.sleep(max(0, begin + look_s - time.monotonic()))
            here.seen |= {
                "looked_s": round(time.monotonic() - here.sent[0]["sent_s"], 4),
                "queue_length": here.queue_length(),
                "prefetch_counts": here.prefetch_counts(),
            }
        here.wait_for_ends(range(len(dues_s)), max(dues_s) + PATIENCE_S)
        time.sleep(settle_s)
        return here.recording()


def eta_lateness(setup: Setup, jobs: int = 60, lead_s: float = 5, over_s: float = 30) -> Recording:
    """Send jobs due at random moments, far enough apart not to wait for each other."""
    draws = random.Random(f"{SEED}/eta")
    return eta(setup, [lead_s + draws.uniform(0, over_s) for _ in range(jobs)], asked_s=0)


def rate_limit(setup: Setup, jobs: int = 5, idle_s: float = 5, others: int = 0) -> Recording:
    """Send limited jobs at once after a pause, and perhaps others, unlimited, right behind them."""
    with lab(setup) as here:
        time.sleep(idle_s)
        for _ in range(jobs):
            here.send(0.01, task="limited")
        for _ in range(others):
            here.send(0.01)
        here.wait_for_ends(range(jobs + others))
        here.seen["idle_s"] = idle_s
        return here.recording()


# The collection.

Experiment = Callable[[str], Recording]
"""From a broker's address to a recording."""

FAST = {"visibility_timeout_s": 5, "sweep_s": 1, "sweep_throttle": 1}
SHORT = FAST | {"visibility_timeout_s": 3}


def loads() -> dict[str, Experiment]:
    """Name the experiments that need a quiet machine."""

    def at(rate_per_s: float) -> Experiment:
        return lambda url: load(Setup(url, concurrency=4, results=True), rate_per_s)

    idle: dict[str, Experiment] = {"dispatch": lambda url: dispatch(Setup(url, concurrency=4))}
    return idle | {name: at(rate) for name, rate in RATES_PER_S.items()}


def both_brokers() -> dict[str, Experiment]:
    """Name the experiments that make sense on either broker."""

    def two(url: str, **settings: Any) -> Setup:
        return Setup(url, instances=2, **settings)

    return {
        "turns": lambda url: turns(two(url)),
        "prefetch-4-early": lambda url: prefetch(two(url)),
        "prefetch-1-early": lambda url: prefetch(two(url, prefetch_multiplier=1)),
        "prefetch-1-late": lambda url: prefetch(two(url, prefetch_multiplier=1, acks_late=True)),
        "child-kill-late": lambda url: child_kill(Setup(url, acks_late=True)),
        "child-kill-reject": lambda url: child_kill(
            Setup(url, acks_late=True, reject_on_worker_lost=True)
        ),
        "eta-hoarding": lambda url: eta(two(url), [10.0] * 200, look_s=5),
        "eta-lateness": lambda url: eta_lateness(Setup(url)),
    }


def on_rabbitmq() -> dict[str, Experiment]:
    """Name the experiments on RabbitMQ that take little of the machine."""
    kills: dict[str, Experiment] = {
        "kill-late": lambda url: kill(Setup(url, instances=2, acks_late=True)),
        "kill-early": lambda url: kill(Setup(url, instances=2)),
        # Nothing else to do: how soon is the job with the survivor?
        "kill-late-idle": lambda url: kill(Setup(url, instances=2, acks_late=True), jobs=0),
    }
    return both_brokers() | kills


def on_redis() -> dict[str, Experiment]:
    """Name the experiments on Redis that take little of the machine."""

    def two(url: str, **settings: Any) -> Setup:
        return Setup(url, instances=2, **settings)

    def slow_kill(url: str, late: bool) -> Recording:
        setup = two(url, acks_late=late, visibility_timeout_s=5)
        return kill(setup, jobs=12, short_s=0.1, timeout_s=150)

    def eta_copies(url: str, late: bool) -> Recording:
        return eta(two(url, acks_late=late, **SHORT), [12.0] * 3, settle_s=8)

    def limited(url: str, **settings: Any) -> Setup:
        return Setup(url, concurrency=4, rate_limit="2/s", **settings)

    def old_limiter(url: str) -> Recording:
        with old_python() as python:
            return rate_limit(limited(url, python=python))

    slow: dict[str, Experiment] = {  # two minutes each, so they begin first
        "kill-late": lambda url: slow_kill(url, late=True),
        "kill-early": lambda url: slow_kill(url, late=False),
    }
    quick: dict[str, Experiment] = {
        "kill-late-fast-sweep": lambda url: kill(two(url, acks_late=True, **FAST)),
        "kill-early-fast-sweep": lambda url: kill(two(url, **FAST)),
        "kill-late-idle-fast-sweep": lambda url: kill(two(url, acks_late=True, **FAST), jobs=0),
        "no-prefetch": lambda url: prefetch(two(url, disable_prefetch=True)),
        "overlap": lambda url: overlap(
            two(url, concurrency=2, prefetch_multiplier=1, acks_late=True, **SHORT)
        ),
        "eta-duplicates-late": lambda url: eta_copies(url, late=True),
        "eta-duplicates-early": lambda url: eta_copies(url, late=False),
        "rate-limit": lambda url: rate_limit(limited(url)),
        "rate-limit-two-workers": lambda url: rate_limit(limited(url, instances=2), jobs=10),
        "rate-limit-blocking": lambda url: rate_limit(
            replace(limited(url), concurrency=1), jobs=10, others=2
        ),
        "rate-limit-kombu562": old_limiter,
    }
    return slow | quick | both_brokers()


@contextlib.contextmanager
def old_python() -> Iterator[str]:
    """Make an environment with the versions before kombu's bucket was repaired."""
    with tempfile.TemporaryDirectory() as scratch:
        python = str(Path(scratch) / "bin" / "python")
        subprocess.run((sys.executable, "-m", "venv", scratch), check=True, timeout=120)
        install = (python, "-m", "pip", "install", "--quiet", *OLD)
        subprocess.run(install, check=True, timeout=300)
        yield python


def versions(python: str) -> dict[str, str]:
    """Ask an interpreter for the versions of what it runs."""
    ask = (
        "import json, platform, importlib.metadata as m; print(json.dumps({'python':"
        " platform.python_version()} | {n: m.version(n) for n in"
        " ('celery', 'kombu', 'billiard', 'redis', 'amqp')}))"
    )
    run = subprocess.run((python, "-c", ask), check=True, capture_output=True, timeout=60)
    return dict(json.loads(run.stdout))


def broker_version(app: Any) -> str:
    """Ask the broker for its own version."""
    with app.connection() as connection:
        connection.connect()
        if connection.transport.driver_type == "redis":
            return str(connection.default_channel.client.info("server")["redis_version"])
        return str(connection.connection.server_properties["version"])


def note(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run of the collector is asked to do."""

    out: Path
    only: tuple[str, ...]
    parallel: int

    def wants(self, name: str) -> bool:
        """Say whether an experiment is asked for."""
        return not self.only or name in self.only


def on_fresh_redis(experiment: Experiment) -> Recording:
    """Run an experiment on a Redis of its own: the table of unacknowledged messages is shared."""
    with servers.redis() as url:
        return experiment(url)


def collect(plan: Plan) -> None:
    """Measure, first what needs quiet, then the rest, some at a time; then print the tables."""
    plan.out.mkdir(parents=True, exist_ok=True)
    with servers.rabbitmq() as url:
        for name, experiment in loads().items():
            both = bound({name: experiment}, {name: experiment}, url)
            run_together(plan, both, at_once=2)
        run_together(plan, bound(on_redis(), on_rabbitmq(), url), plan.parallel)
    add_dispatch_times(plan.out)
    if not plan.only:
        print(celery_facts.report(plan.out))


def add_dispatch_times(folder: Path) -> None:
    """Write beside every experiment how long its broker takes to start a job on an idle worker."""
    path = folder / celery_facts.PARAMETERS
    known = json.loads(path.read_text())
    for parameters in known.values():
        idle = folder / f"celery-{parameters['broker']}-dispatch.csv"
        if idle.exists():
            seen = pd.read_csv(idle)
            delays = (seen["started_s"] - seen["sent_s"]).quantile([0.5, 0.99]).round(4)
            parameters["dispatch_s"] = dict(zip(("p50", "p99"), delays, strict=True))
    path.write_text(json.dumps(known, indent=1) + "\n")


def bound(
    redis: dict[str, Experiment], rabbitmq: dict[str, Experiment], url: str
) -> dict[str, Callable[[], Recording]]:
    """Give every experiment its broker, and its file's name."""
    return {
        f"celery-redis-{name}": functools.partial(on_fresh_redis, experiment)
        for name, experiment in redis.items()
    } | {
        f"celery-rabbitmq-{name}": functools.partial(experiment, url)
        for name, experiment in rabbitmq.items()
    }


def run_together(plan: Plan, experiments: dict[str, Callable[[], Recording]], at_once: int) -> None:
    """Measure some at a time, and wait for all."""
    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(measure, plan, *each) for each in experiments.items()]:
            done.result()


def measure(plan: Plan, name: str, experiment: Callable[[], Recording]) -> None:
    """Run an experiment if it is asked for, and write what it showed."""
    if not plan.wants(name):
        return
    begin = time.monotonic()
    recording = experiment()
    recording.table.to_csv(plan.out / f"{name}.csv", index=False, float_format="%.4f")
    with WRITING:
        path = plan.out / celery_facts.PARAMETERS
        known = json.loads(path.read_text()) if path.exists() else {}
        known[name] = recording.parameters
        path.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
    note(f"{name}: {len(recording.table)} rows, {time.monotonic() - begin:.0f} s")


WRITING = threading.Lock()


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure Celery for the data set job-queues.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--only", nargs="+", default=(), help="names of files, without .csv")
    parser.add_argument("--parallel", type=int, default=4, help="quiet experiments at a time, 1-8")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    given = parser.parse_args()
    if not 1 <= given.parallel <= 8:
        parser.error(f"--parallel must be 1 to 8, got {given.parallel}")
    there = [path.stem for path in given.out.glob("celery-*.csv")]
    there = [name for name in there if not given.only or name in given.only]
    if there and not given.overwrite:
        parser.error(f"{', '.join(there)} would be overwritten; say --overwrite to do so")
    return given


def main() -> None:
    """Measure what the command line asks for."""
    given = options()
    if reason := servers.missing("redis-server", "rabbitmq-server", "epmd"):
        raise SystemExit(reason)
    collect(Plan(out=given.out, only=tuple(given.only), parallel=given.parallel))


if __name__ == "__main__":
    main()
