"""Runs, leases in time, and death: what happens to messages once an instance has them."""

from __future__ import annotations

import math

from toolkit.simulation.compiled_engine.columns import row_at
from toolkit.simulation.compiled_engine.events import drop_first, event_at
from toolkit.simulation.compiled_engine.full_delivery import (
    acknowledge,
    ask,
    close,
    end_lease,
    enqueue,
    free,
    give_back,
    interrupt_run,
    let_go,
    put_back,
    settle,
    start_next,
    take,
    wanted,
    withdraw,
)
from toolkit.simulation.compiled_engine.full_queue import (
    HELD,
    IN_BUFFER,
    append,
    next_luck,
    release_lease,
    release_message,
    remove,
)
from toolkit.simulation.compiled_engine.full_world import (
    ABANDONED,
    C_CRASH,
    C_MOVED,
    C_REPLACE,
    CANCELLED,
    CRASHED,
    DEAD,
    DONE,
    DUPLICATE,
    E_CHORE,
    E_HOLD,
    E_LOOK,
    E_LOOK_START,
    E_MOVED_ON,
    E_NOTICE,
    E_NOTICED,
    E_PATIENCE,
    E_POLL,
    E_POLL_HEARD,
    E_POLL_START,
    E_RUN,
    E_RUN_OVER,
    E_TRIP,
    E_WATCH,
    E_WIND_HEARD,
    E_WIND_TIME,
    FAILED,
    FAILURE,
    LEFT,
    LOST,
    NEVER,
    NO,
    NO_POLL,
    NONE,
    OK,
    PATIENCE,
    POISON,
    POLL,
    POLL_GOES_ON,
    POLL_HEARS,
    POLL_SLEEPS,
    POLL_STARTS,
    POLL_WAITS_FOR_ROOM,
    REQUEUE_IT,
    RETRY_DEAD,
    RETRY_IT,
    RETURN_IT,
    RUN_ENDS,
    RUN_MOVES_ON,
    RUN_OVER,
    RUN_STARTS,
    SERVICE,
    YES,
    at_once,
    chore_at,
    duration_s,
    end_chore,
    instance_at,
    is_over,
    later,
    lease_at,
    message_at,
    new_chore,
    stage_at,
    trip_at,
    uniform,
    urgently,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import called, unit, write_short

# --- a run ---


@called
def verdict(w, t):
    """Return what a good end of a call is worth: OK, or LATE or DUPLICATE if it is unwanted."""
    while t >= 0:
        trip = trip_at(w.trips, t)
        if trip.unwanted != OK:
            return trip.unwanted
        t = trip.parent
    return OK


@called
def close_served(w, s, stage, row, t):
    """Write down the end of a service, and say whether it worked."""
    row.ended_s = w.now
    if stage.failure > 0 and uniform(w, s, FAILURE, int(row.attempt), int(row.job)) < stage.failure:
        row.outcome = FAILED
        return False
    row.outcome = verdict(w, t)
    return True


@called
def finish(w, s, stage, number):
    """Take note of a run that came to its end."""
    lease = lease_at(w.leases, number)
    m = lease.message
    message, row = message_at(w.messages, m), row_at(w.rows, lease.row)
    trip = trip_at(w.trips, message.trip)
    worked = close_served(w, s, stage, row, message.trip)
    w.open_rows -= 1
    if row.outcome == OK and message.is_settled:
        row.outcome = DUPLICATE
    if worked and stage.holds and not message.is_settled:
        trip.moved_on = new_chore(w, C_MOVED, NO)
    if worked or message.is_settled:
        acknowledge(w.here, s, number)
        settle(w.here, s, m, DONE)
    elif stage.on_failure == RETRY_IT:
        if lease.is_open or message.is_deleted:  # else another copy of it decides
            acknowledge(w.here, s, number)
            settle(w.here, s, m, DEAD)
    elif stage.on_failure == RETURN_IT and lease.is_open:
        put_back(w.here, s, number)


@called
def run_is_over(w, number, lease):
    """End a run; an instance that winds down hears of it."""
    lease.run, lease.run_wait = RUN_OVER, NONE
    if instance_at(w.instances, lease.instance).winds:
        at_once(w, E_RUN_OVER | lease.instance << 8)
    release_lease(w.here, number)


@called
def leave_slot(w, s, number, lease):
    """Give a run's slot back."""
    lease.run = RUN_OVER
    slot, i = lease.slot, lease.instance
    let_go(w, number, lease)
    free(w.here, s, i, slot)


@called
def wait_to_move(w, chore, number):
    """Put a run at the end of those who wait for the same job to move on."""
    record = chore_at(w.chores, chore)
    lease_at(w.leases, number).after = NONE
    lease_at(w.leases, number).pins += 1
    if record.lease < 0:
        record.lease = number
        return
    last = record.lease
    while lease_at(w.leases, last).after >= 0:
        last = lease_at(w.leases, last).after
    lease_at(w.leases, last).after = number


@called
def lose_slot(w, number, lease, restart_s):
    """Lose the process of one slot; the instance itself sees it, and lives."""
    slot, is_under_way = lease.slot, math.isnan(row_at(w.rows, lease.row).ended_s)
    if is_under_way:  # else it is done, and waits for a place in the next stage
        close(w, lease.row, CRASHED)
    let_go(w, number, lease)
    chore = new_chore(w, C_REPLACE, lease.instance)
    record = chore_at(w.chores, chore)
    record.slot, record.restart_s = slot, restart_s
    if is_under_way:
        lease.pins += 1
        record.lease = number
    else:
        release_lease(w.here, number)
    urgently(w, E_CHORE | chore << 8)


@called
def die_of(w, stage, number, lease):
    """Let a poison job kill its slot or the whole instance."""
    if stage.poison_kills_slot:
        lose_slot(w, number, lease, 0.0)
    else:
        chore = new_chore(w, C_CRASH, lease.instance)
        record = chore_at(w.chores, chore)
        record.at_s, record.grace_s, record.slot = 0.0, math.nan, NONE
        record.restart_s = stage.restart_s
        urgently(w, E_CHORE | chore << 8)


@called
def end_run(w, s, stage, number, lease):
    """End a run's service."""
    lease.ended_s = w.now
    row = row_at(w.rows, lease.row)
    if stage.poison > 0 and uniform(w, s, POISON, YES, int(row.job)) < stage.poison:
        lease.run = RUN_OVER
        die_of(w, stage, number, lease)
        return
    lease.is_alive = 0
    finish(w, s, stage, number)
    moved_on = trip_at(w.trips, message_at(w.messages, lease.message).trip).moved_on
    if moved_on >= 0:  # the worker waits with its job for a place in the next stage
        lease.run, lease.run_wait = RUN_MOVES_ON, NEVER
        wait_to_move(w, moved_on, number)
    else:
        leave_slot(w, s, number, lease)


@unit
def run_comes(here, number, order):
    """Start a run's service, or end it, or let it move on."""
    w = world_at(here, 0)
    lease = lease_at(w.leases, number)
    if not lease.is_used or lease.run_wait != order:
        return
    i = lease.instance
    s = instance_at(w.instances, i).stage
    stage = stage_at(w.stages, s)
    if lease.run == RUN_STARTS:
        left_s = message_at(w.messages, lease.message).left_s
        if math.isnan(left_s):
            row = row_at(w.rows, lease.row)
            left_s = duration_s(w, s, SERVICE, int(row.attempt), int(row.job))
        lease.run = RUN_ENDS
        lease.run_wait = later(w, left_s, E_RUN | number << 8)
        return
    w.active = number
    lease.pins += 1
    if lease.run == RUN_ENDS:
        end_run(w, s, stage, number, lease)
    if lease.run == RUN_MOVES_ON and lease.run_wait == order:
        leave_slot(w, s, number, lease)
    lease.pins -= 1
    w.active = NONE
    if lease.run == RUN_OVER:
        run_is_over(w, number, lease)


@called
def move_on(w, trip):
    """Let go of the worker of the stage before."""
    if trip.moved_on >= 0:
        at_once(w, E_MOVED_ON | trip.moved_on << 8)
        trip.moved_on = NONE


@unit
def all_move_on(here, chore, order):
    """Let those go on whose job has moved on."""
    w = world_at(here, 0)
    number = chore_at(w.chores, chore).lease
    end_chore(w, chore)
    while number >= 0:
        lease = lease_at(w.leases, number)
        follower = lease.after
        if lease.run == RUN_MOVES_ON:
            lease.run_wait = order
            run_comes(w.here, number, order)
        lease.pins -= 1
        release_lease(w.here, number)
        number = follower


@unit
def run_interrupted(here, number):
    """End a run that somebody has interrupted; whoever did has seen to everything."""
    w = world_at(here, 0)
    lease = lease_at(w.leases, number)
    if lease.run != RUN_OVER:
        run_is_over(w, number, lease)


# --- a lease in time ---


@called
def lease_end_s(w, stage, lease):
    """Return when a lease ends, as things stand."""
    since_s = lease.given_s if stage.renews_held else lease.started_s
    if math.isnan(stage.renew_every_s) or math.isnan(since_s):
        return lease.given_s + stage.timeout_s
    until_s = w.now if math.isnan(lease.ended_s) else lease.ended_s
    until_s = min(until_s, since_s + stage.renew_for_s)
    renewals = math.floor((until_s - since_s) / stage.renew_every_s)
    renewed_s = since_s + renewals * stage.renew_every_s if renewals else lease.given_s
    return renewed_s + stage.timeout_s


@called
def any_is_up(w, stage):
    """Say whether some instance of the stage is up."""
    for k in range(stage.instances):
        if instance_at(w.instances, stage.first_instance + k).is_up:
            return True
    return False


@called
def await_sweep(w, stage, number, lease):
    """Wait for the next sweep."""
    at_s = stage.sweep_first_s + lease.sweep * stage.sweep_every_s
    lease.watch_wait = later(w, max(0.0, at_s - w.now), E_WATCH | number << 8)


@unit
def watch_comes(here, number, order):
    """Look after a lease: wait until its time is up, then for a sweep if that is the way."""
    w = world_at(here, 0)
    lease = lease_at(w.leases, number)
    if not lease.is_used or lease.watch_wait != order:
        return
    s = instance_at(w.instances, lease.instance).stage
    stage = stage_at(w.stages, s)
    if lease.sweep < 0:
        if lease.is_open:
            left_s = lease_end_s(w, stage, lease) - w.now
            if left_s > 0:
                lease.watch_wait = later(w, left_s, E_WATCH | number << 8)
                return
        if lease.is_open and not math.isnan(stage.sweep_every_s):
            lease.pins += 1
            since_s = (w.now - stage.sweep_first_s) / stage.sweep_every_s
            lease.sweep = max(0, math.ceil(since_s))
            await_sweep(w, stage, number, lease)
            return
    else:
        if not any_is_up(w, stage):
            if stage.away == 0:
                lease.watch_wait = NONE  # nobody is left, and nobody will come back
                return
            lease.sweep += 1
            await_sweep(w, stage, number, lease)
            return
        lease.pins -= 1
        lease.sweep = NONE
    lease.watch_wait = NONE
    lease.pins += 1
    give_back(w.here, s, number)
    lease.pins -= 1
    release_lease(w.here, number)


@unit
def hold_comes(here, number, order):
    """Keep a message until it is due."""
    w = world_at(here, 0)
    lease = lease_at(w.leases, number)
    if not lease.is_used or lease.hold_wait != order:
        return
    left_s = message_at(w.messages, lease.message).due_s - w.now
    if left_s > 0:
        lease.hold_wait = later(w, left_s, E_HOLD | number << 8)
        return
    lease.hold_wait = NONE
    if lease.is_in == HELD:
        i = lease.instance
        s = instance_at(w.instances, i).stage
        remove(w, i, number)
        append(w, i, number, IN_BUFFER)
        start_next(w.here, s, i)


@unit
def patience_comes(here, m, order):
    """Let a job leave if it still waits long after it was due."""
    w = world_at(here, 0)
    message = message_at(w.messages, m)
    if message.patience_wait != order:
        return
    row = row_at(w.rows, message.row)
    s = int(row.stage)
    if not message.is_patient:
        message.is_patient = 1
        patience_s = duration_s(w, s, PATIENCE, int(row.attempt), int(row.job))
        wait_s = max(0.0, message.due_s - w.now) + patience_s
        message.patience_wait = later(w, wait_s, E_PATIENCE | m << 8)
        return
    message.patience_wait = NONE
    number = message.lease
    has_started = number >= 0 and not math.isnan(lease_at(w.leases, number).started_s)
    if not message.is_settled and not has_started:
        withdraw(w.here, s, m, LEFT)
        message.answer = ABANDONED
        trip_at(w.trips, message.trip).wait = at_once(w, E_TRIP | message.trip << 8)


# --- death ---


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
        write_short(instance.idle, k, instance.first_slot + k)
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
def die(w, s, stage, i, hands_back):
    """Lose all that is in memory and in the slots."""
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


@unit
def crash_comes(here, chore):
    """Take a planned death a step further: its time, the end of a grace, the return."""
    w = world_at(here, 0)
    record = chore_at(w.chores, chore)
    i = record.number
    instance = instance_at(w.instances, i)
    s = instance.stage
    stage = stage_at(w.stages, s)
    has_grace = not math.isnan(record.grace_s)
    if record.step == 0:  # planned
        record.step = 1
        later(w, record.at_s, E_CHORE | chore << 8)
        return
    if record.step == 1:
        if not instance.is_up or (instance.is_stopping and has_grace):
            end_chore(w, chore)
            return
        if record.slot >= 0:
            restart_s = 0.0 if math.isnan(record.restart_s) else record.restart_s
            slot_crashes(w, i, instance.first_slot + record.slot, restart_s)
            end_chore(w, chore)
            return
        if instance.is_stopping:
            die(w, s, stage, i, NO)  # the plan of the stop says when it is back
            end_chore(w, chore)
            return
        if has_grace:
            instance.is_stopping = 1
            hand_back_unstarted(w, s, i)
            record.at_s, record.step = w.now + record.grace_s, 2
            if winds_on(w, i, chore, record):
                return
        record.step = 2
    elif record.step == 2 and winds_on(w, i, chore, record):
        return
    if record.step == 2:
        if instance.is_up:
            die(w, s, stage, i, int(has_grace))
        if math.isnan(record.restart_s):
            end_chore(w, chore)
            return
        stage.away += 1
        record.step = 3
        later(w, record.restart_s, E_CHORE | chore << 8)
        return
    stage.away -= 1
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


# --- polls ---


@called
def poll_on(w, i):
    """Take an instance's polling on: look, and sleep or wait for room."""
    instance = instance_at(w.instances, i)
    s = instance.stage
    stage = stage_at(w.stages, s)
    instance.poll_state = POLL_GOES_ON
    while True:
        if instance.life != instance.poll_life or is_over(w):
            instance.poll_state, instance.poll_wait = NO_POLL, NONE
            return
        if wanted(stage, instance) == 0:
            instance.freed = 0
            instance.poll_state = POLL_WAITS_FOR_ROOM
            instance.poll_wait = NONE
            return
        if take(w.here, s, i, stage.batch) == 0:
            instance.poll_state = POLL_SLEEPS
            instance.poll_wait = later(w, stage.every_s, E_POLL | i << 8)
            instance.woken = stage.woken
            instance.subscribed = stage.subscribed
            stage.subscribed += 1
            return


@unit
def poll_comes(here, i, order):
    """Start polling, or wake up from a sleep."""
    w = world_at(here, 0)
    instance = instance_at(w.instances, i)
    if instance.poll_wait != order:
        return
    stage = stage_at(w.stages, instance.stage)
    if instance.poll_state == POLL_STARTS:
        instance.poll_life = instance.life
        instance.poll_state = POLL_GOES_ON
        luck = next_luck(w, instance.seed, instance.draws)
        instance.draws += 1
        instance.poll_wait = later(w, luck * stage.every_s, E_POLL | i << 8)
    elif instance.poll_state == POLL_SLEEPS and stage.wakes:
        instance.poll_state = POLL_HEARS
        instance.poll_wait = at_once(w, E_POLL_HEARD | i << 8)
    else:
        poll_on(w, i)


@unit
def woken_comes(here, s, woken):
    """Wake those who sleep until a message comes, in the order in which they went to sleep."""
    w = world_at(here, 0)
    stage = stage_at(w.stages, s)
    while True:
        chosen = NONE
        for k in range(stage.instances):
            instance = instance_at(w.instances, stage.first_instance + k)
            sleeps = instance.poll_state == POLL_SLEEPS and instance.woken == woken
            if sleeps and (
                chosen < 0 or instance.subscribed < instance_at(w.instances, chosen).subscribed
            ):
                chosen = stage.first_instance + k
        if chosen < 0:
            return
        instance = instance_at(w.instances, chosen)
        instance.poll_state = POLL_HEARS
        instance.poll_wait = at_once(w, E_POLL_HEARD | chosen << 8)


@unit
def look_comes(here, i, starts):
    """Release all that is due, and sleep again, as long as the instance lives."""
    w = world_at(here, 0)
    instance = instance_at(w.instances, i)
    s = instance.stage
    stage = stage_at(w.stages, s)
    low_s, high_s = stage.low_s, stage.high_s
    if starts:
        low_s, high_s = stage.first_low_s, stage.first_high_s
    else:
        while stage.kept_count and event_at(stage.kept, 0).at_s <= w.now:
            m = event_at(stage.kept, 0).what
            drop_first(stage.kept, stage.kept_count)
            stage.kept_count -= 1
            message_at(w.messages, m).entries -= 1
            if not message_at(w.messages, m).is_deleted:
                enqueue(w.here, s, m, NO)
            else:
                release_message(w.here, m)
    luck = next_luck(w, instance.seed, instance.draws)
    instance.draws += 1
    at_s = low_s + luck * (high_s - low_s)
    later(w, at_s, E_LOOK | (i | instance.life << 24) << 8)
