"""Azure's two queues: Storage, a list with leases, and Service Bus, a broker with locks.

Sources: azure-storage-queue 12.18.1 and azure-servicebus 7.15.0 (*sdk*) and Microsoft's documentation
(*doc*), which we read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toolkit import _check
from toolkit.backoff import ConstantBackoff
from toolkit.design import BlockingPop, Delivery, Poll, Retry, Visibility
from toolkit.systems._product import (
    Product,
    count_if_given,
    countdown_within,
    positive_if_given,
    refuse,
    stage_of,
    within,
)

# from the sdk azure-storage-queue: receive_messages
VISIBILITY_TIMEOUT_S, MOST_VISIBILITY_S, MOST_BATCH = 30.0, 7 * 86_400.0, 32
# from the doc of WebJobs: QueuesOptions
HOST_BATCH, HOST_DEQUEUES = 16, 5
# from the doc: LockDuration
LOCK_S, MOST_LOCK_S = 60.0, 300.0
# from the doc: MaxAutoLockRenewalDuration, and the sdk: AutoLockRenewer
RENEWAL_S = 300.0
# from the doc: QueueProperties.MaxDeliveryCount
MAX_DELIVERY_COUNT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureStorageQueueSettings(Product):
    """Return a stage that behaves like ``consumers`` of an Azure Storage queue.

    Settings are the queue's and the consumer's own, times in seconds; what every product has
    (``service``, ``failure``, ``countdown``, ``crashes``, ``poison``, ``restart_s``) is a field of
    ``Stage`` or ``Delivery``.

    A receive returns at once, so a consumer that found nothing sleeps ``poll_every_s``, which must be
    given.  It takes up to ``batch`` messages (1 to 32, default 1) and asks again when one of its
    ``concurrency`` slots (default 1) is idle.  A message is out of sight for
    ``visibility_timeout_s`` (30 by default, 1 s to 7 days) from the receive, not renewed, and comes
    back then, whether its consumer failed, died or still works, without end: the service has no
    dead-letter queue.  A ``countdown`` is at most 7 days.

    ``functions_host=True`` is the host of Azure Functions: it takes ``batch`` (16) messages when it
    holds ``new_batch_threshold`` or fewer, runs ``batch + new_batch_threshold`` at once, lets a failed
    message be seen again after ``failed_visible_after_s``, and puts it aside after
    ``max_dequeue_count`` (5) dequeues.  ``new_batch_threshold``, ``failed_visible_after_s`` and
    ``visibility_timeout_s`` must be given then, for no primary source that we read says what the host
    takes by default.  Its polling, which backs off at random up to a longest interval, is modelled as a
    sleep of ``poll_every_s``; with ``failed_visible_after_s`` > 0 a dead host's message waits as much
    longer, for failure and death are one kind of retry then.

    Left out: messages that grow too old (7 days by default), the account's limits on requests.

    Raises ``ValueError`` for what the service does not allow, for settings that contradict each other,
    and for the crash of a single slot.

    >>> from toolkit.laws import Exponential
    >>> stage = azure_storage_queue(poll_every_s=1.0, batch=32, service=Exponential(mean_s=0.04))
    >>> stage.delivery.visibility.timeout_s, stage.delivery.on_failure, stage.delivery.max_deliveries
    (30.0, 'leave', None)
    """

    poll_every_s: float
    consumers: int = 1
    concurrency: int | None = None
    name: str = "azure_storage_queue"
    batch: int | None = None
    visibility_timeout_s: float | None = None
    functions_host: bool = False
    new_batch_threshold: int | None = None
    failed_visible_after_s: float | None = None
    max_dequeue_count: int | None = None

    def __post_init__(self) -> None:
        _check.positive("poll_every_s", self.poll_every_s)
        _check.count("consumers", self.consumers)
        count_if_given(self, "concurrency", "batch", "max_dequeue_count")
        within("batch", self.most_at_once, 1, MOST_BATCH, "messages")
        if self.visibility_timeout_s is not None:
            within("visibility_timeout_s", self.visibility_timeout_s, 1, MOST_VISIBILITY_S)
        countdown_within(self.countdown, MOST_VISIBILITY_S)
        self._check_host()

    def _check_host(self) -> None:
        """Refuse the host's settings without it, and ask for those that nobody else knows."""
        needed = ("new_batch_threshold", "failed_visible_after_s")
        for name in () if self.functions_host else (*needed, "max_dequeue_count"):
            value = getattr(self, name)
            if value is not None:
                raise refuse(
                    f"{name}={value!r}", "functions_host=False", "it is the host's setting"
                )
        for name in (*needed, "visibility_timeout_s") if self.functions_host else ():
            if getattr(self, name) is None:
                raise ValueError(f"{name} must be given with functions_host=True, got None")
        if self.functions_host and self.concurrency is not None:
            raise refuse(
                f"concurrency={self.concurrency!r}",
                "functions_host=True",
                "the host runs batch + new_batch_threshold at once",
            )
        if self.functions_host:
            _check.count("new_batch_threshold", self.new_batch_threshold, least=0)
            _check.not_negative("failed_visible_after_s", self.failed_visible_after_s)

    @property
    def most_at_once(self) -> int:
        """The most messages of one receive."""
        return self.batch or (HOST_BATCH if self.functions_host else 1)

    @property
    def refill_at(self) -> int:
        """How many messages a consumer may still hold when it asks for more."""
        return (
            (self.concurrency or 1) - 1
            if self.new_batch_threshold is None
            else self.new_batch_threshold
        )

    def size(self) -> tuple[int, int]:
        """Return the number of consumers, and of messages at work in each."""
        if self.functions_host:
            return self.consumers, self.most_at_once + self.refill_at
        return self.consumers, self.concurrency or 1

    def _most_dequeues(self) -> int | None:
        return (self.max_dequeue_count or HOST_DEQUEUES) if self.functions_host else None

    def retries(self) -> Retry | None:
        """Return the host's pause before a failed message is seen again, if there is one."""
        most = self._most_dequeues()
        if most is None or not self.failed_visible_after_s:
            return None
        backoff = ConstantBackoff(delay_s=self.failed_visible_after_s)
        return Retry(max_retries=most - 1, backoff=backoff)

    def delivery(self) -> Delivery:
        """Return the protocol of a Storage queue."""
        on_failure: Literal["retry", "leave", "return"] = "leave"
        if self.functions_host:
            on_failure = "retry" if self.failed_visible_after_s else "return"
        timeout_s = self.visibility_timeout_s
        return Delivery(
            fetch=Poll(
                every_s=self.poll_every_s, batch=self.most_at_once, refill_at=self.refill_at
            ),
            prefetch=self.most_at_once + self.refill_at,
            ack="end",
            # a stale receipt fails (sdk), and it is stale from the next delivery on
            visibility=Visibility(
                timeout_s=VISIBILITY_TIMEOUT_S if timeout_s is None else timeout_s,
                receipt="delivery",
            ),
            give_back="head",
            on_failure=on_failure,
            # with a pause after a failure each dequeue is a message of its own, and `retries` counts
            max_deliveries=1 if on_failure == "retry" else self._most_dequeues(),
            dead_letter_on="return" if self.functions_host else "receive",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureServiceBusSettings(Product):
    """Return a stage that behaves like ``processors`` of a Service Bus queue, in peek-lock mode.

    Settings are the queue's and the processor's own, times in seconds; what every product has
    (``service``, ``failure``, ``countdown``, ``crashes``, ``poison``, ``restart_s``) is a field of
    ``Stage`` or ``Delivery``.

    Each processor runs ``max_concurrent_calls`` (1) and fetches ``prefetch_count`` (0) more ahead.
    A message is locked for ``lock_duration_s`` (60 by default, 300 at most) from delivery, also while
    it lies in the buffer.  The client renews the lock of what it runs, every ``renew_every_s``, for
    ``max_auto_lock_renewal_s`` (300; 0: never).  By default it renews 10 s before the lock ends, or,
    if the lock is no longer than 10.5 s, after a quarter of it (sdk: azure-servicebus,
    _common/auto_lock_renewer.py, the Python client; others differ).
    So a handler that runs for ever is delivered again about every six minutes.

    A failed message is abandoned and comes back at once, a dead processor's when the lock ends.
    The delivery that is number ``max_delivery_count`` (10) and ends badly moves it to the dead-letter
    queue.  That an abandoned message counts is what people see; the page that we read speaks of locks.

    Left out: receive-and-delete, sessions (and so any order), duplicate detection, messages that grow
    too old, the limits of the service, the client's waits between failed calls of the service.

    Raises ``ValueError`` for what the service does not allow, and for the crash of a single call.

    >>> from toolkit.laws import Exponential
    >>> stage = azure_service_bus(service=Exponential(mean_s=0.04))
    >>> lock = stage.delivery.visibility
    >>> lock.timeout_s, lock.renew_every_s, lock.renew_for_s, stage.delivery.max_deliveries
    (60.0, 50.0, 300.0, 10)
    """

    processors: int = 1
    max_concurrent_calls: int = 1  # doc: ServiceBusProcessorOptions
    name: str = "azure_service_bus"
    prefetch_count: int = 0  # sdk
    lock_duration_s: float = LOCK_S
    max_auto_lock_renewal_s: float = RENEWAL_S
    renew_every_s: float | None = None
    max_delivery_count: int = MAX_DELIVERY_COUNT

    def __post_init__(self) -> None:
        for name in ("processors", "max_concurrent_calls", "max_delivery_count"):
            _check.count(name, getattr(self, name))
        _check.count("prefetch_count", self.prefetch_count, least=0)
        if _check.positive("lock_duration_s", self.lock_duration_s) > MOST_LOCK_S:
            within("lock_duration_s", self.lock_duration_s, 0, MOST_LOCK_S)
        _check.not_negative("max_auto_lock_renewal_s", self.max_auto_lock_renewal_s)
        positive_if_given(self, "renew_every_s")
        if self.renew_every_s is not None and self.renew_every_s >= self.lock_duration_s:
            raise ValueError(
                f"renew_every_s must be < lock_duration_s ({self.lock_duration_s:g} s), or the lock ends "
                f"before it is renewed, got {self.renew_every_s!r}"
            )
        if self.renew_every_s is not None and not self.max_auto_lock_renewal_s:
            raise refuse(
                f"renew_every_s={self.renew_every_s!r}",
                "max_auto_lock_renewal_s=0",
                "a lock that is never renewed",
            )

    def size(self) -> tuple[int, int]:
        """Return the number of processors, and of calls at once in each."""
        return self.processors, self.max_concurrent_calls

    def visibility(self) -> Visibility:
        """Return the lock and its renewal."""
        lock_s = self.lock_duration_s
        if not self.max_auto_lock_renewal_s:
            return Visibility(timeout_s=lock_s, receipt="lease")
        every_s = lock_s - 10.0 if lock_s > 10.5 else 0.25 * lock_s
        return Visibility(
            timeout_s=lock_s,
            renew_every_s=every_s if self.renew_every_s is None else self.renew_every_s,
            renew_for_s=self.max_auto_lock_renewal_s,
            renews="running",
            receipt="lease",
        )

    def delivery(self) -> Delivery:
        """Return the protocol of Service Bus."""
        ahead = self.prefetch_count
        return Delivery(
            fetch=BlockingPop(),
            prefetch=self.max_concurrent_calls + ahead if ahead else 0,
            ack="end",
            visibility=self.visibility(),
            give_back="head",
            on_failure="return",
            max_deliveries=self.max_delivery_count,
            dead_letter_on="return",
        )


azure_storage_queue = stage_of("azure_storage_queue", AzureStorageQueueSettings)
azure_service_bus = stage_of("azure_service_bus", AzureServiceBusSettings)
