"""What the files of one ``http-pool`` measurement say, and whether a model can predict them.

Two records of the same requests are put side by side: JMeter's file (what a client saw) and the
service's own log (what truly happened).  The model is the smallest one there is: jobs in order of
arrival, each to the worker that is free first (Kiefer and Wolfowitz, 1955).

    python data/collect/http_pool_facts.py data/http-pool

prints the tables of the datasheet.
"""

from __future__ import annotations

import argparse
import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import http_pool_service as service
import numpy as np
import pandas as pd
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
PERCENTILES = (50, 95, 99)
SEEDS = 50


@dataclass(frozen=True, slots=True)
class Measurement:
    """Both records of one rate, in order of arrival; ``client`` from JMeter, ``server`` its truth."""

    name: str
    client: pd.DataFrame
    server: pd.DataFrame

    @property
    def arrivals_s(self) -> Numbers:
        """Starts of the requests as JMeter stamped them, in seconds from the first."""
        return (self.client["timeStamp"] - self.client["timeStamp"].min()).to_numpy() / 1000


def load(folder: Path, rate: int) -> Measurement:
    """Read the JMeter file of a rate and the service's log beside it."""
    jtl, log = folder / f"rate-{rate:03d}.jtl", folder / f"server-{rate:03d}.csv.gz"
    client = pd.read_csv(jtl, dtype={"responseCode": str}, keep_default_na=False)
    return Measurement(
        name=jtl.name,
        client=client.sort_values("timeStamp", kind="stable", ignore_index=True),
        server=pd.read_csv(log).sort_values("arrived_us", kind="stable", ignore_index=True),
    )


def load_all(folder: Path) -> dict[int, Measurement]:
    """Read every rate in a folder, the lowest first."""
    rates = sorted(int(path.stem[5:]) for path in folder.glob("rate-*.jtl"))
    return {rate: load(folder, rate) for rate in rates}


def sojourns(arrivals: Numbers, services: Numbers, workers: int = service.WORKERS) -> Numbers:
    """Time in a FIFO system with equal workers, job by job.

    >>> sojourns(np.array([0.0, 0.0, 1.0]), np.array([3.0, 4.0, 1.0]), workers=2).tolist()
    [3.0, 4.0, 3.0]
    """
    free = [-math.inf] * workers
    out = np.empty(len(arrivals))
    for job, (arrived, work) in enumerate(zip(arrivals.tolist(), services.tolist(), strict=True)):
        ended = max(arrived, free[0]) + work
        heapq.heapreplace(free, ended)
        out[job] = ended - arrived
    return out


def client_overhead_ms(seen: Measurement) -> Numbers:
    """Elapsed time at the client less time in the service, requests matched by order of completion.

    Two replies within the same millisecond may be matched crosswise; the median doesn't mind.
    """
    client, server = seen.client, seen.server
    by_client = (client["timeStamp"] + client["elapsed"]).argsort(kind="stable")
    replied = server["arrived_us"] + server["wait_us"] + server["work_us"] + server["reply_us"]
    by_server = replied.argsort(kind="stable")
    sojourn_ms = (replied - server["arrived_us"]).to_numpy()[by_server] / 1000
    return client["elapsed"].to_numpy()[by_client] - sojourn_ms


def lateness_ms(seen: Measurement) -> Numbers:
    """How much longer each job's work took than was drawn: the machine's fault, not the queue's."""
    intended_ms = 1000 * np.array(intended(seen.server, seen.name))
    return seen.server["work_us"].to_numpy() / 1000 - intended_ms


def busy_us(server: pd.DataFrame) -> Numbers:
    """How long each job kept its worker: the work, and writing the reply."""
    return (server["work_us"] + server["reply_us"]).to_numpy(dtype=float)


def dispatch_us(server: pd.DataFrame) -> Numbers:
    """How late each job started, once it was there and one of the workers was idle."""
    free = [-math.inf] * service.WORKERS
    late = np.empty(len(server))
    columns = (server["arrived_us"].tolist(), server["wait_us"].tolist(), busy_us(server).tolist())
    for job, (arrived, wait, busy) in enumerate(zip(*columns, strict=True)):
        late[job] = arrived + wait - max(arrived, free[0])
        heapq.heapreplace(free, arrived + wait + busy)
    return late


def most_overtaken(start: Numbers, end: Numbers) -> int:
    """Count how many earlier arrivals a request overtook, at most.

    With c workers and first in, first out it is c - 1: whoever starts finds only c - 1 others,
    all earlier, still in service.
    """
    ends: list[float] = []  # of the earlier arrivals, those not yet gone
    most = 0
    for arrived, done in zip(start.tolist(), end.tolist(), strict=True):
        ends = [other for other in ends if other > arrived]
        most = max(most, sum(other > done for other in ends))
        ends.append(done)
    return most


