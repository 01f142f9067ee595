"""The formulas, against numbers worked out elsewhere and against each other.

The first test compares with a table of exact results (30 to 80 digit arithmetic, linear solves).
The others need no table: they are theorems, and what a formula must say at its limits.
"""

import csv
import json
import math
import re
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
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
    Weibull,
)

# --- the table of exact results ---------------------------------------------------------------

ORACLES = Path(__file__).parents[2] / "shared" / "oracles" / "oracles_open.csv"


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


def md1_row(p, metric):
    if p.get("c", 1) > 1:
        return None
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


def closed_row(p, metric):
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


COVERED = {
    "M/M/1 FCFS": mm1_row,
    "M/M/c FCFS": lambda p, m: queue_answer(theory.mmc(**rates(p), servers=p["c"]), m),
    "M/M/c/c (Erlang B": lambda p, _: theory.erlang_b(p["lam"] / p["mu"], p["c"]),
    "M/M/c/K": mmck_row,
    "M/G/1 FCFS (same mix)": mix_row,
    "M/G/1 FCFS": mg1_row,
    "M/G/1 PS": mg1_row,
    "M/PH/1 FCFS": mg1_row,
    "M/D/1 FCFS": md1_row,
    "M/D/c FCFS": md1_row,
    "closed M/M/c//N": closed_row,
    "M/M/1 Bernoulli feedback": retries_row,
    "M/M/1 with immediate capped retries": retries_row,
    "Poisson stream through token bucket": lambda p, m: queue_answer(
        theory.token_bucket(**bucket(p)), m
    ),
    "Poisson stream shaped by token bucket": waiting_bucket_row,
    "capped retries, iid failure": capped_row,
    "retry amplification in a chain": layers_row,
    "metastable retry loop: hidden": lambda p, _: (
        p["mu"] / theory.attempts_per_job(1.0, p["max_retries"])
    ),
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

# What is not covered, and why; the longest start of a model's name counts.
LATER = {
    "M/M/1 transient": "no closed form; needs uniformisation",
    "M/PH/1 FCFS": "quantiles need a matrix exponential",
    "M/D/c FCFS": "more than one server needs Crommelin's linear system",
    "M/M/c+M": "impatient jobs (Erlang A): not written yet",
    "M/M/1 PS": "variance and by-size law of a shared server: not written yet",
    "M/G/1 non-preemptive": "priorities: not written yet",
    "M/G/1 preemptive": "priorities: not written yet",
    "M/M/1 SJF": "needs Phipps's integral",
    "G/M/1": "needs the transform of the interarrival law",
    "Jackson": "networks: not written yet",
    "closed network MVA": "networks: not written yet",
    "M/M/1 retrial": "orbits: not written yet",
    "M/M/c retrial": "orbits: not written yet",
    "2": "a limiter or a product, job by job: design and systems",
    "3": "choice among queues: not written yet",
    "4": "retry policies: backoff, design and the simulator",
    "5": "fan-out and hedging: not written yet",
    "6": "measurement: loadtest",
    "7": "scaling laws, caches and batches: not queues",
    "8": "percentiles: loadtest",
}


def handler(model):
    return next((row for start, row in COVERED.items() if model.startswith(start)), None)


def reason(row):
    """Say why a row is left out; a model that is covered needs a reason of its own."""
    starts = [start for start in LATER if row["model"].startswith(start)]
    default = "none" if handler(row["model"]) else row["section"]
    return LATER[max(starts, key=len, default=default)]


def worked_out(row):
    """Return the toolkit's number for a row of the table, None if it has none."""
    model = handler(row["model"])
    return model and model(json.loads(row["params"]), row["metric"])


@pytest.fixture
def exact_rows():
    if not ORACLES.exists():
        print(f"no table of exact results at {ORACLES}")  # noqa: T201
        pytest.skip(f"no table of exact results at {ORACLES}")
    with ORACLES.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] == "exact"]


