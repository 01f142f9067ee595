"""All settings in one place, by section; the defaults are the rules of the house."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class KindPrice:
    """The price of one kind of job."""

    base_cents: int
    per_mb_cents: int


def _house_prices() -> Mapping[str, KindPrice]:
    return MappingProxyType(
        {
            "thumbnail": KindPrice(base_cents=5, per_mb_cents=1),
            "transcode": KindPrice(base_cents=50, per_mb_cents=3),
            "report": KindPrice(base_cents=20, per_mb_cents=0),
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PricingConfig:
    """Which strategy finds the price, and by what numbers."""

    strategy: str = "discounted"
    kinds: Mapping[str, KindPrice] = field(default_factory=_house_prices)
    discount_from_mb: int = 100
    discount_percent: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationConfig:
    """What a job may be."""

    most_mb: int = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitConfig:
    """What a customer may spend."""

    limit_cents: int = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """Which policy says when to try again, and by what numbers."""

    policy: str = "exponential"
    most_tries: int = 3
    first_pause_s: float = 0.5
    factor: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineConfig:
    """The whole pipeline: its steps in order, and the parts behind them by name."""

    steps: tuple[str, ...] = (
        "parse",
        "validate",
        "deduplicate",
        "price",
        "limit",
        "charge",
        "record",
    )
    store: str = "memory"
    writer: str = "json-lines"
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    pricing: PricingConfig = field(default_factory=PricingConfig)
    limits: LimitConfig = field(default_factory=LimitConfig)
    retries: RetryConfig = field(default_factory=RetryConfig)
    plugins: tuple[str, ...] = ()
    """Modules of others that are imported first, and register parts of their own."""
