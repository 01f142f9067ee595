"""Celery and SQS in SimPy, as one would write these two and nothing else.

A process a job and one for each copy of a message; an instance's slots are a Resource; its buffer is
the Resource's queue.  Both follow the toolkit's presets to the bit: who stands in line for a message,
when a lease ends, whose word counts.
"""

from collections import deque
from heapq import heappop, heappush
from itertools import count

import simpy
from comparison.models import CELERY, CHANCE, SQS, Draws

SWEEP_FIRST_S, SWEEP_EVERY_S = 90.0, 100.0
LONGEST_PAUSE_S = 600


class Message:
    """A try of a job, in the queue or lent to one instance or more."""

    def __init__(self, env, job: int, tried: int, due_s: float = 0.0) -> None:
        self.job, self.due_s, self.answer = job, due_s, env.event()
        self.tried = tried  # the number of this delivery among all of the job, from 0
        self.place, self.received, self.lease = None, 0, 0
        self.is_lent = self.is_deleted = self.is_settled = False

    def settle(self, *, done: bool) -> None:
        """Tell the job what came of it, once."""
        if not self.is_settled:
            self.is_settled = True
            self.answer.succeed(done)


class Instance:
    """A process of workers, with messages in memory and slots."""

    def __init__(self, env, slots: int) -> None:
        self.slots, self.concurrency = simpy.Resource(env, slots), slots
        self.in_hand, self.held, self.load = 0, 0, 0
        self.stands_in_line = False


class Queue:
    """A queue and its instances; what differs between products is in the classes below."""

    def __init__(self, given: Draws, instances: int, slots: int) -> None:
        self.env, self.given, self.records = simpy.Environment(), given, []
        self.tried = [0] * given.jobs
        self.waiting, self.places, self.line = [], count(), deque()
        self.instances = [Instance(self.env, slots) for _ in range(instances)]
        self.is_matching = False
        for instance in self.instances:
            self.line_up(instance)

    def run(self):
        """Run to the end; return a record a job."""
        self.env.process(self.source())
        self.env.run()
        return self.records

    def source(self):
        """Send the jobs, each after its gap."""
        for job, gap_s in enumerate(self.given.gaps_s):
            yield self.env.timeout(gap_s)
            self.env.process(self.life(job))

    def send(self, job: int, due_s: float = 0.0) -> Message:
        """Put a message for a try of the job into the queue."""
        message = Message(self.env, job, self.tried[job], due_s)
        self.tried[job] += 1
        self.put(message)
        return message

    def send_again(self, message: Message) -> None:
        """Put a message back to its old place."""
        message.tried = self.tried[message.job]
        self.tried[message.job] += 1
        self.put(message)

    def put(self, message: Message) -> None:
        """Put a message in line."""
        if message.place is None:
            message.place = next(self.places)
        heappush(self.waiting, (message.place, message))
        self.match()

    def line_up(self, instance: Instance) -> None:
        """Let an instance ask for messages if it wants any."""
        if not instance.stands_in_line and self.wants(instance):
            instance.stands_in_line = True
            self.line.append(instance)

    def match(self) -> None:
        """Bring messages and those who stand in line together."""
        if self.is_matching:
            return
        self.is_matching = True
        while self.waiting and self.line:
            instance = self.line.popleft()
            instance.stands_in_line = False
            if not self.wants(instance):
                continue
            if self.hand_over(instance):
                self.line_up(instance)
            else:
                instance.stands_in_line = True
                self.line.appendleft(instance)
        self.is_matching = False

    def hand_over(self, instance: Instance) -> bool:
        """Lend a batch; say whether there was any message left to lend."""
        batch = []
        most = min(self.batch, self.room(instance))
        while len(batch) < most and self.waiting:
            message = heappop(self.waiting)[1]
            if self.lend(message):
                batch.append(message)
        for message in batch:
            instance.in_hand += 1
            self.env.process(self.copy(instance, message, message.lease, message.tried))
            if message.due_s > self.env.now:
                instance.held += 1
            else:
                instance.load += 1
                if instance.load <= instance.concurrency:
                    self.line_up(instance)
        return bool(batch)

    def copy(self, instance: Instance, message: Message, lease: int, tried: int):
        """Hold one copy of a message until it is due, wait for a slot, run it."""
        env = self.env
        if message.due_s > env.now:
            yield env.timeout(message.due_s - env.now)
            instance.held -= 1
            instance.load += 1
        with instance.slots.request() as turn:
            yield turn
            started_s = env.now
            yield env.timeout(self.given.services_s[tried][message.job])
        worked = self.given.failures[tried][message.job] >= CHANCE
        message.started_s = started_s
        self.end(message, lease, worked=worked)
        instance.in_hand -= 1
        instance.load -= 1
        self.line_up(instance)
        self.match()


