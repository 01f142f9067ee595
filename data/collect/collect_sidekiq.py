"""Measure the Sidekiq half of the data set ``data/job-queues``: Debian's Sidekiq on Debian's Redis.

    python data/collect/collect_sidekiq.py --out DIR [--only NAME ...]

Every experiment is a function that starts a Redis and Sidekiq processes of its own on loopback,
sends jobs by writing to Redis what Sidekiq's client writes, and returns a ``Recording``: a row an
execution, and the parameters.  ``sidekiq_jobs.rb`` is what Sidekiq runs.  All of it takes about
half an hour, most of which is waiting; the experiments that are about time need a machine that has
little else to do.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import itertools
import json
import math
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import redis
import servers

JOBS = Path(__file__).resolve().parent / "sidekiq_jobs.rb"
SEED = 2026
MEAN_S = 0.1  # service: Exponential
CONCURRENCY = 4
WARM_UP = 60  # jobs before the first that counts
COLUMNS = (
    "job",
    "sent_s",
    "due_s",
    "group",
    "asked_s",
    "started_s",
    "ended_s",
    "worker",
    "slot",
)


@dataclass(frozen=True, slots=True)
class Job:
    """What is sent: a sleep, how often it fails, and when it is due, in seconds from now."""

    asked_s: float = 0.0
    failures: int = 0
    delay_s: float | None = None
    message: dict[str, Any] = field(default_factory=dict)
    """More fields of Sidekiq's message, such as how often the job has failed before."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a job, or a job that never ran; the columns of a recording."""

    job: int
    sent_s: float
    due_s: float | None = None
    group: str | None = None
    asked_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None
    worker: int | None = None
    slot: int | None = None

    @property
    def wait_s(self) -> float:
        """From sending to the start, or not a number if the job never ran."""
        return math.nan if self.started_s is None else self.started_s - self.sent_s


@dataclass(frozen=True, slots=True)
class Recording:
    """The executions of an experiment, on a clock that starts with the first job sent."""

    rows: list[Execution]
    facts: dict[str, Any]


@dataclass(slots=True)
class Sidekiq:
    """A process of Sidekiq, and when it was started, ready and gone."""

    process: subprocess.Popen[bytes]
    concurrency: int
    timeout_s: int
    started: float
    up: float
    ended: float | None = None
    ended_by: str | None = None

    def kill(self) -> float:
        """Kill it as a crash would (``SIGKILL``), and return when."""
        self.ended_by, self.ended = "SIGKILL", time.monotonic()
        servers.kill_group(self.process)
        return self.ended

    def terminate(self) -> float:
        """Ask it to stop (``SIGTERM``), and return when; ``wait`` says when it is gone."""
        self.ended_by = "SIGTERM"
        self.process.terminate()
        return time.monotonic()

    def wait(self) -> float:
        """Wait until it has ended, and return when."""
        self.process.wait(60)
        self.ended = time.monotonic()
        return self.ended


