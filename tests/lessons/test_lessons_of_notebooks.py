"""The checks of notebooks 02, 03 and 07: right answers pass, usual slips get their own hint."""

import pytest

import toolkit as tk


def said(question, answer, **evidence):
    return tk.lessons.check(question, answer, **evidence)


@pytest.fixture(scope="module")
def crashed():
    """Return a run in which a job is killed at 3 s, having started at 1 s, and starts again at 9 s."""
    sqs = tk.systems.sqs(
        service=tk.Deterministic(value_s=4.0),
        consumers=2,
        wait_time_s=20,
        visibility_timeout_s=8.0,
        crashes=[tk.Crash(at_s=3.0)],
    )
    return tk.simulate(tk.Design(arrivals=tk.Trace(times_s=[1.0]), stages=[sqs]))


def test_the_takeover_is_counted_from_the_crash(crashed):
    assert said("02-2 takeover", 6.0, run=crashed)
    assert "when it started again" in said("02-2 takeover", 9.0, run=crashed).text
    assert "crash came later" in said("02-2 takeover", 8.0, run=crashed).text


def test_the_first_run_is_a_copy_too(crashed):
    assert said("02-3 copies", 2, run=crashed)
    assert "the first run counts" in said("02-3 copies", 1, run=crashed).text


def test_stranded_are_those_that_began_when_the_long_job_ended():
    celery = tk.systems.celery(
        version="5.7",
        broker="redis",
        instances=2,
        concurrency=1,
        prefetch_multiplier=2,
        service=tk.recordings.Replayed(tk.arrivals.np.array([9.0] + [0.5] * 9)),
    )
    run = tk.simulate(tk.Design(arrivals=tk.Trace(times_s=[0.0] * 10), stages=[celery]))

    assert said("02-1 stranded jobs", 2, run=run)
    assert "counts the long job" in said("02-1 stranded jobs", 3, run=run).text


@pytest.mark.parametrize(
    ("question", "right", "slips", "evidence"),
    [
        (
            "03-1 attempts",
            1.248,
            {4: "that is the most", 0.248: "those are the retries", 1.25 / 0.9: "a term for every"},
            {"failure": 0.2, "max_retries": 3},
        ),
        ("03-2 layers", 81, {12: "you added", 16: "count attempts"}, {"attempts": 3, "layers": 4}),
        ("03-3 quota", 35, {500: "each retry costs", 70: "how many times"}, {"capacity": 500, "retry_cost": 14}),
        (
            "07-1 hidden capacity",
            100,
            {150: "first attempt counts", 300: "nobody has to ask twice"},
            {"service_rate_per_s": 300, "max_retries": 2},
        ),
        ("07-2 largest queue", 150, {1 / 600: "upside down"}, {"service_rate_per_s": 300, "timeout_s": 0.5}),
        ("07-3 cold cache", 200, {4000: "advertised", 190: "nothing is a hit"}, {"db_per_s": 200, "hit_rate": 0.95}),
    ],
)  # fmt: skip
def test_the_right_number_is_right_and_a_slip_is_explained(question, right, slips, evidence):
    assert said(question, right, **evidence)
    for slip, hint in slips.items():
        feedback = said(question, slip, **evidence)

        assert not feedback
        assert hint in feedback.text