def test_every_formula_gives_the_number_of_the_table_of_exact_results(exact_rows):
    """Independent arithmetic is the best witness; a row left out needs a reason in ``LATER``."""
    errors, wrong, left_out = [], [], {}
    for row in exact_rows:
        got = worked_out(row)
        if got is None:
            left_out.setdefault((row["model"], reason(row)), []).append(row["metric"])
            continue
        errors.append(abs(got - float(row["value"])) / abs(float(row["value"])))
        if not errors[-1] <= 1e-8:
            wrong.append((row["id"], row["model"], row["metric"], row["params"], row["value"], got))
    print(f"{len(errors)} of {len(exact_rows)} exact rows, worst relative error {max(errors):.1e}")  # noqa: T201
    for (model, why), metrics in left_out.items():
        print(f"  left out: {len(metrics):3} rows of {model}: {why}")  # noqa: T201

    assert wrong == []
    assert len(errors) > 400


# --- theorems -----------------------------------------------------------------------------------

speeds = st.floats(0.01, 1000.0)
loads = st.floats(0.01, 0.98)
few = settings(max_examples=40, deadline=None)
close = partial(pytest.approx, rel=1e-9)


def figures(q, *names):
    return [getattr(q, name) for name in names]


def crommelin(rho, x):
    """P(wait <= x) / P(wait = 0) of M/D/1 with unit services: the alternating sum, 400 digits."""
    with localcontext(prec=400):
        load, level, total, factorial = Decimal(rho), Decimal(x), Decimal(0), Decimal(1)
        for k in range(math.floor(x) + 1):
            factorial *= max(k, 1)
            z = load * (k - level)
            total += (z**k if k else 1) / factorial * (-z).exp()
        return total


def crommelin_tail(rho, x):
    with localcontext(prec=400):
        return float(1 - (1 - Decimal(rho)) * crommelin(rho, x))


@given(speed=speeds, load=loads)
@few
def test_one_server_of_many_is_the_single_server(speed, load):
    """M/M/c at c = 1 must be M/M/1 as every textbook writes it, law of the sojourn included."""
    one = theory.mmc(arrival_rate_per_s=load * speed, service_rate_per_s=speed, servers=1)

    assert one.prob_wait == close(load)
    assert one.jobs == close(load / (1 - load))
    assert one.sojourn_s == close(1 / (speed - load * speed))
    assert one.sojourn_quantile_s(0.95) == close(-math.log(0.05) * one.sojourn_s)
    assert one.wait_tail(one.wait_quantile_s(0.999)) == pytest.approx(0.001, rel=1e-6)


@given(speed=speeds, load=loads, servers=st.integers(1, 40), p=st.floats(0.0, 0.9999))
@few
def test_quantiles_of_many_servers_undo_their_tails(speed, load, servers, p):
    """The sojourn's law has a removable 0/0 where c mu - lambda = mu; it must not show."""
    q = theory.mmc(
        arrival_rate_per_s=load * speed * servers, service_rate_per_s=speed, servers=servers
    )

    assert q.sojourn_tail(q.sojourn_quantile_s(p)) == pytest.approx(1 - p, rel=1e-9)
    assert q.wait_tail(q.wait_quantile_s(p)) == pytest.approx(min(1 - p, q.prob_wait), rel=1e-9)


def test_the_sojourn_law_has_the_mean_it_should_also_where_two_rates_meet():
    """With 2 servers at load 1 the wait and the service have the same rate."""
    for rate in (0.5, 1.0, 1.0 + 1e-9, 1.9):
        q = theory.mmc(arrival_rate_per_s=rate, service_rate_per_s=1.0, servers=2)
        mean_s = quad(q.sojourn_tail, 0, 200 * q.sojourn_s, limit=500)[0]

        assert mean_s == pytest.approx(q.sojourn_s, rel=1e-7)


@given(load=st.floats(0.05, 0.8), servers=st.integers(1, 30))
@few
def test_endless_room_is_no_limit_and_room_for_the_served_only_is_erlang_b(load, servers):
    """M/M/c/K lies between two solved queues; both ends must be met."""
    rates_ = {"arrival_rate_per_s": load * servers, "service_rate_per_s": 1.0, "servers": servers}
    endless, roomy = theory.mmc(**rates_), theory.mmck(**rates_, capacity=servers + 300)
    tight = theory.mmck(**rates_, capacity=servers)
    names = ("utilisation", "prob_wait", "wait_s", "sojourn_s", "waiting", "jobs")

    assert figures(roomy, *names) == close(figures(endless, *names))
    assert tight.prob_blocked == close(theory.erlang_b(load * servers, servers))
    assert tight.wait_s == tight.prob_wait == 0