@dataclass(slots=True)
class Bench:
    """A Redis, the Sidekiq processes on it, what was sent and the log of what happened."""

    url: str
    log: Path
    stack: contextlib.ExitStack
    redis: redis.Redis
    workers: list[Sidekiq] = field(default_factory=list)
    sent: list[tuple[Job, float]] = field(default_factory=list)

    def start(self, concurrency: int, timeout_s: int = 25) -> Sidekiq:
        """Start a process of Sidekiq, and return once its threads wait for jobs."""
        command = ("sidekiq", "-r", JOBS, "-c", str(concurrency), "-t", str(timeout_s))
        began = time.monotonic()
        known = len(self.events("up"))
        process = self.stack.enter_context(
            servers.running(
                command,
                ready=lambda: len(self.events("up")) > known,
                log=self.log.with_name("sidekiq.log"),
                env={"JOBS_REDIS": self.url, "JOBS_LOG": str(self.log)},
                cwd=self.log.parent,
                stop_s=timeout_s + 10,
            )
        )
        up = self.events("up")[-1]["at"]
        self.workers.append(Sidekiq(process, concurrency, timeout_s, began, up))
        return self.workers[-1]

    def send(self, job: Job, number: int | None = None) -> float:
        """Push a job as Sidekiq's client does, and return when; a number makes it unrecorded."""
        now = time.time()
        message = {
            "class": "TimedJob",
            "args": [len(self.sent) if number is None else number, job.asked_s, job.failures],
            "queue": "default",
            "jid": secrets.token_hex(12),
            "retry": True,
            "created_at": now,
            **job.message,
        }
        at = time.monotonic()
        if job.delay_s is None:
            self.redis.lpush("queue:default", json.dumps({**message, "enqueued_at": now}))
        else:
            self.redis.zadd("schedule", {json.dumps(message): now + job.delay_s})
        if number is None:
            self.sent.append((job, at))
        return at

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """Return what the log has so far, of some kinds of events or of all."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        events = [json.loads(line) for line in lines if line.endswith("}")]
        return [event for event in events if not kinds or event["event"] in kinds]

    def count(self, kind: str) -> int:
        """Count the events of a kind that belong to recorded jobs."""
        return sum(event["job"] >= 0 for event in self.events(kind))

    def wait_for(self, kind: str, count: int, timeout_s: float) -> None:
        """Wait until so many starts or ends of recorded jobs were seen; look seldom."""
        deadline = time.monotonic() + timeout_s
        while (seen := self.count(kind)) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{seen} of {count} jobs have a {kind} after {timeout_s:g} s")
            time.sleep(0.2)

    def warm_up(self, jobs: int = WARM_UP) -> None:
        """Let every thread connect, and Ruby load what it needs, with jobs that don't count."""
        for _ in range(jobs):
            self.send(Job(asked_s=0.01), number=-1)
        deadline = time.monotonic() + 30
        while sum(event["job"] < 0 for event in self.events("end")) < jobs:
            if time.monotonic() > deadline:
                raise TimeoutError("the jobs of the warm-up did not end")
            time.sleep(0.1)


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """Run a Redis for one experiment; the processes of Sidekiq end with the block."""
    with tempfile.TemporaryDirectory() as scratch, servers.redis() as url:
        log = Path(scratch) / "events.log"
        log.touch()
        client = redis.Redis.from_url(url)
        client.sadd("queues", "default")
        with contextlib.ExitStack() as stack, client:
            yield Bench(url, log, stack, client)


def record(
    made: Bench, dues: dict[tuple[int, int], float] | None = None, **facts: Any
) -> Recording:
    """Turn the log into rows; ``dues`` says when the attempt of a job was due, by the clock.

    Facts whose name ends in ``_at`` are moments, and are told in seconds since the first send.
    """
    zero = made.sent[0][1]
    return Recording(
        rows=_executions(made, zero, dues or {}),
        facts={
            **dict(_told(name, value, zero) for name, value in facts.items()),
            "processes": _processes(made, zero),
            "polls": _polls(made, zero),
        },
    )


def _told(name: str, value: Any, zero: float) -> tuple[str, Any]:
    """Turn a moment ``..._at`` of the clock into seconds ``..._s``; leave other facts alone."""
    if not name.endswith("_at"):
        return name, value
    return f"{name.removesuffix('_at')}_s", round(value - zero, 4)


def _executions(made: Bench, zero: float, dues: dict[tuple[int, int], float]) -> list[Execution]:
    """Pair the starts with the ends; a job that never started has a row without a start."""
    ends = {
        (event["pid"], event["job"], event["attempt"], event["thread"]): event["at"]
        for event in made.events("end")
    }
    slots = _slots(made)
    rows = []
    for job, (what, sent) in enumerate(made.sent):
        due = None if what.delay_s is None else sent + what.delay_s - zero
        rows.append(Execution(job, sent - zero, due, asked_s=what.asked_s))
    runs: list[Execution] = []
    for event in made.events("start"):
        job, attempt = event["job"], event["attempt"]
        if job < 0:
            continue
        key = (event["pid"], job, attempt, event["thread"])
        due = dues.get((job, attempt))
        runs.append(
            replace(
                rows[job],
                due_s=rows[job].due_s if due is None else due - zero,
                started_s=event["at"] - zero,
                ended_s=ends[key] - zero if key in ends else None,
                worker=slots[event["pid"], event["thread"]][0],
                slot=slots[event["pid"], event["thread"]][1],
            )
        )
    ran = {run.job for run in runs}
    return sorted(
        runs + [row for row in rows if row.job not in ran],
        key=lambda row: (row.job, row.started_s or 0.0),
    )


