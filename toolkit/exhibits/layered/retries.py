"""Retry policies, and the one who follows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from toolkit.exhibits.layered.config import PipelineConfig
from toolkit.exhibits.layered.container import Container
from toolkit.exhibits.layered.interfaces import RetryPolicy, Sleeper
from toolkit.exhibits.layered.registry import RETRIES


class GaveUpError(Exception):
    """The last try has failed, too."""

    def __init__(self, tries: int) -> None:
        super().__init__(f"gave up after {tries} tries")
        self.tries = tries


class ExponentialRetry(RetryPolicy):
    """Pauses that grow by a factor from one try to the next."""

    def __init__(self, *, most_tries: int, first_pause_s: float, factor: float) -> None:
        self._pauses_s = [first_pause_s * factor**n for n in range(most_tries - 1)]

    def pauses_s(self) -> Sequence[float]:
        """Return the pauses between the tries, in seconds."""
        return self._pauses_s


class Retrier:
    """Calls what may fail, and again as a policy says."""

    def __init__(self, policy: RetryPolicy, sleeper: Sleeper) -> None:
        self._policy = policy
        self._sleeper = sleeper

    def call(self, action: Callable[[], None]) -> int:
        """Return how many tries it took; raises ``GaveUpError`` when all have failed."""
        tries = 0
        for pause_s in (*self._policy.pauses_s(), None):
            tries += 1
            try:
                action()
            except ConnectionError:
                if pause_s is not None:
                    self._sleeper.pause(pause_s)
            else:
                return tries
        raise GaveUpError(tries)


@RETRIES.register("exponential")
def make_exponential(container: Container) -> RetryPolicy:
    """Return the policy with growing pauses."""
    config = container.resolve(PipelineConfig).retries
    return ExponentialRetry(
        most_tries=config.most_tries, first_pause_s=config.first_pause_s, factor=config.factor
    )
