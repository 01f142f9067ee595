"""Background jobs in pictures: recorded experiments beside their twins, and a crash on any product."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

from toolkit import plots
from toolkit.lessons import Prediction
from toolkit.panels.controls import look
from toolkit.panels.panel import Panel
from toolkit.panels.products import PRODUCTS, one_crash
from toolkit.panels.witnesses import LOADS, again_s, simulated, waits_ms
from toolkit.plots import Picture
from toolkit.recordings import recorded

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.axes import Axes

_KILLED = "celery-redis-kill-late"


def experiment(name: str, *, title: str) -> Picture:
    """Return a recording above its twin: who ran which job when, and how many waited."""
    measured, slots = recorded(name).executions, int(recorded(name).facts.get("concurrency", 1))
    # a simulated worker is a slot, and slots are numbered through
    measured["worker"] = measured["worker"] * slots + measured["slot"] * (slots > 1)
    twin = simulated(name)
    twin["sent_s"] = twin["job"].map(recorded(name).jobs["sent_s"])
    witnesses = {"Measured": measured, "Simulated": twin}
    end_s = max(float(rows["ended_s"].max()) for rows in witnesses.values())

    def draw(witness: str, *, legend: bool) -> Callable[[Axes], str]:
        rows, said = witnesses[witness], f"{witness}: {title}"
        return lambda axes: plots.timeline(axes, rows, title=said, end_s=end_s, legend=legend)

    caption = (
        f"Recording {name}: real workers on one machine. "
        "The twin has the same sends and lengths of work; who is called worker 0 is chance."
    )
    return plots.picture(
        draw("Measured", legend=True), below=draw("Simulated", legend=False), caption=caption
    )


def killed(guess: Prediction | None = None) -> Panel:
    """Return the worker killed with a late acknowledgement on Redis, and the ``guess`` beside it."""
    killed_s = float(recorded(_KILLED).facts["workers"][0]["killed_s"])
    witnesses = {"measured": recorded(_KILLED).executions, "simulated": simulated(_KILLED)}
    named = [
        rows.assign(worker=[f"{witness}, worker {k}" for k in rows["worker"]])
        for witness, rows in witnesses.items()
    ]
    rows = pd.concat(named, join="inner", ignore_index=True)
    again = [
        f"{witness}, job 0 runs again {again_s(rows):.1f} s after the kill"
        for witness, rows in witnesses.items()
    ]

    def draw(axes: Axes) -> str:
        marks, end_s = {f"worker 0 killed at {killed_s:.1f} s": killed_s}, 95.0
        if guess and guess.value is not None:
            marks[f"your guess: {guess.value:g} s after it"] = killed_s + guess.value
            # a guess that is far out is in the legend, and not worth the rest of the picture
            end_s = max(end_s, min(1.05 * (killed_s + guess.value), 300.0))
        title = "A killed worker's job comes back when somebody sweeps"
        plots.timeline(axes, rows, title=title, end_s=end_s, names="", marks=marks)
        return f"{title}: {'; '.join([*again, *marks])}."

    caption = (
        f"Recording {_KILLED} and its twin: Celery 5.7, late acknowledgement, visibility time-out 5 s, the default sweep. "
        "Thin bars are jobs of 0.1 s; those that worker 0 had fetched wait as long as job 0."
    )
    return Panel(draw, {}, caption=caption, guess=guess)


def loads() -> Panel:
    """Return a panel: the waits of random jobs at three loads, measured and simulated."""
    from ipywidgets import Dropdown  # noqa: PLC0415, widgets only in a notebook

    def draw(axes: Axes, *, product: str) -> str:
        axes.set_title(f"{product}: 150 s of random jobs on four slots")
        shown = {f"{load} busy": waits_ms(name) for load, name in LOADS[product].items()}
        return f"{product}: {plots.waits(axes, shown)}"

    caption = (
        "Poisson arrivals, exponential sleeps. Simulated: one run with the recorded arrivals and lengths, "
        "and the product's own time a job; nothing is left to chance, so there is no band."
    )
    control = Dropdown(options=list(LOADS), **look("Product"))
    return Panel(draw, {"product": control}, caption=caption)


def lumps(*, until_s: float = 32.0) -> Picture:
    """Return how late each scheduled job of Sidekiq started, over the moment it was due.

    Drawn to ``until_s``; the sentence is about all jobs.
    """
    name = "sidekiq-scheduled"
    due_s = recorded(name).jobs["due_s"].sort_values()
    shown = due_s <= until_s
    curves, late = {}, []
    for witness, rows in (("measured", recorded(name).executions), ("simulated", simulated(name))):
        late_s = rows.set_index("job").loc[due_s.index, "started_s"] - due_s
        curves[witness] = (due_s[shown].to_numpy(), late_s[shown].to_numpy())
        said = f"late by {late_s.mean():.1f} s in the mean and {late_s.max():.1f} s at most"
        late.append(f"{witness}, {said}")

    def draw(axes: Axes) -> str:
        title = "Sidekiq: jobs due at different moments start together, at the next poll"
        axes.set_title(title)
        plots.lines(axes, curves, xlabel="moment a job was due, s", ylabel="late by, s")
        for line in axes.get_lines():
            line.set_markevery(1)
        return f"{title}: of {len(due_s)} jobs, {'; '.join(late)}."

    caption = (
        f"Recording {name}: Sidekiq 6.4.1, one process, jobs due at random moments, a marker each; the jobs along a "
        "falling edge were all started by one poll. The twin draws polls of its own by the same rule, so its teeth stand elsewhere."
    )
    return plots.picture(draw, caption=caption)


def crash() -> Panel:
    """Return a panel: ten jobs on two workers of a product, one of which dies at a chosen moment."""

    def draw(axes: Axes, *, product: str, ack: str, prefetch: int, at_s: float) -> str:
        settings: dict[str, Any] = {}
        if "Celery" in product:
            settings = {"acks_late": ack == "late", "prefetch_multiplier": prefetch}
        run = one_crash(product, at_s=at_s, **settings)
        rows = run.attempts[run.attempts["worker"] >= 0]
        rows = rows.assign(sent_s=rows["job"].map(run.jobs["arrived_s"]))
        lost = int((run.jobs["outcome"] == "lost").sum())
        marks = {f"worker 0 dies at {at_s:g} s": at_s} if at_s else {}
        title = f"{product}, {ack} ack, prefetch {prefetch}" if settings else product
        said = plots.timeline(
            axes, rows, title=f"Simulated: {title}; lost: {lost}", end_s=40.0, marks=marks
        )
        return f"{said} Lost for good: {lost}."

    caption = (
        "A job a second, ten in all, each of 2 s; two workers; the dead one stays away; 0 is no death. "
        "Settings not shown are the product's defaults."
    )
    return Panel(draw, _crash_controls(), caption=caption)


def _crash_controls() -> dict[str, ipywidgets.Widget]:
    from ipywidgets import Dropdown, FloatSlider, IntSlider  # noqa: PLC0415

    names = [name for name in PRODUCTS if "acks_late" not in name]
    controls = {
        "product": Dropdown(options=names, **look("Product")),
        "ack": Dropdown(options=["early", "late"], **look("Acknowledge")),
        "prefetch": IntSlider(4, 1, 8, **look("Prefetch a slot")),
        "at_s": FloatSlider(3.0, min=0.0, max=9.0, step=0.5, **look("Worker 0 dies at, s")),
    }

    def follow(change: dict[str, str]) -> None:
        """Only Celery leaves these two to the user."""
        for name in ("ack", "prefetch"):
            controls[name].disabled = "Celery" not in change["new"]

    controls["product"].observe(follow, names="value")
    return controls
