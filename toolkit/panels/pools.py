"""Pools and their price: how busy one may be, how it is divided, and how many workers that takes.

Money is dollars a month.  One kind of work throughout, so that figures can be compared: exponential, 50 ms.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cache
from typing import Literal

import pandas as pd

from toolkit import theory
from toolkit.advice import Prices
from toolkit.arrivals import Poisson
from toolkit.design import Delivery, Design, JobClass, Push, Stage
from toolkit.laws import Deterministic, Exponential, Gamma, HyperExponential, Law
from toolkit.panels.repeated import figure_of

SERVICE_S = 0.05
WORKER = Prices().worker
"""Dollars a month for a worker: about one virtual processor with 2 GB."""

MONTH_S = 730 * 3600.0

WORK: dict[str, Law] = {
    "always 50 ms": Deterministic(value_s=SERVICE_S),
    "exponential": Exponential(mean_s=SERVICE_S),
    "heavy (scv 4)": HyperExponential(mean_s=SERVICE_S, scv=4.0),
}

Choice = Literal["one queue", "random", "round robin", "shortest"]
_CHOICES: dict[str, Choice] = {
    "own queues, a random one": "random",
    "own queues, each in turn": "round robin",
    "own queues, the shortest": "shortest",
    "one queue for all": "one queue",
}


def pool(
    load_per_s: float,
    workers: int,
    *,
    queues: int = 1,
    choice: Choice = "random",
    service: Law = WORK["exponential"],
) -> Design:
    """Return a pool with one queue, or one divided into ``queues`` that a job is assigned to by ``choice``."""
    delivery = None
    if choice != "one queue" and queues > 1:
        delivery = Delivery(instances=queues, fetch=Push(to=choice), prefetch=math.inf)
    work = Stage(name="work", service=service, workers=workers, delivery=delivery)
    return Design(arrivals=Poisson(rate_per_s=load_per_s), stages=[work])


@cache
def _solved(load_per_s: float, workers: int) -> theory.MMc:
    return theory.mmc(
        arrival_rate_per_s=load_per_s, service_rate_per_s=1.0 / SERVICE_S, servers=workers
    )


@cache
def p99_s(load_per_s: float, workers: int) -> float:
    """Return what 99% of the jobs of a pool take at most, in s, by formula."""
    return _solved(load_per_s, workers).sojourn_quantile_s(0.99)


def busy(load_per_s: float, *, workers: Sequence[int], worker: float = WORKER) -> pd.DataFrame:
    """Return what a pool gives at a price, by formula, a row a number of workers.

    ``busy``: utilisation; ``p50_ms``, ``p99_ms`` of the sojourn; ``room``: how much more load would fill it;
    ``a_month`` at the price of a ``worker``.
    """
    rows = {}
    for count in workers:
        solved = _solved(load_per_s, count)
        rows[count] = {
            "busy": solved.utilisation,
            "p50_ms": 1000 * solved.sojourn_quantile_s(0.5),
            "p99_ms": 1000 * p99_s(load_per_s, count),
            "room": 1 / solved.utilisation - 1,
            "a_month": worker * count,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("workers")


def warmup_jobs(utilisation: float) -> int:
    """Return after how many jobs an empty pool is about as full as it will be: six of its time scales."""
    return math.ceil(6 * utilisation / (1 - math.sqrt(utilisation)) ** 2)


def waits(
    load_per_s: float, *, workers: Sequence[int], jobs: int = 300_000, seed: int = 0
) -> pd.DataFrame:
    """Return the mean wait in ms by formula and simulated, with four standard errors, a row a pool."""
    rows = {}
    for count in workers:
        solved = _solved(load_per_s, count)
        seen = _wait_ms(pool(load_per_s, count), solved.utilisation, jobs=jobs, seed=seed)
        rows[count] = {"formula": 1000 * solved.wait_s, **seen}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("workers")


def _wait_ms(design: Design, utilisation: float, *, jobs: int, seed: int) -> dict[str, float]:
    mean, error = figure_of(
        design, "wait_mean_s", jobs=jobs, warmup=warmup_jobs(utilisation), seed=seed
    )
    return {"simulated": 1000 * mean, "4 errors": 1000 * error}


def arrangements(
    load_per_s: float, *, workers: int, worker: float = WORKER, jobs: int = 60_000, seed: int = 0
) -> pd.DataFrame:
    """Return the mean wait in ms of one pool with one queue or a queue a worker, by how a queue is chosen.

    ``as quick``: how many workers the arrangement needs for the p99 of one queue, where a formula says;
    ``a_month``: the price of these.
    """
    goal_s = p99_s(load_per_s, workers)
    rows = {}
    for name, choice in _CHOICES.items():
        design = pool(load_per_s, workers, queues=workers, choice=choice)
        needed = _as_quick(load_per_s, goal_s, workers, choice)
        rows[name] = {
            "formula": 1000 * _formula_s(load_per_s, workers, choice),
            **_wait_ms(design, load_per_s * SERVICE_S / workers, jobs=jobs, seed=seed),
            "as quick": needed,
            "a_month": worker * needed,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arrangement")


def _formula_s(load_per_s: float, workers: int, choice: Choice) -> float:
    """Return the mean wait; nan where there is no formula for so many queues."""
    match choice:
        case "one queue":
            return _solved(load_per_s, workers).wait_s
        case "random":
            return _solved(load_per_s / workers, 1).wait_s
        case "round robin":  # every c-th job of a Poisson stream: Erlang gaps
            gaps = Gamma(mean_s=workers / load_per_s, scv=1 / workers)
            return theory.gm1(interarrival=gaps, service_rate_per_s=1 / SERVICE_S).wait_s
        case _:
            return math.nan


def _as_quick(load_per_s: float, goal_s: float, workers: int, choice: Choice) -> float:
    """Return the workers with queues of their own at which the p99 is within the goal."""
    if choice == "one queue":
        return workers
    if choice != "random":
        return math.nan
    return next(n for n in itertools.count(workers) if p99_s(load_per_s / n, 1) <= goal_s)


QUICK_PER_S, LONG_PER_S, LONG_S = 99.0, 1.0, 4.0


def kept_apart(
    *,
    together: Sequence[int],
    apart: Sequence[tuple[int, int]],
    worker: float = WORKER,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the p99 in ms of the wait of quick jobs (99/s) and of long ones (1/s, 4 s), a row a design.

    ``together``: one pool for both, simulated; ``apart``: workers for the quick and for the long, by formula.
    """
    rows = {}
    for workers in together:
        both_s, _ = figure_of(_mixed(workers), "wait_p99_s", jobs=60_000, warmup=10_000, seed=seed)
        # first come, first served: a job waits alike, whatever it is
        rows[f"{workers} for both"] = (both_s, both_s, workers)
    for quick, long in apart:
        own_s = _solved(QUICK_PER_S, quick).wait_quantile_s(0.99)
        theirs = theory.mmc(
            arrival_rate_per_s=LONG_PER_S, service_rate_per_s=1 / LONG_S, servers=long
        )
        rows[f"{quick} and {long} apart"] = (own_s, theirs.wait_quantile_s(0.99), quick + long)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["quick", "long", "workers"])
    table[["quick", "long"]] *= 1000
    return table.assign(a_month=worker * table["workers"]).rename_axis("workers for whom")


