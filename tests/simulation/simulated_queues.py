"""How the table's queues and networks of queues are simulated: a handler a model."""

import math

import numpy as np
from measures import (
    attempts,
    busy,
    column,
    empty,
    jobs_at,
    of_class,
    orbit_size,
    queue_of,
    share,
    size_near,
    sojourn,
    turned_away_first,
    visits,
    wait,
)
from rows_queues import law_of, open_closed_row
from trials import (
    EXPONENTIAL,
    INSTANT,
    QUEUE,
    TOO_HIGH,
    TOO_SKEWED,
    Trial,
    poisson,
    queue,
    service_law,
    stage,
)

import toolkit as tk


def mmc(p):
    servers, load = p.get("c", 1), p["lam"] / p.get("c", 1)
    if load > 0.95:
        return TOO_HIGH
    design = poisson(p["lam"], stage(workers=servers))
    exact = {"jobs": load / (1 - load), "sojourn": 1 / (1 - load)}
    # of several servers, time goes by in fewer services a job
    return queue(
        design, load, counted=1_500 + 20 * servers, services=p["lam"] * (servers > 1), exact=exact
    )


def transient(p):
    """Send as many jobs as come in the longest time asked for: none may be missing at the end."""
    longest_s = {0.8: 100, 0.9: 400}[p["lam"]]
    jobs = int(p["lam"] * longest_s + 6 * math.sqrt(p["lam"] * longest_s))
    at = jobs_at(p["t"])
    steady = p["lam"] / (1 - p["lam"])
    metrics = {
        "E[N(t)]": at,
        "E[N(t)] / steady state": lambda run, jobs: at(run, jobs) / steady,
    }
    return Trial(poisson(p["lam"], stage()), metrics, jobs=jobs, skip=0, replications=200)


def erlang_b(p):
    full = stage(workers=p["c"], capacity=p["c"])
    return Trial(poisson(p["lam"], full), QUEUE, jobs=2_000 + 10 * p["c"], skip=10 * p["c"] + 100)


def mmck(p):
    full = stage(workers=p["c"], capacity=p["K_total"])
    metrics = QUEUE | {"utilisation per server": busy("work", p["c"])}
    return Trial(poisson(p["lam"], full), metrics, jobs=3_000, skip=500)


def mg1(p, **more):
    law, load = service_law(p["service"]), p["lam"]
    if not math.isfinite(law.moment(3)):
        return "the third moment is infinite: the sample mean of the wait has no finite variance"
    scv = tk.laws.scv(law)
    if (load > 0.8 and scv > 1) or (load > 0.5 and scv > 4.001):
        return TOO_SKEWED
    exact = tk.theory.mg1(arrival_rate_per_s=load, service=law)
    # E[W^2] is measured only where its own spread, of the fifth moment, is not too wild
    known = {"wait": exact.wait_s} if scv <= 1 and not isinstance(law, tk.Pareto) else {}
    design = poisson(load, stage(service=law, **more))
    counted = 1_500 if scv <= 1 else 4_000
    return queue(design, load, counted=counted, spread=max(1.0, (1 + scv) / 2), exact=known)


def shared(p):
    load = p["lam"]
    metrics = {"E[response | size=3]": size_near(3.0)} | QUEUE
    exact = {"sojourn": 1 / (1 - load)}
    design = poisson(load, stage(order="shared"))
    return queue(design, load, exact=exact, counted=2_500, metrics=metrics)


def mdc(p):
    servers, service_s = p.get("c", 1), p.get("D", 1)
    load = p["lam"] * service_s / servers
    clockwork = stage(service=tk.Deterministic(value_s=service_s), workers=servers)
    pooled_s = tk.theory.mmc(
        arrival_rate_per_s=p["lam"], service_rate_per_s=1 / service_s, servers=servers
    ).wait_s
    ratio = "Cosmetatos-style ratio Wq(M/D/c)/Wq(M/M/c)"
    metrics = QUEUE | {ratio: lambda run, jobs: wait(run, jobs) / pooled_s}
    return queue(poisson(p["lam"], clockwork), load, metrics=metrics, counted=2_000)


def erlang_a(p):
    impatient = stage(workers=p["c"], patience=tk.Exponential(mean_s=1 / p["theta"]))
    metrics = QUEUE | {
        "P(abandon)": share("abandoned"),
        "E[wait] all customers (served or abandoned)": column("wait_s"),
        "utilisation": busy("work", p["c"]),
    }
    return Trial(poisson(p["lam"], impatient), metrics, jobs=2_500, skip=500)


def priority(p, order):
    clocks = [float(x) for x in p["services"].split() if x.isdigit()]
    is_clockwork = "deterministic" in p["services"]
    laws = [
        tk.Deterministic(value_s=clocks[k]) if is_clockwork else EXPONENTIAL
        for k in range(len(p["lams"]))
    ]
    total = sum(p["lams"])
    classes = [
        tk.JobClass(name=str(k), share=lam / total, service={"work": law})
        for k, (lam, law) in enumerate(zip(p["lams"], laws, strict=True), start=1)
    ]
    name, words = ("sojourn_s", "W response") if order == "preemptive" else ("wait_s", "Wq")
    metrics = {f"{words} class {k + 1} (1=highest)": of_class(name, k) for k in range(len(laws))}
    load = sum(lam * law.moment(1) for lam, law in zip(p["lams"], laws, strict=True))
    design = poisson(total, stage(order=order), classes=classes)
    return queue(design, load, counted=2_000, spread=1.5, metrics=metrics | {"Wq": wait})


