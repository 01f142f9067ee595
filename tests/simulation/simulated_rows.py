"""How the rows of the table of exact results are simulated: a design a row, and what to measure.

A handler takes a row's parameters and returns a ``Trial``: the design, how many jobs to send, how many
to leave out as warm-up, and a function a metric, from a run and its jobs after the warm-up to a number.
"""

import json
import math
from dataclasses import dataclass, field

import numpy as np
from rows_queues import law_of

import toolkit as tk

EXPONENTIAL = tk.Exponential(mean_s=1.0)


@dataclass
class Trial:
    """A design, and what to measure in its runs."""

    design: tk.Design
    metrics: dict
    jobs: int = 2_000
    skip: int = 400
    more: dict = field(default_factory=dict)  # arguments of simulate


def stage(name="work", service=EXPONENTIAL, **more):
    return tk.Stage(name=name, service=service, **more)


def poisson(rate, *stages, **more):
    return tk.Design(arrivals=tk.Poisson(rate_per_s=rate), stages=stages or [stage()], **more)


# --- what is measured: functions of (run, jobs) ---


def share(outcome):
    return lambda _, jobs: (jobs["outcome"] == outcome).mean()


def done(jobs):
    return jobs[jobs["outcome"] == "done"]


def sojourn(_, jobs):
    return done(jobs)["sojourn_s"].mean()


def wait(_, jobs):
    return done(jobs)["wait_s"].mean()


def waits_at_all(_, jobs):
    return (jobs["wait_s"] > 0).mean()


def rate(jobs):
    return (len(jobs) - 1) / (jobs["arrived_s"].iloc[-1] - jobs["arrived_s"].iloc[0])


def inside(_, jobs):
    """Return the jobs inside on average, by Little's law."""
    return rate(jobs) * jobs["sojourn_s"].mean()


def waiting(_, jobs):
    return rate(jobs) * jobs["wait_s"].mean()


def throughput(_, jobs):
    return rate(jobs) * (jobs["outcome"] == "done").mean()


def attempts(_, jobs):
    return jobs["attempts"].mean()


QUEUE = {
    "L": inside,
    "L mean number in system": inside,
    "Lq": waiting,
    "Lq mean number waiting": waiting,
    "W mean response": sojourn,
    "W mean response time": sojourn,
    "W mean response (insensitive)": sojourn,
    "W of accepted": sojourn,
    "Wq": wait,
    "Wq mean wait": wait,
    "Wq mean wait (exact)": wait,
    "Wq of accepted": wait,
    "P(wait) ErlangC": waits_at_all,
    "P(wait>0)": waits_at_all,
    "P(Wq=0)": lambda run, jobs: 1 - waits_at_all(run, jobs),
    "blocking probability": share("rejected"),
    "throughput": throughput,
    "mean response": sojourn,
    "W/S": sojourn,
    "mean end-to-end response": sojourn,
}


def warm_up(load):
    """Ten times 1 / (1 - sqrt(load))^2 services, as the table's text asks."""
    return int(10 / (1 - math.sqrt(load)) ** 2)


def queue(design, load=0.8, **more):
    return Trial(design, QUEUE, skip=warm_up(load), jobs=warm_up(load) + 2_000, **more)


# --- one queue ---


def mmc(p):
    servers, load = p.get("c", 1), p["lam"] / p.get("c", 1)
    if load > 0.9 or servers * load > 50:
        return "so high a load takes more jobs than a test has time for"
    skip = warm_up(load) * min(servers, 4)
    return Trial(
        poisson(p["lam"], stage(workers=servers)),
        QUEUE,
        jobs=skip + 2_500 * min(servers, 4),
        skip=skip,
    )


def erlang_b(p):
    full = stage(workers=p["c"], capacity=p["c"])
    return Trial(poisson(p["lam"], full), QUEUE, jobs=3_000, skip=20 * p["c"] + 100)


def mmck(p):
    full = stage(workers=p["c"], capacity=p["K_total"])
    return Trial(poisson(p["lam"], full), QUEUE, jobs=4_000, skip=1_000)


def mg1(p, **more):
    law = law_of(p["service"])
    if p["lam"] > 0.8:
        return "a load above 0.8 with a spread of services takes more jobs than a test has time for"
    if not math.isfinite(law.moment(3)) or tk.laws.scv(law) > 4:
        return "a tail so heavy that the mean wait of any affordable run is skewed (oracles, section 0)"
    if not hasattr(law, "draw_s"):
        return "a mixture that the toolkit has no law for"
    return queue(poisson(p["lam"], stage(service=law, **more)), p["lam"])


