"""The steps of a job's journey, each by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence

from toolkit.exhibits.layered.config import PipelineConfig
from toolkit.exhibits.layered.container import Container
from toolkit.exhibits.layered.domain import Job, JobContext, JobStoppedError, Outcome
from toolkit.exhibits.layered.interfaces import (
    AccountRepository,
    JobRepository,
    PaymentGateway,
    PricingStrategy,
    Step,
    Validator,
)
from toolkit.exhibits.layered.registry import STEPS
from toolkit.exhibits.layered.retries import GaveUpError, Retrier
from toolkit.exhibits.layered.validation import KindValidator, SizeValidator, TextValidator


class ParseStep(Step):
    """Reads a job line as JSON."""

    def handle(self, context: JobContext) -> None:
        """Fill the fields, or stop what is no JSON object."""
        try:
            fields = json.loads(context.text)
        except (ValueError, RecursionError):
            raise JobStoppedError(Outcome.INVALID, "line must be JSON") from None
        if not isinstance(fields, dict):
            raise JobStoppedError(Outcome.INVALID, "line must be a JSON object")
        context.fields = fields


class ValidateStep(Step):
    """Holds the fields to all rules, and makes a job of them."""

    def __init__(self, validators: Sequence[Validator]) -> None:
        self._validators = validators

    def handle(self, context: JobContext) -> None:
        """Fill the job, or stop at the first rule that is broken."""
        fields = context.fields
        try:
            for validator in self._validators:
                validator.check(fields)
        except ValueError as error:
            raise JobStoppedError(Outcome.INVALID, str(error)) from None
        context.checked = Job(
            name=fields["job"],
            customer=fields["customer"],
            kind=fields["kind"],
            size_mb=fields["size_mb"],
        )


class DeduplicateStep(Step):
    """Lets no job be done twice."""

    def __init__(self, jobs: JobRepository) -> None:
        self._jobs = jobs

    def handle(self, context: JobContext) -> None:
        """Stop a job that was done before."""
        if self._jobs.is_done(context.job.name):
            raise JobStoppedError(Outcome.DUPLICATE)


class PriceStep(Step):
    """Finds the price."""

    def __init__(self, pricing: PricingStrategy) -> None:
        self._pricing = pricing

    def handle(self, context: JobContext) -> None:
        """Fill the price."""
        context.cents = self._pricing.price_cents(context.job)


class LimitStep(Step):
    """Holds every customer to a limit."""

    def __init__(self, accounts: AccountRepository, *, limit_cents: int) -> None:
        self._accounts = accounts
        self._limit_cents = limit_cents

    def handle(self, context: JobContext) -> None:
        """Stop a job that would take its customer past the limit."""
        spent_cents = self._accounts.spent_cents(context.job.customer)
        if spent_cents + context.price_cents > self._limit_cents:
            raise JobStoppedError(Outcome.OVER_LIMIT)


class ChargeStep(Step):
    """Charges the customer, as often as the policy allows."""

    def __init__(self, gateway: PaymentGateway, retrier: Retrier) -> None:
        self._gateway = gateway
        self._retrier = retrier

    def handle(self, context: JobContext) -> None:
        """Fill the tries, or stop a job that could not be charged."""
        customer, cents = context.job.customer, context.price_cents
        try:
            context.tries = self._retrier.call(lambda: self._gateway.charge(customer, cents))
        except GaveUpError as error:
            context.tries = error.tries
            raise JobStoppedError(Outcome.FAILED) from None


class RecordStep(Step):
    """Remembers what was done and spent."""

    def __init__(self, jobs: JobRepository, accounts: AccountRepository) -> None:
        self._jobs = jobs
        self._accounts = accounts

    def handle(self, context: JobContext) -> None:
        """Write both down."""
        self._jobs.mark_done(context.job.name)
        self._accounts.spend(context.job.customer, context.price_cents)


@STEPS.register("parse")
def make_parse(_: Container) -> Step:
    """Return the step that reads JSON."""
    return ParseStep()


@STEPS.register("validate")
def make_validate(container: Container) -> Step:
    """Return the step that checks, with the rules for all fields."""
    config = container.resolve(PipelineConfig)
    return ValidateStep(
        [
            TextValidator("job"),
            TextValidator("customer"),
            KindValidator(config.pricing.kinds),
            SizeValidator(config.validation.most_mb),
        ]
    )


@STEPS.register("deduplicate")
def make_deduplicate(container: Container) -> Step:
    """Return the step that finds duplicates."""
    return DeduplicateStep(container.resolve(JobRepository))


@STEPS.register("price")
def make_price(container: Container) -> Step:
    """Return the step that finds the price."""
    return PriceStep(container.resolve(PricingStrategy))


@STEPS.register("limit")
def make_limit(container: Container) -> Step:
    """Return the step that holds customers to the limit."""
    limit_cents = container.resolve(PipelineConfig).limits.limit_cents
    return LimitStep(container.resolve(AccountRepository), limit_cents=limit_cents)


@STEPS.register("charge")
def make_charge(container: Container) -> Step:
    """Return the step that charges."""
    return ChargeStep(container.resolve(PaymentGateway), container.resolve(Retrier))


@STEPS.register("record")
def make_record(container: Container) -> Step:
    """Return the step that remembers."""
    return RecordStep(container.resolve(JobRepository), container.resolve(AccountRepository))
