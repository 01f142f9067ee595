"""The Celery recordings show what their datasheet says, and the datasheet says what they show."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

DATA = Path(__file__).parents[2] / "data"
JOBS = DATA / "job-queues"
NAMES = sorted(path.stem.removeprefix("celery-") for path in JOBS.glob("celery-*.csv"))
BROKERS = ("redis", "rabbitmq")
LOADS = [f"{broker}-{name}" for broker in BROKERS for name in ("load-50", "load-70", "load-85")]
EXPERIMENTS = json.loads((JOBS / "celery-experiments.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def facts():
    """Import the program that wrote the datasheet's tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DATA / "collect"))
        import celery_facts

        yield celery_facts


def load(name):
    return pd.read_csv(JOBS / f"celery-{name}.csv")


def starts(name):
    """Return the jobs of a recording in the order in which they started."""
    return load(name).dropna(subset="started_s").sort_values("started_s")


def test_every_recording_has_its_parameters():
    assert sorted(EXPERIMENTS) == [f"celery-{name}" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_times_of_an_execution_are_in_order_and_as_long_as_asked(name):
    """Sent, received, started, ended; a sleep never ends early (but for the fourth decimal)."""
    seen = load(name)
    ran = seen.dropna(subset="started_s")
    slept = (ran["ended_s"] - ran["started_s"]).dropna()

    assert seen["sent_s"].iloc[0] == 0
    assert set(seen["job"]) == set(range(seen["job"].max() + 1))
    assert (ran["sent_s"] <= ran["received_s"]).all()
    assert (ran["received_s"] <= ran["started_s"]).all()
    assert (slept >= ran["asked_s"][slept.index] - 0.0002).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_slot_runs_one_job_at_a_time(name):
    ran = load(name).dropna(subset=["started_s", "ended_s"]).sort_values("started_s")
    previous = ran.groupby(["worker", "slot"])["ended_s"].shift()

    assert not (ran["started_s"] < previous).any()


def test_the_datasheet_has_the_tables_the_program_prints(facts):
    """Numbers in prose that nobody computes again are wrong one day."""
    assert facts.report(JOBS) in (JOBS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LOADS)
def test_the_recorded_load_is_the_one_that_was_asked_for(name):
    """Every job ran once and its result came back after it had ended; sleeps are exponential."""
    seen = load(name)
    told = EXPERIMENTS[f"celery-{name}"]
    asked = seen["asked_s"]

    assert not seen["job"].duplicated().any()
    assert (seen["returned_s"] > seen["ended_s"]).all()
    assert len(seen) == pytest.approx(
        told["rate_per_s"] * told["seconds"], abs=4 * len(seen) ** 0.5
    )
    assert asked.mean() == pytest.approx(told["mean_s"], rel=4 / len(seen) ** 0.5)


@pytest.mark.parametrize("name", LOADS)
def test_jobs_start_in_the_order_sent(name):
    """A central queue; two children may note their starts crosswise within milliseconds."""
    started = load(name).sort_values("job")["started_s"]

    assert (started.cummax() - started).max() < 0.025


@pytest.mark.parametrize("name", LOADS)
def test_an_ideal_queue_with_the_products_own_time_gives_the_recorded_waits(name, facts):
    """What the recordings are for: sends, sleeps and one constant foretell each percentile."""
    seen, busy = load(name), load(f"{name.split('-')[0]}-load-85")
    own_s = np.median(facts.turnaround_s(busy))
    waited = np.percentile(seen["started_s"] - seen["sent_s"], facts.PERCENTILES)
    ideal = np.percentile(facts.replayed(seen, own_s), facts.PERCENTILES)

    assert own_s == pytest.approx(0.002, abs=0.0005)
    assert waited == pytest.approx(ideal, rel=0.05, abs=0.004)


@pytest.mark.parametrize("name", LOADS)
def test_an_ideal_queue_alone_is_within_ten_percent_of_all_but_the_shortest_waits(name, facts):
    """The datasheet names the exceptions, and why."""
    seen = load(name)
    waited = np.percentile(seen["started_s"] - seen["sent_s"], facts.PERCENTILES)
    ideal = np.percentile(facts.replayed(seen), facts.PERCENTILES)

    assert waited[waited > 0.1] == pytest.approx(ideal[waited > 0.1], rel=0.10)
    assert (waited > ideal).all()


def test_rabbitmq_deals_in_turn():
    assert list(load("rabbitmq-turns")["worker"]) == [0, 1] * 15


def test_redis_serves_the_instance_whose_request_is_the_oldest():
    """Asked again after each message, and after each second without one."""
    told = EXPERIMENTS["celery-redis-turns"]["workers"]
    asked, right = [worker["ready_s"] for worker in told], 0
    seen = load("redis-turns")
    for sent, got, worker in seen[["sent_s", "received_s", "worker"]].itertuples(index=False):
        asked = [then + max(0, np.floor(sent - then)) for then in asked]
        right += int(np.argmin(asked)) == worker
        asked[worker] = got

    assert right >= len(seen) - 1


@pytest.mark.parametrize(
    ("name", "held"),
    [
        *[(f"{b}-prefetch-4-early", 4) for b in BROKERS],
        *[(f"{b}-prefetch-1-early", 1) for b in BROKERS],
        *[(f"{b}-prefetch-1-late", 0) for b in BROKERS],
        ("redis-no-prefetch", 0),
    ],
)
def test_as_many_jobs_wait_behind_the_long_one_as_were_prefetched(name, held, facts):
    """With early acknowledgement the running job is no part of the count."""
    stuck = facts.stranded(load(name))

    assert len(stuck) == held
    assert ((stuck["started_s"] - stuck["sent_s"]) > 4.9).all()


@pytest.mark.parametrize("name", [name for name in NAMES if "kill-early" in name])
def test_early_acknowledgement_loses_the_running_job_and_only_that(name, facts):
    seen = load(name)

    assert facts.unfinished(seen) == [0]
    assert facts.repeated(seen) == []
    assert len(facts.restored(JOBS, name)) == 4


@pytest.mark.parametrize(
    "name", [name for name in NAMES if "-kill-late" in name and "child" not in name]
)
def test_late_acknowledgement_loses_nothing_when_an_instance_dies(name, facts):
    seen = load(name)

    assert facts.unfinished(seen) == []
    assert 0 in facts.repeated(seen)


def test_rabbitmq_returns_jobs_within_milliseconds(facts):
    killed, _ = facts.victim(JOBS, "rabbitmq-kill-late-idle")

    assert load("rabbitmq-kill-late-idle")["received_s"].max() - killed < 0.1


@pytest.mark.parametrize("kind", ["late", "early"])
def test_the_default_sweep_comes_ninety_seconds_after_the_survivor_connected(kind, facts):
    """It was ready a second after that; the visibility timeout of 5 s had long passed."""
    name = f"redis-kill-{kind}"
    _, victim = facts.victim(JOBS, name)
    seen, ready = load(name), EXPERIMENTS[f"celery-{name}"]["workers"][1 - victim]["ready_s"]
    back = seen[seen["job"].isin(facts.restored(JOBS, name))]["received_s"]

    assert back[back > 10].min() - ready == pytest.approx(89, abs=0.5)


@pytest.mark.parametrize("kind", ["late", "early"])
def test_restored_jobs_go_before_all_that_wait_and_in_their_old_order(kind, facts):
    """So they are received before jobs sent after them that were never handed out."""
    seen = load(f"redis-kill-{kind}-fast-sweep").sort_values("received_s")
    back = facts.restored(JOBS, f"redis-kill-{kind}-fast-sweep")[:4]
    last = seen[seen["job"] == 20]["received_s"].min()

    assert back == sorted(back)
    assert (seen[seen["job"].isin(back)].groupby("job")["received_s"].max() < last).all()


@pytest.mark.parametrize("kind", ["late", "early"])
def test_an_instance_that_waits_gets_the_newest_of_the_restored_jobs(kind, facts):
    back = facts.restored(JOBS, f"redis-kill-{kind}")

    assert back == [max(back), *sorted(back)[:-1]]


def test_jobs_held_for_longer_than_the_timeout_run_again_although_nobody_died():
    """Waiting in the memory of the survivor counts as well."""
    runs = load("redis-kill-late-fast-sweep").groupby("job").size()

    assert dict(runs[runs > 1]) == {0: 3, 15: 2, 16: 2}


@pytest.mark.parametrize("broker", BROKERS)
def test_a_killed_child_loses_its_job_in_spite_of_late_acknowledgement(broker, facts):
    seen = load(f"{broker}-child-kill-late")

    assert facts.unfinished(seen) == [0]
    assert facts.repeated(seen) == []


def test_a_rejected_job_goes_to_the_tail_on_redis_and_to_the_head_on_rabbitmq():
    """The instance of one slot held jobs 1 to 3 when the child was killed."""
    assert list(starts("redis-child-kill-reject")["job"]) == [0, 1, 2, 3, 4, 5, 0]
    assert list(starts("rabbitmq-child-kill-reject")["job"]) == [0, 1, 2, 3, 0, 4, 5]


@pytest.mark.parametrize(
    ("name", "longest_s"),
    [("redis-child-kill-reject", 0.2), ("rabbitmq-child-kill-reject", 5)],
)
def test_a_killed_child_is_noticed_at_once_or_by_a_timer_of_five_seconds(name, longest_s):
    killed = EXPERIMENTS[f"celery-{name}"]["child_killed_s"]
    started = starts(name)["started_s"]
    stalled = started[started > killed].min() - killed

    assert longest_s / 5 < stalled < longest_s


def test_copies_of_a_long_job_overlap_until_the_first_is_acknowledged():
    """Handed out every 3 s or a little later, four times within 10 s; never after that."""
    runs = load("redis-overlap")
    gaps = runs["received_s"].sort_values().diff().dropna()

    assert len(runs) == 4
    assert gaps.between(3, 4).all()
    assert runs["received_s"].max() < runs["ended_s"].min()
    assert runs["started_s"].iloc[1] < runs["ended_s"].iloc[0]


@pytest.mark.parametrize("kind", ["late", "early"])
def test_a_job_due_in_twelve_seconds_runs_four_times(kind):
    """One and one more for every visibility timeout and sweep; all of them when it is due."""
    seen = load(f"redis-eta-duplicates-{kind}")

    assert list(seen.groupby("job").size()) == [4, 4, 4]
    assert (seen["started_s"] - seen["due_s"]).between(0, 0.25).all()
    assert set(seen["worker"]) == {0, 1}


@pytest.mark.parametrize("broker", BROKERS)
def test_instances_take_all_jobs_for_later_and_leave_the_queue_empty(broker):
    told = EXPERIMENTS[f"celery-{broker}-eta-hoarding"]
    received = [worker["received"] for worker in told["workers"]]

    assert sum(received) == 200
    assert min(received) > 80
    assert told["queue_length"] == 0
    assert told["prefetch_counts"] == [count + 4 for count in received]


@pytest.mark.parametrize("broker", BROKERS)
def test_jobs_for_later_are_never_early_and_milliseconds_late(broker):
    seen = load(f"{broker}-eta-lateness")
    late_s = seen["started_s"] - seen["due_s"]

    assert late_s.min() >= 0.0009
    assert late_s.max() < 0.007


def test_two_limited_jobs_start_after_a_pause_before_kombu_was_repaired():
    old, new = (starts(f"redis-rate-limit{v}")["started_s"] for v in ("-kombu562", ""))

    assert new.diff().dropna().to_numpy() == pytest.approx(0.5, abs=0.02)
    assert old.diff().dropna().to_numpy() == pytest.approx([0, 0.5, 0.5, 0.5], abs=0.02)
    assert EXPERIMENTS["celery-redis-rate-limit-kombu562"]["versions"]["kombu"] == "5.6.2"


def test_a_limit_holds_for_each_instance():
    seen = load("redis-rate-limit-two-workers")

    assert list(seen.groupby("worker").size()) == [5, 5]
    assert seen["started_s"].max() == pytest.approx(2, abs=0.1)


def test_limited_jobs_block_others_at_the_same_instance():
    """The others are received when three limited jobs are left: prefetch count 4."""
    seen = load("redis-rate-limit-blocking")
    first = seen.loc[seen["task"] == "work", "received_s"].min()
    limited = seen.loc[seen["task"] == "limited", "started_s"]

    assert (limited > first + 0.1).sum() == 3
