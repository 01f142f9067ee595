"""Ratios lie on their side of one, and say so."""

import pandas as pd

import toolkit as tk

TABLE = pd.DataFrame(
    {"median": [0.5, 3.0, 1.1], "low": [0.5, 2.5, 0.9], "high": [0.5, 3.5, 1.2]},
    index=["places", "time", "stack"],
)


def drawn():
    axes = []

    def draw(ax):
        axes.append(ax)
        return tk.plots.ratios(ax, TABLE, over="layered", under="direct")

    return tk.plots.picture(draw, caption="Invented."), axes[0]


def test_the_sentence_says_where_there_is_more_less_and_the_same():
    """A range on both sides of one decides nothing, whatever its middle is."""
    picture, _ = drawn()

    assert picture.text == (
        "layered / direct, from the largest ratio. More: time 3. Less: places 0.5. The same: stack 1.1."
    )


def test_each_side_has_a_marker_of_its_own_and_the_largest_is_at_the_top():
    _, axes = drawn()
    markers = [line.get_marker() for line in axes.get_lines() if line.get_marker() != "None"]

    assert [label.get_text() for label in axes.get_yticklabels()] == ["places", "stack", "time"]
    assert markers == ["o", "D", "s"]
    assert axes.get_xscale() == "log"
