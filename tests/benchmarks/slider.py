"""From a key press to the changed chart in Chromium: `python tests/benchmarks/slider.py [presses]`.

JupyterLab with a panel of 100,000 jobs with retries; whatever runs beside it is measured as well.
"""

import sys
import tempfile
from pathlib import Path

from comparison import goals
from comparison.goals import Goal

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from chromium_lab import CHROMIUM, MISSING
from keys import JOBS, watched

PRESSES = 25


def main(presses: int) -> None:
    """Measure, print, write."""
    with tempfile.TemporaryDirectory() as home, watched(Path(home)) as slider:
        slider.delays_ms(3)  # the first ones load what is needed
        delays_ms = slider.delays_ms(presses)
    what = f"key press to changed chart in Chromium, {JOBS:,} jobs"
    reached = [Goal(what, "ms", delays_ms, 150, 80, more_is_better=False)]
    goals.show_goals(reached)
    goals.save(goals.RESULTS, "slider", {"delays_ms": delays_ms}, reached)


if __name__ == "__main__":
    if not CHROMIUM:
        sys.exit(MISSING)
    main(int(sys.argv[1]) if sys.argv[1:] else PRESSES)