def _slots(made: Bench) -> dict[tuple[int, int], tuple[int, int]]:
    """Count processes in order of their start, and the threads of each as they appear."""
    slots: dict[tuple[int, int], tuple[int, int]] = {}
    numbers = {worker.process.pid: index for index, worker in enumerate(made.workers)}
    seen: Counter[int] = Counter()
    for event in made.events("start"):
        key = (event["pid"], event["thread"])
        if key not in slots:
            slots[key] = (numbers[event["pid"]], seen[event["pid"]])
            seen[event["pid"]] += 1
    return slots


def _processes(made: Bench, zero: float) -> list[dict[str, Any]]:
    """Tell when each process was started, ready and gone."""
    return [
        {
            "worker": index,
            "concurrency": worker.concurrency,
            "timeout_s": worker.timeout_s,
            "started_s": round(worker.started - zero, 4),
            "up_s": round(worker.up - zero, 4),
            "ended_s": None if worker.ended is None else round(worker.ended - zero, 4),
            "ended_by": worker.ended_by,
        }
        for index, worker in enumerate(made.workers)
    ]


def _polls(made: Bench, zero: float) -> list[dict[str, Any]]:
    """Tell when each process looked for due jobs, and which average it had settled on."""
    numbers = {worker.process.pid: index for index, worker in enumerate(made.workers)}
    return [
        {
            "worker": numbers[event["pid"]],
            "at_s": round(event["at"] - zero, 4),
            "processes": event["processes"],
            "average_s": event["average_s"],
        }
        for event in made.events("poll")
    ]


# --- experiments -------------------------------------------------------------------------------


def idle(jobs: int = 300, gap_s: float = 0.05) -> Recording:
    """Send one instant job at a time to an idle process: what is left is the dispatch."""
    with bench() as made:
        made.start(CONCURRENCY)
        made.warm_up()
        for _ in range(jobs):
            made.send(Job())
            time.sleep(gap_s)
        made.wait_for("end", jobs, timeout_s=30)
        got = record(made, what="instant jobs, one at a time, to an idle process", gap_s=gap_s)
    waits = [row.wait_s for row in got.rows]
    return Recording(got.rows, {**got.facts, "dispatch_s": quantiles(waits, (50, 90, 99))})


def load(rate_per_s: float, seconds: float = 150, seed: str = "") -> Recording:
    """Send Poisson arrivals of exponential sleeps to one process with four threads."""
    seed = seed or f"{SEED}/load/{rate_per_s:g}"
    gaps, sleeps = random.Random(f"{seed}/gaps"), random.Random(f"{seed}/sleeps")
    plan: list[tuple[float, Job]] = []
    at = 0.0
    while (at := at + gaps.expovariate(rate_per_s)) < seconds:
        plan.append((at, Job(asked_s=round(sleeps.expovariate(1 / MEAN_S), 6))))
    with bench() as made:
        made.start(CONCURRENCY)
        made.warm_up()
        send_as_planned(made, plan)
        made.wait_for("end", len(plan), timeout_s=60)
        got = record(
            made,
            what="Poisson arrivals, exponential sleeps, one process",
            rate_per_s=rate_per_s,
            seconds=seconds,
            mean_s=MEAN_S,
            seed=seed,
            warm_up_jobs=WARM_UP,
        )
    return Recording(got.rows, {**got.facts, "turnaround_s": quantiles(turnarounds(got.rows))})


