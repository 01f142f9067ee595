"""Who does the work changes no number: not threads, not processes, not the order of finishing."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import types
import weakref

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from toolkit.experiments import crew, grid, replications, selection, work


def pool(workers=1, rate_per_s=0.5, mean_s=1.0):
    stage = tk.Stage(name="work", service=tk.Exponential(mean_s=mean_s), workers=workers)
    return tk.Design(arrivals=tk.Poisson(rate_per_s=rate_per_s), stages=[stage])


QUICK = {"jobs": 40, "seed": 3, "engine": "simpy", "progress": False}


def experiments(**how):
    """Return the tables of one experiment of each kind."""
    how = QUICK | how
    trio = {"1": pool(1), "2": pool(2), "slow": pool(2, mean_s=1.3)}
    compared = tk.compare(trio, replications=3, **how)
    precise = tk.replicate(pool(), precision=0.3, replications=4, max_replications=40, **how)
    found = tk.best(
        trio, figure="sojourn_mean_s", indifference=0.2, replications=4, max_replications=40, **how
    )
    swept = tk.sweep(pool, workers=[1, 2], mean_s=[0.5, 1.0], replications=2, **how)
    return [
        swept,
        compared.table(),
        *(done.figures for done in compared.replications.values()),
        precise.figures,
        found.table(),
        *(done.figures for done in found.replications.values()),
    ]


def assert_same(tables, others):
    for table, other in zip(tables, others, strict=True):
        pd.testing.assert_frame_equal(table, other, check_exact=True)


# --- the same numbers ---


def shuffled(seed, ahead):
    """Return a crew that hands out ``ahead`` pieces of work at a time and finishes them in any order."""
    rng = np.random.default_rng(seed)

    def finished(works, _most):
        given, works = [], iter(works)
        while True:
            given += itertools.islice(works, ahead - len(given))
            if not given:
                return
            one = given.pop(rng.integers(len(given)))
            yield one, work.measure(one)

    return lambda *_, **__: types.SimpleNamespace(finished=finished)


@pytest.mark.parametrize("ahead", [2, 5, 12])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_finishing_changes_nothing(monkeypatch, seed, ahead):
    """Also where a decision to stop is taken on the way: it goes by the order of replications."""
    alone = experiments(parallel=1)
    for module in (replications, selection, grid):
        monkeypatch.setattr(module, "crew_for", shuffled(seed, ahead))

    assert_same(alone, experiments())


def test_threads_give_the_same_figures(monkeypatch):
    """Here with SimPy's engine in them, which is slower so, and as correct."""
    alone = experiments(parallel=1)
    monkeypatch.setattr(crew, "engine_for", lambda *_: "compiled")
    made = []
    monkeypatch.setattr(crew, "_from_threads", noted(crew._from_threads, made))

    assert_same(alone, experiments(parallel=3))
    assert made


def noted(function, made):
    def wrapper(*arguments):
        made.append(arguments)
        return function(*arguments)

    return wrapper


@pytest.mark.slow
def test_processes_give_the_same_figures(monkeypatch):
    """Fresh ones, which know nothing of this one but the work."""
    alone = experiments(parallel=1)
    monkeypatch.setattr(crew, "PAYS_S", 0.0)
    made = []
    monkeypatch.setattr(crew, "_process_pool", noted(crew._process_pool, made))

    assert_same(alone, experiments(parallel=2))
    assert len(made) == 4


@pytest.mark.parametrize("replication", [0, 3])
def test_a_replication_alone_is_the_same_in_any_experiment(replication):
    """Whatever was run before it, and beside it."""
    alone = tk.simulate(pool(), jobs=40, seed=3, replication=replication, engine="simpy").summary()
    swept = tk.sweep(pool, workers=[2, 1], replications=4, warmup=0, **QUICK)
    row = swept[(swept["workers"] == 1) & (swept["replication"] == replication)].iloc[0]
    again = tk.replicate(pool(), replications=4, warmup=0, **QUICK).figures.loc[replication]

    assert row[alone.index].to_dict() == alone.to_dict()
    assert again[alone.index].to_dict() == alone.to_dict()


# --- who it is ---


def test_one_at_a_time_needs_nobody_else():
    assert crew.crew_for([pool()], engine="auto", parallel=1, client=None).means == "here"


def test_simpy_goes_to_processes_and_the_compiled_engine_to_threads(monkeypatch):
    """One design that only SimPy knows sends all of them to processes."""
    designs = [pool(1), pool(2)]

    def means(engines):
        monkeypatch.setattr(crew, "engine_for", lambda design, _: engines[designs.index(design)])
        return crew.crew_for(designs, engine="auto", parallel=2, client=None).means

    assert means(["simpy", "simpy"]) == "processes"
    assert means(["compiled", "simpy"]) == "processes"
    assert means(["compiled", "compiled"]) == "threads"


