"""A run of whatever a design can say: its tables, and its answers to what the loop wants."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from toolkit.design import Design, Poller, Stage
from toolkit.simulation.compiled_engine.draws import GENERATOR, generator_of
from toolkit.simulation.compiled_engine.events import EVENT, all_below
from toolkit.simulation.compiled_engine.full import loop, setup
from toolkit.simulation.compiled_engine.full import world as names
from toolkit.simulation.compiled_engine.loop_run import LoopRun
from toolkit.simulation.compiled_engine.memory import address
from toolkit.simulation.streams import Purpose, Streams

# records of the world that are used again: table, layout, field with their number, field with the room
POOLS = {
    "trips": (names.TRIP, "trip_count", "trip_room"),
    "messages": (names.MESSAGE, "message_count", "message_room"),
    "leases": (names.LEASE, "lease_count", "lease_room"),
    "chores": (names.CHORE, "chore_count", "chore_room"),
    "heap": (EVENT, "heap_count", "heap_room"),
}
OF_STAGES = {"queue": "queue_count", "kept": "kept_count", "shared": "shared_count"}


class FullRun(LoopRun):
    """One run through the loop in ``full``."""

    def __init__(self, design: Design, streams: Streams, horizon_s: float | None) -> None:
        streams_of_stages = len(design.stages) * names.STREAMS
        count = streams_of_stages + 2 * len(design.callers)
        super().__init__(design, streams, np.zeros(1, names.WORLD), count)
        self.run(horizon_s, loop.full_start, loop.full_loop)

    # --- before the run ---

    def make_books(self) -> None:
        """Make the tables that the loop writes in."""
        super().make_books()
        world, keep = self.world, self.tables.keep
        for name, (layout, _, room) in POOLS.items():
            world[room] = keep(name, np.empty(loop.FIRST_ROOM, layout)).size
        for name in ("free_trip", "free_message", "free_lease", "free_chore", "active"):
            world[name] = names.NONE
        for name in ("line", "urgent"):
            world[f"{name}_mask"] = keep(name, np.empty(loop.FIRST_ROOM, names.LINE)).size - 1
        world["lane_mask"] = keep("lane", np.empty(loop.FIRST_ROOM, EVENT)).size - 1
        keep("turns", np.zeros(loop.FIRST_ROOM * len(self.stages), np.int32))
        world["here"] = address(world)
        world["headroom"] = setup.headroom(self.design)
        world["has_short_way"] = setup.has_short_way(self.design)
        if self.classes is not None:
            keep("classes", self.classes.astype(np.int64))

    def make_stages(self) -> None:
        """Make the records of stages, instances and callers, and what they point to."""
        stages = self.tables.keep("stages", np.zeros(len(self.stages), names.STAGE))
        sizes = [setup.instances(self.design, number) for number in range(len(self.stages))]
        instances = self.tables.keep("instances", np.zeros(max(1, sum(sizes)), names.INSTANCE))
        self.sequences: list[tuple[int, int, int, int]] = []
        first = 0
        for number, stage in enumerate(self.stages):
            record = stages[number : number + 1]
            self.fill_door(record, number, stage)
            setup.fill_stage(record, self.design, number)
            record["first_instance"] = first
            self.point(record, "made", np.zeros(self.streams.jobs, np.int32), number)
            self.make_lines(record, number, stage)
            for k in range(sizes[number]):
                self.make_instance(instances[first + k : first + k + 1], number, k, first + k)
            first += sizes[number]
        self.make_callers()
        self.tables.keep("sequences", np.array([*self.sequences, (0, 0, 0, 0)], GENERATOR))
        chores = setup.planned_chores(self.design, stages["first_instance"].tolist())
        self.world["planned"] = self.world["chore_count"] = chores.size
        self.tables.grow("chores", 0, chores.size + loop.FIRST_ROOM)
        self.world["chore_room"] = self.tables["chores"].size
        self.tables["chores"][: chores.size] = chores

    def make_lines(self, record: npt.NDArray[np.void], number: int, stage: Stage) -> None:
        """Make a stage's queue and whatever else its kind has."""
        delivery = stage.delivery
        if record["kind"] == names.SHARED:
            self.point(record, "shared", np.empty(loop.FIRST_ROOM, EVENT), number)
            record["shared_room"] = loop.FIRST_ROOM
        if record["kind"] != names.BROKER:
            return
        for name in ("queue", "scratch"):
            self.point(record, name, np.empty(loop.FIRST_ROOM, EVENT), number)
        record["queue_room"] = loop.FIRST_ROOM
        if delivery is not None and isinstance(delivery.delayed, Poller):
            self.point(record, "kept", np.empty(loop.FIRST_ROOM, EVENT), number)
            record["kept_room"] = loop.FIRST_ROOM
        count = int(record["instances"][0])
        size = 1 << (stage.workers + count + 2).bit_length()
        self.point(record, "line", np.zeros(size, np.int64), number)
        record["line_mask"] = size - 1
        self.point(record, "ready", np.zeros(count, np.int64), number)
        self.point(record, "locked", np.zeros(max(1, int(record["groups"][0])), np.int64), number)
        limiter = setup.start_limit(stage, "queue")
        self.point(record, "queue_bucket", limiter, number)
        for name, purpose in (("choice", Purpose.CHOICE), ("order", Purpose.ORDER)):
            record[f"{name}_seed"] = self.sequence(purpose, stage.name, 0)

    def make_instance(self, record: npt.NDArray[np.void], number: int, k: int, place: int) -> None:
        """Make the record of one instance."""
        stage = self.stages[number]
        slots = int(self.tables["stages"]["slots"][number])
        record["stage"], record["number"], record["first_slot"] = number, place, k * slots
        self.point(record, "idle", all_below(slots), 1_000_000 + place)
        bucket = setup.start_limit(stage, "instance")
        self.point(record, "bucket", bucket, 1_000_000 + place)
        record["seed"] = self.sequence(Purpose.POLLER, stage.name, k)

    def sequence(self, purpose: Purpose, name: str, number: int) -> int:
        """Hand over the generator of a sequence that belongs to no job; return its number."""
        self.sequences.append(generator_of(self.streams.generator(purpose, name, number)))
        return len(self.sequences) - 1

    def make_callers(self) -> None:
        """Make the record of each level of callers."""
        callers = self.design.callers
        table = self.tables.keep("callers", np.zeros(max(1, len(callers)), names.CALLER))
        self.world["caller_count"] = len(callers)
        for level, caller in enumerate(callers):
            record = table[level : level + 1]
            retry, pauses = setup.fill_caller(record, caller)
            self.point(record, "retry", retry, 2_000_000 + level)
            self.tables.keep(f"pauses {2_000_000 + level}", pauses)
            self.point(record, "made", np.zeros(self.streams.jobs, np.int32), 2_000_000 + level)

    # --- draws ---

    def bound(self) -> float:
        """Return the highest attempt number that is possible."""
        return setup.most_attempts(self.design)

    def draw_stages(self, attempt: int) -> None:
        """Draw what attempts of this number may need in each stage, and of each caller."""
        for number, stage in enumerate(self.stages):
            self.draw_stage(number * names.STREAMS, stage, attempt)
        first = len(self.stages) * names.STREAMS
        for level, caller in enumerate(self.design.callers):
            name, stream = f"caller {level}", first + 2 * level
            if caller.timeout is not None and not isinstance(caller.timeout, int | float):
                row = self.streams.waits_s(caller.timeout, Purpose.TIMEOUT, name, attempt)
                self.draws.put(stream + names.TIMEOUT, attempt, row)
            jitter = stream + names.CALLER_JITTER
            self.draws.seed(jitter, attempt, Purpose.CALLER_JITTER, name)

    def draw_stage(self, first: int, stage: Stage, attempt: int) -> None:
        """Draw what attempts of this number may need in a stage."""
        draws, streams, name = self.draws, self.streams, stage.name
        self.draw_services(first + names.SERVICE, stage, attempt)
        if stage.failure:
            draws.uniforms(first + names.FAILURE, attempt, Purpose.FAILURE, name)
        if stage.share < 1 and attempt == 1:
            draws.uniforms(first + names.SHARE, 1, Purpose.SHARE, name)
        if stage.retry:
            draws.seed(first + names.JITTER, attempt, Purpose.JITTER, name)
        if stage.routes is not None:
            draws.seed(first + names.ROUTE, attempt, Purpose.ROUTE, name)
        if stage.patience is not None:
            row = streams.waits_s(stage.patience, Purpose.PATIENCE, name, attempt)
            draws.put(first + names.PATIENCE, attempt, row)
        delivery = stage.delivery
        if delivery is None:
            return
        if delivery.countdown is not None:
            row = streams.waits_s(delivery.countdown, Purpose.COUNTDOWN, name, attempt)
            draws.put(first + names.COUNTDOWN, attempt, row)
        if delivery.groups and attempt == 1:
            draws.uniforms(first + names.GROUP, 1, Purpose.GROUP, name)
        if delivery.poison and attempt == 1:
            draws.uniforms(first + names.POISON, 1, Purpose.POISON, name)

    # --- room ---

    def make_more_room(self) -> None:
        """Make whatever is full larger."""
        world = self.world
        many = int(world["live_trips"][0] + world["live_leases"][0]) + loop.MANY
        self.grow("rows", "row_count", "row_room", many)
        for name, (_, count, room_field) in POOLS.items():
            self.grow(name, count, room_field, many)
        for name in ("line", "urgent"):
            self.grow_ring(name, 2 * many + 1)
        self.grow_ring("lane", many)
        trips, room = int(world["trip_count"][0]), int(world["trip_room"][0])
        stages = len(self.stages)
        self.tables.grow("turns", trips * stages, (room - trips) * stages)
        for number in range(stages):
            self.make_more_room_in(number, many)

    def make_more_room_in(self, number: int, many: int) -> None:
        """Make a stage's queues larger."""
        record = self.tables["stages"][number : number + 1]
        for name, count in OF_STAGES.items():
            table = f"{name} {number}"
            if table in self.tables:
                record[f"{name}_room"] = self.tables.grow(table, int(record[count][0]), many)
                record[name] = self.tables.where(table)
        if f"scratch {number}" in self.tables:
            self.tables.grow(f"scratch {number}", 0, self.tables[f"queue {number}"].size)
            record["scratch"] = self.tables.where(f"scratch {number}")

    @property
    def now_s(self) -> float:
        """When the last event was, if only that of a lease that was over."""
        return float(max(self.world["now"][0], self.world["last_s"][0]))
