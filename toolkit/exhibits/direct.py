"""A small job pipeline, written directly: one module of plain functions.

Job lines come in as JSON.
Each job is checked, priced, held to its customer's limit and charged; the charge is flaky, and is tried
a bounded number of times.
A result line goes out before the next job line is read; a summary comes back at the end.
``toolkit.exhibits.layered`` does the same through layers, and one file of tests holds both.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TextIO

PRICES_CENTS = {"thumbnail": (5, 1), "transcode": (50, 3), "report": (20, 0)}
"""By kind of job: cents a job, and cents a megabyte."""

MOST_MB = 2_000
DISCOUNT_FROM_MB = 100
DISCOUNT_PERCENT = 10
LIMIT_CENTS = 5_000  # for each customer
PAUSES_S = (0.5, 1.0)  # before the second try, and before the third and last

Charge = Callable[[str, int], None]
Pause = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Job:
    """A job that passed the checks."""

    name: str
    customer: str
    kind: str
    size_mb: int


@dataclass(slots=True)
class Books:
    """What is known of the jobs so far: those done, and the cents spent by each customer."""

    done: set[str] = field(default_factory=set)
    spent_cents: Counter[str] = field(default_factory=Counter)


def process(lines: Iterable[str], charge: Charge, pause: Pause, out: TextIO) -> dict[str, Any]:
    """Process job lines, write a result line for each to ``out``, and return the summary.

    ``charge(customer, cents)`` raises ``ConnectionError`` where another try may help;
    ``pause(seconds)`` waits.  Empty lines are passed over, but counted.
    """
    books, outcomes = Books(), Counter[str]()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            result = handle(line, books, charge, pause)
            outcomes[result["outcome"]] += 1
            out.write(json.dumps({"line": number, **result}) + "\n")
    cents = dict(sorted(books.spent_cents.items()))
    return {"outcomes": dict(sorted(outcomes.items())), "cents": cents}


def handle(line: str, books: Books, charge: Charge, pause: Pause) -> dict[str, Any]:
    """Take one job line as far as it comes, and return what became of it."""
    try:
        job = check(line)
    except ValueError as error:
        return {"outcome": "invalid", "reason": str(error)}
    about = {"job": job.name, "customer": job.customer}
    if job.name in books.done:
        return {"outcome": "duplicate", **about}
    cents = price_cents(job)
    if books.spent_cents[job.customer] + cents > LIMIT_CENTS:
        return {"outcome": "over_limit", **about, "cents": cents}
    charged, tries = try_charge(job.customer, cents, charge, pause)
    if not charged:
        return {"outcome": "failed", **about, "cents": cents, "tries": tries}
    books.done.add(job.name)
    books.spent_cents[job.customer] += cents
    return {"outcome": "done", **about, "cents": cents, "tries": tries}


def check(line: str) -> Job:
    """Read a job line; raise ``ValueError`` with the rule that it breaks."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("line must be JSON") from None
    if not isinstance(fields, dict):
        raise ValueError("line must be a JSON object")  # noqa: TRY004, all refusals are one error
    for name in ("job", "customer"):
        if not isinstance(fields.get(name), str) or not fields[name]:
            raise ValueError(f"{name} must be a text, and not empty")
    kind, size_mb = fields.get("kind"), fields.get("size_mb")
    if not isinstance(kind, str) or kind not in PRICES_CENTS:
        raise ValueError(f"kind must be one of {', '.join(PRICES_CENTS)}")
    if type(size_mb) is not int or not 1 <= size_mb <= MOST_MB:
        raise ValueError(f"size_mb must be a whole number from 1 to {MOST_MB}")
    return Job(fields["job"], fields["customer"], kind, size_mb)


def price_cents(job: Job) -> int:
    """Return the price of a job, with the discount of a large one, rounded down."""
    base, per_mb = PRICES_CENTS[job.kind]
    cents = base + per_mb * job.size_mb
    if job.size_mb >= DISCOUNT_FROM_MB:
        cents = cents * (100 - DISCOUNT_PERCENT) // 100
    return cents


def try_charge(customer: str, cents: int, charge: Charge, pause: Pause) -> tuple[bool, int]:
    """Charge, again after a pause where that may help; return whether it went through, and the tries."""
    tries = 0
    for pause_s in (*PAUSES_S, None):
        tries += 1
        try:
            charge(customer, cents)
        except ConnectionError:
            if pause_s is not None:
                pause(pause_s)
        else:
            return True, tries
    return False, tries
