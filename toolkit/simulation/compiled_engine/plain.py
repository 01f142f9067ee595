"""The loop for plain stages: workers that share one queue, limiters, caps, retries, routes.

One loop, a branch for each kind of event, in the order of ``events``.  A visit is a job on its way
through the stages; its record is used again when the job is gone.

How a worker is handed over is SimPy's ``Resource``: whoever asks stands in line, and then the head of
the line is granted a worker if one is free (one grant for each request and each release, no more); a
grant and a release are events of their own at the moment, so a request that comes between a release
and its event queues behind those who wait.
The loop has a copy of the world's record to itself, and all that it calls is compiled into it, so the
world's fields stay in registers: that makes it half as fast again.
"""

from __future__ import annotations

import math

from toolkit.simulation.codes import DONE
from toolkit.simulation.compiled_engine.events import (
    drop_first,
    event_at,
    first_in_line,
)
from toolkit.simulation.compiled_engine.memory import (
    answering_entry,
    entry,
    inline,
)
from toolkit.simulation.compiled_engine.plain_visits import (
    begin,
    end_service,
    go_on,
    grant,
    is_quiet,
    open_row,
    reach,
    settle,
    start_service,
    think,
)
from toolkit.simulation.compiled_engine.plain_world import (
    ARRIVE,
    BACK,
    COMES,
    ENDED,
    ENTERS,
    GAVE_UP,
    GRANTED,
    NEVER,
    RELEASED,
    SERVED,
    STOPPED,
    SURE,
    THINK_OVER,
    TOKEN,
    WANTS_DRAWS,
    WANTS_ROOM,
    at_once,
    local_world,
    plan_arrival,
    stage_at,
    visit_at,
    world_at,
    write_back,
)


@entry
def plain_start(world_address):
    """Start whoever sends the jobs."""
    w = world_at(world_address, 0)
    w.next_s, w.next_order = math.inf, NEVER
    for user in range(w.users):
        think(w, user, 0)
    if not w.users:
        plan_arrival(w)


@answering_entry
def plain_loop(world_address):
    """Run until all is over, or until something is wanted of Python; say which."""
    outside = world_at(world_address, 0)
    w = local_world(outside)
    end = -1
    while end < 0:
        end = lacks(w)
        while end < 0 and w.sure > 0:
            w.sure -= 1
            end = step(w)
    write_back(outside, w)
    return end


@inline
def lacks(w):
    """Look ahead: return -1 if the next ``SURE`` events are sure to have all they need, else what not."""
    if lacks_room(w):
        return WANTS_ROOM
    if w.most_attempt + w.headroom > w.attempts_ready or w.most_turn + 1 >= w.thinks_ready:
        return WANTS_DRAWS
    w.sure = SURE
    return -1


@inline
def lacks_room(w):
    """Say whether the next ``SURE`` events may need more room; one takes a row, a visit, 3 in line."""
    return (
        w.row_count + SURE + 1 > w.row_room
        or w.heap_count + 2 * SURE + 2 > w.heap_room
        or w.line_count + 3 * SURE + 3 > w.line_mask
        or w.visit_count + SURE + 1 > w.visit_room
    )


@inline
def step(w):
    """Let the next event happen; return -1, or why the loop must come back."""
    top = event_at(w.heap, 0)
    top_s = top.at_s if w.heap_count else math.inf
    if w.line_count and top_s > w.now and w.next_s > w.now:
        what = first_in_line(w.line, w.line_mask, w.line_first)
        w.line_first = (w.line_first + 1) & w.line_mask
        w.line_count -= 1
    elif w.next_s < top_s or (w.next_s == top_s and w.heap_count and w.next_order < top.order):
        if w.next_s >= w.horizon_s:
            return ENDED
        w.now = w.next_s
        what = ARRIVE
    elif w.heap_count:
        if top_s >= w.horizon_s:
            return ENDED
        w.now = top_s
        what = top.what
        drop_first(w.heap, w.heap_count)
        w.heap_count -= 1
    else:
        return ENDED
    kind, number = what & 255, what >> 8
    outcome, released = -1, -1
    if kind == GRANTED:
        start_service(w, number)
        return -1
    if kind == SERVED:
        released = visit_at(w.visits, number).stage
        outcome = end_service(w, number)
        if not is_quiet(w):
            at_once(w, RELEASED | released << 8)
            released = -1
        if w.is_simple and outcome == DONE:
            settle(w, number, visit_at(w.visits, number), DONE)
            outcome = -1
    elif kind == RELEASED:
        released = number
    elif kind == ARRIVE:
        number = begin(w, w.arrived, -1)
        w.arrived += 1
        plan_arrival(w)
        outcome = start_simply(w, number) if w.is_simple else DONE
    elif kind == BACK:
        outcome = COMES
    elif kind == TOKEN:
        outcome = ENTERS
    elif kind == THINK_OVER:
        if w.arrived < w.jobs:
            number = begin(w, w.arrived, number)
            w.arrived += 1
            outcome = DONE
    else:
        return STOPPED
    asks = go_on(w, number, outcome)
    if asks >= 0 and released >= 0:
        at_once(w, RELEASED | released << 8)  # first in line, so it comes first
        released = -1
    if asks >= 0:
        released = asks
    if released >= 0:
        granted = grant(w, stage_at(w.stages, released))
        if granted >= 0:
            if is_quiet(w):
                start_service(w, granted)
            else:
                at_once(w, GRANTED | granted << 8)
    return GAVE_UP if w.gave_up else -1


@inline
def start_simply(w, number):
    """Take a new visit through the door of the only stage, and start it if it is alone; return what is next.

    What ``go_on`` would do in several turns, where there is no limiter and no place to go but here.
    Where a worker is free and nothing else happens, nobody waits, and there is room.
    """
    visit, stage = visit_at(w.visits, number), stage_at(w.stages, 0)
    visit.stage = 0
    reach(w, visit)
    open_row(w, number, visit, 0.0)
    if stage.busy >= stage.workers or not is_quiet(w):
        return ENTERS
    visit.is_inside = 1
    stage.busy += 1
    start_service(w, number)
    return -1
