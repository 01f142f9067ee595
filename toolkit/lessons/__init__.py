"""What makes a notebook a lesson: a guess before the run, and an answer that is checked at once.

``predict`` asks for a number and keeps it, so that a chart can show it beside what came out.
``check`` looks at an answer and says what it shows: right, or a hint aimed at the idea that most
likely led there.  A check works its answer out from the learner's own objects, so none is written
down here, and whatever is handed in, it never ends in a traceback.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolkit.lessons import (
    notebook_00,
    notebook_01,
    notebook_02,
    notebook_03,
    notebook_04,
    notebook_05,
    notebook_07,
    notebook_08,
    notebook_09,
    notebook_10,
)
from toolkit.lessons.feedback import Feedback
from toolkit.lessons.prediction import Prediction, predict

QUESTIONS: dict[str, Callable[..., Feedback]] = {
    **notebook_00.QUESTIONS,
    **notebook_01.QUESTIONS,
    **notebook_02.QUESTIONS,
    **notebook_03.QUESTIONS,
    **notebook_04.QUESTIONS,
    **notebook_05.QUESTIONS,
    **notebook_07.QUESTIONS,
    **notebook_08.QUESTIONS,
    **notebook_09.QUESTIONS,
    **notebook_10.QUESTIONS,
}


def check(question: str, answer: Any, **evidence: Any) -> Feedback:
    """Look at the ``answer`` to a ``question`` of a notebook, in the light of the learner's objects.

    Never raises: an unknown question, an answer of the wrong kind or missing evidence is said.
    """
    if question not in QUESTIONS:
        return Feedback(
            False, f"there is no question {question!r}; there are {', '.join(QUESTIONS)}"
        )
    if answer is None or answer is ...:
        return Feedback(False, "no answer yet: put yours in place of the three dots")
    try:
        return QUESTIONS[question](answer, **evidence)
    except Exception as error:  # noqa: BLE001, a learner never gets a traceback for an answer
        return Feedback(
            False, f"that answer cannot be checked ({error}); is it of the kind that was asked for?"
        )


__all__ = ["QUESTIONS", "Feedback", "Prediction", "check", "predict"]
