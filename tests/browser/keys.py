"""A slider in JupyterLab under the eyes of the browser: when keys were pressed, when charts appeared."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chromium_lab import PANEL, SLIDER, opened, served

JOBS, FEWEST, MOST = 100_000, 4, 40
CELL = f"""
import ipywidgets
import toolkit as tk

def draw(axes, *, workers):
    retry = tk.Retry(max_retries=7, backoff=tk.FullJitter(base_s=1.0, cap_s=60.0))
    service = tk.Exponential(mean_s=1.0)
    work = tk.Stage(name="work", service=service, workers=workers, failure=0.1, retry=retry)
    design = tk.Design(arrivals=tk.Poisson(rate_per_s=3.24), stages=[work])
    run = tk.simulate(design, jobs={JOBS}, seed=1)
    axes.set_title(f"{{workers}} workers")
    said = tk.plots.latency(axes, measured_ms=None, predicted_ms=[run.done_ms()])
    return f"{{workers}} workers: {{said}}"

workers = ipywidgets.IntSlider({FEWEST}, {FEWEST}, {MOST}, description="Workers")
tk.panels.Panel(draw, {{"workers": workers}}, caption="{JOBS:,} jobs with retries")
"""
# a chart counts from the frame in which it is painted; a frame in which there is none is a flicker
WATCH = """panel => {
    const seen = window.seen = {pressed: [], charts: [], blank: 0, frames: 0};
    const chart = () => panel.querySelector("img");
    let last = chart().alt;
    document.addEventListener("keydown", event => seen.pressed.push(event.timeStamp), true);
    const look = () => {
        const image = chart();
        seen.frames += 1;
        if (!image || !image.complete || !image.naturalWidth || image.height < 100) seen.blank += 1;
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
    new MutationObserver(async () => {
        const image = chart();
        if (!image || image.alt === last) return;
        last = image.alt;
        await image.decode();
        requestAnimationFrame(() => seen.charts.push({at: performance.now(), alt: image.alt}));
    }).observe(panel, {subtree: true, childList: true});
}"""
FORGET = "() => Object.assign(window.seen, {pressed: [], charts: [], blank: 0, frames: 0})"
SHOWN = "value => window.seen.charts.some(chart => chart.alt.startsWith(`${value} workers:`))"


@contextmanager
def watched(home: Path, cell: str = CELL) -> Iterator["Slider"]:
    """Open a notebook with one panel, its slider under the fingers, and look at its chart."""
    source = {"cell_type": "code", "source": cell, "metadata": {}, "outputs": []}
    cells = [source | {"execution_count": None, "id": "panel"}]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (home / "slider.ipynb").write_text(json.dumps(notebook))
    with served(home) as address, opened(address, "slider.ipynb", height=900) as page:
        panel = page.locator(PANEL).filter(has=page.locator(SLIDER)).first
        panel.locator("p[role=status]").wait_for()
        panel.evaluate(WATCH)
        panel.locator(SLIDER).first.focus()
        yield Slider(page)


class Slider:
    """A slider with the keyboard on it, and what has been seen of its chart."""

    def __init__(self, page: Any) -> None:
        self.page, self.value = page, FEWEST

    def press(self, presses: int = 1, *, pause_ms: float = 0.0) -> dict[str, Any]:
        """Press the right arrow so often; return what was seen until the last value's chart was there."""
        self.page.evaluate(FORGET)
        for _ in range(presses):
            self.page.keyboard.press("ArrowRight")
            self.page.wait_for_timeout(pause_ms)
        self.value += presses
        self.page.wait_for_function(SHOWN, arg=self.value)
        return self.page.evaluate("() => window.seen")

    def delays_ms(self, presses: int) -> list[float]:
        """Press once at a time; return how long each chart took from its key press."""
        delays = []
        for _ in range(presses):
            seen = self.press()
            delays.append(seen["charts"][-1]["at"] - seen["pressed"][0])
            self.page.wait_for_timeout(200)  # a hand that looks before it goes on
        return delays
