"""The pictures of notebook 02 say what they show, and its panels follow their controls."""

import pytest

import toolkit as tk

jobs = tk.panels.jobs


def test_a_recording_stands_above_its_twin_on_one_axis_of_time():
    text = jobs.experiment("celery-redis-rate-limit-kombu562", title="limit 2/s").text

    assert "Measured: limit 2/s: 5 runs of 5 jobs up to 1.5" in text
    assert "Simulated: limit 2/s: 5 runs of 5 jobs up to 1.5" in text


def test_four_jobs_wait_in_a_busy_workers_memory_in_both_witnesses():
    """The gray steps count them; after the short jobs are done it is four, for five seconds."""
    axes = []
    name = "celery-redis-prefetch-4-early"
    recording = tk.recordings.recorded(name)
    for witness in (recording.executions, tk.panels.witnesses.simulated(name)):
        rows = witness.assign(sent_s=witness["job"].map(recording.jobs["sent_s"]))

        def draw(ax, rows=rows):
            axes.append(ax)
            return tk.plots.timeline(ax, rows, title="a test")

        assert tk.plots.picture(draw).text.endswith("At most 11 waiting at once.")
    steps = [[text.get_text() for text in ax.texts][-2:] for ax in axes]

    assert steps == [["11", "4"], ["11", "4"]]


def test_a_guess_is_drawn_from_the_kill_on():
    """The chart is redrawn when the learner changes it."""
    guess = tk.lessons.predict("when?", unit="s", low=0, high=10_000)
    panel = jobs.killed(guess)

    assert "worker 0 killed at 1.0 s" in panel.summary
    assert "measured, job 0 runs again 87.8 s after the kill" in panel.summary
    assert "guess" not in panel.summary
    guess._field.value = "5"
    assert "your guess: 5 s after it" in panel.summary
    guess._field.value = "9000"
    assert "your guess: 9000 s after it" in panel.summary


def test_the_waits_of_every_product_can_be_chosen():
    panel = jobs.loads()

    assert panel.summary.startswith("Celery on Redis: 50% busy p99 measured 395 ms, simulated")
    panel.controls["product"].value = "Sidekiq"
    assert panel.summary.startswith("Sidekiq: 50% busy p99 measured 167 ms")


def test_sidekiq_is_late_in_teeth_as_high_in_both_witnesses():
    text = jobs.lumps().text

    assert "of 200 jobs, measured, late by 2.7 s in the mean and 12.9 s at most" in text
    assert "simulated, late by 2.8 s in the mean and 12.8 s at most" in text


def test_the_crash_panel_follows_its_controls():
    panel = jobs.crash()
    controls = panel.controls

    assert panel.summary.endswith("Lost for good: 1.")
    controls["ack"].value = "late"
    assert "the last starts at 3,690 s" in panel.summary
    assert panel.summary.endswith("Lost for good: 0.")
    controls["at_s"].value = 0.0
    assert "killed" not in panel.summary
    assert "dies" not in panel.summary


def test_what_a_product_leaves_to_nobody_cannot_be_set():
    controls = jobs.crash().controls
    controls["product"].value = "Amazon SQS"

    assert controls["ack"].disabled
    assert controls["prefetch"].disabled
    controls["product"].value = "Celery, RabbitMQ"
    assert not controls["prefetch"].disabled


@pytest.mark.parametrize("product", tk.panels.products.PRODUCTS)
def test_every_product_can_be_drawn(product):
    run = tk.panels.products.one_crash(product)
    text = tk.plots.picture(
        lambda axes: tk.plots.timeline(
            axes, run.attempts.query("worker >= 0"), title=product, end_s=40.0
        )
    ).text

    assert "1 killed" in text
