"""Poisson traffic at a token bucket that drops, or makes wait: M/D/1 in disguise."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit import _check
from toolkit.theory.general import clockwork
from toolkit.theory.solve import quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppingBucket:
    """Poisson traffic at a token bucket that drops: shares of jobs, and of time with a full bucket."""

    admitted: float
    lost: float
    admitted_per_s: float
    full: float


def token_bucket(*, arrival_rate_per_s: float, rate_per_s: float, burst: float) -> DroppingBucket:
    """Solve a bucket of ``burst`` tokens, ``rate_per_s`` refilled evenly, that drops when empty.

    The debt of tokens is the unfinished work of an M/D/1 queue that lets a job in only up to
    burst - 1 tokens; below that level it moves as in the unlimited queue.  With rho =
    lambda / rate and G = P(W <= burst - 1) / P(W = 0) of that queue, the admitted share is
    G / (1 + rho G), and of the time 1 / (1 + rho G) the bucket is full (level crossing,
    Brill & Posner 1977).  Any load, any ``burst`` >= 1, whole or not; else ``ValueError``.

    >>> round(token_bucket(arrival_rate_per_s=0.5, rate_per_s=1.0, burst=1).lost, 6)
    0.333333
    """
    arrivals, rho, depth = _bucket(arrival_rate_per_s, rate_per_s, burst)
    model = clockwork(rho)
    empty = 1.0 / model.growth(depth)
    # 1 - rho + empty, each way without taking the difference of two nearly equal numbers
    missed = model.tail(depth) * empty if rho < 1.0 else empty + (rho - 1.0)
    admitted = min(1.0, 1.0 / (empty + rho))  # rounding may leave a hair more than all
    return DroppingBucket(
        admitted=admitted,
        lost=missed / (empty + rho),
        admitted_per_s=arrivals * admitted,
        full=empty / (empty + rho),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingBucket:
    """Poisson traffic at a token bucket before which jobs wait, in order of arrival."""

    arrival_rate_per_s: float
    rate_per_s: float
    burst: float
    prob_wait: float
    wait_s: float
    waiting: float

    def wait_tail(self, t_s: float) -> float:
        """Return P(wait > ``t_s``)."""
        debt = self.burst - 1.0 + _check.not_negative("t_s", t_s) * self.rate_per_s
        return clockwork(self.arrival_rate_per_s / self.rate_per_s).tail(debt)

    def wait_quantile_s(self, p: float) -> float:
        """Return the wait in s that a share ``p`` of the jobs does not exceed; 0 <= p < 1."""
        return quantile(self.wait_tail, p, self.burst / self.rate_per_s)


def token_bucket_wait(
    *, arrival_rate_per_s: float, rate_per_s: float, burst: float
) -> WaitingBucket:
    """Solve a bucket of ``burst`` tokens, ``rate_per_s`` refilled evenly, that makes jobs wait.

    The debt of tokens is the unfinished work W of an M/D/1 queue, and a job waits for what is
    above burst - 1 of it: P(wait > t) = P(W > burst - 1 + rate t) (the
    virtual scheduling form of ITU-T I.371, annex A).  Raises ``ValueError`` where jobs come as fast as
    tokens do, or faster.

    >>> round(token_bucket_wait(arrival_rate_per_s=0.5, rate_per_s=1.0, burst=1).prob_wait, 6)
    0.5
    """
    arrivals, rho, depth = _bucket(arrival_rate_per_s, rate_per_s, burst)
    if rho >= 1.0:
        raise ValueError(
            f"unstable: arrival_rate_per_s must be < rate_per_s, got {arrivals:g} and {rate_per_s:g};\n"
            f"a rate_per_s above {arrivals:g} would be stable, or a bucket that drops"
        )
    model = clockwork(rho)
    wait_s = model.mean_beyond(depth) / rate_per_s
    return WaitingBucket(
        arrival_rate_per_s=arrivals,
        rate_per_s=float(rate_per_s),
        burst=float(burst),
        prob_wait=model.tail(depth),
        wait_s=wait_s,
        waiting=arrivals * wait_s,
    )


def _bucket(arrival_rate_per_s: float, rate_per_s: float, burst: float) -> tuple[float, ...]:
    """Check a bucket; return arrivals per s, arrivals for each token, tokens beyond the first."""
    arrivals = _check.positive("arrival_rate_per_s", arrival_rate_per_s)
    tokens = _check.positive("rate_per_s", rate_per_s)
    if _check.number("burst", burst) < 1:
        raise ValueError(f"burst must be >= 1 token (a job takes a whole one), got {burst!r}")
    return arrivals, arrivals / tokens, burst - 1.0
