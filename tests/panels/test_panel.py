"""A panel keeps its axes, and keeps up with a hand, whatever it shows."""

import asyncio
import base64
import re
import sys

import ipywidgets
import pytest
from fakes import pool, simulated_test

import toolkit as tk
from toolkit.simulation.compiled_engine import compiler

panels, plots = tk.panels, tk.plots


def staffing(**more):
    fit = tk.fit(simulated_test(pool(4, 60), jobs=500), workers=4)
    return panels.staffing(fit, slo=tk.SLO(p99_s=0.1), **{"jobs": 500, **more})


MOVES = {
    "staffing": (staffing, {"workers": (1, 12), "load": (0.3, 3.0), "failure": (0.5,)}),
    "storms": (
        lambda: panels.metastable.storms(end_s=40.0),
        {"load": (12.0, 20.0), "outage": (0.0,), "remedy": ("newest first", "nothing")},
    ),
    "buckets": (panels.limiter.buckets, {"load": (0.5, 3.0), "burst": (200,)}),
    "crash": (
        panels.jobs.crash,
        {"ack": ("late", "early"), "at_s": (0.0, 9.0), "product": ("Amazon SQS",)},
    ),
    "retries": (
        lambda: panels.retries.retries(jobs=60),
        {"failure": (0.4,), "max_retries": (1, 5), "figure": tuple(panels.retries.FIGURES)},
    ),
    "knee": (
        lambda: panels.waiting.knee(jobs=100, runs=2),
        {"load": (0.75,), "workers": (2, 12), "scv": (0, 4)},
    ),
    "loads": (panels.jobs.loads, {"product": ("Sidekiq", "Celery on RabbitMQ")}),
}


def shown(panel):
    """Return the picture, without the names that its parts have for each other."""
    svg = base64.b64decode(re.search(r"base64,([^\"]+)", panel._image.value)[1]).decode()
    return re.sub(r"\b[pmhC][0-9a-f]{10}\w*", "name", svg)


def moved(name):
    """Yield a panel again and again, each time with another control moved."""
    make, moves = MOVES[name]
    panel = make()
    for control, values in moves.items():
        for value in values:
            panel.controls[control].value = value
            yield panel


@pytest.mark.parametrize("name", MOVES)
def test_kept_axes_show_what_new_ones_would(name, monkeypatch):
    """Whatever one drawing leaves behind, a scale or a line, is in the way of the next."""
    # layout is a matter of 0.01 points
    monkeypatch.setattr("matplotlib.layout_engine.ConstrainedLayoutEngine.execute", lambda *_: None)
    for panel in moved(name):
        kept, picture = panel._sketch, shown(panel)
        panel._sketch = plots.Sketch(caption=kept._figure.get_supxlabel())
        panel.redraw()

        assert picture == shown(panel)
        panel._sketch = kept


@pytest.mark.parametrize("name", MOVES)
def test_nothing_is_cut_off_where_the_room_was_kept(name):
    for panel in moved(name):
        axes, figure = panel._sketch._axes, panel._sketch._figure
        needed = axes.get_tightbbox()

        assert figure.bbox.x0 <= needed.x0 < needed.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= needed.y0 < needed.y1 <= figure.bbox.y1


# --- a hand that is faster than the drawing ---


@pytest.fixture
def drawn():
    """Return the values that were drawn."""
    return []


@pytest.fixture
def panel(drawn):
    def draw(axes, *, x):
        drawn.append(x)
        axes.plot([0, x])
        if x < 0:
            raise ValueError("x must not be negative")
        return f"x is {x}"

    return panels.Panel(draw, {"x": ipywidgets.IntSlider(1, -1, 100)})


def test_without_an_event_loop_every_change_is_drawn_at_once(panel, drawn):
    panel.controls["x"].value = 2
    panel.controls["x"].value = 3

    assert drawn == [1, 2, 3]


def test_of_many_changes_at_once_the_last_is_drawn(panel, drawn):
    """A queue of drawings would show where the hand was seconds ago."""

    async def drag():
        for x in range(2, 50):
            panel.controls["x"].value = x
        assert drawn == [1]
        await asyncio.sleep(0.5)

    asyncio.run(drag())

    assert drawn == [1, 49]
    assert panel._text.value == '<p role="status">x is 49</p>'


def test_a_long_drag_is_followed_on_its_way(panel, drawn):
    """Waiting until the hand rests would show nothing meanwhile."""

    async def drag():
        for x in range(2, 42):
            panel.controls["x"].value = x
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)

    asyncio.run(drag())

    assert drawn[-1] == 41
    assert len(drawn) > 3


def test_the_sentence_never_lags_behind_the_controls(panel, drawn):
    """A cell that moves a control and reads the sentence runs before the event loop goes on."""

    async def cell():
        panel.controls["x"].value = 7
        said = panel.summary
        await asyncio.sleep(0.5)
        return said

    assert asyncio.run(cell()) == "x is 7"
    assert drawn == [1, 7]


def test_after_an_error_the_next_value_is_drawn(panel):
    with pytest.raises(ValueError, match="negative"):
        panel.controls["x"].value = -1
    assert 'role="alert"' in panel._text.value

    panel.controls["x"].value = 5
    assert panel.summary == "x is 5"
    assert len(panel._sketch._axes.lines) == 1


def test_a_panel_waits_for_no_compiler(monkeypatch):
    """Until the fast engine is there, a run that would have to wait for it is a short one."""
    asked, simulate = [], tk.simulate

    def counted(design, *, jobs, **more):
        asked.append(jobs)
        return simulate(design, jobs=200, engine="simpy", **more)

    monkeypatch.setattr(sys.modules["toolkit.panels.staffing"], "simulate", counted)
    monkeypatch.setattr(compiler, "is_ready", lambda _: False)
    panel = staffing(jobs=100_000, replications=2)
    assert "predicted, 2 runs of 2,000:" in panel.summary

    monkeypatch.setattr(compiler, "is_ready", lambda _: True)
    panel.controls["workers"].value = 5
    assert "predicted, 2 runs of 100,000:" in panel.summary
    assert asked == [2_000, 2_000, 100_000, 100_000]
