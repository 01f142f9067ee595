"""A run of plain stages: its tables, and its answers to what the loop wants."""

from __future__ import annotations

import math

import numpy as np

from toolkit.design import Design, Stage
from toolkit.simulation.compiled_engine import plain, plain_world
from toolkit.simulation.compiled_engine.events import EVENT
from toolkit.simulation.compiled_engine.loop_run import FIRST_ROOM, LoopRun
from toolkit.simulation.streams import Purpose, Streams


def is_simple(design: Design) -> bool:
    """Say whether ``design`` is one stage with nothing before its door, and nothing after it."""
    stage = design.stages[0]
    return (
        len(design.stages) == 1
        and stage.limiter is None
        and stage.routes is None
        and stage.share == 1
        and (stage.retry is None or stage.retry.budget is None)
    )


class PlainRun(LoopRun):
    """One run through the loop in ``plain``."""

    def __init__(self, design: Design, streams: Streams, horizon_s: float | None) -> None:
        count = len(design.stages) * plain_world.STREAMS
        super().__init__(design, streams, np.zeros(1, plain_world.WORLD), count)
        self.run(horizon_s, plain.plain_start, plain.plain_loop)

    def make_books(self) -> None:
        """Make the tables that the loop writes in."""
        super().make_books()
        world, keep = self.world, self.tables.keep
        world["free_visit"] = -1
        world["has_shares"] = any(stage.share < 1 for stage in self.stages)
        world["is_simple"] = is_simple(self.design)
        world["headroom"] = 4 if self.has_routes else 0
        world["heap_room"] = keep("heap", np.empty(FIRST_ROOM, EVENT)).size
        world["line_mask"] = keep("line", np.empty(FIRST_ROOM, np.int64)).size - 1
        world["visit_room"] = keep("visits", np.empty(FIRST_ROOM, plain_world.VISIT)).size
        keep("turns", np.empty(FIRST_ROOM * len(self.stages), np.int32))

    def make_stages(self) -> None:
        """Make the record of each stage, and what it points to."""
        table = self.tables.keep("stages", np.zeros(len(self.stages), plain_world.STAGE))
        for number, stage in enumerate(self.stages):
            record = table[number : number + 1]
            self.fill_door(record, number, stage)
            if self.has_routes:
                self.point(record, "made", np.zeros(self.streams.jobs, np.int32), number)

    def bound(self) -> float:
        """Return the highest attempt number that is possible."""
        return math.inf if self.has_routes else max(stage.max_attempts for stage in self.stages)

    def draw_stages(self, attempt: int) -> None:
        """Draw what attempts of this number may need in each stage."""
        for number, stage in enumerate(self.stages):
            first = number * plain_world.STREAMS
            if self.has_routes or attempt <= stage.max_attempts:
                self.draw_services(first + plain_world.SERVICE, stage, attempt)
            self.draw_uniforms(first, stage, attempt)

    def draw_uniforms(self, first: int, stage: Stage, attempt: int) -> None:
        """Draw the uniform numbers that every job uses; of others hand over the generator."""
        name, draws = stage.name, self.draws
        if stage.failure:
            draws.uniforms(first + plain_world.FAILURE, attempt, Purpose.FAILURE, name)
        if stage.share < 1 and attempt == 1:
            draws.uniforms(first + plain_world.SHARE, 1, Purpose.SHARE, name)
        if stage.retry:
            draws.seed(first + plain_world.JITTER, attempt, Purpose.JITTER, name)
        if stage.routes is not None:
            draws.seed(first + plain_world.ROUTE, attempt, Purpose.ROUTE, name)

    def make_more_room(self) -> None:
        """Make whatever is full larger."""
        least = 4 * plain_world.SURE
        self.grow("rows", "row_count", "row_room", least)
        self.grow("heap", "heap_count", "heap_room", least)
        self.grow("visits", "visit_count", "visit_room", least)
        self.grow_ring("line", least)
        visits, room, stages = (
            int(self.world[name][0]) for name in ("visit_count", "visit_room", "stage_count")
        )
        self.tables.grow("turns", visits * stages, (room - visits) * stages)

    def in_turn(self) -> bool:
        """Say whether the attempts of each job were made in order of stage and attempt."""
        return not self.has_routes
