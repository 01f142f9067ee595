"""Orders, blocking, fan-out, shedding, outages and sources, with results worked out by hand."""

import itertools

import pytest
from by_hand import Given, at, outcomes, retry, stage, table

import toolkit as tk
from toolkit.simulation.streams import Purpose, Streams

# --- who is next ---


@pytest.mark.parametrize(
    ("order", "starts_s"),
    [
        ("fifo", [0, 5, 9, 11]),
        ("lifo", [0, 8, 6, 5]),
        ("shortest", [0, 8, 6, 5]),
    ],
)
def test_the_order_decides_who_is_next(order, starts_s):
    """Jobs of 5, 4, 2 and 1 s come at 0, 1, 2 and 3 s; the first runs till 5 s.

    The last in line happens to be the shortest.
    """
    run = tk.simulate(at([0, 1, 2, 3], stage([5.0, 4.0, 2.0, 1.0], order=order)))

    assert run.attempts["started_s"].tolist() == starts_s


def test_shortest_first_is_not_last_first():
    """Jobs of 5, 1, 4 and 2 s."""
    run = tk.simulate(at([0, 1, 2, 3], stage([5.0, 1.0, 4.0, 2.0], order="shortest")))

    assert run.attempts["started_s"].tolist() == [0, 5, 8, 6]


def test_random_order_is_not_always_the_same():
    """Of nine who wait, the first served are different ones under different seeds."""
    design = at([0] * 10, stage(1.0, order="random"))
    firsts = {tuple(tk.simulate(design, seed=k).attempts["started_s"]) for k in range(5)}

    assert len(firsts) > 1
    assert {tuple(sorted(order)) for order in firsts} == {tuple(range(10))}


def seed_for(classes, kinds):
    """Return the first seed under which jobs are of these classes."""
    shares = {kind.name: kind.share for kind in kinds}
    return next(
        seed
        for seed in itertools.count()
        if Streams(seed=seed, replication=0, jobs=len(classes)).classes(shares).tolist() == classes
    )


KINDS = [tk.JobClass(name="urgent", share=0.5), tk.JobClass(name="other", share=0.5)]


def test_priority_waits_for_the_worker_and_preemption_does_not():
    """A job of 10 s runs; others come at 2 s (other), 4 s (urgent) and 5 s (urgent), of 3 s each.

    By priority: 10, 13, 16 s.  By preemption the first is interrupted at 4 s, goes on at 10 s with
    6 s left, before the one that came after it, and ends at 16 s.
    """
    seed, runs = seed_for([1, 1, 0, 0], KINDS), {}
    for order in ("priority", "preemptive"):
        work = stage([10.0, 3.0, 3.0, 3.0], order=order)
        runs[order] = tk.simulate(at([0, 2, 4, 5], work, classes=KINDS), seed=seed)

    assert runs["priority"].attempts["started_s"].tolist() == [0, 16, 10, 13]
    assert table(runs["preemptive"], 0) == [(0, 4, "preempted"), (10, 16, "ok")]
    assert runs["preemptive"].jobs["finished_s"].tolist() == [16, 19, 7, 10]
    first = runs["preemptive"].jobs.loc[0]
    assert first[["wait_s", "service_s", "attempts"]].tolist() == [6, 10, 1]


def test_those_who_share_a_worker_slow_each_other_down():
    """Job 0 (4 s) is alone for 1 s, then shares with job 1 (1 s): 2 s for its 1 s, ends at 3 s.

    Job 0 has got 2 s by then, and needs 2 s more.
    """
    run = tk.simulate(at([0, 1], stage([4.0, 1.0], order="shared")))

    assert run.jobs["finished_s"].tolist() == [5, 3]
    assert run.jobs["wait_s"].tolist() == [0, 0]


def test_two_workers_shared_by_three():
    """Each goes at two thirds of the pace, and none faster than one worker when it is alone."""
    run = tk.simulate(at([0, 0, 0, 9], stage(2.0, workers=2, order="shared")))

    assert run.jobs["finished_s"].tolist() == pytest.approx([3, 3, 3, 11])


def test_those_who_share_may_have_waited_at_the_door():
    """Tokens of 1 and 2 s, and two equal ends: job 1 (2 s) and job 2 (1 s) both end at 4 s.

    Nothing comes to the door in between, so the number of rows says nothing about who was first.
    """
    bucket = tk.TokenBucket(rate_per_s=1.0, burst=1, when_empty="wait")
    work = stage([0.0, 2.0, 1.0], workers=1, order="shared", limiter=bucket)
    run = tk.simulate(at([0, 0, 0], work))

    assert run.attempts["started_s"].tolist() == [0, 1, 2]
    assert run.jobs["finished_s"].tolist() == [0, 4, 4]


# --- from stage to stage ---


def two(first, second, times_s=(0, 0, 0), **more):
    return tk.simulate(at(list(times_s), first, second), **more)


def blocked_stage(service_s=4.0, **more):
    return stage(service_s, name="next", capacity=1, when_full="block", **more)


