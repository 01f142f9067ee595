"""A design without one of its parts, to see what could go."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator

from toolkit.advice.prices import Prices
from toolkit.design import Design, Stage


def slimmer(design: Design, optional: Collection[str] = ()) -> dict[str, Design]:
    """Return ``design`` without each of its parts in turn, by what was taken away.

    A stage is a part only if it is named in ``optional``: only its owner knows that it does no work
    that somebody needs.  What contradicts the rest of the design is left out.
    """
    found = {}
    for stage in design.stages:
        for name, thinner in _thinner(stage):
            stages = [thinner if one.name == stage.name else one for one in design.stages]
            found[name] = dataclasses.replace(design, stages=stages)
        if stage.name in optional and len(design.stages) > 1:
            rest = [one for one in design.stages if one.name != stage.name]
            found[f"the stage {stage.name}"] = dataclasses.replace(design, stages=rest)
    return found


def _thinner(stage: Stage) -> Iterator[tuple[str, Stage]]:
    if stage.workers > 1 and (stage.delivery is None or stage.delivery.instances < stage.workers):
        yield f"a worker of {stage.name}", dataclasses.replace(stage, workers=stage.workers - 1)
    if stage.limiter is not None:
        yield f"the limiter of {stage.name}", dataclasses.replace(stage, limiter=None)
    if stage.retry is not None:
        yield f"the retries of {stage.name}", dataclasses.replace(stage, retry=None)
    if stage.capacity is not None:
        free = dataclasses.replace(stage, capacity=None, when_full="reject")
        yield f"the cap of {stage.name}", free


def cheaper(
    design: Design, prices: Prices, optional: Collection[str]
) -> dict[str, tuple[Design, float]]:
    """Return those thinner forms of ``design`` that cost less, each with what it saves a month."""
    cost = prices.of(design)
    saved = {
        part: (thin, cost - prices.of(thin)) for part, thin in slimmer(design, optional).items()
    }
    return {part: found for part, found in saved.items() if found[1] > 0}
