"""Measure the SQS part of the data set ``data/job-queues``: moto's server, a stand-in for SQS.

    python data/collect/collect_sqs.py --out DIR [--only NAME ...]

Every experiment is a function that starts a moto server of its own on loopback and consumers of our
own, which receive, work (a sleep) and delete.  It returns a ``Recording``: a row a delivery, and
the parameters.  All of it takes about a minute and a half.  What moto does differently from SQS is
in the datasheet.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import servers
from collect_sidekiq import Execution, Recording, existing, quantiles, write

SEED = 2026
POLL_S = 0.05  # between two receives that don't wait: how exactly a moment is seen
MOTO = Path(sys.executable).with_name("moto_server")


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent, and when."""

    at: float
    asked_s: float
    group: str | None
    due: float | None


@dataclass(slots=True)
class Delivery:
    """A message in the hands of a consumer: received, worked on, and deleted unless it failed."""

    job: int
    worker: int
    received: float
    count: int
    started: float | None = None
    ended: float | None = None
    deleted: bool | str = False
    done: bool = False


@dataclass(slots=True)
class Bench:
    """A queue, its dead-letter queue, what was sent to it and what was delivered."""

    sqs: Any
    queue: str
    dead: str
    attributes: dict[str, str]
    sent: list[Sent] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    arrivals: list[tuple[int, float]] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def send(
        self,
        asked_s: float = 0.0,
        failures: int = 0,
        group: str | None = None,
        delay_s: int | None = None,
    ) -> None:
        """Send a job, which fails at its first so many deliveries."""
        job = len(self.sent)
        options: dict[str, Any] = {}
        if group is not None:
            options = {"MessageGroupId": group, "MessageDeduplicationId": str(job)}
        if delay_s is not None:
            options["DelaySeconds"] = delay_s
        body = json.dumps({"job": job, "asked_s": asked_s, "failures": failures})
        at = time.monotonic()
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=body, **options)
        due = None if delay_s is None else at + delay_s
        self.sent.append(Sent(at, asked_s, group, due))

    def receive(self, queue: str, batch: int = 1, wait_s: int = 0) -> list[dict[str, Any]]:
        """Ask once for messages; with ``wait_s`` the server may keep the call open."""
        answer = self.sqs.receive_message(
            QueueUrl=queue,
            MaxNumberOfMessages=batch,
            WaitTimeSeconds=wait_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return list(answer.get("Messages", ()))

    def delete(self, handle: str) -> bool | str:
        """Delete a message; say that it worked, or the error's name."""
        try:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=handle)
        except botocore.exceptions.ClientError as error:
            return str(error.response["Error"]["Code"])
        return True

    def consume(self, worker: int, batch: int, wait_s: int) -> None:
        """Receive, work and delete until told to stop: the loop of every consumer."""
        while not self.stop.is_set():
            messages = self.receive(self.queue, batch, wait_s)
            now = time.monotonic()
            hands = [(self._delivered(message, worker, now), message) for message in messages]
            for delivery, message in hands:
                self._work(delivery, message)
            if not messages and not wait_s:
                time.sleep(POLL_S)

    def _delivered(self, message: dict[str, Any], worker: int, now: float) -> Delivery:
        count = int(message["Attributes"]["ApproximateReceiveCount"])
        delivery = Delivery(json.loads(message["Body"])["job"], worker, now, count)
        self.deliveries.append(delivery)
        return delivery

    def _work(self, delivery: Delivery, message: dict[str, Any]) -> None:
        what = json.loads(message["Body"])
        delivery.started = time.monotonic()
        time.sleep(what["asked_s"])
        delivery.ended = time.monotonic()
        if delivery.count > what["failures"]:
            delivery.deleted = self.delete(message["ReceiptHandle"])
        delivery.done = True

    def watch_dead(self) -> None:
        """Note when messages arrive in the dead-letter queue."""
        while not self.stop.is_set():
            for message in self.receive(self.dead, batch=10):
                self.arrivals.append((json.loads(message["Body"])["job"], time.monotonic()))
            time.sleep(POLL_S)

    def start(self, *targets: Callable[[], None]) -> None:
        """Run consumers until the bench is left."""
        for target in targets:
            self.threads.append(threading.Thread(target=target, daemon=True))
            self.threads[-1].start()

    def join(self) -> None:
        """Tell the consumers to stop, and wait until they have."""
        self.stop.set()
        for thread in self.threads:
            thread.join(30)

    def finished(self) -> int:
        """Count the deliveries that were worked on, and deleted or not."""
        return sum(delivery.done for delivery in self.deliveries)

    def waiting(self, queue: str) -> int:
        """Ask how many messages a queue has that could be received."""
        name = "ApproximateNumberOfMessages"
        answer = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])
        return int(answer["Attributes"][name])


