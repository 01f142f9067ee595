"""From a key press to the changed chart in Chromium: `python tests/benchmarks/slider.py [presses [folder]]`.

JupyterLab with a panel of 100,000 jobs with retries; whatever runs beside it is measured as well.
"""

# ruff: noqa: T201, printing is what it is for

import sys
import tempfile
from pathlib import Path

from comparison import goals
from comparison.goals import Goal

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from chromium_lab import MISSING
from keys import JOBS, watched

PRESSES = 25


def main(presses: int, out: Path) -> None:
    """Measure, print, write."""
    with tempfile.TemporaryDirectory() as home, watched(Path(home)) as slider:
        slider.delays_ms(3)  # the first ones load what is needed
        delays_ms = slider.delays_ms(presses)
    what = f"key press to changed chart in Chromium, {JOBS:,} jobs"
    reached = [Goal(what, "ms", delays_ms, 150, 80, more_is_better=False)]
    goals.show_goals(reached)
    goals.save(out, "slider", {"delays_ms": delays_ms}, reached)


if __name__ == "__main__":
    if MISSING:
        print(f"key press to changed chart: not measured. {MISSING}")
        sys.exit()
    given = sys.argv[1:]
    main(int(given[0]) if given else PRESSES, Path(given[1]) if given[1:] else goals.RESULTS)
