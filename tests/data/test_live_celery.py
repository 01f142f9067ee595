"""Real Celery on real brokers still does what the recordings show, in short forms of the experiments.

All of them run at once, a few at a time, when the first test asks; each test then looks at its own.
Nothing here asserts how fast anything is: what is compared are counts, and who ran what.
"""

import contextlib
import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

COLLECT = Path(__file__).parents[2] / "data" / "collect"
FAST = {"visibility_timeout_s": 2, "sweep_s": 1, "sweep_throttle": 1}

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def modules():
    """Import the collector and its tables where there is something to measure."""
    if importlib.util.find_spec("celery") is None:
        pytest.skip("Celery isn't installed: `pip install -e .[live]` brings it")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(COLLECT))
        import celery_facts
        import collect_celery
        import servers

        if reason := servers.missing("redis-server", "rabbitmq-server", "epmd"):
            pytest.skip(reason)
        yield collect_celery, celery_facts, servers


def experiments(collect, rabbitmq):
    """Name the short forms."""

    def two(url, **settings):
        return collect.Setup(url, instances=2, **settings)

    short_kill = {"long_s": 1.5, "jobs": 8, "short_s": 0.2, "settle_s": 2}
    wide = FAST | {"acks_late": True, "concurrency": 2, "prefetch_multiplier": 1}
    on_redis = {
        "redis kill": lambda url: collect.kill(two(url, acks_late=True, **FAST), **short_kill),
        "overlap": lambda url: collect.overlap(two(url, **wide), long_s=5, settle_s=4),
        "copies": lambda url: collect.eta(two(url, **FAST), [7.0], settle_s=2),
        "prefetch": lambda url: collect.prefetch(two(url), long_s=3),
        "no prefetch": lambda url: collect.prefetch(two(url, disable_prefetch=True), long_s=3),
        "limit": lambda url: collect.rate_limit(
            collect.Setup(url, concurrency=4, rate_limit="1/s"), jobs=3, idle_s=3
        ),
        "hoarding": lambda url: collect.eta(two(url), [6.0] * 40, look_s=2, settle_s=1),
    }
    on_rabbitmq = {
        "rabbitmq late": lambda url: collect.kill(two(url, acks_late=True), **short_kill),
        "rabbitmq early": lambda url: collect.kill(two(url), **short_kill),
        "rabbitmq child": lambda url: collect.child_kill(
            collect.Setup(url, acks_late=True), settle_s=3
        ),
    }
    return collect.bound(on_redis, on_rabbitmq, rabbitmq)


@pytest.fixture(scope="module")
def measured(modules):
    """Start everything, and give a function that waits for one recording."""
    collect, _, servers = modules
    with contextlib.ExitStack() as stack:
        rabbitmq = stack.enter_context(servers.rabbitmq())
        pool = stack.enter_context(ThreadPoolExecutor(4))
        todo = experiments(collect, rabbitmq).items()
        running = {name.split("-", 2)[2]: pool.submit(run) for name, run in todo}
        yield lambda name: running[name].result(300)


@pytest.fixture
def facts(modules):
    return modules[1]


def killed_s(recording):
    """Return when an instance was killed."""
    return next(w["killed_s"] for w in recording.parameters["workers"] if w["killed_s"])


def test_a_worker_killed_with_early_acknowledgement_loses_the_running_job(measured, facts):
    """At most once: the message was gone before the work began; what waited behind it isn't lost."""
    seen = measured("rabbitmq early").table

    assert facts.unfinished(seen) == [0]
    assert facts.repeated(seen) == []


def test_rabbitmq_hands_a_killed_workers_jobs_out_at_once(measured, facts):
    """The broken connection is the signal: no timeout is involved."""
    recording = measured("rabbitmq late")
    seen = recording.table
    back_s = seen.loc[(seen["job"] == 0), "received_s"].max() - killed_s(recording)

    assert facts.unfinished(seen) == []
    assert facts.repeated(seen) == [0]
    assert back_s < 1


def test_redis_hands_them_out_after_the_visibility_timeout_and_a_sweep(measured, facts):
    """Nobody notices the death; the age of the delivery decides."""
    seen = measured("redis kill").table
    got_s = seen.loc[seen["job"] == 0, "received_s"]

    assert facts.unfinished(seen) == []
    assert 0 in facts.repeated(seen)  # others too, if they waited longer than the timeout
    assert got_s.max() - got_s.min() > FAST["visibility_timeout_s"] - 0.1


def test_late_acknowledgement_does_not_save_a_job_whose_child_was_killed(measured, facts):
    """The parent is alive, and acknowledges the failure."""
    seen = measured("rabbitmq child").table

    assert facts.unfinished(seen) == [0]
    assert facts.repeated(seen) == []


def test_prefetching_four_strands_four_jobs_beside_a_free_worker(measured, facts):
    """With early acknowledgement the running job is no part of the four."""
    assert len(facts.stranded(measured("prefetch").table)) == 4


def test_without_prefetching_nothing_waits_behind_the_long_job(measured, facts):
    assert len(facts.stranded(measured("no prefetch").table)) == 0


def test_one_limited_job_starts_after_a_pause(measured):
    """Kombu 5.7 repaired its bucket; before, two started at once."""
    started_s = measured("limit").table["started_s"].sort_values()

    assert (started_s.diff().dropna() > 0.9).all()


def test_a_job_for_later_runs_as_often_as_its_message_was_handed_out(measured):
    """Held for longer than the visibility timeout, it is delivered again and again; all copies run."""
    seen = measured("copies").table

    assert len(seen) >= 2
    assert (seen["started_s"] >= seen["due_s"]).all()


def test_a_job_longer_than_the_visibility_timeout_overlaps_itself(measured):
    """Redis never hears that the first execution is alive."""
    runs = measured("overlap").runs(0)

    assert len(runs) >= 2
    assert runs["started_s"].iloc[1] < runs["ended_s"].iloc[0]


def test_workers_hold_every_job_for_later_and_the_queue_looks_empty(measured):
    recording = measured("hoarding")

    assert recording.parameters["queue_length"] == 0
    assert sum(worker["received"] for worker in recording.parameters["workers"]) == 40
    assert (recording.table["started_s"] >= recording.table["due_s"]).all()
