"""Rows of the table where nothing is left to chance: the simulator's answer, to be the same number.

Times are whole numbers of ticks, so that ties are ties and floating point adds exactly.
"""

import json
import math
from fractions import Fraction
from functools import cache

import numpy as np
from rows_systems import flow_of, percentile_in

import toolkit as tk
from toolkit.loadtest.statistics import sample_percentile
from toolkit.simulation import contention
from toolkit.systems.google import CloudTasksBackoff

INSTANT = tk.Deterministic(value_s=0)
AT_ONCE = tk.ConstantBackoff(delay_s=0)


def at(times, *stages, **more):
    return tk.Design(arrivals=tk.Trace(times_s=np.array(times, dtype=float)), stages=stages, **more)


def stage(service=INSTANT, **more):
    return tk.Stage(name="work", service=service, **more)


def limiter_row(p, metric):
    if not metric.startswith("token bucket"):
        return None  # windows are the formula's
    times, rate = flow_of(p), Fraction(p["rate"])
    tick = math.lcm(*(t.denominator for t in times), (1 / rate).denominator)
    limiter = tk.TokenBucket(rate_per_s=1 / float(tick / rate), burst=p["burst"])
    run = tk.simulate(at([int(t * tick) for t in times], stage(limiter=limiter)))
    admitted = (run.jobs["outcome"] == "done").to_numpy()
    return int(np.argmin(admitted)) if "first rejected" in metric else int(admitted.sum())


def envelope_row(p, _):
    """Send more than can pass, in one crowd and then ten times as fast: count a whole window."""
    limiter = tk.TokenBucket(rate_per_s=1 / 10, burst=p["burst"])  # a token takes ten ticks
    ticks = p["window"] * p["rate"] * 10
    run = tk.simulate(at([0] * (2 * p["burst"]) + [*range(1, ticks + 1)], stage(limiter=limiter)))
    return int((run.jobs["outcome"] == "done").sum())


def cloud_tasks_row(p, metric):
    limits = {k: p[k.removesuffix("_s")] for k in ("min_backoff_s", "max_backoff_s")}
    backoff = CloudTasksBackoff(**limits, max_doublings=p["max_doublings"])
    retry = tk.Retry(max_retries=p["retries"], backoff=backoff)
    run = tk.simulate(at([0], stage(failure=1.0, retry=retry)))
    pauses = np.diff(run.attempts["started_s"])
    return pauses.tolist() if metric == "intervals" else float(pauses.sum())


def push_queue_row(p, _):
    """Send all tasks at once, in milliseconds."""
    limiter = tk.TokenBucket(rate_per_s=p["r"] / 1000, burst=p["b"])
    delivery = tk.Delivery(limiter=limiter, limiter_per="queue")
    service = tk.Deterministic(value_s=float(1000 * Fraction(p["s"])))
    run = tk.simulate(at([0] * p["N"], stage(service, workers=p["m"], delivery=delivery)))
    return run.jobs["finished_s"].max() / 1000


def retries_in_outage(budget, most):
    """Count the retries of calls one after another that all fail."""
    retry = tk.Retry(max_retries=most, backoff=AT_ONCE, budget=budget)
    callers = [tk.Caller(retry=retry)]
    run = tk.simulate(at(range(200), stage(failure=1.0), callers=callers))
    return len(run.attempts) - len(run.jobs)


def sdk_outage_row(p, _):
    quota = tk.AwsRetryQuota(capacity=p["capacity"], retry_cost=p["cost"])
    return retries_in_outage(quota, p["max_attempts"] - 1)


def grpc_outage_row(p, _):
    """Only the throttle ends the retries: four attempts of one call would leave one unused."""
    throttle = tk.GrpcThrottle(max_tokens=p["maxTokens"], token_ratio=p["tokenRatio"])
    return retries_in_outage(throttle, None)


