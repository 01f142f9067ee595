"""The panel of notebook 08 follows its controls and says what was measured beside it."""

import pytest

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
    ("picture", "said"),
    [
        (hops.against_load, "p99, ms"),
        (hops.bursts, "good answers a second"),
        (lambda: hops.around({"lean": "lean-crash-service"}), "good answers a second"),
        (lambda: hops.by_price({"work_deaths": 30}), "a month"),
    ],
)
def test_pictures_say_themselves(picture, said):
    made = picture()

    assert said in made.text
    assert made.png.startswith(b"\x89PNG")
