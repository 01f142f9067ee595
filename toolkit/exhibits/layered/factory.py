"""The factory: builds a pipeline as its configuration says, with all its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from toolkit.exhibits.layered.config import PipelineConfig
from toolkit.exhibits.layered.container import Container
from toolkit.exhibits.layered.events import EventBus, JobFinished
from toolkit.exhibits.layered.gateways import FunctionGateway, FunctionSleeper, Output
from toolkit.exhibits.layered.interfaces import (
    AccountRepository,
    PaymentGateway,
    PricingStrategy,
    ResultWriter,
    RetryPolicy,
    Sleeper,
)
from toolkit.exhibits.layered.pipeline import Pipeline
from toolkit.exhibits.layered.registry import (
    PRICING,
    RETRIES,
    STEPS,
    STORES,
    WRITERS,
    load_plugins,
)
from toolkit.exhibits.layered.retries import Retrier
from toolkit.exhibits.layered.summary import SummaryCollector


class PipelineFactory:
    """Builds pipelines of one configuration."""

    def __init__(self, config: PipelineConfig) -> None:
        self._config = config
        load_plugins(config.plugins)

    def container(
        self,
        charge: Callable[[str, int], None],
        pause: Callable[[float], None],
        out: TextIO,
    ) -> Container:
        """Return a container that knows how every part is made."""
        config, made = self._config, Container()
        made.provide(PipelineConfig, lambda _: config)
        made.provide(PaymentGateway, lambda _: FunctionGateway(charge))
        made.provide(Sleeper, lambda _: FunctionSleeper(pause))
        made.provide(Output, lambda _: Output(out))
        made.provide(EventBus, lambda _: EventBus())
        made.provide(PricingStrategy, lambda c: PRICING.create(config.pricing.strategy, c))
        made.provide(RetryPolicy, lambda c: RETRIES.create(config.retries.policy, c))
        made.provide(Retrier, lambda c: Retrier(c.resolve(RetryPolicy), c.resolve(Sleeper)))
        made.provide(ResultWriter, lambda c: WRITERS.create(config.writer, c))
        made.provide(SummaryCollector, lambda c: SummaryCollector(c.resolve(AccountRepository)))
        made.provide(Pipeline, self._pipeline)
        STORES.create(config.store, made)
        return made

    def _pipeline(self, container: Container) -> Pipeline:
        """Return the steps in order, with those who listen to how jobs end."""
        bus = container.resolve(EventBus)
        writer, collector = container.resolve(ResultWriter), container.resolve(SummaryCollector)
        bus.subscribe(JobFinished, lambda event: writer.write(event.result))
        bus.subscribe(JobFinished, collector.on_finished)
        return Pipeline([STEPS.create(name, container) for name in self._config.steps], bus)
