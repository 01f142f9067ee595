"""How the table of exact results writes everything but queues, and what of ours answers it."""

import math
import re
from fractions import Fraction
from functools import cache, partial

from rows_queues import capped_row, last_number, layers_row, rates

from toolkit import theory
from toolkit.backoff import (
    ConstantBackoff,
    DecorrelatedJitter,
    EqualJitter,
    ExponentialBackoff,
    FullJitter,
)
from toolkit.loadtest.statistics import ESTIMATORS, sample_percentile

# --- limiters ---


def flow_of(p):
    """Return the arrival times of a deterministic flow, in s."""
    gap = Fraction(p["gap"])
    if p["flow"] == "cbr":
        return [k * gap for k in range(p["n"])]
    if p["flow"] == "bursts":
        return [k * gap for k in range(p["n"]) for _ in range(p["size"])]
    on, off = Fraction(p["on"]), Fraction(p["off"])
    each = math.ceil(on / gap)
    return [c * (on + off) + k * gap for c in range(p["cycles"]) for k in range(each)]


LIMITERS = {
    "fixed window": theory.fixed_window_admits,
    "sliding log": theory.sliding_log_admits,
    "sliding window counter": theory.sliding_counter_admits,
}


def limiter_row(p, metric):
    times_s = flow_of(p)
    if metric.startswith("token bucket"):
        admitted = theory.token_bucket_admits(
            times_s, rate_per_s=Fraction(p["rate"]), burst=p["burst"]
        )
        return admitted.index(False) if "first rejected" in metric else sum(admitted)
    rule = next(rule for name, rule in LIMITERS.items() if metric.startswith(name))
    return sum(rule(times_s, limit=int(p["rate"])))


def border_row(p, metric):
    found = re.findall(r"(\d+) at (\S+) s", p["arrivals"])
    times_s = [Fraction(at) for count, at in found for _ in range(int(count))]
    rule = next(rule for name, rule in LIMITERS.items() if metric.startswith(name))
    return sum(rule(times_s, limit=p["limit"], window_s=p["window"]))


def envelope_row(p, _):
    return theory.most_in_window(rate_per_s=p["rate"], burst=p["burst"], window_s=p["window"])


def cloud_tasks_row(p, metric):
    pauses_s = theory.cloud_tasks_pauses_s(
        p["retries"],
        min_backoff_s=p["min_backoff"],
        max_backoff_s=p["max_backoff"],
        max_doublings=p["max_doublings"],
    )
    return pauses_s if metric == "intervals" else sum(pauses_s)


def push_queue_row(p, _):
    return theory.push_queue_makespan_s(
        p["N"],
        rate_per_s=p["r"],
        burst=p["b"],
        workers=p["m"],
        service_s=Fraction(p["s"]),
    )


# --- retries ---


def study(strategy):
    """Return a strategy with the base and cap of the study, in ms."""
    return strategy(base_s=5, cap_s=2000)


def lockstep_row(backoff, p, metric):
    if metric == "total write calls":
        return theory.lockstep_calls(p["clients"])
    return theory.lockstep_s(p["clients"], hop_s=10, backoff=backoff)


def jitter_row(p, metric):
    """Answer for two clients only: with three the loser of one race meets another."""
    if p["clients"] != 2:
        return None
    if metric == "total write calls":
        return theory.lockstep_calls(2)
    return theory.two_clients_mean_s(hop_s=10, backoff=study(FullJitter))


STRATEGIES = {
    "exponential": ExponentialBackoff,
    "full jitter": FullJitter,
    "equal jitter": EqualJitter,
}


def schedule_row(p, _):
    """Take a half for the uniform number: its mean, and these pauses are linear in it."""
    backoff = STRATEGIES[p["kind"]](base_s=p["base"], cap_s=p["cap"])
    return sum(backoff.pause_s(k, 0.5, None) for k in range(p["n"]))