@contextlib.contextmanager
def bench(
    visibility_s: int = 30, max_receives: int | None = None, *, fifo: bool = False
) -> Iterator[Bench]:
    """Run a moto server with one queue and its dead-letter queue."""
    port = servers.free_port()
    command = (MOTO, "-H", servers.HOST, "-p", str(port))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with servers.running(command, ready=port, log=folder / "log", cwd=folder):
            sqs = connect(port)
            attributes = {"VisibilityTimeout": str(visibility_s)}
            if max_receives is not None:
                attributes["RedrivePolicy"] = json.dumps(
                    {
                        "deadLetterTargetArn": f"arn:aws:sqs:us-east-1:123456789012:{_name('dead', fifo)}",
                        "maxReceiveCount": max_receives,
                    }
                )
            dead = _queue(sqs, "dead", {}, fifo)
            made = Bench(sqs, _queue(sqs, "jobs", attributes, fifo), dead, attributes)
            try:
                yield made
            finally:
                made.join()


def _name(name: str, fifo: bool) -> str:
    return f"{name}.fifo" if fifo else name


def _queue(sqs: Any, name: str, attributes: dict[str, str], fifo: bool) -> str:
    kind = {"FifoQueue": "true"} if fifo else {}
    made = sqs.create_queue(QueueName=_name(name, fifo), Attributes={**attributes, **kind})
    return str(made["QueueUrl"])


def connect(port: int) -> Any:
    """Return a client of a local server; the keys are words, since it asks for some."""
    return boto3.client(
        "sqs",
        endpoint_url=f"http://{servers.HOST}:{port}",
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=botocore.config.Config(retries={"max_attempts": 0}, max_pool_connections=20),
    )


def record(made: Bench, **facts: Any) -> Recording:
    """Turn deliveries into rows, on a clock that starts with the first job sent."""
    zero = made.sent[0].at
    rows = [_row(made, delivery, zero) for delivery in made.deliveries]
    delivered = {delivery.job for delivery in made.deliveries}
    rows += [
        Execution(job, sent.at - zero, group=sent.group, asked_s=sent.asked_s)
        for job, sent in enumerate(made.sent)
        if job not in delivered
    ]
    return Recording(
        rows=sorted(rows, key=lambda row: (row.job, row.started_s or 0.0)),
        facts={
            **facts,
            "queue": made.attributes,
            "deliveries": [_told(delivery, zero) for delivery in made.deliveries],
            "dead_letters": [
                {"job": job, "seen_s": round(at - zero, 4)} for job, at in made.arrivals
            ],
        },
    )


def _row(made: Bench, delivery: Delivery, zero: float) -> Execution:
    sent = made.sent[delivery.job]
    return Execution(
        job=delivery.job,
        sent_s=sent.at - zero,
        due_s=None if sent.due is None else sent.due - zero,
        group=sent.group,
        asked_s=sent.asked_s,
        started_s=None if delivery.started is None else delivery.started - zero,
        ended_s=None if delivery.ended is None else delivery.ended - zero,
        worker=delivery.worker,
        slot=0,
    )


def _told(delivery: Delivery, zero: float) -> dict[str, Any]:
    return {
        "job": delivery.job,
        "worker": delivery.worker,
        "received_s": round(delivery.received - zero, 4),
        "receive_count": delivery.count,
        "deleted": delivery.deleted,
    }


# --- experiments -------------------------------------------------------------------------------


def visibility(visibility_s: int = 2, work_s: float = 5.0, consumers: int = 4) -> Recording:
    """Work longer than a message stays hidden: copies start while the first still runs."""
    with bench(visibility_s) as made:
        made.send(work_s)
        made.start(*(lambda n=n: made.consume(n, 1, 0) for n in range(consumers)))
        servers.wait_until(lambda: made.finished() >= 1, work_s + 10)
        time.sleep(visibility_s + 1)  # whoever would get another copy has had time to
        servers.wait_until(lambda: made.finished() == len(made.deliveries), work_s + 10)
        return record(made, what="a job longer than the visibility timeout", consumers=consumers)


