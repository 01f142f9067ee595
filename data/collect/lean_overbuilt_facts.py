"""What the files of ``data/lean-overbuilt`` say, as the datasheet's tables.

    python data/collect/lean_overbuilt_facts.py data/lean-overbuilt

Every request is in two records: the load generator's and the truth, from the stamps of the service's
parts.  ``--parts`` counts the services' parts again and writes ``parts.csv``.
"""

from __future__ import annotations

import argparse
import ast
import io
import math
import tokenize
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from services import shared

SERVICES = ("lean", "celery", "overbuilt")
SOURCES = Path(__file__).resolve().parent / "services"
PROGRAMS = {
    "lean": ("shared", "lean"),
    "celery": ("shared", "celery_tasks", "celery_web"),
    "overbuilt": ("shared", "http_client", "stores", "gateway", "orchestrator", "worker"),
}
COMMON_KNOBS = ("slots", "most unfinished", "deadline", "port")
REDIS_KNOBS = ("appendonly", "save", "URL of Redis")
KNOBS = {
    "lean": ("database file", "journal_mode", "synchronous"),
    "celery": (
        *REDIS_KNOBS,
        "task_acks_late",
        "task_reject_on_worker_lost",
        "worker_prefetch_multiplier",
        "visibility_timeout",
        "unacked_restore_interval",
        "unacked_restore_throttle",
        "broker_connection_retry_on_startup",
        "max_retries of publishing",
        "interval_start of publishing",
        "max_retries of the backend",
        "interval_start of the backend",
        "interval_step of the backend",
        "result_expires",
    ),
    "overbuilt": (
        *REDIS_KNOBS,
        "URL of RabbitMQ",
        "port of the orchestrator",
        "durable queue",
        "delivery mode",
        "prefetch count",
        "connect time-out of AMQP",
        "time-out of the callback",
        "retries of Redis",
        "pause between retries of Redis",
        "pause before the gateway tries again",
        "pause before the worker tries again",
        "pause before the orchestrator connects again",
        "expiry of results",
        "scheduler busy wait of Erlang",
    ),
}
"""What somebody had to choose, by looking through the programs and the starter."""

HOPS = {
    "lean": (),
    "celery": (
        "SUBSCRIBE",
        "LPUSH",
        "BRPOP",
        "ZADD and HSET of the unacknowledged",
        "GET of an earlier result",
        "SETEX and PUBLISH of the result",
        "result to the web process",
        "UNSUBSCRIBE",
        "ZREM and HDEL of the acknowledged",
    ),
    "overbuilt": (
        "gateway to orchestrator",
        "SADD of the accepted",
        "publish to RabbitMQ",
        "RabbitMQ to worker",
        "callback to the orchestrator",
        "SET, SREM and PUBLISH of the result",
        "result to the gateway",
        "acknowledgement to RabbitMQ",
    ),
}
"""Messages over sockets between processes that a job needs, the client's not counted."""

STRUCTURE = {
    "lean": {"processes": 1, "state_stores": 1, "deploy_units": 1, "failure_modes": 1},
    "celery": {"processes": 7, "state_stores": 1, "deploy_units": 3, "failure_modes": 4},
    "overbuilt": {"processes": 9, "state_stores": 2, "deploy_units": 5, "failure_modes": 5},
}
"""``failure_modes``: kinds of parts that can die alone.  ``deploy_units``: kinds started separately."""


