"""Pricing strategies; one may wrap another."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.exhibits.layered.config import KindPrice, PipelineConfig
from toolkit.exhibits.layered.container import Container
from toolkit.exhibits.layered.domain import Job
from toolkit.exhibits.layered.interfaces import PricingStrategy
from toolkit.exhibits.layered.registry import PRICING


class TablePricing(PricingStrategy):
    """The price by kind and size."""

    def __init__(self, kinds: Mapping[str, KindPrice]) -> None:
        self._kinds = kinds

    def price_cents(self, job: Job) -> int:
        """Return the price in cents."""
        price = self._kinds[job.kind]
        return price.base_cents + price.per_mb_cents * job.size_mb


class DiscountedPricing(PricingStrategy):
    """Another strategy's price, less a discount for large jobs, rounded down."""

    def __init__(self, inner: PricingStrategy, *, from_mb: int, percent: int) -> None:
        self._inner = inner
        self._from_mb = from_mb
        self._percent = percent

    def price_cents(self, job: Job) -> int:
        """Return the price in cents."""
        cents = self._inner.price_cents(job)
        if job.size_mb >= self._from_mb:
            cents = cents * (100 - self._percent) // 100
        return cents


@PRICING.register("table")
def make_table(container: Container) -> PricingStrategy:
    """Return the prices without discount."""
    return TablePricing(container.resolve(PipelineConfig).pricing.kinds)


@PRICING.register("discounted")
def make_discounted(container: Container) -> PricingStrategy:
    """Return the prices with the discount for large jobs."""
    config = container.resolve(PipelineConfig).pricing
    return DiscountedPricing(
        make_table(container), from_mb=config.discount_from_mb, percent=config.discount_percent
    )