@given(speed=speeds, load=loads)
@few
def test_any_law_that_is_exponential_gives_the_exponential_answer(speed, load):
    """M/G/1 with Exponential, with Gamma and Weibull of shape 1, and with H2 of scv 1 is M/M/1."""
    single = theory.mm1(arrival_rate_per_s=load * speed, service_rate_per_s=speed)
    expected = figures(single, "utilisation", "wait_s", "sojourn_s", "waiting", "jobs")
    mean_s = 1 / speed
    for law in (
        Exponential(mean_s=mean_s),
        Gamma(mean_s=mean_s, scv=1.0),
        Weibull(mean_s=mean_s, shape=1.0),
        HyperExponential(mean_s=mean_s, scv=1.0),
    ):
        q = theory.mg1(arrival_rate_per_s=load * speed, service=law)

        assert figures(q, "utilisation", "wait_s", "sojourn_s", "waiting", "jobs") == close(
            expected
        )
        assert q.sojourn_shared_s == close(single.sojourn_s)
        # the wait is 0 with chance 1 - rho and exponential with the mean sojourn otherwise
        assert q.wait_std_s == close(single.sojourn_s * math.sqrt(load * (2 - load)))


def test_a_tail_too_heavy_for_a_mean_wait_gives_infinity_and_not_a_number():
    """With Pareto alpha <= 2 the mean wait is infinite though the server is mostly idle."""
    heavy = theory.mg1(arrival_rate_per_s=0.5, service=Pareto(mean_s=1.0, alpha=2.0))
    medium = theory.mg1(arrival_rate_per_s=0.5, service=Pareto(mean_s=1.0, alpha=2.5))

    assert heavy.wait_s == heavy.jobs == math.inf
    assert heavy.utilisation == 0.5
    assert math.isfinite(medium.wait_s)
    assert medium.wait_std_s == math.inf


# --- the law of the M/D/1 wait --------------------------------------------------------------------


@pytest.mark.parametrize("load", [0.01, 0.2, 0.5, 0.8, 0.95, 0.999, 1 - 1e-9])
@pytest.mark.parametrize("x", [0.0, 0.3, 1.0, 5.5, 20.0, 63.9, 64.0, 64.1, 66.5, 130.25])
def test_the_wait_of_clockwork_services_equals_crommelins_sum_in_400_digits(load, x):
    """In doubles that sum is noise beyond 15 services; ours is good wherever the tail is a float."""
    q = theory.md1(arrival_rate_per_s=2 * load, service_s=0.5)

    assert q.wait_tail(0.5 * x) == pytest.approx(crommelin_tail(load, x), rel=1e-11, abs=1e-290)


@given(load=loads, service_s=st.floats(0.001, 100), t=st.lists(st.floats(0, 300), min_size=2))
@few
def test_the_wait_of_clockwork_services_has_a_distribution_function(load, service_s, t):
    """It starts at 1 - rho, never falls and never leaves 0 to 1."""
    wait_cdf = partial(
        theory.md1_wait_cdf, arrival_rate_per_s=load / service_s, service_s=service_s
    )
    heights = [wait_cdf(x * service_s) for x in sorted(t)]

    assert wait_cdf(0.0) == close(1 - load)
    assert all(low <= high + 1e-14 for low, high in pairwise(heights))
    assert all(0 <= height <= 1 for height in heights)


@pytest.mark.parametrize("load", [0.1, 0.5, 0.9, 0.97])
def test_the_wait_of_clockwork_services_integrates_to_pollaczek_and_khinchine(load):
    """Two roads to one mean: its whole law, and the first two moments of the service."""
    q = theory.md1(arrival_rate_per_s=load, service_s=1.0)
    kinks = [quad(q.wait_tail, k, k + 1, limit=10)[0] for k in range(20)]
    rest = quad(q.wait_tail, 20, 20 + 60 / (1 - load), limit=200)[0]

    assert sum(kinks) + rest == pytest.approx(q.wait_s, rel=1e-7)
    assert q.wait_s == close(
        theory.mg1(arrival_rate_per_s=load, service=law_of("deterministic(1)")).wait_s
    )


