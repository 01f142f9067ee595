"""A design's fields as numbers in the records of the full loop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.arrivals import Closed
from toolkit.design import (
    BlockingPop,
    Caller,
    Delivery,
    Design,
    InMemory,
    Poller,
    Push,
    Stage,
    Visibility,
)
from toolkit.laws import is_law
from toolkit.simulation.compiled_engine.full import world as names
from toolkit.simulation.compiled_engine.rules import bucket_of, retry_of

PUSH_TO = {
    "round robin": names.IN_TURN,
    "random": names.AT_RANDOM,
    "shortest": names.SHORTEST_QUEUE,
    "each": names.EACH,
}
ACK = {"fetch": names.ON_FETCH, "start": names.ON_START, "end": names.ON_END}
RECEIPT = {
    "lease": names.BY_LEASE,
    "delivery": names.BY_DELIVERY,
    "series": names.BY_SERIES,
    "always": names.BY_ALWAYS,
}
ON_FAILURE = {"retry": names.RETRY_IT, "leave": names.LEAVE_IT, "return": names.RETURN_IT}
SLOT_CRASH = {"lose": names.LOSE_IT, "requeue": names.REQUEUE_IT, "retry": names.RETRY_DEAD}
ORDER = {
    "fifo": names.FIFO,
    "lifo": names.LIFO,
    "random": names.RANDOM,
    "shortest": names.SHORTEST,
    "priority": names.PRIORITY,
    "preemptive": names.PREEMPTIVE,
    "shared": names.FIFO,
}
WHEN_FULL = {"reject": 0, "drop": 1, "block": 2}
ON_TIMEOUT = {"nothing": 0, "skip": 1, "cancel": 2}


def holds(design: Design, number: int) -> bool:
    """Say whether a stage's worker keeps its job until the next stage has a place."""
    follows = design.stages[number + 1 : number + 2]
    is_blocked = bool(follows) and follows[0].when_full == "block"
    return is_blocked and design.stages[number].fan_out is None


def kind_of(design: Design, number: int) -> Any:
    """Return the simplest kind of stage that can do what it says."""
    stage = design.stages[number]
    if stage.order == "shared":
        return names.SHARED
    special = (stage.delivery, stage.patience, stage.fan_out, stage.shed, stage.outages)
    is_plain = stage.order == "fifo" and not any(special) and stage.when_full != "block"
    return names.STATION if is_plain and not holds(design, number) else names.BROKER


def instances(design: Design, number: int) -> int:
    """Return how many instances a stage has; none where there is no protocol."""
    if kind_of(design, number) != names.BROKER:
        return 0
    delivery = design.stages[number].delivery
    return delivery.instances if delivery else 1


def or_nan(value: float | None) -> float:
    """Return the value, ``nan`` for none."""
    return math.nan if value is None else value


def fill_stage(record: npt.NDArray[np.void], design: Design, number: int) -> None:
    """Fill in what a stage is beside its door."""
    stage = design.stages[number]
    delivery = stage.delivery or Delivery()
    shed = stage.shed
    fields: dict[str, Any] = {
        "kind": kind_of(design, number),
        "holds": kind_of(design, number) == names.BROKER and holds(design, number),
        "order": ORDER[stage.order],
        "when_full": WHEN_FULL[stage.when_full],
        "first": names.NONE,
        "last": names.NONE,
        "first_place": names.NONE,
        "last_place": names.NONE,
        "has_patience": stage.patience is not None,
        "has_shed": shed is not None,
        "shed_target_s": shed.target_s if shed else 0.0,
        "shed_interval_s": shed.interval_s if shed else 0.0,
        "tasks": stage.fan_out.tasks if stage.fan_out else 0,
        "needed": (stage.fan_out.needed or stage.fan_out.tasks) if stage.fan_out else 0,
    }
    for parts in (fields, of_delivery(stage, delivery), of_fetch(delivery), of_time(delivery)):
        for name, value in parts.items():
            record[name] = value


def of_delivery(stage: Stage, delivery: Delivery) -> dict[str, Any]:
    """Return the fields of a delivery itself."""
    return {
        "instances": delivery.instances,
        "slots": stage.workers // delivery.instances,
        "prefetch": delivery.prefetch,
        "ack": ACK[delivery.ack],
        "disconnect_s": or_nan(delivery.disconnect_s),
        "give_back_head": delivery.give_back == "head",
        "requeue_head": delivery.requeue == "head",
        "on_failure": ON_FAILURE[delivery.on_failure],
        "max_deliveries": names.NONE
        if delivery.max_deliveries is None
        else delivery.max_deliveries,
        "dead_on_return": delivery.dead_letter_on == "return",
        "has_countdown": delivery.countdown is not None,
        "poison": delivery.poison,
        "poison_kills_slot": delivery.poison_kills == "slot",
        "slot_crash": SLOT_CRASH[delivery.slot_crash],
        "restart_s": delivery.restart_s,
        "groups": delivery.groups or 0,
    }


def of_fetch(delivery: Delivery) -> dict[str, Any]:
    """Return the fields of the way in which messages are fetched."""
    fetch = delivery.fetch
    fields: dict[str, Any] = {"refill_at": names.NONE, "choices": names.NONE, "batch": 1}
    if isinstance(fetch, Push):
        choices = names.NONE if fetch.choices is None else fetch.choices
        return fields | {
            "fetch": names.PUSH,
            "push_to": PUSH_TO[fetch.to],
            "choices": choices,
            "replacement": fetch.replacement,
        }
    fields["batch"] = fetch.batch
    if fetch.refill_at is not None:
        fields["refill_at"] = fetch.refill_at
    if isinstance(fetch, BlockingPop):
        return fields | {"fetch": names.BLOCKING_POP}
    return fields | {"fetch": names.POLL, "every_s": fetch.every_s, "wakes": fetch.wakes}


