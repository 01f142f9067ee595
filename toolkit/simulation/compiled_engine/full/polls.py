"""Instances that come and look, for messages and for those that have become due."""

from __future__ import annotations

from toolkit.simulation.compiled_engine.events import drop_first, event_at
from toolkit.simulation.compiled_engine.full.fetching import wanted
from toolkit.simulation.compiled_engine.full.matching import take
from toolkit.simulation.compiled_engine.full.moments import at_once, is_over, later
from toolkit.simulation.compiled_engine.full.queue import next_luck, release_message
from toolkit.simulation.compiled_engine.full.returning import enqueue
from toolkit.simulation.compiled_engine.full.world import (
    E_LOOK,
    E_POLL,
    E_POLL_HEARD,
    NO,
    NO_POLL,
    NONE,
    POLL_GOES_ON,
    POLL_HEARS,
    POLL_SLEEPS,
    POLL_STARTS,
    POLL_WAITS_FOR_ROOM,
    instance_at,
    message_at,
    stage_at,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import called, unit


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
