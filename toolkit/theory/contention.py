"""Many clients, one row: optimistic writers that retry, when every message takes equally long.

The model is Brooker's ("Exponential backoff and jitter", AWS Architecture Blog, 2015): a client
reads the row, writes it back, and has to try again if another was faster: four hops a try.  With
equal hops and no jitter all that are left move in lockstep, and one of them wins each round.
"""

from __future__ import annotations

from toolkit import _check
from toolkit.backoff import Backoff

HOPS = 4
"""Messages in one try: read, its answer, write, its answer."""


def lockstep_calls(clients: int) -> int:
    """Return the writes until all ``clients`` are done: N + (N - 1) + ... + 1.

    >>> lockstep_calls(10)
    55
    """
    count = _check.count("clients", clients)
    return count * (count + 1) // 2


def lockstep_s(clients: int, *, hop_s: float, backoff: Backoff) -> float:
    """Return when the last of ``clients`` is done, in s: N rounds, and the pauses between them.

    ``backoff`` must not depend on chance; its pause before round k + 1 is that after k failures, where
    the study counts from 1 (the first pause is already doubled).

    >>> from toolkit.backoff import ExponentialBackoff
    >>> pauses = ExponentialBackoff(base_s=0.005, cap_s=2.0)
    >>> round(lockstep_s(10, hop_s=0.01, backoff=pauses), 9)
    4.95
    """
    rounds = _check.count("clients", clients)
    hop = _check.positive("hop_s", hop_s)
    for k in range(1, min(rounds, 3)):
        if backoff.pause_s(k, 0.0, None) != backoff.pause_s(k, 0.5, None):
            raise ValueError(f"backoff must not have jitter for lockstep, got {backoff!r}")
    return HOPS * hop * rounds + sum(backoff.pause_s(k, 0.0, None) for k in range(1, rounds))


def two_clients_mean_s(*, hop_s: float, backoff: Backoff) -> float:
    """Return the mean time until both of two clients are done: two tries and one pause.

    The loser of the first round comes back to a row that nobody else wants.  The pause must be
    linear in its uniform number, as all strategies of ``toolkit.backoff`` are below their cap.

    >>> from toolkit.backoff import FullJitter
    >>> round(two_clients_mean_s(hop_s=0.01, backoff=FullJitter(base_s=0.005, cap_s=2.0)), 9)
    0.085
    """
    return 2 * HOPS * _check.positive("hop_s", hop_s) + backoff.pause_s(1, 0.5, None)
