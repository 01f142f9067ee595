"""A limiter in the kernel beside its predictions, and where it costs what: notebooks 04 and 05."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit import plots, theory
from toolkit.arrivals import Trace
from toolkit.design import Design, Stage, TokenBucket
from toolkit.design.limits import RunningBucket
from toolkit.laws import Array, Deterministic
from toolkit.lessons import Prediction
from toolkit.panels.controls import look
from toolkit.panels.panel import Panel
from toolkit.plots import Picture
from toolkit.simulation import simulate

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.axes import Axes

    from toolkit.ebpf import Lab, Seen

Phases = Sequence[tuple[float, float, int]]
"""When a limit begins to hold, in s, its rate per s, its burst."""


def simulated(arrivals_ns: Array | Sequence[int], *, rate_per_s: float, burst: int) -> Array:
    """Return what the simulator's limiter lets pass.

    The model counts in nanoseconds, one of ours for each of its seconds: whole numbers do not round.
    """
    bucket = TokenBucket(rate_per_s=rate_per_s / 1e9, burst=burst)
    times = np.asarray(arrivals_ns, dtype=float)
    door = Stage(name="door", service=Deterministic(value_s=0.0), workers=1, limiter=bucket)
    run = simulate(Design(arrivals=Trace(times_s=times), stages=[door]))
    return np.asarray(run.jobs["outcome"].eq("done"))


def poisson_ns(*, rate_per_s: float, count: int, seed: int) -> Array:
    """Return so many arrival times at random, in whole nanoseconds."""
    gaps_s = np.random.default_rng(seed).exponential(1 / rate_per_s, count)
    return np.cumsum(np.rint(1e9 * gaps_s))


def most_in_any_window(times_ns: Array, *, window_ns: int) -> int:
    """Return how many of ``times_ns``, in order, lie within the fullest window."""
    after = np.searchsorted(times_ns, times_ns + window_ns, side="right")
    return int((after - np.arange(len(times_ns))).max())


def _allowed(t_s: Array, phases: Phases) -> Array:
    """Return how many a flooded bucket has let pass at ``t_s``: its first burst, and what flowed in."""
    total = np.full(len(t_s), float(phases[0][2]))
    ends = [start for start, _, _ in phases[1:]] + [np.inf]
    for (start, rate_per_s, _), end in zip(phases, ends, strict=True):
        total += rate_per_s * np.clip(np.minimum(t_s, end) - start, 0.0, None)
    return total


def _so_far(seen: Seen) -> tuple[Array, Array]:
    """Return when the counts were read, up to the last decision, and what had passed."""
    rows = seen.series.query("0 < t_s <= @seen.seconds")
    return rows["t_s"].to_numpy(), rows["passed"].to_numpy()


def _bucket(rate_per_s: float, burst: int) -> RunningBucket:
    return RunningBucket(interval=1 / rate_per_s, tolerance=(burst - 1) / rate_per_s)


def _as_sent(seen: Seen, phases: Phases) -> tuple[Array, Array]:
    """Return what the formula's bucket lets pass of the packets as they were sent: (t_s, so far).

    The sender was looked at some 50 times a second; between two looks its packets count as evenly
    spaced.  After a change the bucket holds as many tokens as before, but no more than it has room for.
    """
    looks = seen.series[seen.series["t_s"] <= seen.seconds]
    arrivals_s = np.interp(np.arange(1, looks["sent"].max() + 1), looks["sent"], looks["t_s"])
    changes = [*phases[1:], (np.inf, 0.0, 0)]
    _, rate_per_s, burst = phases[0]
    bucket, so_far = _bucket(rate_per_s, burst), []
    for now in arrivals_s:
        if now >= changes[0][0]:
            start, next_per_s, burst = changes.pop(0)
            debt = min(max(0.0, bucket.due - start) * rate_per_s, float(burst))
            rate_per_s, bucket = next_per_s, _bucket(next_per_s, burst)
            bucket.due = start + debt / rate_per_s
        so_far.append(bucket.admit(now))
    return arrivals_s, np.cumsum(so_far, dtype=float)


def flood(seen: Seen, *, rate_per_s: float, burst: int, guess: Prediction | None = None) -> Picture:
    """Return the picture of what the kernel let pass of a flood, on top of both predictions."""
    t_s = np.linspace(0.0, seen.seconds, 400)
    sent_s, _ = _as_sent(seen, [(0.0, rate_per_s, burst)])
    passed = simulated(np.rint(1e9 * sent_s), rate_per_s=rate_per_s, burst=burst)
    predicted = {
        "promise, by formula": (t_s, _allowed(t_s, [(0.0, rate_per_s, burst)])),
        "simulator": (sent_s, np.cumsum(passed, dtype=float)),
    }

    def draw(axes: Axes) -> str:
        axes.set_title(f"A flood at a limit of {rate_per_s:,.0f}/s")
        return plots.counted(
            axes, predicted, {"kernel, counted": _so_far(seen)}, xlabel="time, s",
            ylabel="packets let in so far", guess_y=guess.value if guess else None,
        )  # fmt: skip

    caption = (
        f"{seen.source}. Bucket: {rate_per_s:,.0f} tokens/s, burst {burst}; {seen.sent:,} packets. "
        "The simulator gets the packets as the sender was seen to send them."
    )
    return plots.picture(draw, caption=caption)


def stepped(seen: Seen, limits: Sequence[tuple[float, int]]) -> Picture:
    """Return the picture of a limit that was changed while packets flew: ``limits`` in their order."""
    phases = [
        (start, rate_per_s, burst)
        for start, (rate_per_s, burst) in zip((0.0, *seen.changed_s), limits, strict=True)
    ]
    t_s = np.linspace(0.0, seen.seconds, 400)
    marks = {
        f"now {rate_per_s:,.0f}/s, burst {burst}": start for start, rate_per_s, burst in phases[1:]
    }
    predicted = {
        "promise, by formula": (t_s, _allowed(t_s, phases)),
        "bucket": _as_sent(seen, phases),
    }

    def draw(axes: Axes) -> str:
        axes.set_title("New limits while packets fly")
        return plots.counted(
            axes, predicted, {"kernel, counted": _so_far(seen)},
            xlabel="time, s", ylabel="packets let in so far", marks=marks,
        )  # fmt: skip

    _, rate_per_s, burst = phases[0]
    caption = (
        f"{seen.source}. First {rate_per_s:,.0f} tokens/s, burst {burst}; {seen.sent:,} packets. "
        "The bucket gets them as the sender was seen to send them."
    )
    return plots.picture(draw, caption=caption)


def dropped(
    lab: Lab, loads: Sequence[float], *, rate_per_s: float, burst: int, count: int, seed: int
) -> pd.DataFrame:
    """Return the share of Poisson arrivals that each witness drops, a row a load.

    Simulator and kernel judge the same arrivals; in the kernel the packets carry these times.
    """
    rows = []
    for load in loads:
        arrivals = poisson_ns(rate_per_s=load * rate_per_s, count=count, seed=seed)
        exact = theory.token_bucket(
            arrival_rate_per_s=load * rate_per_s, rate_per_s=rate_per_s, burst=burst
        )
        model = simulated(arrivals, rate_per_s=rate_per_s, burst=burst)
        kernel = lab.decide(arrivals, rate_per_s=rate_per_s, burst=burst)
        rows.append((load, exact.lost, 1 - model.mean(), 1 - kernel.mean()))
    columns = ["load", "formula", "simulator", "kernel"]
    return pd.DataFrame(rows, columns=columns).set_index("load")


def losses(table: pd.DataFrame, real: Mapping[float, Seen], *, burst: int) -> Picture:
    """Return the picture of ``dropped``, and of ``real`` packets: a load of the rate to what was seen."""
    loads = np.linspace(0.5, max(table.index), 60)
    exact = [
        theory.token_bucket(arrival_rate_per_s=load, rate_per_s=1.0, burst=burst).lost
        for load in loads
    ]
    at = table.index.to_numpy(dtype=float)
    real_drops = [100 * seen.dropped / max(1, seen.dropped + seen.passed) for seen in real.values()]
    seen = {
        "kernel, times given": (at, 100 * table["kernel"].to_numpy()),
        "kernel, real packets": (np.array(list(real)), np.array(real_drops)),
        "simulator": (at, 100 * table["simulator"].to_numpy()),
    }

    def draw(axes: Axes) -> str:
        axes.set_title("Random packets near the limit")
        return plots.counted(
            axes, {"formula": (loads, 100 * np.array(exact))}, seen,
            xlabel="mean load, as a multiple of the rate", ylabel="dropped, % of packets",
        )  # fmt: skip

    source = next(iter(real.values())).source
    return plots.picture(draw, caption=f"{source}. Poisson arrivals, burst {burst}, full at first.")


def paced(
    table: pd.DataFrame, source: object, *, rate_per_s: float, burst: int, offered_per_s: float
) -> Picture:
    """Return the picture of ``Lab.pace``: packets that arrived over time, dropped or made to wait."""
    sent = table.attrs["sent"]
    last_s = table["t_s"].max()
    t_s = np.linspace(0.0, last_s, 400)
    predicted = {
        "sent": (t_s, np.minimum(offered_per_s * t_s, sent)),
        "promise": (t_s, np.minimum(_allowed(t_s, [(0.0, rate_per_s, burst)]), sent)),
    }
    seen = {
        name: (rows["t_s"].to_numpy(), np.arange(1.0, len(rows) + 1))
        for name, rows in table.groupby("how", sort=False)
    }

    def draw(axes: Axes) -> str:
        axes.set_title("Drop (police), or wait (shape)?")
        said = plots.counted(
            axes, predicted, {f"arrived, {how}": curve for how, curve in seen.items()},
            xlabel="time since the first, s", ylabel="packets that arrived so far",
        )  # fmt: skip
        ends = [f"{name}: the last after {x[-1]:.2f} s" for name, (x, _) in seen.items()]
        return " ".join([said, "; ".join(ends) + "."])

    caption = f"{source}. {sent} packets, {offered_per_s:,.0f}/s; {rate_per_s:,.0f} tokens/s, burst {burst}."
    return plots.picture(draw, caption=caption)


def instances(
    lab: Lab, arrivals_ns: Array, shares: Sequence[float], *, rate_per_s: float, burst: int
) -> pd.DataFrame:
    """Return what passes when arrivals are spread over instances in ``shares``, as the kernel judges.

    One limiter for all; a whole limit in each instance; an equal part of the limit in each.
    """
    n = len(shares)
    where = np.random.default_rng(0).choice(n, size=len(arrivals_ns), p=shares)

    def passed(rate: float, depth: int) -> int:
        mine = (arrivals_ns[where == k] for k in range(n))
        return sum(
            int(lab.decide(arrivals, rate_per_s=rate, burst=depth).sum()) for arrivals in mine
        )

    counts = {
        "one limiter for all": int(
            lab.decide(arrivals_ns, rate_per_s=rate_per_s, burst=burst).sum()
        ),
        f"{n} instances, the whole limit each": passed(rate_per_s, burst),
        f"{n} instances, a part of it each": passed(rate_per_s / n, max(1, burst // n)),
    }
    table = pd.DataFrame({"passed": pd.Series(counts)})
    return table.assign(offered=len(arrivals_ns))


def bill(
    *,
    load: float,
    bursts: Sequence[int],
    lost: float = 1.0,
    waited: float = 0.1,
    place: float = 0.1,
) -> pd.DataFrame:
    """Return what a thousand random requests at ``load`` of the rate cost, a row a bucket.

    ``lost``: a request that is dropped; ``waited``: one that has to wait; ``place``: room behind the
    limiter for one request of the burst, which may come all at once.
    """
    rows = {}
    for burst in bursts:
        known = {"arrival_rate_per_s": load, "rate_per_s": 1.0, "burst": burst}
        drops, waits = (
            theory.token_bucket(**known).lost,
            theory.token_bucket_wait(**known).prob_wait,
        )
        rows[f"drop, burst {burst}"] = (1000 * drops, 0.0, 1000 * drops * lost + place * burst)
        rows[f"wait, burst {burst}"] = (0.0, 1000 * waits, 1000 * waits * waited + place * burst)
    columns = ["dropped", "made to wait", "cost"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


# --- controls ---

LAWS = ("evenly spaced", "at random", "in trains of 50")


def _arrivals_ns(law: str, per_s: float, run: int) -> Array:
    """Return the arrivals of one second."""
    if law == "evenly spaced":
        return np.asarray(np.rint(1e9 * np.arange(round(per_s)) / per_s))
    if law == "at random":
        return poisson_ns(rate_per_s=per_s, count=round(per_s), seed=run)
    starts = np.sort(np.random.default_rng(run).integers(0, 10**9, max(1, round(per_s / 50))))
    return np.sort((starts[:, None] + 1_000.0 * np.arange(50)).ravel())


def buckets() -> Panel:
    """Return a panel: what the simulator's limiter lets pass in a second, and what it promises."""

    def draw(axes: Axes, *, load: float, burst: int, law: str, run: int) -> str:
        arrivals = _arrivals_ns(law, 1000 * load, run)
        passed = simulated(arrivals, rate_per_s=1000.0, burst=burst)
        t_s = arrivals / 1e9
        ends = np.array([0.0, max(1.0, t_s[-1])])
        curves = {
            "promise": (ends, _allowed(ends, [(0.0, 1000.0, burst)])),
            "arrived": (t_s, np.arange(1.0, len(t_s) + 1)),
            "let in": (t_s, np.cumsum(passed, dtype=float)),
        }
        axes.set_title(f"{1 - passed.mean():.1%} dropped: {law}, burst {burst}")
        said = plots.lines(axes, curves, xlabel="time, s", ylabel="packets so far")
        return f"{1 - passed.mean():.1%} of {len(passed)} packets dropped. {said}"

    caption = "Simulated, one second: a limit of 1,000/s; the bucket is full at first."
    return Panel(draw, _bucket_controls(), caption=caption)


def _bucket_controls() -> dict[str, ipywidgets.Widget]:
    from ipywidgets import Dropdown, FloatSlider, IntSlider  # noqa: PLC0415

    return {
        "load": FloatSlider(1.0, min=0.5, max=3.0, step=0.1, **look("Load / rate")),
        "burst": IntSlider(10, min=1, max=200, **look("Burst")),
        "law": Dropdown(options=LAWS, value=LAWS[1], **look("Packets come")),
        "run": IntSlider(1, 1, 8, **look("Run")),
    }
