"""The world of the plain loop: its records, how time passes in it, and where its draws are."""

from __future__ import annotations

import math

from toolkit.simulation.compiled_engine.draws import duration_of, uniform_of
from toolkit.simulation.compiled_engine.events import (
    put_event,
    put_in_line,
)
from toolkit.simulation.compiled_engine.memory import (
    copies_of,
    inline,
    read_float,
    record_at,
    records,
)
from toolkit.simulation.compiled_engine.rules import (
    BUCKET,
    RETRY,
)

# why the loop came back: it is done, or it wants something of Python
ENDED, STOPPED, WANTS_ROOM, WANTS_DRAWS, GAVE_UP = range(5)
# kinds of events; the low byte of ``what``, the visit, user or stage above it
ARRIVE, THINK_OVER, TOKEN, GRANTED, SERVED, RELEASED, BACK, FAIL = range(8)
# the streams of a stage
SERVICE, FAILURE, JITTER, SHARE, ROUTE = range(5)
STREAMS = 5
# where a visit stands, beside the outcomes: before the door, and before the queue
COMES, ENTERS = 16, 17
NEVER = (1 << 62) - 1
SURE = 64  # events between two looks at the room that is left

STAGE = records(
    "stage",
    dict.fromkeys(["failure", "share", "mean_s"], "f8")
    | dict.fromkeys(["workers", "capacity", "busy", "waiting", "first", "last", "idle"], "i8")
    | dict.fromkeys(["bucket", "retry", "routes", "route_count", "made"], "i8"),
)
VISIT = records(
    "visit",
    dict.fromkeys(["price", "last_s", "since_s"], "f8")
    | {"row": "i8"}
    | dict.fromkeys(["job", "stage", "retries", "attempt", "next", "is_inside", "user"], "i4"),
)
WORLD = records(
    "world",
    dict.fromkeys(["now", "horizon_s", "moment_s", "next_s"], "f8")
    | dict.fromkeys(["order", "next_order", "arrived", "jobs", "settled", "made_before"], "i8")
    | dict.fromkeys(["most_rows", "most_rows_at_once", "most_attempt", "attempts_ready"], "i8")
    | dict.fromkeys(["heap", "heap_count", "heap_room", "line", "line_first", "line_count"], "i8")
    | dict.fromkeys(["line_mask", "rows", "row_count", "row_room", "visits", "visit_room"], "i8")
    | dict.fromkeys(["visit_count", "free_visit", "stages", "stage_count", "turns"], "i8")
    | dict.fromkeys(["gaps_s", "arrived_s", "finished_s", "outcomes", "draws", "drawn"], "i8")
    | dict.fromkeys(["generators", "jumps", "thinks", "thinks_ready", "users", "user_turns"], "i8")
    | dict.fromkeys(["has_routes", "has_shares", "most_turn", "gave_up", "headroom", "sure"], "i8")
    | {"is_simple": "i8"},
)
local_world, write_back = copies_of(WORLD)
stage_at, visit_at, world_at = map(record_at, (STAGE, VISIT, WORLD))
bucket_at, retry_at = record_at(BUCKET), record_at(RETRY)


@inline
def later(w, delay_s, what):
    """Plan an event ``delay_s`` from now."""
    at_s = w.now + delay_s
    if at_s == w.now:
        at_once(w, what)
    else:
        put_event(w.heap, w.heap_count, at_s, w.order, what)
        w.heap_count += 1
        w.order += 1


@inline
def at_once(w, what):
    """Let an event happen at this moment, after those that are in line."""
    put_in_line(w.line, w.line_mask, w.line_first, w.line_count, what)
    w.line_count += 1


@inline
def plan_arrival(w):
    """Plan the next arrival of an open source; there is never more than one."""
    w.next_s, w.next_order = math.inf, NEVER
    if w.arrived < w.jobs:
        at_s = w.now + read_float(w.gaps_s, w.arrived)
        if at_s == w.now:
            at_once(w, ARRIVE)
        else:
            w.next_s, w.next_order = at_s, w.order
            w.order += 1


@inline
def duration_s(w, stage, purpose, attempt, job):
    """Return a duration of a job in a stage."""
    place = (stage * STREAMS + purpose) * w.draws + attempt
    return duration_of(w, place, job, stage_at(w.stages, stage).mean_s)


@inline
def uniform(w, stage, purpose, attempt, job):
    """Return a uniform number of a job in a stage."""
    return uniform_of(w, (stage * STREAMS + purpose) * w.draws + attempt, job)
