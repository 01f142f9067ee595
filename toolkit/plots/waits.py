"""Waits over the percentiles, measured beside simulated, at several loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from toolkit._say import three_digits
from toolkit.laws import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOOKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"))  # a load: colour, marker
_LEVELS = np.array([50.0, 75.0, 90.0, 95.0, 99.0])


def waits(axes: Axes, loads: Mapping[str, tuple[Array, Array]]) -> str:
    """Draw ``loads``, name to (measured, simulated) waits in ms, up to three; return p99 in a sentence.

    Every nine of the percentiles is as wide as the one before.
    """
    shown = 100 * (1 - np.logspace(-0.1, -2.3, 100))
    said = []
    for (name, (measured, simulated)), (color, marker) in zip(loads.items(), _LOOKS, strict=False):
        real, model = np.percentile(measured, _LEVELS), np.percentile(simulated, shown)
        axes.plot(_tail(shown), model, color=color, ls="-", label=f"{name}, simulated")
        axes.plot(
            _tail(_LEVELS),
            real,
            color=color,
            ls="",
            marker=marker,
            markersize=9,
            markerfacecolor="white",
            markeredgewidth=2,
            clip_on=False,
            zorder=3,
            label=f"{name}, measured",
        )
        p99 = three_digits(np.percentile(simulated, 99))
        said.append(f"{name} p99 measured {three_digits(real[-1])} ms, simulated {p99} ms")
    axes.set_xticks(_tail(_LEVELS), [f"p{level:g}" for level in _LEVELS])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("share of jobs that waited at most this long")
    axes.set_ylabel("wait for a worker, ms")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    return "; ".join(said) + "."


def _tail(level: Array) -> Array:
    return np.asarray(-np.log10(1 - level / 100))
