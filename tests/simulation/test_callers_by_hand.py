"""Callers, breakers and budgets as a patient person with a pencil would play them."""

import pytest
from by_hand import Given, at, outcomes, retry, stage, table

import toolkit as tk

KINDS = {"plain": {}, "broker": {"delivery": tk.Delivery()}}
both_kinds = pytest.mark.parametrize("kind", KINDS)


def played(times_s, stage, *callers, **more):
    """Run a stage on jobs at these times, with callers who wait for them."""
    return tk.simulate(at(times_s, stage, callers=callers), **more)


@both_kinds
@pytest.mark.parametrize(
    ("on_timeout", "rows"),
    [
        ("nothing", [(0, 10, "late"), (10, 20, "late")]),
        ("skip", [(0, 10, "late"), (None, 10, "cancelled")]),
        ("cancel", [(0, 4, "cancelled"), (4, 5, "cancelled")]),
    ],
)
def test_what_happens_to_the_work_when_the_caller_gives_up(on_timeout, rows, kind):
    """Ten seconds of work each, four of patience, one worker.

    Nobody is told, and 20 s of work are wasted; the deadline travels along, and the second is not
    begun; the work is taken back, and the worker is free.
    """
    caller = tk.Caller(timeout=4, on_timeout=on_timeout)
    run = played([0, 1], stage(10.0, **KINDS[kind]), caller)

    assert table(run) == rows
    assert outcomes(run) == ["abandoned", "abandoned"]
    assert run.jobs["finished_s"].tolist() == [4, 5]


@both_kinds
def test_an_answer_at_the_moment_of_the_timeout_is_in_time(kind):
    """Services end before callers give up."""
    run = played([0], stage(4.0, **KINDS[kind]), tk.Caller(timeout=4))

    assert table(run) == [(0, 4, "ok")]
    assert outcomes(run) == ["done"]


@both_kinds
def test_a_caller_who_asks_again_adds_to_the_queue_it_waits_in(kind):
    """Time-outs at 4 s and (after a pause of 1 s) 9 s; the first try's work stands in the second's way."""
    caller = tk.Caller(timeout=4, retry=retry(1, 1.0))
    run = played([0], stage(6.0, **KINDS[kind]), caller)

    assert table(run) == [(0, 6, "late"), (6, 12, "late")]
    assert run.jobs.loc[0, ["outcome", "finished_s"]].tolist() == ["abandoned", 9]


def test_callers_one_inside_the_other_multiply():
    """Two levels that try three times each make nine tries of a call that always fails."""
    levels = [tk.Caller(retry=retry(2)), tk.Caller(retry=retry(2))]
    run = played([0], stage(1.0, failure=1.0), *levels)

    assert len(run.attempts) == 9
    assert run.jobs.loc[0, ["outcome", "finished_s"]].tolist() == ["dead", 9]


@both_kinds
@pytest.mark.parametrize(
    ("cancels", "first"), [(True, (0, 3, "cancelled")), (False, (0, 10, "duplicate"))]
)
def test_a_hedge_takes_the_first_good_answer(cancels, first, kind):
    """A copy after 2 s takes 1 s where the first takes 10: the answer is there at 3 s."""
    hedge = tk.Caller(hedge=tk.Hedge(after_s=2, cancels=cancels))
    slow = stage(service=Given([10.0], [1.0]), workers=2, **KINDS[kind])
    run = played([0], slow, hedge)

    assert table(run) == [first, (2, 3, "ok")]
    assert run.jobs.loc[0, ["outcome", "finished_s"]].tolist() == ["done", 3]


def test_a_copy_that_its_lease_has_left_behind_runs_on_when_the_call_is_taken_back():
    """The lease ends at 2 s, the caller gives up at 3 s: the copy in line goes, the one at work stays."""
    lease = tk.Delivery(visibility=tk.Visibility(timeout_s=2))
    caller = tk.Caller(timeout=3, on_timeout="cancel")
    run = played([0], stage(5.0, delivery=lease), caller)

    assert table(run) == [(0, 5, "late"), (None, 3, "cancelled")]
    assert outcomes(run) == ["abandoned"]