def test_processes_wait_until_they_pay(monkeypatch):
    """Short work is done before another process has loaded numpy."""
    made = []
    monkeypatch.setattr(crew, "_process_pool", noted(crew._process_pool, made))
    tk.replicate(pool(), replications=10, parallel=2, **QUICK)

    assert made == []


def test_what_only_this_process_knows_stays_here(monkeypatch):
    """A class from a notebook's cell cannot be read by a process that has not run the cell."""
    main = sys.modules["__main__"]
    cell = dataclasses.dataclass(frozen=True)(type("FromACell", (tk.Deterministic,), {}))
    cell.__module__, cell.__qualname__ = "__main__", "FromACell"
    monkeypatch.setattr(main, "FromACell", cell, raising=False)
    stage = tk.Stage(name="work", service=cell(value_s=1.0))
    design = tk.Design(arrivals=tk.Poisson(rate_per_s=0.5), stages=[stage])

    assert crew.crew_for([design], engine="simpy", parallel=2, client=None).means == "here"


def test_no_more_runs_at_once_than_asked_for(monkeypatch):
    """And no more than twice as many are thought of: a long sweep is not a long list."""
    monkeypatch.setattr(crew, "engine_for", lambda *_: "compiled")
    lock, now, seen, begun = threading.Lock(), [0], [], [0]

    def measure(one):
        with lock:
            now[0] += 1
            seen.append(now[0])
        time.sleep(0.001)
        with lock:
            now[0] -= 1
        return one

    def works():
        for number in range(60):
            begun[0] += 1
            yield number

    monkeypatch.setattr(crew, "measure", measure)
    hands = crew.crew_for([pool()], engine="auto", parallel=3, client=None)
    for count, _ in enumerate(hands.finished(works(), 60)):
        assert begun[0] - count <= 6

    assert max(seen) <= 3
    assert len(seen) == 60


def test_records_are_dropped_with_their_run(monkeypatch):
    """Only figures are kept: a sweep of any length fits into memory."""
    runs, alive, simulate = weakref.WeakSet(), [], work.simulate

    def watched(*arguments, **more):
        alive.append(len(runs))
        run = simulate(*arguments, **more)
        runs.add(run)
        return run

    monkeypatch.setattr(work, "simulate", watched)
    tk.replicate(pool(), replications=5, parallel=1, **QUICK)
    tk.sweep(pool, workers=[1, 2, 3], replications=2, parallel=1, **QUICK)

    assert max(alive) <= 1


@pytest.mark.parametrize(
    ("share", "processors"),
    [("150000 100000", 2), ("10000 100000", 1), ("max 100000", 8), ("900000 100000", 8), (None, 8)],
)
def test_a_container_uses_the_share_it_was_given(monkeypatch, tmp_path, share, processors):
    """A classroom's server is a small part of a large machine."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    monkeypatch.setattr(crew, "SHARE", tmp_path / "cpu.max")
    if share is not None:
        (tmp_path / "cpu.max").write_text(share + "\n")

    assert crew._processors() == processors


# --- interrupts and kills ---


def interrupt_at(monkeypatch, number):
    """Let Ctrl-C come in the middle of a run."""
    calls = []

    def measure(one):
        calls.append(one)
        if len(calls) == number:
            raise KeyboardInterrupt
        return work.measure(one)

    monkeypatch.setattr(crew, "measure", measure)


@pytest.mark.parametrize("finished", [2, 3])
def test_an_interrupt_keeps_the_replications_that_are_finished(monkeypatch, finished):
    """They are those of a whole experiment, and it says how many they are."""
    whole = tk.replicate(pool(), replications=6, parallel=1, **QUICK)
    interrupt_at(monkeypatch, finished + 1)
    with pytest.warns(UserWarning, match=f"interrupted: {finished} of 6 replications"):
        part = tk.replicate(pool(), replications=6, parallel=1, **QUICK)

    assert_same([whole.figures[:finished]], [part.figures])
    assert any("interrupted" in text for text in part.warnings)


def test_an_interrupted_comparison_is_of_whole_pairs(monkeypatch):
    """A replication counts when all designs have done it."""
    interrupt_at(monkeypatch, 4)
    with pytest.warns(UserWarning, match="interrupted: 3 of 6"):
        part = tk.compare({"1": pool(1), "2": pool(2)}, replications=6, parallel=1, **QUICK)

    assert [len(done.figures) for done in part.replications.values()] == [3, 3]
    assert part.table().notna().to_numpy().any()


@pytest.mark.parametrize("finished", [0, 1])
def test_an_interrupt_that_leaves_nothing_to_say_stays_one(monkeypatch, finished):
    """One replication has no interval."""
    for ask in (
        lambda: tk.replicate(pool(), parallel=1, **QUICK),
        lambda: tk.best({"1": pool(1), "2": pool(2)}, indifference=0.1, parallel=1, **QUICK),
    ):
        interrupt_at(monkeypatch, finished + 1)
        with pytest.raises(KeyboardInterrupt):
            ask()


def test_an_interrupted_choice_is_none(monkeypatch):
    """What is known until then can be looked at."""
    interrupt_at(monkeypatch, 8)
    with pytest.warns(UserWarning, match="interrupted: 3 of 1000"):
        found = tk.best({"1": pool(1), "2": pool(2)}, indifference=0.1, parallel=1, **QUICK)

    assert found.choice is None
    assert "Undecided" in found.why
    assert set(found.table()["state"]) == {"undecided"}


@pytest.mark.slow
def test_an_interrupt_is_for_the_one_who_asked():
    """A terminal sends it to all; a process without work must not die of it and complain."""
    with crew._process_pool(1) as processes:
        assert processes.submit(signal.raise_signal, signal.SIGINT).result() is None


SCRIPT = """
import sys
print("begun", flush=True)
import toolkit as tk
from toolkit.experiments import crew
crew.PAYS_S = 0.0

