"""Hangfire: threads of a server, one job each, in SQL Server or Redis.

Sources are files of Hangfire 1.8.24 unless said otherwise (tags 1.5.0 to 1.8.24 were read), and of
Hangfire.Redis.StackExchange for Redis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from toolkit import _check
from toolkit.backoff import SteppedBackoff
from toolkit.design import BlockingPop, Delivery, Poll, Poller, Retry, Visibility
from toolkit.design.delivery import Fetch
from toolkit.systems import _versions
from toolkit.systems._product import (
    Product,
    count_if_given,
    positive_if_given,
    refuse,
    stage_of,
)

LINES = ("1.5", "1.6", "1.7", "1.8")

# AutomaticRetryAttribute.cs :: DefaultRetryAttempts
ATTEMPTS = 10
# BackgroundJobServerOptions.cs: five for each processor, 20 at most
WORKERS_PER_CPU, MOST_WORKERS = 5, 20
# SqlServerStorageOptions.cs, tags 1.5.0, 1.6.0 and 1.7.0
OLD_POLL_S = 15.0
# SqlServerJobQueue.cs: "0" is 200 ms, and less than 1 s is 100 ms at least
LONG_POLL_S, SHORTEST_POLL_S = 0.2, 0.1
# SqlServerStorageOptions.cs: sliding, renewed every fifth of it (SqlServerTimeoutJob.cs)
SLIDING_TIMEOUT_S, RENEWALS = 300.0, 5
# Hangfire.Redis.StackExchange :: RedisStorageOptions, FetchedJobsWatcherOptions
REDIS_TIMEOUT_S, REDIS_SWEEP_S = 1800.0, 60.0
# Server/DelayedJobScheduler.cs :: SchedulePollingInterval
SCHEDULE_POLLING_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HangfireBackoff(SteppedBackoff):
    """Hangfire's pause before retry a = 1, 2, ...: (a - 1)^4 + 15 s and (0 to 29) x a s.

    (AutomaticRetryAttribute.cs :: DefaultDelayInSecondsByAttemptFunc.)
    ``delays_in_seconds`` replaces it; its last value repeats, and 0 is at once (the same file).

    >>> [HangfireBackoff().pause_s(n, 0.0, None) for n in range(6)]
    [15.0, 16.0, 31.0, 96.0, 271.0, 640.0]
    """

    delays_in_seconds: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if self.delays_in_seconds is None:
            return
        delays = tuple(
            _check.count("delays_in_seconds", delay, least=0) for delay in self.delays_in_seconds
        )
        if not delays:
            raise ValueError("delays_in_seconds must hold at least one delay in s, got none")
        object.__setattr__(self, "delays_in_seconds", delays)

    def parts(self, retries_made: int) -> tuple[float, float, float]:
        """Return the least pause, the number of steps and the step, in seconds."""
        delays = self.delays_in_seconds
        if delays is not None:
            return delays[min(retries_made, len(delays) - 1)], 0, 0
        return retries_made**4 + 15, 30, retries_made + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HangfireSettings(Product):
    """Return a stage that behaves like Hangfire: ``servers`` of ``workers`` threads.

    Settings are Hangfire's own, times in seconds; what every product has (``service``, ``failure``,
    ``countdown``, ``crashes``, ``poison``, ``restart_s``) is a field of ``Stage`` or ``Delivery``.
    ``workers`` is min(5 x ``cpus``, 20) if it is not given; one of the two must be.

    A job is acknowledged after its end.  On ``storage="sql"`` from 1.8 on, idle servers look every
    0.2 s and a running job's lease of ``invisibility_timeout_s`` = 300 s is renewed every fifth of it:
    a dead server's jobs come back after 240 to 300 s.  Up to 1.7 servers look every 15 s and hold an
    open transaction: its jobs come back when the database notices, after ``disconnect_s``, which
    depends on the network and must be given (0: at once).
    On ``storage="redis"`` (Hangfire.Redis.StackExchange) fetching is immediate, and the lease is 1800 s
    from delivery, not renewed, looked after every 60 s: a longer job runs twice.

    A failed job is retried ``attempts`` times, 10 by default, which takes 4.30 h.  A crash uses up no
    attempt: a poison job kills one server after the other (AutomaticRetryAttribute.cs ::
    OnStateElection).  Delayed jobs and retries wait for a look every 15 s, all that are due are
    released; servers start at any moment of that cycle.
    ``enqueued_in_process``: jobs are sent from the server's own process, which wakes it.

    Left out: the order of several queues; an order that is only the index's; a sliding timeout on 1.7,
    where it was off by default; throttling by Hangfire.Ace; Hangfire.Pro.Redis; the time that a look
    for delayed jobs takes.

    Raises ``ValueError`` for an unknown version, for settings that contradict each other, and for the
    crash of a single thread.

    >>> from toolkit.laws import Exponential
    >>> stage = hangfire(version="1.8", storage="sql", cpus=2, service=Exponential(mean_s=0.04))
    >>> stage.workers, stage.delivery.fetch.every_s, stage.delivery.visibility.renew_every_s
    (10, 0.2, 60.0)
    """

    version: str
    storage: Literal["sql", "redis"]
    servers: int = 1
    workers: int | None = None
    cpus: int | None = None
    name: str = "hangfire"
    attempts: int = ATTEMPTS
    delays_in_seconds: Sequence[int] | None = None
    queue_poll_interval_s: float | None = None
    enqueued_in_process: bool = False
    invisibility_timeout_s: float | None = None
    disconnect_s: float | None = None
    schedule_polling_interval_s: float = SCHEDULE_POLLING_S

    def __post_init__(self) -> None:
        _versions.parse("Hangfire", LINES, self.version)
        _check.choice("storage", self.storage, ("sql", "redis"))
        _check.count("servers", self.servers)
        _check.count("attempts", self.attempts, least=0)
        _check.positive("schedule_polling_interval_s", self.schedule_polling_interval_s)
        if (self.workers is None) == (self.cpus is None):
            raise ValueError(
                f"workers or cpus must be given, and not both, got workers={self.workers!r} and cpus={self.cpus!r}"
            )
        count_if_given(self, "cpus", "workers")
        positive_if_given(self, "invisibility_timeout_s")
        for name in ("disconnect_s", "queue_poll_interval_s"):
            if getattr(self, name) is not None:
                _check.not_negative(name, getattr(self, name))
        self._check_storage()

    @property
    def _in_transaction(self) -> bool:
        """Whether a fetched job is held by an open transaction (SqlServerJobQueue.cs)."""
        version = _versions.parse("Hangfire", LINES, self.version)
        return self.storage == "sql" and version < (1, 8, 0)

    def _check_storage(self) -> None:
        """Refuse what this storage has not, and ask for what nobody else knows."""
        where = f"storage={self.storage!r} in version={self.version!r}"
        for name in ("queue_poll_interval_s", "enqueued_in_process"):
            if self.storage == "redis" and getattr(self, name) not in (None, False):
                raise refuse(f"{name}={getattr(self, name)!r}", where, "Redis is not polled")
        if self._in_transaction:
            if self.disconnect_s is None:
                raise ValueError(
                    f"disconnect_s must be given with {where}: a dead server's jobs come back when the "
                    "database notices its death (0: at once), got None"
                )
            if self.invisibility_timeout_s is not None:
                raise refuse(
                    f"invisibility_timeout_s={self.invisibility_timeout_s!r}",
                    where,
                    "a job is held by an open transaction",
                )
        elif self.disconnect_s is not None:
            raise refuse(
                f"disconnect_s={self.disconnect_s!r}", where, "a job is held by a lease in time"
            )

    def size(self) -> tuple[int, int]:
        """Return the number of servers, and of threads in each."""
        if self.workers is not None:
            return self.servers, self.workers
        return self.servers, min(WORKERS_PER_CPU * (self.cpus or 1), MOST_WORKERS)

    def retries(self) -> Retry:
        """Return Hangfire's retries."""
        backoff = HangfireBackoff(delays_in_seconds=self.delays_in_seconds)
        return Retry(max_retries=self.attempts, backoff=backoff)

    def fetch(self) -> Fetch:
        """Return how a server finds jobs."""
        if self.storage == "redis":
            return BlockingPop()
        every_s = self.queue_poll_interval_s
        if every_s is None:
            every_s = OLD_POLL_S if self._in_transaction else 0.0
        if self._in_transaction:
            _check.positive("queue_poll_interval_s", every_s)
        elif every_s < 1:
            every_s = max(every_s, SHORTEST_POLL_S) if every_s else LONG_POLL_S
        return Poll(every_s=every_s, wakes=self.enqueued_in_process)

    def visibility(self) -> Visibility | None:
        """Return how a lease ends by time.

        The first copy that ends stores the job's state, and who fetches a job whose state is final
        drops it (Worker.cs :: Execute), so there is no receipt that grows old.
        """
        given = self.invisibility_timeout_s
        if self._in_transaction:
            return None
        if self.storage == "redis":
            timeout_s = REDIS_TIMEOUT_S if given is None else given
            return Visibility(timeout_s=timeout_s, sweep_every_s=REDIS_SWEEP_S, receipt="always")
        timeout_s = SLIDING_TIMEOUT_S if given is None else given
        return Visibility(
            timeout_s=timeout_s,
            renew_every_s=timeout_s / RENEWALS,
            renews="held",
            receipt="always",
        )

    def delivery(self) -> Delivery:
        """Return Hangfire's protocol."""
        every_s = self.schedule_polling_interval_s
        return Delivery(
            fetch=self.fetch(),
            ack="end",  # Worker.cs, after the result is stored
            visibility=self.visibility(),
            disconnect_s=self.disconnect_s,
            give_back="head",  # a row keeps its place in the index
            delayed=Poller(low_s=every_s, high_s=every_s, first_high_s=every_s),
        )


hangfire = stage_of("hangfire", HangfireSettings)
