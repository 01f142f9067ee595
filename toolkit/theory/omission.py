"""Coordinated omission: a load generator that waits for slow answers does not see their victims.

Two remedies, exactly: fill in what a fixed rate would have measured (Tene, "How not to measure
latency", 2013; HdrHistogram), or time every request from when it should have been sent (wrk2).
And what a histogram with buckets makes of the numbers, since tools report those.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from toolkit import _check

Number = int | float | Fraction


def corrected(
    values: Iterable[Number], *, expected_interval: Number, remainder: bool = False
) -> list[Number]:
    """Return ``values`` and, after each, what the requests held up behind it would have measured.

    v - i, v - 2 i, ... as long as at least i is left: the rule of HdrHistogram in Java.
    ``remainder`` adds what is left below i as well, which its Python package does, against the rule.
    It supposes requests at a fixed rate, so it is wrong for Poisson arrivals.  Any unit;
    whole numbers stay exact.  Raises ``ValueError`` unless ``expected_interval`` is above 0.

    >>> corrected([10, 50, 100], expected_interval=20)
    [10, 50, 30, 100, 80, 60, 40, 20]
    """
    if expected_interval <= 0:
        raise ValueError(f"expected_interval must be > 0, got {expected_interval!r}")
    filled = []
    for value in values:
        filled.append(value)
        missing = value - expected_interval
        while missing >= expected_interval or (remainder and missing > 0):
            filled.append(missing)
            missing -= expected_interval
    return filled


def histogram_bucket(value: int, *, digits: int = 3) -> range:
    """Return the whole numbers that an HdrHistogram of so many ``digits`` cannot tell from ``value``.

    Numbers of up to 2 x 10^digits, rounded up to a power of two, are kept apart; of larger ones as
    many leading bits (HdrHistogram 2.1, "sub-buckets").

    >>> bucket = histogram_bucket(100_000)
    >>> bucket[0], bucket[-1]
    (99968, 100031)
    """
    bits = (2 * 10 ** _check.count("digits", digits) - 1).bit_length()
    width = 1 << max(0, _check.count("value", value, least=0).bit_length() - bits)
    low = value // width * width
    return range(low, low + width)


def histogram_percentile(values: Iterable[int], percentile: float, *, digits: int = 3) -> int:
    """Return the ``percentile`` (0 to 100) as the HdrHistogram package of Python reports it.

    The rank n p is rounded half up, and the value is the top of its bucket: never below the sample, and
    within 10^-digits of it.  Raises ``ValueError`` without values or for a percentile out of range.

    >>> histogram_percentile([50_000_000] * 3, 75)
    50003967
    """
    share = _check.share("percentile / 100", percentile / 100)
    ordered = sorted(values)
    if not ordered:
        raise ValueError("values must hold at least one, got none")
    exact = Fraction(str(percentile)) / 100 if share else Fraction(0)
    rank = max(1, math.floor(len(ordered) * exact + Fraction(1, 2)))
    return histogram_bucket(ordered[rank - 1], digits=digits)[-1]


def histogram_mean(values: Iterable[int], *, digits: int = 3) -> float:
    """Return the mean as an HdrHistogram reports it: of the middles of the buckets.

    >>> histogram_mean([1_000, 100_000_000])
    49988084.0
    """
    buckets = [histogram_bucket(value, digits=digits) for value in values]
    if not buckets:
        raise ValueError("values must hold at least one, got none")
    return sum(bucket[0] + len(bucket) // 2 for bucket in buckets) / len(buckets)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenRun:
    """The same requests, timed in two ways.

    ``from_intended_s``: from when each should have been sent.  ``from_sent_s``: from when it was.
    """

    from_intended_s: Sequence[Fraction]
    from_sent_s: Sequence[Fraction]


def frozen_run(
    *,
    requests: int,
    rate_per_s: Number,
    service_s: Number,
    freeze_start_s: Number,
    freeze_s: Number,
) -> FrozenRun:
    """Play a constant-rate generator with one connection at a server that freezes once.

    Request k should be sent at k / rate, and is as soon as the answer before it is there.  No work is
    done during the freeze; work it interrupts is finished after it.
    Raises ``ValueError`` for fewer than one request or a rate that is not above 0.

    >>> freeze = {"freeze_start_s": 1, "freeze_s": 2}
    >>> run = frozen_run(requests=5, rate_per_s=2, service_s=Fraction(1, 4), **freeze)
    >>> [float(t) for t in run.from_intended_s]
    [0.25, 0.25, 2.25, 2.0, 1.75]
    >>> [float(t) for t in run.from_sent_s]
    [0.25, 0.25, 2.25, 0.25, 0.25]
    """
    rate, work, start, length = map(_exact, (rate_per_s, service_s, freeze_start_s, freeze_s))
    if rate <= 0:
        raise ValueError(f"rate_per_s must be > 0, got {rate_per_s!r}")
    done, intended, sent = Fraction(0), [], []
    for k in range(_check.count("requests", requests)):
        due = k / rate
        send = max(due, done)
        done = send + work
        if send < start + length and (start < done or start == send):  # the rest of the freeze
            done += start + length - max(send, start)
        intended.append(done - due)
        sent.append(done - send)
    return FrozenRun(from_intended_s=intended, from_sent_s=sent)


def _exact(value: Number) -> Fraction:
    return Fraction(str(value)) if isinstance(value, float) else Fraction(value)