def test_a_full_stage_holds_the_worker_of_the_stage_before():
    """1 s of work, then 4 s with one place: job 1 is done at 2 s and keeps its worker until 5 s."""
    run = two(stage(1.0), blocked_stage())

    assert run.attempts.query("stage == 'work'")["started_s"].tolist() == [0, 1, 5]
    assert run.attempts.query("stage == 'work'")["ended_s"].tolist() == [1, 2, 6]
    assert run.attempts.query("stage == 'next'")["started_s"].tolist() == [1, 5, 9]
    assert run.jobs["finished_s"].tolist() == [5, 9, 13]


def test_a_full_stage_that_rejects_holds_nobody():
    """The same without blocking: job 1 finds no place at 2 s, and job 2 none at 3 s."""
    run = two(stage(1.0), stage(4.0, name="next", capacity=1))

    assert outcomes(run) == ["done", "rejected", "rejected"]
    assert run.attempts.query("stage == 'work'")["started_s"].tolist() == [0, 1, 2]


def test_the_worker_of_a_split_job_waits_for_nobody():
    """Tasks are joined before the job goes on, so no worker waits with it."""
    run = two(stage(1.0, fan_out=tk.FanOut(tasks=2)), blocked_stage())

    assert run.attempts.query("stage == 'work'")["started_s"].tolist() == [0, 1, 2, 3, 4, 5]
    assert outcomes(run) == ["done"] * 3


def test_a_blocked_slot_that_dies_has_done_its_job():
    """Killed at 3 s while it waits for a place: the job is done there, and is run no second time."""
    kill = tk.Delivery(crashes=tk.Crash(at_s=3, slot=0), slot_crash="requeue")
    run = two(stage(1.0, delivery=kill), blocked_stage(), times_s=(0, 0))

    assert table(run, 1) == [(1, 2, "ok"), (5, 9, "ok")]
    assert outcomes(run) == ["done", "done"]


def test_copies_do_not_block_twice():
    """The second run of a job finds that the first has moved on, and its worker is free at its end.

    Else the copy of job 0 would keep one of four workers, and one of four jobs would wait at 20 s.
    """
    lease = tk.Delivery(visibility=tk.Visibility(timeout_s=2, receipt="always"))
    work = stage(3.0, workers=4, delivery=lease)
    run = two(work, blocked_stage(1.0), times_s=(0, 0, 20, 20, 20, 20))
    firsts = run.attempts.query("stage == 'work' and attempt == 1")

    assert outcomes(run) == ["done"] * 6
    assert firsts["started_s"].tolist() == [0, 0, 20, 20, 20, 20]


@pytest.mark.parametrize(("needed", "done_s"), [(None, 5), (3, 5), (2, 2), (1, 1)])
def test_a_split_job_goes_on_when_enough_tasks_are_done(needed, done_s):
    """Three tasks of 1, 2 and 5 s on three workers; the others run on as duplicates."""
    tasks = stage(
        service=Given([1.0], [2.0], [5.0]), workers=3, fan_out=tk.FanOut(tasks=3, needed=needed)
    )
    run = tk.simulate(at([0], tasks))
    counted = needed or 3

    assert run.jobs.loc[0, "finished_s"] == done_s
    assert run.attempts["ended_s"].tolist() == [1, 2, 5]
    assert run.attempts["outcome"].tolist() == ["ok"] * counted + ["duplicate"] * (3 - counted)


def test_a_split_job_is_dead_when_too_few_tasks_can_still_work():
    """All three fail, and one is needed: the job is given up with the last of them."""
    tasks = stage(
        service=Given([1.0], [2.0], [5.0]),
        workers=3,
        failure=1.0,
        fan_out=tk.FanOut(tasks=3, needed=1),
    )
    run = tk.simulate(at([0], tasks))

    assert run.jobs.loc[0, ["outcome", "finished_s"]].tolist() == ["dead", 5]


def test_each_instance_gets_its_task():
    """Task k of a job goes to instance k, whatever its line."""
    each = tk.Delivery(instances=3, fetch=tk.Push(to="each"), prefetch=float("inf"))
    run = tk.simulate(at([0, 0], stage(2.0, workers=3, fan_out=tk.FanOut(tasks=3), delivery=each)))

    assert run.attempts["worker"].tolist() == [0, 1, 2] * 2
    assert run.attempts["started_s"].tolist() == [0, 0, 0, 2, 2, 2]


def test_routes_lead_past_a_stage_and_out():
    """All from a to c; from c nobody goes on."""
    a, b, c = stage(name="a", routes={"c": 1.0}), stage(name="b"), stage(name="c", routes={})
    run = tk.simulate(at([0], a, b, c))

    assert run.attempts["stage"].tolist() == ["a", "c"]


