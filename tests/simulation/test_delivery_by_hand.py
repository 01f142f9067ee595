"""The delivery protocol as a patient person with a pencil would play it, in whole seconds."""

import math

import pytest
from by_hand import Given, at, outcomes, retry, stage, table

import toolkit as tk
from toolkit.design import StaleBucket

POP, PUSH = tk.BlockingPop(), tk.Push()


def behind(service_s=1.0, workers=1, *, given=None, failure=0.0, again=None, **delivery):
    """Return a stage behind a delivery protocol."""
    more = {"service": given} if given else {}
    return stage(
        service_s,
        workers=workers,
        failure=failure,
        retry=again,
        delivery=tk.Delivery(**delivery),
        **more,
    )


def play(times_s, stage, **more):
    """Run a stage on jobs at these times."""
    return tk.simulate(at(times_s, stage), **more)


# --- who holds what ---


@pytest.mark.parametrize("fetch", [POP, PUSH])
@pytest.mark.parametrize(
    ("prefetch", "ack", "stranded"),
    [(4, "start", 4), (1, "start", 1), (1, "end", 0), (0, "end", 0)],
)
def test_prefetch_strands_what_stands_behind_a_long_job(prefetch, ack, stranded, fetch):
    """Measured on Celery: two workers, one job of 10 s, then twelve of 0.1 s.

    Who has prefetched them cannot give them to the worker that is idle.
    """
    services_s = [10.0] + [0.125] * 12
    run = play(
        [0.0] * 13, behind(services_s, 2, instances=2, fetch=fetch, prefetch=prefetch, ack=ack)
    )
    late = run.attempts.query("started_s >= 10")

    assert len(late) == stranded
    assert late["started_s"].tolist() == [10 + 0.125 * k for k in range(stranded)]
    assert run.attempts.query("started_s < 10")["ended_s"].nlargest(2).iloc[1] <= 1.5


def test_a_batch_is_under_one_lease_clock():
    """Job 0 comes alone; at 2 s the worker takes three, a lease of 5 s each, for 2 s of work each.

    The third starts at 6 s and its lease ends at 7 s: it is run again, from 8 s.
    """
    fetch = tk.BlockingPop(batch=3, refill_at=0)
    lease = tk.Visibility(timeout_s=5, receipt="lease")
    run = play([0, 0.5, 0.5, 0.5], behind(2.0, prefetch=3, fetch=fetch, visibility=lease))

    assert run.attempts["started_s"].tolist() == [0, 2, 4, 6, 8]
    assert table(run, 3) == [(6, 8, "ok"), (8, 10, "duplicate")]
    assert outcomes(run) == ["done"] * 4


def test_unlimited_prefetch_is_a_balancer_and_bad_luck_in_turn():
    """Two instances in turn: jobs 0 and 2 go to the first, though the second is idle from 1 s."""
    run = play([0, 0, 2], behind([9.0, 1.0, 1.0], 2, instances=2, prefetch=math.inf))

    assert table(run, None, "started_s", "worker") == [(0, 0), (0, 1), (9, 0)]


def test_the_shortest_line_is_better():
    """The same jobs, sent to who holds the fewest."""
    shortest = tk.Push(to="shortest")
    run = play(
        [0, 0, 2], behind([9.0, 1.0, 1.0], 2, instances=2, prefetch=math.inf, fetch=shortest)
    )

    assert table(run, None, "started_s", "worker") == [(0, 0), (0, 1), (2, 1)]


# --- who dies with it ---

BACK_AT_ONCE, LEASE = {"disconnect_s": 0}, {"visibility": tk.Visibility(timeout_s=30)}
SWEPT = {"visibility": tk.Visibility(timeout_s=30, sweep_every_s=8, sweep_first_s=3)}


