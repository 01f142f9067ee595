"""Trips: processes that follow a call, their forks, and how they end, as in ``forks`` and ``system``."""

from __future__ import annotations

import math

import numpy as np

from toolkit.simulation.compiled_engine.full.moments import at_once, is_full, later, urgently
from toolkit.simulation.compiled_engine.full.queue import release_trip
from toolkit.simulation.compiled_engine.full.world import (
    ARRIVAL,
    E_ARRIVE,
    E_HEARD,
    E_INTERRUPT,
    E_OVER,
    E_TRIP,
    E_USER,
    LIFE,
    NEVER,
    NO,
    NONE,
    NOTHING,
    OK,
    TO_START,
    trip_at,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import (
    called,
    inline,
    read_float,
    read_int,
    read_short,
    unit,
    write_byte,
    write_float,
    write_short,
)

WAITS = np.int64(-1)  # no outcome yet


@inline
def new_trip(w, kind, job, parent, level):
    """Return a new trip, a child of ``parent``'s call."""
    t = w.free_trip
    if t >= 0:
        w.free_trip = trip_at(w.trips, t).next
    else:
        t = w.trip_count
        w.trip_count += 1
        if t == w.trip_room:
            w.trip_count -= 1
            t += is_full(w)
    w.live_trips += 1
    trip = trip_at(w.trips, t)
    trip.kind, trip.job, trip.parent, trip.level = kind, job, parent, level
    trip.refs, trip.user, trip.branch, trip.stage = 1, NONE, 0, NONE
    trip.message, trip.moved_on, trip.outcome = NONE, NONE, WAITS
    trip.unwanted, trip.is_silent, trip.is_alive, trip.is_over = OK, 0, 1, 0
    trip.first_child = trip.last_child = trip.next = NONE
    trip.sibling = trip.hears_from = NONE
    trip.granted, trip.hears, trip.number, trip.retries = 0, 0, 0, 0
    trip.state, trip.wait, trip.row = NOTHING, NONE, NONE
    trip.deadline_s = math.inf
    trip.price = trip.last_s = math.nan
    if parent >= 0:
        trip_at(w.trips, parent).refs += 1
        trip.deadline_s = trip_at(w.trips, parent).deadline_s
    for k in range(w.stage_count if w.has_routes else 0):
        write_short(w.turns, t * w.stage_count + k, 0)
    return t


@called
def fork(w, kind, t, level):
    """Start a trip that works on a trip's call; return its number."""
    trip = trip_at(w.trips, t)
    child = new_trip(w, kind, trip.job, t, level)
    record = trip_at(w.trips, child)
    record.refs += 1  # the parent looks at it
    record.hears_from = t
    if trip.first_child < 0:
        trip.first_child = child
    else:
        trip_at(w.trips, trip.last_child).sibling = child
    trip.last_child = child
    w.open_forks += 1
    record.state = TO_START
    record.wait = urgently(w, E_TRIP | child << 8)
    return child


@called
def leave(w, t, mark, cancels):
    """Wait no longer for those still under way: what they achieve is marked LATE or DUPLICATE."""
    child = trip_at(w.trips, t).first_child
    while child >= 0:
        record = trip_at(w.trips, child)
        if record.is_alive:
            record.unwanted = mark
            if cancels:
                urgently(w, E_INTERRUPT | child << 8)
                record.refs += 1
        child = record.sibling


@called
def forget_children(w, t):
    """Look at the forks of a try no more."""
    trip = trip_at(w.trips, t)
    child = trip.first_child
    trip.first_child = trip.last_child = NONE
    trip.hears = 0
    while child >= 0:
        record = trip_at(w.trips, child)
        follower = record.sibling
        record.hears_from, record.sibling = NONE, NONE
        release_trip(w.here, child)
        child = follower


@called
def hear(w, t):
    """Tell a trip that waits for several events that one of them has come."""
    trip = trip_at(w.trips, t)
    if trip.hears:
        trip.hears = 0
        trip.wait = at_once(w, E_HEARD | t << 8)


@unit
def trip_is_over(here, t):
    """Note the end of a fork, and tell whoever listens."""
    w = world_at(here, 0)
    trip = trip_at(w.trips, t)
    trip.is_over = 1
    if trip.hears_from >= 0:
        hear(w, trip.hears_from)
    release_trip(w.here, t)


@called
def think(w, user, turn):
    """Let a user think before its next job."""
    later(w, read_float(read_int(w.thinks, turn), user), E_USER | user << 8)


@unit
def end_trip(here, t, outcome):
    """End a trip's process; return nothing to do, or a user's thinking."""
    w = world_at(here, 0)
    trip = trip_at(w.trips, t)
    trip.outcome, trip.is_alive, trip.state, trip.wait = outcome, 0, NOTHING, NONE
    if trip.kind == LIFE:
        write_float(w.finished_s, trip.job, w.now)
        write_byte(w.outcomes, trip.job, outcome)
        w.settled += 1
        user = trip.user
        release_trip(w.here, t)
        if user >= 0:
            turn = int(read_short(w.user_turns, user)) + 1
            write_short(w.user_turns, user, turn)
            if turn > w.most_turn:
                w.most_turn, w.sure = turn, 0
            think(w, user, turn)
    else:
        w.open_forks -= 1
        at_once(w, E_OVER | t << 8)


@inline
def begin_life(w, user):
    """Let a job arrive; return its trip."""
    job = w.arrived
    w.arrived += 1
    write_float(w.arrived_s, job, w.now)
    t = new_trip(w, LIFE, job, NONE, NO)
    trip_at(w.trips, t).user = user
    return t


@called
def plan_arrival(w):
    """Plan the next arrival of an open source; there is never more than one."""
    w.next_s, w.next_order = math.inf, NEVER
    if w.arrived < w.jobs:
        at_s = w.now + read_float(w.gaps_s, w.arrived)
        if at_s == w.now and w.caller_count == 0:
            at_once(w, E_ARRIVE)
        else:
            w.next_s = at_s
            w.next_order = (ARRIVAL if w.caller_count else 0) | w.order
            w.order += 1
