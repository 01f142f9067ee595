"""What can be asked of a kernel: a question to the agent, or a few of them in time, and the answer as data.

Every function takes a channel first and gives a dictionary that JSON can hold, so that an answer can be
kept and recalled where no kernel is to be had.
"""

from __future__ import annotations

import math
import time
from typing import Any

from toolkit.ebpf.channel import Channel

LOOK_S = 0.02  # between two looks at the counts
COMPILE_S = 90.0  # in a micro-VM on a busy machine


def limit(
    channel: Channel,
    *,
    rate_per_s: float,
    burst: int,
    offered_per_s: float,
    seconds: float,
    hook: str,
    changes: list[list[float]],
    always_in: list[str],
    **more: Any,
) -> dict[str, Any]:
    """Send to a limiter and count; ``changes``: [at_s, rate_per_s, burst], made while packets fly."""
    load = {key: more.pop(key) for key in ("law", "sources", "count", "ip6") if key in more}
    channel.ask("open", hook=hook, deadline_s=COMPILE_S)
    channel.ask("set", rate_per_s=rate_per_s, burst=burst, **more)
    for prefix in always_in:
        channel.ask("allow", prefix=prefix)
    try:
        channel.ask("send", rate_per_s=offered_per_s, seconds=seconds, **load)
        series, phases = _watch(channel, seconds, [[0.0, rate_per_s, burst], *changes], more)
        afterwards = channel.ask("drops") | {"sources_known": channel.ask("sources")["sources"]}
    finally:
        channel.ask("close")
    answer = _account(series, phases) | afterwards
    buckets = min(load.get("sources", 1), _welcomed(more, answer["seconds"]))
    return answer | {"bound": math.floor(answer.pop("promised") * buckets) + 1}


def _welcomed(limits: dict[str, Any], seconds: float) -> float:
    """Return how many new sources may get a bucket of their own."""
    if not limits.get("newcomers_per_s"):
        return math.inf
    return float(limits["newcomers_burst"] + limits["newcomers_per_s"] * seconds)


def _watch(
    channel: Channel, seconds: float, plan: list[list[float]], more: dict[str, Any]
) -> tuple[list[dict[str, int]], list[dict[str, float]]]:
    """Look at the counts until nothing is sent any more; make the changes in their time."""
    begun, series = time.monotonic(), []
    phases: list[dict[str, float]] = [{"rate_per_s": plan[0][1], "burst": plan[0][2], "at_ns": 0}]
    ahead = plan[1:]
    while True:
        now = time.monotonic() - begun
        if ahead and now >= ahead[0][0]:
            _, rate_per_s, burst = ahead.pop(0)
            at_ns = channel.ask("set", rate_per_s=rate_per_s, burst=int(burst), **more)["at_ns"]
            phases.append({"rate_per_s": rate_per_s, "burst": burst, "at_ns": at_ns})
        look = channel.ask("counts")
        series.append(look)
        if not look["sending"] or now > seconds + 5:
            return series, phases
        time.sleep(LOOK_S)


def _account(series: list[dict[str, int]], phases: list[dict[str, float]]) -> dict[str, Any]:
    """Return the totals, what one bucket promises, and the way there in seconds from the first decision."""
    end = series[-1]
    zero = end["first_ns"]
    phases[0]["at_ns"] = zero
    edges = [phase["at_ns"] for phase in phases[1:]] + [end["last_ns"]]
    promised = sum(
        phase["burst"] + phase["rate_per_s"] * max(0.0, edge - phase["at_ns"]) / 1e9
        for phase, edge in zip(phases, edges, strict=True)
    )
    counted = ("sent", "passed", "dropped", "allowed", "newcomers", "raced", "exempt")
    columns: dict[str, list[float]] = {
        "t_s": [round(max(0, look["now_ns"] - zero) / 1e9, 6) for look in series]
    }
    columns |= {name: [look[name] for look in series] for name in counted[:4]}
    return {
        **{name: end[name] for name in counted},
        "seconds": (end["last_ns"] - zero) / 1e9,
        "promised": promised,
        "changed_s": [(phase["at_ns"] - zero) / 1e9 for phase in phases[1:]],
        "series": columns,
    }


AT_ONCE = 2_000  # arrivals a line: a line has a limit


