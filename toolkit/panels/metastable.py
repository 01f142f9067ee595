"""A service that does not get well again: a trigger, a loop, and what breaks the loop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from toolkit import plots, theory
from toolkit.arrivals import Renewal, Trace
from toolkit.backoff import ConstantBackoff
from toolkit.design import Breaker, Caller, Design, GrpcThrottle, Outage, Retry, Stage
from toolkit.laws import Array, Deterministic
from toolkit.lessons import Prediction
from toolkit.panels.controls import look
from toolkit.panels.panel import Panel
from toolkit.plots import Picture
from toolkit.simulation import Run, simulate

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.axes import Axes

CAPACITY_PER_S, TIMEOUT_S, OUTAGE_AT_S = 30.0, 1.0, 20.0
"""A tenth of the textbook's rates, so that a slider follows the hand; the shares are the same."""

RULES: dict[str, Any] = {
    "arrival_rate_per_s": 28, "service_rate_per_s": 30, "timeout_s": 1, "max_retries": 1,
    "outage_start_s": 50, "outage_s": 10, "horizon_s": 200,
}  # fmt: skip
"""The minimal system at a tenth of its rates, in the words of ``theory.retry_storm``."""

FIGURES = ("attempts", "late", "backlog", "first_good_s")

_ONCE = Retry(max_retries=1, backoff=ConstantBackoff(delay_s=0.0))
_BUDGET = dataclasses.replace(_ONCE, budget=GrpcThrottle(max_tokens=10.0, token_ratio=0.1))
Remedy = Callable[[Stage, Caller], tuple[Stage, Caller]]


def _stage(**changes: object) -> Remedy:
    return lambda stage, caller: (dataclasses.replace(stage, **changes), caller)  # type: ignore[arg-type]


def _caller(**changes: object) -> Remedy:
    return lambda stage, caller: (stage, dataclasses.replace(caller, **changes))  # type: ignore[arg-type]


REMEDIES: dict[str, Remedy] = {
    "nothing": lambda stage, caller: (stage, caller),
    "no retries": _caller(retry=None),
    "a cap of 20 on the queue": _stage(capacity=20),
    "newest first": _stage(order="lifo"),
    "a deadline on the request": _caller(on_timeout="skip"),
    "callers cancel": _caller(on_timeout="cancel"),
    "a retry budget": _caller(retry=_BUDGET),
    "a circuit breaker": _caller(breaker=Breaker(failures=10, open_s=5.0)),
}

EFFORT = pd.DataFrame(
    {
        "settings": (0, 1, 1, 0, 0, 0, 0, 0),
        "numbers": (0, 0, 1, 0, 0, 0, 2, 2),
        "programs": (0, 0, 0, 1, 2, 2, 1, 1),
    },
    index=pd.Index(REMEDIES, name="remedy"),
)
"""What a remedy takes: settings to change, numbers to choose well, programs that need new code."""


def prices(*, setting: float = 1, number: float = 1, program: float = 3) -> pd.Series[float]:
    """Return the price of each remedy, for the price of a setting, a number and a changed program."""
    price = {"settings": setting, "numbers": number, "programs": program}
    return EFFORT.mul(pd.Series(price)).sum(axis=1).rename("price")


def storm(remedy: str = "nothing", *, load_per_s: float = 28.0, outage_s: float = 10.0) -> Design:
    """Return the minimal metastable system: one server, impatient callers, one outage at 20 s."""
    server = Stage(
        name="server",
        service=Deterministic(value_s=1.0 / CAPACITY_PER_S),
        outages=[Outage(start_s=OUTAGE_AT_S, duration_s=outage_s)] if outage_s else [],
    )
    stage, caller = REMEDIES[remedy](server, Caller(timeout=TIMEOUT_S, retry=_ONCE))
    every = Renewal(law=Deterministic(value_s=1.0 / load_per_s))
    return Design(arrivals=every, stages=[stage], callers=[caller])


def per_second(run: Run, *, end_s: float, bin_s: float = 2.0) -> pd.DataFrame:
    """Return ``goodput``, ``attempts`` and ``late`` work per second, in stretches of ``bin_s``."""
    edges = np.arange(0.0, end_s + bin_s, bin_s)
    jobs, attempts = run.jobs, run.attempts
    late = attempts["outcome"].isin(["late", "duplicate"])
    times = {
        "goodput": jobs.loc[jobs["outcome"] == "done", "finished_s"],
        "attempts": attempts["queued_s"],
        "late": attempts.loc[late, "ended_s"],
    }
    counts = {name: np.histogram(values, edges)[0] / bin_s for name, values in times.items()}
    return pd.DataFrame(counts, index=pd.Index(edges[:-1] + bin_s / 2, name="time_s"))


def recovery_s(run: Run, *, outage_s: float) -> float:
    """Return how long after the outage the first of ten answers in a row was in time; ``inf`` if never."""
    jobs = run.jobs[run.jobs["arrived_s"] >= OUTAGE_AT_S + outage_s]
    in_time = (jobs["outcome"] == "done").to_numpy()
    runs_of_ten = np.convolve(in_time, np.ones(10), mode="valid") == 10
    if not runs_of_ten.any():
        return math.inf
    return float(jobs["finished_s"].iloc[int(runs_of_ten.argmax())] - OUTAGE_AT_S - outage_s)


