"""Transaction controllers: rows that are the sum of other rows, or that hide them.

Picture a receipt.  Normally it lists every item and then the total; with "generate parent sample"
it shows the total alone.  Whoever adds items and totals pays twice; whoever skips all totals
may have nothing left to pay.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

# apache/jmeter: TransactionController.java writes it, report/core/Sample.java tests for it.
CONTROLLER_MESSAGE = "Number of samples in transaction : "


def controller_notes(requests: pd.DataFrame, raw: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Drop the controllers that held no sample; return the rest and warnings."""
    if "responseMessage" not in raw:
        note = (
            "there is no responseMessage: transaction controllers, if any, cannot be told from "
            "requests and count twice"
        )
        return requests, [note]
    if not requests["is_controller"].any():
        return requests, []
    held = _samples_held(raw["responseMessage"])
    empty = held == 0
    notes = [f"{empty.sum()} empty transaction controllers were dropped"] if empty.any() else []
    requests, raw = requests[~empty], raw[~empty]
    if requests["is_controller"].all():
        if len(requests):
            notes.append(
                "every row is a transaction controller (generate parent sample): "
                "a transaction counts as one request"
            )
    elif hidden := _hiding(requests, raw):
        notes.append(
            f"{hidden} transaction controllers hold samples that the file does not list (generate "
            "parent sample): they are left out of samples; see requests where is_controller"
        )
    return requests.reset_index(drop=True), notes


def _samples_held(message: pd.Series) -> pd.Series:
    """Return how many samples each controller says it holds; -1 for rows that are none."""
    found = message.astype("str").str.extract(rf"^{CONTROLLER_MESSAGE}(\d+)", expand=False)
    return found.fillna("-1").astype("int64")


def _hiding(requests: pd.DataFrame, raw: pd.DataFrame) -> int:
    """Count the controllers during which no other row of their thread ended.

    A controller's elapsed time leaves its pauses out, so without ``IdleTime`` its children may
    seem to end after it, and nothing can be said.
    """
    if "thread" not in requests or "IdleTime" not in raw:
        return 0
    idle_ms = pd.to_numeric(raw["IdleTime"], errors="coerce").fillna(0).to_numpy()
    start_ms = requests["start"].astype("int64").to_numpy() // 1_000_000
    end_ms = start_ms + requests["elapsed_ms"].to_numpy() + idle_ms
    # One axis for all threads: each gets a stretch longer than the test.
    stretch = end_ms.max() - start_ms.min() + 1
    offset = requests["thread"].factorize()[0] * stretch - start_ms.min()
    total = requests["is_controller"].to_numpy()
    ends = np.sort((offset + end_ms)[~total])
    before = np.searchsorted(ends, (offset + start_ms)[total], "left")
    until = np.searchsorted(ends, (offset + end_ms)[total], "right")
    return int((until == before).sum())
