"""Chores at work: outages, deaths, tokens that were waited for."""

from __future__ import annotations

from toolkit.simulation.compiled_engine.full.deaths import crash_comes, replace_slot
from toolkit.simulation.compiled_engine.full.matching import match, start_next
from toolkit.simulation.compiled_engine.full.moments import end_chore, later, ranked
from toolkit.simulation.compiled_engine.full.shared import shared_end_comes
from toolkit.simulation.compiled_engine.full.world import (
    C_CRASH,
    C_MATCH_LATER,
    C_OUTAGE,
    C_REPLACE,
    C_SHARED_END,
    C_START_LATER,
    E_CHORE,
    NONE,
    OUTAGE_ENDS,
    chore_at,
    instance_at,
    stage_at,
    world_at,
)
from toolkit.simulation.compiled_engine.memory import called, unit


@unit
def outage_comes(here, chore):
    """Begin or end a spell in which no service starts."""
    w = world_at(here, 0)
    record = chore_at(w.chores, chore)
    s = record.number
    stage = stage_at(w.stages, s)
    record.step += 1
    if record.step == 1:
        later(w, record.at_s, E_CHORE | chore << 8)
    elif record.step == 2:
        stage.outages += 1
        ranked(w, w.now + record.grace_s, OUTAGE_ENDS, E_CHORE | chore << 8)
    else:
        stage.outages -= 1
        end_chore(w, chore)
        for k in range(stage.instances):
            start_next(w.here, s, stage.first_instance + k)
        match(w.here, s, NONE)


@unit
def token_comes(here, chore, kind):
    """Start or match what waited for a token."""
    w = world_at(here, 0)
    record = chore_at(w.chores, chore)
    if record.step == 0:
        record.step = 1
        later(w, record.at_s - w.now, E_CHORE | chore << 8)
        return
    number, at_s = record.number, record.at_s
    end_chore(w, chore)
    if kind == C_START_LATER:
        instance = instance_at(w.instances, number)
        if instance.next_start_s == at_s:
            instance.next_start_s = 0.0  # rounding may have woken it too early: it must wake again
        start_next(w.here, instance.stage, number)
    else:
        stage = stage_at(w.stages, number)
        if stage.next_token_s == at_s:
            stage.next_token_s = 0.0
        match(w.here, number, NONE)


@called
def chore_comes(w, chore):
    """Take a chore a step further."""
    kind = chore_at(w.chores, chore).kind
    if kind == C_CRASH:
        crash_comes(w.here, chore)
    elif kind == C_REPLACE:
        replace_slot(w.here, chore)
    elif kind in (C_START_LATER, C_MATCH_LATER):
        token_comes(w.here, chore, kind)
    elif kind == C_SHARED_END:
        shared_end_comes(w.here, chore)
    elif kind == C_OUTAGE:
        outage_comes(w.here, chore)