def mdc(p):
    if p["lam"] / p["c"] > 0.9:
        return "a load above 0.9 takes more jobs than a test has time for"
    clockwork = stage(service=tk.Deterministic(value_s=p["D"]), workers=p["c"])
    within = (
        {f"P(Wq<=t) {p['t']}": lambda _, jobs: (jobs["wait_s"] <= p["t"]).mean()}
        if "t" in p
        else {}
    )
    trial = queue(poisson(p["lam"], clockwork), p["lam"] / p["c"])
    return Trial(trial.design, QUEUE | within, jobs=trial.jobs, skip=trial.skip)


def erlang_a(p):
    impatient = stage(workers=p["c"], patience=tk.Exponential(mean_s=1 / p["theta"]))
    metrics = QUEUE | {
        "P(abandon)": share("abandoned"),
        "E[wait] all customers (served or abandoned)": lambda _, jobs: jobs["wait_s"].mean(),
        "E[Lq]": waiting,
    }
    return Trial(poisson(p["lam"], impatient), metrics, jobs=4_000, skip=1_000)


def priority(p, order):
    clocks = "deterministic" in p["services"]
    means = [float(x) for x in p["services"].split() if x.isdigit()] if clocks else None
    laws = (
        [tk.Deterministic(value_s=m) for m in means] if clocks else [EXPONENTIAL] * len(p["lams"])
    )
    total = sum(p["lams"])
    classes = [
        tk.JobClass(name=str(k), share=lam / total, service={"work": law})
        for k, (lam, law) in enumerate(zip(p["lams"], laws, strict=True), start=1)
    ]
    column = "sojourn_s" if order == "preemptive" else "wait_s"

    def of_class(k):
        def mean(run, jobs):
            streams = tk.simulation.streams.Streams(
                seed=run.seed, replication=run.replication, jobs=len(run.jobs)
            )
            kinds = streams.classes({c.name: c.share for c in classes})[jobs.index]
            return jobs[column][kinds == k - 1].mean()

        return mean

    words = "W response class" if order == "preemptive" else "Wq class"
    metrics = {f"{words} {k} (1=highest)": of_class(k) for k in range(1, len(classes) + 1)}
    load = sum(lam * law.moment(1) for lam, law in zip(p["lams"], laws, strict=True))
    design = poisson(total, stage(order=order), classes=classes)
    return Trial(design, metrics | {"Wq": wait}, jobs=warm_up(load) + 4_000, skip=warm_up(load))


def gm1(p):
    if p["lam"] > 0.9:
        return "a load above 0.9 takes more jobs than a test has time for"
    mean_s = 1 / p["lam"]
    laws = {"D": tk.Deterministic(value_s=mean_s), "M": tk.Exponential(mean_s=mean_s)}
    if p["interarrival"].startswith(("E", "Erlang")):
        law = tk.Gamma(mean_s=mean_s, scv=p["ca2"])
    elif p["interarrival"].startswith("H"):
        law = tk.HyperExponential(mean_s=mean_s, scv=p["ca2"])
    else:
        law = laws[p["interarrival"]]
    if p["ca2"] > 2:
        return "so bursty an input takes more jobs than a test has time for"
    return queue(tk.Design(arrivals=tk.Renewal(law=law), stages=[stage()]), p["lam"])


# --- networks, closed and with feedback ---


def jackson(p):
    names = "abc"
    stages = [
        stage(
            names[k],
            tk.Exponential(mean_s=1 / p["mu"][k]),
            workers=p["c"][k],
            routes={names[j]: share for j, share in enumerate(p["P"][k]) if share},
        )
        for k in range(3)
    ]

    def visits(k):
        def per_s(run, jobs):
            rows = run.attempts[run.attempts["job"] >= jobs.index[0]]
            return rate(jobs) * (rows["stage"] == names[k]).sum() / len(jobs)

        return per_s

    def at(k):
        def jobs_there(run, jobs):
            rows = run.attempts[
                (run.attempts["job"] >= jobs.index[0]) & (run.attempts["stage"] == names[k])
            ]
            return rate(jobs) * (rows["ended_s"] - rows["queued_s"]).sum() / len(jobs)

        return jobs_there

    metrics = {"mean end-to-end response": sojourn}
    metrics |= {f"throughput station {k + 1}": visits(k) for k in range(3)}
    metrics |= {f"L station {k + 1}": at(k) for k in range(3)}
    return Trial(poisson(sum(p["gamma"]), *stages), metrics, jobs=2_500, skip=500)


