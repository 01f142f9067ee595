"""Messages on their way in and back: sent, given back, withdrawn, preempted, as in ``broker`` and ``leases``."""

from __future__ import annotations

import math

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.events import put_event, put_number
from toolkit.simulation.compiled_engine.full.matching import ask, match, start_next
from toolkit.simulation.compiled_engine.full.moments import (
    at_once,
    duration_s,
    is_full,
    new_row,
    open_row,
    urgently,
)
from toolkit.simulation.compiled_engine.full.queue import (
    RUNNING,
    push,
    rank,
    release_lease,
    unqueue,
)
from toolkit.simulation.compiled_engine.full.words import (
    close,
    end_lease,
    interrupt_run,
    leave_place,
    let_go,
    settle,
)
from toolkit.simulation.compiled_engine.full.world import (
    DEAD,
    E_PATIENCE,
    E_WOKEN,
    NO,
    NONE,
    PREEMPTED,
    PREEMPTIVE,
    SERVICE,
    YES,
    instance_at,
    lease_at,
    message_at,
    stage_at,
    trip_at,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import called, unit


@unit
def free(here, s, i, slot):
    """Give a slot back, and find it work."""
    w = world_at(here, 0)
    instance = instance_at(w.instances, i)
    put_number(instance.idle, slot - instance.first_slot)
    instance.idle_count += 1
    start_next(w.here, s, i)
    ask(w.here, s, i)


@unit
def stop(here, s, number):
    """Take a message out of its slot, and find the slot other work."""
    w = world_at(here, 0)
    lease = lease_at(w.leases, number)
    i, slot, was_running = lease.instance, lease.slot, lease.is_in == RUNNING
    interrupt_run(w, number, lease)
    let_go(w, number, lease)
    release_lease(w.here, number)
    if was_running:
        free(w.here, s, i, slot)
    else:
        ask(w.here, s, i)


@called
def preempt(w, s, stage, number):
    """Put a running message back in its place in line, with what is left of its service."""
    lease = lease_at(w.leases, number)
    m, row = lease.message, row_at(w.rows, lease.row)
    message = message_at(w.messages, m)
    job, attempt = int(row.job), int(row.attempt)
    if math.isnan(message.left_s):
        message.left_s = duration_s(w, s, SERVICE, attempt, job)
    message.left_s = max(0.0, message.left_s - (w.now - lease.started_s))
    close(w, lease.row, PREEMPTED)
    lease.is_open = 0
    message.row = new_row(w, job, s, attempt, w.now, 0.0)
    w.open_rows += 1
    push(w, s, stage, m, YES)
    stop(w.here, s, number)


@called
def make_way(w, s, stage, m):
    """Interrupt the least important run for a more important message, if no slot is idle."""
    instance = instance_at(w.instances, stage.first_instance)
    if instance.idle_count:
        return
    victim, highest, latest_s = NONE, 0.0, 0.0
    number = instance.running_first
    while number >= 0:
        lease = lease_at(w.leases, number)
        if math.isnan(lease.ended_s):
            its = rank(w, s, stage, lease.message)
            if victim < 0 or its > highest or (its == highest and lease.started_s > latest_s):
                victim, highest, latest_s = number, its, lease.started_s
        number = lease.next
    if victim >= 0 and highest > rank(w, s, stage, m):
        preempt(w, s, stage, victim)


@unit
def enqueue(here, s, m, to_head):
    """Put a message in line, and see whether somebody can take it."""
    w = world_at(here, 0)
    stage = stage_at(w.stages, s)
    message = message_at(w.messages, m)
    if stage.has_shed:
        if stage.live == 0:
            stage.empty_s = w.now
        is_standing = stage.empty_s < w.now - stage.shed_interval_s
        message.longest_wait_s = stage.shed_target_s if is_standing else stage.shed_interval_s
    push(w, s, stage, m, to_head)
    if stage.order == PREEMPTIVE:
        make_way(w, s, stage, m)
    if stage.wakes:
        at_once(w, E_WOKEN | (s | stage.woken << 16) << 8)
        stage.woken += 1
    match(w.here, s, NONE)


@unit
def publish(here, s, m):
    """Put a new message where it belongs: in the queue, or with the poller until it is due."""
    w = world_at(here, 0)
    stage = stage_at(w.stages, s)
    message = message_at(w.messages, m)
    if stage.has_patience:
        message.patience_wait = urgently(w, E_PATIENCE | m << 8)
    if stage.kept and message.due_s > w.now:
        stage.entries += 1
        if stage.kept_count == stage.kept_room:
            stage.kept_count += is_full(w)
        put_event(stage.kept, stage.kept_count, message.due_s, stage.entries, m)
        stage.kept_count += 1
        message.entries += 1
    else:
        enqueue(w.here, s, m, NO)


@called
def bury(w, s, m):
    """Make a message a dead letter."""
    message_at(w.messages, m).is_deleted = 1
    settle(w.here, s, m, DEAD)
    match(w.here, s, NONE)


@called
def deliver_again(w, s, stage, m, to_head):
    """Put a message that is not done back in the queue, or bury it."""
    message = message_at(w.messages, m)
    if stage.dead_on_return and message.deliveries == stage.max_deliveries:
        bury(w, s, m)
        return
    job = trip_at(w.trips, message.trip).job
    message.row = open_row(w, job, s, max(w.now, message.due_s), 0.0)
    if w.gave_up:
        return
    w.open_rows += 1
    enqueue(w.here, s, m, to_head)


@unit
def put_back(here, s, number):
    """Put a message back in the queue that is the holder's own or still lent to it."""
    w = world_at(here, 0)
    stage = stage_at(w.stages, s)
    lease = lease_at(w.leases, number)
    m = lease.message
    message = message_at(w.messages, m)
    is_own = message.is_deleted and not message.is_settled and message.lease == number
    if lease.is_open:
        end_lease(w, stage, lease)
    elif not is_own:
        return  # its time was up, and the broker has given it back already
    message.is_deleted = 0
    deliver_again(w, s, stage, m, stage.requeue_head)


@unit
def give_back(here, s, number):
    """End a lease that has run out, if it has not ended before."""
    w = world_at(here, 0)
    stage = stage_at(w.stages, s)
    lease = lease_at(w.leases, number)
    if lease.is_open:
        end_lease(w, stage, lease)
        m = lease.message
        if message_at(w.messages, m).is_deleted:
            match(w.here, s, NONE)
        else:
            deliver_again(w, s, stage, m, stage.give_back_head)


@unit
def withdraw(here, s, m, outcome):
    """Take a message back wherever it is; nobody waits for its answer any more."""
    w = world_at(here, 0)
    stage = stage_at(w.stages, s)
    message = message_at(w.messages, m)
    if message.is_settled:
        return
    message.is_settled = message.is_deleted = 1
    leave_place(w, stage)
    number, was_queued = message.lease, message.is_queued
    if was_queued:
        unqueue(w, stage, m)
    is_alive = False
    if number >= 0:
        lease = lease_at(w.leases, number)
        is_alive = lease.is_alive != 0
        if lease.is_open:
            end_lease(w, stage, lease)
    if was_queued or number < 0 or is_alive:
        close(w, message.row, outcome)
    if is_alive and not was_queued:
        stop(w.here, s, number)
    match(w.here, s, NONE)
