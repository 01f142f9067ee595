"""The recordings of Sidekiq and of SQS on moto show what their datasheet says."""

import heapq
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).parents[2] / "data" / "job-queues"
COLUMNS = ["job", "sent_s", "due_s", "group", "asked_s", "started_s", "ended_s", "worker", "slot"]
LOADS = ("load-50", "load-70", "load-85")
SCHEDULED = ("scheduled", "scheduled-two-processes", "scheduled-late-process")
PERCENTS = (50, 90, 95, 99)


def recording(name):
    return pd.read_csv(FOLDER / f"{name}.csv")


def facts(name):
    product = name.partition("-")[0]
    known = json.loads((FOLDER / f"{product}-experiments.json").read_text(encoding="utf-8"))
    return known[name]


def cells(section, row):
    """Return the cells of a row of a table in a section of the datasheet."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8").partition(f"\n## {section}\n")[2]
    found = re.search(rf"^\| {re.escape(row)} \|(.+)\|$", text, re.MULTILINE)
    assert found, f"no row {row!r} in section {section!r}"
    return [cell.strip() for cell in found[1].split("|")]


def ideal_waits(table, own_s=0.0, servers=4):
    """Replay a recording through an ideal FIFO queue; a server needs ``own_s`` after each job."""
    free, waits = [0.0] * servers, []
    work = table["ended_s"] - table["started_s"]
    for sent, slept in zip(table["sent_s"], work, strict=True):
        start = max(sent, heapq.heappop(free))
        heapq.heappush(free, start + slept + own_s)
        waits.append(start - sent)
    return np.array(waits)


def turnarounds_s(table):
    """Return how long a thread took from one job to the next one, which had been waiting."""
    ordered = table.sort_values("started_s")
    before = ordered.groupby("slot")["ended_s"].shift()
    return (ordered["started_s"] - before)[ordered["sent_s"] < before].to_numpy()


def lateness_s(table):
    return (table["started_s"] - table["due_s"]).to_numpy()


def polls_s(name, worker=None):
    polls = facts(f"sidekiq-{name}")["polls"]
    return np.array([poll["at_s"] for poll in polls if worker in {None, poll["worker"]}])


def released_s(name):
    """Return for each job the poll that follows the moment when it was due."""
    at = np.sort(polls_s(name))
    return at[np.searchsorted(at, recording(f"sidekiq-{name}")["due_s"])]


# --- all files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(FOLDER.glob("s[iq]*.csv")), ids=lambda path: path.stem)
def test_a_file_is_in_order_of_jobs_and_its_parameters_are_known(path):
    table = pd.read_csv(path)

    assert list(table) == COLUMNS
    assert table["job"].is_monotonic_increasing
    assert set(table["job"]) == set(range(table["job"].max() + 1))
    assert table["sent_s"].min() == 0
    assert not (table["started_s"] < table["sent_s"]).any()
    assert not (table["ended_s"] < table["started_s"]).any()
    assert facts(path.stem)["what"]


# --- Sidekiq -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOADS)
def test_the_waits_under_load_are_those_of_an_ideal_queue(name):
    """What a simulator of Sidekiq may rely on: within a tenth, where waits aren't nearly nothing."""
    table = recording(f"sidekiq-{name}")
    own_s = np.median(turnarounds_s(table))
    seen = np.percentile(table["started_s"] - table["sent_s"], PERCENTS)
    ideal = np.percentile(ideal_waits(table), PERCENTS)
    closer = np.percentile(ideal_waits(table, own_s), PERCENTS)
    told = np.array([cells("Sidekiq", f"`{name}` p{p}")[:3] for p in PERCENTS], dtype=float)

    found = np.array([seen, ideal, closer]).T

    assert found * 1000 == pytest.approx(told, abs=0.06)
    assert ideal[1:] == pytest.approx(seen[1:], rel=0.1)
    assert ideal[0] == pytest.approx(seen[0], rel=0.1, abs=0.001)
    assert closer[1:] == pytest.approx(seen[1:], rel=0.04)


@pytest.mark.parametrize("name", LOADS)
def test_the_datasheet_tells_the_load_and_what_sidekiq_adds(name):
    table = recording(f"sidekiq-{name}")
    slept = table["ended_s"] - table["started_s"]
    column = LOADS.index(name)

    assert len(table) == int(cells("Sidekiq", "jobs")[column])
    assert slept.sum() / 4 / table["sent_s"].max() == pytest.approx(
        float(cells("Sidekiq", "utilisation")[column]), abs=0.0006
    )
    assert slept.mean() * 1000 == pytest.approx(
        float(cells("Sidekiq", "sleep, mean, ms")[column]), abs=0.06
    )
    told = [float(x) for x in cells("Sidekiq", "turnaround p50 / p99, ms")[column].split("/")]
    found = np.percentile(turnarounds_s(table) * 1000, (50, 99))
    assert found == pytest.approx(told, abs=0.06)