def closed(p, stages, think_s):
    users = p["N"]

    def per_s(_, jobs):
        return (len(jobs) - 1) / (jobs["finished_s"].max() - jobs["finished_s"].min())

    metrics = {
        "throughput X": per_s,
        "mean response R=N/X-Z": sojourn,
        "system response R": sojourn,
        "closed mean response": sojourn,
    }
    think = tk.Exponential(mean_s=think_s) if think_s else tk.Deterministic(value_s=0)
    arrivals = tk.Closed(users=users, think=think)
    jobs = 2_000 + 20 * users
    return Trial(
        tk.Design(arrivals=arrivals, stages=stages), metrics, jobs=jobs, skip=10 * users + 100
    )


def closed_mmc(p):
    if p["N"] > 200:
        return "so many users take longer to settle than a test has time for"
    return closed(
        p, [stage(service=tk.Exponential(mean_s=p["service_S"]), workers=p["c"])], p["think_Z"]
    )


def closed_network(p):
    if p["N"] > 200:
        return "so many users take longer to settle than a test has time for"
    stages = [stage(f"d{k}", tk.Exponential(mean_s=d)) for k, d in enumerate(p["demands"])]
    return closed(p, stages, p["Z"])


def orbit(p):
    servers = p.get("c", 1)
    outside = tk.Retry(
        max_retries=None, backoff=tk.MemorylessBackoff(mean_s=1 / p["theta"]), rejected=True
    )
    door = stage(workers=servers, capacity=servers, retry=outside)

    def first_meets_all_busy(run, jobs):
        rows = run.attempts[(run.attempts["attempt"] == 1) & (run.attempts["job"] >= jobs.index[0])]
        return (rows["outcome"] == "turned away").mean()

    def tries(run, jobs):
        return (run.attempts["job"] >= jobs.index[0]).sum() / len(jobs) - 1

    metrics = {
        "mean orbit size": lambda _, jobs: rate(jobs) * jobs["backoff_s"].mean(),
        "mean response time": sojourn,
        "P(server busy)": first_meets_all_busy,
        "P(all servers busy) as seen by primary arrival": first_meets_all_busy,
        "mean number of retry attempts per customer": tries,
    }
    if p["lam"] / servers > 0.85 or p["theta"] > 4:
        return "so many comings back take more time than a test has"
    return Trial(poisson(p["lam"], door), metrics, jobs=4_000, skip=1_000)


def feedback(p):
    most = p.get("max_attempts")
    retry = tk.Retry(max_retries=most and most - 1, backoff=tk.ConstantBackoff(delay_s=0))
    failing = stage(failure=p.get("p_fail", p.get("p")), retry=retry)
    metrics = QUEUE | {
        "mean total response": sojourn,
        "mean time to final outcome": lambda _, jobs: jobs["sojourn_s"].mean(),
        "fraction finally failed": share("dead"),
        "goodput": throughput,
        "utilisation": lambda _, jobs: rate(jobs) * jobs["service_s"].mean(),
        "server utilisation": lambda _, jobs: rate(jobs) * jobs["service_s"].mean(),
    }
    design = poisson(p["lam"], failing)
    load = design.offered_load()[0].utilisation
    if load > 0.9:
        return "a load above 0.9 takes more jobs than a test has time for"
    return Trial(design, metrics, jobs=warm_up(load) + 3_000, skip=warm_up(load))


# --- limiters and choices ---

INSTANT = tk.Deterministic(value_s=0)