def pool(workers):
    stage = tk.Stage(name="work", service=tk.Exponential(mean_s=1.0), workers=workers)
    return tk.Design(arrivals=tk.Poisson(rate_per_s=0.5), stages=[stage])

table = tk.sweep(
    pool, workers=[1, 2], jobs=int(sys.argv[2]), replications=int(sys.argv[3]),
    engine="simpy", parallel=2, progress=False, file=sys.argv[1],
)
print(len(table))
"""


def script(tmp_path, jobs, replications):
    """Start a script without an ``if __name__`` in a group of processes of its own."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    arguments = [sys.executable, str(path), str(tmp_path / "runs"), str(jobs), str(replications)]
    return subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_until(is_true):
    for _ in range(3_000):
        if is_true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about in half a minute")


def is_gone(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.slow
def test_a_script_is_not_run_again_by_its_processes(tmp_path):
    """They need the package, not the script, so it needs no guard either."""
    done = script(tmp_path, 40, 3)
    out, err = done.communicate(timeout=60)

    assert (out, err) == ("begun\n6\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_or_a_kill_leaves_a_file_and_no_process(tmp_path, how):
    """Ctrl-C goes to the processes too; a kill does not even do that.  The file brings it to its end."""
    with script(tmp_path, 4_000, 400) as first:
        wait_until(lambda: lines(tmp_path / "runs") > 6)
        (os.killpg if how == signal.SIGINT else os.kill)(first.pid, how)
        out, err = first.communicate(timeout=60)
    wait_until(lambda: is_gone(first.pid))
    there = lines(tmp_path / "runs") - 1
    table = tk.sweep(
        pool, workers=[1, 2], jobs=4_000, replications=2, seed=0, engine="auto", progress=False,
        file=tmp_path / "runs",
    )  # fmt: skip

    assert 6 <= there < 800
    if how == signal.SIGINT:
        assert out.splitlines()[-1] == str(there)
        assert f"interrupted: {there} of 800 runs" in err
        assert "Traceback" not in err
    without_file = tk.sweep(
        pool, workers=[1, 2], jobs=4_000, replications=2, seed=0, engine="auto", progress=False
    )
    assert_same([without_file], [table])


# --- what is refused ---


def test_a_client_that_is_none_is_refused():
    pytest.importorskip("distributed")
    with pytest.raises(ValueError, match="client must be a Client"):
        tk.replicate(pool(), client="tcp://scheduler:8786", **QUICK)


def test_a_client_without_dask_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install goodput-lab\[cluster\]"):
        tk.replicate(pool(), client=object(), **QUICK)


@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_a_number_of_runs_at_once_is_a_whole_one(value):
    with pytest.raises(ValueError, match=f"parallel must be a whole number >= 1, got {value}"):
        tk.replicate(pool(), parallel=value, **QUICK)


def test_an_unknown_engine_is_refused():
    with pytest.raises(
        ValueError, match="engine must be 'auto', 'simpy' or 'compiled', got 'fast'"
    ):
        tk.replicate(pool(), **QUICK | {"engine": "fast"})


def test_what_goes_wrong_in_a_process_is_said_here():
    """The first run is made here, whatever comes after it."""
    with pytest.raises(ValueError, match="jobs must be a whole number >= 1, got 0"):
        tk.sweep(pool, workers=[1], **QUICK | {"jobs": 0})
