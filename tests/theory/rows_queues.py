"""How the table of exact results writes a queue, and which function of ``theory`` answers it."""

import math
import re
from dataclasses import dataclass
from functools import partial

import pytest
from scipy.optimize import brentq

from toolkit import theory
from toolkit.laws import (
    Deterministic,
    Exponential,
    Gamma,
    HyperExponential,
    LogNormal,
    Pareto,
    Uniform,
)


@dataclass
class Mixture:
    """As much of a law as a formula asks for: the moments of laws mixed by weight."""

    parts: list

    def moment(self, k):
        """Return E[X^k] of the mixture."""
        whole = sum(weight for weight, _ in self.parts)
        return sum(weight * law.moment(k) for weight, law in self.parts) / whole


def law_of(text):
    """Read a service law as the table writes it."""
    found = re.findall(r"(SCV=|alpha=|Erlang-)(\d+\.?\d*)", text)
    number = {name[:-1]: float(value) for name, value in found}
    if text.startswith("bimodal"):
        short, rare, long = map(float, re.search(r": (\S+) w.p. 1-(\S+), (\S+) w", text).groups())
        return Mixture(
            [(1 - rare, Deterministic(value_s=short)), (rare, Deterministic(value_s=long))]
        )
    laws = {
        "deterministic(1)": lambda: Deterministic(value_s=1.0),
        "exp": lambda: Exponential(mean_s=1.0),
        "Erlang": lambda: Gamma(mean_s=1.0, scv=1.0 / number["Erlang"]),
        "uniform(0,2)": lambda: Uniform(low_s=0.0, high_s=2.0),
        "H2": lambda: HyperExponential(mean_s=1.0, scv=number["SCV"]),
        "lognormal": lambda: LogNormal(mean_s=1.0, scv=number["SCV"]),
        "Pareto": lambda: Pareto(mean_s=1.0, alpha=number["alpha"]),
    }
    return next(make() for start, make in laws.items() if text.startswith(start))


def rates(p):
    return {"arrival_rate_per_s": p["lam"], "service_rate_per_s": p["mu"]}


def last_number(text):
    return float(re.findall(r"\d+\.?\d*", text)[-1])


def queue_answer(q, metric):
    """Find in a solved queue what the table calls ``metric``; None if it has no such thing."""
    level = re.search(r"quantile p=(\S+)", metric)
    if level:
        ask = "wait_quantile_s" if metric.startswith("wait") else "sojourn_quantile_s"
        return getattr(q, ask)(float(level[1])) if hasattr(q, ask) else None
    names = {
        "L": "jobs",
        "L mean number in system": "jobs",
        "Lq": "waiting",
        "Lq mean number waiting": "waiting",
        "W mean response": "sojourn_s",
        "W mean response time": "sojourn_s",
        "W of accepted": "sojourn_s",
        "mean response": "sojourn_s",
        "mean response R=N/X-Z": "sojourn_s",
        "mean total response": "sojourn_s",
        "mean time to final outcome": "sojourn_s",
        "open mean response": "sojourn_s",
        "Wq": "wait_s",
        "Wq mean wait": "wait_s",
        "Wq of accepted": "wait_s",
        "mean wait": "wait_s",
        "std of wait": "wait_std_s",
        "W mean response (insensitive)": "sojourn_shared_s",
        "P(wait) ErlangC": "prob_wait",
        "P(wait>0)": "prob_wait",
        "P(abandon)": "prob_abandon",
        "E[wait] all customers (served or abandoned)": "wait_s",
        "E[Lq]": "waiting",
        "sigma root": "prob_wait",
        "Wq mean wait (exact)": "wait_s",
        "mean orbit size": "orbit",
        "P(server busy)": "prob_busy",
        "P(all servers busy) as seen by primary arrival": "prob_busy",
        "mean response time": "sojourn_s",
        "mean number of retry attempts per customer": "retries_per_job",
        "system response R": "sojourn_s",
        "mean end-to-end response": "sojourn_s",
        "P(station empty)": "prob_idle",
        "P(bucket full) (time average)": "full",
        "blocking probability": "prob_blocked",
        "loss (drop) probability": "lost",
        "admitted rate": "admitted_per_s",
        "throughput": "throughput_per_s",
        "throughput X": "throughput_per_s",
        "goodput": "goodput_per_s",
        "fraction finally failed": "dead",
        "final failure probability": "dead",
        "user-visible failure probability": "dead",
        "utilisation": "utilisation",
        "server utilisation": "utilisation",
        "utilisation per server": "utilisation",
        "var of number in system": "jobs_variance",
        "asymptotic variance const of time-average N (time units of 1/mu)": "jobs_asymptotic_variance_s",
        "asymptotic variance const of customer-average Wq": "wait_asymptotic_variance_s2",
    }
    return getattr(q, names[metric]) if metric in names else None


