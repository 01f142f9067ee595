"""moto's SQS still does what the recordings show, in short.

Limits are at least five times what was seen on a machine with two cores.
"""

from pathlib import Path

import pytest

COLLECT = Path(__file__).parents[2] / "data" / "collect"
pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def collect():
    """Import the collector, where moto and a client are installed."""
    pytest.importorskip("boto3", reason="not installed: boto3")
    pytest.importorskip("moto", reason="not installed: moto[server]")
    pytest.importorskip("redis", reason="not installed: redis, which the shared module imports")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(COLLECT))
        import collect_sqs

        if not collect_sqs.MOTO.exists():
            pytest.skip("not installed: moto_server")
        yield collect_sqs


def received(recording, job):
    return [d["received_s"] for d in recording.facts["deliveries"] if d["job"] == job]


def test_a_job_longer_than_the_visibility_timeout_runs_several_times_at_once(collect):
    seen = collect.visibility(visibility_s=1, work_s=2.5, consumers=4)
    first, *copies = seen.rows

    assert len(seen.rows) == 3
    assert all(row.started_s < first.ended_s for row in copies)
    assert received(seen, 0) == pytest.approx([0, 1, 2], abs=0.5)
    assert len({row.worker for row in seen.rows}) == 3


def test_a_message_is_a_dead_letter_at_the_receive_after_the_last_allowed_one(collect):
    seen = collect.redrive(visibility_s=1, max_receives=2)
    letters = {letter["job"]: letter["seen_s"] for letter in seen.facts["dead_letters"]}

    assert set(letters) == set(range(5))
    assert all(len(received(seen, job)) == 2 for job in range(5))
    assert all(letters[job] - received(seen, job)[1] >= 0.95 for job in range(5))


def test_nothing_moves_until_somebody_asks_for_it(collect):
    seen = collect.redrive_lazy(visibility_s=1, max_receives=1)

    assert (seen["dead_letters_before"], seen["received"], seen["dead_letters_after"]) == (0, 0, 1)


def test_a_failing_message_blocks_its_group_and_no_other(collect):
    seen = collect.fifo_group(visibility_s=1, max_receives=2)
    order = sorted(seen.rows, key=lambda row: row.started_s)
    blocked = [row.job for row in order if row.group == "blocked"]
    free = [row.job for row in order if row.group == "free"]
    behind = min(row.started_s for row in order if row.job == 1)

    assert blocked == [0, 0, 1, 2, 3]
    assert free == list(range(4, 16))
    assert behind - received(seen, 0)[0] >= 1.95  # two visibility timeouts
    assert sum(row.ended_s < behind for row in order if row.group == "free") >= 2


def test_what_waits_in_a_batch_is_delivered_to_somebody_else(collect):
    """The clock of all ten began with their receive, not with their work."""
    seen = collect.batch(visibility_s=1, work_s=0.25)
    copies = [row for row in seen.rows if row.worker == 1]

    assert {row.job for row in seen.rows if row.worker == 0} == set(range(10))
    assert 1 <= len(copies) <= 7
    assert all(row.job >= 3 for row in copies)
    assert min(row.started_s for row in copies) >= 0.95


def test_a_waiting_receive_is_answered_when_a_message_comes(collect):
    seen = collect.long_poll(jobs=10, gap_s=0.1, wait_s=1)

    assert [row.job for row in seen.rows] == list(range(10))
    assert seen.facts["dispatch_s"]["p50"] < 0.05


def test_a_delayed_message_is_not_seen_before_its_time(collect):
    seen = collect.delay((1, 0))
    late = [row.started_s - row.due_s for row in seen.rows]

    assert all(0 <= x < 0.5 for x in late)
    assert seen.rows[1].started_s < seen.rows[0].started_s