def decorrelated_row(p, _):
    backoff, pause_s = DecorrelatedJitter(base_s=1.0, cap_s=math.inf), None
    for k in range(p["k"]):
        pause_s = backoff.pause_s(k, 0.5, pause_s)
    return pause_s


def budget_answer(q, metric):
    names = {
        "attempts per call": "attempts_per_call",
        "success probability per call": "success",
        "P(a retry is denied by quota) per call": "denied",
        "mean tokens": "tokens",
        "P(token_count > maxTokens/2 at call start)": "open",
    }
    return getattr(q, names[metric]) if metric in names else None


@cache
def quota(p, capacity, cost, attempts, earned):
    return theory.sdk_quota(
        p, capacity=capacity, retry_cost=cost, max_attempts=attempts, earned=earned
    )


def quota_row(p, metric):
    solved = quota(
        p["p"],
        p["capacity"],
        p["retry_cost"],
        p["max_attempts"],
        p["success_no_retry_refund"],
    )
    return budget_answer(solved, metric)


def throttle_row(p, metric):
    solved = theory.grpc_throttle(
        p["p"],
        max_tokens=p["maxTokens"],
        token_ratio=p["tokenRatio"],
        max_attempts=p["maxAttempts"],
    )
    return budget_answer(solved, metric)


def breaker_row(p, metric):
    solved = theory.breaker(
        arrival_rate_per_s=p["lam"], failure=p["p"], threshold=p["k"], open_s=p["open_T"]
    )
    return solved.rejected if "rejected" in metric else solved.success


def cache_row(p, metric):
    if metric.startswith("hidden"):
        return p["db_capacity"]  # with the cache lost all that is left is the database
    return theory.cached_capacity_per_s(service_rate_per_s=p["db_capacity"], hit_rate=p["hit_rate"])


@cache
def storm(**p):
    return theory.retry_storm(
        arrival_rate_per_s=p["lam"],
        service_rate_per_s=p["mu"],
        timeout_s=p["timeout"],
        max_retries=p["max_retries"],
        outage_start_s=p["outage_start"],
        outage_s=p["outage_s"],
        horizon_s=p["horizon"],
        capacity=p["queue_cap"],
    )


def storm_row(p, metric):
    seen = storm(**p)
    return {
        "goodput_last60": lambda: seen.goodput_per_s(p["horizon"] - 60, p["horizon"]),
        "attempts": lambda: seen.attempts,
        "late": lambda: seen.late,
        "backlog": lambda: seen.backlog,
        "first_good_after": lambda: "never" if seen.first_good_s is None else seen.first_good_s,
    }[metric]()


# --- fan-out ---


def slowest_row(p, metric):
    q = theory.SlowestOf(leaves=p["n"], k=p.get("k", p["n"]), mean_s=1.0)
    if metric.startswith("quantile"):
        return q.quantile_s(last_number(metric))
    return {"mean": q.sojourn_s, "variance": q.variance_s2}[metric]


def alone_of(text):
    """Return P(T > t) of exponentials mixed as the table writes it."""
    found = re.findall(r"(\S+) exp\(mean (\S+?)\)", text)
    parts = [(float(share), float(mean)) for share, mean in found] or [(1.0, 1.0)]
    return lambda t: sum(share * math.exp(-t / mean) for share, mean in parts)


def hedged_row(p, metric):
    q = theory.Hedged(alone=alone_of(p["service"]), delay_s=p["hedge_delay"])
    if metric.startswith("extra"):
        return q.extra
    return q.mean_s() if metric == "mean latency" else q.quantile_s(float(metric[1:]) / 100)


# --- measurement ---


def percentile_in(metric):
    return float(re.match(r"p(\S+) ", metric)[1])


def known(model):
    """Return the samples of the two well-known series in microseconds, and the expected interval."""
    if model == "canonical":
        return [1_000] * 10_000 + [100_000_000], 10_000
    return [50_000, 100_000] * 500, 20_000


@cache
def series(model, which):
    values, interval = known(model)
    return values if which == "naive" else theory.corrected(values, expected_interval=interval)