def decide(
    channel: Channel, *, arrivals_ns: list[int], rate_per_s: float, burst: int
) -> dict[str, Any]:
    """Ask the kernel program about arrivals at given times."""
    passed: list[int] = []
    for first in range(0, len(arrivals_ns), AT_ONCE):
        some = arrivals_ns[first : first + AT_ONCE]
        given = {"arrivals_ns": some, "fresh": not first, "rate_per_s": rate_per_s, "burst": burst}
        passed += channel.ask("decide", deadline_s=COMPILE_S, **given)["passed"]
    return {"passed": passed}


def cost(channel: Channel, *, updates: list[str], packets: int, rounds: int) -> dict[str, Any]:
    """Time each form of the limiter in turn, several times; nanoseconds a packet less an empty program."""
    kept: dict[str, dict[str, list[float]]] = {update: {} for update in updates}
    for _ in range(rounds):
        for update in updates:
            ns = channel.ask("cost", update=update, packets=packets, deadline_s=COMPILE_S)["ns"]
            empty = sorted(ns.pop("empty"))[2]
            for case, values in ns.items():
                kept[update].setdefault(case, []).extend(value - empty for value in values)
    return {"ns": kept}


def race(
    channel: Channel, *, updates: list[str], burst: int, each: int, rounds: int
) -> dict[str, Any]:
    """Have all CPUs spend one bucket, with each form of the limiter; how many passed over the bound."""
    over: dict[str, list[int]] = {update: [] for update in updates}
    raced: dict[str, list[int]] = {update: [] for update in updates}
    cpus = 0
    for _ in range(rounds):
        for update in updates:
            seen = channel.ask("race", update=update, burst=burst, each=each, deadline_s=COMPILE_S)
            over[update].append(seen["passed"] - seen["bound"])
            raced[update].append(seen["raced"])
            cpus = seen["cpus"]
    return {"over": over, "raced": raced, "cpus": cpus, "burst": burst}


def ladder(channel: Channel, *, rungs: list[str], packets: int, rounds: int) -> dict[str, Any]:
    """Time each way to say no in turn, several rounds; what cannot be had here is left out with its reason."""
    kept: dict[str, list[dict[str, float]]] = {rung: [] for rung in rungs}
    missing: dict[str, str] = {}
    for _ in range(rounds):
        for rung in rungs:
            if rung in missing:
                continue
            try:
                kept[rung].append(
                    channel.ask("rung", name=rung, packets=packets, deadline_s=COMPILE_S)
                )
            except RuntimeError as error:
                missing[rung] = str(error)
    return {"rungs": {rung: seen for rung, seen in kept.items() if seen}, "missing": missing}


def defend(
    channel: Channel, *, hooks: list[str], seconds: float, flood_per_s: float
) -> dict[str, Any]:
    """Measure a well-behaved client: alone, then under a flood with no limiter and with each."""
    rows = [channel.ask("defend", hook="none", seconds=seconds, deadline_s=COMPILE_S)]
    for hook in hooks:
        given = {"hook": hook, "seconds": seconds, "flood_per_s": flood_per_s}
        rows.append(channel.ask("defend", deadline_s=COMPILE_S, **given))
    names = [
        "no flood",
        *("flood, no limiter" if hook == "none" else f"flood, {hook}" for hook in hooks),
    ]
    return {"rows": [{"case": name} | row for name, row in zip(names, rows, strict=True)]}


def learn(channel: Channel, *, source: str, packets: int) -> dict[str, Any]:
    """Have a learner's own program compiled, judged and run."""
    return channel.ask("learn", source=source, packets=packets, deadline_s=COMPILE_S)


def pace(channel: Channel, **given: Any) -> dict[str, Any]:
    """Send through a limit that drops and through one that makes wait; return when they arrived."""
    return {
        how: channel.ask("pace", how=how, deadline_s=COMPILE_S, **given)
        for how in ("police", "shape")
    }


def share(channel: Channel, **given: Any) -> dict[str, Any]:
    """Limit services by themselves, and then all together."""
    answers = {}
    for name, together in (("a bucket each", False), ("one bucket for all", True)):
        asked = channel.ask("share", together=together, deadline_s=COMPILE_S, **given)
        answers[name] = asked["services"]
    return answers


def observe(channel: Channel, **given: Any) -> dict[str, Any]:
    """Collect the histograms in peace and in a flood."""
    return {
        name: channel.ask("observe", flood=flood, deadline_s=COMPILE_S, **given)
        for name, flood in (("in peace", False), ("in a flood", True))
    }


def probe(channel: Channel) -> dict[str, Any]:
    """Have the kernel try what the notebooks use."""
    return channel.ask("probe", deadline_s=COMPILE_S)