@given(load=loads, p=st.floats(0.0, 0.999999))
@few
def test_quantiles_of_the_clockwork_wait_undo_its_tail(load, p):
    """Below the atom at 0 the quantile is 0; above, the tail at it is what was asked for."""
    q = theory.md1(arrival_rate_per_s=load, service_s=1.0)
    wait_s = q.wait_quantile_s(p)

    assert q.wait_tail(wait_s) == pytest.approx(min(1 - p, load), rel=1e-9)
    assert q.sojourn_quantile_s(p) == wait_s + 1.0


# --- token buckets ----------------------------------------------------------------------------------


@given(load=st.floats(0.001, 1e6), rate=speeds)
@few
def test_a_bucket_without_depth_loses_like_a_single_server_without_a_queue(load, rate):
    """With burst = 1 it is Erlang's loss system with one server: rho / (1 + rho)."""
    q = theory.token_bucket(arrival_rate_per_s=load * rate, rate_per_s=rate, burst=1)

    assert q.lost == close(theory.erlang_b(load, 1))
    assert q.full == q.admitted == close(1 / (1 + load))


@given(load=st.floats(0.01, 300), burst=st.floats(1, 500), more=st.floats(1, 50))
@few
def test_what_a_bucket_admits_is_what_it_refills(load, burst, more):
    """Tokens used = tokens made while not full, whatever the load; depth never hurts."""
    q = theory.token_bucket(arrival_rate_per_s=load * 3, rate_per_s=3, burst=burst)
    deeper = theory.token_bucket(arrival_rate_per_s=load * 3, rate_per_s=3, burst=burst + more)

    assert q.admitted_per_s == close(3 * (1 - q.full))
    assert q.admitted + q.lost == close(1)
    assert 0 <= q.lost <= 1
    assert deeper.lost <= q.lost + 1e-14


@pytest.mark.parametrize(
    ("load", "burst"),
    [(0.5, 60), (0.9, 100.25), (0.999, 300), (1.0, 200), (1.001, 150.5), (1.5, 90), (8.0, 2.5)],
)
def test_losses_of_a_deep_bucket_equal_crommelins_sum_in_400_digits(load, burst):
    """A loss of 1e-33 and one beside rho = 1 are the places where subtraction would ruin it."""
    with localcontext(prec=400):
        growth = crommelin(load, burst - 1)
        lost = float((1 + (Decimal(load) - 1) * growth) / (1 + Decimal(load) * growth))

    got = theory.token_bucket(arrival_rate_per_s=load, rate_per_s=1, burst=burst).lost

    assert got == pytest.approx(lost, rel=1e-11, abs=0)


@pytest.mark.parametrize("burst", [1.0, 1.5, 4.0, 30.0, 70.25, 200.0])
def test_a_bucket_as_fast_as_its_traffic_is_the_limit_from_both_sides(burst):
    """At rho = 1 the formulas for below and above meet; all of it is finite there."""
    below, at, above = (
        theory.token_bucket(arrival_rate_per_s=rate, rate_per_s=1.0, burst=burst).lost
        for rate in (1 - 1e-9, 1.0, 1 + 1e-9)
    )

    assert below < at < above
    assert (below + above) / 2 == pytest.approx(at, rel=1e-6)


@given(load=loads, rate=speeds)
@few
def test_a_shaping_bucket_without_depth_is_a_server_with_clockwork_services(load, rate):
    """With burst = 1, when empty wait: the wait for a token is the M/D/1 wait."""
    shaped = theory.token_bucket_wait(arrival_rate_per_s=load * rate, rate_per_s=rate, burst=1)
    clockwork = theory.md1(arrival_rate_per_s=load * rate, service_s=1 / rate)

    assert shaped.wait_s == close(clockwork.wait_s)
    assert shaped.wait_quantile_s(0.99) == pytest.approx(clockwork.wait_quantile_s(0.99), rel=1e-7)