@pytest.mark.parametrize(
    ("protocol", "again_s"),
    [
        ({"ack": "fetch"}, None),
        ({"ack": "start"}, None),
        ({"ack": "start"} | BACK_AT_ONCE, None),
        ({"ack": "start"} | LEASE, None),
        ({"ack": "end"}, None),
        ({"ack": "end"} | BACK_AT_ONCE, 5),
        ({"ack": "end", "disconnect_s": 2}, 6),
        ({"ack": "end"} | LEASE, 30),
        ({"ack": "end"} | SWEPT, 35),
    ],
)
def test_what_becomes_of_a_job_whose_worker_is_killed(protocol, again_s):
    """A job of 10 s, killed at 4 s, a new worker at 5 s: lost, or run again as soon as it is noticed.

    An acknowledged message is nobody's; a connection that breaks is noticed at once or after a while;
    a lease ends at 30 s, and is noticed at the sweep of 3 + 4 x 8 = 35 s.
    """
    kill = tk.Crash(at_s=4, restart_after_s=1)
    run = play([0], behind(10.0, crashes=kill, **protocol))
    again = [] if again_s is None else [(again_s, again_s + 10, "ok")]

    assert table(run) == [(0, 4, "crashed"), *again]
    assert outcomes(run) == ["lost" if again_s is None else "done"]
    assert run.jobs.loc[0, "finished_s"] == (4 if again_s is None else again_s + 10)


@pytest.mark.parametrize(
    ("protocol", "again_s"), [({}, None), (BACK_AT_ONCE, 5), (LEASE, 30), (SWEPT, 35)]
)
def test_what_waits_in_a_dead_workers_memory_is_not_acknowledged_yet(protocol, again_s):
    """With ack at the start only the running job is lost, if anybody notices the death."""
    kill = tk.Crash(at_s=4, restart_after_s=1)
    run = play([0, 0], behind(10.0, crashes=kill, prefetch=2, ack="start", **protocol))
    again = [] if again_s is None else [(again_s, again_s + 10, "ok")]

    assert table(run, 0) == [(0, 4, "crashed")]
    assert table(run, 1) == [(None, 4, "crashed"), *again]
    assert outcomes(run) == ["lost", "lost" if again_s is None else "done"]


@pytest.mark.parametrize(("killed_s", "back_s"), [(120, 420), (125, 420), (179, 420), (181, 480)])
def test_a_sliding_lease_comes_back_after_four_to_five_minutes(killed_s, back_s):
    """Hangfire 1.8: 5 minutes, renewed every minute; so 240 to 300 s after the crash."""
    slides = tk.Visibility(timeout_s=300, renew_every_s=60)
    kill = tk.Crash(at_s=killed_s, restart_after_s=1)
    run = play([0], behind(1000.0, crashes=kill, visibility=slides))

    assert table(run) == [(0, killed_s, "crashed"), (back_s, back_s + 1000, "ok")]
    assert 240 <= back_s - killed_s <= 300


def test_a_lease_that_is_renewed_for_so_long_loops():
    """Service Bus: a lock of 1 minute, renewed for 5: a slow handler is started every 6 minutes.

    It cannot complete what it no longer holds; ten deliveries later the message is a dead letter.
    """
    lock = tk.Visibility(timeout_s=60, renew_every_s=50, renew_for_s=300, receipt="lease")
    run = play([0], behind(1000.0, 20, visibility=lock, max_deliveries=10))
    copies = [(360 * k, 360 * k + 1000, "duplicate" if k else "ok") for k in range(10)]

    assert table(run) == [*copies, (None, 3600, "turned away")]
    assert outcomes(run) == ["done"]


def test_what_only_waits_is_not_renewed_where_only_the_running_is():
    """Job 1 waits in memory from 0 s, and its lease of 4 s ends; job 0 runs and keeps its own."""
    lease = tk.Visibility(timeout_s=4, renew_every_s=1, renews="running", receipt="lease")
    held = tk.Visibility(timeout_s=4, renew_every_s=1, renews="held", receipt="lease")
    runs = [
        play([0, 0], behind(6.0, prefetch=2, visibility=rule), horizon_s=18.5)
        for rule in (lease, held)
    ]

    assert table(runs[0], 1)[:2] == [(6, 12, "ok"), (12, 18, "duplicate")]
    assert table(runs[1], 1) == [(6, 12, "ok")]
    assert table(runs[0], 0) == table(runs[1], 0) == [(0, 6, "ok")]