def mm1_row(p, metric):
    q = theory.mm1(**rates(p))
    if metric.startswith("P(N>="):
        return q.prob_at_least(int(last_number(metric)))
    if metric.startswith("customers for 95%"):
        percent = float(re.search(r"(\d+)% of Wq", metric)[1])
        return q.jobs_to_simulate(relative_error=percent / 100)
    return queue_answer(q, metric)


def mmck_row(p, metric):
    return queue_answer(theory.mmck(**rates(p), servers=p["c"], capacity=p["K_total"]), metric)


def mg1_row(p, metric):
    service = law_of(p["service"])
    if "ES2" in p:
        assert service.moment(2) == pytest.approx(p["ES2"], rel=1e-12)
    q = theory.mg1(arrival_rate_per_s=p["lam"], service=service)
    return 1 - q.prob_wait if metric == "P(Wq=0)" else queue_answer(q, metric)


def mix_row(p, metric):
    clocks = re.match(r"deterministic (\d+) and (\d+)", p["services"])
    laws = [Deterministic(value_s=float(x)) for x in clocks.groups()] if clocks else None
    laws = laws or [Exponential(mean_s=1.0)] * len(p["lams"])
    mixed = Mixture(list(zip(p["lams"], laws, strict=True)))
    return queue_answer(theory.mg1(arrival_rate_per_s=sum(p["lams"]), service=mixed), metric)


def mdc_row(p, metric):
    if p["c"] == 1:
        return md1_row(p, metric)
    q = theory.mdc(arrival_rate_per_s=p["lam"], service_s=p["D"], servers=p["c"])
    if metric == "P(Wq<=t)":
        return q.wait_cdf(p["t"])
    if metric.startswith("Cosmetatos"):
        work = {"service_rate_per_s": 1 / p["D"], "servers": p["c"]}
        return q.wait_s / theory.mmc(arrival_rate_per_s=p["lam"], **work).wait_s
    return queue_answer(q, metric)


def md1_row(p, metric):
    q = theory.md1(arrival_rate_per_s=p["lam"], service_s=p.get("D", 1))
    if metric == "P(Wq<=t)":
        return theory.md1_wait_cdf(p["t"], arrival_rate_per_s=p["lam"], service_s=p.get("D", 1))
    if metric.startswith("Cosmetatos"):
        return (
            q.wait_s / theory.mm1(arrival_rate_per_s=p["lam"], service_rate_per_s=1 / p["D"]).wait_s
        )
    return queue_answer(q, metric)


def bucket(p):
    return {"arrival_rate_per_s": p["lam"], "rate_per_s": p["rate"], "burst": p["burst"]}


def waiting_bucket_row(p, metric):
    q = theory.token_bucket_wait(**bucket(p))
    if metric.startswith("P(wait>"):
        return q.wait_tail(last_number(metric))
    return 1 - q.prob_wait if metric == "P(no wait)" else queue_answer(q, metric)


def capped_row(p, metric):
    if "attempts" in metric:
        return theory.attempts_per_job(p["p"], p["m"] - 1)
    q = theory.mm1_retries(
        arrival_rate_per_s=1e-6, service_rate_per_s=1, failure=p["p"], max_retries=p["m"] - 1
    )
    return queue_answer(q, metric)


def layers_row(p, metric):
    if "attempts" in metric:
        return theory.attempts_through_layers(p["p"], p["m"] - 1, p["layers"])
    return capped_row({"p": p["p"], "m": p["m"] ** p["layers"]}, metric)


def retries_row(p, metric):
    failure = p.get("p_fail", p.get("p"))
    retries = p["max_attempts"] - 1 if "max_attempts" in p else None
    q = theory.mm1_retries(**rates(p), failure=failure, max_retries=retries)
    is_tail = metric.startswith("P(N>=")
    return q.prob_at_least(int(last_number(metric))) if is_tail else queue_answer(q, metric)


def interactive_row(p, metric):
    q = theory.closed_mmc(
        users=p["N"], think_s=p["think_Z"], service_rate_per_s=1 / p["service_S"], servers=p["c"]
    )
    return queue_answer(q, metric)


