"""The benchmarks run; how fast is theirs to say, on a quiet machine."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from comparison import with_simpy, with_toolkit
from comparison.goals import Goal
from comparison.models import MODELS

HERE, JOBS, MORE = Path(__file__).parent, 1_000, 5_000


@pytest.mark.parametrize(
    ("program", "arguments"), [("simpy_engine.py", ["200", "1"]), ("import_time.py", ["1"])]
)
def test_a_benchmark_prints_its_table_and_its_ratio(program, arguments):
    """A benchmark that nobody runs rots; there is no judgement of time here."""
    done = subprocess.run(
        [sys.executable, HERE / program, *arguments], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "| program |" in done.stdout
    assert "toolkit / " in done.stdout


TINY = {
    "engines.py": ["--jobs", "200", "--models", "retry"],
    "figures.py": ["--jobs", "200"],
    "growth.py": ["--most-jobs", "1000"],
}


@pytest.mark.slow
@pytest.mark.parametrize("program", TINY)
def test_a_benchmark_of_the_engines_prints_its_tables_and_writes_them_down(program, tmp_path):
    """The reference engine needs no compiler; a peer that is not installed is left out with a word."""
    options = ["--rounds", "1", "--engine", "simpy", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, HERE / program, *TINY[program], *options],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "| --- |" in done.stdout
    written = json.loads((tmp_path / program.replace(".py", ".json")).read_text())
    assert written["machine"]["packages"]["simpy"]


@pytest.mark.parametrize("model", MODELS)
def test_the_bare_simpy_program_gives_the_toolkits_sojourn_times(model):
    """Else its speed is that of another model; so many jobs are enough to be swept and buried."""
    bare = with_simpy.program(model, MORE)
    ours = with_toolkit.program(model, MORE, engine="simpy")
    ours.before()

    assert np.array_equal(bare.sojourns_s(bare.run()), ours.sojourns_s(ours.run()))


RUN_PEER = """
import importlib, sys
import numpy as np
theirs = importlib.import_module(f"comparison.with_{sys.argv[1]}").program(sys.argv[2], int(sys.argv[3]))
np.save(sys.argv[4], theirs.sojourns_s(theirs.run()))
"""


@pytest.mark.parametrize("model", ["mm1", "mm4", "retry", "tbretry"])
@pytest.mark.parametrize("peer", ["asimpy", "cimba", "ciw", "salabim"])
def test_a_peers_program_gives_simpys_sojourn_times(peer, model, tmp_path):
    """In a process of its own, as it is measured: Cimba and our compiled engine do not bear each other."""
    if importlib.util.find_spec(peer) is None:
        pytest.skip(f"{peer} is not installed (extra `bench`)")
    if (peer, model) == ("ciw", "tbretry"):
        pytest.skip("a Ciw network has no token bucket")
    place = tmp_path / "sojourns_s.npy"
    command = [sys.executable, "-W", "ignore", "-c", RUN_PEER, peer, model, str(JOBS), str(place)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    bare = with_simpy.program(model, JOBS)

    assert np.array_equal(np.load(place), bare.sojourns_s(bare.run()))


def test_a_goal_is_met_from_its_side():
    """Times should be short and ratios large."""
    fast = [3.0, 1.0, 2.0]

    assert Goal("speed", "x", fast, 2.0, 3.0).verdict() == "met"
    assert Goal("speed", "x", fast, 1.0, 2.0).verdict() == "met, and the aim"
    assert Goal("speed", "x", fast, 2.5, 3.0).verdict() == "missed"
    assert Goal("time", "s", fast, 2.5, 1.0, more_is_better=False).verdict() == "met"
    assert Goal("time", "s", fast, 1.5, 1.0, more_is_better=False).verdict() == "missed"


@pytest.mark.kernel
@pytest.mark.slow
def test_the_kernels_benchmark_prints_its_ratios_or_says_what_is_missing():
    """One round; `microvm_start.py` is of the same kind and takes minutes."""
    done = subprocess.run(
        [sys.executable, HERE / "kernel_limiter.py", "1", "host"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "swap / locked: " in done.stdout or "host: not to be had here: " in done.stdout
