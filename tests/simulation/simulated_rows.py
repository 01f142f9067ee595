"""How the rows of the table of exact results are simulated.

A handler takes a row's parameters and returns a ``Trial``, or says why there is none.
"""

import json
import math

from measures import (
    inside,
    share,
)
from simulated_queues import (
    closed_mmc,
    closed_network,
    erlang_a,
    erlang_b,
    feedback,
    gm1,
    jackson,
    mdc,
    mg1,
    mmc,
    mmck,
    open_and_closed,
    orbit,
    priority,
    shared,
    transient,
)
from simulated_systems import (
    breaker,
    bucket,
    capped,
    chain,
    decorrelated,
    finite_choice,
    fork_join,
    grpc,
    hedge,
    leaf_level,
    many_queues,
    run_of_failures,
    schedule,
    sdk,
    slowest,
)
from trials import (
    INSTANT,
    QUEUE,
    TOO_HIGH,
    Trial,
    common,
    poisson,
    queue,
    settled,
    stage,
)

import toolkit as tk

# --- what was split, joined, put in a row ---


def split(p):
    blind = tk.Delivery(instances=p["c"], fetch=tk.Push(to="random"), prefetch=math.inf)
    skip = p["c"] * settled(p["rho"])
    if skip > 20_000:
        return "so many separate queues take more jobs to settle than a test has time for"
    design = poisson(p["rho"] * p["c"], stage(workers=p["c"], delivery=blind))
    return Trial(design, QUEUE, jobs=skip + 1_500, skip=skip)


def tandem(p):
    hop = tk.Exponential(mean_s=p["total_work"] / p["stages"] + p["per_hop_overhead"])
    stages = [stage(f"s{k}", hop) for k in range(p["stages"])]
    return queue(poisson(p["lam"], *stages), max(p["lam"] * hop.mean_s, 0.3))


def shared_tandem(p):
    """On one shared server a job does its stages' work without a break: an Erlang amount of it."""
    total_s = p["total_work"] + p["stages"] * p["per_hop_overhead"]
    work = tk.Gamma(mean_s=total_s, scv=1 / p["stages"])
    return queue(poisson(p["lam"], stage(service=work, order="shared")), p["lam"] * total_s)


def monolith(p, metric):
    k, rate = p["k"], p["k"] * p["rho"]
    if metric.startswith("monolith"):
        return mmc({"c": k, "lam": rate})
    if p["rho"] > 0.8:
        return "a row of stages at so high a load takes more jobs than a test has time for"
    hop = tk.Exponential(mean_s=1 / k)
    return queue(poisson(rate, *(stage(f"s{n}", hop) for n in range(k))), p["rho"])


def scaled(service_s, load):
    if load > 0.95:
        return TOO_HIGH
    fast = stage(service=tk.Exponential(mean_s=service_s))
    return queue(poisson(load / service_s, fast), load)


def parts_in_series(p):
    parts = [stage(f"s{k}", INSTANT, failure=1 - p["a"]) for k in range(p["n"])]
    metrics = {
        "availability": share("done"),
        "expected downtime minutes per 30-day month": (
            lambda _, jobs: (jobs["outcome"] != "done").mean(),
            lambda minutes: minutes / (30 * 24 * 60),
        ),
    }
    return Trial(poisson(1.0, *parts), metrics, jobs=200 + 3_000 // p["n"], skip=0)


def little(p):
    """Enough workers for all: what is inside is the rate times the time."""
    ample = stage(service=tk.Deterministic(value_s=p["R"]), workers=300)
    return Trial(poisson(p["X"], ample), {"in-flight N": inside}, jobs=2_500, skip=500)


HANDLERS = {
    "M/M/1 FCFS": mmc,
    "M/M/1 transient": transient,
    "M/M/c FCFS": mmc,
    "M/M/c/c (Erlang B": erlang_b,
    "M/M/c/K": mmck,
    "M/G/1 FCFS (same mix)": lambda p: priority(p, "fifo"),
    "M/G/1 FCFS": mg1,
    "M/G/1 PS": lambda p: mg1(p, order="shared"),
    "M/PH/1 FCFS": mg1,
    "M/D/1 FCFS": mdc,
    "M/D/c FCFS": mdc,
    "M/M/c+M (Erlang A)": erlang_a,
    "M/M/1 PS": shared,
    "M/G/1 non-preemptive priority": lambda p: priority(p, "priority"),
    "M/G/1 preemptive-resume priority": lambda p: priority(p, "preemptive"),
    "M/M/1 SJF": lambda p: queue(poisson(p["lam"], stage(order="shortest")), p["lam"]),
    "G/M/1 FCFS": gm1,
    "Jackson open network": jackson,
    "closed M/M/c//N": closed_mmc,
    "closed network MVA": closed_network,
    "open M/M/1 vs closed": open_and_closed,
    "M/M/1 retrial, classical": orbit,
    "M/M/c retrial, classical": orbit,
    "M/M/1 Bernoulli feedback": feedback,
    "M/M/1 with immediate capped": feedback,
    "Poisson stream through token bucket": lambda p: bucket(p, "drop"),
    "Poisson stream shaped by token bucket": lambda p: bucket(p, "wait"),
    "JSQ(d) finite n": finite_choice,
    "JSQ(d) n=100": many_queues,
    "fork-join queue n=2": fork_join,
    "fan-out: request slow": slowest,
    "fan-out: leaf percentile": leaf_level,
    "max of n iid": slowest,
    "k-of-n of iid": slowest,
    "hedged request": hedge,
    "circuit breaker renewal": breaker,
    "consecutive-failure breaker": run_of_failures,
    "AWS-SDK standard-mode": sdk,
    "gRPC retry throttling, sequential": grpc,
    "backoff schedule": schedule,
    "decorrelated jitter": decorrelated,
    "capped retries, iid": capped,
    "retry amplification in a chain": chain,
    "pooling: c separate": split,
    "pooling: one M/M/c": lambda p: mmc({"c": p["c"], "lam": p["rho"] * p["c"]}),
    "pooling: one server": lambda p: scaled(1.0 / p["c"], p["rho"]),
    "hockey stick": lambda p: scaled(1.0, p["rho"]),
    "tandem of k M/M/1 stages, own": tandem,
    "tandem of k M/M/1 stages, all": shared_tandem,
    "k servers: monolith": monolith,
    "serial availability": parts_in_series,
    "Little's law": little,
}
BY_METRIC = (open_and_closed, leaf_level, monolith)  # these are told which metric is asked for


def reading_of(row):
    """Return ``(trial, measure, want)`` for a row, or the reason why there is none, or ``None``."""
    start = max((s for s in HANDLERS if row["model"].startswith(s)), key=len, default=None)
    if start is None:
        return None
    handler, p, metric = HANDLERS[start], json.loads(row["params"]), row["metric"]
    trial = handler(p, metric) if handler in BY_METRIC else handler(p)
    if isinstance(trial, str):
        return trial
    value = float(row["value"])
    found = trial.metrics.get(metric)
    if found is None:
        return common(trial, metric, value, p) or f"of the formula, or too wild: {metric[:40]}"
    measure, want_of = found if isinstance(found, tuple) else (found, lambda value: value)
    return trial, measure, want_of(value)