def send_as_planned(made: Bench, plan: Sequence[tuple[float, Job]]) -> None:
    """Send every job at its moment, whatever became of those before: an open load."""
    start = time.monotonic() + 0.5
    for at, job in plan:
        time.sleep(max(0.0, start + at - time.monotonic()))
        made.send(job)


def turnarounds(rows: Sequence[Execution]) -> list[float]:
    """Return how long a thread took from one job to the next, where the next had been waiting."""
    by_slot: dict[tuple[int | None, int | None], list[Execution]] = {}
    for row in sorted(rows, key=lambda row: row.started_s or 0.0):
        by_slot.setdefault((row.worker, row.slot), []).append(row)
    return [
        after.started_s - before.ended_s
        for runs in by_slot.values()
        for before, after in itertools.pairwise(runs)
        if before.ended_s and after.started_s and after.sent_s < before.ended_s
    ]


def ideal_waits(rows: Sequence[Execution], servers: int = CONCURRENCY) -> list[float]:
    """Replay what was sent and how long it slept through an ideal FIFO queue.

    Kiefer and Wolfowitz (1955): keep when each server is free; a job takes the earliest.
    """
    free = [0.0] * servers
    waits = []
    for row in rows:
        assert row.started_s is not None
        assert row.ended_s is not None
        start = max(row.sent_s, free[0])
        waits.append(start - row.sent_s)
        free[0] = start + row.ended_s - row.started_s
        free.sort()
    return waits


def scheduled(
    jobs: int = 200,
    within_s: float = 330,
    processes: int = 1,
    later_s: float = 0,
    seed: str = "",
) -> Recording:
    """Schedule instant jobs at random moments ahead, and see when Sidekiq's polls release them.

    The last process starts ``later_s`` after the others.
    """
    seed = seed or f"{SEED}/scheduled/{processes}/{later_s:g}"
    draw = random.Random(seed)
    with bench() as made:
        for _ in range(processes - bool(later_s)):
            made.start(CONCURRENCY)
        for _ in range(jobs):
            made.send(Job(delay_s=round(draw.uniform(0, within_s), 3)))
        if later_s:
            time.sleep(max(0.0, made.sent[0][1] + later_s - time.monotonic()))
            made.start(CONCURRENCY)
        made.wait_for("end", jobs, timeout_s=within_s + 60)
        return record(
            made,
            what="instant jobs due at random moments, released by polls",
            within_s=within_s,
            average_scheduled_poll_interval_s=5,
            seed=seed,
        )


def retry(jobs: int = 100, failures: int = 2, timeout_s: float = 90) -> Recording:
    """Let jobs fail, read from Redis when they shall run again, and wait until they do."""
    dues: dict[tuple[int, int], float] = {}
    delays: dict[int, Counter[int]] = {}
    with bench() as made:
        made.start(CONCURRENCY)
        for _ in range(jobs):
            made.send(Job(asked_s=0.01, failures=failures))
        deadline = time.monotonic() + timeout_s
        while made.count("end") < jobs * (failures + 1) and time.monotonic() < deadline:
            _note_retries(made, dues, delays)
            time.sleep(0.2)
        return record(
            made,
            dues,
            what="jobs that fail; due_s of a later execution is the moment Sidekiq set for it",
            failures=failures,
            average_scheduled_poll_interval_s=5,
            delay_counts={n: dict(sorted(count.items())) for n, count in sorted(delays.items())},
        )


def _note_retries(
    made: Bench, dues: dict[tuple[int, int], float], delays: dict[int, Counter[int]]
) -> None:
    """Read the retry set: the attempt each job is due for, and the delay that was drawn."""
    to_monotonic = time.monotonic() - time.time()
    for message, score in made.redis.zrange("retry", 0, -1, withscores=True):
        job = json.loads(message)
        attempt = job["retry_count"] + 1
        if (job["args"][0], attempt) not in dues:
            dues[job["args"][0], attempt] = score + to_monotonic
            failed = job.get("retried_at") or job["failed_at"]
            delays.setdefault(job["retry_count"], Counter())[round(score - failed)] += 1


