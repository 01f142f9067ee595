"""The picture of what money buys says what it shows."""

import numpy as np
import pandas as pd
import pytest

from toolkit import plots


@pytest.fixture
def axes():
    from matplotlib.figure import Figure

    return Figure().subplots()


TABLE = pd.DataFrame(
    {
        "cost": [100.0, 200.0, 300.0, 400.0],
        "p99_s": [0.5, np.nan, 0.2, 0.3],
        "p99_s low": [0.4, np.nan, 0.19, 0.2],
        "p99_s high": [0.6, np.nan, 0.21, 0.4],
        "survives": [0.0, 0.0, 0.5, 1.0],
        "verdict": ["underbuilt", "underbuilt", "fits", "overbuilt"],
        "on_frontier": [True, False, True, False],
    },
    index=["a", "b", "c", "d"],
)


def test_the_frontier_is_said_and_drawn_with_its_goal(axes):
    text = plots.frontier(axes, TABLE, target="p99_s", goal=0.25)

    assert text == "Nothing cheaper equals, in p99: $100 500 ms; $300 200 ms."
    names = [note.get_text().strip() for note in axes.texts]
    assert names == ["1", "3", "4", "goal 250 ms"]  # b has nothing to show
    beside = [text.get_text() for text in axes.get_legend().get_texts()]
    assert beside == ["1  a: underbuilt", "3  c: fits", "4  d: overbuilt"]
    assert "ms" in axes.get_ylabel()
    assert "$" in axes.get_xlabel()


def test_verdicts_are_told_apart_without_colour(axes):
    plots.frontier(axes, TABLE, target="p99_s")

    markers = {line.get_marker() for line in axes.lines if line.get_marker() not in ("None", "")}
    assert len(markers) == 3


def test_shares_are_drawn_from_nought_to_all(axes):
    text = plots.frontier(
        axes, TABLE.assign(on_frontier=[True, False, True, True]), target="survives"
    )

    assert text == "Nothing cheaper equals, in futures stood: $100 0.0%; $300 50.0%; $400 100.0%."
    low, high = axes.get_ylim()
    assert low < 0
    assert high > 100


def test_nothing_to_draw_is_an_empty_picture_and_no_error(axes):
    assert plots.frontier(axes, TABLE[1:2], target="p99_s").endswith("in p99: .")
