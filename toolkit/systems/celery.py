"""Celery: a parent process that fetches ahead, and children that work.

Sources are named as in Celery 5.6.3 and 5.7.0 and kombu 5.6.2 and 5.7.0, which we read; *measured*
means that we ran them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from toolkit import _check
from toolkit.backoff import Backoff, ConstantBackoff, SteppedBackoff
from toolkit.design import (
    BlockingPop,
    Delivery,
    InMemory,
    Push,
    Retry,
    StaleBucket,
    TokenBucket,
    Visibility,
)
from toolkit.systems import _versions
from toolkit.systems._product import (
    Product,
    count_if_given,
    positive_if_given,
    refuse,
    stage_of,
)

LINES = ("5.6", "5.7")

# kombu/transport/redis.py :: Channel.visibility_timeout
VISIBILITY_TIMEOUT_S = 3600.0
# kombu/transport/redis.py :: Transport.register_with_event_loop, every 10 s, and restore_visible,
# which scans at every 10th call; settings since 5.7.0, written into the code before
RESTORE_INTERVAL_S, RESTORE_THROTTLE = 10.0, 10
# RabbitMQ from 3.8.17 on (celery docs, userguide/calling): 1,800,000 ms
CONSUMER_TIMEOUT_S = 1800.0
# celery/app/task.py :: Task.max_retries, Task.default_retry_delay
MAX_RETRIES, DEFAULT_RETRY_DELAY_S = 3, 180.0
# celery/utils/time.py :: RATE_MODIFIER_MAP
RATE_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class CeleryBackoff(SteppedBackoff):
    """Celery's ``retry_backoff``: whole seconds from 0 to min(``max_s``, ``factor`` x 2^n), all alike.

    ``factor`` is cut to a whole number, 1 at least; without ``jitter`` the pause is the limit itself
    (celery/app/autoretry.py; celery/utils/time.py :: get_exponential_backoff_interval).
    With the defaults the mean pauses are 0.5, 1 and 2 s, and a pause of 0 s is possible.

    >>> [CeleryBackoff().pause_s(n, 0.999, None) for n in range(4)]
    [1.0, 2.0, 4.0, 8.0]
    """

    factor: float = 1.0
    max_s: int = 600
    jitter: bool = True

    def __post_init__(self) -> None:
        _check.not_negative("factor", self.factor)
        _check.count("max_s", self.max_s, least=0)

    def parts(self, retries_made: int) -> tuple[float, float, float]:
        """Return the least pause, the number of steps and the step, in seconds."""
        # no pause is longer than max_s, so the power may stop where any factor has passed it
        doubled = int(max(1.0, self.factor)) * 2 ** min(retries_made, 1000)
        limit = min(self.max_s, doubled)
        return (0, limit + 1, 1) if self.jitter else (limit, 0, 0)


def rate_per_s(rate_limit: str | float | None) -> float:
    """Return a ``rate_limit`` per second; 0 for none (celery/utils/time.py :: rate).

    A number or ``"x/s"`` is per second, ``"x/m"`` per minute, ``"x/h"`` per hour.

    >>> [rate_per_s(limit) for limit in ("0.5", "30/m", "1800/h", 2, None)]
    [0.5, 0.5, 0.5, 2.0, 0.0]
    """
    number, _, unit = str(rate_limit or 0).partition("/")
    try:
        found = float(number) / RATE_UNITS_S[unit or "s"]
    except (KeyError, ValueError):
        found = math.nan
    if not 0 <= found < math.inf:
        raise ValueError(f"rate_limit must be like '10/s', '100/m', '5/h' or 2, got {rate_limit!r}")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class CelerySettings(Product):
    """Return a stage that behaves like Celery: ``instances`` workers of ``concurrency`` processes.

    Settings are Celery's own, times in seconds, sources beside the fields; what every product has
    (``service``, ``failure``, ``countdown``, ``crashes``, ``poison``, ``restart_s``) is a field of
    ``Stage`` or ``Delivery``.  ``version`` decides about the flaw of the rate limiter (mended in
    5.7.0) and about what may be set.

    A message is acknowledged before it runs, so a worker's death loses what runs, or after it
    (``acks_late``).  A worker holds ``concurrency`` x ``prefetch_multiplier`` messages that are not
    acknowledged.  Jobs that are not due wait in a worker's memory.  ``rate_limit`` holds for each
    worker instance, with no burst.  Nothing is retried unless ``autoretry``.

    A poison job kills its child process (``poison_kills="slot"``) or the whole worker; the job of a
    dead child is lost, or, with ``acks_late``, queued again (``reject_on_worker_lost``) or retried
    (``retry_on_worker_lost``, since 5.7).

    On Redis what a dead worker held comes back at the first sweep after ``visibility_timeout_s``,
    counted from delivery and never renewed; on RabbitMQ at once, and after ``consumer_timeout_s``
    although the worker lives (``None``: never; RabbitMQ 3.8.15 had 900).
    Sweeps come every ``unacked_restore_interval_s`` x ``unacked_restore_throttle`` (since 5.7.0),
    from ``sweep_first_s`` on.  A worker scans when it connects and then at every tenth tick of ten
    seconds, so 90, 190, 290 ... s after that (measured; the clock here starts with the workers).

    Left out: BRPOP's block of 1 s, which changes nothing without a network; the 2 ms or so that a job
    takes beside its work; each worker's own phase of sweeps; that a dead child is noticed at once or
    only 5 s later (``restart_after_s`` of a crash can say so); priorities; that RabbitMQ's limit
    closes the channel and returns all that it held; time limits; soft shutdown.

    Raises ``ValueError`` for an unknown version, and for settings that contradict each other.

    >>> from toolkit.laws import Exponential
    >>> stage = celery(
    ...     version="5.7", broker="redis", instances=2, concurrency=4, service=Exponential(mean_s=0.04)
    ... )
    >>> stage.workers, stage.delivery.prefetch, stage.delivery.ack, stage.retry
    (8, 16, 'start', None)
    """

    slots_die_alone: ClassVar[bool] = True

    version: str
    broker: Literal["redis", "rabbitmq"]
    concurrency: int  # default in Celery: the number of CPUs (celery/worker/worker.py)
    instances: int = 1
    name: str = "celery"
    prefetch_multiplier: int = 4  # celery/app/defaults.py; 0 is unlimited
    disable_prefetch: bool = False  # 5.6 on, Redis only (celery/worker/consumer/tasks.py)
    acks_late: bool = False  # celery/app/defaults.py
    reject_on_worker_lost: bool = False  # celery/worker/request.py :: on_failure
    retry_on_worker_lost: bool = False  # the same, 5.7
    poison_kills: Literal["slot", "instance"] = "slot"
    visibility_timeout_s: float | None = None
    unacked_restore_interval_s: float | None = None
    unacked_restore_throttle: int | None = None
    sweep_first_s: float | None = None  # interval x (throttle - 1)
    consumer_timeout_s: float | None = CONSUMER_TIMEOUT_S
    eta_task_limit: int | None = None  # 5.6 on (celery docs, configuration)
    rate_limit: str | float | None = None
    autoretry: bool = False  # celery/app/autoretry.py
    max_retries: int | None = MAX_RETRIES  # None: for ever
    default_retry_delay_s: float = DEFAULT_RETRY_DELAY_S
    retry_backoff: float = False  # True is a factor of 1
    retry_backoff_max_s: int = 600  # celery/app/autoretry.py
    retry_jitter: bool = True  # the same

    def __post_init__(self) -> None:
        _check.choice("broker", self.broker, ("redis", "rabbitmq"))
        _check.count("instances", self.instances)
        _check.count("concurrency", self.concurrency)
        _check.count("prefetch_multiplier", self.prefetch_multiplier, least=0)
        count_if_given(self, "unacked_restore_throttle", "eta_task_limit")
        positive_if_given(
            self, "visibility_timeout_s", "unacked_restore_interval_s", "consumer_timeout_s"
        )
        if self.sweep_first_s is not None:
            _check.not_negative("sweep_first_s", self.sweep_first_s)
        rate_per_s(self.rate_limit)
        self._check_version()
        self._check_broker()
        self._check_lost()
        self._check_retry()

    @property
    def _since_5_7(self) -> bool:
        return _versions.parse("Celery", LINES, self.version) >= (5, 7, 0)

    def _check_version(self) -> None:
        new = ("unacked_restore_interval_s", "unacked_restore_throttle", "retry_on_worker_lost")
        for name in () if self._since_5_7 else new:
            value = getattr(self, name)
            if value not in (None, False):
                raise refuse(
                    f"{name}={value!r}",
                    f"version={self.version!r}",
                    "it can be set since 5.7.0",
                )

    def _check_broker(self) -> None:
        """Refuse what only the other broker has."""
        on_redis = self.broker == "redis"
        foreign = {
            "disable_prefetch": (False, on_redis),
            "visibility_timeout_s": (None, on_redis),
            "unacked_restore_interval_s": (None, on_redis),
            "unacked_restore_throttle": (None, on_redis),
            "sweep_first_s": (None, on_redis),
            "consumer_timeout_s": (CONSUMER_TIMEOUT_S, not on_redis),
        }
        for name, (default, has_it) in foreign.items():
            value = getattr(self, name)
            if value != default and not has_it:
                raise refuse(
                    f"{name}={value!r}",
                    f"broker={self.broker!r}",
                    f"it is a setting of {'RabbitMQ' if on_redis else 'Redis'}",
                )

    def _check_lost(self) -> None:
        """Refuse what cannot be when a child dies."""
        lost = {
            name: getattr(self, name) for name in ("reject_on_worker_lost", "retry_on_worker_lost")
        }
        for name in (name for name, is_set in lost.items() if is_set and not self.acks_late):
            raise refuse(
                f"{name}=True",
                "acks_late=False",
                "the message is acknowledged before the child dies",
            )
        if all(lost.values()):
            raise refuse(
                "reject_on_worker_lost=True", "retry_on_worker_lost=True", "choose one of them"
            )
        if self.retry_on_worker_lost and self.retry_backoff:
            raise refuse(
                f"retry_backoff={self.retry_backoff!r}",
                "retry_on_worker_lost=True",
                "Celery waits default_retry_delay after a lost child, and a stage has one backoff",
            )
        if self.retry_on_worker_lost and self.failure and not self.autoretry:
            raise refuse(
                f"failure={self.failure!r} with autoretry=False",
                "retry_on_worker_lost=True",
                "a stage cannot retry lost jobs and leave failed ones",
            )

    def _check_retry(self) -> None:
        """Refuse settings of a retry that nobody asked for."""
        if self.max_retries is not None:
            _check.count("max_retries", self.max_retries, least=0)
        for name in ("default_retry_delay_s", "retry_backoff_max_s"):
            _check.not_negative(name, getattr(self, name))
        if self.retry_backoff is not True:
            _check.not_negative("retry_backoff", self.retry_backoff or 0.0)
        asked: dict[str, float] = {
            "retry_backoff": False,
            "retry_backoff_max_s": 600,
            "retry_jitter": True,
        }
        if not self.retry_on_worker_lost:
            asked |= {"max_retries": MAX_RETRIES, "default_retry_delay_s": DEFAULT_RETRY_DELAY_S}
        for name, default in asked.items():
            value = getattr(self, name)
            if value != default and not self.autoretry:
                raise refuse(
                    f"{name}={value!r}",
                    "autoretry=False",
                    "Celery retries only when it is asked to",
                )

    def size(self) -> tuple[int, int]:
        """Return the number of workers, and of children in each."""
        return self.instances, self.concurrency

    def retries(self) -> Retry | None:
        """Return the retries that were asked for."""
        if not self.autoretry and not self.retry_on_worker_lost:
            return None
        backoff: Backoff = ConstantBackoff(delay_s=self.default_retry_delay_s)
        if self.retry_backoff:
            backoff = CeleryBackoff(
                factor=float(self.retry_backoff),
                max_s=self.retry_backoff_max_s,
                jitter=self.retry_jitter,
            )
        return Retry(max_retries=self.max_retries, backoff=backoff)

    def limiter(self) -> TokenBucket | None:
        """Return a worker's bucket: one token deep (kombu/utils/limits.py), stale before 5.7.0."""
        rate = rate_per_s(self.rate_limit)
        bucket = TokenBucket if self._since_5_7 else StaleBucket
        return bucket(rate_per_s=rate, burst=1, when_empty="wait") if rate else None

    def visibility(self) -> Visibility | None:
        """Return how a lease ends by time."""
        if self.broker == "rabbitmq":
            most_s = self.consumer_timeout_s
            return None if most_s is None else Visibility(timeout_s=most_s, receipt="lease")
        interval_s = self.unacked_restore_interval_s or RESTORE_INTERVAL_S
        throttle = self.unacked_restore_throttle or RESTORE_THROTTLE
        given, first_s = self.visibility_timeout_s, self.sweep_first_s
        return Visibility(
            timeout_s=VISIBILITY_TIMEOUT_S if given is None else given,
            sweep_every_s=interval_s * throttle,
            sweep_first_s=interval_s * (throttle - 1) if first_s is None else first_s,
            # a message keeps its tag when it is restored (virtual/base.py :: basic_publish gives it),
            # and QoS.ack deletes by tag: the first copy that ends also ends the series, but what has
            # been restored to the queue by then still runs
            receipt="series",
        )

    def delivery(self) -> Delivery:
        """Return Celery's protocol."""
        ahead = self.concurrency * self.prefetch_multiplier or math.inf
        on_redis = self.broker == "redis"
        slot_crash: Literal["lose", "requeue", "retry"] = "lose"
        if self.reject_on_worker_lost:
            slot_crash = "requeue"
        elif self.retry_on_worker_lost:
            slot_crash = "retry"
        return Delivery(
            fetch=BlockingPop() if on_redis else Push(to="round robin"),
            prefetch=0 if self.disable_prefetch else ahead,
            ack="end" if self.acks_late else "start",
            visibility=self.visibility(),
            disconnect_s=None if on_redis else 0.0,  # measured: 0.04 s
            # RabbitMQ: its old place.  Redis: messages enter by LPUSH and leave by BRPOP, and
            # QoS.restore_by_tag puts them back by RPUSH, so the next BRPOP finds them
            give_back="head",
            requeue="tail" if on_redis else "head",  # measured, with reject_on_worker_lost
            delayed=InMemory(most=self.eta_task_limit),
            limiter=self.limiter(),
            poison_kills=self.poison_kills,
            slot_crash=slot_crash,
        )


celery = stage_of("celery", CelerySettings)