@pytest.mark.parametrize(("load", "burst"), [(0.5, 3), (0.9, 7.5), (0.97, 80)])
def test_the_mean_wait_for_a_token_is_the_integral_of_its_tail(load, burst):
    """The mean comes from a sum over whole tokens of debt; integration knows nothing of that."""
    q = theory.token_bucket_wait(arrival_rate_per_s=10 * load, rate_per_s=10, burst=burst)
    mean_s = quad(q.wait_tail, 0, 10 / (1 - load), limit=400)[0]

    assert mean_s == pytest.approx(q.wait_s, rel=1e-6)
    assert q.prob_wait == q.wait_tail(0.0)


# --- retries, staffing, Little ----------------------------------------------------------------------


@given(failure=st.floats(0, 1), max_retries=st.integers(0, 30))
def test_attempts_are_the_sum_of_the_chances_that_each_is_made(failure, max_retries):
    """Attempt k + 1 is made when the k before it failed; the closed form must not cancel near 1."""
    attempts = sum(failure**k for k in range(max_retries + 1))

    assert theory.attempts_per_job(failure, max_retries) == close(attempts)
    assert theory.attempts_through_layers(failure, max_retries, 1) == close(attempts)


def test_retries_without_limit_are_the_limit_of_many_retries():
    """The capped and the endless formula are one."""
    rates_ = {"arrival_rate_per_s": 0.5, "service_rate_per_s": 1.0, "failure": 0.3}
    endless = theory.mm1_retries(**rates_, max_retries=None)
    many = theory.mm1_retries(**rates_, max_retries=200)
    none = theory.mm1_retries(**rates_, max_retries=0)

    assert many.sojourn_s == close(endless.sojourn_s)
    assert endless.dead == 0
    assert none.sojourn_s == theory.mm1(arrival_rate_per_s=0.5, service_rate_per_s=1.0).sojourn_s
    assert none.dead == close(0.3)


@given(load=st.floats(0, 300), prob_wait=st.floats(0.001, 1))
@few
def test_one_server_less_than_needed_is_too_few(load, prob_wait):
    """The answer keeps the promise and the number below it does not, or could not keep up."""
    servers = theory.servers_needed(load, prob_wait=prob_wait)

    assert theory.erlang_c(load, servers) <= prob_wait
    if servers - 1 > load:
        assert theory.erlang_c(load, servers - 1) > prob_wait


def test_littles_law_holds_in_every_answer():
    """Jobs inside = rate let in x time inside: an identity, so it finds slips in any of them."""
    answers = [
        (0.9, theory.mm1(arrival_rate_per_s=0.9, service_rate_per_s=1.0)),
        (3.6, theory.mmc(arrival_rate_per_s=3.6, service_rate_per_s=1.0, servers=4)),
        (0.7, theory.mg1(arrival_rate_per_s=0.7, service=LogNormal(mean_s=1.0, scv=4.0))),
        (0.7, theory.md1(arrival_rate_per_s=0.7, service_s=1.0)),
    ]
    full = theory.mmck(arrival_rate_per_s=9.0, service_rate_per_s=1.0, servers=4, capacity=11)
    answers.append((full.throughput_per_s, full))
    retried = theory.mm1_retries(
        arrival_rate_per_s=0.6, service_rate_per_s=1.0, failure=0.3, max_retries=2
    )
    closed = theory.closed_mmc(users=20, think_s=3.0, service_rate_per_s=1.0, servers=4)
    shaped = theory.token_bucket_wait(arrival_rate_per_s=0.9, rate_per_s=1.0, burst=5)

    for rate, q in [*answers, (0.6, retried), (closed.throughput_per_s, closed)]:
        assert q.jobs == close(theory.jobs_inside(rate, q.sojourn_s))
    for rate, q in [*answers, (0.9, shaped)]:
        assert q.waiting == close(theory.jobs_inside(rate, q.wait_s))
    assert closed.throughput_per_s == close(20 / (closed.sojourn_s + 3.0))


def test_a_mean_wait_known_to_five_percent_takes_tens_of_thousands_of_jobs():
    """Daley's variance, times (1.96 / 0.05)^2, rounded up; the load makes it explode."""
    half = theory.mm1(arrival_rate_per_s=30.0, service_rate_per_s=60.0)
    busy = theory.mm1(arrival_rate_per_s=54.0, service_rate_per_s=60.0)

    assert half.jobs_to_simulate(relative_error=0.05) == 44_563
    assert busy.jobs_to_simulate(relative_error=0.05) == 681_073


