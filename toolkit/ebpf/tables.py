"""A kernel's answers as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd


def costs(answer: dict[str, Any]) -> pd.DataFrame:
    """Return a row a round: ``update``, ``case``, ``ns``."""
    rows = [
        {"update": update, "case": case, "ns": value}
        for update, cases in answer["ns"].items()
        for case, values in cases.items()
        for value in values
    ]
    return pd.DataFrame(rows)


def races(answer: dict[str, Any]) -> pd.DataFrame:
    """Return a row a round: ``update``, ``over`` the bound, ``raced``, ``cpus``."""
    rows = [
        {"update": update, "over": over, "raced": raced, "cpus": answer["cpus"]}
        for update in answer["over"]
        for over, raced in zip(answer["over"][update], answer["raced"][update], strict=True)
    ]
    return pd.DataFrame(rows)


def ladder(answer: dict[str, Any]) -> pd.DataFrame:
    """Return a row a round: ``rung``, ``ns``, ...; ``attrs["missing"]`` has the reasons for the rest."""
    rows = [{"rung": rung} | one for rung, rounds in answer["rungs"].items() for one in rounds]
    table = pd.DataFrame(rows)
    table.attrs["missing"] = answer["missing"]
    return table


def arrivals(answer: dict[str, Any]) -> pd.DataFrame:
    """Return a row a packet: ``how``, ``t_s``; ``attrs["sent"]``."""
    rows = [
        {"how": how, "t_s": (at - one["arrived_ns"][0]) / 1e9}
        for how, one in answer.items()
        for at in one["arrived_ns"]
    ]
    table = pd.DataFrame(rows)
    table.attrs["sent"] = answer["police"]["sent"]
    return table


def services(answer: dict[str, Any], rates_per_s: Sequence[float]) -> pd.DataFrame:
    """Return a row a service: ``buckets``, ``service``, ``offered_per_s``, ``sent``, ``passed``."""
    rows = [
        {"buckets": buckets, "service": k, "offered_per_s": offered} | one
        for buckets, rows in answer.items()
        for k, (offered, one) in enumerate(zip(rates_per_s, rows, strict=True))
    ]
    return pd.DataFrame(rows)


def histograms(answer: dict[str, Any]) -> pd.DataFrame:
    """Return a row a bin: ``when``, ``what``, ``from_us`` (its lower end), ``count``."""
    rows = [
        {"when": when, "what": what, "from_us": 2 ** (power - 1) if power else 0, "count": count}
        for when, bins_of in answer.items()
        for what, bins in bins_of.items()
        for power, count in enumerate(bins)
    ]
    return pd.DataFrame(rows)
