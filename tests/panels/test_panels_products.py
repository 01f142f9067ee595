"""One workload on all products, and the price of each way to acknowledge."""

import numpy as np
import pytest

import toolkit as tk

products = tk.panels.products
AFTER = "last one done after, s"


@pytest.fixture(scope="module")
def crashed():
    return products.defaults()


@pytest.fixture(scope="module")
def choices():
    return products.choices()


def test_every_product_meets_the_same_jobs_and_the_same_failures():
    """Whether an attempt fails is drawn by the name of its stage: it is one name, or nothing is compared."""
    first = {"rate_per_s": 1.4, "service": products.EXPONENTIAL, "failure": 0.2, "runs": 1}
    runs = [
        products.trial(product, crash=False, **first)[0] for product in products.PRODUCTS.values()
    ]
    firsts = [run.attempts.query("attempt == 1") for run in runs]
    failed = {tuple(rows.loc[rows["outcome"] == "failed", "job"]) for rows in firsts}
    lengths = {tuple((rows["ended_s"] - rows["started_s"]).round(6)) for rows in firsts}

    assert len(failed) == len(lengths) == 1
    assert len({tuple(run.jobs["arrived_s"]) for run in runs}) == 1


def test_a_job_that_runs_again_takes_as_long_again():
    """The simulator draws a length an attempt; a long job is long each time."""
    product, _ = products.CHOICES["late, prefetch 1, RabbitMQ"]
    runs = products.trial(product, rate_per_s=1.6, service=products.MIXED)
    rows = [run.attempts.query("outcome == 'ok' or outcome == 'duplicate'") for run in runs]
    killed = [run.attempts.query("outcome == 'crashed'")["job"] for run in runs]
    again_s = [
        (table["ended_s"] - table["started_s"])[table["job"].isin(dead)]
        for table, dead in zip(rows, killed, strict=True)
    ]
    killed_s = np.concatenate(again_s)

    assert set(killed_s.round(3)) <= {0.5, 40.0}
    assert 40.0 in killed_s.round(3)  # whom a crash hits is long: there are more seconds of them


def test_who_acknowledges_before_the_work_loses_jobs_and_nobody_else(crashed):
    """The one setting that notebook 02 is about."""
    early = {"Celery, Redis", "Celery, RabbitMQ", "Sidekiq 6.4"}

    assert set(crashed.index[crashed["lost"] > 0]) == early
    assert set(crashed.index[crashed["run twice"] == 0]) == early
    assert (crashed["dead"] == 0).all()


@pytest.mark.parametrize(
    ("product", "low_s", "high_s"),
    [
        ("Celery, RabbitMQ, acks_late", 0, 30),  # at once, and the queue that built up
        ("Amazon SQS", 25, 60),  # 30 s from the receive
        ("Azure Service Bus", 55, 90),  # 60 s
        ("Hangfire 1.8, SQL", 240, 330),  # 300 s from the last renewal
        ("Google Cloud Tasks", 590, 630),  # 600 s
        ("Celery, Redis, acks_late", 3590, 3750),  # 3600 s and the next sweep
        ("Celery, Redis", 3590, 3750),  # what it had fetched ahead waits as long
    ],
)
def test_a_crash_heals_when_the_lease_ends(crashed, product, low_s, high_s):
    assert low_s <= crashed.loc[product, AFTER] <= high_s


def test_an_alarm_on_p99_does_not_see_the_hour(crashed):
    row = crashed.loc["Celery, Redis, acks_late"]

    assert row["mean, s"] > row["p99, s"]


def test_celery_alone_does_not_retry_by_itself():
    table = products.defaults(failure=0.05, crash=False)

    assert set(table.index[table["dead"] > 0]) == {
        name for name in products.PRODUCTS if "Celery" in name
    }


def test_fetching_ahead_leaves_workers_idle_beside_jobs_that_wait(choices):
    idle = choices["idle while jobs wait, %"]

    assert idle["late, prefetch 4, Redis"] > 20
    assert idle["late, prefetch 1, Redis"] < 1
    assert (
        choices.loc["late, prefetch 4, Redis", "mean wait, s"]
        > 3 * (choices.loc["late, prefetch 1, Redis", "mean wait, s"])
    )


def test_a_lease_shorter_than_the_longest_job_feeds_on_itself(choices):
    """A copy voids its original's receipt, and is copied before it is done."""
    assert choices.loc["late, lease of 30 s (SQS)", "run again"] > 1000
    assert choices.loc["late, lease of 120 s (SQS)", "run again"] <= 5
    assert choices.loc["late, lease of 30 s (SQS)", "slowest job, s"] > 300


def test_what_a_repeated_job_costs_turns_the_choice(choices):
    prices = {"within_s": 300, "lost": 20, "knob": 1, "wait": 1}
    harmless = products.priced(choices, again=1, **prices)
    harmful = products.priced(choices, again=100, **prices)

    assert harmless.index[0].startswith("late")
    assert harmful.index[0].startswith("early, no prefetch")
    assert not harmless.loc["late, prefetch 1, Redis", "meets the goal"]
    row = choices.loc["early, no prefetch (Sidekiq)"]
    assert harmless.loc[row.name, "cost"] == pytest.approx(
        20 * row["lost"] + row["mean wait, s"], abs=0.06
    )


def test_stranded_time_by_hand():
    """Two workers: one has two jobs of 10 s, the other none; one waits 10 s while one is idle."""
    push = tk.Delivery(
        instances=2,
        prefetch=float("inf"),
        ack="end",
        fetch=tk.Push(to="round robin"),
    )
    stage = tk.Stage(
        name="work",
        workers=2,
        delivery=push,
        service=tk.recordings.Replayed(np.array([10.0, 0.1, 10.0, 0.1])),
    )
    arrivals = tk.Trace(times_s=[0.0, 0.0, 0.0, 20.0])
    run = tk.simulate(tk.Design(arrivals=arrivals, stages=[stage]))

    assert products.stranded(run) == pytest.approx(9.9 / 40, abs=0.01)
