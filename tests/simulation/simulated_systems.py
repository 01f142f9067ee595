"""How the table's limiters, choices, tails, breakers and retries are simulated: a handler a model."""

import math

from measures import (
    attempts,
    bucket_full,
    calls_to_open,
    column,
    denied,
    has_more_than_half,
    share,
    sojourn,
    tokens,
    visits,
)
from trials import (
    INSTANT,
    TOO_HIGH,
    Trial,
    poisson,
    queue,
    service_law,
    settled,
    stage,
)

import toolkit as tk

# --- limiters and choices ---


def bucket(p, when_empty):
    limiter = tk.TokenBucket(rate_per_s=p["rate"], burst=p["burst"], when_empty=when_empty)
    metrics = {
        "loss (drop) probability": share("limited"),
        "admitted rate": visits("work", only_ok=True),
        "P(bucket full) (time average)": bucket_full(p["rate"], p["burst"]),
        "P(no wait)": lambda _, jobs: (jobs["wait_s"] == 0).mean(),
        "mean wait": column("wait_s"),
        "P(wait>1)": lambda _, jobs: (jobs["wait_s"] > 1).mean(),
        "P(wait>3)": lambda _, jobs: (jobs["wait_s"] > 3).mean(),
    }
    design = poisson(p["lam"], stage(service=INSTANT, limiter=limiter))
    load = p["lam"] / p["rate"]
    if when_empty == "wait":
        return queue(design, load, metrics=metrics, counted=3_000)
    return Trial(design, metrics, jobs=4_500, skip=settled(load) // 2 if load < 0.96 else 1_500)


def shortest_of(p, servers, load, **length):
    replace = p["sampling"] == "with replacement"
    push = tk.Push(to="shortest", choices=p["d"], replacement=replace)
    delivery = tk.Delivery(instances=servers, fetch=push, prefetch=math.inf)
    design = poisson(servers * load, stage(workers=servers, delivery=delivery))
    metrics = {"mean response time": sojourn, "mean time in system": sojourn}
    return Trial(design, metrics, **length)


def finite_choice(p):
    skip = settled(p["rho"], services=p["n"])
    return shortest_of(p, p["n"], p["rho"], jobs=skip + 1_500, skip=skip)


def many_queues(p):
    """Wait for as many mean services as the limit of many queues needs to settle (its equations)."""
    if p["lam"] > 0.95:
        return TOO_HIGH
    skip = int(100 * p["lam"] * {0.5: 20, 0.8: 45, 0.9: 80}[p["lam"]])
    return shortest_of(p, p["n"], p["lam"], jobs=skip + 1_500, skip=skip, replications=8)


# --- tails, hedges, breakers ---


def fork_join(p):
    if p["lam"] > 0.9:
        return "a load above 0.9 of pairs of tasks takes more jobs than a test has time for"
    each = tk.Delivery(instances=2, fetch=tk.Push(to="each"), prefetch=math.inf)
    pair = stage(workers=2, fan_out=tk.FanOut(tasks=2), delivery=each)
    metrics = {"mean job response time": sojourn}
    return queue(poisson(p["lam"], pair), p["lam"], metrics=metrics)


APART = tk.Renewal(law=tk.Deterministic(value_s=60.0))
"""Jobs so far apart that an exponential service of mean 1 never sees the next one come."""


def slowest(p):
    """Leaves take exponential times; ``slow`` and quantiles are read off the same runs."""
    tasks = p["n"]
    if tasks > 100:
        return "a thousand and more tasks a job take more time than a test has"
    wide = stage(workers=tasks, fan_out=tk.FanOut(tasks=tasks, needed=p.get("k")))
    n_th = sum(1 / k for k in range(1, tasks + 1))
    metrics = {
        "mean": sojourn,
        "variance": lambda _, jobs: ((jobs["sojourn_s"] - n_th) ** 2).mean(),
    }
    if "p" in p:
        slow_s = -math.log(p["p"])
        metrics["P(slow)"] = lambda _, jobs: (jobs["sojourn_s"] > slow_s).mean()
    design = tk.Design(arrivals=APART, stages=[wide])
    return Trial(design, metrics, jobs=max(25, 1_500 // tasks), skip=0)


def leaf_level(p, metric):
    """See how often the slowest of n is within the level of a leaf: q^(1/n) is tested as q."""
    trial = slowest({"n": p["n"]})
    if isinstance(trial, str):
        return trial
    level = p["q"] ** (1 / p["n"])
    within = lambda _, jobs: (jobs["sojourn_s"] <= -math.log1p(-level)).mean()  # noqa: E731
    trial.metrics = {metric: (within, lambda value: value ** p["n"])}
    return trial


def hedge(p):
    law = service_law(p["service"])
    asked_twice = tk.Caller(hedge=tk.Hedge(after_s=p["hedge_delay"]))
    rate = 0.5 / law.moment(1)
    design = poisson(rate, stage(service=law, workers=60), callers=[asked_twice])
    metrics = {
        "mean latency": sojourn,
        "extra requests fraction S(d)": lambda run, jobs: len(run.attempts) / len(jobs) - 1,
    }
    return Trial(design, metrics, jobs=1_000, skip=0)


def breaker(p):
    rule = tk.Breaker(failures=p["k"], open_s=p["open_T"])
    design = poisson(
        p["lam"], stage(service=INSTANT, failure=p["p"]), callers=[tk.Caller(breaker=rule)]
    )
    metrics = {
        "long-run fraction of calls rejected": share("rejected"),
        "long-run success fraction of all calls": share("done"),
    }
    return Trial(design, metrics, jobs=4_000, skip=1_000)


ALONE = tk.Closed(users=1, think=tk.Deterministic(value_s=1.0))
"""One caller, a call a second: calls never overlap."""


def run_of_failures(p):
    """Let the breaker open: the call after that is turned away, the one after it is a probe."""
    rule = tk.Breaker(failures=p["k"], open_s=1.5)
    failing = stage(service=INSTANT, failure=p["p"])
    design = tk.Design(arrivals=ALONE, stages=[failing], callers=[tk.Caller(breaker=rule)])
    metric = "expected calls until k consecutive failures"
    metrics = {metric: (calls_to_open, lambda value: 1 / value)}
    return Trial(design, metrics, jobs=3_000, skip=0)


def budget(p, rule, most, skip):
    """``tokens`` and ``denied`` are read off the outcomes of the calls, one after another."""
    retry = tk.Retry(max_retries=most - 1, backoff=tk.ConstantBackoff(delay_s=0), budget=rule)
    failing = stage(service=INSTANT, failure=p["p"])
    design = tk.Design(arrivals=ALONE, stages=[failing], callers=[tk.Caller(retry=retry)])
    metrics = {
        "attempts per call": attempts,
        "success probability per call": share("done"),
        "P(a retry is denied by quota) per call": denied(most),
        "mean tokens": tokens(rule),
        "P(token_count > maxTokens/2 at call start)": has_more_than_half(rule),
    }
    return Trial(design, metrics, jobs=skip + 1_500, skip=skip)


def sdk(p):
    quota = tk.AwsRetryQuota(
        capacity=p["capacity"],
        retry_cost=p["retry_cost"],
        refund=p["success_no_retry_refund"],
    )
    return budget(p, quota, p["max_attempts"], skip=3_000 if p["p"] == 0.3 else 800)


def grpc(p):
    """Near the failure rate where the drift changes its sign, a thousand calls are soon forgotten."""
    throttle = tk.GrpcThrottle(max_tokens=p["maxTokens"], token_ratio=p["tokenRatio"])
    return budget(p, throttle, p["maxAttempts"], skip=5_000 if 0.05 < p["p"] < 0.2 else 500)


# --- retries without a queue ---


def schedule(p):
    kinds = {
        "exponential": tk.ExponentialBackoff,
        "full jitter": tk.FullJitter,
        "equal jitter": tk.EqualJitter,
    }
    backoff = kinds[p["kind"]](base_s=p["base"], cap_s=p["cap"])
    return hopeless(backoff, p["n"], {"expected total delay": column("backoff_s")})


def decorrelated(p):
    backoff = tk.DecorrelatedJitter(base_s=1.0, cap_s=math.inf)
    return hopeless(
        backoff,
        p["k"],
        {"E[s_k]": lambda run, _: run.records.paused_s[p["k"] :: p["k"] + 1].mean()},
    )


def hopeless(backoff, retries, metrics):
    failing = stage(
        service=INSTANT, failure=1.0, retry=tk.Retry(max_retries=retries, backoff=backoff)
    )
    return Trial(poisson(1.0, failing), metrics, jobs=400, skip=0)


def capped(p):
    retry = tk.Retry(max_retries=p["m"] - 1, backoff=tk.ConstantBackoff(delay_s=0))
    failing = stage(service=INSTANT, failure=p["p"], retry=retry)
    metrics = {"expected attempts per call": attempts, "final failure probability": share("dead")}
    return Trial(poisson(1.0, failing), metrics, jobs=500 if p["p"] == 1 else 3_000, skip=0)


def chain(p):
    """Each layer is a caller around the next."""
    retry = tk.Retry(max_retries=p["m"] - 1, backoff=tk.ConstantBackoff(delay_s=0))
    failing = stage(service=INSTANT, failure=p["p"])
    design = poisson(1.0, failing, callers=[tk.Caller(retry=retry)] * p["layers"])
    metrics = {
        "leaf attempts per user request": attempts,
        "user-visible failure probability": share("dead"),
    }
    return Trial(design, metrics, jobs=2 if p["p"] == 1 else 500, skip=0)