def gm1(p):
    mean_s = 1 / p["lam"]
    if p["lam"] > 0.8 and p["ca2"] > 1:
        return "bursts at so high a load take more jobs than a test has time for"
    laws = {"D": lambda: tk.Deterministic(value_s=mean_s)}
    law = laws.get(p["interarrival"], lambda: law_of(p["interarrival"]).times(mean_s))()
    design = tk.Design(arrivals=tk.Renewal(law=law), stages=[stage()])
    return queue(design, p["lam"], spread=max(1.0, (1 + p["ca2"]) / 2))


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
        for k in range(len(p["mu"]))
    ]
    metrics = {"mean end-to-end response": sojourn}
    metrics |= {f"throughput station {k + 1}": visits(n) for k, n in enumerate(names)}
    metrics |= {f"L station {k + 1}": queue_of(n) for k, n in enumerate(names)}
    return Trial(poisson(sum(p["gamma"]), *stages), metrics, jobs=2_500, skip=1_000)


def closed(p, stages, think_s, skip=None, **metrics):
    """Count jobs from start to end of a window of arrivals: users who wait do not come."""
    users = p["N"]
    think = tk.Exponential(mean_s=think_s) if think_s else INSTANT
    named = {
        "throughput X": visits(stages[0].name),
        "mean response R=N/X-Z": sojourn,
        "system response R": sojourn,
        "closed mean response": sojourn,
    }
    design = tk.Design(arrivals=tk.Closed(users=users, think=think), stages=stages)
    skip = 10 * users + 100 if skip is None else skip
    # those still thinking when the last jobs are sent are no part of the window
    return Trial(design, named | metrics, jobs=skip + 1_500 + users, skip=skip)


def closed_mmc(p):
    station = stage(service=tk.Exponential(mean_s=p["service_S"]), workers=p["c"])
    figures = {"utilisation per server": busy("work", p["c"]), "P(station empty)": empty}
    return closed(p, [station], p["think_Z"], **figures)


def closed_network(p):
    stages = [stage(f"d{k}", tk.Exponential(mean_s=d)) for k, d in enumerate(p["demands"])]
    most = f"d{int(np.argmax(p['demands']))}"
    return closed(p, stages, p["Z"], **{"queue at bottleneck": queue_of(most)})


def open_and_closed(p, metric):
    """Give the simulator the think time that a formula finds for the row."""
    if metric.startswith("think time"):
        return "the input of the runs"
    if metric.startswith("open"):
        return mmc({"lam": p["utilisation"]})
    think_s = open_closed_row(p, "think time Z giving that utilisation")
    open_s = open_closed_row(p, "open mean response")
    skip = min(20 * p["N"] + 200, 4_000)
    trial = closed(p, [stage()], think_s, skip)
    # the ratio of the exact open time to the one that is simulated is tested as its inverse
    inverse = lambda run, jobs: sojourn(run, jobs) / open_s  # noqa: E731
    trial.metrics["ratio open/closed"] = inverse, lambda value: 1 / value
    return trial


def orbit(p):
    servers = p.get("c", 1)
    outside = tk.Retry(
        max_retries=None, backoff=tk.MemorylessBackoff(mean_s=1 / p["theta"]), rejected=True
    )
    door = stage(workers=servers, capacity=servers, retry=outside)
    metrics = {
        "mean orbit size": orbit_size,
        "mean response time": sojourn,
        "P(server busy)": busy("work", servers),
        "P(all servers busy) as seen by primary arrival": turned_away_first,
        "mean number of retry attempts per customer": lambda run, jobs: (
            attempts(run, jobs, turned_away=True) - 1
        ),
    }
    is_eager = p["theta"] > 4
    jobs, skip = (1_500, 500) if is_eager else (2_500, 1_000)
    return Trial(poisson(p["lam"], door), metrics, jobs=jobs, skip=skip)


def feedback(p):
    most = p.get("max_attempts")
    retry = tk.Retry(max_retries=most and most - 1, backoff=tk.ConstantBackoff(delay_s=0))
    failing = stage(failure=p.get("p_fail", p.get("p")), retry=retry)
    metrics = QUEUE | {
        "mean total response": sojourn,
        "mean time to final outcome": column("sojourn_s"),
        "fraction finally failed": share("dead"),
        "goodput": visits("work", only_ok=True),
        "utilisation": busy("work", 1),
        "server utilisation": busy("work", 1),
    }
    design = poisson(p["lam"], failing)
    return queue(design, design.offered_load()[0].utilisation, counted=2_000, metrics=metrics)
