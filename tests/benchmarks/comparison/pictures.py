"""The two charts that the README shows: how fast, and how cost grows."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

STYLE = Path(__file__).parents[3] / "toolkit" / "toolkit.mplstyle"
MODELS = {
    "mm1": ("M/M/1", "o", "#0072B2"),
    "mm4": ("M/M/4", "s", "#D55E00"),
    "retry": ("retries", "^", "#009E73"),
    "tbretry": ("token bucket and retries", "v", "#CC79A7"),
    "celery": ("Celery", "D", "#E69F00"),
    "sqs": ("SQS", "P", "#56B4E9"),
}
"""What a model is called, its marker and its colour, of Okabe and Ito's palette."""

PROGRAMS = {
    "salabim": "salabim",
    "ciw": "Ciw",
    "asimpy": "asimpy",
    "cimba": "Cimba",
    "lab-loop": "Goodput Lab,\nno short cut for plain queues",
    "lab": "Goodput Lab",
    "lab-drawn": "Goodput Lab,\na slider moved",
}
"""From bottom to top; SimPy is the line at one."""

AXES = {"jobs": "jobs", "workers": "workers", "stages": "stages in a row"}


def speed(results: Mapping[str, object], path: Path) -> str:
    """Draw how many times as fast as SimPy each program is; return the same in a sentence."""
    rows = {(row["program"], row["model"]): row for row in results["rows"]}
    programs = [name for name in PROGRAMS if any(name == one for one, _ in rows)]
    with plt.style.context(STYLE):
        figure, axes = plt.subplots(figsize=(9, 0.75 * len(programs) + 2.2))
        for place, name in enumerate(programs):
            for nudge, (model, (_, marker, colour)) in enumerate(MODELS.items()):
                if (name, model) in rows:
                    ratio = rows[name, model]["ratio"]
                    _point(axes, ratio, place + 0.3 - 0.12 * nudge, marker, colour)
            beside = axes.get_yaxis_transform()
            axes.text(1.01, place, f"{_range(rows, name)}×", transform=beside, va="center")
        axes.axvline(1, color="black", linewidth=1)
        axes.text(1.1, len(programs) - 0.32, "SimPy", va="top")
        axes.set(xscale="log", yticks=range(len(programs)), ylim=(-0.6, len(programs) - 0.3))
        axes.set_yticklabels([PROGRAMS[name] for name in programs])
        axes.set_xlabel("times as fast as SimPy with a process a job (CPU time, log scale)")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
        axes.grid(visible=True, axis="x")
        axes.grid(visible=False, axis="y")
        axes.set_title("The same jobs, the same records: how fast?")
        shown = [one for one in MODELS if any(one == model for _, model in rows)]
        handles = [
            plt.Line2D([], [], linestyle="", marker=marker, color=colour, label=says)
            for says, marker, colour in map(MODELS.get, shown)
        ]
        axes.legend(handles=handles, loc="lower right")
        _caption(
            figure,
            results,
            "Points are medians, lines reach from the least to the most.  A slider moved: another number of "
            "workers, for jobs whose random numbers are drawn.\n",
        )
        figure.savefig(path, metadata={"Software": None})
        plt.close(figure)
    return f"{path.name}: " + "; ".join(
        f"{PROGRAMS[name]} {_range(rows, name)} times as fast as SimPy".replace("\n", " ")
        for name in reversed(programs)
    )


def _point(axes, ratio: Mapping[str, float], place: float, marker: str, colour: str) -> None:
    """Draw a median with its range."""
    axes.plot([ratio["least"], ratio["most"]], [place, place], color=colour, linewidth=1.5)
    axes.plot(ratio["median"], place, marker=marker, color=colour, linestyle="")


def _range(rows, name: str) -> str:
    """Return the least and the most of a program's medians."""
    medians = [row["ratio"]["median"] for (one, _), row in rows.items() if one == name]
    low, high = (f"{float(f'{end(medians):.2g}'):,g}" for end in (min, max))
    return low if low == high else f"{low} to {high}"


def growth(results: Mapping[str, object], path: Path) -> str:
    """Draw what a job costs as the run, the workers and the stages grow; return it in a sentence."""
    said = []
    with plt.style.context(STYLE):
        figure, panels = plt.subplots(1, 3, figsize=(9, 3.6), sharey=True)
        for axes, (axis, says) in zip(panels, AXES.items(), strict=True):
            rows = [row for row in results["rows"] if row["axis"] == axis]
            values = [row["value"] for row in rows]
            medians = [row["ns"]["median"] for row in rows]
            lows, highs = ([row["ns"][end] for row in rows] for end in ("least", "most"))
            axes.fill_between(values, lows, highs, alpha=0.2)
            axes.plot(values, medians, marker="o")
            axes.set(xscale="log", yscale="log", xlabel=says)
            axes.set_xticks([values[0], values[len(values) // 2], values[-1]], minor=False)
            axes.xaxis.set_major_formatter(_short)
            axes.xaxis.set_minor_locator(plt.NullLocator())
            axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            axes.yaxis.set_minor_locator(plt.NullLocator())
            axes.grid(visible=True, axis="both")
            said.append(
                f"{medians[0]:,.0f} to {medians[-1]:,.0f} ns a job from {values[0]:,} to {values[-1]:,} {axis}"
            )
        panels[0].set_ylabel("CPU time a job, ns")
        usual = results["usual"]
        figure.suptitle("How the cost of a job grows", x=0.01, ha="left", weight="bold")
        _caption(
            figure,
            results,
            "Jobs with retries, workers nine tenths busy; what does not grow stays at "
            f"{usual['jobs']:,} jobs, {usual['workers']} workers, {usual['stages']} stage.\n",
        )
        figure.savefig(path, metadata={"Software": None})
        plt.close(figure)
    return f"{path.name}: " + "; ".join(said)


def _short(value: float, _: object) -> str:
    """Return 1000000 as 1 M."""
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _caption(figure, results: Mapping[str, object], text: str) -> None:
    """Say below the chart what was done, and on what."""
    machine, rounds = results["machine"], results["rounds"]
    packages = ", ".join(
        f"{name} {version}"
        for name, version in machine["packages"].items()
        if name not in ("goodput-lab", "numpy")
    )
    figure.supxlabel(
        f"{text}{rounds} round{'s' * (rounds > 1)} in fresh processes, one core of {machine['processor']}, "
        f"{machine['measured_at'][:10]}.\nPython {machine['python']}, {packages}.",
        fontsize=8,
        x=0.01,
        ha="left",
    )
