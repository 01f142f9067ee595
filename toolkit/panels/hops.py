"""Three measured services that do the same work, and what their twins say of other circumstances."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from toolkit import plots, twins
from toolkit._say import three_digits
from toolkit.arrivals import Poisson
from toolkit.laws import Array
from toolkit.lessons import Prediction
from toolkit.panels.controls import look
from toolkit.panels.panel import Panel
from toolkit.plots import Picture

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.axes import Axes

Curves = dict[str, tuple[Array, Array]]

RATES_PER_S = (20.0, 60.0, 100.0, 125.0, 145.0, 165.0, 200.0, 250.0)
_SHOWN = {"p50": 50, "p95": 95, "p99": 99}
_SLOW = {
    0.5: "work half as long",
    1.0: "work as measured",
    1.5: "work half as long again",
    2.0: "work twice as long",
    3.0: "work three times as long",
}
_MEASURED = "Measured: 40 to 180 s of random arrivals at each point, four slots, one processor for all parts."


@cache
def measured(figure: str, slow: float = 1.0) -> Curves:
    """Return a figure of the steady runs over the rate, by service; with ``slow`` work of the others."""
    table = twins.figures().sort_values("rate_per_s")
    table = table[
        table["scenario"].str.startswith("steady") if slow == 1.0 else table["slow"] == slow
    ]
    found = {}
    for service in twins.SERVICES:
        rows = table[table["service"] == service]
        if len(rows):
            found[service] = (rows["rate_per_s"].to_numpy(), rows[figure].to_numpy())
    return found


def against_load(*, guess: Prediction | None = None) -> Picture:
    """Return the picture of what was measured: p50 above and p99 below over the rate, for all three."""

    def draw(axes: Axes) -> str:
        axes.set_title("The same work, three ways: half of all answers take at most ...")
        return plots.lines(
            axes, measured("p50"), xlabel="jobs a second", ylabel="p50, ms",
            guess_y=guess.value if guess else None,
        )  # fmt: skip

    def below(axes: Axes) -> str:
        axes.set_title("... and 99 of 100")
        said = plots.lines(axes, measured("p99"), xlabel="jobs a second", ylabel="p99, ms")
        if legend := axes.get_legend():
            legend.remove()  # the names are beside the upper half
        return said

    return plots.picture(draw, caption=_MEASURED, below=below)


@cache
def _percentiles_ms(
    service: str, rate_per_s: float, slots: int, slow: float, jobs: int
) -> tuple[Array, float]:
    """Return p50, p95 and p99 of a twin's good answers in ms, and the share that is refused."""
    played_ms = twins.twin(service).played(
        Poisson(rate_per_s=rate_per_s), slots=slots, slow=slow, jobs=jobs, replications=1
    )[0]
    return np.percentile(played_ms, list(_SHOWN.values())), 1 - played_ms.size / jobs


def hops(*, guess: Prediction | None = None, jobs: int = 3_000) -> Panel:
    """Return a panel: three twins' answers over load, for so many slots and so slow a work.

    Each point is a simulated run of so many ``jobs`` from empty.  Measured points stand beside where there are
    any: four slots, work as it is or twice as long.  The learner's ``guess`` in ms is a line across.
    """

    def draw(axes: Axes, *, load: int, slots: int, slow: float, figure: str) -> str:
        place = list(_SHOWN).index(figure)
        rates = sorted({*RATES_PER_S, float(load)})
        curves = {
            service: (
                np.array(rates),
                np.array(
                    [_percentiles_ms(service, rate, slots, slow, jobs)[0][place] for rate in rates]
                ),
            )
            for service in twins.SERVICES
        }
        points = measured(figure, slow) if slots == twins.SLOTS else {}
        axes.set_title(title := f"{figure} with {slots} slots and {_SLOW[slow]}")
        plots.lines(
            axes, curves, xlabel="jobs a second", ylabel=f"{figure} of good answers, ms", log_y=True,
            ranges={name: (x, y[:, None]) for name, (x, y) in points.items()}, ranges_are="measured",
            marks={f"your load, {load}/s": ("x", load)}, guess_y=guess.value if guess else None,
        )  # fmt: skip
        axes.set_ylim(10, 3_000)
        said = "; ".join(_said(service, load, slots, slow, jobs) for service in twins.SERVICES)
        return f"{title}. At {load} jobs a second: {said}. {_nearest(points, load)}"

    caption = (
        f"Lines: twins, one simulated run of {jobs:,} jobs from empty at each load, fitted at 20 and 60 jobs a second. "
        "Hollow points: measured, where there are runs for these slots and this work."
    )
    return Panel(draw, _controls(), caption=caption, guess=guess)


