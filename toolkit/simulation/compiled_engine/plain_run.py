"""A run of plain stages: its tables, the loop, and its answers to what the loop wants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.arrivals import Closed
from toolkit.design import Design, Stage
from toolkit.simulation.compiled_engine import plain, plain_world
from toolkit.simulation.compiled_engine.columns import ROW, records_of
from toolkit.simulation.compiled_engine.events import EVENT
from toolkit.simulation.compiled_engine.memory import address
from toolkit.simulation.compiled_engine.rules import bucket_of, retry_of
from toolkit.simulation.compiled_engine.tables import ALL_READY, Draws, Tables, rooms
from toolkit.simulation.records import UNFINISHED, Records
from toolkit.simulation.simpy_engine.system import most_rows
from toolkit.simulation.streams import Purpose, Streams

FIRST_ROOM = 1024
GIVEN_UP = "it made too many attempts or turns at one moment"


class PlainRun:
    """One run through the loop in ``plain``; ``gave_up`` says why it came to no end."""

    engine = "compiled"

    def __init__(self, design: Design, streams: Streams, horizon_s: float | None) -> None:
        self.design, self.streams = design, streams
        self.world = np.zeros(1, plain_world.WORLD)
        self.tables = Tables(self.world)
        self.stages = list(design.stages)
        self.has_routes = any(stage.routes is not None for stage in self.stages)
        shares = {kind.name: kind.share for kind in design.classes}
        self.classes = streams.classes(shares) if shares else None
        most, at_once = most_rows(streams.jobs)
        self.world["most_rows"] = most if horizon_s is None else ALL_READY
        self.world["most_rows_at_once"] = at_once
        self.make_room()
        self.make_stages()
        self.draws = Draws(self.tables, streams, len(self.stages) * plain_world.STREAMS)
        self.most_attempt = self.bound()
        self.draw(1)
        self.make_sources()
        end = self.run(horizon_s)
        self.stopped = end == plain_world.STOPPED
        self.gave_up = GIVEN_UP if end == plain_world.GAVE_UP else None

    # --- before the run ---

    def make_room(self) -> None:
        """Make the tables that the loop writes in."""
        world, keep, jobs = self.world, self.tables.keep, self.streams.jobs
        world["jobs"], world["free_visit"] = jobs, -1
        keep("arrived_s", np.empty(jobs))
        keep("finished_s", np.full(jobs, math.nan))
        keep("outcomes", np.full(jobs, UNFINISHED, np.int8))
        world["row_room"] = keep("rows", np.empty(rooms(jobs, self.stages), ROW)).size
        world["heap_room"] = keep("heap", np.empty(FIRST_ROOM, EVENT)).size
        world["line_mask"] = keep("line", np.empty(FIRST_ROOM, np.int64)).size - 1
        world["visit_room"] = keep("visits", np.empty(FIRST_ROOM, plain_world.VISIT)).size
        keep("turns", np.empty(FIRST_ROOM * len(self.stages), np.int32))

    def make_stages(self) -> None:
        """Make the record of each stage, and what it points to."""
        table = self.tables.keep("stages", np.zeros(len(self.stages), plain_world.STAGE))
        self.world["stage_count"] = len(self.stages)
        self.world["has_routes"] = self.has_routes
        self.world["has_shares"] = any(stage.share < 1 for stage in self.stages)
        names = [stage.name for stage in self.stages]
        for number, stage in enumerate(self.stages):
            record = table[number : number + 1]
            record["failure"], record["share"] = stage.failure, stage.share
            record["workers"] = record["idle_count"] = stage.workers
            record["capacity"] = -1 if stage.capacity is None else stage.capacity
            idle = np.arange(stage.workers, dtype=np.int32)
            retry, pauses = retry_of(stage.retry)
            routes = [(float(names.index(n)), share) for n, share in (stage.routes or {}).items()]
            parts: dict[str, npt.NDArray[Any]] = {
                "idle": idle,
                "retry": retry,
                "bucket": bucket_of(stage.limiter),
                "routes": np.array([*routes, (0.0, 0.0)]),
            }
            if self.has_routes:
                parts["made"] = np.zeros(self.streams.jobs, np.int32)
            for name, part in parts.items():
                record[name] = address(self.tables.keep(f"{name} {number}", part))
            self.tables.keep(f"pauses {number}", pauses)
            record["route_count"] = -1 if stage.routes is None else len(routes)

    def make_sources(self) -> None:
        """Hand over what the sources need."""
        arrivals = self.design.arrivals
        if isinstance(arrivals, Closed):
            self.world["users"] = arrivals.users
            self.tables.keep("user_turns", np.zeros(arrivals.users, np.int32))
            self.tables.keep("thinks", np.zeros(0, np.int64))
            self.thinks: list[npt.NDArray[np.float64]] = []
            self.draw_thinks()
        else:
            self.world["thinks_ready"] = ALL_READY
            self.tables.keep("gaps_s", self.streams.gaps_s(arrivals))

    def bound(self) -> float:
        """Return the highest attempt number that is possible."""
        return math.inf if self.has_routes else max(stage.max_attempts for stage in self.stages)

    # --- draws ---

    def draw(self, attempt: int) -> None:
        """Draw what all jobs' attempts of this number may need."""
        self.draws.make_room(attempt)
        for number, stage in enumerate(self.stages):
            first = number * plain_world.STREAMS
            if self.has_routes or attempt <= stage.max_attempts:
                row = self.streams.stage_services_s(self.design, stage, self.classes, attempt)
                self.draws.put(first + plain_world.SERVICE, attempt, row)
            self.seed_uniforms(first, stage, attempt)
        is_last = attempt >= self.most_attempt
        self.world["attempts_ready"] = ALL_READY if is_last else attempt

    def seed_uniforms(self, first: int, stage: Stage, attempt: int) -> None:
        """Draw the uniform numbers that every job uses; of others hand over the generator."""
        name, draws = stage.name, self.draws
        if attempt == 1 and stage.failure:
            draws.put(first + plain_world.FAILURE, 1, self.streams.failures(name, 1))
        elif stage.failure:
            draws.seed(first + plain_world.FAILURE, attempt, Purpose.FAILURE, name)
        if attempt == 1 and stage.share < 1:
            row = self.streams.at_stage(Purpose.SHARE, name, 1)
            draws.put(first + plain_world.SHARE, 1, row)
        if stage.retry:
            draws.seed(first + plain_world.JITTER, attempt, Purpose.JITTER, name)
        if stage.routes is not None:
            draws.seed(first + plain_world.ROUTE, attempt, Purpose.ROUTE, name)

    def draw_thinks(self) -> None:
        """Draw how long users think before another turn."""
        arrivals = self.design.arrivals
        assert isinstance(arrivals, Closed)
        for _ in range(4):
            row = self.streams.thinks_s(arrivals.think, arrivals.users, len(self.thinks))
            self.thinks.append(row)
        self.tables.keep("thinks", np.array([address(row) for row in self.thinks]))
        self.world["thinks_ready"] = len(self.thinks)

    # --- the run ---

    def run(self, horizon_s: float | None) -> int:
        """Run to the end or the horizon; return how it ended."""
        self.world["horizon_s"] = math.nan if horizon_s is None else horizon_s
        where = address(self.world)
        plain.plain_start(where)
        while True:
            end = int(plain.plain_loop(where))
            if end == plain_world.WANTS_ROOM:
                self.make_more_room()
            elif end == plain_world.WANTS_DRAWS:
                self.draw_more()
            else:
                return end

    def make_more_room(self) -> None:
        """Make whatever is full larger."""
        world, grow = self.world, self.tables.grow
        world["row_room"] = grow("rows", int(world["row_count"][0]), 8)
        world["heap_room"] = grow("heap", int(world["heap_count"][0]), 8)
        first, count = int(world["line_first"][0]), int(world["line_count"][0])
        world["line_mask"], world["line_first"] = self.tables.grow_ring("line", first, count, 8)
        visits = int(world["visit_count"][0])
        world["visit_room"] = grow("visits", visits, 8)
        stages = len(self.stages)
        grow("turns", visits * stages, (int(world["visit_room"][0]) - visits) * stages)

    def draw_more(self) -> None:
        """Draw another round of whatever has been used up."""
        world = self.world
        if world["most_attempt"] >= world["attempts_ready"]:
            self.draw(int(world["attempts_ready"][0]) + 1)
        else:
            self.draw_thinks()

    # --- after the run ---

    @property
    def now_s(self) -> float:
        """When the last event was."""
        return float(self.world["now"][0])

    @property
    def made(self) -> int:
        """How many attempts there were."""
        return int(self.world["row_count"][0])

    @property
    def arrived(self) -> int:
        """How many jobs arrived."""
        return int(self.world["arrived"][0])

    @property
    def unfinished(self) -> int:
        """How many of those were unfinished at the end."""
        return self.arrived - int(self.world["settled"][0])

    def records(self) -> Records:
        """Return what was written down."""
        fields = {"arrived_s": "arrived_s", "finished_s": "finished_s", "outcome": "outcomes"}
        jobs = {field: self.tables[name][: self.arrived] for field, name in fields.items()}
        return records_of(self.tables["rows"][: self.made], jobs)