def dispersion(arrivals_s: Numbers, window_s: float = 1.0) -> float:
    """Variance over mean of the counts in windows that follow each other; 1 for Poisson."""
    windows = int(arrivals_s[-1] // window_s)
    counts = np.histogram(arrivals_s, bins=windows, range=(0, windows * window_s))[0]
    return float(counts.var(ddof=1) / counts.mean())


def facts(seen: Measurement) -> dict[str, str]:
    """Collect the datasheet's figures of one file, as text."""
    client, server = seen.client, seen.server
    span_s = seen.arrivals_s[-1]
    gaps = np.diff(server["arrived_us"])  # microseconds: at the client a gap has whole ms only
    work_us = server["work_us"]
    late_ms = lateness_ms(seen)
    return {
        "requests": f"{len(client)}",
        "label": ", ".join(client["label"].unique()),
        "failed": f"{(client['success'].astype(str).str.lower() != 'true').sum()}",
        "duration, first to last start, s": f"{span_s:.1f}",
        "rate, requests/s": f"{len(client) / span_s:.1f}",
        **{f"elapsed p{p}, ms": f"{np.percentile(client['elapsed'], p):.0f}" for p in PERCENTILES},
        "elapsed mean, ms": f"{client['elapsed'].mean():.2f}",
        "most threads at once": f"{client['allThreads'].max()}",
        "arrivals: dispersion of counts in 1 s": f"{dispersion(seen.arrivals_s):.2f}",
        "arrivals: scv of gaps": f"{gaps.var() / gaps.mean() ** 2:.2f}",
        "server: utilisation": f"{busy_us(server).sum() / 1e6 / service.WORKERS / span_s:.3f}",
        "server: work mean, ms": f"{work_us.mean() / 1000:.2f}",
        "server: work scv": f"{work_us.var() / work_us.mean() ** 2:.2f}",
        "server: wait mean, ms": f"{server['wait_us'].mean() / 1000:.2f}",
        "server: wait p99, ms": f"{np.percentile(server['wait_us'], 99) / 1000:.1f}",
        "work beyond what was drawn, mean, ms": f"{late_ms.mean():.2f}",
        "work beyond what was drawn, median / p99, ms": _median_p99(late_ms),
        "work beyond what was drawn, most, ms": f"{late_ms.max():.0f}",
        "from idle worker to start, median / p99, ms": _median_p99(dispatch_us(server) / 1000),
        "from end of work to reply written, median / p99, ms": _median_p99(
            server["reply_us"] / 1000
        ),
        "client: elapsed less server sojourn, median, ms": (
            f"{np.median(client_overhead_ms(seen)):.2f}"
        ),
        "most earlier requests overtaken (4 workers FIFO: at most 3)": str(overtaken(server)),
    }


def _median_p99(values: Numbers) -> str:
    return f"{np.median(values):.2f} / {np.percentile(values, 99):.2f}"


def overtaken(server: pd.DataFrame) -> int:
    """Apply ``most_overtaken`` to the service's log."""
    start = server["arrived_us"].to_numpy(dtype=float)
    end = start + server["wait_us"].to_numpy() + server["work_us"].to_numpy()
    return most_overtaken(start, end)


def intended(server: pd.DataFrame, name: str, seed: int = 2026) -> list[float]:
    """Repeat the draws of the service for a file ``rate-NNN.jtl``, in seconds."""
    draws = service.durations(f"{seed + int(name[5:8])}/work")
    return [next(draws) for _ in range(len(server))]


def predicted(seen: Measurement, overhead_s: float) -> Numbers:
    """Percentiles in ms under the known law: one row a seed, one column a percentile."""
    spread = math.sqrt(math.log(1 + service.SCV))
    mu = math.log(service.MEAN_S) - spread**2 / 2
    rows = []
    for seed in range(SEEDS):
        work = np.random.default_rng(seed).lognormal(mu, spread, len(seen.client))
        rows.append(np.percentile(sojourns(seen.arrivals_s, work) + overhead_s, PERCENTILES))
    return 1000 * np.array(rows)


def prediction_rows(seen: Measurement, overhead_ms: float) -> list[list[str]]:
    """Compare the file with the law, and with the very draws the service made."""
    measured = np.percentile(seen.client["elapsed"], PERCENTILES)
    guesses = predicted(seen, overhead_ms / 1000)
    same = sojourns(seen.arrivals_s, np.array(intended(seen.server, seen.name)))
    same_draws = np.percentile(1000 * same + overhead_ms, PERCENTILES)
    return [
        [
            f"`{seen.name}` p{p}",
            f"{measured[i]:.0f}",
            f"{guesses[:, i].mean():.1f}",
            f"{guesses[:, i].min():.1f} – {guesses[:, i].max():.1f}",
            f"{measured[i] / guesses[:, i].mean() - 1:+.1%}",
            f"{same_draws[i]:.1f}",
            f"{measured[i] / same_draws[i] - 1:+.1%}",
        ]
        for i, p in enumerate(PERCENTILES)
    ]


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """Lay out a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def facts_table(measurements: Mapping[int, Measurement]) -> str:
    """Lay out the facts, a column a file."""
    columns = [facts(seen) for seen in measurements.values()]
    header = ["", *(f"`{seen.name}`" for seen in measurements.values())]
    return markdown(header, [[name, *(column[name] for column in columns)] for name in columns[0]])


def prediction_table(measurements: Mapping[int, Measurement]) -> str:
    """Lay out measured against predicted; the overhead is taken from the lowest rate alone."""
    overhead_ms = float(np.median(client_overhead_ms(measurements[min(measurements)])))
    header = ["ms", "measured", "predicted", f"range of {SEEDS} seeds", "deviation"]
    rows = [row for seen in measurements.values() for row in prediction_rows(seen, overhead_ms)]
    return markdown([*header, "same draws", "deviation"], rows)


def report(folder: Path) -> str:
    """Write both tables of the datasheet for the files in a folder."""
    measurements = load_all(folder)
    return f"{facts_table(measurements)}\n\n{prediction_table(measurements)}"


def main() -> None:
    """Print the tables for the files in a folder."""
    parser = argparse.ArgumentParser(description="Print the datasheet's tables of http-pool.")
    parser.add_argument("folder", type=Path)
    print(report(parser.parse_args().folder))


if __name__ == "__main__":
    main()
