"""Google Cloud Tasks: a queue that calls a handler at a limited rate, and waits for its answer.

Sources: the types of google-cloud-tasks 2.26.0 (*sdk*) and Google's documentation, which we read.
Which numbers the service picks where a queue names none is not in them, so they must be given.
"""

from __future__ import annotations

from dataclasses import dataclass

from toolkit import _check
from toolkit.backoff import SteppedBackoff
from toolkit.design import Delivery, Push, Retry, TokenBucket, Visibility
from toolkit.systems._product import Product, countdown_within, stage_of, within

# from the sdk: RateLimits
MOST_PER_S, MOST_CONCURRENT = 500.0, 5_000
# from the sdk: Task.dispatch_deadline, of an HTTP target
DEADLINE_S, LEAST_DEADLINE_S, MOST_DEADLINE_S = 600.0, 15.0, 1_800.0
# from the doc: Cloud Tasks, "Quotas and limits": 30 days ahead
MOST_AHEAD_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudTasksBackoff(SteppedBackoff):
    """Cloud Tasks' pause: doubles ``max_doublings`` times, then grows by as much, up to the cap.

    Before retry n = 1, 2, ... with D = ``max_doublings``:
    min(``max_backoff_s``, ``min_backoff_s`` x 2^min(n - 1, D) x max(1, n - D))
    (sdk: RetryConfig.max_doublings; doc: App Engine, "Retrying push tasks").  No jitter is documented.
    That the service cuts pauses to whole seconds is left out: a pause of 0.1 s is in use.

    >>> backoff = CloudTasksBackoff(min_backoff_s=10, max_backoff_s=300, max_doublings=3)
    >>> [backoff.pause_s(n, 0.5, None) for n in range(8)]
    [10.0, 20.0, 40.0, 80.0, 160.0, 240.0, 300.0, 300.0]
    """

    min_backoff_s: float
    max_backoff_s: float
    max_doublings: int

    def __post_init__(self) -> None:
        _check.positive("min_backoff_s", self.min_backoff_s)
        if _check.number("max_backoff_s", self.max_backoff_s) < self.min_backoff_s:
            raise ValueError(
                f"max_backoff_s must be >= min_backoff_s ({self.min_backoff_s!r}), got {self.max_backoff_s!r}"
            )
        _check.count("max_doublings", self.max_doublings, least=0)

    def parts(self, retries_made: int) -> tuple[float, float, float]:
        """Return the pause in seconds, without jitter."""
        # 2^1000 is beyond any cap in seconds and still a float; a product beyond floats is inf
        doubled_s = self.min_backoff_s * 2.0 ** min(retries_made, self.max_doublings, 1000)
        linear = max(1, retries_made + 1 - self.max_doublings)
        return min(self.max_backoff_s, doubled_s * linear), 0, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudTasksSettings(Product):
    """Return a stage that behaves like a Cloud Tasks queue and the handlers it calls by HTTP.

    Settings are the queue's own, times in seconds; what every product has (``service``, ``failure``,
    ``countdown``, ``crashes``, ``poison``, ``restart_s``) is a field of ``Stage`` or ``Delivery``.

    The queue calls at ``max_dispatches_per_s`` (500 at most) with ``max_burst_size`` saved up, first
    attempts and retries alike, and has ``max_concurrent_dispatches`` (5,000 at most) calls open, in
    equal parts on ``instances`` of the handler.  ``max_burst_size`` can be read from a queue but
    not set; all of these, ``max_attempts`` (with the first; -1: no limit), ``min_backoff_s``,
    ``max_backoff_s`` and ``max_doublings`` must be given, for no primary source says what the service
    picks.  Emulators say 500 a second, burst 100, 1000 open, 100 attempts, 0.1 s, 3600 s, 16.

    An answer other than 2xx is a failure: the task waits for its backoff and is called again, or is
    deleted (dead) when its attempts are used up: there is no dead-letter queue.
    No answer within ``dispatch_deadline_s`` (15 to 1,800; default 600) is a failure as well, although
    the handler may run on; a dead handler is noticed so, too.

    How the deadline is modelled: as a lease that is not renewed, on a message that is delivered once
    (``max_deliveries=1``).  A message whose lease ends is a dead letter of that attempt, which takes a
    retry after its backoff, as after a failure; a late answer counts for nothing.  What is not right
    is that the late handler keeps its place among the open calls as long as it runs.

    Left out: ``max_retry_duration``; retry settings of a single task; the service's own slowing down
    after 429 and 503; stalls of minutes; deduplication by name; App Engine handlers.

    Raises ``ValueError`` for what Cloud Tasks does not allow, and for the crash of a single call.

    >>> from toolkit.laws import Exponential
    >>> stage = cloud_tasks(
    ...     max_dispatches_per_s=500, max_burst_size=100, max_concurrent_dispatches=1000,
    ...     max_attempts=100, min_backoff_s=0.1, max_backoff_s=3600, max_doublings=16,
    ...     service=Exponential(mean_s=0.04),
    ... )
    >>> stage.workers, stage.retry.max_retries, stage.delivery.limiter_per
    (1000, 99, 'queue')
    """

    max_dispatches_per_s: float
    max_burst_size: int
    max_concurrent_dispatches: int
    max_attempts: int
    min_backoff_s: float
    max_backoff_s: float
    max_doublings: int
    instances: int = 1
    name: str = "cloud_tasks"
    dispatch_deadline_s: float = DEADLINE_S

    def __post_init__(self) -> None:
        if _check.positive("max_dispatches_per_s", self.max_dispatches_per_s) > MOST_PER_S:
            within("max_dispatches_per_s", self.max_dispatches_per_s, 0, MOST_PER_S, "tasks/s")
        _check.count("max_burst_size", self.max_burst_size)
        _check.count("max_concurrent_dispatches", self.max_concurrent_dispatches)
        within(
            "max_concurrent_dispatches", self.max_concurrent_dispatches, 1, MOST_CONCURRENT, "tasks"
        )
        _check.count("instances", self.instances)
        if self.max_concurrent_dispatches % self.instances:
            raise ValueError(
                f"max_concurrent_dispatches must be in equal parts for {self.instances} instances, "
                f"got {self.max_concurrent_dispatches!r}"
            )
        if self.max_attempts != -1:
            _check.count("max_attempts", self.max_attempts)
        within("dispatch_deadline_s", self.dispatch_deadline_s, LEAST_DEADLINE_S, MOST_DEADLINE_S)
        countdown_within(self.countdown, MOST_AHEAD_S)

    def size(self) -> tuple[int, int]:
        """Return the number of handler instances, and of open calls in each."""
        return self.instances, self.max_concurrent_dispatches // self.instances

    def retries(self) -> Retry:
        """Return the queue's retries."""
        return Retry(
            max_retries=None if self.max_attempts == -1 else self.max_attempts - 1,
            backoff=CloudTasksBackoff(
                min_backoff_s=self.min_backoff_s,
                max_backoff_s=self.max_backoff_s,
                max_doublings=self.max_doublings,
            ),
        )

    def delivery(self) -> Delivery:
        """Return the protocol of Cloud Tasks."""
        return Delivery(
            fetch=Push(to="round robin"),
            ack="end",  # by an answer 2xx
            visibility=Visibility(timeout_s=self.dispatch_deadline_s, receipt="lease"),
            give_back="tail",
            max_deliveries=1,  # each attempt is a delivery of its own
            dead_letter_on="return",
            limiter=TokenBucket(
                rate_per_s=self.max_dispatches_per_s, burst=self.max_burst_size, when_empty="wait"
            ),
            limiter_per="queue",
        )


cloud_tasks = stage_of("cloud_tasks", CloudTasksSettings)
