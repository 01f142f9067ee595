"""Pictures carry their units and say themselves in a sentence."""

import numpy as np
import pandas as pd
import pytest

from toolkit import plots

RUN_MS = np.linspace(1.0, 1000.0, 1000)


@pytest.fixture
def axes():
    from matplotlib.figure import Figure

    return Figure().subplots()


def test_the_sentence_says_what_the_picture_shows(axes):
    text = plots.latency(
        axes,
        measured_ms=RUN_MS,
        predicted_ms=[RUN_MS, 2 * RUN_MS],
        goal_ms={99: 300.0},
        guess_ms=250.0,
    )

    assert text == (
        "measured: p50 500 ms, p95 950 ms, p99 990 ms; "
        "predicted: p50 500 to 1,001 ms, p95 950 to 1,900 ms, p99 990 to 1,980 ms; "
        "goal p99 300 ms; your guess 250 ms."
    )


def test_axes_carry_units_and_curves_are_told_apart_without_colour(axes):
    plots.latency(axes, measured_ms=RUN_MS, predicted_ms=[RUN_MS])

    styles = {(line.get_linestyle(), line.get_marker()) for line in axes.lines}
    assert "ms" in axes.get_ylabel()
    assert len(styles) == len(axes.lines) == 4


def test_no_percentile_is_drawn_without_a_sample_beyond_it(axes):
    """A p99.9 of 100 requests is the slowest one under another name."""
    plots.latency(axes, measured_ms=RUN_MS[:100], predicted_ms=[])

    drawn = max(line.get_xdata().max() for line in axes.lines)
    assert drawn <= 2 + 1e-9  # two nines


@pytest.mark.parametrize("measured_ms", [None, np.array([])])
def test_nothing_to_draw_is_an_empty_picture_and_no_error(measured_ms):
    picture = plots.picture(
        lambda axes: plots.latency(
            axes, measured_ms=measured_ms, predicted_ms=[np.array([])], goal_ms={99: 1.0}
        )
    )

    assert picture.png.startswith(b"\x89PNG")


TABLE = pd.DataFrame(
    {
        "cost": [4.0, 5.0, 6.0],
        "p99_s": [np.inf, 0.2, 0.1],
        "p99_s low": [np.nan, 0.19, 0.09],
        "p99_s high": [np.nan, 0.21, 0.11],
        "verdict": ["underbuilt", "uncertain", "fits"],
    },
    index=["a", "b", "c"],
)


def test_every_design_is_named_with_its_cost_and_verdict(axes):
    """A design without any finite figure is still in the picture, and the goal is in ms."""
    text = plots.designs(axes, TABLE, target="p99_s", goal=0.2)

    words = [note.get_text().strip() for note in axes.texts]
    assert text == "Cheapest first: a underbuilt, b uncertain, c fits."
    assert words == ["underbuilt", "uncertain", "fits", "goal 200 ms"]
    assert next(iter(axes.get_yticklabels())).get_text() == "a ($4 a month)"
    assert len({line.get_marker() for line in axes.lines if line.get_marker() != "None"}) == 2


def test_a_picture_shows_itself_with_its_sentence_and_its_caption():
    def draw(axes):
        axes.set_title("x")
        return "2 < 3"

    picture = plots.picture(draw, caption="assumed: nothing")

    assert repr(picture) == "2 < 3"
    assert 'alt="2 &lt; 3"' in picture._repr_html_()
    assert picture.png != plots.picture(draw).png


def test_pictures_leave_no_trace_in_pyplot():
    """A panel makes hundreds of figures; pyplot would keep every one of them."""
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    plots.picture(lambda axes: str(axes.plot([1, 2])))

    assert plt.get_fignums() == before