# --- copies ---


@pytest.mark.parametrize("receipt", ["lease", "delivery"])
def test_a_lease_shorter_than_the_work_makes_copies_without_end(receipt):
    """A job of 10 s and leases of 4 s: nobody ever holds the latest one when it is done."""
    lease = tk.Visibility(timeout_s=4, receipt=receipt)
    run = play([0], behind(10.0, 9, visibility=lease), horizon_s=21.0)
    copies = [(0, 10, "ok"), (4, 14, "duplicate"), (8, 18, "duplicate")]

    assert table(run) == [*copies, *((start_s, None, "unfinished") for start_s in (12, 16, 20))]
    assert outcomes(run) == ["done"]
    assert run.jobs.loc[0, "finished_s"] == 10


@pytest.mark.parametrize("receipt", ["always", "series"])
def test_where_a_late_word_counts_the_copies_end_with_the_first_success(receipt):
    """The same with a queue that believes anybody: no new copy after 10 s, the old ones run on."""
    lease = tk.Visibility(timeout_s=4, receipt=receipt)
    run = play([0], behind(10.0, 9, visibility=lease))

    assert table(run) == [(0, 10, "ok"), (4, 14, "duplicate"), (8, 18, "duplicate")]


@pytest.mark.parametrize(
    ("receipt", "second"),
    [
        ("lease", (10, None, "unfinished")),
        ("delivery", (None, 10, "cancelled")),
        ("always", (None, 10, "cancelled")),
    ],
)
def test_a_copy_still_in_line_is_withdrawn_if_the_late_word_counts(receipt, second):
    """One worker: at 10 s the copy that came back at 4 s still waits."""
    lease = tk.Visibility(timeout_s=4, receipt=receipt)
    run = play([0], behind(10.0, visibility=lease), horizon_s=13.0)

    assert table(run)[:2] == [(0, 10, "ok"), second]


def test_an_eta_held_in_memory_is_copied_once_a_lease():
    """Celery on Redis: ETA 22 s, leases of 4 s: 1 + floor(22 / 4) = 6 copies, all started at 22 s."""
    held = {"delayed": tk.InMemory(), "prefetch": 4, "ack": "start"}
    eta = tk.Deterministic(value_s=22)
    lease = tk.Visibility(timeout_s=4)
    run = play([0], behind(1.0, 9, countdown=eta, visibility=lease, **held))

    assert table(run) == [(22, 23, "ok")] + [(22, 23, "duplicate")] * 5
    assert outcomes(run) == ["done"]


@pytest.mark.parametrize(("most", "lost"), [(None, 10), (3, 3)])
def test_one_worker_hoards_all_that_is_not_due(most, lost):
    """Each ETA job held raises the limit by one: a prefetch of 1 takes all ten, unless it is capped."""
    held = {"delayed": tk.InMemory(most=most), "prefetch": 1}
    eta = tk.Deterministic(value_s=100)
    kill = tk.Crash(at_s=5)
    run = play([0] * 10, behind(countdown=eta, crashes=kill, **held), horizon_s=200.0)

    assert outcomes(run) == ["lost"] * lost + ["unfinished"] * (10 - lost)


def test_a_poller_releases_lumps():
    """Sidekiq: six jobs due a second apart are all started at the next look, 15 s."""
    looks = tk.Poller(low_s=10, high_s=10, first_low_s=5, first_high_s=5)
    due = tk.Deterministic(value_s=6)
    run = play([0, 1, 2, 3, 4, 5], behind(1.0, 9, countdown=due, delayed=looks))

    assert run.attempts["queued_s"].tolist() == [6, 7, 8, 9, 10, 11]
    assert run.attempts["started_s"].tolist() == [15] * 6
    assert run.jobs["backoff_s"].tolist() == [6] * 6
    assert run.jobs["wait_s"].tolist() == [9, 8, 7, 6, 5, 4]