def of_time(delivery: Delivery) -> dict[str, Any]:
    """Return the fields of what goes by the clock: leases, and who keeps what is not due."""
    visibility, delayed = delivery.visibility, delivery.delayed
    fields: dict[str, Any] = {"delayed": names.BY_BROKER}
    if isinstance(delayed, InMemory):
        most = math.inf if delayed.most is None else delayed.most
        fields |= {"delayed": names.IN_MEMORY, "most_held": most}
    elif isinstance(delayed, Poller):
        fields |= {"delayed": names.BY_POLLER, "low_s": delayed.low_s, "high_s": delayed.high_s}
        fields |= {"first_low_s": delayed.first_low_s, "first_high_s": delayed.first_high_s}
    return fields | (of_visibility(visibility) if visibility else {})


def of_visibility(visibility: Visibility) -> dict[str, Any]:
    """Return the fields of a lease."""
    return {
        "has_visibility": True,
        "timeout_s": visibility.timeout_s,
        "renew_every_s": or_nan(visibility.renew_every_s),
        "renew_for_s": visibility.renew_for_s or math.inf,
        "renews_held": visibility.renews == "held",
        "sweep_every_s": or_nan(visibility.sweep_every_s),
        "sweep_first_s": visibility.sweep_first_s,
        "receipt": RECEIPT[visibility.receipt],
    }


def start_limit(stage: Stage, per: str) -> npt.NDArray[np.void]:
    """Return the bucket that limits starts for each ``per``; an empty one if there is none."""
    delivery = stage.delivery
    return bucket_of(delivery.limiter if delivery and delivery.limiter_per == per else None)


def fill_caller(
    record: npt.NDArray[np.void], caller: Caller
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.float64]]:
    """Fill in a level of callers; return the record of its retries, and their pauses."""
    timeout = caller.timeout
    has_law = timeout is not None and is_law(timeout)
    fields: dict[str, Any] = {
        "has_timeout_law": has_law,
        "timeout_s": math.inf if timeout is None or has_law else timeout,
        "on_timeout": ON_TIMEOUT[caller.on_timeout],
        "has_hedge": caller.hedge is not None,
        "hedge_s": caller.hedge.after_s if caller.hedge else 0.0,
        "hedge_cancels": caller.hedge is not None and caller.hedge.cancels,
        "most_failures": caller.breaker.failures if caller.breaker else 0,
        "open_s": caller.breaker.open_s if caller.breaker else 0.0,
        "open_until_s": -math.inf,
    }
    for name, value in fields.items():
        record[name] = value
    return retry_of(caller.retry)


def planned_chores(design: Design, first_instances: list[int]) -> npt.NDArray[np.void]:
    """Return the crashes and outages that are planned, stage by stage."""
    rows = []
    for number, stage in enumerate(design.stages):
        for crash in stage.delivery.crashes if stage.delivery else ():
            row = np.zeros((), names.CHORE)
            row["kind"], row["number"] = names.C_CRASH, first_instances[number] + crash.instance
            row["slot"] = names.NONE if crash.slot is None else crash.slot
            row["at_s"], row["grace_s"] = crash.at_s, or_nan(crash.grace_s)
            row["restart_s"] = or_nan(crash.restart_after_s)
            rows.append(row)
        for outage in stage.outages:
            row = np.zeros((), names.CHORE)
            row["kind"], row["number"] = names.C_OUTAGE, number
            row["at_s"], row["grace_s"] = outage.start_s, outage.duration_s
            rows.append(row)
    return np.array(rows, names.CHORE)


def has_short_way(design: Design) -> bool:
    """Say whether ``short_way`` knows all that the only stage may make of a message."""
    stage, *others = design.stages
    delivery = stage.delivery
    if others or delivery is None or design.callers or isinstance(design.arrivals, Closed):
        return False
    special = (stage.patience, stage.fan_out, stage.shed, stage.outages, stage.limiter)
    return (
        not any(special)
        and stage.order == "fifo"
        and stage.capacity is None
        and stage.share == 1
        and stage.routes is None
        and isinstance(delivery.fetch, Push | BlockingPop)
        and delivery.limiter is None
        and delivery.countdown is None
        and not delivery.groups
        and not delivery.poison
    )


def most_attempts(design: Design) -> float:
    """Return the highest attempt number that is possible."""
    stages = design.stages
    repeats = any(
        stage.fan_out or stage.routes is not None or (stage.delivery and stage.delivery.repeats)
        for stage in stages
    )
    if design.callers or repeats:
        return math.inf
    return max(stage.max_attempts for stage in stages)


def headroom(design: Design) -> int:
    """Return how many attempts of a job one event may begin at most."""
    return 6 if any(_is_tried_at_once(stage) for stage in design.stages) else 1


def _is_tried_at_once(stage: Stage) -> bool:
    """Say whether a job may try again at the moment at which it was turned away."""
    if stage.fan_out or stage.routes is not None:
        return True
    has_door = stage.capacity is not None or stage.limiter is not None
    waits_inside = stage.delivery is not None and stage.delivery.delayed != "broker"
    return waits_inside and has_door and stage.retry is not None