def test_the_dispatch_to_an_idle_process_takes_a_millisecond():
    waits_ms = recording("sidekiq-idle").eval("started_s - sent_s") * 1000
    told = [
        float(x)
        for x in cells("Sidekiq", "dispatch on an idle process p50 / p99, ms")[0].split("/")
    ]

    assert np.percentile(waits_ms, (50, 99)) == pytest.approx(told, abs=0.06)


@pytest.mark.parametrize("name", SCHEDULED)
def test_the_datasheet_tells_how_late_scheduled_jobs_are(name):
    late = lateness_s(recording(f"sidekiq-{name}"))
    found = [late.mean(), *np.percentile(late, (50, 90, 99, 100))]
    told = cells("Sidekiq", f"`{name}` lateness, s")

    assert [float(x) for x in told] == pytest.approx(found, abs=0.006)


@pytest.mark.parametrize("name", SCHEDULED)
def test_scheduled_jobs_are_released_together_by_the_next_poll(name):
    """Whoever is due waits for a poll of any process, and all that are due start with it."""
    started = recording(f"sidekiq-{name}")["started_s"].to_numpy()
    after = started - released_s(name)

    assert after.min() >= 0
    assert after.max() < 0.02
    assert len(np.unique(released_s(name))) < len(started) / 2


@pytest.mark.parametrize("name", SCHEDULED)
def test_the_gaps_between_the_polls_of_a_process_follow_the_formula(name):
    """Uniform between half and one and a half times the average it settled on at its first."""
    known = facts(f"sidekiq-{name}")
    for process in known["processes"]:
        own = [poll for poll in known["polls"] if poll["worker"] == process["worker"]]
        (average_s,) = {poll["average_s"] for poll in own[1:]}
        gaps = np.diff([poll["at_s"] for poll in own])
        error = average_s / np.sqrt(12 * len(gaps))  # of the mean of uniform numbers

        assert 10 <= own[0]["at_s"] - process["up_s"] < 15.1
        assert gaps.min() >= 0.5 * average_s
        assert gaps.max() < 1.5 * average_s + 0.1
        assert gaps.mean() == pytest.approx(average_s, abs=4 * error)
        assert cells("Sidekiq", f"`{name}` process {process['worker']}")[:2] == [
            f"{own[0]['at_s'] - process['up_s']:.2f}",
            f"{average_s:g}",
        ]


def test_a_process_settles_on_its_interval_once_and_for_all():
    """The older of two goes on polling every 5 s, as if it were alone; so polls are too many."""
    polls = facts("sidekiq-scheduled-late-process")["polls"]
    both = [poll for poll in polls if poll["processes"] == 2]

    assert {poll["average_s"] for poll in both if poll["worker"] == 0} == {5}
    assert {poll["average_s"] for poll in both if poll["worker"] == 1} <= {10, None}
    assert facts("sidekiq-stale-process")["average_s"] == 10


def test_delays_of_retries_are_a_power_plus_a_coarse_jitter():
    """n^4 + 15 + (n + 1) times 0 to 9, all ten values about equally often."""
    for name in ("sidekiq-retry", "sidekiq-retry-delays"):
        for n, counts in facts(name)["delay_counts"].items():
            n, jobs = int(n), sum(counts.values())  # noqa: PLW2901
            chi_square = sum((x - jobs / 10) ** 2 / (jobs / 10) for x in counts.values())

            assert {int(x) for x in counts} == {n**4 + 15 + (n + 1) * x for x in range(10)}
            assert jobs == 100
            assert chi_square < 33.7  # one in 10,000, nine degrees of freedom

    told = cells("Sidekiq", "first retry, delay of 15 … 24 s")
    assert [int(x) for x in told[0].split(", ")] == list(
        facts("sidekiq-retry")["delay_counts"]["0"].values()
    )


def test_a_retry_starts_with_a_poll():
    """The poll goes on until nothing is due, so what falls due meanwhile goes along."""
    table = recording("sidekiq-retry")
    again = table[table["due_s"].notna()]
    at = polls_s("retry")
    poll_s = at[np.searchsorted(at, again["started_s"]) - 1]

    assert table.groupby("job").size().eq(3).all()
    assert len(again) == 200
    assert lateness_s(again).mean() == pytest.approx(
        float(cells("Sidekiq", "lateness of retries, mean, s")[0]), abs=0.006
    )
    assert (again["started_s"] - poll_s).max() < 0.5
    assert lateness_s(again).min() >= 0
    assert (poll_s - again["due_s"]).min() > -0.5
    assert ((poll_s - again["due_s"]) < 7.6).all()


def test_killed_jobs_are_lost_and_queued_ones_survive():
    table, known = recording("sidekiq-kill"), facts("sidekiq-kill")
    lost = table[table["ended_s"].isna()]

    assert list(table["job"]) == list(range(6))
    assert list(lost["job"]) == [2, 3]
    assert (lost["started_s"] < known["killed_s"]).all()
    assert (table["worker"].iloc[4:] == 1).all()
    assert known["left_in_redis"] == 0
    assert known["members_of_processes_set"] == 2