# --- size, and refusals -------------------------------------------------------------------------------


def test_ten_thousand_servers_overflow_nothing():
    """Factorials of 171 already overflow a double; the recursion and the sums must not."""
    big = theory.mmc(arrival_rate_per_s=9_950, service_rate_per_s=1.0, servers=10_000)
    room = {"service_rate_per_s": 1.0, "servers": 10_000, "capacity": 50_000}
    drowned = theory.mmck(arrival_rate_per_s=20_000, **room)
    idle = theory.mmck(arrival_rate_per_s=1.0, **room)

    # Halfin & Whitt (1981): 1 / (1 + b Phi(b) / phi(b)) at b = 0.5, up to 1 / sqrt(servers)
    assert big.prob_wait == pytest.approx(0.5045, abs=0.005)
    assert drowned.prob_blocked == pytest.approx(0.5)
    assert drowned.jobs == pytest.approx(49_999)
    assert idle.jobs == pytest.approx(1.0)
    assert theory.erlang_b(1.0, 10_000) == 0.0
    assert theory.closed_mmc(
        users=50_000, think_s=1.0, service_rate_per_s=1.0, servers=10_000
    ).throughput_per_s == pytest.approx(10_000)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: theory.mmc(arrival_rate_per_s=5, service_rate_per_s=1, servers=4),
            r"must be < 4 \(servers\), got 5 / 1 = 5;\n6 servers would be stable",
        ),
        (
            lambda: theory.mm1(arrival_rate_per_s=1, service_rate_per_s=1),
            r"got 1 / 1 = 1;\n2 servers would be stable",
        ),
        (lambda: theory.erlang_c(4.0, 4), r"must be < 4 \(servers\), got 4;\n5 servers"),
        (
            lambda: theory.mg1(arrival_rate_per_s=3, service=Uniform(low_s=0, high_s=1)),
            r"got 3 x 0.5 = 1.5;\n2 servers",
        ),
        (lambda: theory.md1(arrival_rate_per_s=3, service_s=1), "4 servers would be stable"),
        (
            lambda: theory.mm1_retries(
                arrival_rate_per_s=0.6, service_rate_per_s=1, failure=0.5, max_retries=3
            ),
            r"got 0.6 x 1.875 / 1 = 1.125;\n2 servers",
        ),
        (
            lambda: theory.token_bucket_wait(arrival_rate_per_s=5, rate_per_s=5, burst=3),
            r"got 5 and 5;\na rate_per_s above 5 would be stable",
        ),
        (
            lambda: theory.mm1(arrival_rate_per_s=0, service_rate_per_s=1),
            "arrival_rate_per_s must be > 0, got 0",
        ),
        (
            lambda: theory.mmc(arrival_rate_per_s=1, service_rate_per_s=1, servers=2.5),
            "servers must be a whole number >= 1, got 2.5",
        ),
        (
            lambda: theory.mmck(arrival_rate_per_s=1, service_rate_per_s=1, servers=3, capacity=2),
            "capacity must be a whole number >= 3, got 2",
        ),
        (
            lambda: theory.token_bucket(arrival_rate_per_s=1, rate_per_s=1, burst=0.5),
            "burst must be >= 1 token",
        ),
        (lambda: theory.attempts_per_job(1.0, None), "failure must be < 1 without max_retries"),
        (lambda: theory.attempts_per_job(1.5, 2), "failure must be from 0 to 1, got 1.5"),
        (lambda: theory.servers_needed(1.0, prob_wait=0.0), "prob_wait must be > 0, got 0.0"),
        (
            lambda: theory.mm1(arrival_rate_per_s=1, service_rate_per_s=2).wait_quantile_s(1.0),
            "p must be < 1",
        ),
        (
            lambda: theory.md1(arrival_rate_per_s=1, service_s=0.5).wait_tail(-1),
            "t_s must be >= 0, got -1",
        ),
        (lambda: theory.erlang_b(-1, 3), "offered_load must be >= 0, got -1"),
    ],
)
def test_a_refusal_names_the_rule_and_the_value_and_the_way_out(call, message):
    """A queue that has no average must not get one, and the reader must know what to change."""
    with pytest.raises(ValueError, match=message):
        call()