def bucket(p, when_empty):
    limiter = tk.TokenBucket(rate_per_s=p["rate"], burst=p["burst"], when_empty=when_empty)
    metrics = {
        "loss (drop) probability": share("limited"),
        "admitted rate": throughput,
        "P(no wait)": lambda _, jobs: (jobs["wait_s"] == 0).mean(),
        "mean wait": lambda _, jobs: jobs["wait_s"].mean(),
        "P(wait>1)": lambda _, jobs: (jobs["wait_s"] > 1).mean(),
        "P(wait>3)": lambda _, jobs: (jobs["wait_s"] > 3).mean(),
    }
    if when_empty == "wait" and p["lam"] / p["rate"] > 0.9:
        return "a load above 0.9 takes more jobs than a test has time for"
    if p["burst"] > 20 and p["lam"] < 1.2 * p["rate"]:
        return "so deep a bucket is emptied too seldom for a test"
    return Trial(
        poisson(p["lam"], stage(service=INSTANT, limiter=limiter)), metrics, jobs=6_000, skip=1_500
    )


def shortest_of(p, servers, load, jobs, skip):
    replace = p["sampling"] == "with replacement"
    push = tk.Push(to="shortest", choices=p["d"], replacement=replace)
    delivery = tk.Delivery(instances=servers, fetch=push, prefetch=math.inf)
    design = poisson(servers * load, stage(workers=servers, delivery=delivery))
    metrics = {"mean response time": sojourn, "mean time in system": sojourn}
    return Trial(design, metrics, jobs=jobs, skip=skip)


def finite_choice(p):
    if p["rho"] > 0.9:
        return "a load above 0.9 takes more jobs than a test has time for"
    return shortest_of(p, p["n"], p["rho"], jobs=4_000, skip=1_500)


def many_queues(p):
    if p["lam"] > 0.9:
        return "a load of 0.99 takes more jobs than a test has time for"
    return shortest_of(p, p["n"], p["lam"], jobs=6_000, skip=2_500)


# --- tails, hedges, breakers ---


def fork_join(p):
    if p["lam"] > 0.8:
        return "a load above 0.8 takes more jobs than a test has time for"
    each = tk.Delivery(instances=2, fetch=tk.Push(to="each"), prefetch=math.inf)
    pair = stage(workers=2, fan_out=tk.FanOut(tasks=2), delivery=each)
    return Trial(poisson(p["lam"], pair), {"mean job response time": sojourn}, jobs=2_500, skip=500)


