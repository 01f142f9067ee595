"""What layers are good at really works: parts are added and exchanged without touching the others."""

import io
import sys

import pytest
from job_lines import line, run

from toolkit.exhibits import layered
from toolkit.exhibits.layered.config import LimitConfig, PipelineConfig, RetryConfig
from toolkit.exhibits.layered.container import Container
from toolkit.exhibits.layered.domain import Job, JobContext, JobStoppedError, Outcome
from toolkit.exhibits.layered.events import Event, EventBus
from toolkit.exhibits.layered.interfaces import AccountRepository, JobRepository, Step
from toolkit.exhibits.layered.registry import STEPS, STORES, WRITERS, load_plugins
from toolkit.exhibits.layered.repositories import MemoryAccountRepository, MemoryJobRepository
from toolkit.exhibits.layered.retries import ExponentialRetry, GaveUpError, Retrier
from toolkit.exhibits.layered.steps import DeduplicateStep, LimitStep, ValidateStep
from toolkit.exhibits.layered.validation import TextValidator

JOB = Job(name="a", customer="acme", kind="report", size_mb=1)
DEFAULT = PipelineConfig()


@pytest.fixture(autouse=True)
def _no_part_stays(monkeypatch):
    """Forget after a test what it registered."""
    load_plugins([])
    for registry in (STEPS, STORES, WRITERS):
        monkeypatch.setattr(registry, "_makers", dict(registry._makers))


PLUGIN = """
from toolkit.exhibits.layered.interfaces import ResultWriter
from toolkit.exhibits.layered.registry import WRITERS

written = []


class ListWriter(ResultWriter):
    def write(self, result):
        written.append(result.outcome)


WRITERS.register("list")(lambda _: ListWriter())
"""


class NoReports(Step):
    """A step of somebody else's."""

    def handle(self, context):  # noqa: D102, as the interface says
        if context.job.kind == "report":
            raise JobStoppedError(Outcome.INVALID, "no reports today")


def test_a_step_is_added_without_touching_another():
    STEPS.register("no-reports")(lambda _: NoReports())
    steps = (*DEFAULT.steps[:2], "no-reports", *DEFAULT.steps[2:])
    lines = [line(job="a"), line(job="b", kind="thumbnail")]
    seen = run(layered.process, lines, config=PipelineConfig(steps=steps))

    assert seen.outcomes == ["invalid", "done"]
    assert seen.results[0]["reason"] == "no reports today"


def test_a_step_is_left_out_by_configuration():
    """A dry run: prices and limits, and nobody is charged."""
    steps = tuple(name for name in DEFAULT.steps if name != "charge")
    seen = run(layered.process, [line()], config=PipelineConfig(steps=steps))

    assert seen.charges == []
    assert seen.results[0]["cents"] == 20


def test_a_store_is_exchanged_and_keeps_what_it_knew():
    jobs, accounts = MemoryJobRepository(), MemoryAccountRepository()

    @STORES.register("mine")
    def _(container):
        container.provide(JobRepository, lambda _: jobs)
        container.provide(AccountRepository, lambda _: accounts)

    config = PipelineConfig(store="mine")
    first, second = (run(layered.process, [line()], config=config) for _ in range(2))

    assert first.outcomes == ["done"]
    assert second.outcomes == ["duplicate"]
    assert second.summary["cents"] == {"acme": 20}


