"""What a kernel counted, drawn on top of what was predicted; and what it costs to say no."""

import numpy as np

import toolkit as tk


def drawn(draw):
    """Return the picture and the Axes it was drawn on."""
    seen = []

    def on(axes):
        seen.append(axes)
        return draw(axes)

    return tk.plots.picture(on, caption="Invented."), seen[0]


def names(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


T = np.array([0.0, 1.0, 2.0])


def flooded(**more):
    return drawn(
        lambda axes: tk.plots.counted(
            axes,
            {"formula": (T, 100 + 50 * T)},
            {"kernel": (T, 99 + 50 * T)},
            xlabel="time, s",
            ylabel="let in",
            **more,
        )
    )


def test_what_was_counted_stands_as_open_marks_on_the_line():
    picture, axes = flooded()
    line, marks = axes.get_lines()

    assert (line.get_marker(), marks.get_linestyle()) == ("None", "None")
    assert marks.get_marker() == "o"
    assert marks.get_markerfacecolor() == "none"
    assert marks.get_zorder() > line.get_zorder()
    assert picture.text == "let in, at the last time, s: formula 200; kernel 199."


def test_changes_and_a_guess_are_named():
    picture, axes = flooded(marks={"now 5/s": 1.0}, guess_y=150.0)

    assert names(axes) == ["formula", "kernel", "now 5/s", "your guess: 150"]
    assert picture.text.endswith("kernel 199; your guess 150.")


def test_many_counts_are_thinned_out():
    many = np.arange(1000.0)
    _, axes = drawn(
        lambda axes: tk.plots.counted(axes, {}, {"kernel": (many, many)}, xlabel="x", ylabel="y")
    )

    assert axes.get_lines()[0].get_markevery() == 40


def test_a_ladder_shows_every_round_and_says_the_fastest():
    rungs = {"driver": np.array([300.0, 200.0, 900.0]), "program": np.array([5000.0, 4000.0])}
    picture, axes = drawn(lambda ax: tk.plots.ladder(ax, rungs, xlabel="ns", guess=1000.0))
    rounds = [line for line in axes.get_lines() if line.get_marker() == "o"]

    assert [list(line.get_xdata()) for line in rounds] == [
        list(rounds) for rounds in rungs.values()
    ]
    assert picture.text == "ns, fastest round: driver 200; program 4,000; your guess 1,000."
    assert [text.get_text() for text in axes.get_yticklabels()] == ["driver", "program"]
    assert rounds[0].get_ydata()[0] > rounds[1].get_ydata()[0]  # the first on top
    assert axes.get_xscale() == "log"


def test_answers_are_shares_and_times():
    cases = {"alone": (1.0, 0.5, 2.0), "flood": (0.25, 4.0, 9.0), "dead": (0.0, None, None)}
    picture, axes = drawn(lambda ax: tk.plots.answered(ax, cases, guess=0.5))

    assert [bar.get_width() for bar in axes.patches] == [1.0, 0.25, 0.0]
    assert picture.text == (
        "alone: 100% answered, half within 0.5 ms, p99 2 ms; "
        "flood: 25% answered, half within 4 ms, p99 9 ms; dead: 0% answered, no answer; "
        "your guess 50%."
    )


def test_a_histogram_leaves_empty_ends_out_and_says_where_half_is():
    low = np.array([0.0, 1, 2, 4, 8, 16])
    bins = {"peace": (low, [0, 0, 3, 0, 1, 0]), "flood": (low, np.zeros(6))}
    picture, axes = drawn(lambda ax: tk.plots.histogram(ax, bins, xlabel="wait, µs"))
    (steps,) = axes.patches

    assert list(steps.get_data().edges) == [2, 4, 8, 16]
    assert list(steps.get_data().values) == [3, 0, 1]
    assert picture.text == "wait, µs: peace: 4, half below 4, 99% below 16; flood: nothing."
