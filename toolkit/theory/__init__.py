"""Exact results of queueing theory and its neighbours: the witness that needs no run.

Every function takes rates per second, answers with a number or a frozen record in seconds, and
names the paper its formula is from.  The one picture behind the queues: work comes in at
``offered`` servers' worth per second; where that reaches what the servers can do, no average
exists, and the functions say so instead of returning a number.

Where to look: queues (``markov``, ``crowds``, ``general``, ``many``, ``crommelin``, ``phases``,
``renewal``, ``batches``, ``disciplines``, ``transient``), several of them (``networks``, ``choices``,
``fan_out``), retries (``retries``, ``orbits``, ``contention``, ``budgets``, ``breakers``,
``metastable``), limiters (``buckets`` for Poisson traffic, ``limits`` for known arrivals), growth
(``scaling``) and measurement (``omission``, ``samples``).

Three numerical ideas carry the queues.  Erlang's recursion never overflows.  A chain of states
that only moves to a neighbour is summed outwards from its most likely state.  M/D/1 has a
formula with alternating signs, useless in floating point; here it is put together from
positive terms only (see ``general``), and from it come both token buckets.

Three approximations are here because they are taught, and are called estimates:
``kingman_estimate_s``, ``mgc_estimate`` and ``fork_join_estimate_s``.  Otherwise what has no formula
and no chain small enough to solve is the simulator's.
"""

from toolkit.theory.batches import BatchMM1, batch_fill_wait_s, batch_mm1, batch_throughput_per_s
from toolkit.theory.breakers import Breaker, breaker, calls_to_open
from toolkit.theory.buckets import DroppingBucket, WaitingBucket, token_bucket, token_bucket_wait
from toolkit.theory.budgets import (
    Budget,
    grpc_drift_failure,
    grpc_failures_in_outage,
    grpc_throttle,
    sdk_quota,
    sdk_retries_in_outage,
)
from toolkit.theory.choices import Supermarket, join_shortest_sojourn_s, supermarket
from toolkit.theory.contention import lockstep_calls, lockstep_s, two_clients_mean_s
from toolkit.theory.crommelin import MDc, mdc
from toolkit.theory.crowds import ClosedMMc, ErlangA, MMcK, closed_mmc, erlang_a, mmck
from toolkit.theory.disciplines import (
    PriorityClass,
    mm1_shared_sojourn_variance_s2,
    mm1_shortest_first_wait_s,
    priority,
    shared_sojourn_s,
)
from toolkit.theory.fan_out import (
    Hedged,
    SlowestOf,
    any_slow,
    fork_join_estimate_s,
    fork_join_two_s,
    leaf_level,
)
from toolkit.theory.general import MD1, MG1, jobs_inside, md1, md1_wait_cdf, mg1
from toolkit.theory.limits import (
    cloud_tasks_pauses_s,
    fixed_window_admits,
    most_in_window,
    push_queue_makespan_s,
    sliding_counter_admits,
    sliding_log_admits,
    token_bucket_admits,
)
from toolkit.theory.many import MGcEstimate, mgc_estimate
from toolkit.theory.markov import (
    MM1,
    MMc,
    Pooling,
    erlang_b,
    erlang_c,
    mm1,
    mmc,
    pooling,
    servers_needed,
)
from toolkit.theory.metastable import (
    Storm,
    cached_capacity_per_s,
    hidden_capacity_per_s,
    retry_storm,
)
from toolkit.theory.networks import (
    ClosedNetwork,
    NetworkBounds,
    OpenNetwork,
    closed_network,
    network_bounds,
    open_network,
)
from toolkit.theory.omission import (
    FrozenRun,
    corrected,
    frozen_run,
    histogram_bucket,
    histogram_mean,
    histogram_percentile,
)
from toolkit.theory.orbits import Orbit, mm1_constant_orbit, mm1_orbit, mmc_orbit
from toolkit.theory.phases import MPH1, mph1
from toolkit.theory.renewal import GM1, gm1, kingman_bound_s, kingman_estimate_s
from toolkit.theory.retries import (
    RetryingMM1,
    attempts_per_job,
    attempts_through_layers,
    mm1_retries,
)
from toolkit.theory.samples import RankInterval, quantile_ranks, samples_for_maximum
from toolkit.theory.scaling import (
    ScalabilityLaw,
    amdahl,
    downtime_minutes_per_month,
    fit_scalability,
    gustafson,
    redundant_availability,
    series_availability,
    zipf_hit_rate,
)
from toolkit.theory.transient import mm1_jobs_at

__all__ = [
    "GM1",
    "MD1",
    "MG1",
    "MM1",
    "MPH1",
    "BatchMM1",
    "Breaker",
    "Budget",
    "ClosedMMc",
    "ClosedNetwork",
    "DroppingBucket",
    "ErlangA",
    "FrozenRun",
    "Hedged",
    "MDc",
    "MGcEstimate",
    "MMc",
    "MMcK",
    "NetworkBounds",
    "OpenNetwork",
    "Orbit",
    "Pooling",
    "PriorityClass",
    "RankInterval",
    "RetryingMM1",
    "ScalabilityLaw",
    "SlowestOf",
    "Storm",
    "Supermarket",
    "WaitingBucket",
    "amdahl",
    "any_slow",
    "attempts_per_job",
    "attempts_through_layers",
    "batch_fill_wait_s",
    "batch_mm1",
    "batch_throughput_per_s",
    "breaker",
    "cached_capacity_per_s",
    "calls_to_open",
    "closed_mmc",
    "closed_network",
    "cloud_tasks_pauses_s",
    "corrected",
    "downtime_minutes_per_month",
    "erlang_a",
    "erlang_b",
    "erlang_c",
    "fit_scalability",
    "fixed_window_admits",
    "fork_join_estimate_s",
    "fork_join_two_s",
    "frozen_run",
    "gm1",
    "grpc_drift_failure",
    "grpc_failures_in_outage",
    "grpc_throttle",
    "gustafson",
    "hidden_capacity_per_s",
    "histogram_bucket",
    "histogram_mean",
    "histogram_percentile",
    "jobs_inside",
    "join_shortest_sojourn_s",
    "kingman_bound_s",
    "kingman_estimate_s",
    "leaf_level",
    "lockstep_calls",
    "lockstep_s",
    "md1",
    "md1_wait_cdf",
    "mdc",
    "mg1",
    "mgc_estimate",
    "mm1",
    "mm1_constant_orbit",
    "mm1_jobs_at",
    "mm1_orbit",
    "mm1_retries",
    "mm1_shared_sojourn_variance_s2",
    "mm1_shortest_first_wait_s",
    "mmc",
    "mmc_orbit",
    "mmck",
    "most_in_window",
    "mph1",
    "network_bounds",
    "open_network",
    "pooling",
    "priority",
    "push_queue_makespan_s",
    "quantile_ranks",
    "redundant_availability",
    "retry_storm",
    "samples_for_maximum",
    "sdk_quota",
    "sdk_retries_in_outage",
    "series_availability",
    "servers_needed",
    "shared_sojourn_s",
    "sliding_counter_admits",
    "sliding_log_admits",
    "supermarket",
    "token_bucket",
    "token_bucket_admits",
    "token_bucket_wait",
    "two_clients_mean_s",
    "zipf_hit_rate",
]
