"""Sidekiq: threads that pop one job each, and a poller that brings back what is due.

Sources are files of the open-source Sidekiq, tags 5.2.9 to 8.1.7, which we read; *measured* means
that we ran 6.4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from toolkit import _check
from toolkit.backoff import SteppedBackoff
from toolkit.design import BlockingPop, Crash, Delivery, Poller, Retry
from toolkit.systems import _versions
from toolkit.systems._product import Product, count_if_given, stage_of

LINES = (
    *("5.2", "6.0", "6.1", "6.2", "6.3", "6.4", "6.5"),
    *("7.0", "7.1", "7.2", "7.3", "8.0", "8.1"),
)

# lib/sidekiq/job_retry.rb :: DEFAULT_MAX_RETRY_ATTEMPTS
RETRY = 25
# lib/sidekiq/config.rb :: DEFAULTS, average_scheduled_poll_interval
POLL_INTERVAL_S = 5.0
# lib/sidekiq/scheduled.rb :: initial_wait, 10 s and up to 5 s more
FIRST_POLL_LOW_S, FIRST_POLL_HIGH_S = 10.0, 15.0


def _parse(version: str) -> _versions.Version:
    return _versions.parse("Sidekiq", LINES, version)


@dataclass(frozen=True, slots=True, kw_only=True)
class SidekiqBackoff(SteppedBackoff):
    """Sidekiq's pause: n^4 + 15 s and a jitter in whole seconds, n retries made before.

    The jitter is 0 to 10 (n + 1) - 1 from 8.0 on, (0 to 9) x (n + 1) from 6.2.2 on, and
    (0 to 29) x (n + 1) before (lib/sidekiq/job_retry.rb :: delay_for).
    ``retry_in_s`` (``sidekiq_retry_in``) is a constant in place of n^4 + 15; the jitter is added to it
    since 6.2.2.

    >>> [SidekiqBackoff(version="8.0").pause_s(n, 0.0, None) for n in range(6)]
    [15.0, 16.0, 31.0, 96.0, 271.0, 640.0]
    """

    version: str
    retry_in_s: int | None = None

    def __post_init__(self) -> None:
        _parse(self.version)
        if self.retry_in_s is not None:
            _check.count("retry_in_s", self.retry_in_s)

    def parts(self, retries_made: int) -> tuple[float, float, float]:
        """Return the least pause, the number of steps and the step, in seconds."""
        n, version = retries_made, _parse(self.version)
        base_s = n**4 + 15 if self.retry_in_s is None else self.retry_in_s
        if version >= (8, 0, 0):
            return base_s, 10 * (n + 1), 1
        if version >= (6, 2, 2):
            return base_s, 10, n + 1
        return base_s, 30 if self.retry_in_s is None else 0, n + 1


def threads(version: str) -> int:
    """Return the threads of a process by default: 5 from 7.0 on, 10 before (docs/7.0-Upgrade)."""
    return 5 if _parse(version) >= (7, 0, 0) else 10


def poller(version: str, processes: int, average_interval_s: float = POLL_INTERVAL_S) -> Poller:
    """Return how each of ``processes`` looks for due jobs (lib/sidekiq/scheduled.rb).

    With I = ``processes`` x ``average_interval_s`` a process sleeps U(0.5 I, 1.5 I); ten processes or
    more sleep U(0, 2 I) from 8.0.10 on, and U(0, I) before, which polls twice as often as it should
    (:: random_poll_interval; Changes 8.0.10, #6866).

    >>> [poller(version, 10).high_s for version in ("8.0.9", "8.0.10")]
    [50.0, 100.0]
    """
    interval_s = processes * average_interval_s
    low_s, high_s = 0.5 * interval_s, 1.5 * interval_s
    if processes >= 10:
        low_s, high_s = 0.0, interval_s * (2 if _parse(version) >= (8, 0, 10) else 1)
    return Poller(
        low_s=low_s,
        high_s=high_s,
        first_low_s=FIRST_POLL_LOW_S,
        first_high_s=FIRST_POLL_HIGH_S,
    )


def sidekiq_stop(
    *, version: str, at_s: float, instance: int = 0, restart_after_s: float | None = None
) -> Crash:
    """Return the stop of a process by TERM: no fetch, 25 s to finish (8 s in 5.x), the rest goes back.

    What goes back goes to the head of the queue and starts from nothing
    (lib/sidekiq/manager.rb :: hard_shutdown).  For ``crashes`` of ``sidekiq``.

    >>> sidekiq_stop(version="7.3.9", at_s=60.0).grace_s
    25.0
    """
    return Crash(
        at_s=at_s,
        instance=instance,
        restart_after_s=restart_after_s,
        grace_s=25.0 if _parse(version) >= (6, 0, 0) else 8.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SidekiqSettings(Product):
    """Return a stage that behaves like the open-source Sidekiq: ``processes`` of ``concurrency`` threads.

    Settings are Sidekiq's own, times in seconds; what every product has (``service``, ``failure``,
    ``countdown``, ``crashes``, ``poison``, ``restart_s``) is a field of ``Stage`` or ``Delivery``.
    ``version`` decides about threads, jitter and poller: see ``threads``, ``SidekiqBackoff`` and
    ``poller`` in this module.

    A thread pops one job when it is idle, and the pop is the only acknowledgement: a process that
    is killed loses for good what it ran (lib/sidekiq/fetch.rb; measured); one that is told to stop
    (``sidekiq_stop``) does not.
    A failed job is retried ``retry`` times, 25 by default, which takes 20.41 days; then it is dead.
    Retries and jobs with a ``countdown`` wait for the poller, which releases all that are due.

    Left out: BRPOP's block of 2 s, which changes nothing without a network; weighted queues;
    ``retry_for``; the trimming of the dead set; dead processes that still count for the poller; the
    interval that was fixed at the first poll before 6.5.7; a poller that dies with a job in hand.

    Raises ``ValueError`` for an unknown version and for the crash of a single thread.

    >>> from toolkit.laws import Exponential
    >>> stage = sidekiq(version="7.3.9", processes=2, service=Exponential(mean_s=0.04))
    >>> stage.workers, stage.delivery.ack, stage.retry.max_retries
    (10, 'fetch', 25)
    """

    version: str
    processes: int = 1
    concurrency: int | None = None  # lib/sidekiq.rb, config.rb: see threads
    name: str = "sidekiq"
    retry: int = RETRY  # 0: a failed job is dead at once
    retry_in_s: int | None = None
    average_scheduled_poll_interval_s: float = POLL_INTERVAL_S

    def __post_init__(self) -> None:
        _parse(self.version)
        _check.count("processes", self.processes)
        count_if_given(self, "concurrency")
        _check.count("retry", self.retry, least=0)
        _check.positive("average_scheduled_poll_interval_s", self.average_scheduled_poll_interval_s)

    def size(self) -> tuple[int, int]:
        """Return the number of processes, and of threads in each."""
        return self.processes, self.concurrency or threads(self.version)

    def retries(self) -> Retry:
        """Return Sidekiq's retries."""
        backoff = SidekiqBackoff(version=self.version, retry_in_s=self.retry_in_s)
        return Retry(max_retries=self.retry, backoff=backoff)

    def delivery(self) -> Delivery:
        """Return Sidekiq's protocol."""
        return Delivery(
            fetch=BlockingPop(),
            ack="fetch",
            give_back="head",
            delayed=poller(self.version, self.processes, self.average_scheduled_poll_interval_s),
        )


sidekiq = stage_of("sidekiq", SidekiqSettings)
