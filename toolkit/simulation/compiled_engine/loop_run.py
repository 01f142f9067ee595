"""What the runs of both loops have in common: tables, draws, and answers to what a loop wants."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.arrivals import Closed
from toolkit.design import Design, Stage
from toolkit.simulation.codes import UNFINISHED, most_rows
from toolkit.simulation.compiled_engine.columns import ROW, records_of
from toolkit.simulation.compiled_engine.draws import quick
from toolkit.simulation.compiled_engine.events import all_below
from toolkit.simulation.compiled_engine.memory import address
from toolkit.simulation.compiled_engine.plain_world import (
    GAVE_UP,
    STOPPED,
    WANTS_DRAWS,
    WANTS_ROOM,
)
from toolkit.simulation.compiled_engine.rules import bucket_of, retry_of
from toolkit.simulation.compiled_engine.tables import ALL_READY, Draws, Tables, rooms
from toolkit.simulation.records import Records
from toolkit.simulation.streams import Purpose, Streams, is_apart

FIRST_ROOM = 1024
FEW_THINKS = 1 << 16  # so many numbers may be drawn in vain
GIVEN_UP = "it makes attempts without end, or too many at one moment"


class LoopRun:
    """One run through a loop of events; ``gave_up`` says why it came to no end."""

    engine = "compiled"

    def __init__(
        self,
        design: Design,
        streams: Streams,
        world: npt.NDArray[np.void],
        count: int,
    ) -> None:
        self.design, self.streams, self.world = design, quick(streams), world
        self.tables = Tables(world)
        self.stages = list(design.stages)
        self.has_routes = any(stage.routes is not None for stage in self.stages)
        shares = {kind.name: kind.share for kind in design.classes}
        self.classes = streams.classes(shares) if shares else None
        self.draws = Draws(self.tables, self.streams, count)
        self.make_books()
        self.make_stages()
        self.draw(1)
        self.make_sources()

    # --- before the run ---

    def make_books(self) -> None:
        """Make the tables that a loop writes its records in."""
        world, keep, jobs = self.world, self.tables.keep, self.streams.jobs
        world["jobs"], world["stage_count"] = jobs, len(self.stages)
        world["has_routes"] = self.has_routes
        keep("arrived_s", np.empty(jobs))
        keep("finished_s", np.full(jobs, math.nan))
        keep("outcomes", np.full(jobs, UNFINISHED, np.int8))
        world["row_room"] = keep("rows", np.empty(rooms(jobs, self.stages), ROW)).size

    def make_stages(self) -> None:
        """Make the record of each stage, and what it points to."""
        raise NotImplementedError

    def fill_door(self, record: npt.NDArray[np.void], number: int, stage: Stage) -> None:
        """Fill in what every kind of stage has."""
        names = [stage.name for stage in self.stages]
        record["failure"], record["share"] = stage.failure, stage.share
        record["mean_s"] = getattr(stage.service, "mean_s", math.nan)
        record["workers"] = stage.workers
        record["capacity"] = -1 if stage.capacity is None else stage.capacity
        record["route_count"] = -1 if stage.routes is None else len(stage.routes)
        routes = [(float(names.index(n)), share) for n, share in (stage.routes or {}).items()]
        retry, pauses = retry_of(stage.retry)
        self.tables.keep(f"pauses {number}", pauses)
        parts = {
            "idle": all_below(stage.workers),
            "retry": retry,
            "bucket": bucket_of(stage.limiter),
            "routes": np.array([*routes, (0.0, 0.0)]),
        }
        for name, part in parts.items():
            self.point(record, name, part, number)

    def point(
        self, record: npt.NDArray[np.void], name: str, table: npt.NDArray[Any], number: int
    ) -> None:
        """Point a field of a record to a table of its own."""
        record[name] = address(self.tables.keep(f"{name} {number}", table))

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

    # --- draws ---

    def bound(self) -> float:
        """Return the highest attempt number that is possible."""
        raise NotImplementedError

    def draw(self, attempt: int) -> None:
        """Draw what all jobs' attempts of this number may need."""
        self.draws.make_room(attempt)
        self.draw_stages(attempt)
        is_last = attempt >= self.bound()
        self.world["attempts_ready"] = ALL_READY if is_last else attempt

    def draw_stages(self, attempt: int) -> None:
        """Draw what attempts of this number may need in each stage."""
        raise NotImplementedError

    def draw_services(self, stream: int, stage: Stage, attempt: int) -> None:
        """Draw the service times of all jobs, or hand over the generator if each can be had alone."""
        if self.classes is None and is_apart(stage.service, attempt):
            self.draws.seed(stream, attempt, Purpose.SERVICE, stage.name)
        else:
            row = self.streams.stage_services_s(self.design, stage, self.classes, attempt)
            self.draws.put(stream, attempt, row)

    def draw_thinks(self) -> None:
        """Draw how long users think before a few more turns, for few users before many more."""
        arrivals = self.design.arrivals
        assert isinstance(arrivals, Closed)
        for _ in range(max(4, min(len(self.thinks), FEW_THINKS // arrivals.users))):
            row = self.streams.thinks_s(arrivals.think, arrivals.users, len(self.thinks))
            self.thinks.append(row)
        self.tables.keep("thinks", np.array([address(row) for row in self.thinks]))
        self.world["thinks_ready"] = len(self.thinks)

    # --- the run ---

    def run(
        self, horizon_s: float | None, start: Callable[[int], Any], loop: Callable[[int], int]
    ) -> None:
        """Run to the end or the horizon."""
        self.world["horizon_s"] = math.nan if horizon_s is None else horizon_s
        most, at_once = most_rows(self.streams.jobs)
        self.world["most_rows"] = most if horizon_s is None else ALL_READY
        self.world["most_rows_at_once"] = at_once
        where = address(self.world)
        start(where)
        end = WANTS_ROOM
        while end in (WANTS_ROOM, WANTS_DRAWS):
            end = int(loop(where))
            if end == WANTS_ROOM:
                self.make_more_room()
            elif end == WANTS_DRAWS:
                self.draw_more()
        self.stopped = end == STOPPED
        self.gave_up = GIVEN_UP if end == GAVE_UP else None

    def make_more_room(self) -> None:
        """Make whatever is full larger."""
        raise NotImplementedError

    def grow(self, name: str, count: str, room: str, least: int) -> None:
        """Make a table of the world's larger if it has fewer than ``least`` places left."""
        self.world[room] = self.tables.grow(name, int(self.world[count][0]), least)

    def grow_ring(self, name: str, least: int) -> None:
        """Make a line larger if it has fewer than ``least`` places left."""
        first, count = (int(self.world[f"{name}_{part}"][0]) for part in ("first", "count"))
        mask, first = self.tables.grow_ring(name, first, count, least)
        self.world[f"{name}_mask"], self.world[f"{name}_first"] = mask, first

    def draw_more(self) -> None:
        """Draw another round of whatever has been used up."""
        world = self.world
        if world["most_turn"][0] + 1 >= world["thinks_ready"][0]:
            self.draw_thinks()
        else:
            self.draw(int(world["attempts_ready"][0]) + 1)

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
        return records_of(self.tables["rows"][: self.made], jobs, in_turn=self.in_turn())

    def in_turn(self) -> bool:
        """Say whether the attempts of each job were made in order of stage and attempt."""
        return False
