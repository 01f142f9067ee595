"""More jobs than memory are refused before anything is drawn; what fits is never refused."""

import importlib
import math
import subprocess
import sys
from pathlib import Path

import pytest

import toolkit as tk
from toolkit.simulation import size

POISSON = tk.Poisson(rate_per_s=2.5)
WORK = tk.Stage(name="work", service=tk.Exponential(mean_s=1.0), workers=4)
RETRY = tk.Retry(max_retries=7, backoff=tk.FullJitter(base_s=1.0, cap_s=60.0))
RETRYING = tk.Stage(name="work", service=WORK.service, workers=4, failure=0.3, retry=RETRY)
SENT = tk.Stage(name="work", service=WORK.service, workers=4, delivery=tk.Delivery())
PLAIN, RETRIED, DELIVERED, TWO = (
    tk.Design(arrivals=POISSON, stages=stages)
    for stages in (WORK, RETRYING, SENT, [RETRYING, tk.Stage(name="b", service=WORK.service)])
)


@pytest.fixture
def little(monkeypatch):
    """Return a function that leaves so many bytes of memory."""

    def leave(count):
        monkeypatch.setattr(size, "available_bytes", lambda: count)

    return leave


REFUSED = [
    (
        PLAIN,
        {"jobs": 10**9},
        "1,000,000,000 of them .* take 40.0 GB at least, and 20 MB are .*keep='summary'",
    ),
    (PLAIN, {"jobs": 10**6}, "1,000,000 of them with their records take 40 MB at least, and 20 MB"),
    (
        PLAIN,
        {"horizon_s": 1e6},
        "2,500,000 of them .*keep='summary' .* given jobs in place of horizon_s",
    ),
    (
        PLAIN,
        {"jobs": 10**6, "engine": "simpy"},
        "take 536 MB at least, .*; tk.replicate makes several",
    ),
    (RETRIED, {"jobs": 10**6}, "take 182 MB at least, .*; tk.replicate makes several shorter runs"),
    (DELIVERED, {"jobs": 10**6}, "take 132 MB at least"),
    (TWO, {"jobs": 10**6}, "take 289 MB at least"),
]


@pytest.mark.parametrize(("design", "arguments", "message"), REFUSED)
def test_what_cannot_fit_is_refused_before_it_starts(
    little, monkeypatch, design, arguments, message
):
    """With the size it would take, what there is, and the way that can."""
    little(20e6)
    module = importlib.import_module("toolkit.simulation.simulate")
    monkeypatch.setattr(module, "_streams", lambda *_: pytest.fail("something was drawn"))

    with pytest.raises(MemoryError, match=message):
        tk.simulate(design, **arguments)


def test_what_just_fits_is_run(little):
    """To the byte; and a small run is not asked about."""
    needed = size.least_bytes(PLAIN, 500_000, None, "auto")
    little(needed)
    assert tk.simulate(PLAIN, jobs=500_000).summary()["done"] == 500_000

    little(needed - 1)
    with pytest.raises(MemoryError):
        tk.simulate(PLAIN, jobs=500_000)
    little(0)
    assert len(tk.simulate(PLAIN, jobs=100).jobs) == 100


def test_a_run_without_records_needs_hardly_any(little):
    """The way that a refusal names is open."""
    little(0)

    assert tk.simulate(PLAIN, jobs=500_000, keep="summary").summary()["done"] == 500_000


@pytest.mark.parametrize("engine", ["compiled", "simpy"])
def test_a_horizon_before_the_jobs_takes_the_room_of_those_who_come(engine):
    """Numbers are drawn for all, records written for a hundredth."""
    all_of_them, few = (
        size.least_bytes(PLAIN, 1_000_000, horizon_s, engine) for horizon_s in (None, 4_000.0)
    )

    assert 16e6 < few < 0.6 * all_of_them


MEASURE = """
import sys
sys.path.insert(0, {folder!r})
import test_size, toolkit as tk
from toolkit.simulation import streams
streams.SHELF.most_bytes = 0
tk.simulate(test_size.{name}, jobs={jobs}, engine={engine!r}).records
print(test_size.peak_of_this_process())
"""


def peak_of_this_process():
    """Return the most memory it has had, in bytes; ``ru_maxrss`` would begin with its parent's."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def peak_bytes(name, jobs, engine):
    """Return the most memory that a fresh process took for a run."""
    program = MEASURE.format(folder=__file__.rpartition("/")[0], **locals())
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PLAIN", "RETRIED", "DELIVERED", "TWO"])
@pytest.mark.parametrize(("engine", "jobs"), [("compiled", 500_000), ("simpy", 20_000)])
def test_a_run_takes_what_was_said_at_least(name, engine, jobs):
    """Never less, or something would be refused that fits; seldom three times as much."""
    taken = peak_bytes(name, 3 * jobs, engine) - peak_bytes(name, jobs, engine)
    said = size.least_bytes(globals()[name], 2 * jobs, None, engine)

    assert 0.95 * said < taken < 3.5 * said


# --- what there is ---


def tree(root, files):
    """Write files below a folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MACHINE = {"proc/meminfo": "MemTotal:  9000 kB\nMemAvailable:    5000 kB\n"}
STAT = "anon 1\nactive_file 100\ninactive_file 20\n"
V2 = {
    "proc/self/cgroup": "0::/user/me\n",
    "sys/fs/cgroup/memory.stat": STAT,
    "sys/fs/cgroup/user/memory.max": "3000000\n",
    "sys/fs/cgroup/user/memory.current": "1000000\n",
    "sys/fs/cgroup/user/memory.stat": STAT,
    "sys/fs/cgroup/user/me/memory.max": "max\n",
    "sys/fs/cgroup/user/me/memory.current": "1000000\n",
}
V1 = {
    "proc/self/cgroup": "5:cpu:/\n4:memory:/not/seen/here\n0::/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000000\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "2500000\n",
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, math.inf),
        (MACHINE, 5_120_000),
        (MACHINE | V2, 2_000_120),
        (MACHINE | V1, 0),
        (V1 | {"sys/fs/cgroup/memory/memory.stat": "inactive_file 600000\n"}, 100_000),
        (MACHINE | {"proc/self/cgroup": "0::/\n"}, 5_120_000),
    ],
    ids=["unknown", "machine", "a group's parent", "a container", "its cache", "no limit"],
)
def test_what_there_is_is_the_least_that_anything_leaves(tmp_path, files, expected):
    """The machine's own, and the limits of the groups that the process is in."""
    assert size.available_bytes(tree(tmp_path, files)) == expected
