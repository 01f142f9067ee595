"""The questions of notebook 04, and the ideas behind wrong answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from toolkit.design.limits import RunningBucket
from toolkit.lessons.feedback import Feedback, close, number


def _promise(answer: Any, *, rate_per_s: float, burst: int, window_s: float) -> Feedback:
    """Check the most that can pass in a window."""
    given, right = number(answer), math.floor(burst + rate_per_s * window_s)
    if given == right:
        return Feedback(True, f"{right:,}: the bucket that was saved up, and all that flows in")
    if close(given, rate_per_s * window_s):
        return Feedback(
            False, "that is what flows in; the bucket may be full when the window opens"
        )
    if close(given, burst):
        return Feedback(False, "that is a full bucket; tokens flow in while it is emptied")
    if close(given, (burst + rate_per_s) * window_s):
        return Feedback(False, "the saved tokens can be spent once, not every second")
    return Feedback(False, "what can be in the bucket at first, plus what flows in meanwhile")


def _bucket(answer: Any, *, kernel: Sequence[bool]) -> Feedback:
    """Check a learner's bucket against the kernel's decisions, packet by packet."""
    given, right = [bool(word) for word in answer], [bool(word) for word in kernel]
    if len(given) != len(right):
        return Feedback(False, f"{len(right)} packets came, and you decided about {len(given)}")
    first = next((k for k in range(len(right)) if given[k] != right[k]), None)
    if first is None:
        return Feedback(True, f"all {len(right):,} decisions are those of the kernel")
    if not any(given):
        return Feedback(False, "yours lets nothing pass; a bucket begins full")
    if given[first]:
        return Feedback(
            False,
            f"you let in packet {first}, and the kernel drops it: "
            "does a packet take a whole token, and is there room for only so many?",
        )
    return Feedback(
        False,
        f"you drop packet {first}, and the kernel lets it in: "
        "does yours begin full, and does a dropped packet take no token?",
    )


def _train(answer: Any, *, packets: int, gap_s: float, rate_per_s: float) -> Feedback:
    """Check the smallest burst that lets a train of packets pass whole."""
    given = number(answer)
    interval_ns, gap_ns = round(1e9 / rate_per_s), round(1e9 * gap_s)

    def whole(burst: int) -> bool:
        bucket = RunningBucket(interval=interval_ns, tolerance=(burst - 1) * interval_ns)
        return all(bucket.admit(k * gap_ns) for k in range(packets))

    right = next(burst for burst in count(1) if whole(burst))
    if given == right:
        return Feedback(True, f"{right}: what flows in during the train need not be saved up")
    if given == packets:
        return Feedback(False, "that is enough, but tokens flow in while the train passes")
    if given in (right - 1, right + 1):
        return Feedback(
            False, "off by one: when does the last packet come, and how many had flowed in?"
        )
    if given < right:
        return Feedback(False, "too small: the tail of the train is dropped")
    return Feedback(False, "the train would pass with a smaller one, too")


def _step(answer: Any, *, phases: Sequence[tuple[float, float]], burst: int) -> Feedback:
    """Check what passes of a flood while the rate is changed; ``phases``: (seconds, rate per s)."""
    given, flowed = number(answer), sum(seconds * rate for seconds, rate in phases)
    right = burst + flowed
    if abs(given - right) <= 0.004 * right:
        return Feedback(
            True, f"{right:,.0f}: the saved tokens once, then what flows in at each rate"
        )
    if abs(given - flowed) <= 0.004 * right:
        return Feedback(False, "the bucket was full at first")
    if abs(given - flowed - len(phases) * burst) <= 0.004 * right:
        return Feedback(False, "a new limit does not fill the bucket again")
    if close(given, phases[0][1] * sum(seconds for seconds, _ in phases)):
        return Feedback(False, "that is the first rate all the time")
    return Feedback(False, "for each rate: how long did it hold, and how much flowed in?")


def _wait(answer: Any, *, packets: int, rate_per_s: float, burst: int) -> Feedback:
    """Check how long the last of a crowd waits for its token."""
    given, right = number(answer), max(0.0, (packets - burst) / rate_per_s)
    if close(given, right):
        return Feedback(True, f"{right:g} s: nothing is lost, and the last one pays in time")
    if close(given, packets / rate_per_s):
        return Feedback(False, "the first of them find saved tokens and do not wait")
    if close(given, 1000 * right):
        return Feedback(False, "that is in milliseconds; give seconds")
    return Feedback(
        False, "how many find no token, and how long does it take until as many flowed in?"
    )


QUESTIONS: dict[str, Callable[..., Feedback]] = {
    "04-1 promise": _promise,
    "04-2 your bucket": _bucket,
    "04-3 a train": _train,
    "04-4 new limits": _step,
    "04-5 the last one": _wait,
}
