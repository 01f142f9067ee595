"""Curves that are told apart without colour, and say their ends."""

import numpy as np

import toolkit as tk


def drawn(**more):
    x = np.array([1.0, 2.0, 4.0])
    axes = []

    def draw(ax):
        axes.append(ax)
        return tk.plots.lines(
            ax,
            {"up": (x, x), "down": (x, -x + 5)},
            xlabel="load, jobs/s",
            ylabel="goodput, jobs/s",
            **more,
        )

    return tk.plots.picture(draw, caption="Invented."), axes[0]


def test_a_curve_has_a_marker_a_dash_and_a_name_outside_the_data():
    picture, axes = drawn()
    looks = {(line.get_linestyle(), line.get_marker()) for line in axes.get_lines()}

    assert len(looks) == 2
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["up", "down"]
    assert picture.text == (
        "goodput, jobs/s, from the first to the last load, jobs/s: up 1 to 4; down 4 to 1."
    )
    assert picture.png.startswith(b"\x89PNG")


def test_spans_levels_and_a_guess_are_named():
    _, axes = drawn(spans={"outage": (1, 2)}, level=("capacity", 3.0), guess=2.5, log_x=True)
    names = {text.get_text() for text in axes.get_legend().get_texts()}

    assert {"outage", "capacity", "your guess: 2.5"} <= names
    assert axes.get_xscale() == "log"


def test_a_curve_without_a_value_says_so():
    nothing = np.array([np.nan, np.nan])
    text = tk.plots.picture(
        lambda ax: tk.plots.lines(
            ax, {"none": (nothing, nothing)}, xlabel="x", ylabel="y", log_y=True
        )
    ).text

    assert "none has no value" in text


def test_a_band_lies_around_its_curve_and_marks_go_across():
    x = np.array([1.0, 2.0, 4.0])
    picture, axes = drawn(
        bands={"up": (x - 1, x + 1)}, marks={"limit": ("x", 3.0), "goal": ("y", 2.0)}, guess_y=2.5
    )
    names = {text.get_text() for text in axes.get_legend().get_texts()}

    assert len(axes.collections) == 1
    assert {"limit", "goal", "your guess: 2.5"} <= names
    assert picture.text.endswith("down 4 to 1; your guess 2.5.")


def test_what_runs_gave_is_a_point_with_a_bar_in_the_curves_colour():
    """And the curve leaves its markers to the points."""
    x = np.array([1.0, 2.0])
    _, axes = drawn(ranges={"down": (x, np.array([[1.0, 3.0, 8.0], [5.0, 5.0, 5.0]]))})
    [bars] = axes.containers
    middle, _, [bar] = bars
    curves = {line.get_label(): line for line in axes.get_lines()}

    assert list(middle.get_ydata()) == [4.0, 5.0]
    assert [part[:, 1].tolist() for part in bar.get_segments()] == [[1.0, 8.0], [5.0, 5.0]]
    assert middle.get_color() == curves["down"].get_color() != curves["up"].get_color()
    assert curves["down"].get_marker() in ("", "None")
    assert curves["up"].get_marker() == "o"
    assert "down, simulated" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_no_two_of_eight_curves_look_alike():
    x = np.array([1.0, 2.0])
    axes = []

    def draw(ax):
        axes.append(ax)
        curves = {str(n): (x, x + n) for n in range(8)}
        return tk.plots.lines(ax, curves, xlabel="x", ylabel="y")

    tk.plots.picture(draw)
    looks = axes[0].get_lines()

    assert len({line.get_color() for line in looks}) == len(looks) == 8
    assert len({line.get_marker() for line in looks}) == 8