def retry_delays(retries: Sequence[int] = (0, 1, 2, 4, 9, 24), jobs: int = 100) -> dict[str, Any]:
    """Read the delay Sidekiq draws for a job that has been retried so many times, without waiting.

    Sidekiq counts in the message of the job, so a message may begin with any count.
    """
    dues: dict[tuple[int, int], float] = {}
    delays: dict[int, Counter[int]] = {}
    with bench() as made:
        made.start(CONCURRENCY)
        for n in retries:
            before = {"retry_count": n - 1, "failed_at": time.time()} if n else {}
            for _ in range(jobs):
                made.send(Job(failures=n + 1, message=before))
        made.send(Job(failures=26, message={"retry_count": 24, "failed_at": time.time()}))
        made.wait_for("end", len(made.sent), timeout_s=60)
        # A thread that met a failure writes to Redis after the job's own end.
        servers.wait_until(lambda: made.redis.zcard("dead") == 1, 10, "the death of the last job")
        time.sleep(0.5)
        _note_retries(made, dues, delays)
        dead = made.redis.zcard("dead")
    return {
        "what": "seconds from failure to the next try, by retries made before, 100 jobs each",
        "jobs": jobs,
        "delay_counts": {n: dict(sorted(count.items())) for n, count in sorted(delays.items())},
        "dead_after_25_retries": dead,
    }


def kill(sleep_s: float = 2.0) -> Recording:
    """Kill a process in the midst of two jobs, and start another one."""
    with bench() as made:
        first = made.start(concurrency=2)
        for _ in range(6):
            made.send(Job(asked_s=sleep_s))
        made.wait_for("start", 4, timeout_s=sleep_s + 10)
        time.sleep(sleep_s / 2)
        killed = first.kill()
        queued = made.redis.llen("queue:default")
        time.sleep(1)
        made.start(concurrency=2)
        made.wait_for("end", 4, timeout_s=sleep_s + 10)
        time.sleep(sleep_s + 2.5)  # a thread that waits for a job would have had time to get one
        return record(
            made,
            what="SIGKILL while two jobs run and two wait; then another process",
            killed_at=killed,
            queued_when_killed=queued,
            left_in_redis=sum(
                (
                    made.redis.llen("queue:default"),
                    made.redis.zcard("retry"),
                    made.redis.zcard("dead"),
                )
            ),
            members_of_processes_set=made.redis.scard("processes"),
        )


def stale_process() -> dict[str, Any]:
    """Kill a process, start another one, and see which interval that one settles on, for good."""
    with bench() as made:
        first = made.start(concurrency=1)
        servers.wait_until(lambda: made.redis.scard("processes") == 1, 20, "a heartbeat")
        first.kill()
        made.start(concurrency=1)
        servers.wait_until(lambda: len(made.events("poll")) == 2, 60, "the second poll")
        first_poll, second = made.events("poll")
        return {
            "what": "the polls of a process that started just after another one was killed",
            "alive": 1,
            "processes_counted": second["processes"],
            "average_s": second["average_s"],
            "gap_s": round(second["at"] - first_poll["at"], 4),
        }


def term(timeout_s: int = 2, long_s: float = 5.0) -> Recording:
    """Ask a process to stop while a job can finish in time, two can't, and three wait."""
    with bench() as made:
        first = made.start(concurrency=3, timeout_s=timeout_s)
        for asked_s in (long_s, long_s, 1.0 + timeout_s / 2, 0.1, 0.1, 0.1):
            made.send(Job(asked_s=asked_s))
        made.wait_for("start", 3, timeout_s=10)
        time.sleep(1)
        told = first.terminate()
        gone = first.wait()
        # The next pop takes from the right end; so the list is told from right to left.
        order = [json.loads(raw)["args"][0] for raw in made.redis.lrange("queue:default", 0, -1)]
        made.start(concurrency=1, timeout_s=timeout_s)
        made.wait_for("end", 6, timeout_s=2 * long_s + 10)
        return record(
            made,
            what="SIGTERM while three jobs run and three wait; then a process with one thread",
            term_at=told,
            gone_at=gone,
            queue_after_term=order[::-1],
        )