def lines_of_code(program: str) -> int:
    """Count the lines of a program that hold code: no comments, docstrings or blanks."""
    text = (SOURCES / f"{program}.py").read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code = [token for token in tokens if token.string.strip()[:1] not in ("", "#")]
    spans = [(token.start[0], token.end[0]) for token in code]
    notes = [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    return len(_lines(spans) - _lines(notes))


def _lines(spans: list[tuple[int, int]]) -> set[int]:
    return {line for first, last in spans for line in range(first, last + 1)}


def parts() -> pd.DataFrame:
    """Count what each service is made of: a row a service."""
    return pd.DataFrame(
        {
            "service": name,
            "processes": STRUCTURE[name]["processes"],
            "hops": len(HOPS[name]),
            **{key: STRUCTURE[name][key] for key in ("state_stores", "deploy_units")},
            "knobs": len(COMMON_KNOBS) + len(KNOBS[name]),
            "lines": sum(lines_of_code(program) for program in PROGRAMS[name]),
            "failure_modes": STRUCTURE[name]["failure_modes"],
        }
        for name in SERVICES
    )


def load_runs(folder: Path) -> pd.DataFrame:
    """Read ``runs.csv``, a row a run by its name."""
    return pd.read_csv(folder / "runs.csv", keep_default_na=True).set_index("run", drop=False)


def load_truth(folder: Path, run: Any) -> pd.DataFrame:
    """Read what truly happened in a run."""
    return pd.read_csv(folder / run["truth"], dtype={"job": str})


def load_client(folder: Path, run: Any) -> pd.DataFrame:
    """Read what the load generator saw: ``start_ms`` from the first arrival, ``elapsed_ms``, ``status``.

    ``status`` is text: ``200``, ``503``, or what went wrong.  JMeter's rows have their ``job``.
    """
    reader = {"jmeter": _jmeter, "h2load": _h2load, "tsung": _tsung}[run["tool"]]
    seen = reader(folder / run["file"])
    seen["start_ms"] -= run["zero_unix_us"] / 1000
    return seen.sort_values("start_ms", kind="stable", ignore_index=True)


def _jmeter(file: Path) -> pd.DataFrame:
    raw = pd.read_csv(file, dtype={"responseCode": str}, keep_default_na=False)
    job = raw["threadName"].str.rpartition("-")[2]
    columns = {"start_ms": raw["timeStamp"], "elapsed_ms": raw["elapsed"]}
    return pd.DataFrame({**columns, "status": raw["responseCode"], "job": job})


def _h2load(file: Path) -> pd.DataFrame:
    raw = pd.read_csv(file, sep="\t", names=["start_us", "status", "elapsed_us"])
    columns = {"start_ms": raw["start_us"] / 1000, "elapsed_ms": raw["elapsed_us"] / 1000}
    return pd.DataFrame({**columns, "status": raw["status"].astype(str)})


def _tsung(file: Path) -> pd.DataFrame:
    raw = pd.read_csv(file, sep=";")
    start = raw["#date"] * 1000 - raw["duration"]  # it notes when the answer was complete
    columns = {"start_ms": start, "elapsed_ms": raw["duration"]}
    return pd.DataFrame({**columns, "status": raw["HTTP status"].astype(str)})


def lateness_ms(run: Any, truth: pd.DataFrame) -> np.ndarray:
    """How much longer each job's work took than was drawn; jobs done once only."""
    once = truth[(truth["starts"] == 1) & (truth["ends"] == 1)]
    drawn = [shared.work_s(str(run["seed"]), job) * run["slow"] for job in once["job"]]
    return ((once["ended_us"] - once["started_us"]) / 1000).to_numpy() - 1000 * np.array(drawn)


def overhead_ms(truth: pd.DataFrame) -> np.ndarray:
    """Time from arrival to answer less the work: queueing and whatever the service does itself."""
    done = truth[truth["status"] == 200]
    return ((done["answered_us"] - done["ended_us"] + done["started_us"]) / 1000).to_numpy()


def facts(folder: Path, run: Any) -> dict[str, str]:
    """Collect the figures of a run, as text."""
    client, truth = load_client(folder, run), load_truth(folder, run)
    good = client.loc[client["status"] == "200", "elapsed_ms"]
    bad = ~client["status"].isin(["200", "503"])
    late = lateness_ms(run, truth)
    return {
        "requests": str(len(client)),
        "refused (503)": str((client["status"] == "503").sum()),
        "failed otherwise": str(bad.sum()),
        "done/s": f"{run['done_in_window'] / run['seconds']:.1f}",
        **{f"p{p}, ms": f"{np.percentile(good, p):.0f}" for p in (50, 95, 99)},
        "mean, ms": f"{good.mean():.1f}",
        "less work, p50, ms": f"{np.median(overhead_ms(truth)):.1f}",
        "core, %": f"{100 * run['cpu_s'] / run['seconds']:.0f}",
        "CPU a job, ms": f"{1000 * run['cpu_s'] / run['done_in_window']:.2f}",
        "work late, mean, ms": f"{late.mean():.2f}",
    }


def load_table(folder: Path) -> str:
    """Lay out the runs in which nothing dies."""
    runs = load_runs(folder)
    quiet = [run for _, run in runs.iterrows() if not isinstance(run["action"], str)]
    rows = [{"run": f"`{run['run']}`", **facts(folder, run)} for run in quiet]
    return markdown(rows)


def outage(folder: Path, run: Any) -> dict[str, Any]:
    """Say what a kill or a deploy did to those who asked.

    ``good_again_s``: from the action to the first good answer after the last bad one was asked for;
    0 if none was bad.
    """
    client = load_client(folder, run)
    action_ms = run["action_s"] * 1000
    after = client[client["start_ms"] + client["elapsed_ms"] > action_ms]
    bad = after[after["status"] != "200"]
    last_bad = bad["start_ms"].max() if len(bad) else -math.inf
    good = after[(after["status"] == "200") & (after["start_ms"] > last_bad)]
    again_ms = (good["start_ms"] + good["elapsed_ms"]).min() - action_ms if len(bad) else 0
    return {
        "failed": int((bad["status"] != "503").sum()),
        "refused": int((bad["status"] == "503").sum()),
        "good_again_s": again_ms / 1000,
        "slowest_good_s": after.loc[after["status"] == "200", "elapsed_ms"].max() / 1000,
    }


def outage_table(folder: Path) -> str:
    """Lay out the crashes and deploys."""
    runs = load_runs(folder)
    rows = []
    for _, run in runs[runs["action"].notna()].iterrows():
        seen = outage(folder, run)
        rows.append(
            {
                "run": f"`{run['run']}`",
                "at, s": f"{run['action_s']:.2f}",
                "part ready again after, s": f"{run['restored_s'] - run['action_s']:.1f}",
                "failed": str(seen["failed"]),
                "refused (503)": str(seen["refused"]),
                "good again after, s": f"{seen['good_again_s']:.2f}",
                "slowest good answer, s": f"{seen['slowest_good_s']:.2f}",
                "jobs lost": str(run["lost"]),
                "jobs done twice": str(run["twice"]),
            }
        )
    return markdown(rows)


def parts_table(folder: Path) -> str:
    """Lay out ``parts.csv``."""
    return markdown(pd.read_csv(folder / "parts.csv", dtype=str).to_dict("records"))


def markdown(rows: list[dict[str, str]]) -> str:
    """Lay out a table."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report(folder: Path) -> str:
    """Write the tables of the datasheet."""
    return "\n\n".join(table(folder) for table in (load_table, outage_table, parts_table))


def main() -> None:
    """Print the tables for the files in a folder."""
    parser = argparse.ArgumentParser(description="Print the datasheet's tables of lean-overbuilt.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parts", action="store_true", help="write parts.csv first")
    given = parser.parse_args()
    if given.parts:
        parts().to_csv(given.folder / "parts.csv", index=False)
    print(report(given.folder))


if __name__ == "__main__":
    main()