def test_a_route_back_is_taken_as_often_as_chance_says():
    """The draws of the run say how often each job comes back."""
    run = tk.simulate(at([0, 10, 20], stage(1.0, routes={"work": 0.5})), seed=3)
    drawn = Streams(seed=3, replication=0, jobs=3)
    luck = [drawn.at_stage(Purpose.ROUTE, "work", visit) for visit in range(1, 9)]
    expected = [next(k for k in range(8) if luck[k][job] >= 0.5) + 1 for job in range(3)]

    assert run.attempts.groupby("job").size().tolist() == expected


def test_only_their_share_comes_to_a_stage():
    """Those the draws choose, and nobody for a share of nought."""
    run = tk.simulate(
        at([0] * 9, stage(1.0, share=0.5), stage(1.0, name="none", share=0.0)), seed=1
    )
    luck = Streams(seed=1, replication=0, jobs=9).at_stage(Purpose.SHARE, "work", 1)

    assert run.attempts["job"].tolist() == [job for job in range(9) if luck[job] < 0.5]
    assert outcomes(run) == ["done"] * 9


# --- turning away, going out ---


def test_what_has_waited_too_long_is_shed_at_the_head():
    """Target 1 s, interval 4 s, one worker, 3 s a job.

    Job 1 waits 2.5 s of the 4 it has.  Job 2 has waited 5 s at 6 s: shed.  When jobs 3 and 4 come
    the queue has not been empty for more than 4 s, so they have 1 s: job 3 has waited just that,
    job 4 is found at 9 s, after 3.5 s.
    """
    shed = tk.ControlledDelay(target_s=1, interval_s=4)
    run = tk.simulate(at([0, 0.5, 1, 5, 5.5], stage(3.0, shed=shed)))

    assert outcomes(run) == ["done", "done", "rejected", "done", "rejected"]
    assert run.jobs["finished_s"].tolist() == [3, 6, 6, 9, 9]


def test_who_loses_patience_leaves_the_queue_and_not_the_worker():
    """Three seconds of patience: job 1 starts just in time, job 2 leaves."""
    patience = tk.Deterministic(value_s=3)
    run = tk.simulate(at([0, 1, 2], stage(4.0, patience=patience)))

    assert table(run) == [(0, 4, "ok"), (4, 8, "ok"), (None, 5, "abandoned")]
    assert outcomes(run) == ["done", "done", "abandoned"]


@pytest.mark.parametrize(
    "delivery", [None, tk.Delivery(prefetch=2), tk.Delivery(fetch=tk.BlockingPop())]
)
def test_in_an_outage_nothing_starts_and_what_runs_goes_on(delivery):
    """Out from 2 s to 5 s: job 0 ends at 3 s, job 1 starts at 5 s."""
    out = tk.Outage(start_s=2, duration_s=3)
    run = tk.simulate(at([0, 1], stage(3.0, outages=out, delivery=delivery)))

    assert table(run) == [(0, 3, "ok"), (5, 8, "ok")]


def test_outages_may_overlap():
    """From 1 s to 4 s and from 2 s to 6 s: out until 6 s."""
    out = [tk.Outage(start_s=1, duration_s=3), tk.Outage(start_s=2, duration_s=4)]
    run = tk.simulate(at([3], stage(1.0, outages=out)))

    assert table(run) == [(6, 7, "ok")]


def test_a_rejected_job_comes_back_if_that_is_the_rule():
    """An orbit: no place at 1 s, tried again at 3 s (no place) and at 5 s."""
    again = retry(None, 2.0, rejected=True)
    run = tk.simulate(at([0, 1], stage(4.0, capacity=1, retry=again)))

    assert table(run, 1) == [
        (None, 1, "turned away"),
        (None, 3, "turned away"),
        (5, 9, "ok"),
    ]


# --- who sends ---


def test_one_user_thinks_sends_and_waits():
    """Two seconds of thought, three of work."""
    user = tk.Closed(users=1, think=tk.Deterministic(value_s=2))
    run = tk.simulate(tk.Design(arrivals=user, stages=[stage(3.0)]), jobs=3)

    assert run.jobs["arrived_s"].tolist() == [2, 7, 12]
    assert run.jobs["finished_s"].tolist() == [5, 10, 15]


def test_more_users_than_workers_wait_for_each_other():
    """Two users of one worker: it is never idle from 2 s on, and a user waits as long as the other works."""
    users = tk.Closed(users=2, think=tk.Deterministic(value_s=2))
    run = tk.simulate(tk.Design(arrivals=users, stages=[stage(3.0)]), jobs=4)

    assert run.jobs["arrived_s"].tolist() == [2, 2, 7, 10]
    assert run.jobs["finished_s"].tolist() == [5, 8, 11, 14]


def test_batches_come_together():
    """Three at 5 s and three at 10 s."""
    every_5_s = tk.Renewal(law=tk.Deterministic(value_s=5))
    source = tk.Batches(arrivals=every_5_s, sizes=[3])
    run = tk.simulate(tk.Design(arrivals=source, stages=[stage(1.0)]), jobs=6)

    assert run.jobs["arrived_s"].tolist() == [5, 5, 5, 10, 10, 10]
    assert run.jobs["wait_s"].tolist() == [0, 1, 2] * 2
