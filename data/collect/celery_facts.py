"""What the Celery recordings of ``data/job-queues`` show, as the datasheet's tables.

    python data/collect/celery_facts.py data/job-queues

Every number of the datasheet's section on Celery that could be wrong one day comes from here.
"""

from __future__ import annotations

import heapq
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PARAMETERS = "celery-experiments.json"
BROKERS = ("redis", "rabbitmq")
LOADS = ("load-50", "load-70", "load-85")
PERCENTILES = (50, 90, 95, 99)


def load(folder: Path, name: str) -> pd.DataFrame:
    """Read a recording by its name without ``celery-`` and ``.csv``."""
    return pd.read_csv(folder / f"celery-{name}.csv")


def parameters(folder: Path, name: str) -> dict[str, Any]:
    """Read what was set when it was recorded."""
    known = json.loads((folder / PARAMETERS).read_text(encoding="utf-8"))
    return dict(known[f"celery-{name}"])


def waits(sent_s: np.ndarray, work_s: np.ndarray, servers: int, own_s: float = 0) -> np.ndarray:
    """Wait in an ideal queue: one line, first come first served (Kiefer and Wolfowitz 1955).

    ``own_s`` is what a server needs for itself around each job, half of it before the work.

    >>> waits(np.array([0.0, 0, 1]), np.array([3.0, 4, 1]), servers=2).tolist()
    [0.0, 0.0, 2.0]
    """
    free, waited = [0.0] * servers, []
    for sent, work in zip(sent_s, work_s, strict=True):
        start = max(sent, heapq.heappop(free)) + own_s / 2
        heapq.heappush(free, start + work + own_s / 2)
        waited.append(start - sent)
    return np.array(waited)


def turnaround_s(table: pd.DataFrame) -> np.ndarray:
    """Return how long a slot needs from the end of a job to the start of one that waited for it."""
    ordered = table.sort_values("started_s")
    ended = ordered.groupby("slot")["ended_s"].shift()
    return (ordered["started_s"] - ended)[ordered["sent_s"] < ended - 0.01].to_numpy()