def open_closed_row(p, metric):
    solve = partial(theory.closed_mmc, users=p["N"], service_rate_per_s=1 / p["S"], servers=1)
    think_s = brentq(
        lambda z: solve(think_s=z).utilisation - p["utilisation"], 1e-3, 1e5, xtol=1e-12, rtol=1e-14
    )
    closed_s = solve(think_s=think_s).sojourn_s
    opened_s = theory.mm1(
        arrival_rate_per_s=p["utilisation"] / p["S"], service_rate_per_s=1 / p["S"]
    ).sojourn_s
    return {
        "think time Z giving that utilisation": think_s,
        "closed mean response": closed_s,
        "open mean response": opened_s,
        "ratio open/closed": opened_s / closed_s,
    }[metric]


def pooling_row(which, p, metric):
    q = theory.pooling(
        arrival_rate_per_s=p["rho"] * p["mu"] * p["c"], service_rate_per_s=p["mu"], servers=p["c"]
    )
    return q.wait_ratio if which == "ratio" else queue_answer(getattr(q, which), metric)


def staffing_row(p, metric):
    servers = theory.servers_needed(p["offered_load"], prob_wait=p["target"])
    spare = (servers - p["offered_load"]) / math.sqrt(p["offered_load"])
    return servers if metric == "c" else spare


def tandem_row(p, _):
    hop_s = p["total_work"] / p["stages"] + p["per_hop_overhead"]
    q = theory.mm1(arrival_rate_per_s=p["lam"], service_rate_per_s=1 / hop_s)
    return p["stages"] * q.sojourn_s


def shared_tandem_row(p, _):
    work = Exponential(mean_s=p["total_work"] + p["stages"] * p["per_hop_overhead"])
    return theory.mg1(arrival_rate_per_s=p["lam"], service=work).sojourn_shared_s


def monolith_row(p, metric):
    k, rate = p["k"], p["rho"] * p["k"]
    if metric.startswith("monolith"):
        return theory.mmc(arrival_rate_per_s=rate, service_rate_per_s=1, servers=k).sojourn_s
    return k * theory.mm1(arrival_rate_per_s=rate, service_rate_per_s=k).sojourn_s


def transient_row(p, metric):
    jobs = theory.mm1_jobs_at(p["t"], **rates(p))
    steady = theory.mm1(**rates(p)).jobs
    return {"E[N(t)]": jobs, "E[N(t)] / steady state": jobs / steady}[metric]


def phases_row(p, metric):
    q = theory.mph1(arrival_rate_per_s=p["lam"], service=law_of(p["service"]))
    return 1 - q.prob_wait if metric == "P(Wq=0)" else queue_answer(q, metric)


def impatient_row(p, metric):
    q = theory.erlang_a(**rates(p), servers=p["c"], patience_rate_per_s=p["theta"])
    return queue_answer(q, metric)


def shared_row(p, metric):
    if metric == "variance of response time":
        return theory.mm1_shared_sojourn_variance_s2(**rates(p))
    if metric.startswith("E[response | size="):
        return theory.shared_sojourn_s(p["size"], utilisation=p["lam"] / p["mu"])
    return None


def priority_row(p, metric, *, preemptive):
    q = theory.priority(
        arrival_rates_per_s=p["lams"],
        services=classes(p),
        preemptive=preemptive,
    )
    which = q[int(re.search(r"class (\d+)", metric)[1]) - 1]
    return which.wait_s if metric.startswith("Wq") else which.sojourn_s


def classes(p):
    """Read the service laws of the classes, as the table writes them."""
    clocks = re.match(r"deterministic (.*)", p["services"])
    if clocks:
        return [Deterministic(value_s=float(x)) for x in re.findall(r"\d+\.?\d*", clocks[1])]
    assert re.fullmatch(r"exp[a-z0-9, ]* mean 1( x\d+)?", p["services"]), p["services"]
    return [Exponential(mean_s=1.0)] * len(p["lams"])


def gaps_of(p):
    """Read an interarrival law with mean 1 / lam."""
    mean_s, text = 1.0 / p["lam"], p["interarrival"]
    if text == "D":
        return Deterministic(value_s=mean_s)
    return law_of("exp" if text.startswith("M") else text).times(mean_s)


def renewal_row(p, metric):
    return queue_answer(theory.gm1(interarrival=gaps_of(p), service_rate_per_s=p["mu"]), metric)


def any_queue_row(formula, p, _):
    return formula(interarrival=gaps_of(p), service=Exponential(mean_s=1.0 / p["mu"]))


def jackson_row(p, metric):
    q = theory.open_network(
        arrival_rates_per_s=p["gamma"],
        service_rates_per_s=p["mu"],
        servers=p["c"],
        routes=p["P"],
    )
    if "station" not in metric:
        return queue_answer(q, metric)
    station = q.stations[int(last_number(metric)) - 1]
    return station.jobs if metric.startswith("L") else station.arrival_rate_per_s


