"""What only a machine of one's own can be asked: learners' programs, services, histograms, waiting."""

import os
import signal

import pytest

from toolkit import ebpf
from toolkit.ebpf import microvm

MISSING = microvm.why_not()
pytestmark = [
    pytest.mark.microvm,
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"no micro-VM can be had: {MISSING}"),
]

COUNT = """
BPF_ARRAY(seen, u64, 1);
int program(struct xdp_md *ctx)
{
    int first = 0;
    u64 *count = seen.lookup(&first);
    if (count)
        __sync_fetch_and_add(count, 1);
    return XDP_PASS;
}
"""
UNCHECKED = """
#include <uapi/linux/if_ether.h>
int program(struct xdp_md *ctx)
{
    struct ethhdr *eth = (void *)(long)ctx->data;
    return eth->h_proto ? XDP_DROP : XDP_PASS;
}
"""
CHECKED = UNCHECKED.replace(
    "    return",
    "    if ((void *)(eth + 1) > (void *)(long)ctx->data_end)\n        return XDP_PASS;\n    return",
)
ENDLESS = """
int program(struct xdp_md *ctx)
{
    while (bpf_ktime_get_ns())
        ;
    return XDP_PASS;
}
"""
CRASHES_THE_COMPILER = """
int program(struct xdp_md *ctx)
{
    char large[1000];
    for (int i = 0; i < 1000; i++)
        large[i] = bpf_get_prandom_u32();
    return large[bpf_get_prandom_u32() % 1000];
}
"""


def test_a_first_program_counts_the_packets_that_were_sent(guest_lab):
    """23 in, 23 counted, in the learner's own map."""
    verdict = guest_lab.try_program(COUNT, packets=23)

    assert verdict.accepted, verdict.log
    assert verdict.maps == {"seen": {"0": 23}}
    assert (verdict.sent, verdict.verdict) == (23, "XDP_PASS")
    assert verdict.checked > 5
    assert verdict.ns > 0


@pytest.mark.parametrize(
    ("source", "stage", "words"),
    [
        (UNCHECKED, "verifier", "may not be there"),
        (ENDLESS, "verifier", "cannot see that this loop ends"),
        (COUNT.replace("    if (count)\n", ""), "verifier", "Test the pointer"),
        (CRASHES_THE_COMPILER, "compiler", "512 bytes of stack"),
        ("int program(struct xdp_md *ctx) { return XDP_PAS; }", "compiler", "XDP_PAS"),
        ("int other(struct xdp_md *ctx) { return XDP_PASS; }", "compiler", "there is no function"),
    ],
    ids=["no bounds check", "endless", "no null check", "crash", "typing error", "no program"],
)
def test_a_program_that_is_refused_is_told_why_in_plain_words(guest_lab, source, stage, words):
    verdict = guest_lab.try_program(source)

    assert (verdict.stage, verdict.accepted) == (stage, False)
    assert words in verdict.words
    assert verdict.log


def test_the_lab_is_as_it_was_after_programs_that_fail(guest_lab):
    guest_lab.try_program(CRASHES_THE_COMPILER)

    assert guest_lab.try_program(CHECKED).verdict == "XDP_DROP"
    assert guest_lab.limit(rate_per_s=1, burst=10, count=23, seconds=0.2).passed == 10


def test_a_limiter_drops_where_a_pacer_makes_wait(guest_lab):
    """Twice the rate for 60 packets: half of them dropped, or all of them spaced out."""
    table = guest_lab.pace(rate_per_s=100, burst=5, offered_per_s=200, count=60)
    police, shape = (table[table["how"] == how]["t_s"] for how in ("police", "shape"))

    assert len(shape) == table.attrs["sent"] == 60
    assert len(police) <= 5 + 100 * 0.3 * 2 + 1
    assert shape.diff()[10:].median() == pytest.approx(0.01, rel=0.1)
    assert shape.max() > 1.5 * police.max()


def test_a_bucket_each_is_fair_and_one_for_all_is_not(guest_lab):
    """A modest service keeps what it asks for beside a greedy one, if each has a bucket."""
    table = guest_lab.share([2_000, 100], rate_per_s=200, burst=10, seconds=1.5)
    passed = table.set_index(["buckets", "service"])["passed"]
    sent = table.set_index(["buckets", "service"])["sent"]

    assert passed["a bucket each", 1] == sent["a bucket each", 1] > 0
    assert passed["a bucket each", 0] <= 10 + 200 * 2.5
    assert passed["one bucket for all", 1] < 0.7 * sent["one bucket for all", 1]


def test_histograms_in_the_kernel_count_every_connection_once(guest_lab):
    """23 connections of 10 ms: 23 lives, none shorter than that."""
    table = guest_lab.observe(seconds=1.5, connections=23)
    lives = table[table["what"] == "tcp_life_us"]

    assert lives.groupby("when")["count"].sum().to_dict() == {"in peace": 23, "in a flood": 23}
    assert lives[(lives["count"] > 0)]["from_us"].min() >= 8_192
    assert (table[table["what"] == "run_queue_us"].groupby("when")["count"].sum() > 0).all()


def test_a_lab_whose_machine_is_killed_says_so_and_has_a_new_one():
    with ebpf.Lab("microvm") as lab:
        os.kill(lab._backend.machine.pid, signal.SIGKILL)
        with pytest.raises(ebpf.LabError, match="a new one was started, ask again"):
            lab.limit(rate_per_s=1, burst=10, count=23, seconds=0.2)

        assert lab.limit(rate_per_s=1, burst=10, count=23, seconds=0.2).passed == 10


@pytest.mark.kernel
def test_beside_the_hosts_kernel_such_questions_go_to_a_machine_of_their_own(host_lab):
    """A learner's program never meets the kernel that everybody shares."""
    verdict = host_lab.try_program(COUNT)

    assert verdict.accepted
    assert host_lab.own_source.backend == "microvm"
    assert host_lab.source.backend == "host"
