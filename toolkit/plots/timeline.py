"""Who ran which job when: a bar a run, a line a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOOKS = {  # outcome: colour, hatch, what the legend says
    "ok": ("#0072B2", "", "done"),
    "crashed": ("#D55E00", "xx", "killed"),
    "duplicate": ("#E69F00", "//", "done again, for nothing"),
    "failed": ("#CC79A7", "..", "failed"),
    "late": ("#56B4E9", "\\\\", "too late"),
}
_OTHER = ("#999999", "--", "other")


def timeline(
    axes: Axes, rows: pd.DataFrame, *, title: str, end_s: float | None = None, names: str = "worker"
) -> str:
    """Draw the runs in ``rows`` as bars over time and return them in a sentence.

    ``rows`` has ``worker``, ``job``, ``started_s``, ``ended_s`` and ``outcome``, a row a run; a bar
    without an end goes on to ``end_s`` (the last end if not given).
    """
    rows = rows.dropna(subset=["started_s"]).sort_values("started_s")
    last_s = float(rows[["started_s", "ended_s"]].max().max()) if end_s is None else end_s
    workers = sorted(set(rows["worker"]))
    drawn = set()
    for row in rows.itertuples():
        color, hatch, label = _LOOKS.get(str(row.outcome), _OTHER)
        width_s = (last_s if pd.isna(row.ended_s) else row.ended_s) - row.started_s
        axes.barh(
            workers.index(row.worker),
            max(width_s, 0.004 * last_s),
            left=row.started_s,
            height=0.55,
            color=color,
            hatch=hatch,
            edgecolor="white",
            lw=0.8,
            label=None if label in drawn else label,
        )
        drawn.add(label)
        if width_s > 0.03 * last_s:
            middle_s = row.started_s + width_s / 2
            axes.text(middle_s, workers.index(row.worker), f"{row.job}", ha="center", va="center", color="white", fontsize=11, fontweight="bold")  # fmt: skip
    _dress(axes, [f"{names} {worker}" for worker in workers], title, last_s)
    return _said(rows, title, last_s)


def _dress(axes: Axes, names: list[str], title: str, last_s: float) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02 * last_s)
    axes.set_xlabel("time, s (a number in a bar is the job's)")
    axes.set_title(title)
    axes.grid(visible=False, axis="y")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)


def _said(rows: pd.DataFrame, title: str, last_s: float) -> str:
    counts = rows["outcome"].astype(str).value_counts()
    parts = [
        f"{count} {_LOOKS.get(str(outcome), _OTHER)[2]}"
        for outcome, count in counts.items()
        if count
    ]
    return (
        f"{title}: {len(rows)} runs of {rows['job'].nunique()} jobs up to {last_s:.3g} s: "
        + ", ".join(parts)
        + "."
    )