def closed_row(p, metric):
    network = {"users": p["N"], "think_s": p["Z"], "demands_s": p["demands"]}
    if metric.startswith("X upper bound"):
        return theory.network_bounds(**network).throughput_per_s
    q = theory.closed_network(**network)
    return max(q.jobs) if metric == "queue at bottleneck" else queue_answer(q, metric)


def orbit_row(p, metric):
    return queue_answer(theory.mm1_orbit(**rates(p), retry_rate_per_s=p["theta"]), metric)


def constant_orbit_row(p, metric):
    return queue_answer(theory.mm1_constant_orbit(**rates(p), retry_rate_per_s=p["theta"]), metric)


def orbits_row(p, metric):
    q = theory.mmc_orbit(**rates(p), servers=p["c"], retry_rate_per_s=p["theta"])
    return queue_answer(q, metric)


def supermarket_row(p, metric):
    q = theory.supermarket(arrival_rate_per_s=p["lam"], service_rate_per_s=1, choices=p["d"])
    return q.prob_at_least(p["k"]) if "s_k" in metric else q.sojourn_s


MOST = {2: 400, 3: 45, 4: 27}
"""Queues no longer than that, by servers: the table does not go further, and states are many."""


def longest_queue(p):
    """Return a length that a queue reaches less often than the last digit compared can tell."""
    return min(MOST[p["n"]], math.ceil(36 / (p["d"] * -math.log(p["rho"]))) + 5)


def shortest_row(p, _):
    return theory.join_shortest_sojourn_s(
        arrival_rate_per_s=p["n"] * p["rho"],
        service_rate_per_s=1,
        servers=p["n"],
        choices=p["d"],
        longest=longest_queue(p),
        replace=p["sampling"] == "with replacement",
    )


QUEUES = {
    "M/M/1 FCFS": mm1_row,
    "M/M/1 transient": transient_row,
    "M/M/c FCFS": lambda p, m: queue_answer(theory.mmc(**rates(p), servers=p["c"]), m),
    "M/M/c/c (Erlang B": lambda p, _: theory.erlang_b(p["lam"] / p["mu"], p["c"]),
    "M/M/c/K": mmck_row,
    "M/M/c+M": impatient_row,
    "M/G/1 FCFS (same mix)": mix_row,
    "M/G/1 FCFS": mg1_row,
    "M/G/1 PS": mg1_row,
    "M/M/1 PS": shared_row,
    "M/PH/1 FCFS": phases_row,
    "M/D/1 FCFS": md1_row,
    "M/D/c FCFS": mdc_row,
    "M/G/1 non-preemptive": partial(priority_row, preemptive=False),
    "M/G/1 preemptive-resume": partial(priority_row, preemptive=True),
    "M/M/1 SJF": lambda p, _: theory.mm1_shortest_first_wait_s(**rates(p)),
    "G/M/1": renewal_row,
    "G/G/1 Kingman upper bound": partial(any_queue_row, theory.kingman_bound_s),
    "G/G/1 Kingman heavy-traffic": partial(any_queue_row, theory.kingman_estimate_s),
    "Jackson": jackson_row,
    "closed M/M/c//N": interactive_row,
    "closed network": closed_row,
    "M/M/1 retrial, classical": orbit_row,
    "M/M/1 retrial, constant": constant_orbit_row,
    "M/M/c retrial": orbits_row,
    "M/M/1 Bernoulli feedback": retries_row,
    "M/M/1 with immediate capped retries": retries_row,
    "Poisson stream through token bucket": lambda p, m: queue_answer(
        theory.token_bucket(**bucket(p)), m
    ),
    "Poisson stream shaped by token bucket": waiting_bucket_row,
    "supermarket": supermarket_row,
    "JSQ(d) finite n": shortest_row,
    "open M/M/1 vs closed M/M/1//N": open_closed_row,
    "pooling: c separate": partial(pooling_row, "split"),
    "pooling: one M/M/c": partial(pooling_row, "pooled"),
    "pooling: one server": partial(pooling_row, "fast"),
    "pooling: ratio": partial(pooling_row, "ratio"),
    "hockey stick": lambda p, _: (
        theory.mm1(arrival_rate_per_s=p["rho"], service_rate_per_s=1).sojourn_s
    ),
    "staffing": staffing_row,
    "tandem of k M/M/1 stages, own server": tandem_row,
    "tandem of k M/M/1 stages, all stages": shared_tandem_row,
    "k servers: monolith": monolith_row,
    "Little's law": lambda p, _: theory.jobs_inside(p["X"], p["R"]),
}
"""By the start of the model's name; the longest that fits counts."""
