"""The benchmarks run; how fast is theirs to say, on a quiet machine."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


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
