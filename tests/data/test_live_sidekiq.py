"""The real Sidekiq still does what the recordings show, in short.

Limits are at least five times what was seen on a machine with two cores.
"""

from pathlib import Path

import numpy as np
import pytest

COLLECT = Path(__file__).parents[2] / "data" / "collect"
pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def collect():
    """Import the collector, where the programs it starts are installed."""
    pytest.importorskip("redis", reason="not installed: redis, Python's client")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(COLLECT))
        import collect_sidekiq
        import servers

        if reason := servers.missing("sidekiq", "redis-server"):
            pytest.skip(reason)
        if "6.4.1" not in collect_sidekiq.versions()["sidekiq"]:
            pytest.skip("the facts are those of Sidekiq 6.4.1")
        yield collect_sidekiq


def runs(recording, job):
    return [row for row in recording.rows if row.job == job]


def test_an_idle_process_starts_a_job_within_milliseconds(collect):
    """There is no polling for a job that is due: the pop blocks in Redis."""
    seen = collect.idle(jobs=30, gap_s=0.02)

    assert len(seen.rows) == 30
    assert seen.facts["dispatch_s"]["p50"] < 0.02


def test_waits_are_those_of_an_ideal_queue_with_four_servers(collect):
    """One job a thread and nothing fetched ahead: the simplest queue there is."""
    seen = collect.load(34, seconds=4)
    off = [
        row.wait_s - ideal
        for row, ideal in zip(seen.rows, collect.ideal_waits(seen.rows), strict=True)
    ]

    assert len(seen.rows) > 80
    assert {row.slot for row in seen.rows} == {0, 1, 2, 3}
    assert np.median(off) < 0.02
    assert np.quantile(off, 0.95) < 0.3


def test_the_first_poll_comes_ten_to_fifteen_seconds_after_the_start_and_frees_all(collect):
    """Jobs due at different moments start in one lump."""
    seen = collect.scheduled(jobs=20, within_s=4)
    started = [row.started_s for row in seen.rows]
    up = seen.facts["processes"][0]["up_s"]

    assert 10 <= min(started) - up < 16
    assert max(started) - min(started) < 0.5
    assert seen.facts["polls"][0]["at_s"] <= min(started)


def test_the_delay_of_a_retry_is_a_power_with_a_coarse_jitter(collect):
    """Read from Redis, so nobody waits for it."""
    seen = collect.retry_delays(retries=(0, 2), jobs=40)
    found = {n: set(counts) for n, counts in seen["delay_counts"].items()}

    assert found[0] <= {15 + x for x in range(10)}
    assert found[2] <= {2**4 + 15 + 3 * x for x in range(10)}
    assert (
        min(len(values) for values in found.values()) >= 7
    )  # missed less than once in a million runs
    assert seen["dead_after_25_retries"] == 1


def test_a_killed_process_loses_its_running_jobs_and_no_others(collect):
    seen = collect.kill(sleep_s=1)
    never_ended = [row for row in seen.rows if row.ended_s is None]

    assert [row.job for row in seen.rows] == list(range(6))
    assert [row.job for row in never_ended] == [2, 3]
    assert seen.facts["left_in_redis"] == 0
    assert all(row.worker == 1 for row in seen.rows[4:])
    assert seen.facts["members_of_processes_set"] == 2  # of which one is alive


def test_a_stopped_process_puts_unfinished_jobs_first_and_they_start_again(collect):
    seen = collect.term(timeout_s=1, long_s=3)
    again = sorted((row for row in seen.rows if row.worker == 1), key=lambda row: row.started_s)

    assert sorted(seen.facts["queue_after_term"][:2]) == [0, 1]
    assert seen.facts["queue_after_term"][2:] == [3, 4, 5]
    assert [row.job for row in again] == seen.facts["queue_after_term"]
    assert all(row.ended_s - row.started_s >= 3 for row in again[:2])
    assert [row.ended_s for job in (0, 1) for row in runs(seen, job) if row.worker == 0] == [
        None
    ] * 2
    assert [row.worker for row in runs(seen, 2)] == [0]
    assert 1 <= seen.facts["gone_s"] - seen.facts["term_s"] < 6


def test_the_dead_set_keeps_one_less_than_ten_thousand(collect):
    assert collect.dead_set_trim((9_999,))["after"] == {9_999: 9_999}
