"""A service that does not get well again: a trigger, a loop, and what breaks the loop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit import plots
from toolkit.arrivals import Renewal
from toolkit.backoff import ConstantBackoff
from toolkit.design import Breaker, Caller, Design, GrpcThrottle, Outage, Retry, Stage
from toolkit.laws import Array, Deterministic
from toolkit.panels.panel import Panel
from toolkit.plots import Picture
from toolkit.simulation import Run, simulate

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.axes import Axes

CAPACITY_PER_S, TIMEOUT_S, OUTAGE_AT_S = 30.0, 1.0, 20.0
"""A tenth of the textbook's rates, so that a slider follows the hand; the shares are the same."""

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

KNOBS = dict(zip(REMEDIES, (0, 0, 1, 1, 1, 2, 2, 2), strict=True))
"""Numbers to choose, or parts that must work together: what a remedy costs to own."""


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
    """Return how long after the outage's end the first ten answers in a row were in time; ``inf`` if never."""
    jobs = run.jobs[run.jobs["arrived_s"] >= OUTAGE_AT_S + outage_s]
    in_time = (jobs["outcome"] == "done").to_numpy()
    runs_of_ten = np.convolve(in_time, np.ones(10), mode="valid") == 10
    if not runs_of_ten.any():
        return math.inf
    return float(jobs["finished_s"].iloc[int(runs_of_ten.argmax())] - OUTAGE_AT_S - outage_s)


def compared(remedies: Sequence[str], *, load_per_s: float = 28.0, outage_s: float = 10.0, end_s: float = 200.0) -> pd.DataFrame:  # fmt: skip
    """Return a row a remedy: recovery in s, the share of jobs done after the outage, waste, knobs."""
    rows = {}
    for remedy in remedies:
        run = simulate(storm(remedy, load_per_s=load_per_s, outage_s=outage_s), horizon_s=end_s)
        after = run.jobs[run.jobs["arrived_s"].between(OUTAGE_AT_S + outage_s, end_s - 5.0)]
        rows[remedy] = {
            "recovery_s": recovery_s(run, outage_s=outage_s),
            "done_after": (after["outcome"] == "done").mean(),
            "waste": run.summary()["waste"],
            "knobs": KNOBS[remedy],
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("remedy")


def hysteresis(loads_per_s: Sequence[float], *, end_s: float = 90.0) -> Picture:
    """Return the picture of one load with two outcomes: without a trigger, and after an outage."""
    loads = np.asarray(loads_per_s, dtype=float)

    def goodput(outage_s: float) -> Array:
        runs = [simulate(storm(load_per_s=x, outage_s=outage_s), horizon_s=end_s) for x in loads]
        tails = [per_second(run, end_s=end_s)["goodput"].iloc[-10:-2].mean() for run in runs]
        return np.array(tails)

    curves = {
        "never disturbed": (loads, goodput(0.0)),
        "after 10 s of outage": (loads, goodput(10.0)),
    }

    def draw(axes: Axes) -> str:
        axes.set_title("The same load, two outcomes")
        axes.axvline(CAPACITY_PER_S / 2, color="#666666", lw=1.2, ls=":", label="hidden capacity")
        return plots.lines(axes, curves, xlabel="offered load, jobs/s", ylabel="goodput, jobs/s")

    caption = f"Simulated: one server, 30 jobs/s, time-out 1 s, one retry; goodput in the last seconds of {end_s:g} s."
    return plots.picture(draw, caption=caption)


def storms(*, end_s: float = 90.0, guess_s: float | None = None) -> Panel:
    """Return a panel: goodput, attempts and late work over time, for a load, an outage and a remedy."""

    def draw(axes: Axes, *, load: float, outage: float, remedy: str) -> str:
        run = simulate(storm(remedy, load_per_s=load, outage_s=outage), horizon_s=end_s)
        seen = per_second(run, end_s=end_s)
        time_s = seen.index.to_numpy(dtype=float)
        axes.set_title(f"{load:g} jobs/s, {outage:g} s of outage, {remedy}")
        words = {"goodput": "in time", "attempts": "attempts", "late": "done too late"}
        curves = {words[name]: (time_s, seen[name].to_numpy()) for name in seen}
        spans = {"outage": (OUTAGE_AT_S, OUTAGE_AT_S + outage)} if outage else None
        return plots.lines(
            axes, curves, xlabel="time, s", ylabel="per second", spans=spans,
            level=("capacity", CAPACITY_PER_S), guess=guess_s,
        )  # fmt: skip

    caption = (
        "Simulated: one server, 30 jobs/s, regular arrivals, callers wait 1 s and ask once more."
    )
    return Panel(draw, _controls(), caption=caption)


def _controls() -> dict[str, ipywidgets.Widget]:
    from ipywidgets import Dropdown, FloatSlider, Layout  # noqa: PLC0415, widgets only in a notebook

    look = {"style": {"description_width": "140px"}, "layout": Layout(width="480px")}
    slider = look | {"continuous_update": False}
    return {
        "load": FloatSlider(
            28.0, min=10.0, max=29.0, step=1.0, description="Load, jobs/s", **slider
        ),
        "outage": FloatSlider(10.0, min=0.0, max=20.0, step=1.0, description="Outage, s", **slider),
        "remedy": Dropdown(options=list(REMEDIES), description="Remedy", **look),
    }
