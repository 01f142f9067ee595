"""The questions of notebook 08, and the ideas behind wrong answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolkit import twins
from toolkit.lessons.feedback import Feedback, close, number


def _full(answer: Any, *, service: str) -> Feedback:
    """Check at which rate all processor time of a service is taken."""
    given = number(answer)
    processor_s = twins.twin(service).processor_s
    right = 1.0 / processor_s
    if close(given, right):
        return Feedback(True, f"{right:.0f}/s: rate × processor time a job cannot be more than one")
    if close(given, twins.SLOTS * right):
        return Feedback(False, "the slots share one processor; how many jobs a second can it do?")
    if close(given, processor_s * 1000) or close(given, processor_s):
        return Feedback(False, "that is the time of one job; how many fit into a second?")
    if close(given, 1000 * right) or close(given, right / 1000):
        return Feedback(False, "a factor of a thousand: is the processor time in seconds?")
    return Feedback(
        False, "utilisation is the rate times the processor time of a job: when is it 1?"
    )


def _in_a_crash(answer: Any, *, rate_per_s: float, away_s: float, inside: int) -> Feedback:
    """Check how many requests fail while the only front is away."""
    given, right = number(answer), rate_per_s * away_s + inside
    if close(given, right):
        return Feedback(True, f"about {right:.0f}: those who come meanwhile, and those inside")
    if close(given, rate_per_s * away_s):
        return Feedback(False, "those who come meanwhile fail; and those who were inside already?")
    if close(given, inside):
        return Feedback(False, "those are the ones inside; more come while it is away")
    return Feedback(False, "how many come while it is away, and how many were inside?")


def _pays_from(answer: Any, *, often: dict[str, float]) -> Feedback:
    """Check from which price of a failed request on the overbuilt service costs less than the lean one."""
    given = number(answer)
    bill, gone = twins.total(failed=0.0, often=often)["parts"], twins.month(**often)["failed"]
    dearer = bill["overbuilt"] - bill["lean"]
    saved = gone["lean"] - gone["overbuilt"]
    if saved <= 0:
        return Feedback(False, "here the overbuilt one fails more often, so no price makes it pay")
    right = dearer / saved
    if close(given, right):
        return Feedback(
            True, f"{right:.2f} dollars: dearer by {dearer:,.0f}, {saved:,.0f} fewer fail"
        )
    if close(given, 1 / right):
        return Feedback(False, "turned upside down: dollars a month over requests a month")
    if close(given, dearer / gone["lean"]):
        return Feedback(
            False, "some requests fail with the overbuilt one, too: take the difference"
        )
    if close(given, bill["overbuilt"] / saved):
        return Feedback(False, "the lean one has its bill, too: take the difference")
    return Feedback(False, "what is it dearer by a month, and how many fewer requests fail in it?")


QUESTIONS: dict[str, Callable[..., Feedback]] = {
    "08-1 processor full": _full,
    "08-2 failed in a crash": _in_a_crash,
    "08-3 pays from": _pays_from,
}