def _mixed(workers: int) -> Design:
    total = QUICK_PER_S + LONG_PER_S
    long = {"work": Exponential(mean_s=LONG_S)}
    kinds = [
        JobClass(name="quick", share=QUICK_PER_S / total),
        JobClass(name="long", share=LONG_PER_S / total, service=long),
    ]
    work = Stage(name="work", service=WORK["exponential"], workers=workers)
    return Design(arrivals=Poisson(rate_per_s=total), stages=[work], classes=kinds)


def staffing(
    loads: Sequence[int], *, prob_wait: float = 0.2, rule: float = 0.8, worker: float = WORKER
) -> pd.DataFrame:
    """Return the workers with which at most ``prob_wait`` of the jobs wait, a row an offered load.

    ``spare``: workers beyond the load, the square root of which is beside it; ``by_rule``: how many
    "at most so busy" (``rule``) asks for; ``rule_costs``: what it costs more a month, negative where it
    asks for too few.
    """
    rows = {}
    for load in loads:
        needed = theory.servers_needed(load, prob_wait=prob_wait)
        by_rule = math.ceil(round(load / rule, 9))
        rows[load] = {
            "workers": needed,
            "spare": needed - load,
            "root": math.sqrt(load),
            "busy": load / needed,
            "by_rule": by_rule,
            "rule_costs": worker * (by_rule - needed),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("load, workers' worth")


def cheapest(
    loads: Sequence[float],
    *,
    slow: Sequence[float],
    slow_s: float = 0.5,
    worker: float = WORKER,
) -> pd.DataFrame:
    """Return how busy the cheapest pool is: a row an offered load, a column a price of a slow job.

    A job is slow beyond ``slow_s``; the bill of a pool is its workers and its slow jobs of a month.
    """
    rows = {
        load: {price: load / _cheapest(load, price, slow_s, worker) for price in slow}
        for load in loads
    }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("load, workers' worth")
    return table.rename_axis(columns="dollars for a slow job")


def _cheapest(load: float, slow: float, slow_s: float, worker: float) -> int:
    """Return the workers at which one more costs more than it saves: the bill has one dip."""

    def bill(workers: int) -> float:
        per_s = load / SERVICE_S
        slow_jobs = MONTH_S * per_s * _solved(per_s, workers).sojourn_tail(slow_s)
        return worker * workers + slow * slow_jobs

    least = math.floor(load) + 1
    return next(n for n in itertools.count(least) if bill(n + 1) >= bill(n))
