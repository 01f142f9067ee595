"""A point of the table as a trial: a design, the length of its runs, and what to measure in them.

What many rows ask in the same words (quantiles, P(N>=k), spreads) is read here, by ``common``: a
quantile is tested by the share of jobs below it.
"""

import math
import re
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from measures import (
    inside,
    inside_at_least,
    share,
    sojourn,
    visits,
    wait,
    waiting,
    waits_at_all,
)
from rows_queues import law_of

import toolkit as tk

EXPONENTIAL = tk.Exponential(mean_s=1.0)
INSTANT = tk.Deterministic(value_s=0)


@dataclass
class Trial:
    """A design, and what to measure in its runs: ``(measure, want)`` or a measure, by metric."""

    design: tk.Design
    metrics: dict
    jobs: int = 2_000
    skip: int = 400
    replications: int = 20
    exact: dict = field(default_factory=dict)  # what ``common`` has to know: mean wait, mean jobs
    cluster: float = 1.0  # jobs that are late together

    @property
    def clusters(self):
        """How many clusters of jobs all runs together count."""
        return self.replications * (self.jobs - self.skip) / self.cluster

    def long_enough_for(self, share):
        """Return this trial, so long that what comes in ``share`` of jobs is met often, or why not."""
        short_by = MET_CLUSTERS / (min(share, 1 - share) * self.clusters)
        counted = math.ceil((self.jobs - self.skip) * max(1.0, short_by))
        if counted > LONGEST_RUN_JOBS:
            return SELDOM
        return replace(self, jobs=self.skip + counted)

    @property
    def key(self):
        """What tells this trial's runs from others: rows of one key are measured in the same runs."""
        return repr(self.design), self.jobs, self.skip, self.replications


class Mixed:
    """A law that is a mixture of others, which the toolkit has no use for."""

    def __init__(self, text):
        parts = re.findall(r"(\S+) exp\(mean (\S+?)\)", text)
        self.text, self.shares = text, [float(share) for share, _ in parts]
        self.means = [float(mean) for _, mean in parts]

    def __repr__(self):
        return f"Mixed({self.text!r})"

    def moment(self, k):
        """Return E[X^k]."""
        return sum(
            s * m**k * math.factorial(k) for s, m in zip(self.shares, self.means, strict=True)
        )

    def draw_s(self, rng, n):
        """Draw which part, and then from it."""
        chosen = rng.choice(self.means, p=self.shares, size=n)
        return chosen * rng.standard_exponential(n)

    def times(self, _factor):
        """Return itself: no row needs more."""
        return self


def service_law(text):
    """Read a service law as the table writes it, as one that can be drawn."""
    if text.startswith("bimodal"):
        short, rare, long = map(float, re.search(r": (\S+) w.p. 1-(\S+), (\S+) w", text).groups())
        copies = round(1 / rare)
        return tk.Empirical(samples_s=[long] + [short] * (copies - 1))
    if " exp(mean" in text:
        return Mixed(text)
    return law_of(text.replace("exp(1)", "exp"))


def stage(name="work", service=EXPONENTIAL, **more):
    return tk.Stage(name=name, service=service, **more)


def poisson(rate, *stages, **more):
    return tk.Design(arrivals=tk.Poisson(rate_per_s=rate), stages=stages or [stage()], **more)


QUEUE = {
    "L": inside,
    "L mean number in system": inside,
    "Lq": waiting,
    "Lq mean number waiting": waiting,
    "E[Lq]": waiting,
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
    "sigma root": waits_at_all,  # the share of arrivals that find the server busy
    "P(Wq=0)": lambda run, jobs: 1 - waits_at_all(run, jobs),
    "blocking probability": share("rejected"),
    "throughput": visits("work", only_ok=True),
    "mean response": sojourn,
    "W/S": sojourn,
    "mean end-to-end response": sojourn,
    "open mean response": sojourn,
    "monolith mean response": sojourn,
    "pipeline mean response": sojourn,
}


MET_CLUSTERS = 20  # with ten, one of five seeds was off by 4.4 for a tail, by 5.7 for a spread
LONGEST_RUN_JOBS = 40_000
SELDOM = f"met in too few spells of jobs, unless a run has more than {LONGEST_RUN_JOBS:,} of them"


def common(trial, metric, value, p):
    """Return a trial for what is asked in the same words of many queues, how to measure, what to expect."""
    measure, want = None, value
    level = re.search(r"quantile (?:p=)?([\d.]+)|^p([\d.]+)$", metric)
    if level:
        name = "wait_s" if metric.startswith("wait") else "sojourn_s"
        measure = lambda _, jobs: (jobs[name] <= value).mean()  # noqa: E731
        want = float(level[1]) if level[1] else float(level[2]) / 100
    elif metric == "P(Wq<=t)":
        measure = lambda _, jobs: (jobs["wait_s"] <= p["t"]).mean()  # noqa: E731
    elif metric.startswith("P(N>="):
        measure = inside_at_least(int(metric[5:-1]))
    if measure is not None:
        longer = trial.long_enough_for(want)
        return longer if isinstance(longer, str) else (longer, measure, want)
    return spread(trial, metric, value)


def spread(trial, metric, value):
    """Return how to measure a variance about the exact mean, which has no bias, and what to expect."""

    def about(name, mean):
        return lambda _, jobs: ((jobs[name] - mean) ** 2).mean()

    known = trial.exact
    if metric == "std of wait" and "wait" in known:
        longer = trial.long_enough_for(0.99)  # the hundredth that waits longest is most of a spread
        return (
            longer
            if isinstance(longer, str)
            else (longer, about("wait_s", known["wait"]), value**2)
        )
    if metric == "var of number in system":
        return trial, partial(inside, power=2, about=known["jobs"]), value
    if metric == "variance of response time":
        return trial, about("sojourn_s", known["sojourn"]), value
    return None


def settled(load, *, services=0.0, spread=1.0):
    """Return the jobs until a queue has its usual length: ten times its time scale.

    At loads above 0.85 it is six times: what is left of the empty start there (e^-6, a quarter of
    a percent) is far below what a test can see.  ``services``: jobs in some mean services, where they
    overlap; ``spread``: (1 + scv) / 2 of the service.
    """
    times = 10 if load <= 0.85 else 6
    return int(times * spread * load / (1 - math.sqrt(load)) ** 2 + 5 * services) + 20


def queue(design, load=0.8, *, counted=1_500, services=0.0, spread=1.0, exact=None, metrics=None):
    skip = settled(load, services=services, spread=spread)
    cluster = spread * load / (1 - math.sqrt(load)) ** 2
    counted = max(counted, int(4 * cluster))  # fewer spells than that, and a mean is too skewed
    length = {"skip": skip, "jobs": skip + counted, "cluster": max(1.0, cluster)}
    return Trial(design, metrics or QUEUE, exact=exact or {}, **length)


TOO_HIGH = "a load above 0.95 takes more jobs than a test has time for"
TOO_SKEWED = "a spread of services at so high a load: the mean of affordable runs is skewed (oracles, section 0)"


def runs_of(trial, seed, measures):
    """Return an array a measure, a number for every replication."""
    figures = []
    for replication in range(trial.replications):
        run = tk.simulate(trial.design, jobs=trial.jobs, seed=seed, replication=replication)
        jobs = run.jobs.iloc[trial.skip :]
        figures.append([measure(run, jobs) for measure in measures])
    return np.array(figures, dtype=float).T
