"""What a month costs: the parts, and the requests that fail in it; and how far each service could grow."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from toolkit import _check
from toolkit.advice import Prices
from toolkit.twins.incidents import incidents
from toolkit.twins.measured import SERVICES, parts, runs
from toolkit.twins.twin import LOW_LOAD

WORKS = {"lean": "service", "celery": "worker/child", "overbuilt": "worker-1"}
"""The part that does the work: what dies of it, and what a new version of it replaces."""


def ceilings() -> pd.DataFrame:
    """Return the most jobs a second by the utilisation law, were there slots enough, a row a service.

    ``processor_ms`` a job, all parts together, and ``on one`` processor so many jobs a second; ``narrowest``:
    the busiest of the parts that are one process, ``narrowest_ms`` of it for a job, and so many jobs ``on
    one each``.  Workers are left out there, since more can be started.  A forecast, beyond all measured loads.
    """
    rows = {}
    for service in SERVICES:
        by_part = _processor_ms(service)
        single = by_part.drop("worker", errors="ignore")
        rows[service] = {
            "processor_ms": by_part.sum(),
            "on one": 1000 / by_part.sum(),
            "narrowest": single.idxmax(),
            "narrowest_ms": single.max(),
            "on one each": 1000 / single.max(),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("service")


def _processor_ms(service: str) -> pd.Series[float]:
    """Return the processor time of a job in each part: the slope between the two lowest loads."""
    rows = runs().loc[[f"{service}-{scenario}" for scenario in LOW_LOAD]]
    names = [
        name for name in rows if name.startswith("cpu_") and name not in ("cpu_s", "cpu_client_s")
    ]
    shares = rows[names].div(rows["seconds"], axis="index").dropna(axis="columns")
    rates_per_s = rows["arrived"] / rows["seconds"]
    slope_s = (shares.iloc[1] - shares.iloc[0]) / (rates_per_s.iloc[1] - rates_per_s.iloc[0])
    return 1000 * slope_s.rename(lambda name: name.removeprefix("cpu_").removesuffix("_s"))


def month(
    *, part_deaths: float = 1.0, work_deaths: float = 0.0, deploys: float = 0.0
) -> pd.DataFrame:
    """Return what goes wrong in a month at 60 jobs a second, a row a service, by what was measured once each.

    So often each kind of part dies (``part_deaths``), the work takes its process with it (``work_deaths``),
    and a new version of the work is deployed.  Columns: the requests that ``failed`` or were refused by each
    of the three, and in all; jobs ``lost``; ``if_not_hidden``: the same by the formula for parts in series,
    where whatever is away takes all away.
    """
    often = {"part_deaths": part_deaths, "work_deaths": work_deaths, "deploys": deploys}
    for name, value in often.items():
        _check.not_negative(name, value)
    seen = incidents()
    seen["bad"] = seen["failed"] + seen["refused"]
    table = pd.DataFrame({service: _month(seen, service, often) for service in SERVICES}).T
    return table.rename_axis("service")


def _month(seen: pd.DataFrame, service: str, often: Mapping[str, float]) -> dict[str, float]:
    kills = seen[(seen["service"] == service) & (seen["action"] == "kill")].set_index("part")
    times = pd.Series(often["part_deaths"], index=kills.index)
    times[WORKS[service]] += often["work_deaths"]
    by_deploys = often["deploys"] * _bad_deploy(seen, service)
    return {
        "failed by deaths": float((times * kills["bad"]).sum()),
        "failed by deploys": by_deploys,
        "failed": float((times * kills["bad"]).sum()) + by_deploys,
        "lost": float((times * kills["lost"]).sum()),
        "if_not_hidden": float((times * kills["if_not_hidden"]).sum()) + by_deploys,
    }


def _bad_deploy(seen: pd.DataFrame, service: str) -> float:
    """Return the requests that fail when a new version of the work is deployed.

    The lean service is replaced as a whole; of the others only the workers, and nothing failed in the
    deploys that were measured until it was the front's turn.
    """
    return float(seen.loc[f"{service}-deploy", "bad"]) if service == "lean" else 0.0


def total(
    *,
    failed: float,
    lost: float = 0.0,
    prices: Prices | None = None,
    often: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return what a month costs, a row a service, cheapest first: ``parts``, ``failed``, ``lost`` and all of it.

    ``failed`` and ``lost`` are the prices of a failed request and of a lost job; ``often`` as in ``month``.
    """
    price = prices or Prices()
    gone = month(**(often or {}))
    table = pd.DataFrame({"parts": {service: price.of(parts(service)) for service in SERVICES}})
    table["failed"] = _check.not_negative("failed", failed) * gone["failed"]
    table["lost"] = _check.not_negative("lost", lost) * gone["lost"]
    table["a_month"] = table.sum(axis="columns")
    return table.rename_axis("service").sort_values("a_month", kind="stable")
