"""Guesses are kept, answers are checked at once, and nobody gets a traceback."""

import pytest
from fakes import pool, simulated_test

import toolkit as tk


@pytest.fixture(scope="module")
def fit():
    return tk.fit(simulated_test(pool(4, 60), jobs=2_000), workers=4)


@pytest.fixture(scope="module")
def advice(fit):
    designs = fit.staffings(load=2.3)
    return tk.advise(designs, slo=tk.SLO(p99_s=0.12), jobs=1_500, replications=5, progress=False)


def test_a_guess_is_kept_and_a_slip_is_explained():
    guess = tk.lessons.predict("How slow?", unit="ms", low=1, high=1000)
    field = guess.box.children[1]

    assert guess.value is None
    field.value = "250 ms"
    assert guess.value == 250
    field.value = "soon"
    assert guess.value is None
    assert "a number from 1 to 1000" in guess.box.children[2].value


def test_the_right_share_is_right_and_the_usual_slips_get_their_own_hint(fit):
    erlangs = 120 * fit.design.stages[0].service.mean_s
    right = erlangs / 4

    def text(answer):
        return repr(tk.lessons.check("00-1 utilisation", answer, fit=fit, rate_per_s=120))

    assert tk.lessons.check("00-1 utilisation", right, fit=fit, rate_per_s=120)
    assert "percentage" in text(100 * right)
    assert "how much is it for each" in text(erlangs)
    assert "thousand" in text(1000 * right)
    assert "slack" in text(1 - right)


def test_the_simplest_design_is_asked_for_and_not_the_safest(advice):
    verdicts = advice.table()["verdict"]
    overbuilt = verdicts.index[verdicts == "overbuilt"][0]
    underbuilt = verdicts.index[verdicts == "underbuilt"][0]

    def check(answer):
        return tk.lessons.check("00-2 simplest design", answer, advice=advice)

    assert check(advice.choice)
    assert check(int(advice.choice.split()[0]))
    assert "one row up" in check(overbuilt).text
    assert "keeping up is not meeting the goal" in check(underbuilt).text
    assert "one of the designs" in check("seven").text


def test_room_to_grow_is_the_inverse_of_the_utilisation(fit, advice):
    load = advice.comparison.replications[advice.choice].design.offered_load()[0].utilisation

    def check(answer):
        return tk.lessons.check("00-3 room to grow", answer, fit=fit, advice=advice)

    assert check(1 / load)
    assert "one more" in check(1 / load - 1).text
    assert "inverse" in check(load).text


@pytest.mark.parametrize(
    "answer", [..., None, "abc", True, [], float("nan"), float("inf"), object()]
)
@pytest.mark.parametrize("question", [*tk.lessons.QUESTIONS, "no such question"])
def test_no_answer_ends_in_a_traceback(question, answer, fit):
    feedback = tk.lessons.check(question, answer, fit=fit)

    assert not feedback
    assert feedback.text
    assert "Traceback" not in repr(feedback)


def test_feedback_is_escaped():
    assert "<script>" not in tk.lessons.check("<script>", 1)._repr_html_()