def omission_row(model, p, metric):
    values = series(model, p["series"])
    if "record_corrected_value" in metric:
        naive, interval = known(model)
        return len(theory.corrected(naive, expected_interval=interval, remainder=True))
    if metric == "mean us (HdrHistogram)":
        return theory.histogram_mean(values)
    if "HdrHistogram" in metric:
        return theory.histogram_percentile(values, percentile_in(metric))
    if "nearest rank" in metric:
        return sample_percentile(values, percentile_in(metric), estimator="inverted_cdf")
    mean = sum(values) / len(values)
    return {
        "count": len(values),
        "mean us": mean,
        "population std us": math.sqrt(sum((v - mean) ** 2 for v in values) / len(values)),
    }[metric]


@cache
def frozen(requests, rate, service, start, length):
    return theory.frozen_run(
        requests=requests,
        rate_per_s=rate,
        service_s=Fraction(service),
        freeze_start_s=start,
        freeze_s=length,
    )


def frozen_row(p, metric):
    run = frozen(p["requests"], p["rate"], p["service"], p["stall_start"], p["stall_s"])
    values = run.from_intended_s if "intended" in p["series"] else run.from_sent_s
    if metric == "mean s":
        return sum(values) / len(values)
    return sample_percentile(values, percentile_in(metric), estimator="inverted_cdf")


def quantile_row(p, _):
    return sample_percentile(p["data"], 100 * p["p"], estimator=ESTIMATORS[p["type"] - 1])


def tool_row(estimator, p, _):
    return sample_percentile(p["data"], 100 * p["p"], estimator=estimator)


def hosts_row(p, metric):
    """Percentiles of hosts do not average to the percentile of all."""
    spans = [re.match(r"(\d+)\.\.(\d+)", p[host]) for host in ("hostA", "hostB")]
    hosts = [list(range(int(span[1]), int(span[2]) + 1)) for span in spans]
    read = partial(sample_percentile, percentile=100 * p["p"], estimator="inverted_cdf")
    return sum(map(read, hosts)) / 2 if metric.startswith("mean") else read([*hosts[0], *hosts[1]])


def ranks_row(p, metric):
    found = theory.quantile_ranks(p["n"], p=p["p"])
    return found.coverage if metric == "coverage" else [found.low, found.high]


# --- growth ---

DATA = {
    "raytracer": (
        [1, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64],
        [20, 78, 130, 170, 190, 200, 210, 230, 260, 280, 310],
    ),
    "synthetic02": ([1, 2, 4, 6, 8, 10], [1.0, 1.8868, 3.0769, 3.5294, 3.5398, 3.3557]),
}
"""Throughput by workers; the table has it in some rows only (Gunther 2007; R package usl)."""


def fit_row(p, metric):
    workers, throughput = (p["n"], p["X"]) if "X" in p else DATA[p["dataset"]]
    law = theory.fit_scalability(
        workers,
        throughput,
        gamma=throughput[0] if p["fit"].startswith("gamma fixed") else None,
        physical="UNCONSTRAINED" not in p["fit"],
    )
    return law_answer(law, metric, workers, throughput)


def law_answer(law, metric, workers, throughput):
    if metric == "R^2":
        return law.r_squared(workers, throughput)
    if metric in ("alpha", "beta", "gamma"):
        return getattr(law, metric)
    if metric.startswith("Amdahl asymptote"):
        return law.asymptote
    if metric == "peak X(n*)":
        return law.throughput(law.peak)
    return law.peak if law.peak < math.inf else "none (beta=0)"


def law_row(p, metric):
    law = theory.ScalabilityLaw(alpha=p["alpha"], beta=p["beta"])
    if metric.startswith("peak"):
        return law.peak
    return law.throughput(law.peak if metric == "C(n*)" else p["n"])


def series_parts_row(p, metric):
    share = theory.series_availability(p["a"], parts=p["n"])
    return share if metric == "availability" else theory.downtime_minutes_per_month(share)