def compared(remedies: Sequence[str], *, load_per_s: float = 28.0, outage_s: float = 10.0, end_s: float = 200.0) -> pd.DataFrame:  # fmt: skip
    """Return a row a remedy, for what came after the outage.

    ``first_good_s``: until the first answer in time; ``recovery_s``: until the first of ten in a row; ``done_after``:
    the share of jobs that were done; ``waste``: the share of the server's time that nobody was served by,
    over the whole run.
    """
    rows, up_s = {}, OUTAGE_AT_S + outage_s
    for remedy in remedies:
        run = simulate(storm(remedy, load_per_s=load_per_s, outage_s=outage_s), horizon_s=end_s)
        after = run.jobs[run.jobs["arrived_s"].between(up_s, end_s - 5.0)]
        good_s = run.jobs.loc[run.jobs["outcome"] == "done", "finished_s"]
        rows[remedy] = {
            # a service that was running when the outage began ends in it
            "first_good_s": min(good_s[good_s > up_s], default=math.inf) - up_s,
            "recovery_s": recovery_s(run, outage_s=outage_s),
            "done_after": (after["outcome"] == "done").mean(),
            "waste": run.summary()["waste"],
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("remedy")


def witnesses(cases: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return what the exact model and the simulator count, a row a case.

    A case is named, and says how it differs from ``RULES``, in the words of ``theory.retry_storm``.
    """
    rows = {}
    for name, changes in cases.items():
        rules = {**RULES, **changes}
        exact, simulated = theory.retry_storm(**rules), _counted(**rules)
        first_good_s = math.nan if exact.first_good_s is None else float(exact.first_good_s)
        counts = (exact.attempts, exact.late, exact.backlog, first_good_s)
        rows[name] = {
            (figure, witness): value
            for figure, *values in zip(FIGURES, counts, simulated, strict=True)
            for witness, value in zip(("exact", "simulated"), values, strict=True)
        }
    table = pd.DataFrame(list(rows.values()), index=pd.Index(rows, name="case"))
    table.columns = pd.MultiIndex.from_tuples(table.columns)
    return table


def _counted(
    *,
    arrival_rate_per_s: int,
    service_rate_per_s: int,
    timeout_s: int,
    max_retries: int,
    outage_start_s: int,
    outage_s: int,
    horizon_s: int,
    capacity: int | None = None,
) -> tuple[float, ...]:
    """Count in a simulation.

    Much happens at the same moment here, and who comes first then matters.  So time is in whole ticks,
    of which both the gap between arrivals and the service are a whole number: nothing is rounded.
    """
    tick = math.lcm(arrival_rate_per_s, service_rate_per_s)
    retry = dataclasses.replace(_ONCE, max_retries=max_retries) if max_retries else None
    server = Stage(
        name="server",
        service=Deterministic(value_s=tick // service_rate_per_s),
        capacity=capacity,
        when_full="drop",
        outages=[Outage(start_s=outage_start_s * tick, duration_s=outage_s * tick)],
    )
    asked = np.arange(0, horizon_s * tick + 1, tick // arrival_rate_per_s, dtype=float)
    callers = [Caller(timeout=timeout_s * tick, retry=retry)]
    design = Design(arrivals=Trace(times_s=asked), stages=[server], callers=callers)
    # half a tick more, so that what happens at the horizon is seen
    run = simulate(design, horizon_s=horizon_s * tick + 0.5)
    attempts, good = run.attempts, run.jobs.loc[run.jobs["outcome"] == "done", "finished_s"]
    first = good[good >= (outage_start_s + outage_s) * tick].min() / tick
    late, waiting = attempts["outcome"] == "late", attempts[["started_s", "ended_s"]].isna()
    return len(attempts), int(late.sum()), int(waiting.all(axis=1).sum()), float(first)


def recoveries(loads_per_s: Sequence[float], *, simulated_at: Sequence[int] = ()) -> Picture:
    """Return the picture of how long a service takes to get well by itself, over its load."""
    loads = np.asarray(loads_per_s, dtype=float)
    up_s = RULES["outage_start_s"] + RULES["outage_s"]

    def exact_s(load_per_s: float) -> float:
        rules = {**RULES, "arrival_rate_per_s": load_per_s, "horizon_s": 400}
        first_good_s = theory.retry_storm(**rules).first_good_s
        return math.nan if first_good_s is None else float(first_good_s) - float(up_s)

    curves = {"exact model": (loads, np.array([exact_s(load) for load in loads]))}
    changed = [{**RULES, "arrival_rate_per_s": load} for load in simulated_at]
    seen_s = [_counted(**rules)[-1] - up_s for rules in changed]

    def draw(axes: Axes) -> str:
        axes.set_title("The nearer to the hidden capacity, the longer it takes")
        _mark_hidden(axes)
        axes.plot(simulated_at, seen_s, "s", color=plots.GOAL, ms=12, mfc="none", label="simulated")
        said = plots.lines(
            axes, curves, xlabel="offered load, jobs/s", ylabel="first good answer, s after the outage",
            spans={"never": (CAPACITY_PER_S / 2, CAPACITY_PER_S)},
        )  # fmt: skip
        axes.set_xlim(0, CAPACITY_PER_S)
        points = zip(simulated_at, seen_s, strict=True)
        return " ".join([said, *(f"Simulated at {x:g}/s: {y:.1f} s." for x, y in points)])

    caption = "One server, 30 jobs/s, time-out 1 s, one retry, an outage of 10 s."
    return plots.picture(draw, caption=caption)


def _mark_hidden(axes: Axes) -> None:
    hidden = CAPACITY_PER_S / 2
    axes.axvline(hidden, color="#666666", lw=1.5, ls=":", label=f"hidden capacity, {hidden:g}/s")


def hysteresis(loads_per_s: Sequence[float], *, end_s: float = 165.0) -> Picture:
    """Return the picture of one load with two outcomes: without a trigger, and after an outage."""
    loads = np.asarray(loads_per_s, dtype=float)

    def goodput(outage_s: float, end_s: float) -> Array:
        runs = [simulate(storm(load_per_s=x, outage_s=outage_s), horizon_s=end_s) for x in loads]
        tails = [per_second(run, end_s=end_s)["goodput"].iloc[-7:-2].mean() for run in runs]
        return np.array(tails)

    curves = {
        "never disturbed": (loads, goodput(0.0, 40.0)),
        "after 10 s of outage": (loads, goodput(10.0, end_s)),
    }

    def draw(axes: Axes) -> str:
        axes.set_title("The same load, two outcomes")
        both = {"well or ill, by its past": (CAPACITY_PER_S / 2, CAPACITY_PER_S)}
        _mark_hidden(axes)
        said = plots.lines(
            axes, curves, xlabel="offered load, jobs/s", ylabel="answers in time, per s", spans=both
        )
        axes.set_xlim(0, CAPACITY_PER_S)
        return said

    caption = f"Simulated: one server, 30 jobs/s, time-out 1 s, one retry. Seen {end_s - 30:g} s after the outage ended."
    return plots.picture(draw, caption=caption)


def storms(*, end_s: float = 90.0, guess: Prediction | None = None) -> Panel:
    """Return a panel: goodput, attempts and late work over time, for a load, an outage and a remedy.

    The learner's ``guess``, in s after the outage, is a line, or a word in the legend if it is far out.
    """

    def draw(axes: Axes, *, load: float, outage: float, remedy: str) -> str:
        run = simulate(storm(remedy, load_per_s=load, outage_s=outage), horizon_s=end_s)
        seen = per_second(run, end_s=end_s)
        time_s = seen.index.to_numpy(dtype=float)
        said = _well(recovery_s(run, outage_s=outage), end_s)
        title = f"{load:g} jobs/s, {outage:g} s of outage, remedy: {remedy}"
        axes.set_title(f"{title}\n{said}")
        words = {"goodput": "answered in time", "attempts": "attempts", "late": "done too late"}
        curves = {words[name]: (time_s, seen[name].to_numpy()) for name in seen}
        spans = {"outage": (OUTAGE_AT_S, OUTAGE_AT_S + outage)} if outage else None
        label = f"capacity, {CAPACITY_PER_S:g}/s"
        axes.axhline(CAPACITY_PER_S, color="#666666", lw=1.5, ls=":", label=label)
        _guessed(axes, guess, outage_end_s=OUTAGE_AT_S + outage, end_s=end_s)
        drawn = plots.lines(axes, curves, xlabel="time, s", ylabel="per second", spans=spans)
        return f"{title}: {said}. {drawn}"

    caption = (
        "Simulated: one server, 30 jobs/s, regular arrivals, callers wait 1 s and ask once more."
    )
    return Panel(draw, _controls(), caption=caption, guess=guess)


def _well(well_s: float, end_s: float) -> str:
    if math.isinf(well_s):
        return f"not well by {end_s:g} s"
    return f"ten answers in a row are in time from {well_s:.1f} s after the outage"


def _guessed(axes: Axes, guess: Prediction | None, *, outage_end_s: float, end_s: float) -> None:
    if guess is None or guess.value is None:
        return
    label = f"your guess: {guess.value:g} s after it"
    if outage_end_s + guess.value <= end_s:
        axes.axvline(outage_end_s + guess.value, color=plots.GUESS, lw=2.5, ls=":", label=label)
    else:
        axes.plot([], [], color=plots.GUESS, ls=":", label=f"{label}\n(right of the chart)")


def _controls() -> dict[str, ipywidgets.Widget]:
    from ipywidgets import Dropdown, FloatSlider  # noqa: PLC0415, widgets only in a notebook

    return {
        "load": FloatSlider(28.0, min=10.0, max=29.0, step=1.0, **look("Load, jobs/s")),
        "outage": FloatSlider(10.0, min=0.0, max=20.0, step=0.5, **look("Outage, s")),
        "remedy": Dropdown(options=list(REMEDIES), **look("Remedy")),
    }
