"""Waits at several loads: measured as markers, simulated as lines."""

import numpy as np

import toolkit as tk


def test_a_load_is_a_line_and_markers_of_one_colour():
    waits = np.arange(1000.0)
    axes = []

    def draw(ax):
        axes.append(ax)
        return tk.plots.waits(ax, {"50%": (waits, 2 * waits), "70%": (waits, waits)})

    text = tk.plots.picture(draw).text
    lines = axes[0].get_lines()

    assert text == (
        "50% p99 measured 989 ms, simulated 1,978 ms; 70% p99 measured 989 ms, simulated 989 ms."
    )
    assert [line.get_label() for line in lines[:2]] == ["50%, simulated", "50%, measured"]
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color()
    assert lines[1].get_marker() != lines[3].get_marker()
