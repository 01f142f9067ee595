"""Many clients at one row: the study behind the advice "add jitter".

Brooker 2015 ("Exponential backoff and jitter", AWS Architecture Blog) lets N clients start together;
each has to change one row once, by optimistic concurrency control::

    read --hop--> server --hop--> client: version v
    write(v) --hop--> server: done if the row is still at v, which makes it v + 1
             --hop--> client: finished, or back off and read again

There is no queue and no overload here: all that slows a client down is that others were faster.
So what the study says of backoff holds for such conflicts, and not for a server that is drowning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

import numpy as np
import pandas as pd

from toolkit import _check
from toolkit.backoff import Backoff
from toolkit.laws import Array

HOP_MEAN_S, HOP_STD_S = 0.010, 0.002
_READ, _READ_REPLY, _WRITE, _WRITE_REPLY = range(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contention:
    """What came of it: ``calls``, writes sent; ``completion_s``, when the last client was answered.

    ``write_times_s`` has the time of each write at the server, in order.
    """

    clients: int
    calls: int
    completion_s: float
    write_times_s: Array


def contention(
    *,
    clients: int,
    backoff: Backoff | None,
    hop_std_s: float = HOP_STD_S,
    seed: int = 0,
    replication: int = 0,
) -> Contention:
    """Run the study once, with ``backoff`` between a failed write and the next read (``None``: none).

    Every hop takes ``|Normal(10 ms, hop_std_s)|``; a first failure counts as one retry made, as in the
    published program, so that its cap is twice the base.

    >>> contention(clients=3, backoff=None, hop_std_s=0.0).calls
    6
    """
    _check.count("clients", clients)
    _check.not_negative("hop_std_s", hop_std_s)
    study = _Study(
        clients, backoff, hop_std_s, np.random.SeedSequence(seed, spawn_key=(replication,))
    )
    study.run()
    return Contention(
        clients=clients,
        calls=len(study.writes_s),
        completion_s=study.last_s,
        write_times_s=np.array(study.writes_s),
    )


def study(
    strategies: Mapping[str, Backoff | None],
    *,
    clients: Sequence[int],
    replications: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the mean ``calls`` and ``completion_s`` by number of clients and strategy."""
    rows = []
    for count_of in clients:
        for name, backoff in strategies.items():
            runs = [
                contention(clients=count_of, backoff=backoff, seed=seed, replication=k)
                for k in range(_check.count("replications", replications))
            ]
            calls = sum(run.calls for run in runs) / replications
            completion_s = sum(run.completion_s for run in runs) / replications
            rows.append((count_of, name, calls, completion_s))
    table = pd.DataFrame(rows, columns=["clients", "strategy", "calls", "completion_s"])
    return table.set_index(["clients", "strategy"])


class _Study:
    """The row, the clients, and the messages under way."""

    def __init__(
        self, clients: int, backoff: Backoff | None, hop_std_s: float, seeds: np.random.SeedSequence
    ) -> None:
        hop_rng, jitter_rng = map(np.random.default_rng, seeds.spawn(2))
        self.backoff = backoff
        self.hops_s = _stream(lambda: np.abs(hop_rng.normal(HOP_MEAN_S, hop_std_s, 4096)))
        self.jitters = _stream(lambda: jitter_rng.random(4096))
        self.failures, self.order = [0] * clients, count()
        self.pauses_s: list[float | None] = [None] * clients
        self.version, self.last_s = 0, 0.0
        self.writes_s: list[float] = []
        self.messages: list[tuple[float, int, int, int, int]] = []  # a heap
        for client in range(clients):
            self.send(0.0, _READ, client, 0)

    def send(self, now_s: float, kind: int, client: int, content: int) -> None:
        """Send a message: it arrives a hop later; of two at one moment the one sent first is first."""
        arrives_s = now_s + next(self.hops_s)
        heappush(self.messages, (arrives_s, next(self.order), kind, client, content))

    def run(self) -> None:
        """Deliver all messages; ``content`` is the version seen, or whether a write was done."""
        while self.messages:
            now_s, _, kind, client, content = heappop(self.messages)
            if kind == _READ:
                content = self.version
            elif kind == _WRITE:
                self.writes_s.append(now_s)
                content = int(content == self.version)
                self.version += content
            elif kind == _WRITE_REPLY:
                if content:
                    self.last_s = now_s
                    continue
                now_s += self.pause_s(client)
            self.send(now_s, (kind + 1) % 4, client, content)

    def pause_s(self, client: int) -> float:
        """Return how long ``client`` waits after another failure."""
        if self.backoff is None:
            return 0.0
        self.failures[client] += 1
        pause_s = self.backoff.pause_s(
            self.failures[client], next(self.jitters), self.pauses_s[client]
        )
        self.pauses_s[client] = pause_s
        return pause_s


def _stream(draw: Callable[[], Array]) -> Iterator[float]:
    """Yield numbers without end, drawn many at a time."""
    while True:
        yield from draw().tolist()