def test_a_retry_waits_for_the_poller_too():
    """Failed at 1 s, due at 4 s, looked for at 5 s."""
    looks = tk.Poller(low_s=5, high_s=5)
    run = play([0], behind(failure=1.0, again=retry(1, 3.0), delayed=looks))

    assert table(run) == [(0, 1, "failed"), (5, 6, "failed")]
    assert run.jobs.loc[0, ["wait_s", "backoff_s"]].tolist() == [1, 3]


def test_patience_begins_when_a_job_is_due():
    """Nobody loses patience with a job that was not to start yet, whoever keeps it until then."""
    due, patience = tk.Deterministic(value_s=6), tk.Deterministic(value_s=2)
    for delayed in (
        "broker",
        tk.InMemory(),
        tk.Poller(low_s=20, high_s=20, first_low_s=20, first_high_s=20),
    ):
        delivery = tk.Delivery(countdown=due, delayed=delayed)
        run = play([0, 0], stage(5.0, patience=patience, delivery=delivery))
        never = isinstance(delayed, tk.Poller)

        assert table(run, 1) == [(None, 8, "abandoned")]
        assert table(run, 0) == [(None, 8, "abandoned") if never else (6, 11, "ok")]
        assert run.jobs["backoff_s"].tolist() == [6, 6]


# --- failures, dead letters, groups ---


@pytest.mark.parametrize(("found_on", "dead_s"), [("return", 2), ("receive", 12)])
def test_a_dead_letter_is_found_on_return_or_at_the_next_receive(found_on, dead_s):
    """Failed at 1 s and 2 s; given back behind job 1, it is looked at when that is over, at 12 s."""
    work = behind(
        [1.0, 10.0],
        failure=1.0,
        on_failure="return",
        requeue="tail",
        max_deliveries=2,
        dead_letter_on=found_on,
    )
    run = play([0, 1.5], work)
    found = [(None, 12, "turned away")] if found_on == "receive" else []

    assert table(run, 0) == [(0, 1, "failed"), (1, 2, "failed"), *found]
    assert run.jobs.loc[0, ["outcome", "finished_s"]].tolist() == ["dead", dead_s]


def test_a_failure_that_is_left_to_its_lease_comes_back_with_it():
    """SQS: nobody says that it failed; it is seen again after 5 s, and buried at the third receive."""
    lease = tk.Visibility(timeout_s=5)
    run = play([0], behind(failure=1.0, on_failure="leave", visibility=lease, max_deliveries=2))

    assert table(run) == [(0, 1, "failed"), (5, 6, "failed"), (None, 10, "turned away")]
    assert outcomes(run) == ["dead"]


def test_a_failing_message_blocks_its_group():
    """SQS FIFO: for lease x deliveries = 2 x 30 s, with two workers idle."""
    lease = tk.Visibility(timeout_s=30)
    rules = {"on_failure": "leave", "visibility": lease, "max_deliveries": 2, "groups": 1}
    run = play([0, 0], behind(1.0, 3, failure=1.0, **rules))

    assert [row[0] for row in table(run, 0)] == [0, 30, None]
    assert [row[0] for row in table(run, 1)] == [60, 90, None]


def test_a_group_goes_in_order_and_one_at_a_time():
    """Three workers, one group: as if there were one worker."""
    run = play([0, 0, 0], behind(2.0, 3, groups=1))

    assert run.attempts["started_s"].tolist() == [0, 2, 4]


# --- stops, slots, poison ---


@pytest.mark.parametrize(
    ("requeue", "starts_s"),
    [
        ("head", {0: [0, 20], 2: [None, 30], 4: [40]}),
        ("tail", {0: [0, 40], 2: [None, 30], 4: [20]}),
    ],
)
def test_a_stop_with_grace_hands_back_what_it_holds(requeue, starts_s):
    """Two workers hold two jobs of 10 s each; the first is told to stop at 4 s and is gone at 7 s.

    At 4 s it hands back job 2, which had not started; at 7 s job 0, which starts from nothing.
    The other has job 3 in memory and fetches at 10 s: the old jobs first, or job 4.
    """
    stop = tk.Crash(at_s=4, grace_s=3)
    run = play([0] * 5, behind(10.0, 2, instances=2, prefetch=2, requeue=requeue, crashes=stop))

    assert table(run, 0)[0] == (0, 7, "crashed")
    assert table(run, 2)[0] == (None, 4, "cancelled")
    assert {job: [row[0] for row in table(run, job)] for job in (0, 2, 4)} == starts_s
    assert outcomes(run) == ["done"] * 5


