"""Pairs of designs: what looks wasteful beside what looks lean, with a figure and a price for both.

Money is dollars a month.  Every figure is simulated or worked out when it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from toolkit import theory
from toolkit.advice import Parts, Prices
from toolkit.arrivals import Poisson
from toolkit.backoff import Backoff, ExponentialBackoff, FullJitter
from toolkit.design import Delivery, Design, Outage, Poll, Stage
from toolkit.laws import Exponential
from toolkit.panels import retries
from toolkit.panels.pools import MONTH_S, SERVICE_S, p99_s
from toolkit.panels.repeated import figure_of
from toolkit.simulation import contention, simulate

MILLION_POLLS = 0.40
"""Dollars for a million requests to a cloud's queue (Amazon SQS, standard queues, US regions)."""


class Row(NamedTuple):
    """One design of a pair: a figure of it, and what its parts cost a month."""

    idea: str
    design: str
    figure: str
    value: float
    a_month: float


def _table(rows: Iterator[Row]) -> pd.DataFrame:
    return pd.DataFrame(rows).set_index(["idea", "design"])


# --- what looks wasteful and wins ---


def wins(*, prices: Prices | None = None, seed: int = 0) -> pd.DataFrame:
    """Return pairs in which the design that looks wasteful, the second, is the better one."""
    return _table(_wins(prices or Prices(), seed))


def _wins(prices: Prices, seed: int) -> Iterator[Row]:
    for count in (8, 10):
        yield Row(
            "idle capacity", f"{count} workers", "s to recover from 10 s of outage",
            recovery_s(count, seed=seed), prices.of(Parts(workers=count)),
        )  # fmt: skip
    for name, done_s in collisions_s(seed=seed).items():
        backoff = prices.of(Parts(knobs=2))  # the first pause and the longest
        yield Row("jitter", name, "s until 100 clients are done", done_s, backoff)
    parts = Parts(state_stores=1, failure_modes=1)
    for name, every_s, price in (
        ("broker pushes", None, prices.of(parts)),
        ("a look a second", 1.0, polls_a_month(1.0)),
    ):
        wait_s = polled_wait_s(every_s, "wait_p95_s", seed=seed)
        yield Row("simple polling", name, "s that 95% of jobs wait at most", wait_s, price)
    for name, cap in (("no cap", None), ("a cap of 12", 12)):
        price = prices.of(Parts(workers=4, knobs=int(cap is not None)))
        yield Row("a queue with a cap", name, "s, p99 of those served", capped_p99_s(cap, seed=seed), price)  # fmt: skip
    for name, code_s in (("fast code", 0.005), ("readable code", 0.010)):
        queue = theory.mm1(arrival_rate_per_s=20.0, service_rate_per_s=1 / code_s)
        p99_ms = 1000 * queue.sojourn_quantile_s(0.99)
        yield Row("readable slow code", name, "ms, p99, for 20 jobs/s", p99_ms, prices.worker)


LOAD_PER_S, OUTAGE_S = 152.0, 10.0


def recovery_s(workers: int, *, replications: int = 20, seed: int = 0) -> float:
    """Return how long after an outage of 10 s a job first meets an idle worker, the mean of some runs."""
    return float(np.mean(recoveries_s(workers, replications=replications, seed=seed)))


def recoveries_s(workers: int, *, replications: int = 20, seed: int = 0) -> list[float]:
    """Return the same, run by run; a fluid says backlog over spare capacity, see ``fluid_recovery_s``."""
    outage = Outage(start_s=20.0, duration_s=OUTAGE_S)
    work = Stage(
        name="work", service=Exponential(mean_s=SERVICE_S), workers=workers, outages=[outage]
    )
    design = Design(arrivals=Poisson(rate_per_s=LOAD_PER_S), stages=[work])
    up_s = outage.start_s + OUTAGE_S
    found = []
    for replication in range(replications):
        jobs = simulate(design, horizon_s=600.0, seed=seed, replication=replication).jobs
        is_well = (jobs["arrived_s"] > up_s) & (jobs["wait_s"] == 0.0)
        found.append(float(jobs.loc[is_well, "arrived_s"].min()) - up_s)
    return found


def fluid_recovery_s(workers: int) -> float:
    """Return the backlog of the outage over what the pool can do beyond its load."""
    return OUTAGE_S * LOAD_PER_S / (workers / SERVICE_S - LOAD_PER_S)


def collisions_s(*, seed: int = 0) -> dict[str, float]:
    """Return when 100 clients at one row are done, without jitter and with: the study of notebook 03."""
    limits = {"base_s": 0.005, "cap_s": 2.0}
    ways: dict[str, Backoff] = {
        "no jitter": ExponentialBackoff(**limits),
        "full jitter": FullJitter(**limits),
    }
    return {
        name: float(
            np.mean(
                [
                    contention(clients=100, backoff=backoff, seed=seed + k).completion_s
                    for k in range(10)
                ]
            )
        )
        for name, backoff in ways.items()
    }


