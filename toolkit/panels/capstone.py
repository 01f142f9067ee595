"""Four witnesses for one decision: the pictures of notebook 10, and what a kernel says of its door."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from toolkit import plots
from toolkit.advice import Advice, Flood, Trial, beside_formula, capacity_per_s, estimate
from toolkit.advice.formula import first_level
from toolkit.design import Design
from toolkit.fitting import Fit
from toolkit.laws import Array
from toolkit.lessons import Prediction
from toolkit.loadtest import LoadTest
from toolkit.panels.limiter import simulated
from toolkit.panels.panel import Panel
from toolkit.panels.refusals import asked_for
from toolkit.plots import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from toolkit.ebpf import Lab

RUNGS = ("xdp", "nftables", "python")
"""Where a request may be refused: at the driver, by a firewall rule, in the service itself."""


def agreement(fit: Fit, trial: Trial, advice: Advice, *, guess: Prediction | None = None) -> Panel:
    """Return the picture of three witnesses: two tests as they were measured, then designs at the new load.

    ``guess``: the learner's number of workers.
    """
    level = first_level(advice.slo)
    rows = {**_staffings(advice), **_tests(fit, trial, level)}
    by_workers = {done.design.stages[0].workers: n for n, done in advice.comparison.replications.items()}  # fmt: skip

    def draw(axes: Axes) -> str:
        axes.set_title("Do the witnesses agree?")
        return plots.agreement(
            axes, rows, xlabel=f"p{level:g}, ms", goal=advice.slo.goals_ms().get(level),
            guess=by_workers.get(round(guess.value)) if guess and guess.value is not None else None,
        )  # fmt: skip

    caption = (
        "Bars: of a test, where one more run would fall in 95 of 100 cases; of a design, the 95% interval of "
        "the mean. No mark: overloaded."
    )
    return Panel(draw, {}, caption=caption, guess=guess)


def _staffings(advice: Advice) -> dict[str, dict[str, float]]:
    table = beside_formula(advice)
    return {
        str(name): {
            "simulated": row["simulated"],
            "low": row["simulated low"],
            "high": row["simulated high"],
            "formula": row["formula"],
        }
        for name, row in table.iterrows()
    }


def _tests(fit: Fit, trial: Trial, level: float) -> dict[str, dict[str, float]]:
    """Return what was measured beside what each model makes of the same arrivals."""
    rows = {}
    for model, test in ((fit, fit.test), (trial.fit, trial.test)):
        said = model.check(test, percentiles=(level,), progress=False).iloc[0]
        name = f"a test at {test.rate_per_s:.4g}/s"
        while name in rows:
            name += " (kept back)"
        rows[name] = {
            "measured": said["measured_ms"],
            "simulated": said["predicted_ms"],
            "low": said["low_ms"],
            "high": said["high_ms"],
            "formula": _formula_ms(model, test, level),
        }
    return rows


def _formula_ms(model: Fit, test: LoadTest, level: float) -> float:
    known = estimate(model.variant(load=test.rate_per_s / model.test.rate_per_s))
    return math.nan if known is None else 1000 * known.sojourn_quantile_s(level / 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What formula, simulator and kernel let in of the same ``arrivals_ns`` at a bucket.

    ``kernel`` is ``None`` where it could not be asked, for the reason in ``note``.
    """

    arrivals_ns: Array
    rate_per_s: float
    burst: int
    simulator: Array
    kernel: Array | None
    source: object
    note: str

    @property
    def promised(self) -> int:
        """The most that the bucket may let in of them: burst + rate x time."""
        seconds = float(self.arrivals_ns[-1] - self.arrivals_ns[0]) / 1e9
        return math.floor(self.burst + self.rate_per_s * seconds)

    @property
    def agree(self) -> bool:
        """Whether simulator and kernel took the same decision about every single one."""
        return self.kernel is not None and bool((self.kernel == self.simulator).all())

    def __str__(self) -> str:
        if self.kernel is None:
            return self.note
        same = "the same decision about each" if self.agree else "NOT the same decisions"
        return (
            f"of {len(self.arrivals_ns):,} requests it let in {self.kernel.sum():,}, the simulator "
            f"{self.simulator.sum():,}, {same}; promised were {self.promised:,} at most ({self.source})"
        )


def at_the_door(lab: Lab, flood: Flood, *, count: int = 2_000) -> Judged:
    """Have the first ``count`` requests of a flood judged by the simulator's bucket and by the kernel's.

    The packets carry their times, so that nothing depends on how busy this machine is.
    """
    # whole microseconds: the last digits of a logarithm may differ between machines
    arrivals_ns = 1e3 * np.rint(1e6 * flood.arrived_s[:count])
    limits: dict[str, Any] = {
        "rate_per_s": flood.bucket.rate_per_s,
        "burst": int(flood.bucket.burst),
    }
    # the kernel counts whole nanoseconds a token, rounded up
    exact = limits | {"rate_per_s": 1e9 / math.ceil(1e9 / limits["rate_per_s"])}
    kernel, note = None, ""
    try:
        kernel = lab.decide(arrivals_ns, **limits)
    except ValueError:
        if lab.backend != "recorded":
            raise
        note = (
            "was not asked: only recorded answers can be had here, and none is about this door "
            "(see: python -m toolkit ebpf doctor)"
        )
    return Judged(
        arrivals_ns=arrivals_ns,
        simulator=simulated(arrivals_ns, **exact),
        kernel=kernel,
        source=lab.source,
        note=note,
        **limits,
    )


def door(judged: Judged) -> Picture:
    """Return the picture of what was let in so far: promised, simulated, and decided by the kernel."""
    t_s = (judged.arrivals_ns - judged.arrivals_ns[0]) / 1e9
    predicted = {
        "asked": (t_s, np.arange(1.0, len(t_s) + 1)),
        "promise, by formula": (t_s, judged.burst + judged.rate_per_s * t_s),
        "simulator": (t_s, np.cumsum(judged.simulator, dtype=float)),
    }
    seen = {}
    if judged.kernel is not None:
        seen["kernel"] = (t_s, np.cumsum(judged.kernel, dtype=float))

    def draw(axes: Axes) -> str:
        axes.set_title(f"A flood at the door: {judged.rate_per_s:g}/s, burst {judged.burst}")
        said = plots.counted(
            axes, predicted, seen, xlabel="time, s", ylabel="requests let in so far"
        )
        axes.set_ylim(top=3 * judged.promised)
        return said

    caption = f"{judged.source}. The first {len(t_s):,} requests; the bucket is full at first."
    return plots.picture(
        draw, caption=caption if judged.kernel is not None else f"Kernel {judged.note}."
    )


def refusals(rungs: pd.DataFrame, flood: Flood, design: Design) -> pd.DataFrame:
    """Return what it takes to say no to a flood, a row a place, and to serve it all in vain.

    Columns: ``us``, microseconds for each (of the fastest round), and ``busy``, how many processors, or
    workers, that keeps busy.  ``rungs`` is what ``Lab.ladder`` measured.
    """
    asked_per_s = flood.table.loc["door", "asked"]
    refused_per_s = asked_per_s - flood.table.loc["door", "let in"]
    us: Mapping[str, float] = {
        name: float(np.min(rounds)) / 1e3 for name, rounds in asked_for(rungs).items()
    }
    served_us = 1e6 * design.stages[0].workers / capacity_per_s(design)
    table = pd.DataFrame({"us": pd.Series({**us, "served by a worker": served_us})})
    return table.assign(busy=table["us"] * refused_per_s / 1e6).rename_axis("refused at")