def test_with_grace_enough_nothing_is_run_twice():
    """The running job ends in time; the rest goes to the worker that is back at 12 s."""
    stop = tk.Crash(at_s=4, grace_s=30, restart_after_s=2)
    run = play([0, 0], behind(10.0, prefetch=2, crashes=stop))

    assert table(run) == [(0, 10, "ok"), (None, 4, "cancelled"), (12, 22, "ok")]


def test_a_kill_ends_a_stop_with_grace():
    """A supervisor that loses patience: told at 4 s, killed at 6 s, and nothing handed back."""
    stops = [tk.Crash(at_s=4, grace_s=30, restart_after_s=2), tk.Crash(at_s=6)]
    run = play([0], behind(10.0, crashes=stops, visibility=tk.Visibility(timeout_s=20)))

    assert table(run) == [(0, 6, "crashed"), (20, 30, "ok")]


def test_poison_ends_a_stop_with_grace():
    """The last job of a stopping worker kills it; the plan of the stop brings it back, to the next."""
    stop = tk.Crash(at_s=1, grace_s=math.inf, restart_after_s=2)
    rules = {"poison": 1.0, "disconnect_s": 0, "max_deliveries": 1, "dead_letter_on": "return"}
    run = play([0, 5], behind(3.0, crashes=stop, **rules))

    assert table(run) == [(0, 3, "crashed"), (5, 8, "crashed")]
    assert outcomes(run) == ["dead", "dead"]


def test_a_lease_that_ran_out_is_not_handed_back_a_second_time():
    """Its message came back at 3 s already; the stop at 5 s must not make two of it."""
    stop = tk.Crash(at_s=5, grace_s=1)
    lease = tk.Visibility(timeout_s=3, receipt="lease")
    run = play([0], behind(9.0, 2, instances=2, crashes=stop, visibility=lease), horizon_s=20.0)

    assert table(run)[:2] == [(0, 6, "crashed"), (3, 12, "ok")]
    assert [row[0] for row in table(run)] == [0, 3, 12, None]


@pytest.mark.parametrize(
    ("rule", "rest", "outcome"),
    [
        ("lose", [], "lost"),
        ("requeue", [(1, 5, "ok")], "done"),
        ("retry", [(3, 7, "ok")], "done"),
    ],
)
def test_a_slots_death_is_seen_by_its_instance(rule, rest, outcome):
    """Celery's child killed at 1 s: reported and lost, given back, or retried after its 2 s."""
    kill = tk.Crash(at_s=1, slot=0)
    run = play([0, 0], behind(4.0, 2, again=retry(1, 2.0), crashes=kill, slot_crash=rule))

    assert table(run, 0) == [(0, 1, "crashed"), *rest]
    assert table(run, 1) == [(0, 4, "ok")]
    assert outcomes(run) == [outcome, "done"]


def test_poison_kills_one_slot_after_another():
    """Requeued after each death, at once, until it has been delivered three times."""
    rules = {"poison": 1.0, "poison_kills": "slot", "slot_crash": "requeue", "max_deliveries": 3}
    run = play([0], behind(2.0, **rules))

    assert table(run) == [
        *((k, k + 2, "crashed") for k in (0, 2, 4)),
        (None, 6, "turned away"),
    ]
    assert outcomes(run) == ["dead"]


def test_poison_kills_the_instance_and_all_that_it_runs():
    """Every death takes a second to mend; the broker sees it at once."""
    rules = {"poison": 1.0, "disconnect_s": 0, "restart_s": 1, "max_deliveries": 2}
    run = play([0, 1], behind(2.0, 2, **rules))

    assert table(run, 0) == [(0, 2, "crashed"), (3, 5, "crashed"), (None, 6, "turned away")]
    assert table(run, 1) == [(1, 2, "crashed"), (3, 5, "crashed"), (None, 6, "turned away")]


