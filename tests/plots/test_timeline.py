"""Who ran which job when, readable without colour."""

import numpy as np
import pandas as pd

import toolkit as tk

ROWS = pd.DataFrame(
    {
        "worker": [0, 1, 1],
        "job": [7, 8, 7],
        "started_s": [0.0, 0.5, 2.0],
        "ended_s": [1.0, 2.0, np.nan],
        "outcome": ["crashed", "ok", "ok"],
    }
)


def test_a_bar_a_run_with_its_job_and_what_became_of_it():
    axes = []

    def draw(ax):
        axes.append(ax)
        return tk.plots.timeline(ax, ROWS, title="Measured: a crash", end_s=4.0)

    picture = tk.plots.picture(draw)
    (ax,) = axes
    bars = [(round(bar.get_x(), 2), round(bar.get_width(), 2)) for bar in ax.patches]

    assert bars == [(0.0, 1.0), (0.5, 1.5), (2.0, 2.0)]
    assert [text.get_text() for text in ax.texts] == ["7", "8", "7"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["worker 0", "worker 1"]
    assert {bar.get_hatch() for bar in ax.patches} == {"", "xx"}
    assert picture.text == "Measured: a crash: 3 runs of 2 jobs up to 4 s: 2 done, 1 killed."


def test_two_pictures_share_their_time():
    """Measured above, simulated below: a stranger compares without measuring."""

    def upper(ax):
        return tk.plots.timeline(ax, ROWS, title="above", end_s=4.0)

    def lower(ax):
        return tk.plots.timeline(ax, ROWS.iloc[:1], title="below", end_s=9.0)

    text = tk.plots.picture(upper, below=lower).text

    assert text.startswith("above: 3 runs")
    assert "below: 1 runs" in text


def drawn(rows, **settings):
    """Return what stands in a picture beside its text."""
    axes = []

    def draw(ax):
        axes.append(ax)
        return tk.plots.timeline(ax, rows, title="a test", **settings)

    text = tk.plots.picture(draw).text
    (ax,) = axes
    return ax, text


def test_a_lane_counts_the_jobs_that_wait():
    """Job 8 waits from 0.25 to 0.5 s; job 7, killed at 1 s, waits again until 2 s."""
    rows = ROWS.assign(sent_s=[0.0, 0.25, 0.0])
    ax, text = drawn(rows, end_s=4.0)
    (lane,) = ax.collections
    corners = lane.get_paths()[0].vertices
    counted_s = {x for x, y in corners if y < 2.0}  # a lane below the two workers

    assert text.endswith("At most 1 waiting at once.")
    assert ax.get_yticklabels()[-1].get_text() == "jobs waiting"
    assert counted_s == {0.25, 0.5, 1.0, 2.0}
    assert [label.get_text() for label in ax.texts][-1] == "1"


def test_a_lost_job_does_not_wait():
    """It was killed, and there is no other run of it."""
    lost = ROWS.iloc[[0]].assign(sent_s=0.0)

    assert drawn(lost, end_s=4.0)[1].endswith("At most 0 waiting at once.")


def test_who_comes_back_beyond_the_picture_waits_to_its_end():
    rows = pd.concat([ROWS.iloc[[0]], ROWS.iloc[[0]].assign(started_s=99.0, ended_s=100.0)])
    ax, _ = drawn(rows.assign(sent_s=0.0), end_s=4.0)
    (lane,) = ax.collections
    counted_s = [x for x, y in lane.get_paths()[0].vertices if y < 1.2]

    assert (min(counted_s), max(counted_s)) == (1.0, 4.0)


def test_without_moments_of_sending_there_is_no_lane():
    ax, text = drawn(ROWS, end_s=4.0)

    assert len(ax.get_yticklabels()) == 2
    assert "waiting" not in text


def test_a_short_bar_keeps_its_colour():
    """Its white edge would hide it."""
    short = ROWS.iloc[[1]].assign(ended_s=0.51)
    ax, _ = drawn(short, end_s=100.0)

    assert [bar.get_linewidth() for bar in ax.patches] == [0.0]


def test_what_starts_later_is_told_at_the_margin_and_not_drawn():
    """An hour on the axis would hide the seconds that matter."""
    late = pd.concat([ROWS, ROWS.iloc[[0]].assign(started_s=3690.0, ended_s=3692.0, outcome="ok")])
    axes = []

    def draw(ax):
        axes.append(ax)
        return tk.plots.timeline(ax, late, title="a crash", end_s=10.0, marks={"kill at 1 s": 1.0})

    text = tk.plots.picture(draw).text
    (ax,) = axes

    assert len(ax.patches) == 3
    assert ax.get_xlim()[1] < 11
    assert "job 7: from 3,690 s on ▶" in [label.get_text() for label in ax.texts]
    assert "kill at 1 s" in [label.get_text() for label in ax.get_legend().get_texts()]
    assert text.endswith("1 killed, the last starts at 3,690 s, kill at 1 s.")
