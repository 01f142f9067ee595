"""Amazon SQS: a message is lent for a while, and nobody knows whether the borrower lives.

Sources: the API model of SQS shipped with botocore 1.44.5 (*sdk*), which we read; *measured* means
in moto 5.2.5, not at Amazon.
"""

from __future__ import annotations

from dataclasses import dataclass

from toolkit import _check
from toolkit.design import BlockingPop, Delivery, Poll, Visibility
from toolkit.design.delivery import Fetch
from toolkit.laws import Deterministic
from toolkit.systems._product import (
    Product,
    count_if_given,
    countdown_within,
    positive_if_given,
    refuse,
    stage_of,
    within,
)

# from the sdk: CreateQueue and ReceiveMessage
VISIBILITY_TIMEOUT_S, MOST_VISIBILITY_S = 30.0, 43_200.0
MOST_BATCH, MOST_WAIT_S, MOST_DELAY_S = 10, 20.0, 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsSettings(Product):
    """Return a stage that behaves like ``consumers`` of an SQS queue, ``concurrency`` calls in each.

    Settings are those of SQS and of a consumer's loop, times in seconds; what every product has
    (``service``, ``failure``, ``countdown``, ``crashes``, ``poison``, ``restart_s``) is a field of
    ``Stage`` or ``Delivery``.

    A consumer receives up to ``batch`` messages (1 to 10, default 1) when it holds ``refill_at`` or
    fewer.  The default, ``concurrency - 1``, asks as soon as a slot is idle; 0 works off a batch first.
    With ``wait_time_s`` (0 to 20) it waits for a message; with 0, the default, it looks and sleeps
    ``poll_every_s``, which is the consumer's own and must be given.

    A received message is out of sight for ``visibility_timeout_s`` (30 by default, to 43,200) from
    the receive, not renewed, and comes back then, whether its consumer failed, died or still works.
    So a retry has no delay of its own, and a job that takes longer is received again and again, without
    end if there is no ``max_receive_count``.  After ``max_receive_count`` receives the next one moves it to
    the dead-letter queue (``None``: no redrive policy; where there is one, its default is 10).
    An old receipt deletes until the next delivery (it may; sdk: DeleteMessage); with ``fifo`` it is an
    error as soon as the time is up.  With ``fifo`` messages are in one of ``message_groups``, and
    while one of a group is out no other of it is delivered.
    A ``countdown`` is at most 900 s, and the same for all messages of a FIFO queue.

    Left out: the limit of 120,000 messages in flight, quotas, retention, a short poll's sample of
    servers, the order of a standard queue that is only best effort, duplicates by a lost replica.

    Raises ``ValueError`` for what SQS does not allow, for settings that contradict each other, and
    for the crash of a single slot.

    >>> from toolkit.laws import Exponential
    >>> stage = sqs(wait_time_s=20, batch=10, max_receive_count=3, service=Exponential(mean_s=0.04))
    >>> stage.delivery.visibility.timeout_s, stage.delivery.prefetch, stage.delivery.fetch.refill_at
    (30.0, 10, 0)
    """

    fifo: bool = False
    consumers: int = 1
    concurrency: int = 1
    name: str = "sqs"
    batch: int = 1  # sdk: ReceiveMessage, MaxNumberOfMessages
    wait_time_s: float = 0.0  # sdk: ReceiveMessageWaitTimeSeconds
    poll_every_s: float | None = None
    refill_at: int | None = None
    visibility_timeout_s: float = VISIBILITY_TIMEOUT_S
    max_receive_count: int | None = None  # sdk: CreateQueue, RedrivePolicy
    message_groups: int | None = None

    def __post_init__(self) -> None:
        for name in ("consumers", "concurrency", "batch"):
            _check.count(name, getattr(self, name))
        count_if_given(self, "max_receive_count", "message_groups")
        positive_if_given(self, "poll_every_s")
        within("batch", self.batch, 1, MOST_BATCH, "messages")
        within("wait_time_s", self.wait_time_s, 0, MOST_WAIT_S)
        within("visibility_timeout_s", self.visibility_timeout_s, 0, MOST_VISIBILITY_S)
        if self.visibility_timeout_s == 0:
            raise ValueError(
                "visibility_timeout_s must be > 0 s here (SQS allows 0: a message stays in everybody's "
                f"sight and is received without end), got {self.visibility_timeout_s!r}"
            )
        countdown_within(self.countdown, MOST_DELAY_S)
        self._check_polling()
        self._check_fifo()

    def _check_polling(self) -> None:
        if self.wait_time_s == 0 and self.poll_every_s is None:
            raise ValueError(
                "poll_every_s must be given with wait_time_s=0: a short poll returns at once, and how "
                "long the consumer sleeps then is its own affair, got None"
            )
        if self.wait_time_s and self.poll_every_s is not None:
            raise refuse(
                f"poll_every_s={self.poll_every_s!r}",
                f"wait_time_s={self.wait_time_s!r}",
                "a consumer that waits for messages does not sleep",
            )
        if self.refill_at is not None:
            _check.count("refill_at", self.refill_at, least=0)
        if self.most < self.concurrency:
            raise refuse(
                f"concurrency={self.concurrency!r}",
                f"refill_at={self.refill_at!r} and batch={self.batch!r}",
                f"the consumer never holds more than {self.most} messages",
            )

    def _check_fifo(self) -> None:
        if self.fifo and self.message_groups is None:
            raise ValueError(
                "message_groups must be given with fifo=True: every message has a group, got None"
            )
        if not self.fifo and self.message_groups is not None:
            raise refuse(
                f"message_groups={self.message_groups!r}",
                "fifo=False",
                "groups keep no order in a standard queue",
            )
        if (
            self.fifo
            and self.countdown is not None
            and not isinstance(self.countdown, Deterministic)
        ):
            raise refuse(
                f"countdown={self.countdown!r}",
                "fifo=True",
                "a FIFO queue has one delay for all messages, Deterministic(...)",
            )

    @property
    def refill(self) -> int:
        """How many messages a consumer may still hold when it asks for more."""
        return self.concurrency - 1 if self.refill_at is None else self.refill_at

    @property
    def most(self) -> int:
        """The most messages that a consumer holds."""
        return self.refill + self.batch

    def size(self) -> tuple[int, int]:
        """Return the number of consumers, and of calls at once in each."""
        return self.consumers, self.concurrency

    def fetch(self) -> Fetch:
        """Return how a consumer asks."""
        if self.poll_every_s is None:
            return BlockingPop(batch=self.batch, refill_at=self.refill)
        return Poll(every_s=self.poll_every_s, batch=self.batch, refill_at=self.refill)

    def delivery(self) -> Delivery:
        """Return the protocol of SQS."""
        return Delivery(
            fetch=self.fetch(),
            prefetch=self.most,
            ack="end",
            visibility=Visibility(
                timeout_s=self.visibility_timeout_s,
                receipt="lease" if self.fifo else "delivery",
            ),
            give_back="head",  # the order of sending, strict in a group
            on_failure="leave",
            max_deliveries=self.max_receive_count,
            dead_letter_on="receive",  # sdk: CreateQueue; measured
            groups=self.message_groups,
        )


sqs = stage_of("sqs", SqsSettings)
