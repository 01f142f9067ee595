"""Overbuilt: one worker, one slot.  It acknowledges a job after the orchestrator has its result.

A worker that dies has acknowledged nothing, so the broker hands its job to another at once.  As many
as are started work; nobody needs to know them.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import signal
import sys
import time

import amqp
import shared
import stores

BROKEN = (OSError, EOFError, amqp.exceptions.AMQPError)


class Worker:
    """A connection to the orchestrator, and a consumer at the broker."""

    def __init__(self, orchestrator: int) -> None:
        self.http = http.client.HTTPConnection(shared.HOST, orchestrator, timeout=5)
        self.leaving = self.busy = False
        signal.signal(signal.SIGTERM, self.leave)

    def leave(self, *_: object) -> None:
        """Leave now, or after the job at hand."""
        self.leaving = True
        if not self.busy:
            sys.exit(0)

    def consume(self, broker: str) -> None:
        """Take jobs, one at a time, until told to leave."""
        channel = stores.open_channel(broker)
        channel.basic_qos(0, 1, a_global=False)
        channel.basic_consume(stores.QUEUE, callback=self.take)
        shared.stamp("ready")
        while not self.leaving:
            channel.connection.drain_events()

    def take(self, message: amqp.Message) -> None:
        """Do a job, call back, acknowledge."""
        self.busy = True
        body = message.body
        job = body.decode() if isinstance(body, bytes) else body
        self.call_back(job, json.dumps(shared.work(job)))
        message.channel.basic_ack(message.delivery_tag)
        self.busy = False

    def call_back(self, job: str, result: str) -> None:
        """Bring a result to the orchestrator, again and again until it has it."""
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.http.request("POST", f"/done/{job}", result)
                answer = self.http.getresponse()
                answer.read()
                if answer.status == 200:
                    return
            self.http.close()
            time.sleep(stores.AGAIN_S)


def main() -> None:
    """Read the options and work; connect again whenever the broker was away."""
    parser = argparse.ArgumentParser(description="A worker of the overbuilt service.")
    parser.add_argument("--broker", required=True, help="URL of RabbitMQ")
    parser.add_argument("--orchestrator", type=int, required=True, help="its port")
    options = parser.parse_args()
    shared.be_punctual()
    worker = Worker(options.orchestrator)
    while not worker.leaving:
        with contextlib.suppress(BROKEN):
            worker.consume(options.broker)
        worker.busy = False
        time.sleep(stores.AGAIN_S)


if __name__ == "__main__":
    main()