def slowest(p):
    if p["n"] > 20:
        return "so many tasks a job are the formula's"
    wide = stage(workers=30 * p["n"], fan_out=tk.FanOut(tasks=p["n"], needed=p.get("k")))
    metrics = {"mean": sojourn, "variance": lambda _, jobs: jobs["sojourn_s"].var()}
    return Trial(poisson(1.0, wide), metrics, jobs=3_000 // p["n"], skip=0)


def hedge(p):
    try:
        law = law_of(p["service"].replace("exp(1)", "exp"))
    except StopIteration:
        return "a law that the toolkit does not have by that name"
    asked_twice = tk.Caller(hedge=tk.Hedge(after_s=p["hedge_delay"]))
    design = poisson(0.1, stage(service=law, workers=100), callers=[asked_twice])

    def twice(run, jobs):
        return len(run.attempts) / len(jobs) - 1

    metrics = {"mean latency": sojourn, "extra requests fraction S(d)": twice}
    if not p["hedge_delay"]:
        metrics = {"mean latency": sojourn}
    if not math.isfinite(law.moment(3)):
        return "a tail too heavy for a mean to be tested"
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
    return Trial(design, metrics, jobs=6_000, skip=500)


def budget(p, rule, most):
    retry = tk.Retry(max_retries=most - 1, backoff=tk.ConstantBackoff(delay_s=0), budget=rule)
    alone = tk.Closed(users=1, think=tk.Deterministic(value_s=1.0))
    failing = stage(service=INSTANT, failure=p["p"])
    design = tk.Design(arrivals=alone, stages=[failing], callers=[tk.Caller(retry=retry)])
    metrics = {"attempts per call": attempts, "success probability per call": share("done")}
    return Trial(design, metrics, jobs=3_000, skip=1_000)


def sdk(p):
    quota = tk.AwsRetryQuota(capacity=p["capacity"], retry_cost=p["retry_cost"])
    if p["p"] in (0.15, 0.18, 0.2):
        return "so near its critical rate the quota drifts for longer than a test has time for"
    return budget(p, quota, p["max_attempts"])


def grpc(p):
    throttle = tk.GrpcThrottle(max_tokens=p["maxTokens"], token_ratio=p["tokenRatio"])
    return budget(p, throttle, p["maxAttempts"])


# --- what was split, joined, put in a row ---


def split(p):
    blind = tk.Delivery(instances=p["c"], fetch=tk.Push(to="random"), prefetch=math.inf)
    if p["c"] > 10:
        return "so many separate queues take more jobs to settle than a test has time for"
    skip = p["c"] * warm_up(p["rho"])
    if skip > 20_000:
        return "so many separate queues take more jobs to settle than a test has time for"
    design = poisson(p["rho"] * p["c"], stage(workers=p["c"], delivery=blind))
    return Trial(design, QUEUE, jobs=skip + 3_000, skip=skip)


def tandem(p):
    if p["stages"] > 10:
        return "so many stages are the formula's"
    hop = tk.Exponential(mean_s=p["total_work"] / p["stages"] + p["per_hop_overhead"])
    load = p["lam"] * hop.mean_s
    if load > 0.9:
        return "a load above 0.9 takes more jobs than a test has time for"
    return queue(
        poisson(p["lam"], *(stage(f"s{k}", hop) for k in range(p["stages"]))), max(load, 0.3)
    )


def scaled(service_s, load, workers=1):
    return queue(
        poisson(
            load * workers / service_s,
            stage(service=tk.Exponential(mean_s=service_s), workers=workers),
        ),
        load,
    )


HANDLERS = {
    "M/M/1 FCFS": mmc,
    "M/M/c FCFS": mmc,
    "M/M/c/c (Erlang B": erlang_b,
    "M/M/c/K": mmck,
    "M/G/1 FCFS (same mix)": lambda p: priority(p, "fifo"),
    "M/G/1 FCFS": mg1,
    "M/G/1 PS": lambda p: mg1(p, order="shared"),
    "M/PH/1 FCFS": mg1,
    "M/D/c FCFS": mdc,
    "M/M/c+M (Erlang A)": erlang_a,
    "M/G/1 non-preemptive priority": lambda p: priority(p, "priority"),
    "M/G/1 preemptive-resume priority": lambda p: priority(p, "preemptive"),
    "M/M/1 SJF": lambda p: queue(poisson(p["lam"], stage(order="shortest")), p["lam"]),
    "G/M/1 FCFS": gm1,
    "Jackson open network": jackson,
    "closed M/M/c//N": closed_mmc,
    "closed network MVA": closed_network,
    "M/M/1 retrial, classical": orbit,
    "M/M/c retrial, classical": orbit,
    "M/M/1 Bernoulli feedback": feedback,
    "M/M/1 with immediate capped": feedback,
    "Poisson stream through token bucket": lambda p: bucket(p, "drop"),
    "Poisson stream shaped by token bucket": lambda p: bucket(p, "wait"),
    "JSQ(d) finite n": finite_choice,
    "JSQ(d) n=100": many_queues,
    "fork-join queue n=2": fork_join,
    "max of n iid": slowest,
    "k-of-n of iid": slowest,
    "hedged request": hedge,
    "circuit breaker renewal": breaker,
    "AWS-SDK standard-mode": sdk,
    "gRPC retry throttling, sequential": grpc,
    "pooling: c separate": split,
    "pooling: one M/M/c": lambda p: scaled(1.0, p["rho"], p["c"]),
    "pooling: one server": lambda p: scaled(1.0 / p["c"], p["rho"]),
    "hockey stick": lambda p: scaled(1.0, p["rho"]) if p["rho"] <= 0.9 else "a load above 0.9",
    "tandem of k M/M/1 stages, own": tandem,
}


def key_of(row):
    """Rows with one key are measured in the same runs."""
    return row["model"], row["params"]


def trial_of(row):
    """Return the trial for a row, or the reason why there is none."""
    start = max((s for s in HANDLERS if row["model"].startswith(s)), key=len, default=None)
    if start is None:
        return "no simulator target: the formula's, or not a system"
    return HANDLERS[start](json.loads(row["params"]))


def runs_of(trial, seed, replications):
    """Return a row of figures for every replication."""
    figures = []
    for replication in range(replications):
        run = tk.simulate(
            trial.design, jobs=trial.jobs, seed=seed, replication=replication, **trial.more
        )
        jobs = run.jobs[trial.skip :]
        figures.append({name: measure(run, jobs) for name, measure in trial.metrics.items()})
    return {name: np.array([f[name] for f in figures]) for name in trial.metrics}
