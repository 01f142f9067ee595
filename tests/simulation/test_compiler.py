"""How the compiled engine comes to its code: made once, by another process, and loaded without numba."""

import os
import subprocess
import sys
import threading

import pytest

from toolkit.simulation.compiled_engine import cache, compiler, loading

RUN_ONCE = """
import warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    import toolkit as tk
    work = tk.Stage(name="work", service=tk.Exponential(mean_s=0.5))
    design = tk.Design(arrivals=tk.Poisson(rate_per_s=1.0), stages=[work])
    print(tk.simulate(design, jobs=20, engine="compiled").jobs["outcome"].eq("done").all())
print(*{str(one.message).split(" (")[0] for one in said if one.category is RuntimeWarning})
"""
RUN_ALL = """
import sys
import toolkit as tk
failing = dict(service=tk.Exponential(mean_s=0.5), failure=0.1)
retry = tk.Retry(max_retries=2, backoff=tk.FullJitter(base_s=1.0, cap_s=8.0))
for work in (
    tk.Stage(name="work", service=tk.Exponential(mean_s=0.5)),
    tk.Stage(name="work", retry=retry, **failing),
    tk.Stage(name="work", delivery=tk.Delivery(), **failing),
):
    design = tk.Design(arrivals=tk.Poisson(rate_per_s=1.0), stages=[work])
    tk.simulate(design, jobs=200, engine="compiled").summary()
print({"numba", "simpy", "llvmlite"} & set(sys.modules))
"""
SINGLE_NUMBERS = """
import numpy as np
from numba import njit
from toolkit.simulation.compiled_engine import cache
cache.COMPILES = True
from toolkit.simulation.compiled_engine import draws, memory

rng = np.random.default_rng(np.random.SeedSequence(5, spawn_key=(1, 2, 3)))
table = np.array([draws.generator_of(rng)], draws.GENERATOR)
row, jumps = rng.random(70_000), draws.jumps()

@njit
def number(generator, jump_table, k):
    return draws.uniform_after(draws.generator_at(generator, 0), jump_table, k)

places = [*range(130), 4095, 4096, 69_999]
found = [number(memory.address(table), memory.address(jumps), k) for k in places]
print(found == row[places].tolist())
"""
RAISES = """
from pathlib import Path
from toolkit.simulation.compiled_engine import making

def grumble(number):
    if number > 3:
        raise ValueError("too many")
    return number

making.answering_entry(grumble)
making.compile_entries()
making.write(Path("nothing.o"))
"""


def python(program, cwd=None, **more):
    """Run a program in a fresh process."""
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **more},
    )


@pytest.fixture(name="empty")
def _empty(monkeypatch, tmp_path):
    """Let nothing have been compiled, and nobody be at it."""
    monkeypatch.setattr(compiler, "folder", lambda: tmp_path)
    monkeypatch.setattr(compiler, "file_of", lambda part: cache.file_of(part, tmp_path))
    monkeypatch.setattr(compiler, "_READY", set())
    monkeypatch.setattr(compiler, "_OWN", [])
    return tmp_path


# --- what is loaded ---


def test_a_run_of_every_kind_does_without_numba_and_simpy():
    """They take longer to load than most runs take."""
    assert python(RUN_ALL).stdout.strip() == "{'llvmlite'}"


def test_draws_of_single_numbers_are_those_of_rows():
    """The generator is moved to a number's place, whichever that is."""
    assert python(SINGLE_NUMBERS).stdout.strip() == "True"


def test_code_that_would_need_numba_is_not_kept(tmp_path):
    """A function that may raise asks for numba's ways to raise."""
    said = python(RAISES, tmp_path).stderr

    assert "RuntimeError: compiled code needs" in said
    assert "which only numba has" in said
    assert list(tmp_path.iterdir()) == []


def test_code_for_another_processor_is_not_taken(empty):
    """One folder may serve several machines."""
    (empty / "plain-another-00000000.o").write_bytes(b"its code")
    assert not compiler.is_ready("plain")

    cache.file_of("plain", empty).write_bytes(b"our code")
    assert compiler.is_ready("plain")
    assert not compiler.is_ready("full")


# --- who compiles, and who waits ---


def test_who_finds_somebody_compiling_waits_for_the_code(empty, monkeypatch):
    """And starts no other."""
    monkeypatch.setattr(compiler, "Compiler", lambda *_, **__: pytest.fail("one more was started"))
    compiler.note().write_text(str(os.getpid()))
    place = cache.file_of("plain", empty)
    later = threading.Timer(0.2, place.write_bytes, [b"code"])
    later.start()

    assert compiler.wait_for("plain") == place
    assert place.exists()
    later.join()


@pytest.fixture(name="started")
def _started(empty, monkeypatch):
    """Let a compiler be one that only writes the plain part; give the commands of those started.

    Whoever starts none gets the part after a minute, so that a test of it fails and does not hang.
    """
    started, real = [], compiler.Compiler
    place = cache.file_of("plain", empty)

    def quick(command, **how):
        started.append(command)
        return real([sys.executable, "-c", f"open({str(place)!r}, 'w').close()"], **how)

    monkeypatch.setattr(compiler, "Compiler", quick)
    rescue = threading.Timer(60, place.touch)
    rescue.start()
    yield started
    rescue.cancel()


def test_who_finds_a_compiler_that_has_died_starts_another(started):
    """A number of a process that is no more is no promise."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    compiler.note().write_text(str(gone.pid))

    assert compiler.wait_for("plain").exists()
    assert len(started) == 1
    assert compiler.note().read_text() != str(gone.pid)


def test_nobody_waits_for_ever_for_what_another_has_begun(started, monkeypatch):
    """The number may be another process's by now, which compiles nothing."""
    monkeypatch.setattr(compiler, "PATIENCE_S", 0.1)
    compiler.note().write_text(str(os.getpid()))

    assert compiler.wait_for("plain").exists()
    assert len(started) == 1


@pytest.mark.usefixtures("empty")
def test_a_compiler_that_fails_is_an_error_with_its_words_and_the_other_way(monkeypatch):
    """Not a wait without end."""
    real = compiler.Compiler
    broken = [sys.executable, "-c", "raise SystemExit('no LLVM here')"]
    monkeypatch.setattr(compiler, "Compiler", lambda _, **how: real(broken, **how))

    with pytest.raises(RuntimeError, match="engine='simpy' gives the same records") as refused:
        compiler.wait_for("plain")
    assert str(compiler.log()) in str(refused.value)
    assert compiler.log().read_text().strip() == "no LLVM here"


def test_every_function_that_python_calls_belongs_to_a_part():
    """Its module is in the list of what is compiled."""

    def function(number):
        return number

    function.__module__ = "toolkit.simulation.compiled_engine.plain_world"
    with pytest.raises(KeyError, match="plain_world"):
        loading.entry(function)


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path):
    """It works all the same, and compiles anew each time."""
    place = tmp_path / "a file"
    place.write_text("no folder")
    works, said = python(RUN_ONCE, NUMBA_CACHE_DIR=str(place)).stdout.splitlines()

    assert works == "True"
    assert said.startswith(f"the compiled engine cannot be kept in {place}")