def redrive(visibility_s: int = 1, max_receives: int = 2) -> Recording:
    """Fail always: so many deliveries, and at the next receive the message is a dead letter."""
    with bench(visibility_s, max_receives) as made:
        for _ in range(5):
            made.send(0.05, failures=99)
        made.start(lambda: made.consume(0, 1, 0), made.watch_dead)
        servers.wait_until(lambda: len(made.arrivals) == 5, visibility_s * max_receives + 10)
        return record(made, what="jobs that always fail", max_receive_count=max_receives)


def redrive_lazy(visibility_s: int = 1, max_receives: int = 2) -> dict[str, Any]:
    """Look whether a message moves by itself, or only when somebody asks the queue for it."""
    with bench(visibility_s, max_receives) as made:
        made.send()
        for _ in range(max_receives):
            assert made.receive(made.queue)
            time.sleep(visibility_s + 0.5)
        before = made.waiting(made.dead)
        got = made.receive(made.queue)
        return {
            "what": "dead letters before and after the receive that follows the last allowed one",
            "max_receive_count": max_receives,
            "visibility_s": visibility_s,
            "dead_letters_before": before,
            "received": len(got),
            "dead_letters_after": made.waiting(made.dead),
        }


def fifo_group(visibility_s: int = 1, max_receives: int = 3) -> Recording:
    """Let the first message of a group fail: its group waits, another one flows."""
    with bench(visibility_s, max_receives, fifo=True) as made:
        made.send(0.1, failures=99, group="blocked")
        for _ in range(3):
            made.send(0.1, group="blocked")
        for _ in range(12):
            made.send(0.2, group="free")
        made.start(*(lambda n=n: made.consume(n, 1, 0) for n in range(2)), made.watch_dead)
        total = max_receives + 3 + 12
        servers.wait_until(lambda: made.finished() == total, visibility_s * max_receives + 15)
        servers.wait_until(lambda: made.arrivals, 5)
        return record(
            made,
            what="two groups, one of which begins with a failure",
            max_receive_count=max_receives,
        )


def fifo_late(visibility_s: int = 1, work_s: float = 1.6) -> Recording:
    """Work longer than a message of a group stays hidden, with a second consumer at hand."""
    with bench(visibility_s, fifo=True) as made:
        for _ in range(3):
            made.send(work_s, group="slow")
        made.start(*(lambda n=n: made.consume(n, 1, 0) for n in range(2)))
        servers.wait_until(lambda: {d.job for d in made.deliveries if d.done} == {0, 1, 2}, 20)
        servers.wait_until(lambda: made.finished() == len(made.deliveries), 10)
        return record(made, what="jobs of one group, longer than the visibility timeout")


def fifo_long_poll(wait_s: int = 4) -> dict[str, Any]:
    """Delete the first message of a group while a receive waits for the second."""
    with bench(fifo=True) as made:
        for _ in range(2):
            made.send(group="one")
        first = made.receive(made.queue)[0]
        got: list[int] = []
        began = time.monotonic()
        made.start(lambda: got.append(len(made.receive(made.queue, wait_s=wait_s))))
        time.sleep(wait_s / 4)
        made.delete(first["ReceiptHandle"])
        servers.wait_until(lambda: got, wait_s + 10)
        return {
            "what": "messages of the waiting receive, and of one that comes after it",
            "wait_s": wait_s,
            "deleted_s": wait_s / 4,
            "answered_s": round(time.monotonic() - began, 4),
            "received_by_the_waiting": got[0],
            "received_by_the_next": len(made.receive(made.queue)),
        }


def late_delete(visibility_s: int = 1) -> dict[str, Any]:
    """Delete with the handle of a receive whose time is over, in both kinds of queue."""
    found = {}
    for kind, group in (("standard", None), ("fifo", "one")):
        with bench(visibility_s, fifo=group is not None) as made:
            made.send(group=group)
            handle = made.receive(made.queue)[0]["ReceiptHandle"]
            time.sleep(visibility_s + 0.3)
            found[f"{kind}_expired_handle"] = made.delete(handle)
            found[f"{kind}_left"] = made.waiting(made.queue)
            made.send(group=group)
            handle = made.receive(made.queue)[0]["ReceiptHandle"]
            time.sleep(visibility_s + 0.3)
            made.receive(made.queue)
            found[f"{kind}_handle_of_an_earlier_receive"] = made.delete(handle)
            time.sleep(visibility_s + 0.3)
            found[f"{kind}_left_after_it"] = made.waiting(made.queue)
    return {"what": "late deletion: true is success, else the error", **found}


