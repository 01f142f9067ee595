"""A fitted system under other loads and with other staff, beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit import plots
from toolkit.advice import SLO, Advice
from toolkit.backoff import ConstantBackoff, ExponentialBackoff, FullJitter
from toolkit.design import Retry
from toolkit.fitting import Fit, staffing_name
from toolkit.laws import Array
from toolkit.lessons import Prediction
from toolkit.loadtest import LoadTest
from toolkit.panels.affordable import affordable
from toolkit.panels.controls import look
from toolkit.panels.panel import Panel
from toolkit.plots import Picture
from toolkit.simulation import simulate

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.axes import Axes

RETRIES = {
    "no retries": None,
    "3 retries, at once": Retry(max_retries=3, backoff=ConstantBackoff(delay_s=0.0)),
    "3 retries, exponential backoff": Retry(
        max_retries=3, backoff=ExponentialBackoff(base_s=0.1, cap_s=5.0)
    ),
    "3 retries, full jitter": Retry(max_retries=3, backoff=FullJitter(base_s=0.1, cap_s=5.0)),
}


def staffing(
    fit: Fit,
    *,
    slo: SLO,
    also: Sequence[LoadTest] = (),
    guess: Prediction | None = None,
    jobs: int = 20_000,
    replications: int = 3,
    seed: int = 0,
) -> Panel:
    """Return a panel on a fitted system: workers, load, failures and retries, beside what was measured.

    The fitted test is shown beside the prediction, or that of the ``also`` measured ones whose rate
    is nearest to the chosen load.  The legend says how many requests were simulated: ``jobs`` in every
    replication, or fewer until the simulator has been compiled.
    """

    def draw(axes: Axes, *, workers: int, load: float, failure: float, retry: str) -> str:
        design = fit.variant(workers=workers, load=load, failure=failure, retry=RETRIES[retry])
        sent = affordable(jobs)
        runs = [simulate(design, jobs=sent, seed=seed, replication=k) for k in range(replications)]
        runs_ms = [run.done_ms() for run in runs]
        done = sum(map(len, runs_ms)) / (sent * replications)
        rate_per_s, utilisation = design.arrivals.rate_per_s, design.offered_load()[0].utilisation
        title = f"{staffing_name(workers)} at {rate_per_s:.0f} requests/s: utilisation {utilisation:.0%}"
        title += ", OVERLOADED" if design.overloads() else ""
        axes.set_title(title)
        nearest = min([fit.test, *also], key=lambda test: abs(test.rate_per_s - rate_per_s))
        label = f"predicted, {replications} runs of {sent:,}"
        said = _latency(axes, nearest, runs_ms, slo, guess, label=label)
        return " ".join([f"{title}.", said, f"Done: {done:.1%}.", *runs[0].warnings])

    caption = f"Predicted: mean and range of the runs; {'; '.join(fit.assumptions)}"
    return Panel(draw, _staffing_controls(fit), caption=caption, guess=guess)


def _staffing_controls(fit: Fit) -> dict[str, ipywidgets.Widget]:
    from ipywidgets import Dropdown, FloatSlider, IntSlider  # noqa: PLC0415

    failing = look("Failing attempts", readout_format=".0%")
    return {
        "workers": IntSlider(fit.workers, 1, 3 * fit.workers, **look("Workers")),
        "load": FloatSlider(1.0, min=0.2, max=3.0, step=0.1, **look("Load, × measured")),
        "failure": FloatSlider(0.0, min=0.0, max=0.5, step=0.05, **failing),
        "retry": Dropdown(options=list(RETRIES), **look("Retry policy")),
    }


def checked(
    fit: Fit,
    test: LoadTest,
    *,
    slo: SLO,
    guess: Prediction | None = None,
    replications: int = 5,
    seed: int = 0,
) -> Panel:
    """Return a picture of ``test`` beside what ``fit`` predicts for its arrivals, run by run."""
    design = fit.under(test)
    runs = [simulate(design, seed=seed, replication=k).done_ms() for k in range(replications)]
    title = f"A test at {test.rate_per_s:.0f} requests/s, predicted by a fit at {fit.test.rate_per_s:.0f}"

    def draw(axes: Axes) -> str:
        axes.set_title(title)
        return f"{title}: {_latency(axes, test, runs, slo, guess)}"

    caption = f"Predicted: the test's arrivals, mean and range of {replications} runs; {'; '.join(fit.assumptions)}"
    return Panel(draw, {}, caption=caption, guess=guess)


def _latency(
    axes: Axes,
    test: LoadTest,
    runs_ms: Sequence[Array],
    slo: SLO,
    guess: Prediction | None,
    *,
    label: str = "predicted",
) -> str:
    return plots.latency(
        axes,
        measured_ms=test.samples["elapsed_ms"].to_numpy(dtype=float),
        measured_label=f"measured at {test.rate_per_s:.0f}/s",
        predicted_ms=runs_ms,
        predicted_label=label,
        goal_ms=slo.goals_ms(),
        guess_ms=guess.value if guess else None,
    )


def advised(advice: Advice, fit: Fit) -> Picture:
    """Return the picture of an advice: a row a design, the goal, and the verdicts."""
    target, goal = next(iter(advice.slo.targets().items()))

    def draw(axes: Axes) -> str:
        axes.set_title(f"Which design meets {advice.slo}?")
        return plots.designs(axes, advice.table(), target=target, goal=goal)

    return plots.picture(draw, caption="; ".join(fit.assumptions))