POLLERS, JOBS_PER_S, JOB_S = 4, 1.0, 1.0


def polled_wait_s(every_s: float | None, figure: str, *, seed: int = 0) -> float:
    """Return a figure of background jobs, one a second of a second each, on four workers who look for them.

    ``every_s=None``: a broker pushes.
    """
    fetch = None if every_s is None else Poll(every_s=every_s)
    delivery = Delivery(instances=POLLERS, fetch=fetch) if fetch else None
    work = Stage(name="work", service=Exponential(mean_s=JOB_S), workers=POLLERS, delivery=delivery)
    design = Design(arrivals=Poisson(rate_per_s=JOBS_PER_S), stages=[work])
    return figure_of(design, figure, jobs=4_000, replications=5, seed=seed)[0]


def polls_a_month(every_s: float) -> float:
    """Return what the looks of idle workers cost a month."""
    idle = POLLERS - JOBS_PER_S * JOB_S
    return idle / every_s * MONTH_S / 1e6 * MILLION_POLLS


def capped_p99_s(capacity: int | None, *, seed: int = 0) -> float:
    """Return the p99 of the jobs served in ten minutes of 125% load on four workers."""
    work = Stage(name="work", service=Exponential(mean_s=SERVICE_S), workers=4, capacity=capacity)
    design = Design(arrivals=Poisson(rate_per_s=100.0), stages=[work])
    return float(np.percentile(simulate(design, jobs=60_000, seed=seed).done_ms(), 99)) / 1000


# --- what looks like care and is waste ---


def waste(*, prices: Prices | None = None, seed: int = 0) -> pd.DataFrame:
    """Return pairs in which the second design costs more and brings nothing, or harm."""
    return _table(_waste(prices or Prices(), seed))


def _waste(prices: Prices, seed: int) -> Iterator[Row]:
    for hops in (0, 6):
        parts = Parts(workers=8 + hops, hops=hops, deploy_units=hops, failure_modes=hops)
        sojourn_ms = 1000 * hopped_s(hops, seed=seed)
        yield Row("hops that do nothing", f"{hops} of 5 ms each", "ms, mean", sojourn_ms, prices.of(parts))  # fmt: skip
    for every_s in (1.0, 0.01):
        yield Row(
            "polling faster than needed", f"every {every_s:g} s", "s, mean wait of a job",
            polled_wait_s(every_s, "wait_mean_s", seed=seed), polls_a_month(every_s),
        )  # fmt: skip
    spell = retries.spell(loads_per_s=[74.0], jobs=1_500, seed=1 + seed, replications=range(5))
    done = spell.groupby("policy", sort=False)["done"].mean()
    for policy in ("no retries", "3 at once"):
        price = prices.of(Parts(workers=retries.WORKERS, knobs=retries.KNOBS[policy]))
        yield Row("retries without a budget", policy, "share done, at 74 jobs/s", done[policy], price)  # fmt: skip
    for name, spare in (
        ("root of the load", math.ceil(math.sqrt(LARGE))),
        ("80% busy", LARGE // 4),
    ):
        price = prices.of(Parts(workers=LARGE + spare))
        p99_ms = 1000 * p99_s(LARGE / SERVICE_S, LARGE + spare)
        yield Row("a rule for small pools", name, f"ms, p99, load of {LARGE:,}", p99_ms, price)


LARGE = 1_000


def hopped_s(hops: int, *, seed: int = 0) -> float:
    """Return the mean time of a job in s: a pool of eight, and before it hops of 5 ms that change nothing."""
    return figure_of(hopped(hops), "sojourn_mean_s", jobs=30_000, warmup=2_000, seed=seed)[0]


def hopped(hops: int) -> Design:
    """Return a pool of eight at 100 jobs/s behind so many hops of one worker."""
    passed = [Stage(name=f"hop {k}", service=Exponential(mean_s=0.005)) for k in range(hops)]
    work = Stage(name="work", service=Exponential(mean_s=SERVICE_S), workers=8)
    return Design(arrivals=Poisson(rate_per_s=100.0), stages=[*passed, work])


def hopped_formula_s(hops: int) -> float:
    """Return the same by formula: every stage of a row is a queue of its own (Jackson 1957)."""
    pool = theory.mmc(arrival_rate_per_s=100.0, service_rate_per_s=1 / SERVICE_S, servers=8)
    hop = theory.mm1(arrival_rate_per_s=100.0, service_rate_per_s=200.0)
    return pool.sojourn_s + hops * hop.sojourn_s
