"""A panel is tested without a browser and without a kernel: set a value, look at what is shown."""

import pytest
from fakes import pool, simulated_test

import toolkit as tk


@pytest.fixture
def panel():
    fit = tk.fit(simulated_test(pool(4, 60), jobs=1_000), workers=4)
    guess = tk.lessons.predict("p99?", unit="ms", low=1, high=1000)
    guess.box.children[1].value = "77"
    return tk.panels.staffing(fit, slo=tk.SLO(p99_s=0.1), guess=guess, jobs=500)


@pytest.mark.parametrize(
    ("control", "value", "said"),
    [
        ("workers", 2, "2 workers at"),
        ("load", 2.0, "utilisation 6"),
        ("failure", 0.5, "Done: 4"),
        ("workers", 1, "OVERLOADED"),
    ],
)
def test_moving_a_control_changes_the_chart_and_its_sentence(panel, control, value, said):
    before = [child.value for child in panel.box.children[-2:]]
    panel.controls[control].value = value

    after = [child.value for child in panel.box.children[-2:]]
    assert said in panel.summary
    assert said in after[1]
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_retries_turn_failures_into_load_and_goodput(panel):
    panel.controls["failure"].value = 0.5
    panel.controls["retry"].value = "3 retries, full jitter"

    assert "Done: 9" in panel.summary


def test_the_guess_and_the_goal_are_on_the_chart_and_in_its_text(panel):
    assert "your guess 77 ms" in panel.summary
    assert "goal p99 100 ms" in panel.summary
    assert 'alt="4 workers' in panel.box.children[-2].value


def test_an_error_is_shown_and_not_swallowed():
    def draw(axes, **values):  # noqa: ARG001
        raise ValueError("that does <not> work")

    with pytest.raises(ValueError, match="does <not> work"):
        tk.panels.Panel(draw, {})
