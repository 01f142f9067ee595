"""Exact results of queueing theory: the witness that needs no run.

Every function takes rates per second, answers with a frozen record in seconds, and names the
paper its formula is from.  The one picture behind all of them: work comes in at ``offered``
servers' worth per second; where that reaches what the servers can do, no average exists, and
the functions say so instead of returning a number.

Three numerical ideas carry the module.  Erlang's recursion never overflows.  A chain of states
that only moves to a neighbour is summed outwards from its most likely state.  M/D/1 has a
formula with alternating signs, useless in floating point; here it is put together from
positive terms only (see ``general``), and from it come both token buckets.

Left out on purpose: approximations, and whatever has no closed form.  Those are the simulator's.
"""

from toolkit.theory.buckets import (
    DroppingBucket,
    WaitingBucket,
    token_bucket,
    token_bucket_wait,
)
from toolkit.theory.general import (
    MD1,
    MG1,
    jobs_inside,
    md1,
    md1_wait_cdf,
    mg1,
)
from toolkit.theory.markov import (
    MM1,
    ClosedMMc,
    MMc,
    MMcK,
    Pooling,
    closed_mmc,
    erlang_b,
    erlang_c,
    mm1,
    mmc,
    mmck,
    pooling,
    servers_needed,
)
from toolkit.theory.retries import (
    RetryingMM1,
    attempts_per_job,
    attempts_through_layers,
    mm1_retries,
)

__all__ = [
    "MD1",
    "MG1",
    "MM1",
    "ClosedMMc",
    "DroppingBucket",
    "MMc",
    "MMcK",
    "Pooling",
    "RetryingMM1",
    "WaitingBucket",
    "attempts_per_job",
    "attempts_through_layers",
    "closed_mmc",
    "erlang_b",
    "erlang_c",
    "jobs_inside",
    "md1",
    "md1_wait_cdf",
    "mg1",
    "mm1",
    "mm1_retries",
    "mmc",
    "mmck",
    "pooling",
    "servers_needed",
    "token_bucket",
    "token_bucket_wait",
]