def batch(visibility_s: int = 2, work_s: float = 0.4) -> Recording:
    """Receive ten messages and work on them in a row, for longer than they stay hidden."""
    with bench(visibility_s) as made:
        for _ in range(10):
            made.send(work_s)
        made.start(lambda: made.consume(0, 10, 0))
        servers.wait_until(lambda: len(made.deliveries) == 10, 10)
        made.start(lambda: made.consume(1, 10, 0))
        servers.wait_until(lambda: made.finished() >= 10, 10 * work_s + 10)
        time.sleep(visibility_s + 1)
        servers.wait_until(lambda: made.finished() == len(made.deliveries), 10)
        return record(made, what="ten messages in one receive, a second consumer at hand", batch=10)


def long_poll(jobs: int = 60, gap_s: float = 0.2, wait_s: int = 5) -> Recording:
    """Send to a consumer whose receive is waiting at the server."""
    draw = random.Random(f"{SEED}/long-poll")
    with bench() as made:
        made.start(lambda: made.consume(0, 1, wait_s))
        time.sleep(1)
        for _ in range(jobs):
            made.send()
            time.sleep(gap_s * draw.uniform(0.5, 1.5))
        servers.wait_until(lambda: made.finished() == jobs, 10)
        got = record(made, what="instant jobs to a waiting receive", wait_s=wait_s)
    waits = [row.wait_s for row in got.rows]
    return Recording(got.rows, {**got.facts, "dispatch_s": quantiles(waits, (50, 90, 99))})


def long_poll_expiry(jobs: int = 10, visibility_s: int = 1, wait_s: int = 5) -> Recording:
    """Fail once, and let a waiting receive get the message back when its time is over.

    moto's waiting receive looks again when a message is sent, or after a second.
    """
    draw = random.Random(f"{SEED}/long-poll-expiry")
    with bench(visibility_s) as made:
        made.start(lambda: made.consume(0, 1, wait_s))
        for number in range(1, jobs + 1):
            made.send(round(draw.uniform(0, 0.9), 3), failures=1)
            servers.wait_until(lambda n=number: made.finished() == 2 * n, 20)
        return record(made, what="jobs that fail once, to a waiting receive", wait_s=wait_s)


def delay(delays_s: Sequence[int] = (3, 1, 0, 2, 1, 3, 2)) -> Recording:
    """Send messages that are hidden at first, the longest hidden one first."""
    with bench() as made:
        for delay_s in delays_s:
            made.send(delay_s=delay_s)
        made.start(lambda: made.consume(0, 1, 0))
        servers.wait_until(lambda: made.finished() == len(delays_s), max(delays_s) + 10)
        return record(made, what="messages sent with DelaySeconds")


EXPERIMENTS: dict[str, Callable[[], Recording | dict[str, Any]]] = {
    "visibility": visibility,
    "redrive": redrive,
    "redrive-lazy": redrive_lazy,
    "fifo-group": fifo_group,
    "fifo-late": fifo_late,
    "fifo-long-poll": fifo_long_poll,
    "late-delete": late_delete,
    "batch": batch,
    "long-poll": long_poll,
    "long-poll-expiry": long_poll_expiry,
    "delay": delay,
}


def measure(out: Path, names: Sequence[str]) -> None:
    """Run the experiments one after the other."""
    out.mkdir(parents=True, exist_ok=True)
    packages = ("moto", "boto3", "botocore", "werkzeug")
    write(out, "sqs", "versions", {name: version(name) for name in packages})
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        write(out, "sqs", name, EXPERIMENTS[name]())


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description="Measure moto's SQS for the data set job-queues.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    parser.add_argument("--overwrite", action="store_true", help="replace what exists")
    given = parser.parse_args()
    if (there := existing(given.out, "sqs", given.only)) and not given.overwrite:
        parser.error(f"{', '.join(there)} would be overwritten; say --overwrite to do so")
    measure(given.out, given.only)


if __name__ == "__main__":
    main()
