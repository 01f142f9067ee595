"""Who ran which job when: a bar a run, a line a worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from toolkit._say import three_digits
from toolkit.laws import Array
from toolkit.plots.picture import GUESS

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
_MARKS = (("#000000", "--"), (GUESS, ":"))
_LARGE, _SMALL = 0.022, 0.016  # shares of the width; a narrower bar has no room for a number
_HALF = 0.275  # of the height of a bar


def timeline(
    axes: Axes,
    rows: pd.DataFrame,
    *,
    title: str,
    end_s: float | None = None,
    names: str = "worker",
    marks: Mapping[str, float] | None = None,
    legend: bool = True,
) -> str:
    """Draw the runs in ``rows`` as bars over time and return them in a sentence.

    ``rows`` has ``worker``, ``job``, ``started_s``, ``ended_s`` and ``outcome``, a row a run; a bar
    without an end goes on to ``end_s`` (the last end if not given).  What starts later than that is
    told at the right margin.  With ``sent_s`` in ``rows`` a lane below counts the jobs that wait:
    sent and not started, or killed and not started again (a job that never is again is not waiting).
    ``marks``: up to two moments in s by what they are, drawn across.
    """
    rows = rows.dropna(subset=["started_s"]).sort_values("started_s")
    last_s = float(rows[["started_s", "ended_s"]].max().max()) if end_s is None else end_s
    workers = sorted(set(rows["worker"]))
    _bars(axes, rows, workers, last_s)
    for (name, at_s), (color, dash) in zip((marks or {}).items(), _MARKS, strict=False):
        axes.axvline(at_s, color=color, ls=dash, lw=2, label=name, zorder=0.5)
    lanes = [f"{names} {worker}".strip() for worker in workers]
    said = _said(rows, title, last_s, marks or {})
    if "sent_s" in rows:
        most = _waiting_lane(axes, rows, place=len(lanes), last_s=last_s)
        lanes.append("jobs waiting")
        said = f"{said} At most {most} waiting at once."
    _dress(axes, lanes, title, last_s)
    if legend:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    return said


def _bars(axes: Axes, rows: pd.DataFrame, workers: list[Any], last_s: float) -> None:
    """Draw what starts up to ``last_s``, and tell the rest at the margin."""
    drawn: set[str] = set()
    for row in rows[rows["started_s"] <= last_s].itertuples():
        ended_s = last_s if pd.isna(row.ended_s) else min(row.ended_s, last_s)
        place = workers.index(row.worker)
        _bar(axes, row, place=place, ended_s=ended_s, last_s=last_s, drawn=drawn)
    for place, worker in enumerate(workers):
        later = rows[(rows["started_s"] > last_s) & (rows["worker"] == worker)]
        if not later.empty:
            _arrow(axes, place, f"job {_listed(later)}: from {later['started_s'].min():,.0f} s on")


def _bar(
    axes: Axes, row: Any, *, place: int, ended_s: float, last_s: float, drawn: set[str]
) -> None:
    """Draw a run, with the number of its job where there is room."""
    color, hatch, label = _LOOKS.get(str(row.outcome), _OTHER)
    width_s = ended_s - row.started_s
    axes.barh(
        place,
        max(width_s, 0.004 * last_s),
        left=row.started_s,
        height=2 * _HALF,
        color=color,
        hatch=hatch,
        edgecolor="white",
        lw=0.8 if width_s > 0.01 * last_s else 0.0,  # or the edge would hide the bar
        label=None if label in drawn else label,
    )
    drawn.add(label)
    if width_s > _SMALL * last_s:
        dark = color in ("#0072B2", "#D55E00", "#999999")
        axes.text(
            row.started_s + width_s / 2,
            place,
            f"{row.job}",
            ha="center",
            va="center",
            color="white" if dark else "black",
            fontsize=11 if width_s > _LARGE * last_s else 8 - len(f"{row.job}"),
            fontweight="bold",
            bbox={"fc": color, "ec": "none", "pad": 0.8} if hatch else None,
        )


def _waiting_lane(axes: Axes, rows: pd.DataFrame, *, place: int, last_s: float) -> int:
    """Draw how many jobs wait, in steps with their number on top where it fits; return the most."""
    times_s, counts = _waiting(rows, last_s)
    most, low = int(counts.max(initial=0)), place + _HALF
    tops = low - 1.6 * _HALF * counts / max(most, 1)
    axes.fill_between(times_s, low, tops, step="post", fc="#DDDDDD", ec="#555555", lw=0.8)
    named: list[int] = []
    wide = np.flatnonzero(np.diff(times_s) > _LARGE * last_s)
    for k in np.unique([*wide, np.argmax(counts)]):
        if counts[k] and counts[k] not in named[-1:]:
            middle_s = times_s[k : k + 2].mean()
            axes.text(
                middle_s, tops[k] - 0.02, f"{counts[k]}", ha="center", va="bottom", fontsize=11
            )
            named.append(int(counts[k]))
    return most


def _waiting(rows: pd.DataFrame, last_s: float) -> tuple[Array, Array]:
    """Return the moments at which the number of waiting jobs changes, and the number from there on."""
    rows = rows.sort_values(["job", "started_s"], ignore_index=True)
    by_job = rows.groupby("job")
    first = by_job.first()
    again_s = by_job["started_s"].shift(-1)
    killed = (rows["outcome"] == "crashed") & again_s.notna()
    begins_s = np.concatenate([first["sent_s"], rows.loc[killed, "ended_s"]])
    ends_s = np.concatenate([first["started_s"], again_s[killed]])
    changes_s = np.concatenate([begins_s, ends_s])
    times_s = np.unique(np.append(changes_s[changes_s < last_s], [0.0, last_s]))
    begun = np.searchsorted(np.sort(begins_s), times_s, side="right")
    counts = begun - np.searchsorted(np.sort(ends_s), times_s, side="right")
    changed = np.append(np.diff(counts, prepend=-1)[:-1] != 0, True)
    return times_s[changed], counts[changed]


def _arrow(axes: Axes, place: int, text: str) -> None:
    """Say at the right margin what comes later."""
    axes.annotate(
        f"{text} ▶",
        (0.995, place - 0.38),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="center",
        fontsize=11,
        fontweight="bold",
    )


def _listed(rows: pd.DataFrame) -> str:
    jobs = [str(job) for job in dict.fromkeys(rows["job"])]
    return ", ".join(jobs[:4]) + (" …" if len(jobs) > 4 else "")


def _dress(axes: Axes, names: list[str], title: str, last_s: float) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02 * last_s)
    axes.set_xlabel("time, s (a number in a bar is the job's)")
    axes.set_title(title)
    axes.grid(visible=False, axis="y")


def _said(rows: pd.DataFrame, title: str, last_s: float, marks: Mapping[str, float]) -> str:
    counts = rows["outcome"].astype(str).value_counts()
    parts = [
        f"{count} {_LOOKS.get(str(outcome), _OTHER)[2]}"
        for outcome, count in counts.items()
        if count
    ]
    last_start_s = float(rows["started_s"].max())
    if last_start_s > last_s:
        parts.append(f"the last starts at {three_digits(last_start_s)} s")
    parts += marks
    return (
        f"{title}: {len(rows)} runs of {rows['job'].nunique()} jobs up to {last_s:.3g} s: "
        + ", ".join(parts)
        + "."
    )
