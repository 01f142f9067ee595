"""From the queue to a slot, and what comes of it: the same steps as in ``simpy_engine``.

``match`` brings messages and instances together, and whatever it starts asks for a match again; in
SimPy's engine a flag sends the inner one back at once.  Compiled functions cannot call each other in
a ring, so what may ask for a match is built twice: for use within a match, where asking only stands
in line, and for use everywhere else.
"""

from __future__ import annotations

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.events import take_number
from toolkit.simulation.compiled_engine.full.fetching import (
    choose,
    has_no_token,
    lend,
    line_up,
    next_in_line,
    room,
    waits_for_token,
)
from toolkit.simulation.compiled_engine.full.moments import at_once, urgently
from toolkit.simulation.compiled_engine.full.queue import (
    HELD,
    IN_BUFFER,
    RUNNING,
    append,
    pop,
    release_lease,
    remove,
    unqueue,
)
from toolkit.simulation.compiled_engine.full.words import close, end_lease, let_go, settle, uncount
from toolkit.simulation.compiled_engine.full.world import (
    ABANDONED,
    BY_ALWAYS,
    BY_DELIVERY,
    BY_SERIES,
    CANCELLED,
    E_HOLD,
    E_POLL,
    E_RUN,
    NONE,
    ON_FETCH,
    ON_START,
    POLL,
    POLL_WAITS_FOR_ROOM,
    PUSH,
    REJECTED,
    RUN_STARTS,
    TURNED_AWAY,
    YES,
    bucket_at,
    instance_at,
    lease_at,
    message_at,
    stage_at,
    trip_at,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import (
    answering_unit,
    called,
    unit,
    write_int,
)
from toolkit.simulation.compiled_engine.rules import admits


@called
def give_slot(w, i, number):
    """Give a message the free slot of the lowest number."""
    instance, lease = instance_at(w.instances, i), lease_at(w.leases, number)
    slot = instance.first_slot + take_number(instance.idle)
    instance.idle_count -= 1
    append(w, i, number, RUNNING)
    lease.slot, lease.started_s = slot, w.now
    row = row_at(w.rows, lease.row)
    row.started_s, row.worker = w.now, slot


def with_match(seek):
    """Return what may ask for a match, with that match."""

    @called
    def acknowledge_(w, s, stage, number):
        """Delete a message on its holder's word, if that still counts."""
        lease = lease_at(w.leases, number)
        message = message_at(w.messages, lease.message)
        uncount(w, lease)
        if lease.is_open:
            end_lease(w, stage, lease)
            message.is_deleted = 1
            seek(w.here, s, NONE)
        elif stage.has_visibility and not message.is_deleted:
            is_latest = stage.receipt == BY_DELIVERY and message.lease == number
            if is_latest or stage.receipt in (BY_SERIES, BY_ALWAYS):
                message.is_deleted = 1
                if message.is_queued and stage.receipt != BY_SERIES:
                    unqueue(w, stage, lease.message)
                    close(w, message.row, CANCELLED)

    @called
    def ask_(w, s, stage, i):
        """Ask for more if there is room."""
        instance = instance_at(w.instances, i)
        if stage.fetch == POLL and not instance.freed:
            instance.freed = 1
            if instance.poll_state == POLL_WAITS_FOR_ROOM:
                instance.poll_wait = at_once(w, E_POLL | i << 8)
        seek(w.here, s, i)

    @called
    def is_dropped(w, s, stage, number):
        """Let go of a message that is too late to start; say whether it was."""
        lease = lease_at(w.leases, number)
        m = lease.message
        message = message_at(w.messages, m)
        is_expired = trip_at(w.trips, message.trip).deadline_s < w.now
        waited_s = w.now - row_at(w.rows, message.row).queued_s
        if not is_expired and waited_s <= message.longest_wait_s:
            return False
        close(w, lease.row, CANCELLED if is_expired else TURNED_AWAY)
        let_go(w, number, lease)
        acknowledge_(w, s, stage, number)
        settle(w.here, s, m, ABANDONED if is_expired else REJECTED)
        release_lease(w.here, number)
        return True

    @called
    def start_next_(w, s, stage, i):
        """Start what can be started."""
        instance = instance_at(w.instances, i)
        has_started = False
        while (
            instance.buffer_count
            and instance.idle_count
            and stage.outages == 0
            and not waits_for_token(w, instance, i)
        ):
            number = instance.buffer_first
            remove(w, i, number)
            if not is_dropped(w, s, stage, number):
                give_slot(w, i, number)
                if stage.ack == ON_START:
                    acknowledge_(w, s, stage, number)
                lease = lease_at(w.leases, number)
                lease.run = RUN_STARTS
                lease.run_wait = urgently(w, E_RUN | number << 8)
            has_started = True
        if has_started:
            ask_(w, s, stage, i)

    @called
    def receive(w, s, stage, number):
        """Take a message into memory."""
        lease = lease_at(w.leases, number)
        i = lease.instance
        instance_at(w.instances, i).unacked += 1
        if stage.ack == ON_FETCH:
            acknowledge_(w, s, stage, number)
        if message_at(w.messages, lease.message).due_s > w.now:
            append(w, i, number, HELD)
            lease.hold_wait = urgently(w, E_HOLD | number << 8)
        else:
            append(w, i, number, IN_BUFFER)
            start_next_(w, s, stage, i)

    @called
    def take_(w, s, stage, i, most):
        """Lend an instance up to ``most`` messages, as it has room; return how many it got."""
        first = last = NONE
        count, most_now = 0, min(most, room(stage, instance_at(w.instances, i)))
        while count < most_now and stage.live and not has_no_token(w, s, stage):
            m = pop(w, stage, first)
            if m < 0:
                break
            bucket = bucket_at(stage.queue_bucket, 0)
            if bucket.kind:
                admits(bucket, w.now)
            number = lend(w, s, stage, m, i)
            if number >= 0:
                if last >= 0:
                    lease_at(w.leases, last).next = number
                else:
                    first = number
                last = number
                count += 1
        number = first
        while number >= 0:
            follower = lease_at(w.leases, number).next
            lease_at(w.leases, number).next = NONE
            receive(w, s, stage, number)
            number = follower
        return count

    return acknowledge_, ask_, start_next_, take_


@called
def match_within(here, s, i):
    """Ask for a match during a match: stand in line, and the match under way will see to it."""
    if i >= 0:
        w = world_at(here, 0)
        line_up(w, stage_at(w.stages, s), i)


_, _, _, take_within = with_match(match_within)


@called
def deliver(w, s, stage):
    """Give one instance what it may take; say whether anything moved."""
    if stage.live == 0 or stage.fetch == POLL or (stage.outages and stage.prefetch == 0):
        return False
    if stage.fetch == PUSH:
        i = choose(w, stage)
        return i >= 0 and take_within(w, s, stage, i, YES) > 0
    i = next_in_line(w, stage)
    if i < 0:
        return False
    moved = take_within(w, s, stage, i, stage.batch) > 0
    if not moved:
        instance_at(w.instances, i).asks += 1
        stage.line_first = (stage.line_first - 1) & stage.line_mask
        stage.line_count += 1
        write_int(stage.line, stage.line_first, i)
    line_up(w, stage, i)
    return moved


@unit
def match(here, s, i):
    """Bring messages and instances together, as long as there are both."""
    w = world_at(here, 0)
    stage = stage_at(w.stages, s)
    if i >= 0:
        line_up(w, stage, i)
    while deliver(w, s, stage):
        pass


_acknowledge, _ask, _start_next, _take = with_match(match)


@unit
def acknowledge(here, s, number):
    """Delete a message on its holder's word, if that still counts."""
    w = world_at(here, 0)
    _acknowledge(w, s, stage_at(w.stages, s), number)


@unit
def ask(here, s, i):
    """Ask for more if there is room."""
    w = world_at(here, 0)
    _ask(w, s, stage_at(w.stages, s), i)


@unit
def start_next(here, s, i):
    """Start what can be started."""
    w = world_at(here, 0)
    _start_next(w, s, stage_at(w.stages, s), i)


@answering_unit
def take(here, s, i, most):
    """Lend an instance up to ``most`` messages, as it has room; return how many it got."""
    w = world_at(here, 0)
    return _take(w, s, stage_at(w.stages, s), i, most)