class Celery(Queue):
    """Redis, acknowledged late: a lease ends at a sweep, a failed task is sent anew with a time to start."""

    batch = 1

    def __init__(self, given: Draws, slots: int) -> None:
        self.prefetch = slots * CELERY["prefetch_multiplier"]
        self.unacked: dict[tuple[Message, int], float] = {}
        self.done = 0
        super().__init__(given, CELERY["instances"], slots)
        self.env.process(self.sweep())

    def room(self, instance: Instance) -> int:
        """Return how many more messages an instance may hold."""
        return self.prefetch + instance.held - instance.in_hand

    def wants(self, instance: Instance) -> bool:
        """Say whether an instance asks for messages."""
        return self.room(instance) >= 1

    def life(self, job: int):
        """Take a job from its arrival to its outcome."""
        arrived_s, due_s = self.env.now, 0.0
        for retries in count():
            first = self.tried[job]
            message = self.send(job, due_s)
            done = yield message.answer
            if done or retries == CELERY["max_retries"]:
                break
            steps = min(LONGEST_PAUSE_S, 2**retries) + 1
            due_s = self.env.now + float(int(self.given.jitters[first][job] * steps))
        self.records.append((arrived_s, message.started_s, self.env.now, retries + 1))
        self.done += 1

    def lend(self, message: Message) -> bool:
        """Begin a lease, if the message may be lent."""
        message.lease += 1
        self.unacked[message, message.lease] = self.env.now
        return True

    def end(self, message: Message, lease: int, *, worked: bool) -> None:
        """Note the end of a copy; one that failed after its lease leaves the word to the next one."""
        is_open = (message, lease) in self.unacked
        if worked or message.is_settled or is_open or message.is_deleted:
            self.unacked.pop((message, lease), None)
            message.is_deleted = True
            message.settle(done=worked or message.is_settled)

    def sweep(self):
        """Give back, now and then, what has been out for too long."""
        for k in count():
            yield self.env.timeout(SWEEP_FIRST_S + k * SWEEP_EVERY_S - self.env.now)
            if self.done == self.given.jobs and not self.unacked:
                return
            before_s = self.env.now - CELERY["visibility_timeout_s"]
            late = []
            for copy, given_s in self.unacked.items():
                if given_s > before_s:
                    break
                late.append(copy)
            for copy in late:
                del self.unacked[copy]
                if not copy[0].is_deleted:
                    self.send_again(copy[0])


class Sqs(Queue):
    """A lease ends after a fixed time; a failed message waits for that; too many receives bury it."""

    batch = SQS["batch"]

    def __init__(self, given: Draws, slots: int) -> None:
        self.most = slots - 1 + self.batch
        super().__init__(given, SQS["consumers"], slots)

    def room(self, instance: Instance) -> int:
        """Return how many more messages an instance may hold."""
        return self.most - instance.in_hand

    def wants(self, instance: Instance) -> bool:
        """Say whether an instance asks for messages."""
        return instance.load < instance.concurrency and self.room(instance) >= 1

    def life(self, job: int):
        """Take a job from its arrival to its outcome."""
        arrived_s = self.env.now
        message = self.send(job)
        yield message.answer
        self.records.append((arrived_s, message.started_s, self.env.now, message.received))

    def lend(self, message: Message) -> bool:
        """Begin a lease, if the message may be lent."""
        if message.is_deleted:
            return False
        if message.received == SQS["max_receive_count"]:
            message.is_deleted = True
            message.settle(done=False)
            return False
        message.received += 1
        message.lease += 1
        message.is_lent = True
        self.env.process(self.watch(message, message.lease))
        return True

    def end(self, message: Message, lease: int, *, worked: bool) -> None:
        """Note the end of a copy; the latest receipt deletes until the message is delivered again."""
        if worked or message.is_settled:
            if lease == message.lease:
                message.is_deleted, message.is_lent = True, False
            message.settle(done=True)

    def watch(self, message: Message, lease: int):
        """Bring a message back into sight when its time is up."""
        yield self.env.timeout(SQS["visibility_timeout_s"])
        if message.lease == lease and message.is_lent:
            message.is_lent = False
            self.send_again(message)


PROGRAMS = {
    "celery": lambda given, slots: Celery(given, slots).run(),
    "sqs": lambda given, slots: Sqs(given, slots).run(),
}
