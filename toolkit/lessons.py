"""What makes a notebook a lesson: a guess before the run, and an answer that is checked at once.

``predict`` asks for a number and keeps it, so that a chart can show it beside what came out.
``check`` looks at an answer and says what it shows: right, or a hint aimed at the idea that most
likely led there.  A check works its answer out from the learner's own objects, so none is written
down here, and whatever is handed in, it never ends in a traceback.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from toolkit.advice import Advice
from toolkit.fit import Fit


class Prediction:
    """A question that is put before the answer is shown; ``value`` is ``None`` until answered."""

    def __init__(self, question: str, *, unit: str, low: float, high: float) -> None:
        import ipywidgets  # noqa: PLC0415, widgets only in a notebook

        self.value: float | None = None
        self.unit = unit
        self._low, self._high = low, high
        self._watchers: list[Callable[[], None]] = []
        self._field = ipywidgets.Text(
            description=f"Your guess ({unit})",
            placeholder=f"{low:g} to {high:g}, then Enter",
            continuous_update=False,
            style={"description_width": "initial"},
        )
        self._said = ipywidgets.HTML()
        self._field.observe(self._record, names="value")
        self.box = ipywidgets.VBox(
            [ipywidgets.HTML(f"<b>{html.escape(question)}</b>"), self._field, self._said]
        )

    def __repr__(self) -> str:
        guess = "no guess yet" if self.value is None else f"{self.value:g} {self.unit}"
        return f"Prediction({guess})"

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415

        display(self.box)

    def watch(self, redraw: Callable[[], None]) -> None:
        """Call ``redraw`` whenever the guess changes."""
        self._watchers.append(redraw)

    def _record(self, change: dict[str, Any]) -> None:
        """Keep a usable number, say what is wrong with any other."""
        text = str(change["new"]).strip().removesuffix(self.unit).strip().replace(",", ".")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        unit = html.escape(self.unit)
        if self._low <= number <= self._high:
            self.value = number
            self._said.value = f"Kept: {number:g} {unit}. It is on the charts below."
        else:
            self.value = None
            self._said.value = (
                f"Not kept: a number from {self._low:g} to {self._high:g} {unit}, please."
            )
        for redraw in self._watchers:
            redraw()


def predict(question: str, *, unit: str, low: float, high: float) -> Prediction:
    """Ask ``question`` and return a widget that keeps the guess; it can be left out."""
    return Prediction(question, unit=unit, low=low, high=high)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a check says; true when the answer is right."""

    right: bool
    text: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return f"{'✓' if self.right else '→'} {self.text}"

    def _repr_html_(self) -> str:
        color = "#007A5A" if self.right else "#A84B00"
        mark = "✓ right" if self.right else "→ not yet"
        return f'<p role="status" style="color:{color}"><b>{mark}:</b> {html.escape(self.text)}</p>'


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


def _utilisation(answer: Any, *, fit: Fit, rate_per_s: float) -> Feedback:
    """Check how busy each worker is at a rate, as a share."""
    number = _number(answer)
    stage = fit.design.stages[0]
    erlangs = stage.offered_erlangs(rate_per_s)
    right = erlangs / stage.workers
    if _close(number, right):
        return Feedback(
            True, f"{right:.2f} of each worker's time is taken, so {1 - right:.2f} is slack"
        )
    if _close(number, 100 * right):
        return Feedback(False, "that is a percentage; give the share, from 0 to 1")
    if _close(number, erlangs):
        return Feedback(False, "that is the load on all workers together; how much is it for each?")
    if _close(number, 1000 * right) or _close(number, right / 1000):
        return Feedback(False, "a factor of a thousand: are rate and service time both in seconds?")
    if _close(number, 1 - right):
        return Feedback(False, "that is the slack; utilisation is what is taken")
    return Feedback(False, "utilisation is arrivals per second × seconds of service each ÷ workers")


def _fewest_workers(answer: Any, *, advice: Advice) -> Feedback:
    """Check the name of the simplest design that meets the goal."""
    table = advice.table()
    names = [str(name) for name in table.index]
    name = next((n for n in names if n == answer or n.split()[0] == str(answer)), None)
    if name is None:
        return Feedback(False, f"the answer is one of the designs: {', '.join(names)}")
    verdict = table.loc[name, "verdict"]
    if verdict == "fits":
        return Feedback(True, f"{name} meet the goal, and nothing cheaper surely does")
    if verdict == "overbuilt":
        return Feedback(
            False, f"{name} meet the goal, but look one row up: does a cheaper one as well?"
        )
    if verdict == "uncertain":
        return Feedback(
            False,
            f"{name} might: their interval lies on both sides of the goal. Which one is sure?",
        )
    share = table.loc[name, "utilisation"]
    return Feedback(
        False,
        f"{name} keep up (utilisation {share:.2f}), but keeping up is not meeting the goal: see p99",
    )


def _slack(answer: Any, *, fit: Fit, advice: Advice) -> Feedback:
    """Check how many times the load the chosen design could just carry."""
    number = _number(answer)
    if advice.choice is None:
        return Feedback(False, "no design met the goal, so choose a goal that one can meet first")
    design = advice.comparison.replications[advice.choice].design
    right = 1 / design.offered_load()[0].utilisation
    if _close(number, right):
        return Feedback(
            True,
            f"at {right:.2f} times the load every worker is always busy, and the queue never ends",
        )
    if _close(number, right - 1):
        return Feedback(False, "that is the growth; the factor is one more")
    if _close(number, 1 / right):
        return Feedback(False, "that is the utilisation; the load may grow by its inverse")
    if _close(number, fit.workers * right / design.stages[0].workers):
        return Feedback(
            False, "that is for the workers that were measured; how many has the design you chose?"
        )
    return Feedback(False, "the limit is where utilisation reaches 1: how far is it from there?")


QUESTIONS: dict[str, Callable[..., Feedback]] = {
    "00-1 utilisation": _utilisation,
    "00-2 simplest design": _fewest_workers,
    "00-3 room to grow": _slack,
}


def _number(answer: Any) -> float:
    if isinstance(answer, bool) or not isinstance(answer, Real):
        raise TypeError(f"a number was asked for, got {answer!r}")
    return float(answer)


def _close(number: float, target: float) -> bool:
    return math.isclose(number, target, rel_tol=0.03)