def test_no_hedge_is_sent_for_what_was_quick():
    """The answer came at 1 s."""
    run = played([0], stage(1.0), tk.Caller(hedge=tk.Hedge(after_s=2)))

    assert len(run.attempts) == 1


def test_a_breaker_opens_probes_and_closes():
    """Two time-outs in a row, at 2 s and 3 s: open until 13 s; the call at 14 s is the probe.

    While it is under way others are turned away; it works, at 15 s, and the breaker is closed.
    """
    work = stage([5.0, 5.0, 1.0, 1.0, 1.0, 1.0], workers=9)
    caller = tk.Caller(timeout=2, breaker=tk.Breaker(failures=2, open_s=10))
    run = played([0, 1, 4, 14, 14.5, 16], work, caller)

    assert outcomes(run) == ["abandoned", "abandoned", "rejected", "done", "rejected", "done"]
    assert run.jobs["finished_s"].tolist() == [2, 3, 4, 15, 14.5, 17]
    assert run.attempts["job"].tolist() == [0, 1, 3, 5]


def test_a_probe_that_fails_opens_the_breaker_again():
    """Failed at 1 s and 3 s: open until 13 s; the probe fails at 15 s: open until 25 s."""
    caller = tk.Caller(breaker=tk.Breaker(failures=2, open_s=10))
    run = played([0, 2, 12, 14, 24, 25], stage(1.0, workers=9, failure=1.0), caller)

    assert outcomes(run) == ["dead", "dead", "rejected", "dead", "rejected", "dead"]


def test_a_success_closes_the_count():
    """Failures in a row: one good answer between two bad ones keeps the breaker closed."""
    caller = tk.Caller(timeout=2, breaker=tk.Breaker(failures=2, open_s=100))
    run = played([0, 3, 5, 9], stage([5.0, 1.0, 5.0, 1.0], workers=9), caller)

    assert outcomes(run) == ["abandoned", "done", "abandoned", "done"]


BUDGETS = [
    # 500 tokens at 5 a retry
    (tk.AwsRetryQuota(), 100),
    # more than half of 10 must be left: after failures 1 to 4 there are 9, 8, 7 and 6
    (tk.GrpcThrottle(max_tokens=10, token_ratio=0.1), 4),
]


@pytest.mark.parametrize(("budget", "retries"), BUDGETS)
@pytest.mark.parametrize("where", ["stage", "caller"])
def test_a_budget_bounds_the_retries_of_a_total_outage(budget, retries, where):
    """Two hundred jobs that may each be retried nine times: 1800 retries without a budget."""
    again = retry(9, 0.5, budget=budget)
    times_s = [9.0 * k for k in range(200)]
    if where == "stage":
        run = played(times_s, stage(0.25, workers=9, failure=1.0, retry=again))
    else:
        run = played(times_s, stage(0.25, workers=9, failure=1.0), tk.Caller(retry=again))

    assert len(run.attempts) == 200 + retries
    assert outcomes(run) == ["dead"] * 200


def test_a_time_out_costs_the_quota_twice():
    """500 tokens at 10 a time-out."""
    caller = tk.Caller(timeout=0.25, retry=retry(3, 0.5, budget=tk.AwsRetryQuota()))
    run = played([2.0 * k for k in range(200)], stage(0.5, workers=9), caller)

    assert len(run.attempts) == 200 + 50


def test_a_budget_is_earned_back():
    """A quota of one retry: the second try works and gives back what it cost; the next job has it again."""
    quota = tk.AwsRetryQuota(capacity=5)
    caller = tk.Caller(timeout=2, retry=retry(1, 0.0, budget=tk.AwsRetryQuota(capacity=10)))
    run = played([0, 9], stage(service=Given([5.0, 5.0], [1.0, 1.0]), workers=9), caller)

    assert outcomes(run) == ["done", "done"]
    assert len(run.attempts) == 4
    assert quota.start().take(timed_out=True) is None
