"""Death, and stops with grace: what becomes of all that an instance or a slot had."""

from __future__ import annotations

import math

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.events import put_number
from toolkit.simulation.compiled_engine.full.matching import acknowledge, ask
from toolkit.simulation.compiled_engine.full.moments import at_once, end_chore, later, urgently
from toolkit.simulation.compiled_engine.full.queue import release_lease
from toolkit.simulation.compiled_engine.full.returning import free, give_back, put_back
from toolkit.simulation.compiled_engine.full.runs import lose_slot
from toolkit.simulation.compiled_engine.full.words import (
    close,
    end_lease,
    interrupt_run,
    let_go,
    settle,
)
from toolkit.simulation.compiled_engine.full.world import (
    CANCELLED,
    CRASHED,
    DEAD,
    E_CHORE,
    E_LOOK_START,
    E_NOTICE,
    E_NOTICED,
    E_POLL_START,
    E_WIND_HEARD,
    E_WIND_TIME,
    LOST,
    NO,
    NO_POLL,
    NONE,
    POLL,
    POLL_STARTS,
    REQUEUE_IT,
    RETRY_DEAD,
    chore_at,
    instance_at,
    lease_at,
    message_at,
    numbers,
    stage_at,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import called, unit

PLANNED, STRIKES, GOES, RETURNS = numbers(4)  # steps of a planned death


@called
def lose(w, s, number):
    """Lose the job, if this was the last copy of its message."""
    m = lease_at(w.leases, number).message
    message = message_at(w.messages, m)
    if message.is_deleted and message.lease == number:
        settle(w.here, s, m, LOST)


@called
def holder_died(w, s, stage, number):
    """Decide what becomes of a message whose holder died."""
    lease = lease_at(w.leases, number)
    if not lease.is_open:
        lose(w, s, number)
    elif not math.isnan(stage.disconnect_s):
        lease.pins += 1
        urgently(w, E_NOTICE | number << 8)
    elif not stage.has_visibility:
        end_lease(w, stage, lease)
        message_at(w.messages, lease.message).is_deleted = 1
        lose(w, s, number)


@unit
def notice_comes(here, number, is_noticed):
    """Give back what a dead connection held, after a while."""
    w = world_at(here, 0)
    lease = lease_at(w.leases, number)
    s = instance_at(w.instances, lease.instance).stage
    stage = stage_at(w.stages, s)
    if not is_noticed:
        later(w, stage.disconnect_s, E_NOTICED | number << 8)
        return
    give_back(w.here, s, number)
    lease.pins -= 1
    release_lease(w.here, number)


@called
def slot_died(w, s, stage, number):
    """Decide what becomes of a message whose slot died while its instance lives."""
    lease = lease_at(w.leases, number)
    if not lease.is_open:
        lose(w, s, number)
    elif stage.slot_crash == REQUEUE_IT:
        put_back(w.here, s, number)
    else:
        m = lease.message
        acknowledge(w.here, s, number)
        settle(w.here, s, m, DEAD if stage.slot_crash == RETRY_DEAD else LOST)


@unit
def replace_slot(here, chore):
    """Notice the death of a slot, and start a new process for it."""
    w = world_at(here, 0)
    record = chore_at(w.chores, chore)
    i, number, slot = record.number, record.lease, record.slot
    instance = instance_at(w.instances, i)
    s = instance.stage
    stage = stage_at(w.stages, s)
    if record.step == 0:
        record.step, record.life = 1, instance.life
        if record.restart_s > 0:
            later(w, record.restart_s, E_CHORE | chore << 8)
            return
    is_same_life = instance.life == record.life
    end_chore(w, chore)
    if number >= 0:
        if is_same_life:
            slot_died(w, s, stage, number)
        else:
            holder_died(w, s, stage, number)
        lease_at(w.leases, number).pins -= 1
        release_lease(w.here, number)
    if is_same_life:
        free(w.here, s, i, slot)


@unit
def start_instance(here, i):
    """Come up with empty hands."""
    w = world_at(here, 0)
    instance = instance_at(w.instances, i)
    stage = stage_at(w.stages, instance.stage)
    instance.is_up, instance.is_stopping, instance.unacked, instance.winds = 1, 0, 0, 0
    instance.idle_count = stage.slots
    for k in range(stage.slots):
        put_number(instance.idle, k)
    instance.buffer_first = instance.buffer_last = NONE
    instance.held_first = instance.held_last = NONE
    instance.running_first = instance.running_last = NONE
    instance.buffer_count = instance.held_count = instance.running_count = 0
    instance.next_start_s, instance.freed = 0.0, 0
    instance.life += 1
    instance.poll_state, instance.poll_wait = NO_POLL, NONE
    if stage.fetch == POLL:
        instance.poll_state = POLL_STARTS
        instance.poll_wait = urgently(w, E_POLL_START | i << 8)
    if stage.kept:
        urgently(w, E_LOOK_START | i << 8)


@called
def end_here(w, number, outcome):
    """Close the row of a message that goes no further here."""
    lease = lease_at(w.leases, number)
    lease.ended_s = w.now
    if math.isnan(row_at(w.rows, lease.row).ended_s):
        close(w, lease.row, outcome)
    let_go(w, number, lease)


@called
def all_of(w, first, chain):
    """Add a list of leases to a chain of those that die together; return where the chain begins."""
    number, head, last = first, chain, NONE
    if chain >= 0:
        last = chain
        while lease_at(w.leases, last).mourned >= 0:
            last = lease_at(w.leases, last).mourned
    while number >= 0:
        lease = lease_at(w.leases, number)
        lease.mourned = NONE
        lease.pins += 1
        if last >= 0:
            lease_at(w.leases, last).mourned = number
        else:
            head = number
        last, number = number, lease.next
    return head


@called
def die(w, s, i, hands_back):
    """Lose all that is in memory and in the slots."""
    stage = stage_at(w.stages, s)
    instance = instance_at(w.instances, i)
    chain = all_of(w, instance.running_first, NONE)
    chain = all_of(w, instance.buffer_first, chain)
    chain = all_of(w, instance.held_first, chain)
    number = chain
    while number >= 0:
        lease = lease_at(w.leases, number)
        interrupt_run(w, number, lease)
        end_here(w, number, CRASHED)
        number = lease.mourned
    instance.is_up = 0
    instance.life += 1
    number = chain
    while number >= 0:
        lease = lease_at(w.leases, number)
        follower = lease.mourned
        if hands_back:
            put_back(w.here, s, number)
        else:
            holder_died(w, s, stage, number)
        lease.pins -= 1
        release_lease(w.here, number)
        number = follower


@called
def hand_back_unstarted(w, s, i):
    """Hand back what has not started."""
    instance = instance_at(w.instances, i)
    chain = all_of(w, instance.buffer_first, NONE)
    chain = all_of(w, instance.held_first, chain)
    number = chain
    while number >= 0:
        lease = lease_at(w.leases, number)
        follower = lease.mourned
        end_here(w, number, CANCELLED)
        put_back(w.here, s, number)
        lease.pins -= 1
        release_lease(w.here, number)
        number = follower


@called
def slot_crashes(w, i, slot, restart_s):
    """Let one slot die with what it runs."""
    number = instance_at(w.instances, i).running_first
    while number >= 0:
        lease = lease_at(w.leases, number)
        follower = lease.next
        if lease.slot == slot:
            interrupt_run(w, number, lease)
            lose_slot(w, number, lease, restart_s)
        number = follower


@called
def winds_on(w, i, chore, record):
    """Wait for the next run's end or the end of the grace; say whether there is anything to wait for."""
    instance = instance_at(w.instances, i)
    instance.winds = 0
    if instance.running_count == 0 or w.now >= record.at_s:
        return False
    instance.winds, instance.wind_chore = 1, chore
    instance.wind_wait = NONE
    if record.at_s < math.inf:
        instance.wind_wait = later(w, record.at_s - w.now, E_WIND_TIME | i << 8)
    return True


@called
def strikes(w, s, i, chore, record):
    """Let a planned death begin; say whether the instance is to go now."""
    instance = instance_at(w.instances, i)
    has_grace = not math.isnan(record.grace_s)
    if not instance.is_up or (instance.is_stopping and has_grace):
        end_chore(w, chore)
        return False
    if record.slot >= 0:
        restart_s = 0.0 if math.isnan(record.restart_s) else record.restart_s
        slot_crashes(w, i, instance.first_slot + record.slot, restart_s)
        end_chore(w, chore)
        return False
    if instance.is_stopping:
        die(w, s, i, NO)  # the plan of the stop says when it is back
        end_chore(w, chore)
        return False
    record.step = GOES
    if has_grace:
        instance.is_stopping = 1
        hand_back_unstarted(w, s, i)
        record.at_s = w.now + record.grace_s
        return not winds_on(w, i, chore, record)
    return True


@called
def goes(w, s, i, chore, record):
    """Let an instance go, and plan its return."""
    if instance_at(w.instances, i).is_up:
        die(w, s, i, int(not math.isnan(record.grace_s)))
    if math.isnan(record.restart_s):
        end_chore(w, chore)
        return
    stage_at(w.stages, s).away += 1
    record.step = RETURNS
    later(w, record.restart_s, E_CHORE | chore << 8)


@unit
def crash_comes(here, chore):
    """Take a planned death a step further: its time, the end of a grace, the return."""
    w = world_at(here, 0)
    record = chore_at(w.chores, chore)
    i, step = record.number, record.step
    s = instance_at(w.instances, i).stage
    if step == PLANNED:
        record.step = STRIKES
        later(w, record.at_s, E_CHORE | chore << 8)
    elif step == STRIKES:
        if strikes(w, s, i, chore, record):
            goes(w, s, i, chore, record)
    elif step == GOES:
        if not winds_on(w, i, chore, record):
            goes(w, s, i, chore, record)
    else:
        stage_at(w.stages, s).away -= 1
        end_chore(w, chore)
        start_instance(w.here, i)
        ask(w.here, s, i)


@unit
def wind_hears(here, i):
    """Tell an instance that winds down of a run's end, or of the end of its grace."""
    w = world_at(here, 0)
    instance = instance_at(w.instances, i)
    if instance.winds == 1:
        instance.winds = 2  # heard once is enough
        at_once(w, E_WIND_HEARD | instance.wind_chore << 8)