def table_of(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """Write a table in Markdown."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def span(values: pd.Series | np.ndarray, digits: int = 2) -> str:
    """Write the least and the most of some numbers, or a dash.

    >>> span(np.array([1.0, 3.0]))
    '1.00 – 3.00'
    """
    if len(values) == 0:
        return "–"
    least, most = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return least if least == most else f"{least} – {most}"


def at(values: pd.Series | np.ndarray, percent: float, unit: float = 1e3, digits: int = 1) -> str:
    """Write a percentile of some seconds, in milliseconds if not told otherwise."""
    return f"{np.nanpercentile(values, percent) * unit:.{digits}f}"


def numbers(values: Any) -> str:
    """Write job numbers or other whole numbers, or a dash."""
    return ", ".join(str(int(value)) for value in values) or "–"


def dispatch_table(folder: Path) -> str:
    """Say how much time the product itself takes."""
    rows = []
    for broker in BROKERS:
        idle, busy = load(folder, f"{broker}-dispatch"), load(folder, f"{broker}-load-85")
        spans = {
            "sent to received by the parent, idle": idle["received_s"] - idle["sent_s"],
            "sent to started, idle": idle["started_s"] - idle["sent_s"],
            "end of a job to start of the next in the slot, load-85": turnaround_s(busy),
            "end of a job to result at the client, load-85": busy["returned_s"] - busy["ended_s"],
            "sleep beyond what was asked, load-85": busy["ended_s"]
            - busy["started_s"]
            - busy["asked_s"],
        }
        rows += [
            (broker, name, at(values, 50, digits=2), at(values, 99, digits=2))
            for name, values in spans.items()
        ]
    return table_of(("broker", "span, ms", "p50", "p99"), rows)


def load_table(folder: Path) -> str:
    """Say what the three utilisations look like from outside."""
    rows = []
    for name in (f"{broker}-{load_name}" for broker in BROKERS for load_name in LOADS):
        seen = load(folder, name)
        waited, trip = seen["started_s"] - seen["sent_s"], seen["returned_s"] - seen["sent_s"]
        busy = (seen["ended_s"] - seen["started_s"]).sum() / 4 / seen["sent_s"].max()
        cells = [at(values, p) for values in (waited, trip) for p in PERCENTILES]
        rows.append((name, len(seen), f"{busy:.3f}", *cells))
    head = [f"{what} p{p}" for what in ("wait", "round trip") for p in PERCENTILES]
    return table_of(("ms", "jobs", "utilisation", *head), rows)


def replayed(seen: pd.DataFrame, own_s: float = 0) -> np.ndarray:
    """Put the jobs of a recording, with the sleeps they had, through an ideal queue of four."""
    seen = seen.sort_values("job")
    slept = seen["ended_s"] - seen["started_s"]
    return waits(seen["sent_s"].to_numpy(), slept.to_numpy(), servers=4, own_s=own_s)


def replay_table(folder: Path) -> str:
    """Hold an ideal queue to the recorded waits, with and without the slots' own time."""
    rows = []
    for broker in BROKERS:
        for name in LOADS:
            seen = load(folder, f"{broker}-{name}")
            own_s = float(np.median(turnaround_s(load(folder, f"{broker}-load-85"))))
            rows += replay_rows(f"{broker}-{name}", seen, own_s)
    own = "with the slots' own time"
    return table_of(("wait, ms", "measured", "ideal", "deviation", own, "deviation"), rows)


def replay_rows(name: str, seen: pd.DataFrame, own_s: float) -> list[tuple[str, ...]]:
    """Compare percentiles of a recording; where the ideal wait is nearly none, in milliseconds."""
    waited = seen["started_s"] - seen["sent_s"]
    rows = []
    for p in PERCENTILES:
        cells = [at(waited, p)]
        for model in (replayed(seen), replayed(seen, own_s)):
            measured, ideal = np.percentile(waited, p), np.percentile(model, p)
            off = f"{measured / ideal - 1:+.1%}" if ideal > 0.01 else f"{measured - ideal:+.4f} s"
            cells += [at(model, p), off]
        rows.append((f"{name} p{p}", *cells))
    return rows


def behind(seen: pd.DataFrame) -> pd.DataFrame:
    """Pick the short jobs that waited for the long one to end, at the same instance."""
    long = seen.iloc[0]
    short = seen.iloc[1:]
    return short[(short["worker"] == long["worker"]) & (short["started_s"] > long["ended_s"])]


def stranded(seen: pd.DataFrame) -> pd.DataFrame:
    """Pick those of them that could have run elsewhere meanwhile: their message was held."""
    held = behind(seen)
    return held[held["received_s"] < seen.iloc[0]["ended_s"] - 0.01]


def prefetch_table(folder: Path) -> str:
    """Say how many jobs were stuck behind the long one."""
    names = [f"{b}-prefetch-{kind}" for b in BROKERS for kind in ("4-early", "1-early", "1-late")]
    rows = []
    for name in [*names, "redis-no-prefetch"]:
        seen = load(folder, name)
        stuck = stranded(seen)
        waited = seen["started_s"] - seen["sent_s"]
        free = waited.drop(stuck.index).iloc[1:]
        rows.append((name, numbers(stuck["job"]), span(waited[stuck.index]), span(free)))
    head = ("recording", "jobs held behind the long one", "their wait, s", "wait of the others, s")
    return table_of(head, rows)


def restarts_s(seen: pd.DataFrame, job: int = 0) -> list[float]:
    """Return when the further executions of a job started."""
    return sorted(seen.loc[seen["job"] == job, "started_s"].dropna())[1:]


def unfinished(seen: pd.DataFrame) -> list[int]:
    """Return the jobs that never ended."""
    return sorted(set(seen["job"]) - set(seen.loc[seen["ended_s"].notna(), "job"]))


def repeated(seen: pd.DataFrame) -> list[int]:
    """Return the jobs that started more than once."""
    runs = seen.dropna(subset="started_s").groupby("job").size()
    return [int(job) for job in runs[runs > 1].index]


def restored(folder: Path, name: str) -> list[int]:
    """Return the jobs that came back to a survivor after the kill, in the order they were received.

    They had been received before, or a job that was sent after them had been.
    """
    killed, _ = victim(folder, name)
    seen = load(folder, name).dropna(subset="received_s").sort_values("received_s")
    again = seen["job"].duplicated() | (seen["job"] < seen["job"].cummax())
    back = seen.loc[(seen["received_s"] > killed) & again, "job"]
    return [int(job) for job in back]


def victim(folder: Path, name: str) -> tuple[float, int]:
    """Return when an instance was killed, and which."""
    workers = parameters(folder, name)["workers"]
    ((killed, number),) = [(w["killed_s"], i) for i, w in enumerate(workers) if w["killed_s"]]
    return float(killed), number


KILLS = (
    "redis-kill-late",
    "redis-kill-late-fast-sweep",
    "redis-kill-early",
    "redis-kill-early-fast-sweep",
    "redis-kill-late-idle-fast-sweep",
    "rabbitmq-kill-late",
    "rabbitmq-kill-early",
    "rabbitmq-kill-late-idle",
)


def kill_table(folder: Path) -> str:
    """Say what a killed instance cost."""
    rows = []
    for name in KILLS:
        seen, (killed, number) = load(folder, name), victim(folder, name)
        back = restored(folder, name)
        first = seen[seen["job"].isin(back) & (seen["received_s"] > killed)]["received_s"].min()
        ready = parameters(folder, name)["workers"][1 - number]["ready_s"]
        rows.append(
            (
                name,
                f"{killed:.2f}",
                numbers(unfinished(seen)),
                numbers(repeated(seen)),
                numbers(back),
                f"{first - killed:.3f}",
                f"{first - ready:.2f}",
                span(np.array([start - killed for start in restarts_s(seen)]), 3),
            )
        )
    head = (
        "recording",
        "killed at, s",
        "jobs never finished",
        "jobs run twice",
        "jobs restored, in order of return",
        "kill to first return, s",
        "survivor ready to first return, s",
        "kill to restart of job 0, s",
    )
    return table_of(head, rows)


def child_table(folder: Path) -> str:
    """Say what a killed child cost."""
    rows = []
    for name in (f"{b}-child-kill-{kind}" for b in BROKERS for kind in ("late", "reject")):
        seen, killed = load(folder, name), parameters(folder, name)["child_killed_s"]
        order = seen.dropna(subset="started_s").sort_values("started_s")["job"]
        after = seen.loc[seen["started_s"] > killed, "started_s"].min() - killed
        again = np.array([start - killed for start in restarts_s(seen)])
        lost = numbers(unfinished(seen))
        rows.append((name, f"{killed:.2f}", lost, numbers(order), f"{after:.2f}", span(again)))
    head = (
        "recording",
        "killed at, s",
        "jobs never finished",
        "order of starts",
        "kill to next start, s",
        "kill to restart of job 0, s",
    )
    return table_of(head, rows)


def copies_table(folder: Path) -> str:
    """Say how often jobs ran that were handed out again while someone held them."""
    rows = []
    for name in ("redis-overlap", "redis-eta-duplicates-late", "redis-eta-duplicates-early"):
        for job, runs in load(folder, name).groupby("job"):
            got, started = sorted(runs["received_s"]), sorted(runs["started_s"])
            rows.append(
                (
                    name,
                    job,
                    len(runs),
                    ", ".join(f"{moment:.2f}" for moment in got),
                    ", ".join(f"{moment:.2f}" for moment in started),
                    numbers(sorted(runs["worker"])),
                )
            )
    head = ("recording", "job", "executions", "received at, s", "started at, s", "workers")
    return table_of(head, rows)


def eta_table(folder: Path) -> str:
    """Say who held jobs that were not due yet, and how late they started."""
    rows = []
    for name in (f"{b}-eta-{kind}" for b in BROKERS for kind in ("hoarding", "lateness")):
        seen, told = load(folder, name), parameters(folder, name)
        late = seen["started_s"] - seen["due_s"]
        received = numbers(worker["received"] for worker in told["workers"])
        length, counts = told.get("queue_length", "–"), told.get("prefetch_counts", ())
        cells = [at(late, p) for p in (0, 50, 90, 99, 100)]
        rows.append((name, len(seen), received, length, numbers(counts), *cells))
    head = ("recording", "jobs", "received by each instance", "left at the broker")
    late_head = tuple(f"late {name}, ms" for name in ("least", "p50", "p90", "p99", "most"))
    return table_of((*head, "prefetch count", *late_head), rows)


LIMITS = (
    "redis-rate-limit",
    "redis-rate-limit-kombu562",
    "redis-rate-limit-two-workers",
    "redis-rate-limit-blocking",
)


def limit_table(folder: Path) -> str:
    """Say when limited jobs start."""
    rows = []
    for name in LIMITS:
        seen = load(folder, name).sort_values("started_s")
        for (task, worker), runs in seen.groupby(["task", "worker"]):
            starts = ", ".join(f"{moment:.2f}" for moment in runs["started_s"])
            rows.append((name, task, worker, len(runs), starts))
    return table_of(("recording", "task", "instance", "jobs", "started at, s"), rows)


def turns_table(folder: Path) -> str:
    """Say which of two free instances took each job."""
    rows = []
    for broker in BROKERS:
        seen = load(folder, f"{broker}-turns").sort_values("job")
        order = "".join(str(worker) for worker in seen["worker"])
        rows.append((f"{broker}-turns", order))
    return table_of(("recording", "instance that ran job 0, 1, 2, …"), rows)


TABLES = {
    "The product's own time": dispatch_table,
    "Three utilisations": load_table,
    "An ideal queue": replay_table,
    "Whose turn it is": turns_table,
    "Prefetching": prefetch_table,
    "A killed instance": kill_table,
    "A killed child": child_table,
    "Copies": copies_table,
    "Jobs for later": eta_table,
    "Rate limits": limit_table,
}


def report(folder: Path) -> str:
    """Write every table."""
    return "\n\n".join(f"### {title}\n\n{table(folder)}" for title, table in TABLES.items())


if __name__ == "__main__":
    print(report(Path(sys.argv[1])))
