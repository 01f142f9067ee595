"""Retry budgets: tokens that successes earn and retries spend, so that an outage is not multiplied.

Two published rules, for one caller whose calls follow each other and whose attempts fail
independently.  The tokens at the start of each call are then a Markov chain.  Calls at the same time
share the tokens and change the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from toolkit import _check
from toolkit.laws import Array

_Path = tuple[int, float, int, bool, bool]
"""How a call may go: tokens left, chance, attempts, did it succeed, was a retry denied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What calls meet in the long run.  ``denied``: share of calls that wanted a retry and had no tokens.

    ``tokens``: mean at the start of a call.  ``open``: share of calls that start with tokens
    for a retry.
    """

    attempts_per_call: float
    success: float
    denied: float
    tokens: float
    open: float


def sdk_quota(
    failure: float,
    *,
    capacity: int = 500,
    retry_cost: int = 5,
    max_attempts: int = 3,
    earned: int = 1,
) -> Budget:
    """Solve the retry quota of the AWS SDKs' standard mode, when a share ``failure`` of attempts fails.

    A retry takes ``retry_cost`` tokens; without that many it is not made.  A call that succeeds
    at once earns ``earned`` tokens, one that succeeds after retries gets back the last retry's
    cost.  The rule is that of botocore 1.44 (``retries/standard.py``), where a retry costs 14, or 5
    after a throttling error; the 5 for all, set here, is that of earlier versions.
    Raises ``ValueError`` for a share or number out of range.

    >>> round(sdk_quota(0.5).success, 9)
    0.6
    """
    fails = _check.share("failure", failure)
    room = _check.count("capacity", capacity, least=0)
    cost = _check.count("retry_cost", retry_cost)
    most = _check.count("max_attempts", max_attempts)

    def call(tokens: int) -> Iterator[_Path]:
        chance = 1.0
        for attempt in range(1, most + 1):
            back = earned if attempt == 1 else cost
            yield min(room, tokens + back), chance * (1.0 - fails), attempt, True, False
            chance *= fails
            if attempt == most or tokens < cost:
                yield tokens, chance, attempt, False, attempt < most
                return
            tokens -= cost

    paths = [list(call(tokens)) for tokens in range(room + 1)]
    return _solve(paths, np.arange(room + 1.0), float(cost) - 0.5)


def grpc_throttle(
    failure: float, *, max_tokens: int = 10, token_ratio: float = 0.1, max_attempts: int = 4
) -> Budget:
    """Solve gRPC's retry throttling (proposal A6), when a share ``failure`` of attempts fails.

    A failed attempt takes a token, a good one adds ``token_ratio``; a retry is made only while more
    than half of ``max_tokens`` is left after that.  Raises ``ValueError`` for a share or
    number out of range.

    >>> round(grpc_throttle(0.08).success, 4)
    0.9755
    """
    fails = _check.share("failure", failure)
    most = _check.count("max_attempts", max_attempts)
    ratio = Fraction(str(_check.positive("token_ratio", token_ratio))).limit_denominator(1000)
    unit, gain = ratio.denominator, ratio.numerator
    room = _check.count("max_tokens", max_tokens) * unit

    def call(tokens: int) -> Iterator[_Path]:
        chance = 1.0
        for attempt in range(1, most + 1):
            yield min(room, tokens + gain), chance * (1.0 - fails), attempt, True, False
            chance *= fails
            tokens = max(0, tokens - unit)
            if attempt == most or 2 * tokens <= room:
                yield tokens, chance, attempt, False, attempt < most
                return

    paths = [list(call(tokens)) for tokens in range(room + 1)]
    return _solve(paths, np.arange(room + 1.0) / unit, max_tokens / 2)


def sdk_retries_in_outage(*, capacity: int = 500, retry_cost: int = 5) -> int:
    """Return the retries that a full quota allows while every attempt fails.

    >>> sdk_retries_in_outage()
    100
    """
    return _check.count("capacity", capacity, least=0) // _check.count("retry_cost", retry_cost)


def grpc_failures_in_outage(*, max_tokens: int = 10) -> int:
    """Return how many failures in a row leave a full bucket more than half full.

    So many failures may each be followed by a retry; the next one stops them.  A single caller makes
    fewer retries where one of them was the last attempt of its call.

    >>> grpc_failures_in_outage()
    4
    """
    return math.ceil(_check.count("max_tokens", max_tokens) / 2) - 1


def grpc_drift_failure(token_ratio: float) -> float:
    """Return the share of failing attempts at which gRPC's tokens neither rise nor fall.

    r (1 - p) = p: above it the bucket runs down until retries stop.

    >>> round(grpc_drift_failure(0.1), 6)
    0.090909
    """
    ratio = _check.positive("token_ratio", token_ratio)
    return ratio / (1.0 + ratio)


def _solve(paths: list[list[_Path]], tokens: Array, enough: float) -> Budget:
    """Average over the calls of a chain whose state n goes the ways ``paths[n]``."""
    size = len(paths)
    chain, figures = np.zeros((size, size)), np.zeros((size, 3))
    for state, ways in enumerate(paths):
        for there, chance, attempts, good, denied in ways:
            chain[state, there] += chance
            figures[state] += chance * np.array([attempts, good, denied])
    shares = _stationary(chain)
    attempts, success, denied = shares @ figures
    return Budget(
        attempts_per_call=float(attempts),
        success=float(success),
        denied=float(denied),
        tokens=float(shares @ tokens),
        open=float(shares[tokens > enough].sum()),
    )


def _stationary(chain: Array) -> Array:
    """Return the law in the long run of a chain that starts at its last state: a full budget.

    State reduction without a subtraction (Grassmann, Taksar & Heyman 1985): tiny chances keep
    their digits.  The full budget is left last, since every other one leads back to it, as long
    as anything ever succeeds.
    """
    size = len(chain)
    if chain.max(axis=1).min() == 1.0:  # nothing is left to chance: follow it to where it stays
        state = size - 1
        while (after := int(chain[state].argmax())) != state:
            state = after
        there: Array = np.eye(size)[state]
        return there
    rates = chain[::-1, ::-1].copy()
    for n in range(size - 1, 0, -1):
        rates[:n, n] /= rates[n, :n].sum()
        rates[:n, :n] += np.outer(rates[:n, n], rates[n, :n])
    shares = np.zeros(size)
    shares[0] = 1.0
    for n in range(1, size):
        shares[n] = shares[:n] @ rates[:n, n]
        shares /= max(1.0, shares[n])
    law: Array = (shares / shares.sum())[::-1]
    return law