def storm_run(p, tick):
    """Play the metastable model; who is turned away is not told, and finds out by the time-out."""
    horizon = p["horizon"] * tick
    again = tk.Retry(max_retries=p["max_retries"], backoff=AT_ONCE)
    callers = [tk.Caller(timeout=p["timeout"] * tick, retry=again)]
    outage = tk.Outage(start_s=p["outage_start"] * tick, duration_s=p["outage_s"] * tick)
    server = stage(
        tk.Deterministic(value_s=tick // p["mu"]),
        capacity=p["queue_cap"],
        when_full="drop",
        outages=[outage],
    )
    arrivals = np.arange(0, horizon + 1, tick // p["lam"])
    # half a tick further, so that what happens at the horizon is still seen
    return tk.simulate(at(arrivals, server, callers=callers), horizon_s=horizon + 0.5)


@cache
def storm(params):
    """Return all that is asked of one storm."""
    p = json.loads(params)
    tick = math.lcm(p["lam"], p["mu"])
    run = storm_run(p, tick)
    records, end = run.records, p["horizon"] * tick
    good = np.sort(run.jobs["finished_s"][run.jobs["outcome"] == "done"].to_numpy())
    after = good[good >= (p["outage_start"] + p["outage_s"]) * tick]
    return {
        "attempts": records.job.size,
        "late": int((run.attempts["outcome"] == "late").sum()),
        "backlog": int((np.isnan(records.started_s) & np.isnan(records.ended_s)).sum()),
        "goodput_last60": float(((good > end - 60 * tick) & (good <= end)).sum() / 60),
        "first_good_after": float(Fraction(int(after[0]), tick)) if after.size else "never",
    }


@cache
def frozen(rate, requests, service, start_s, stall_s):
    """Play one connection and one freeze; a tick is a millisecond."""
    outage = tk.Outage(start_s=1000 * start_s, duration_s=1000 * stall_s)
    server = stage(tk.Deterministic(value_s=float(1000 * Fraction(service))), outages=[outage])
    jobs = tk.simulate(at(np.arange(requests) * (1000 // rate), server)).jobs
    finished = jobs["finished_s"].to_numpy()
    sent = np.maximum(jobs["arrived_s"], np.append(0.0, finished[:-1]))
    return jobs["sojourn_s"].to_numpy(), finished - sent.to_numpy()


def frozen_row(p, metric):
    from_intended, from_sent = frozen(
        p["rate"], p["requests"], p["service"], p["stall_start"], p["stall_s"]
    )
    values = from_intended if "intended" in p["series"] else from_sent
    if metric == "mean s":
        return values.mean() / 1000
    return sample_percentile(values, percentile_in(metric), estimator="inverted_cdf") / 1000


def lockstep_row(backoff, p, metric):
    if p["clients"] > 1 and metric.startswith("mean"):
        return None  # a mean over the jitter
    run = contention(clients=p["clients"], backoff=backoff, hop_std_s=0.0)
    return run.calls if metric == "total write calls" else 1000 * run.completion_s


STUDY = "OCC contention, network delay constant 10 ms, "
EXPONENTIAL = tk.ExponentialBackoff(base_s=0.005, cap_s=2.0)
PLAYED = {
    "limiter on deterministic flow": limiter_row,
    "token bucket envelope": envelope_row,
    "Cloud Tasks retry schedule": cloud_tasks_row,
    "push queue drain": push_queue_row,
    "AWS-SDK retry quota, total outage": sdk_outage_row,
    "gRPC retry throttling, total outage": grpc_outage_row,
    "deterministic metastable": lambda p, m: storm(json.dumps(p))[m],
    "constant-rate generator": frozen_row,
    STUDY + "no backoff": lambda p, m: lockstep_row(None, p, m),
    STUDY + "exponential": lambda p, m: lockstep_row(EXPONENTIAL, p, m),
}


def player_of(row):
    """Return the function that answers a row, ``None`` if there is none."""
    start = max((s for s in PLAYED if row["model"].startswith(s)), key=len, default=None)
    if start == "limiter on deterministic flow" and not row["metric"].startswith("token bucket"):
        return None
    return start and PLAYED[start]


def played(row):
    return player_of(row)(json.loads(row["params"]), row["metric"])