def test_stopped_jobs_go_to_the_head_and_start_from_zero():
    table, known = recording("sidekiq-term"), facts("sidekiq-term")
    again = table[table["worker"] == 1].sort_values("started_s")
    cut = table[table["ended_s"].isna()]

    assert sorted(cut["job"]) == [0, 1]
    assert sorted(again["job"].iloc[:2]) == [0, 1]
    assert list(again["job"]) == known["queue_after_term"]
    assert list(again["job"].iloc[2:]) == [3, 4, 5]
    assert (again["ended_s"] - again["started_s"] >= again["asked_s"]).all()
    assert known["gone_s"] - known["term_s"] == pytest.approx(2, abs=0.1)
    assert table.loc[table["job"] == 2, "ended_s"].item() > known["term_s"]


def test_the_dead_set_never_has_ten_thousand_members():
    assert set(facts("sidekiq-dead-set-trim")["after"].values()) == {9_999}
    assert facts("sidekiq-retry-delays")["dead_after_25_retries"] == 1


# --- SQS on moto -------------------------------------------------------------------------------


def received_s(name, job):
    return [d["received_s"] for d in facts(name)["deliveries"] if d["job"] == job]


def test_a_copy_starts_at_every_end_of_the_visibility_timeout():
    """While the first one works: it ends last but two."""
    table = recording("sqs-visibility")

    assert np.diff(received_s("sqs-visibility", 0)) == pytest.approx([2, 2], abs=0.1)
    assert (table["started_s"] < table["ended_s"].iloc[0]).all()
    assert (
        table["worker"].nunique()
        == 3
        == int(cells("SQS semantics on moto", "copies of a job of 5 s, timeout 2 s")[0])
    )


def test_dead_letters_arrive_at_the_third_receive():
    table = recording("sqs-redrive")
    letters = {letter["job"]: letter["seen_s"] for letter in facts("sqs-redrive")["dead_letters"]}

    assert table.groupby("job").size().eq(2).all()
    for job, seen_s in letters.items():
        assert seen_s - received_s("sqs-redrive", job)[1] == pytest.approx(1, abs=0.2)
    lazy = facts("sqs-redrive-lazy")
    assert (lazy["dead_letters_before"], lazy["dead_letters_after"]) == (0, 1)


def test_a_failing_message_holds_its_group_for_all_its_deliveries():
    table = recording("sqs-fifo-group")
    order = table.sort_values("started_s")
    blocked, free = (list(order.loc[order["group"] == g, "job"]) for g in ("blocked", "free"))
    held_s = table.loc[table["job"] == 1, "started_s"].item() - received_s("sqs-fifo-group", 0)[0]

    assert blocked == [0, 0, 0, 1, 2, 3]
    assert free == list(range(4, 16))
    assert held_s == pytest.approx(3, abs=0.3)
    assert held_s == pytest.approx(
        float(cells("SQS semantics on moto", "a failing message held its group for, s")[0]),
        abs=0.006,
    )


def test_late_workers_break_the_order_of_a_group():
    """A deletion that comes late succeeds on moto, and sets the next one free beside a copy."""
    table = recording("sqs-fifo-late").sort_values("started_s")
    overlap = table["started_s"].shift(-1) < table["ended_s"]

    assert list(table["job"]) == [0, 0, 1, 1, 2, 2]
    assert overlap.iloc[:-1].all()
    known = facts("sqs-late-delete")
    assert {value for name, value in known.items() if "handle" in name} == {True}


def test_the_later_half_of_a_batch_is_worked_on_twice():
    table = recording("sqs-batch")
    first, second = (table[table["worker"] == worker] for worker in (0, 1))

    assert list(first["job"]) == list(range(10))
    assert list(second["job"]) == list(range(second["job"].min(), 10))
    assert len(second) == int(cells("SQS semantics on moto", "copies in a batch of ten")[0])
    assert second["started_s"].min() - received_s("sqs-batch", 0)[0] == pytest.approx(2, abs=0.1)


def test_a_waiting_receive_is_answered_at_once():
    waits_ms = recording("sqs-long-poll").eval("started_s - sent_s") * 1000
    told = cells("SQS semantics on moto", "message to a waiting receive p50 / p99, ms")[0]

    assert np.percentile(waits_ms, (50, 99)) == pytest.approx(
        [float(x) for x in told.split("/")], abs=0.06
    )


def test_a_waiting_receive_of_moto_sees_an_expiry_up_to_a_second_late():
    """It looks once a second, counted from its own beginning, which was the end of the work."""
    table = recording("sqs-long-poll-expiry")
    firsts, seconds = table.iloc[::2], table.iloc[1::2]
    again = seconds["started_s"].to_numpy() - firsts["ended_s"].to_numpy()

    assert again == pytest.approx(np.ones(10), abs=0.05)


def test_a_waiting_receive_of_moto_does_not_see_that_a_group_became_free():
    known = facts("sqs-fifo-long-poll")

    assert known["received_by_the_waiting"] == 0
    assert known["received_by_the_next"] == 1
    assert known["answered_s"] >= known["wait_s"]


def test_a_delayed_message_is_late_by_the_poll_only():
    late = lateness_s(recording("sqs-delay"))

    assert late.min() > 0
    assert late.max() < 0.2