def batching_row(p, metric):
    if metric.startswith("mean wait"):
        return theory.batch_fill_wait_s(batch=p["batch"], arrival_rate_per_s=p["lam"])
    return theory.batch_throughput_per_s(
        batch=p["batch"], fixed_s=p["fixed_cost"], per_item_s=p["per_item"]
    )


SYSTEMS = {
    "limiter on deterministic flow": limiter_row,
    "window boundary burst": border_row,
    "token bucket envelope": envelope_row,
    "Cloud Tasks retry schedule": cloud_tasks_row,
    "push queue drain": push_queue_row,
    "OCC contention, network delay constant 10 ms, no backoff": partial(
        lockstep_row, ConstantBackoff(delay_s=0)
    ),
    "OCC contention, network delay constant 10 ms, exponential": partial(
        lockstep_row, study(ExponentialBackoff)
    ),
    "OCC contention, network delay constant 10 ms, full jitter": jitter_row,
    "backoff schedule": schedule_row,
    "decorrelated jitter, uncapped": decorrelated_row,
    "capped retries, iid failure": capped_row,
    "retry amplification in a chain": layers_row,
    "AWS-SDK standard-mode retry quota": quota_row,
    "AWS-SDK retry quota, total outage": lambda p, _: theory.sdk_retries_in_outage(
        capacity=p["capacity"], retry_cost=p["cost"]
    ),
    "gRPC retry throttling, sequential": throttle_row,
    "gRPC retry throttling, total outage": lambda p, _: theory.grpc_failures_in_outage(
        max_tokens=p["maxTokens"]
    ),
    "gRPC retry throttling drift": lambda p, _: theory.grpc_drift_failure(p["tokenRatio"]),
    "consecutive-failure breaker": lambda p, _: theory.calls_to_open(p["p"], threshold=p["k"]),
    "circuit breaker renewal cycle": breaker_row,
    "metastable retry loop: hidden": lambda p, _: theory.hidden_capacity_per_s(
        service_rate_per_s=p["mu"], max_retries=p["max_retries"]
    ),
    "metastable look-aside cache": cache_row,
    "deterministic metastable": storm_row,
    "fan-out: request slow": lambda p, _: theory.any_slow(p["p"], leaves=p["n"]),
    "fan-out: leaf percentile": lambda p, _: theory.leaf_level(p["q"], leaves=p["n"]),
    "max of n iid exp(1)": slowest_row,
    "k-of-n of iid exp(1)": slowest_row,
    "fork-join queue n=2": lambda p, _: theory.fork_join_two_s(**rates(p)),
    "fork-join queue n>2": lambda p, _: theory.fork_join_estimate_s(**rates(p), servers=p["n"]),
    "hedged request": hedged_row,
    "coordinated omission canonical": partial(omission_row, "canonical"),
    "coordinated omission: 50 ms": partial(omission_row, "alternating"),
    "constant-rate generator": frozen_row,
    "serial availability": series_parts_row,
    "parallel redundancy": lambda p, _: theory.redundant_availability(p["a"], copies=p["n"]),
    "Amdahl": lambda p, _: theory.amdahl(p["n"], serial=p["serial"]),
    "Gustafson": lambda p, _: theory.gustafson(p["n"], serial=p["serial"]),
    "USL": law_row,
    "USL fit": fit_row,
    "batching": batching_row,
    "static perfect cache": lambda p, _: theory.zipf_hit_rate(
        cached=p["C"], items=p["n"], exponent=p["a"]
    ),
    "sample quantile, Hyndman-Fan": quantile_row,
    "JMeter Aggregate Report": partial(tool_row, "jmeter_report"),
    "Locust rule": partial(tool_row, "locust"),
    "averaging percentiles": hosts_row,
    "distribution-free CI": ranks_row,
    "minimum n so that the sample maximum": lambda p, _: theory.samples_for_maximum(p["q"]),
}
"""By the start of the model's name; the longest that fits counts."""
