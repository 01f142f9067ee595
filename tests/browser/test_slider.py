"""A slider in a real browser: the chart follows, and ends where the hand does."""

import json
import re
import statistics
import subprocess
import sys

import pytest
from chromium_lab import MISSING, ROOT
from keys import JOBS, watched

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]


@pytest.fixture(scope="module")
def slider(tmp_path_factory):
    with watched(tmp_path_factory.mktemp("slider")) as slider:
        yield slider


def test_a_key_press_changes_the_chart(slider):
    """How long it takes is printed and not judged: other work on the machine decides it."""
    first = slider.page.locator("img").last.get_attribute("src")
    delays_ms = slider.delays_ms(7)
    middle, least, most = statistics.median(delays_ms), min(delays_ms), max(delays_ms)
    print(  # noqa: T201, seen with `pytest -s`
        f"\nkey press to changed chart, {JOBS:,} jobs: {middle:.0f} ms ({least:.0f} to {most:.0f})"
    )

    assert slider.page.locator("img").last.get_attribute("src") != first
    assert min(delays_ms) > 0


def test_a_burst_of_presses_ends_with_the_chart_of_the_last_value(slider):
    """Charts on the way may be left out, and none comes late, or twice, or out of order."""
    slider.press(12, pause_ms=15)
    slider.page.wait_for_timeout(1_000)
    seen = slider.page.evaluate("() => window.seen")
    values = [int(re.match(r"(\d+) workers:", chart["alt"])[1]) for chart in seen["charts"]]

    assert values == sorted(set(values))
    assert values[-1] == slider.value
    assert len(seen["pressed"]) == 12
    assert slider.page.locator("p[role=status]").inner_text().startswith(f"{slider.value} workers:")


def test_the_chart_never_flickers_on_the_way(slider):
    """A picture that is not there for a frame, while the next one is decoded, blinks."""
    seen = slider.press(6, pause_ms=60)

    assert seen["frames"] > 0
    assert seen["blank"] == 0


def test_the_benchmark_writes_down_what_it_saw(tmp_path):
    program = ROOT / "tests/benchmarks/slider.py"
    command = [sys.executable, program, "2", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "key press to changed chart" in done.stdout
    assert len(json.loads((tmp_path / "slider.json").read_text())["delays_ms"]) == 2
