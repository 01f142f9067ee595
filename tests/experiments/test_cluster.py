"""A Dask cluster gives the figures of one process, also when a worker is killed at work."""

import logging
import os
import re
import signal
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

import toolkit as tk

distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.slow


def pool(workers=1, mean_s=1.0):
    stage = tk.Stage(name="work", service=tk.Exponential(mean_s=mean_s), workers=workers)
    return tk.Design(arrivals=tk.Poisson(rate_per_s=0.5), stages=[stage])


QUICK = {"jobs": 40, "seed": 3, "engine": "simpy", "progress": False}


@pytest.fixture(scope="module")
def client():
    """Return the client of two workers, each a process with a nurse that brings up another."""
    import dask

    quiet = {"distributed.admin.system-monitor.gil.enabled": False}
    with (
        dask.config.set(quiet),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_cluster_gives_the_same_figures(client):
    """Of every kind of experiment."""
    trio = {"1": pool(1), "2": pool(2), "slow": pool(2, mean_s=1.3)}
    tables = []
    for where in ({"parallel": 1}, {"client": client}, {"client": client, "parallel": 1}):
        how = QUICK | where
        found = tk.best(
            trio,
            figure="sojourn_mean_s",
            indifference=0.2,
            replications=4,
            max_replications=40,
            **how,
        )
        tables.append(
            [
                tk.compare(trio, replications=3, **how).table(),
                tk.replicate(
                    pool(), precision=0.3, replications=4, max_replications=40, **how
                ).figures,
                tk.sweep(pool, workers=[1, 2], mean_s=[0.5, 1.0], replications=2, **how),
                found.table(),
            ]
        )

    for others in tables[1:]:
        for table, other in zip(tables[0], others, strict=True):
            pd.testing.assert_frame_equal(table, other, check_exact=True)


def test_a_worker_that_is_killed_costs_nothing_that_is_finished_and_changes_no_number(
    client, tmp_path
):
    """SIGKILL in mid-sweep: what it was at is done again elsewhere, the rest stands in the file."""
    path, runs = tmp_path / "runs", 2 * 20
    pids, at = list(client.run(os.getpid).values()), []

    def kill():
        for _ in range(6_000):
            if path.exists() and path.read_bytes().count(b"\n") > 5:
                break
            time.sleep(0.005)
        os.kill(pids[0], signal.SIGKILL)
        at.append(path.read_bytes())

    killer = threading.Thread(target=kill)
    killer.start()
    how = {"workers": [1, 2], "replications": 20, **QUICK, "jobs": 4_000}
    table = tk.sweep(pool, file=path, client=client, **how)
    killer.join()

    assert at[0].count(b"\n") < runs // 2, "it was nearly over: make the runs longer"
    assert path.read_bytes().startswith(at[0])
    assert path.read_bytes().count(b"\n") == runs + 1
    serial = tk.sweep(pool, parallel=1, **how)
    pd.testing.assert_frame_equal(table, serial, check_exact=True)
    assert pids[0] not in client.run(os.getpid).values()


def test_the_page_on_clusters_works_as_it_stands_there(client, tmp_path, monkeypatch, capsys):
    """With this cluster for the one it names."""
    page = (Path(__file__).parents[2] / "binder" / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    block = block.replace("tcp://scheduler.example:8786", client.scheduler.address)
    monkeypatch.chdir(tmp_path)
    made = {}
    exec(compile(block, "README.md", "exec"), made)
    made["client"].close()

    assert capsys.readouterr().out.split()[:2] == ["workers", "rate_per_s"]
    assert len(made["table"]) == 60
    assert (tmp_path / "runs.jsonl").exists()


def test_an_error_on_a_worker_is_raised_here_and_ends_the_work_there(client):
    """With its own type and words; also while somebody looks at the traceback, as a notebook does."""
    long = QUICK | {"jobs": 20_000}
    with pytest.raises(ValueError, match="skip_jobs must leave a job, got 20000 of") as caught:
        tk.replicate(pool(), replications=400, warmup=20_000, client=client, **long)

    assert caught.tb is not None
    assert_idle(client)


def assert_idle(client):
    for _ in range(1_000):
        if not any(client.processing().values()):
            return
        time.sleep(0.01)
    raise AssertionError("the cluster is still at work")


def test_an_interrupt_calls_off_what_the_cluster_was_given(client, monkeypatch):
    """The cluster is somebody's: nothing of ours goes on there."""
    from toolkit.experiments import crew

    queue = crew.SimpleQueue

    class Interrupted:
        def __init__(self):
            self._queue, self._left = queue(), 2

        def put(self, item):
            self._queue.put(item)

        def get(self):
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
            return self._queue.get()

    monkeypatch.setattr(crew, "SimpleQueue", Interrupted)
    with pytest.warns(UserWarning, match="interrupted: 2 of 400 replications"):
        part = tk.replicate(pool(), replications=400, client=client, **QUICK | {"jobs": 2_000})

    assert len(part.figures) == 2
    assert_idle(client)
