"""Who does the work: this process, its threads, other processes, or a Dask cluster.

Work says all that its result depends on, so none of this changes a number; it is about time alone.
The compiled engine lets go of Python's lock, so threads share its runs.  SimPy holds on to it, so its
runs go to processes, once they would take longer than the processes take to start.
Work is handed out a little at a time, and what was finished is passed on at once, in any order.
"""

from __future__ import annotations

import itertools
import math
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Literal

from toolkit import _check
from toolkit.design import Design
from toolkit.experiments.work import Seen, Work, measure
from toolkit.simulation import Engine, engine_for

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    from distributed import Client

PAYS_S = 2.0
"""Seconds of work from which processes are started: they need about one to load what they run."""

AHEAD = 1_000
"""Pieces of work that a cluster is given in advance; more workers than that would go without."""

SHARE = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux says how much of its processors a container may use."""

Done = tuple[Work, dict[str, Seen]]
Means = Literal["here", "threads", "processes", "cluster"]

_STARTING = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """How many runs there may be at once, and by what means."""

    means: Means
    parallel: int
    client: Client | None = None

    def finished(self, works: Iterable[Work], most: int) -> Generator[Done, None, None]:
        """Yield each of ``works`` with its result when it is finished; there are ``most`` at most.

        Close the iterator to call off what is not finished.
        """
        works = iter(works)
        if self.client is not None:
            yield from _from_cluster(self.client, works, self.parallel)
        elif self.means == "threads":
            yield from _from_threads(works, self.parallel)
        else:
            yield from _from_here(works, most if self.means == "processes" else 0)
            yield from _from_processes(works, self.parallel)


def crew_for(
    designs: Iterable[Design], *, engine: Engine, parallel: int | None, client: Client | None
) -> Crew:
    """Return who will run ``designs``; raises ``ValueError`` for an argument out of range."""
    _check.choice("engine", engine, ("auto", "simpy", "compiled"))
    if parallel is not None:
        _check.count("parallel", parallel)
    designs = list(designs)
    engines = {engine_for(design, engine) for design in designs}
    if client is not None:
        return Crew(means="cluster", parallel=parallel or AHEAD, client=_checked(client))
    parallel = parallel or _processors()
    if parallel == 1:
        return Crew(means="here", parallel=1)
    if engines == {"compiled"}:
        return Crew(means="threads", parallel=parallel)
    can_travel = all(map(_can_travel, designs))
    return Crew(means="processes" if can_travel else "here", parallel=parallel)


def _handed_out(
    submit: Callable[[Work], Any], works: Iterator[Work], at_once: int
) -> Generator[Done, None, None]:
    """Keep ``at_once`` pieces of work given out; futures of a pool and of Dask are alike here."""
    given: dict[Any, Work] = {}
    done: SimpleQueue[Any] = SimpleQueue()
    try:
        while True:
            for work in itertools.islice(works, at_once - len(given)):
                future = submit(work)
                given[future] = work
                future.add_done_callback(done.put)
            if not given:
                return
            future = done.get()
            yield given.pop(future), future.result()
    finally:
        for future in given:
            future.cancel()


# --- here ---


def _from_here(works: Iterator[Work], left: int) -> Generator[Done, None, None]:
    """Work in this process, until it shows that processes would pay for the ``left``, if any."""
    for work in works:
        began_s = time.perf_counter()  # decides where the rest is done, and nothing else
        seen = measure(work)
        left -= 1
        pays = left > 1 and left * (time.perf_counter() - began_s) > PAYS_S
        yield work, seen
        if pays:
            return


def _from_threads(works: Iterator[Work], parallel: int) -> Generator[Done, None, None]:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415, loaded with the first use

    pool = ThreadPoolExecutor(parallel)
    try:
        yield from _handed_out(lambda work: pool.submit(measure, work), works, 2 * parallel)
    finally:
        pool.shutdown(cancel_futures=True)


def _processors() -> int:
    """Return how many processors this process may use; of a container, the share that it was given."""
    known = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = SHARE.read_text(encoding="ascii").split()
        share = math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or no limit, which is the word "max"
        return known or 1
    return max(1, min(known or 1, share))


# --- processes ---


def _from_processes(works: Iterator[Work], parallel: int) -> Generator[Done, None, None]:
    first = next(works, None)
    if first is None:
        return
    from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415, loaded with the first use

    works = itertools.chain([first], works)
    pool = _process_pool(parallel)

    def submit(work: Work) -> Any:
        with _main_left_out():
            return pool.submit(measure, work)

    is_finished = False
    try:
        yield from _handed_out(submit, works, 2 * parallel)
        is_finished = True
    except BrokenProcessPool as error:
        error.add_note("short of memory? parallel=1 does all the work in one process")
        raise
    finally:
        if not is_finished:  # nobody waits for what they are at
            for process in list((pool._processes or {}).values()):  # noqa: SLF001, public from 3.14
                process.terminate()
        pool.shutdown(cancel_futures=True)


def _process_pool(parallel: int) -> ProcessPoolExecutor:
    import multiprocessing  # noqa: PLC0415, loaded with the first use
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415

    # fresh processes: a copy of one with threads, as every notebook's kernel is, may hang
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(parallel, mp_context=context, initializer=_begin)


def _begin() -> None:
    """Prepare a process: an interrupt is for the one who asked, and who is gone needs no answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    import multiprocessing  # noqa: PLC0415

    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # the parent was killed, and nobody else ends its processes


def _can_travel(design: Design) -> bool:
    """Say whether a process can read ``design``: not if it has a class from a cell or the script."""
    try:
        return b"__main__" not in pickle.dumps(design)
    except (AttributeError, TypeError, pickle.PicklingError):
        return False


@contextmanager
def _main_left_out() -> Iterator[None]:
    """Let a process start without running the user's script again: it needs this package only."""
    main = vars(sys.modules["__main__"])
    with _STARTING:
        kept: dict[str, Any] = {key: main[key] for key in ("__file__", "__spec__") if key in main}
        main.pop("__file__", None)
        main["__spec__"] = None
        try:
            yield
        finally:
            main.update(kept)


# --- a cluster ---


def _from_cluster(
    client: Client, works: Iterator[Work], at_once: int
) -> Generator[Done, None, None]:
    # pure=False: a name for each piece of work, instead of one made from all that is in it
    yield from _handed_out(lambda work: client.submit(measure, work, pure=False), works, at_once)


def _checked(client: Client) -> Client:
    try:
        from distributed import Client  # noqa: PLC0415, an extra, and slow to load
    except ImportError as error:
        raise ImportError("client needs Dask: pip install goodput-lab[cluster]") from error
    _check.kind("client", client, Client)
    return client
