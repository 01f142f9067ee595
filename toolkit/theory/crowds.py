"""A crowd with a limit: a bounded room, a bounded number of users, and users who lose patience.

The number of jobs inside moves by one at a time, up or down, so the shares of time in each state
follow from the flow between neighbours alone; they are summed outwards from the likeliest state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit import _check
from toolkit.laws import Array


def _shares(up_per_s: Array, down_per_s: Array) -> Array:
    """Return the share of time in each state of a birth-death chain.

    ``up_per_s[n]`` leads from state n to n + 1 and ``down_per_s[n]`` back.  Their ratio must not
    rise with n, so the shares climb to one peak and fall again; they are multiplied outwards
    from it, and nothing overflows.
    """
    ratio = up_per_s / down_per_s
    peak = int(np.count_nonzero(ratio >= 1.0))
    below = np.cumprod(1.0 / ratio[:peak][::-1])[::-1]
    weights = np.concatenate([below, [1.0], np.cumprod(ratio[peak:])])
    shares: Array = weights / weights.sum()
    return shares


@dataclass(frozen=True, slots=True, kw_only=True)
class MMcK:
    """M/M/c with room for ``capacity`` jobs; the others are turned away.

    ``prob_wait``, ``wait_s`` and ``sojourn_s`` are of the jobs let in.
    """

    prob_blocked: float
    throughput_per_s: float
    utilisation: float
    prob_wait: float
    wait_s: float
    sojourn_s: float
    waiting: float
    jobs: float


def mmck(
    *, arrival_rate_per_s: float, service_rate_per_s: float, servers: int, capacity: int
) -> MMcK:
    """Solve M/M/c/K, ``capacity`` = K: the most jobs inside, waiting and in service.

    Birth-death shares, and Little's law with the rate let in (Gross & Harris 1998, ch. 2).
    Stable at any load.  Raises ``ValueError`` where ``capacity`` is less than ``servers``.

    >>> full = mmck(arrival_rate_per_s=10.0, service_rate_per_s=1.0, servers=10, capacity=10)
    >>> round(full.prob_blocked, 4)
    0.2146
    """
    rate = _check.positive("arrival_rate_per_s", arrival_rate_per_s)
    speed = _check.positive("service_rate_per_s", service_rate_per_s)
    count = _check.count("servers", servers)
    room = _check.count("capacity", capacity, least=count)
    state = np.arange(room + 1)
    shares = _shares(np.full(room, rate), speed * np.minimum(state[1:], count))
    through = rate * float(shares[:-1].sum())
    jobs, waiting = float(state @ shares), float(np.maximum(state - count, 0) @ shares)
    return MMcK(
        prob_blocked=float(shares[-1]),
        throughput_per_s=through,
        utilisation=through / speed / count,
        prob_wait=rate * float(shares[count:-1].sum()) / through,
        wait_s=waiting / through,
        sojourn_s=jobs / through,
        waiting=waiting,
        jobs=jobs,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedMMc:
    """A fixed number of users who think, ask, and wait for the answer before they think again.

    ``prob_idle``: share of time with nobody at the servers.
    """

    throughput_per_s: float
    utilisation: float
    sojourn_s: float
    jobs: float
    prob_idle: float


def closed_mmc(*, users: int, think_s: float, service_rate_per_s: float, servers: int) -> ClosedMMc:
    """Solve the interactive system of ``users``, exponential thinking (mean in s) and work.

    Birth-death shares; R = N / X - Z (Scherr 1967; Lazowska et al. 1984, ch. 3).  Never
    unstable: users who wait don't ask.  Raises ``ValueError`` where an argument is not above 0.

    >>> round(closed_mmc(users=1, think_s=1.0, service_rate_per_s=10.0, servers=1).sojourn_s, 6)
    0.1
    """
    count, everyone = _check.count("servers", servers), _check.count("users", users)
    think = _check.positive("think_s", think_s)
    speed = _check.positive("service_rate_per_s", service_rate_per_s)
    state = np.arange(everyone + 1)
    busy = np.minimum(state, count)
    shares = _shares((everyone - state[:-1]) / think, speed * busy[1:])
    through, jobs = speed * float(busy @ shares), float(state @ shares)
    return ClosedMMc(
        throughput_per_s=through,
        utilisation=through / speed / count,
        sojourn_s=jobs / through,
        jobs=jobs,
        prob_idle=float(shares[0]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ErlangA:
    """M/M/c whose waiting jobs lose patience: each gives up at ``patience_rate_per_s`` while it waits.

    ``wait_s`` is the mean wait of all jobs, served or gone; ``prob_abandon`` the share that goes.
    """

    prob_abandon: float
    prob_wait: float
    wait_s: float
    waiting: float
    jobs: float
    throughput_per_s: float
    utilisation: float


def erlang_a(
    *,
    arrival_rate_per_s: float,
    service_rate_per_s: float,
    servers: int,
    patience_rate_per_s: float,
) -> ErlangA:
    """Solve M/M/c+M, where the mean patience is 1 / ``patience_rate_per_s``.

    With n inside, jobs leave at min(n, c) mu + (n - c)^+ theta; a share theta Lq / lambda gives up
    (Palm 1946; Garnett, Mandelbaum & Reiman 2002).  Stable at any load.
    Raises ``ValueError`` where a rate is not above 0.

    >>> rates = {"arrival_rate_per_s": 1.0, "service_rate_per_s": 1.0, "patience_rate_per_s": 1.0}
    >>> round(erlang_a(**rates, servers=1).prob_abandon, 4)  # as many inside as without a queue
    0.3679
    """
    rate = _check.positive("arrival_rate_per_s", arrival_rate_per_s)
    speed = _check.positive("service_rate_per_s", service_rate_per_s)
    leaving = _check.positive("patience_rate_per_s", patience_rate_per_s)
    count, room, shares = _check.count("servers", servers), 64, np.ones(1)
    while shares[-1] > 1e-18 * shares.max():
        room *= 2
        inside = np.arange(1, count + room + 1)
        down = speed * np.minimum(inside, count) + leaving * np.maximum(inside - count, 0)
        shares = _shares(np.full(count + room, rate), down)
    state = np.arange(count + room + 1)
    waiting = float(np.maximum(state - count, 0) @ shares)
    busy = float(np.minimum(state, count) @ shares)
    return ErlangA(
        prob_abandon=leaving * waiting / rate,
        prob_wait=float(shares[count:].sum()),
        wait_s=waiting / rate,
        waiting=waiting,
        jobs=waiting + busy,
        throughput_per_s=busy * speed,
        utilisation=busy / count,
    )
