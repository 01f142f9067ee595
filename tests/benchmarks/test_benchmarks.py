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