def dead_set_trim(members: Sequence[int] = (9_998, 9_999, 10_000)) -> dict[str, Any]:
    """Let a job die when the dead set has so many members, and count them afterwards."""
    counts = {}
    with bench() as made:
        made.start(concurrency=1)
        for before in members:
            made.redis.delete("dead")
            now = time.time()
            made.redis.zadd("dead", {f"member {i}": now - 60 + i / 1e4 for i in range(before)})
            made.send(Job(failures=1, message={"retry": 0}))
            made.wait_for("end", len(made.sent), timeout_s=10)
            time.sleep(0.5)
            counts[before] = made.redis.zcard("dead")
    return {"what": "members of the dead set before and after one more job dies", "after": counts}


# --- files -------------------------------------------------------------------------------------


def quantiles(
    values: Sequence[float], percents: Sequence[float] = (50, 90, 95, 99)
) -> dict[str, float]:
    """Return percentiles by name, with linear interpolation."""
    found = np.percentile(values, percents) if len(values) else [math.nan] * len(percents)
    return {f"p{percent:g}": round(float(x), 6) for percent, x in zip(percents, found, strict=True)}


EXPERIMENTS: dict[str, Callable[[], Recording | dict[str, Any]]] = {
    "idle": idle,
    "load-50": lambda: load(20),
    "load-70": lambda: load(28),
    "load-85": lambda: load(34),
    "scheduled": scheduled,
    "scheduled-two-processes": lambda: scheduled(processes=2),
    "scheduled-late-process": lambda: scheduled(processes=2, later_s=40),
    "retry": retry,
    "retry-delays": retry_delays,
    "kill": kill,
    "stale-process": stale_process,
    "term": term,
    "dead-set-trim": dead_set_trim,
}


def versions() -> dict[str, str]:
    """Ask the programs who they are."""
    commands = {
        "sidekiq": ("sidekiq", "--version"),
        "ruby": ("ruby", "--version"),
        "redis": ("redis-server", "--version"),
    }
    return {
        name: subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        for name, command in commands.items()
    }


def write(out: Path, product: str, name: str, got: Recording | dict[str, Any]) -> None:
    """Write the rows of an experiment, and put its parameters beside those of the others."""
    path = out / f"{product}-experiments.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if isinstance(got, Recording):
        write_rows(out / f"{product}-{name}.csv", got.rows)
        got = got.facts
    known[name if name == "versions" else f"{product}-{name}"] = got
    text = json.dumps(dict(sorted(known.items())), indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def existing(out: Path, product: str, names: Sequence[str]) -> list[str]:
    """Name the experiments that have been recorded in a folder before."""
    path = out / f"{product}-experiments.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return [name for name in names if f"{product}-{name}" in known]


def write_rows(path: Path, rows: Sequence[Execution]) -> None:
    """Write a row an execution: seconds with four decimals, nothing where there is nothing."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            values = (getattr(row, column) for column in COLUMNS)
            writer.writerow(f"{v:.4f}" if isinstance(v, float) else v for v in values)


def measure(out: Path, names: Sequence[str]) -> None:
    """Run the experiments one after the other."""
    out.mkdir(parents=True, exist_ok=True)
    write(out, "sidekiq", "versions", versions())
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        write(out, "sidekiq", name, EXPERIMENTS[name]())


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description="Measure Sidekiq for the data set job-queues.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")
    given = parser.parse_args()
    if (there := existing(given.out, "sidekiq", given.only)) and not given.overwrite:
        parser.error(f"{', '.join(there)} would be overwritten; say --overwrite to do so")
    if reason := servers.missing("sidekiq", "redis-server"):
        parser.error(reason)
    measure(given.out, given.only)


if __name__ == "__main__":
    main()
