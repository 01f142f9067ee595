"""What it costs to say no, and where: the pictures and the price list of notebook 05."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit import plots
from toolkit.laws import Array
from toolkit.lessons import Prediction
from toolkit.plots import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RUNGS = {
    "xdp-drop": "XDP, drops all",
    "xdp": "XDP, token bucket",
    "xdp-generic": "XDP generic, token bucket",
    "tc-drop": "tc, drops all",
    "tc": "tc, token bucket",
    "nftables": "nftables, one limit",
    "nftables-per-source": "nftables, a limit a source",
    "iptables-hashlimit": "iptables, hashlimit",
    "socket": "delivered, socket full",
    "python": "delivered, read in Python",
}
"""Ways to say no, as ``Lab.ladder`` names them, from the wire inwards."""

EFFORT = {
    "python": (20, "a bucket in the service, 20 lines"),
    "nftables": (5, "a firewall rule, and root to set it"),
    "tc": (300, "a C program of 300 lines, and root"),
    "xdp": (300, "a C program of 300 lines, and root"),
}
"""Lines that somebody has to own, and what they are."""


def asked_for(table: pd.DataFrame) -> dict[str, Array]:
    """Return the rounds of each rung in ns a packet; Python's has the time of its own process added.

    That time is known for each packet that it got to read; of the others the kernel drops most.
    """
    rounds = {
        name: rows["ns"].to_numpy(dtype=float) for name, rows in table.groupby("rung", sort=False)
    }
    named = {RUNGS[str(name)]: values for name, values in rounds.items()}
    if "python" in rounds:
        own = table.loc[table["rung"] == "python", "ns_user"].to_numpy(dtype=float)
        named[RUNGS["python"]] = rounds["python"] + own
    return named


def ladder(table: pd.DataFrame, source: object, *, guess: Prediction | None = None) -> Picture:
    """Return the picture of ``Lab.ladder``: nanoseconds a packet, each round."""
    rungs = asked_for(table)
    value = guess.value if guess else None
    # the guess is how many times the cheapest bucket
    at_ns = value * float(np.min(rungs[RUNGS["xdp"]])) if value is not None else None

    def draw(axes: Axes) -> str:
        axes.set_title("What one refused packet costs, where")
        return plots.ladder(axes, rungs, xlabel="ns a packet (log)", guess=at_ns)

    rounds = table.groupby("rung").size().max()
    caption = (
        f"{source}. {rounds} rounds, in turn, from the sender's call to the refusal, on one CPU; "
        "bar and number: the fastest, since a disturbance only adds."
    )
    return plots.picture(draw, caption=caption)


def bill(
    table: pd.DataFrame,
    floods_per_s: Sequence[float],
    *,
    core: float = 1000.0,
    line: float = 1.0,
    effort: Mapping[str, tuple[int, str]] = EFFORT,
) -> pd.DataFrame:
    """Return what each way to say no costs a year: a row a way, a column a flood.

    ``core``: a CPU kept busy; ``line``: one to own.  A packet takes what it took in the fastest round.
    """
    rungs = asked_for(table)
    rows = {}
    for name, (lines, _) in effort.items():
        if RUNGS[name] in rungs:
            ns = float(np.min(rungs[RUNGS[name]]))
            rows[RUNGS[name]] = [line * lines + core * flood * ns / 1e9 for flood in floods_per_s]
    columns = [f"{flood:,.0f}/s" for flood in floods_per_s]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def breakeven_per_s(table: pd.DataFrame, cheap: str, fast: str, *, core: float = 1000.0,
                    line: float = 1.0) -> float:  # fmt: skip
    """Return the flood from which the ``fast`` way costs less than the ``cheap`` one; inf: never."""
    rungs = asked_for(table)
    ns = [float(np.min(rungs[RUNGS[name]])) for name in (cheap, fast)]
    if ns[0] <= ns[1]:
        return float("inf")
    return line * (EFFORT[fast][0] - EFFORT[cheap][0]) / (core * (ns[0] - ns[1]) / 1e9)


def answers(table: pd.DataFrame, source: object, *, guess: Prediction | None = None) -> Picture:
    """Return the picture of ``Lab.defend``: what a client gets, alone and in a flood."""
    cases = {
        row["case"]: (
            row["answered"] / row["asked"],
            *(None if pd.isna(row[p]) else 1000 * row[p] for p in ("p50_s", "p99_s")),
        )
        for _, row in table.iterrows()
    }
    value = guess.value / 100 if guess and guess.value is not None else None

    def draw(axes: Axes) -> str:
        axes.set_title("A client that behaves, while another floods")
        return plots.answered(axes, cases, guess=value)

    seconds, flooded = table["seconds"].iloc[0], table["flooded"].max()
    caption = (
        f"{source}. 200 questions a second for {seconds:g} s; the flood: up to {flooded:,} packets."
    )
    return plots.picture(draw, caption=caption)


def waits(table: pd.DataFrame, what: str, source: object) -> Picture:
    """Return the picture of a histogram of ``Lab.observe``: in peace and in a flood."""
    title, xlabel = {
        "run_queue_us": ("How long a task waits for a CPU", "wait for a CPU, µs"),
        "tcp_life_us": ("How long a TCP connection lives", "life of a connection, µs"),
    }[what]
    bins = {
        str(when): (rows["from_us"].to_numpy(), rows["count"].to_numpy())
        for when, rows in table[table["what"] == what].groupby("when", sort=False)
    }

    def draw(axes: Axes) -> str:
        axes.set_title(title)
        return plots.histogram(axes, bins, xlabel=xlabel)

    return plots.picture(draw, caption=f"{source}. Counted in the kernel, in powers of two.")
