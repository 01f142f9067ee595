"""The panel of notebook 08 follows its controls and says what was measured beside it."""

import pytest

import toolkit as tk
from toolkit import twins
from toolkit.panels import hops


@pytest.fixture(scope="module")
def panel():
    return hops.hops()


def test_the_sentence_has_all_three_services_and_the_nearest_measurements(panel):
    text = panel.summary

    for service in twins.SERVICES:
        assert f"{service} p50" in text
    assert "Measured nearest to it: lean 19 ms at 100/s" in text


def test_other_slots_were_not_measured(panel):
    panel.controls["slots"].value = 8
    try:
        assert "Nothing was measured for these slots" in panel.summary
    finally:
        panel.controls["slots"].value = twins.SLOTS


@pytest.mark.parametrize(
    ("control", "value", "says"),
    [
        ("load", 230, "At 230 jobs a second"),
        ("slots", 2, "p50 with 2 slots"),
        ("slow", 2.0, "work twice as long"),
        ("figure", "p99", "p99 with 4 slots"),
    ],
)
def test_the_panel_follows_every_control(control, value, says):
    panel = hops.hops(jobs=500)
    before = panel.summary
    panel.controls[control].value = value

    assert panel.summary != before
    assert says in panel.summary


@pytest.mark.parametrize("slow", [0.5, 1.5, 3.0])
def test_work_that_was_not_measured_is_called_so(slow):
    panel = hops.hops(jobs=300)
    panel.controls["slow"].value = slow

    assert "Nothing was measured for these slots and this work" in panel.summary


def test_measured_points_stand_beside_their_own_circumstances_only():
    """Twice the work was measured at 60 jobs a second; its answers take about twice as long."""
    usual, slow = hops.measured("p50"), hops.measured("p50", 2.0)

    assert {service: len(x) for service, (x, _) in usual.items()} == dict.fromkeys(
        twins.SERVICES, 6
    )
    for service, (rates, p50) in slow.items():
        assert rates == pytest.approx([60], rel=0.01)
        assert 1.8 < p50[0] / usual[service][1][1] < 2.4


def test_a_guess_is_on_the_panel_and_on_the_picture():
    guess = tk.lessons.predict("how long?", unit="ms", low=10, high=10_000)
    guess._field.value = "75"
    panel = hops.hops(guess=guess, jobs=300)

    assert "your guess 75" in hops.against_load(guess=guess).text
    assert "your guess: 75" in [line.get_label() for line in panel._sketch._axes.get_lines()]


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (hops.against_load, "p99, ms"),
        (hops.bursts, "in any two seconds of it: lean 198, celery 171, overbuilt 178."),
        (lambda: hops.around({"lean": "lean-crash-service"}), "any half second after it: lean 0."),
        (
            lambda: hops.by_price({"work_deaths": 30}),
            "Cheapest: lean from $0.01 on, celery from $1 on, overbuilt from $100 on.",
        ),
    ],
)
def test_pictures_say_themselves(picture, said):
    made = picture()

    assert said in made.text
    assert made.png.startswith(b"\x89PNG")
