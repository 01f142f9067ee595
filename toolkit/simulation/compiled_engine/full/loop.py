"""The loop for everything a design can say: messages, leases, instances that die, callers that give up.

One loop, a branch for each kind of event, in the order of ``events``.  What the branches do is in
``trips``, ``stages``, ``travels`` and ``callers`` (a call on its way), ``returning``, ``fetching`` and
``matching`` (from a queue to a slot), ``runs``, ``leases``, ``deaths`` and ``polls`` (what an instance
does), named as in ``simpy_engine``, which is the text to compare with.  ``short_way`` says once more,
in one piece, what becomes of most messages.
"""

from __future__ import annotations

import math

import numpy as np

from toolkit.simulation.compiled_engine.events import drop_first, event_at
from toolkit.simulation.compiled_engine.full.chores import chore_comes
from toolkit.simulation.compiled_engine.full.deaths import (
    crash_comes,
    notice_comes,
    start_instance,
    wind_hears,
)
from toolkit.simulation.compiled_engine.full.fetching import line_up
from toolkit.simulation.compiled_engine.full.leases import hold_comes, patience_comes, watch_comes
from toolkit.simulation.compiled_engine.full.moments import is_over, next_at_once, urgently
from toolkit.simulation.compiled_engine.full.polls import look_comes, poll_comes, woken_comes
from toolkit.simulation.compiled_engine.full.runs import all_move_on, run_comes, run_interrupted
from toolkit.simulation.compiled_engine.full.short_way import went_short
from toolkit.simulation.compiled_engine.full.stages import grant
from toolkit.simulation.compiled_engine.full.trips import (
    begin_life,
    plan_arrival,
    think,
    trip_is_over,
)
from toolkit.simulation.compiled_engine.full.wakes import (
    interrupted,
    set_out,
    time_out_comes,
    trip_comes,
    trip_hears,
)
from toolkit.simulation.compiled_engine.full.world import (
    BROKER,
    C_OUTAGE,
    CALLERS_TIME_OUT,
    E_ALARM,
    E_ARRIVE,
    E_CHORE,
    E_HEARD,
    E_HOLD,
    E_INTERRUPT,
    E_LOOK,
    E_LOOK_START,
    E_MOVED_ON,
    E_NOTICE,
    E_NOTICED,
    E_OVER,
    E_PATIENCE,
    E_POLL,
    E_POLL_HEARD,
    E_POLL_START,
    E_RELEASED,
    E_RUN,
    E_RUN_INTERRUPT,
    E_RUN_OVER,
    E_SOURCE,
    E_TIME_OUT,
    E_TRIP,
    E_USER,
    E_USER_STARTS,
    E_WATCH,
    E_WIND_HEARD,
    E_WIND_TIME,
    E_WOKEN,
    NEVER,
    NO,
    NONE,
    YES,
    chore_at,
    instance_at,
    lease_at,
    line_at,
    stage_at,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import answering_entry, called, entry, inline
from toolkit.simulation.compiled_engine.plain_world import ENDED, GAVE_UP, WANTS_DRAWS, WANTS_ROOM

COMES = np.int64(-1)  # nothing is wanted
FIRST_ROOM = 8192
SURE = 32  # events between two looks at the room that is left
# entries that so many may need beside those for what is alive; a run that needs more is given up
MANY = 64 * SURE


@called
def belongs(w, chore, s):
    """Say whether a planned chore is one of stage ``s``."""
    record = chore_at(w.chores, chore)
    if record.kind == C_OUTAGE:
        return record.number == s
    return instance_at(w.instances, record.number).stage == s


@entry
def full_start(world_address):
    """Start everything there is, in the order in which SimPy's engine does."""
    w = world_at(world_address, 0)
    w.next_s, w.next_order = math.inf, NEVER
    chore = 0
    for s in range(w.stage_count):
        stage = stage_at(w.stages, s)
        if stage.kind != BROKER:
            continue
        for k in range(stage.instances):
            start_instance(w.here, stage.first_instance + k)
        for k in range(stage.instances):
            line_up(w, stage, stage.first_instance + k)
        while chore < w.planned and belongs(w, chore, s):
            urgently(w, E_CHORE | chore << 8)
            chore += 1
    for user in range(w.users):
        urgently(w, E_USER_STARTS | user << 8)
    if w.users == 0:
        urgently(w, E_SOURCE)


@called
def has_room_in_stages(w, many):
    """Say the same of the stages' queues."""
    for s in range(w.stage_count):
        stage = stage_at(w.stages, s)
        if stage.queue and stage.queue_count + many > stage.queue_room:
            return False
        if stage.kept and stage.kept_count + many > stage.kept_room:
            return False
        if stage.shared and stage.shared_count + many > stage.shared_room:
            return False
    return True


@called
def has_room(w):
    """Say whether there is room for whatever the next event may do."""
    many = w.live_trips + w.live_leases + MANY
    return (
        w.row_count + many <= w.row_room
        and w.heap_count + many <= w.heap_room
        and w.line_count + 2 * many <= w.line_mask
        and w.urgent_count + 2 * many <= w.urgent_mask
        and w.lane_count + many <= w.lane_mask
        and w.trip_count + many <= w.trip_room
        and w.message_count + many <= w.message_room
        and w.lease_count + many <= w.lease_room
        and w.chore_count + many <= w.chore_room
        and has_room_in_stages(w, many)
    )


@called
def happen_rarely(w, kind, number, order):
    """Let an event happen that few designs know."""
    if kind == E_LOOK_START:
        look_comes(w.here, number, YES)
    elif kind == E_LOOK:
        i = number & 0xFFFFFF
        if instance_at(w.instances, i).life == number >> 24 and not is_over(w):
            look_comes(w.here, i, NO)
    elif kind == E_WOKEN:
        woken_comes(w.here, number & 0xFFFF, number >> 16)
    elif kind == E_WIND_TIME:
        if instance_at(w.instances, number).wind_wait == order:
            wind_hears(w.here, number)
    elif kind == E_RUN_OVER:
        wind_hears(w.here, number)
    elif kind == E_WIND_HEARD:
        crash_comes(w.here, number)
    elif kind == E_SOURCE:
        plan_arrival(w)
    elif kind == E_USER_STARTS:
        think(w, number, NO)


@inline
def happen(w, what, order):
    """Let an event happen."""
    kind, number = what & 255, what >> 8
    if w.has_short_way and went_short(w, kind, number, order):
        pass
    elif kind == E_TRIP:
        trip_comes(w.here, number, order)
    elif kind == E_RUN:
        run_comes(w.here, number, order)
    elif kind == E_ARRIVE:
        t = begin_life(w, NONE)
        plan_arrival(w)
        set_out(w.here, t)
    elif kind == E_WATCH:
        watch_comes(w.here, number, order)
    elif kind == E_RELEASED:
        grant(w, stage_at(w.stages, number))
    elif kind == E_OVER:
        trip_is_over(w.here, number)
    elif kind == E_HEARD:
        trip_hears(w.here, number, order)
    elif kind in (E_TIME_OUT, E_ALARM):
        time_out_comes(w.here, number, order, int(kind == E_ALARM))
    elif kind == E_INTERRUPT:
        interrupted(w.here, number)
    elif kind == E_CHORE:
        chore_comes(w, number)
    elif kind in (E_POLL, E_POLL_START, E_POLL_HEARD):
        poll_comes(w.here, number, order)
    elif kind == E_HOLD:
        hold_comes(w.here, number, order)
    elif kind == E_RUN_INTERRUPT:
        run_interrupted(w.here, number)
    elif kind == E_PATIENCE:
        patience_comes(w.here, number, order)
    elif kind in (E_NOTICE, E_NOTICED):
        notice_comes(w.here, number, int(kind == E_NOTICED))
    elif kind == E_MOVED_ON:
        all_move_on(w.here, number, order)
    elif kind == E_USER:
        if w.arrived < w.jobs:
            set_out(w.here, begin_life(w, number))
    else:
        happen_rarely(w, kind, number, order)


@inline
def pass_over(w):
    """Take the watches of leases that are over out of the head of their line; nothing comes of them."""
    while w.lane_count:
        lane = event_at(w.lane, w.lane_first & w.lane_mask)
        if lease_at(w.leases, lane.what >> 8).watch_wait == lane.order:
            return
        if not lane.at_s >= w.horizon_s:
            w.last_s = lane.at_s
        w.lane_first += 1
        w.lane_count -= 1


@inline
def first_planned(w):
    """Return the time and the order of what is planned first, and whether that is an arrival."""
    top = event_at(w.heap, 0)
    top_s, top_order = (top.at_s, top.order) if w.heap_count else (math.inf, NEVER)
    if w.next_s < top_s or (w.next_s == top_s and w.next_order < top_order):
        return w.next_s, w.next_order, True
    return top_s, top_order, False


@inline
def next_event(w):
    """Take out the next event that is not urgent, and go to its moment; its order is ``NEVER`` for none."""
    top_s, top_order, is_arrival = first_planned(w)
    lane = event_at(w.lane, w.lane_first & w.lane_mask)
    if w.lane_count and lane.at_s <= top_s:
        pass_over(w)
        lane = event_at(w.lane, w.lane_first & w.lane_mask)
    is_lane = w.lane_count and (
        lane.at_s < top_s or (lane.at_s == top_s and lane.order < top_order)
    )
    if is_lane:
        top_s, top_order = lane.at_s, lane.order
    if w.line_count and (top_s > w.now or top_order >= CALLERS_TIME_OUT):
        return next_at_once(w)
    if top_order == NEVER or top_s >= w.horizon_s:
        return NONE, NEVER
    w.now = top_s
    if is_lane:
        what = lane.what
        w.lane_first += 1
        w.lane_count -= 1
    elif is_arrival:
        what = E_ARRIVE
    else:
        what = event_at(w.heap, 0).what
        drop_first(w.heap, w.heap_count)
        w.heap_count -= 1
    return what, top_order


@inline
def step(w):
    """Let the next event happen; return ``COMES``, or why the loop must come back."""
    w.sure -= 1
    if w.sure < 0:
        if not has_room(w):
            return WANTS_ROOM
        if w.most_attempt + w.headroom > w.attempts_ready or w.most_turn + 1 >= w.thinks_ready:
            return WANTS_DRAWS
        w.sure = SURE
    if w.urgent_count:
        entry = line_at(w.urgent, w.urgent_first)
        w.urgent_first = (w.urgent_first + 1) & w.urgent_mask
        w.urgent_count -= 1
        what, order = entry.what, entry.order
    else:
        what, order = next_event(w)
        if order == NEVER:
            return ENDED
    happen(w, what, order)
    return GAVE_UP if w.gave_up else COMES


@answering_entry
def full_loop(world_address):
    """Run until all is over, or until something is wanted of Python; say which."""
    w = world_at(world_address, 0)
    end = COMES
    while end == COMES:
        end = step(w)
    return end