def test_a_plugin_brings_a_writer(monkeypatch, tmp_path):
    """A module of others that the configuration names registers what it has when it is imported."""
    (tmp_path / "plugin_with_a_writer.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    config = PipelineConfig(writer="list", plugins=("plugin_with_a_writer",))
    run(layered.process, [line(), "{"], config=config)

    assert sys.modules["plugin_with_a_writer"].written == ["done", "invalid"]


def test_numbers_are_set_by_configuration():
    config = PipelineConfig(
        limits=LimitConfig(limit_cents=30),
        retries=RetryConfig(most_tries=4, first_pause_s=1.0, factor=3.0),
    )
    seen = run(layered.process, [line(), line(job="b")], [True] * 3, config=config)

    assert seen.outcomes == ["done", "over_limit"]
    assert seen.pauses_s == [1.0, 3.0, 9.0]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            PipelineConfig(steps=("dance",)),
            "step must be one of charge, deduplicate, .* got 'dance'",
        ),
        (PipelineConfig(store="tape"), "store must be one of memory, got 'tape'"),
        (PipelineConfig(writer="ink"), "writer must be one of json-lines, got 'ink'"),
        (
            PipelineConfig(retries=RetryConfig(policy="never")),
            "retry policy must be one of exponential",
        ),
    ],
)
def test_a_name_that_nobody_registered_is_refused_with_those_there_are(config, message):
    with pytest.raises(ValueError, match=message):
        run(layered.process, [line()], config=config)


# --- parts by themselves ---


def test_a_step_is_tested_alone():
    """No line, no charge, no other step."""
    jobs = MemoryJobRepository()
    step, context = DeduplicateStep(jobs), JobContext(1, "", checked=JOB)
    step.handle(context)
    jobs.mark_done("a")

    with pytest.raises(JobStoppedError) as stopped:
        step.handle(context)
    assert stopped.value.outcome == "duplicate"


def test_a_limit_may_be_reached_and_not_passed():
    accounts = MemoryAccountRepository()
    accounts.spend("acme", 80)
    step = LimitStep(accounts, limit_cents=100)
    step.handle(JobContext(1, "", checked=JOB, cents=20))

    with pytest.raises(JobStoppedError):
        step.handle(JobContext(1, "", checked=JOB, cents=21))


def test_a_step_that_comes_too_early_says_what_must_be_first():
    with pytest.raises(LookupError, match="put the step 'validate' first"):
        DeduplicateStep(MemoryJobRepository()).handle(JobContext(1, ""))
    with pytest.raises(LookupError, match="put the step 'price' first"):
        LimitStep(MemoryAccountRepository(), limit_cents=1).handle(JobContext(1, "", checked=JOB))


def test_the_first_rule_that_is_broken_ends_the_checks():
    step = ValidateStep([TextValidator("job"), TextValidator("customer")])

    with pytest.raises(JobStoppedError) as stopped:
        step.handle(JobContext(1, "", fields={}))
    assert stopped.value.reason == "job must be a text, and not empty"


def test_a_retrier_gives_up_after_the_last_pause():
    pauses_s = []
    sleeper = type("Sleeper", (), {"pause": lambda _, seconds: pauses_s.append(seconds)})()
    policy = ExponentialRetry(most_tries=3, first_pause_s=1.0, factor=2.0)

    def fails():
        raise ConnectionError

    with pytest.raises(GaveUpError, match="gave up after 3 tries"):
        Retrier(policy, sleeper).call(fails)
    assert pauses_s == [1.0, 2.0]


def test_events_go_to_those_who_asked_for_their_type_in_order():
    class Begun(Event):
        pass

    bus, heard = EventBus(), []
    bus.subscribe(Begun, lambda _: heard.append("first"))
    bus.subscribe(Begun, lambda _: heard.append("second"))
    bus.subscribe(Event, lambda _: heard.append("other"))
    bus.publish(Begun())

    assert heard == ["first", "second"]


def test_a_container_makes_a_part_once_and_says_what_is_missing():
    container = Container()
    container.provide(list, lambda _: [])

    assert container.resolve(list) is container.resolve(list)
    with pytest.raises(LookupError, match="nobody provides <class 'dict'>"):
        container.resolve(dict)


def test_a_pipeline_is_made_anew_for_every_run():
    factory = layered.PipelineFactory(DEFAULT)
    given = (lambda *_: None, lambda _: None, io.StringIO())

    assert factory.container(*given) is not factory.container(*given)