def _said(service: str, load: float, slots: int, slow: float, jobs: int) -> str:
    (p50, _, p99), refused = _percentiles_ms(service, load, slots, slow, jobs)
    turned = f", {refused:.0%} refused" if refused >= 0.005 else ""
    return f"{service} p50 {p50:,.0f} ms, p99 {p99:,.0f} ms{turned}"


def _nearest(points: Mapping[str, tuple[Array, Array]], load: float) -> str:
    """Return the measured points that are nearest to a load, in words."""
    if not points:
        return "Nothing was measured for these slots and this work."
    said = []
    for service, (rates, values) in points.items():
        place = int(np.abs(rates - load).argmin())
        said.append(f"{service} {values[place]:,.0f} ms at {rates[place]:.0f}/s")
    return f"Measured nearest to it: {', '.join(said)}."


def _controls() -> dict[str, ipywidgets.Widget]:
    from ipywidgets import Dropdown, IntSlider, SelectionSlider  # noqa: PLC0415

    return {
        "load": IntSlider(100, 20, 270, step=10, **look("Load, jobs/s")),
        "slots": IntSlider(twins.SLOTS, 2, 12, **look("Slots")),
        "slow": SelectionSlider(options=list(_SLOW), value=1.0, **look("Work, × as long")),
        "figure": Dropdown(options=list(_SHOWN), value="p50", **look("Show")),
    }


def around(runs: Mapping[str, str], *, before_s: float = 2.0, after_s: float = 8.0) -> Picture:
    """Return the picture of good answers a second around the moment when something happened.

    ``runs``: names for the legend, and the run of each.
    """
    curves = {}
    for name, run in runs.items():
        at_s, good_per_s = twins.good_per_s(run, every_s=0.5)
        near = (at_s > -before_s) & (at_s < after_s)
        curves[name] = (at_s[near], good_per_s[near])

    def draw(axes: Axes) -> str:
        axes.set_title(title := "A part dies at 0 s: what clients get")
        plots.lines(
            axes, curves, xlabel="time from then on, s", ylabel="good answers a second",
            marks={"it dies": ("x", 0.0)},
        )  # fmt: skip
        fewest = (f"{name} {y[x > 0].min():.0f}" for name, (x, y) in curves.items())
        return f"{title}. The fewest good answers a second, in any half second after it: {', '.join(fewest)}."

    caption = "Measured: one run each at 60 jobs a second, counted in steps of half a second. The part starts again by itself."
    return plots.picture(draw, caption=caption)


def bursts() -> Picture:
    """Return the picture of the good answers a second in a burst, for all three."""
    curves = {
        service: twins.good_per_s(f"{service}-burst", every_s=2.0) for service in twins.SERVICES
    }

    def draw(axes: Axes) -> str:
        axes.set_title(title := "Eight seconds of 300 jobs a second")
        plots.lines(
            axes,
            curves,
            xlabel="time, s",
            ylabel="good answers a second",
            spans={"300/s": (20.0, 28.0)},
        )
        most = (f"{service} {y.max():.0f}" for service, (_, y) in curves.items())
        return (
            f"{title}. The most good answers a second, in any two seconds of it: {', '.join(most)}."
        )

    return plots.picture(draw, caption="Measured: one run each; 60 jobs a second before and after.")


def by_price(often: Mapping[str, float], *, lost: float = 0.0, most: float = 100.0) -> Picture:
    """Return the picture of a month's total over the price of a failed request.

    ``lost`` is the price of a lost job, ``often`` as in ``twins.month``.
    """
    failed = np.geomspace(0.01, most, 41)
    totals = [twins.total(failed=price, lost=lost, often=often)["a_month"] for price in failed]
    curves = {
        service: (failed, np.array([float(one[service]) for one in totals]))
        for service in twins.SERVICES
    }

    def draw(axes: Axes) -> str:
        axes.set_title("A month: parts, and what goes wrong")
        said = plots.lines(
            axes, curves, xlabel="price of a failed request, $", ylabel="a month, $",
            log_x=True, log_y=True,
        )  # fmt: skip
        return f"{said} Cheapest: {_cheapest(failed, [str(one.index[0]) for one in totals])}."

    counted = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in often.items())
    caption = f"Measured once each, at 60 jobs a second; parts by tk.Prices. A month: {counted}; a lost job ${lost:,.0f}."
    return plots.picture(draw, caption=caption)


def _cheapest(prices: Array, names: list[str]) -> str:
    """Return who is cheapest from which price on, in words."""
    new = [k for k, name in enumerate(names) if k == 0 or name != names[k - 1]]
    return ", ".join(f"{names[k]} from ${three_digits(prices[k])} on" for k in new)
