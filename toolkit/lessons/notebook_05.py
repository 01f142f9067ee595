"""The questions of notebook 05, and the ideas behind wrong answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from toolkit.lessons.feedback import Feedback, close, number

if TYPE_CHECKING:
    import pandas as pd


def _numbers(verdict: Any) -> list[int]:
    """Return all numbers in the maps of a program that ran."""
    return [value for entries in verdict.maps.values() for value in entries.values()]


def _refused(verdict: Any) -> Feedback:
    return Feedback(False, f"refused by the {verdict.stage}. {verdict.words}")


def _bytes(answer: Any, *, packet_bytes: int) -> Feedback:
    """Check a program that counts bytes: its verdict, with the numbers in its maps."""
    if not answer.accepted:
        return _refused(answer)
    found, right = _numbers(answer), answer.sent * packet_bytes
    if right in found:
        return Feedback(True, f"{answer.sent} packets of {packet_bytes} bytes are {right:,}")
    if answer.sent in found:
        return Feedback(False, "those are packets; add the length: ctx->data_end - ctx->data")
    if not any(found):
        return Feedback(False, "it ran, and no map of it holds anything: where does it count?")
    return Feedback(
        False, f"its maps hold {found}; {answer.sent} packets had {packet_bytes} bytes each"
    )


def _repaired(answer: Any) -> Feedback:
    """Check that a refused program runs now and still counts every packet."""
    if not answer.accepted:
        return _refused(answer)
    if answer.sent in _numbers(answer):
        return Feedback(
            True, f"accepted after {answer.checked} instructions; {answer.sent} counted"
        )
    return Feedback(False, "it runs, but it does not count every packet any more")


def _cores(answer: Any, *, ns: float, flood_per_s: float) -> Feedback:
    """Check how many CPUs a flood keeps busy, at so many ns a packet."""
    given, right = number(answer), ns * flood_per_s / 1e9
    if close(given, right):
        return Feedback(True, f"{right:.2f} CPUs that do nothing but say no")
    if any(close(given, right * factor) for factor in (1e3, 1e6, 1e9, 1e-3, 1e-6)):
        return Feedback(False, "a power of a thousand is missing: a second has 10⁹ ns")
    if close(given, 1 / right):
        return Feedback(False, "upside down: dearer packets keep more CPUs busy")
    return Feedback(False, "packets a second times the seconds that each takes")


def _exact(answer: Any, *, costs: pd.DataFrame) -> Feedback:
    """Check which update keeps the promise on many CPUs for the least."""
    ns = costs[costs["case"] == "passed"].groupby("update")["ns"].median()
    if answer not in ns.index:
        return Feedback(False, f"the answer is one of {', '.join(ns.index)}")
    if answer == "racy":
        return Feedback(False, "two CPUs can spend one token: it promises nothing")
    if answer == "locked":
        return Feedback(
            False, f"exact, but {ns['locked']:.0f} ns; the swap took {ns['swap']:.0f} ns"
        )
    return Feedback(True, f"exact, for {ns['swap']:.0f} ns; a lock took {ns['locked']:.0f} ns")


def _newcomers(answer: Any, *, per_s: float, burst: int, seconds: float, sources: int) -> Feedback:
    """Check how many made-up sources can get in, each with one packet, past the newcomers' bucket."""
    given, right = number(answer), math.floor(burst + per_s * seconds)
    if abs(given - right) <= 1:
        return Feedback(True, f"{right:,}, however many addresses somebody makes up")
    if close(given, sources):
        return Feedback(False, "that is how many there are; all newcomers share one bucket")
    if close(given, per_s * seconds) or close(given, burst):
        return Feedback(False, "its promise is that of any bucket: burst + rate × time")
    return Feedback(False, "the newcomers' bucket is a token bucket like any other")


def _told(answer: Any, *, gap_s: float, seconds: float, cpus: int) -> Feedback:
    """Check the most reports of drops in a time, one a gap on a CPU."""
    given, right = number(answer), cpus * (math.floor(seconds / gap_s) + 1)
    if abs(given - right) <= cpus:
        return Feedback(True, f"about {right}, whatever the flood: a limiter for its own reports")
    if cpus > 1 and abs(given - right / cpus) <= 1:
        return Feedback(False, f"that is for one CPU; here are {cpus}")
    if close(given, gap_s * seconds):
        return Feedback(False, "how many gaps fit into that time? Divide")
    return Feedback(False, "one for each gap in that time, on each CPU")


def _share(answer: Any, *, table: pd.DataFrame) -> Feedback:
    """Check what share of its packets the first service gets through a bucket shared with others."""
    given = number(answer)
    first = table[table["service"] == 0].set_index("buckets")
    shares = first["passed"] / first["sent"]
    right = float(shares["one bucket for all"])
    if abs(given - right) <= 0.02:
        return Feedback(True, f"{right:.0%}: it kept to its rate, and a neighbour took its tokens")
    if abs(given - shares["a bucket each"]) <= 0.02:
        return Feedback(False, "that is with a bucket each")
    if close(given, 100 * right):
        return Feedback(False, "that is a percentage; give the share, from 0 to 1")
    return Feedback(
        False, "passed divided by sent, of service 0, in the rows with one bucket for all"
    )


QUESTIONS: dict[str, Callable[..., Feedback]] = {
    "05-1 bytes": _bytes,
    "05-2 repaired": _repaired,
    "05-3 busy CPUs": _cores,
    "05-4 exact and cheap": _exact,
    "05-5 newcomers": _newcomers,
    "05-6 told": _told,
    "05-7 a neighbour": _share,
}
