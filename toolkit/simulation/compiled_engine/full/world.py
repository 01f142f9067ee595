"""The world of the full loop: messages, leases, instances, callers, and how time passes among them.

What SimPy runs as processes are records here.  A *trip* is a process that follows a call: a job's
life, a copy that a caller sent, a task of a split job; its ``state`` says what it waits for.  A
*lease*'s run, watch and hold are processes too, and so are an instance's polls.  What else has a
process of its own for a while (a crash, an outage, the replacement of a slot) is a *chore*.

Whoever waits knows the number (``order``) of the event that will wake it: when that event comes and
the number is another, the waiting was over before, and nothing happens.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from toolkit.simulation.compiled_engine.memory import record_at, records
from toolkit.simulation.compiled_engine.rules import BUCKET, RETRY


def numbers(first: int, end: int | None = None) -> list[Any]:
    """Return numbers from ``first``, or from 0 to it, of a kind that compiled code is not made anew for."""
    return [np.int64(k) for k in (range(first) if end is None else range(first, end))]


NONE, NEVER = np.int64(-1), np.int64((1 << 62) - 1)


# ranks of events behind the normal one
CALLERS_TIME_OUT, ARRIVAL, OUTAGE_ENDS = np.int64(2 << 56), np.int64(3 << 56), np.int64(4 << 56)


# kinds of stages
STATION, SHARED, BROKER = numbers(3)


# kinds of trips
LIFE, COPY, TASK = numbers(3)


# what a trip waits for
NOTHING, TO_START, PUT_OFF, TOKEN, GRANT, SERVICE_END, SHARED_END, PLACE, ANSWER, REST = range(10)


TASKS, COPIES, PAUSE = numbers(10, 13)


# what a lease's run waits for
NO_RUN, RUN_STARTS, RUN_ENDS, RUN_MOVES_ON, RUN_OVER = numbers(5)


# what an instance's polling waits for
NO_POLL, POLL_STARTS, POLL_GOES_ON, POLL_SLEEPS, POLL_HEARS, POLL_WAITS_FOR_ROOM = numbers(6)


# events; the low byte of ``what``, a record's number above it
E_ARRIVE, E_TRIP, E_RELEASED, E_INTERRUPT, E_OVER, E_HEARD, E_TIME_OUT, E_ALARM = numbers(0, 8)


E_RUN, E_RUN_INTERRUPT, E_RUN_OVER, E_WATCH, E_HOLD, E_PATIENCE, E_NOTICE = numbers(8, 15)


E_POLL, E_POLL_START, E_SOURCE, E_WOKEN, E_POLL_HEARD, E_LOOK, E_LOOK_START = numbers(15, 22)


E_CHORE, E_WIND_TIME, E_WIND_HEARD, E_MOVED_ON, E_NOTICED, E_USER_STARTS, E_USER = numbers(22, 29)


# chores
C_OUTAGE, C_CRASH, C_REPLACE, C_START_LATER, C_MATCH_LATER, C_SHARED_END, C_MOVED = numbers(7)


# the streams of a stage, of a caller
SERVICE, FAILURE, JITTER, SHARE, ROUTE, GROUP, COUNTDOWN, PATIENCE, POISON = numbers(9)


STREAMS: Any = np.int64(9)


TIMEOUT, CALLER_JITTER = numbers(2)


# options of a delivery
PUSH, BLOCKING_POP, POLL = numbers(3)


IN_TURN, AT_RANDOM, SHORTEST_QUEUE, EACH = numbers(4)


ON_FETCH, ON_START, ON_END = numbers(3)


BY_LEASE, BY_DELIVERY, BY_SERIES, BY_ALWAYS = numbers(4)


RETRY_IT, LEAVE_IT, RETURN_IT = numbers(3)


LOSE_IT, REQUEUE_IT, RETRY_DEAD = numbers(3)


BY_BROKER, BY_POLLER, IN_MEMORY = numbers(3)


FIFO, LIFO, RANDOM, SHORTEST, PRIORITY, PREEMPTIVE = numbers(6)


NO, YES = numbers(2)


# what becomes of jobs and of attempts
DONE, DEAD, REJECTED, LIMITED, ABANDONED, LOST, UNFINISHED = numbers(7)


OK, FAILED, TURNED_AWAY, CUT_OFF, LATE, DUPLICATE, CRASHED, CANCELLED = numbers(8)


LEFT, PREEMPTED = numbers(8, 10)


STAGE = records(
    "stage",
    dict.fromkeys(
        ["failure", "share", "mean_s", "empty_s", "shed_target_s", "shed_interval_s"], "f8"
    )
    | dict.fromkeys(["given_s", "since_s", "next_token_s", "prefetch", "most_held"], "f8")
    | dict.fromkeys(["timeout_s", "renew_every_s", "renew_for_s", "sweep_every_s"], "f8")
    | dict.fromkeys(["sweep_first_s", "disconnect_s", "poison", "restart_s", "every_s"], "f8")
    | dict.fromkeys(["low_s", "high_s", "first_low_s", "first_high_s"], "f8")
    | dict.fromkeys(
        ["kind", "workers", "capacity", "busy", "waiting", "first", "last", "idle"],
        "i8",
    )
    | dict.fromkeys(["bucket", "retry", "routes", "route_count", "made", "when_full"], "i8")
    | dict.fromkeys(["holds", "order", "inside", "first_place", "last_place", "outages"], "i8")
    | dict.fromkeys(["instances", "first_instance", "slots", "fetch", "push_to", "choices"], "i8")
    | dict.fromkeys(["replacement", "batch", "refill_at", "wakes", "ack", "receipt"], "i8")
    | dict.fromkeys(["has_visibility", "renews_held", "give_back_head", "requeue_head"], "i8")
    | dict.fromkeys(["on_failure", "max_deliveries", "dead_on_return", "delayed"], "i8")
    | dict.fromkeys(["has_countdown", "has_patience", "has_shed", "queue_bucket", "groups"], "i8")
    | dict.fromkeys(["poison_kills_slot", "slot_crash", "tasks", "needed", "away"], "i8")
    | dict.fromkeys(["queue", "queue_count", "queue_room", "live", "next_place", "locked"], "i8")
    | dict.fromkeys(["scratch", "line", "line_first", "line_count", "line_mask"], "i8")
    | dict.fromkeys(["turn", "kept", "kept_count", "kept_room", "entries"], "i8")
    | dict.fromkeys(["shared", "shared_count", "shared_room", "entered", "plan"], "i8")
    | dict.fromkeys(["choice_draws", "order_draws", "choice_seed", "order_seed"], "i8")
    | dict.fromkeys(["woken", "subscribed", "ready"], "i8"),
)


INSTANCE = records(
    "instance",
    dict.fromkeys(["next_start_s"], "f8")
    | dict.fromkeys(["stage", "number", "is_up", "is_stopping", "idle", "idle_count"], "i8")
    | dict.fromkeys(["buffer_first", "buffer_last", "buffer_count", "held_first"], "i8")
    | dict.fromkeys(["held_last", "held_count", "running_first", "running_last"], "i8")
    | dict.fromkeys(["running_count", "unacked", "asks", "life", "bucket", "draws", "seed"], "i8")
    | dict.fromkeys(["poll_state", "poll_wait", "poll_life", "woken"], "i8")
    | dict.fromkeys(
        ["subscribed", "freed", "winds", "wind_chore", "wind_wait", "first_slot"], "i8"
    ),
)


TRIP = records(
    "trip",
    dict.fromkeys(["price", "last_s", "due_s", "paused_s", "since_s", "deadline_s"], "f8")
    | dict.fromkeys(["wait", "row"], "i8")
    | dict.fromkeys(["job", "parent", "level", "kind", "state", "stage", "retries", "user"], "i8")
    | dict.fromkeys(["attempt", "message", "refs", "next", "sibling", "outcome"], "i8")
    | dict.fromkeys(["unwanted", "is_inside", "is_silent", "is_alive", "is_over"], "i8")
    | dict.fromkeys(["branch", "moved_on", "worker", "first_child", "last_child", "hears"], "i8")
    | dict.fromkeys(["timed_out", "alarmed", "was_probe", "number", "granted", "has_timer"], "i8")
    | dict.fromkeys(["hears_from"], "i8")
    | dict.fromkeys(["time_out_wait", "alarm_wait"], "i8"),
)


MESSAGE = records(
    "message",
    dict.fromkeys(["due_s", "longest_wait_s", "left_s"], "f8")
    | dict.fromkeys(["row", "place", "patience_wait"], "i8")
    | dict.fromkeys(["trip", "deliveries", "lease", "group", "answer", "leases", "entries"], "i8")
    | dict.fromkeys(
        ["is_queued", "is_deleted", "is_settled", "is_heard", "next", "is_patient"], "i4"
    ),
)


LEASE = records(
    "lease",
    dict.fromkeys(["given_s", "started_s", "ended_s"], "f8")
    | dict.fromkeys(["row", "run_wait", "watch_wait", "hold_wait", "sweep"], "i8")
    | dict.fromkeys(["message", "instance", "slot", "run", "pins", "next", "previous"], "i8")
    | dict.fromkeys(
        ["is_open", "is_counted", "is_alive", "is_in", "after", "is_used", "mourned"], "i4"
    ),
)


CHORE = records(
    "chore",
    dict.fromkeys(["at_s", "grace_s", "restart_s"], "f8")
    | dict.fromkeys(["kind", "number", "slot", "lease", "life", "step", "next"], "i8"),
)


CALLER = records(
    "caller",
    dict.fromkeys(["timeout_s", "hedge_s", "open_until_s", "open_s"], "f8")
    | dict.fromkeys(["has_timeout_law", "on_timeout", "has_hedge", "hedge_cancels", "retry"], "i8")
    | dict.fromkeys(["most_failures", "failures", "is_probing", "made"], "i8"),
)


LINE = records("line", dict.fromkeys(["order", "what"], "i8"))


WORLD = records(
    "world",
    dict.fromkeys(["now", "horizon_s", "moment_s", "next_s", "last_s"], "f8")
    | dict.fromkeys(["order", "next_order", "arrived", "jobs", "settled", "made_before"], "i8")
    | dict.fromkeys(["most_rows", "most_rows_at_once", "most_attempt", "attempts_ready"], "i8")
    | dict.fromkeys(["heap", "heap_count", "heap_room", "lane", "lane_first", "lane_count"], "i8")
    | dict.fromkeys(["line", "line_first", "line_count", "line_mask", "lane_mask"], "i8")
    | dict.fromkeys(["urgent", "urgent_first", "urgent_count", "urgent_mask", "sure"], "i8")
    | dict.fromkeys(["rows", "row_count", "row_room", "trips", "trip_count", "trip_room"], "i8")
    | dict.fromkeys(["free_trip", "live_trips", "messages", "message_count", "message_room"], "i8")
    | dict.fromkeys(["free_message", "leases", "lease_count", "lease_room", "free_lease"], "i8")
    | dict.fromkeys(["live_leases", "chores", "chore_count", "chore_room", "free_chore"], "i8")
    | dict.fromkeys(["stages", "stage_count", "instances", "callers", "caller_count"], "i8")
    | dict.fromkeys(["turns", "gaps_s", "arrived_s", "finished_s", "outcomes", "draws"], "i8")
    | dict.fromkeys(
        ["drawn", "generators", "sequences", "jumps", "classes", "thinks", "thinks_ready"], "i8"
    )
    | dict.fromkeys(["users", "user_turns", "has_routes", "most_turn", "gave_up", "tries"], "i8")
    | dict.fromkeys(["open_rows", "open_forks", "headroom", "active", "planned", "here"], "i8")
    | {"has_short_way": "i8"},
)


stage_at, instance_at, trip_at, message_at, lease_at, chore_at, caller_at, line_at, world_at = map(
    record_at, (STAGE, INSTANCE, TRIP, MESSAGE, LEASE, CHORE, CALLER, LINE, WORLD)
)


bucket_at, retry_at = record_at(BUCKET), record_at(RETRY)