def test_poison_without_a_limit_would_never_end():
    """Hangfire's crashes are no attempts: nothing but a horizon ends this."""
    endless = at([0], behind(2.0, poison=1.0, disconnect_s=0))
    with pytest.raises(ValueError, match="a poison job comes back after every crash"):
        tk.simulate(endless)

    assert len(tk.simulate(endless, horizon_s=20.5).attempts) == 11


def test_a_loop_that_takes_no_time_is_stopped():
    """A horizon in the future does not help against a loop in the present."""
    rules = {"poison": 1.0, "poison_kills": "slot", "slot_crash": "requeue"}
    run = play([3], behind(0.0, **rules), horizon_s=9.0)

    assert "stopped at 3 s" in run.warnings[-2]
    assert outcomes(run) == ["unfinished"]


# --- limits on starts ---


@pytest.mark.parametrize(
    ("per", "starts_s"), [("instance", [0, 0, 1, 1, 2, 2]), ("queue", [0, 1, 2, 3, 4, 5])]
)
def test_a_rate_per_instance_is_multiplied_by_the_instances(per, starts_s):
    """Celery's 100 a minute on eight workers are 800; a limit on the queue is one limit."""
    bucket = tk.TokenBucket(rate_per_s=1, burst=1)
    rules = {"instances": 2, "limiter": bucket, "limiter_per": per, "fetch": tk.BlockingPop()}
    run = play([0] * 6, behind(0.5, 4, **rules))

    assert sorted(run.attempts["started_s"]) == starts_s


@pytest.mark.parametrize("per", ["instance", "queue"])
@pytest.mark.parametrize("kind", [tk.TokenBucket, StaleBucket])
@pytest.mark.parametrize("rate_per_s", [0.3, 0.7, 3.0, 7.0])
def test_nobody_is_forgotten_where_times_are_rounded(rate_per_s, kind, per):
    """A wake-up that is rounded to just before its token must wake once more."""
    limit = {"limiter": kind(rate_per_s=rate_per_s, burst=1), "limiter_per": per}
    times_s = [0.1 * k + 0.05 * (k % 2) for k in range(40)]
    run = play(times_s, behind(0.01, **limit))
    gaps_s = run.attempts["started_s"].diff().iloc[2:]

    assert outcomes(run) == ["done"] * 40
    assert (gaps_s >= 1 / rate_per_s - 1e-6).all()


@pytest.mark.parametrize("per", ["instance", "queue"])
def test_a_wake_up_that_is_rounded_down_wakes_again(per):
    """At 0.8 s the next token, of 1 / 0.3 s, is 2.533... s away, and the sum is a bit less than it.

    Found when a run of a rate limit stood still for ever, its last jobs in the queue.
    """
    token_s = 1 / 0.3
    assert 0.8 + (token_s - 0.8) < token_s

    limit = {"limiter": tk.TokenBucket(rate_per_s=0.3, burst=1), "limiter_per": per}
    run = play([0.0, 0.8], behind(0.25, **limit))

    assert run.attempts["started_s"].tolist() == [0, token_s]


def test_who_looks_for_work_waits_for_what_is_in_a_pause():
    """All jobs are settled at 1 s, but the work nobody wants any more pauses before its second try."""
    work = behind(2.0, failure=1.0, again=retry(1, 5.0), fetch=tk.Poll(every_s=1))
    run = tk.simulate(at([0], work, callers=[tk.Caller(timeout=1)]))

    assert run.attempts["outcome"].tolist() == ["failed", "failed"]


def test_given_is_what_it_says():
    """The list of a Given is the service of each job, attempt by attempt."""
    again = retry(1, 0.0)
    run = play([0, 0], behind(given=Given([2.0, 3.0], [1.0, 1.0]), failure=1.0, again=again))

    assert table(run) == [(0, 2, "failed"), (5, 6, "failed"), (2, 5, "failed"), (6, 7, "failed")]
