"""The limiter in a real kernel keeps its promise, and decides as the formula and the simulator do."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.design.limits import RunningBucket
from toolkit.ebpf.lab import UPDATES

pytestmark = pytest.mark.slow
HOOKS = ["xdp", "xdp-generic", "tc", "tc-egress"]


@pytest.mark.parametrize("hook", HOOKS)
def test_twenty_three_packets_in_twenty_three_counted(lab, hook):
    """A prime number of events, and the same number comes out."""
    seen = lab.limit(rate_per_s=1, burst=10, count=23, seconds=0.3, offered_per_s=1000, hook=hook)

    assert (seen.sent, seen.passed, seen.dropped, seen.lost) == (23, 10, 13, 0)


def test_a_source_of_ipv6_has_its_bucket_too(lab):
    seen = lab.limit(rate_per_s=1, burst=10, count=23, seconds=0.3, offered_per_s=1000, ip6=True)

    assert (seen.passed, seen.dropped) == (10, 13)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize(("rate", "burst"), [(1_000, 1), (3_000, 100), (5_000, 10)])
def test_no_flood_gets_more_than_burst_plus_rate_times_time(lab, hook, rate, burst):
    """As fast as one CPU can send, from the first decision to the last."""
    seen = lab.limit(rate_per_s=rate, burst=burst, seconds=0.5, hook=hook)

    assert seen.passed <= math.floor(burst + rate * seen.seconds) + 1 == seen.bound
    assert seen.dropped > 0
    assert seen.passed + seen.dropped + seen.lost == seen.sent
    assert seen.passed >= burst


def decided(arrivals_ns, rate_per_s, burst):
    """Return what a bucket of the toolkit decides, in whole nanoseconds."""
    interval = round(1e9 / rate_per_s)
    bucket = RunningBucket(interval=interval, tolerance=(burst - 1) * interval)
    return np.array([bucket.admit(at) for at in arrivals_ns])


RATES = [1, 8, 1_000, 40_000, 1_000_000]  # whose intervals are whole nanoseconds


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_kernel_decides_as_the_bucket_of_the_toolkit_packet_by_packet(lab, data):
    """Ties and bursts of equal times included: whole numbers, so not one may differ."""
    rate, burst = data.draw(st.sampled_from(RATES)), data.draw(st.integers(1, 20))
    interval = 10**9 // rate
    gaps = st.sampled_from(
        [0, 1, interval // 2, interval - 1, interval, interval + 1, 3 * interval]
    )
    arrivals = np.cumsum(data.draw(st.lists(gaps, min_size=1, max_size=200)))

    got = lab.decide(arrivals, rate_per_s=rate, burst=burst)

    assert got.tolist() == decided(arrivals, rate, burst).tolist()


def test_the_kernel_decides_as_the_simulators_limiter_packet_by_packet(lab):
    """The same arrivals as jobs of a design: those that pass are done, the others limited."""
    rng = np.random.default_rng(5)
    arrivals = np.cumsum(rng.integers(0, 2 * 2**20, size=3_000))  # about 950 a second
    rate, burst = 2**30 / 2**20, 7  # an interval of 2^20 units: exact in floating point, too
    unit_s = 2.0**-30
    limiter = tk.TokenBucket(rate_per_s=rate, burst=burst)
    stage = tk.Stage(name="door", service=tk.Deterministic(value_s=0), workers=1, limiter=limiter)
    design = tk.Design(arrivals=tk.Trace(times_s=arrivals * unit_s), stages=[stage])
    simulated = tk.simulate(design, jobs=len(arrivals), seed=1).jobs["outcome"] == "done"

    # the kernel counts nanoseconds: the same numbers with a unit of its own, at 10^9 / 2^20 a second
    in_kernel = lab.decide(arrivals, rate_per_s=1e9 / 2**20, burst=burst)

    assert in_kernel.tolist() == simulated.tolist()
    assert 0.2 < in_kernel.mean() < 1.0


def test_who_is_on_the_list_passes_unasked_and_nobody_else(lab):
    """By the longest prefix; IPv6 as well."""
    few = {"rate_per_s": 1, "burst": 10, "count": 23, "seconds": 0.3, "offered_per_s": 1000}
    listed = lab.limit(**few, always_in=["10.0.0.0/8", "198.18.0.0/15"])
    other = lab.limit(**few, always_in=["198.18.0.2/32", "fd00::/8"])
    ip6 = lab.limit(**few, always_in=["fd00::/8"], ip6=True)

    assert (listed.allowed, listed.passed, listed.dropped) == (23, 0, 0)
    assert (other.allowed, other.passed, other.dropped) == (0, 10, 13)
    assert ip6.allowed == 23


def test_a_change_of_limits_works_while_packets_fly(lab):
    """The bound of every phase holds, and what passes steps up."""
    seen = lab.limit(
        rate_per_s=1_000, burst=100, seconds=1.5, offered_per_s=20_000, changes=[(0.7, 8_000, 200)]
    )
    table, (at_s,) = seen.series, seen.changed_s
    before = table[table["t_s"] <= at_s]["passed"].max()
    after = seen.passed - before

    assert seen.passed <= seen.bound
    assert before <= 100 + 1_000 * at_s + 1
    assert after <= 1_000 * 0.1 + 200 + 8_000 * (seen.seconds - at_s + 0.1) + 1
    assert after > 2 * before


def test_a_slow_limit_of_the_past_does_not_shut_its_source_out(lab):
    """The bucket owed a hundred seconds; after the change it counts as empty, and fills at the new rate."""
    seen = lab.limit(
        rate_per_s=1, burst=100, seconds=1.5, offered_per_s=20_000, changes=[(0.5, 2_000, 500)]
    )
    (at_s,) = seen.changed_s

    assert 100 < seen.passed <= 100 + 1 + 2_000 * (seen.seconds - at_s + 0.1) + 500
    assert seen.passed - 100 > 0.3 * 2_000 * (seen.seconds - at_s)


def test_of_made_up_sources_no_more_pass_than_the_newcomers_bucket_lets(lab):
    """20,000 sources through a table of 4,096: without that bucket, being forgotten pays."""
    flood = {"rate_per_s": 0.1, "burst": 1, "seconds": 10, "count": 60_000, "sources": 20_000}
    forgetful = lab.limit(**flood)
    guarded = lab.limit(**flood, newcomers_per_s=100, newcomers_burst=50)

    assert forgetful.sources_known <= 4_096
    assert forgetful.passed > forgetful.bound
    assert guarded.passed <= guarded.bound <= 50 + 100 * guarded.seconds * 1.2 + 60
    assert guarded.newcomers > 0


def test_a_flood_of_drops_does_not_become_a_flood_of_reports(lab):
    """No more than one a gap on each CPU, and each names a source of the flood."""
    seen = lab.limit(rate_per_s=1, burst=1, seconds=0.6, sources=50, report_gap_s=0.05)

    assert 1 <= len(seen.drops) <= (seen.seconds / 0.05 + 1) * 2
    assert seen.drops["source"].str.startswith("198.18.0.").all()
    assert seen.dropped > 100 * len(seen.drops)


def test_all_cpus_together_spend_no_token_twice(lab):
    """One full bucket that does not refill; compare-and-swap and locks admit none over the bound.

    The racy form is reported only: on one CPU, or on a quiet machine, it may be lucky.
    """
    table = lab.race(burst=200_000, each=400_000, rounds=2)
    over = table.groupby("update")["over"].max()
    print(f"packets over the bound, worst of two rounds: {over.to_dict()}")  # noqa: T201

    assert set(over.index) == set(UPDATES)
    assert over["swap"] <= 0
    assert over["locked"] <= 0


def test_a_client_that_behaves_is_served_in_a_flood_where_there_is_a_limiter(lab):
    """Its share of answers, and how long they take, beside a flood with no limiter: medians of three."""
    runs = pd.concat([lab.defend(seconds=1, hooks=["none", "xdp"]) for _ in range(3)])
    share = (runs["answered"] / runs["asked"]).groupby(runs["case"]).median()
    p50_s = runs.groupby("case")["p50_s"].median()
    flooded, limited = "flood, no limiter", "flood, xdp"

    assert share["no flood"] >= 0.9
    assert share[limited] >= 0.9
    assert share[flooded] < 0.9 * share[limited] or p50_s[flooded] > 2 * p50_s[limited]


@pytest.mark.parametrize("update", UPDATES)
def test_each_form_of_the_limiter_costs_something(lab, update):
    table = lab.cost(updates=[update], packets=20_000, rounds=1)
    ns = table.groupby("case")["ns"].median()

    assert set(ns.index) == {"off", "passed", "dropped"}
    assert ns["passed"] > ns["off"]


def test_every_rung_of_the_ladder_can_be_timed(lab):
    """What is missing has its reason; the five that need only the kernel are always there."""
    table = lab.ladder(packets=3_000, rounds=1)

    assert set(table["rung"]) | set(table.attrs["missing"]) == set(tk.ebpf.lab.RUNGS)
    assert {"xdp-drop", "xdp", "xdp-generic", "tc-drop", "tc"} <= set(table["rung"])
    assert (table["ns"] > 0).all()
    assert (table["sent"] == 3_000).all()


def test_what_the_doctor_tries_works_where_the_notebooks_need_it(lab):
    """A host's kernel may lack parts; those questions go to a machine of their own."""
    tried = lab.probe()
    lacking = {what for what, why in tried.items() if why}
    of_a_machine_of_ones_own = {"packets that wait (fq)", "tracepoints", "kprobes"}

    assert lacking <= (of_a_machine_of_ones_own if lab.backend == "host" else set())
