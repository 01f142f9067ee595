"""A run without records: the figures of the one that kept them, and the same memory for any length."""

import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_systems import rich_designs, services, some_seconds

import toolkit as tk
from toolkit.simulation import totals
from toolkit.simulation.compiled_engine import start, totals_run

laws = st.one_of(
    services,
    st.just(tk.Gamma(mean_s=0.7, scv=0.5)),
    st.just(tk.HyperExponential(mean_s=1.0, scv=4.0)),
)
sources = st.one_of(
    some_seconds.filter(any).map(lambda g: tk.Renewal(law=tk.Empirical(samples_s=g))),
    st.builds(tk.Poisson, rate_per_s=st.sampled_from([0.5, 2.0])),
)


def plain(service, source, workers=1, **more):
    """Return one first-come-first-served stage."""
    work = tk.Stage(name="work", service=service, workers=workers, **more)
    return tk.Design(arrivals=source, stages=[work])


MM1 = plain(tk.Exponential(mean_s=1.0), tk.Poisson(rate_per_s=0.5))


def assert_near(found, kept):
    """Check the figures against those from records: percentiles within half a bin, the rest exactly."""
    assert list(found.index) == list(kept.index)
    cut = found.index.str.contains(r"_p[\d.]+_s$")
    most = totals.RELATIVE_ERROR * (
        1 + 1e-9
    )  # at the edge of a bin it is just that, but for rounding
    np.testing.assert_allclose(found[cut], kept[cut], rtol=most, atol=1e-300)
    np.testing.assert_allclose(found[~cut], kept[~cut], rtol=1e-12, atol=1e-12)
    whole = ["jobs", "done", "unfinished", "waste"]
    assert found[whole].tolist() == kept[whole].tolist()


@given(laws, sources, st.integers(1, 4), st.integers(1, 60), st.integers(0, 9))
def test_the_figures_are_those_of_the_run_that_kept_its_records(service, source, workers, jobs, n):
    """Block by block, jobs that take no time and jobs that come together included."""
    design = plain(service, source, workers)
    kept = tk.simulate(design, jobs=jobs, seed=n, replication=n)
    with mock.patch.object(totals_run, "BLOCK", 7):
        found = tk.simulate(design, jobs=jobs, seed=n, replication=n, keep="summary")

    assert_near(found.summary(), kept.summary())
    assert found.warnings == kept.warnings
    assert found.duration_s == kept.duration_s


@pytest.mark.parametrize("workers", [1, 3, 40])
def test_a_long_run_has_the_figures_of_the_one_that_kept_its_records(workers):
    """Sums over many blocks lose nothing; more workers than a recursion pays for change nothing."""
    design = plain(tk.LogNormal(mean_s=0.1, scv=3.0), tk.Poisson(rate_per_s=9.0 * workers), workers)
    jobs = 5 * totals_run.BLOCK + 3
    found = tk.simulate(design, jobs=jobs, keep="summary")

    assert_near(found.summary(), tk.simulate(design, jobs=jobs, engine="compiled").summary())
    assert (found.design, found.seed, found.replication) == (design, 0, 0)
    assert found.engine == "compiled"
    assert len(repr(found)) < 600


@pytest.mark.parametrize("power", [-300, -9, 0, 9, 300])
def test_a_percentile_is_within_the_stated_error_whatever_its_size(power):
    """From the shortest to the longest durations that a number can have."""
    value_s = 1.23456789 * 10.0**power
    found = tk.simulate(
        plain(tk.Deterministic(value_s=value_s), tk.Poisson(rate_per_s=1e-3 / value_s)),
        jobs=3,
        keep="summary",
    ).summary()

    assert found["sojourn_p50_s"] == pytest.approx(value_s, rel=totals.RELATIVE_ERROR)
    assert found["sojourn_mean_s"] == pytest.approx(value_s, rel=1e-9)
    assert found["wait_p99_s"] == 0.0


# --- what it is not for ---


@given(rich_designs())
def test_a_design_that_needs_no_records_is_one_that_needs_no_events(design):
    """Whatever a design may say: what is not plain is found, and named."""
    if totals.needs_records(design):
        with pytest.raises(ValueError, match="keep must be 'records' for this design, got 'summ"):
            tk.simulate(
                design, jobs=5, horizon_s=None if not design.never_ends() else 9, keep="summary"
            )
    else:
        assert start.is_plain(design)
        assert start.is_recursive(design, None)


RETRY = tk.Retry(max_retries=1, backoff=tk.ConstantBackoff(delay_s=1))
WORK = MM1.stages[0]
REFUSED = [
    (plain(WORK.service, tk.Trace(times_s=[0.0])), "for arrivals$"),
    (plain(WORK.service, tk.Closed(users=2, think=WORK.service)), "for arrivals$"),
    (
        tk.Design(arrivals=MM1.arrivals, stages=[WORK, tk.Stage(name="b", service=WORK.service)]),
        "for stages$",
    ),
    (plain(WORK.service, MM1.arrivals, failure=0.1), "for stage 'work': failure$"),
    (plain(WORK.service, MM1.arrivals, failure=0.1, retry=RETRY), "'work': failure, .*retry$"),
    (plain(WORK.service, MM1.arrivals, capacity=3), "for stage 'work': capacity$"),
    (plain(WORK.service, MM1.arrivals, order="lifo"), "for stage 'work': order$"),
    (plain(WORK.service, MM1.arrivals, delivery=tk.Delivery()), "for stage 'work': delivery$"),
    (
        tk.Design(arrivals=MM1.arrivals, stages=[WORK], callers=[tk.Caller(timeout=1)]),
        "for callers$",
    ),
]


@pytest.mark.parametrize(("design", "message"), REFUSED)
def test_a_design_that_needs_records_is_refused_with_the_field_that_does(design, message):
    with pytest.raises(ValueError, match=message):
        tk.simulate(design, jobs=1, keep="summary")


def test_a_retry_that_never_happens_needs_no_records():
    """Nothing fails, so nothing is tried again."""
    design = plain(WORK.service, MM1.arrivals, retry=RETRY)
    found = tk.simulate(design, jobs=50, keep="summary")

    assert_near(found.summary(), tk.simulate(design, jobs=50).summary())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"jobs": 9, "keep": "all"}, "keep must be 'records' or 'summary', got 'all'"),
        ({"jobs": 9, "keep": "summary", "engine": "simpy"}, "engine with keep='summary' must be"),
        ({"jobs": 9, "keep": "summary", "horizon_s": 5}, "horizon_s must be None with keep='summ"),
        ({"keep": "summary"}, "jobs must be given"),
        ({"jobs": 0, "keep": "summary"}, "jobs must be a whole number >= 1, got 0"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_name_rule_and_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        tk.simulate(MM1, **arguments)


def test_whoever_asks_for_what_was_not_kept_is_told_the_way():
    """An error that says which argument keeps it."""
    found = tk.simulate(MM1, jobs=5, keep="summary")

    for name in ("jobs", "attempts", "records", "done_ms"):
        with pytest.raises(AttributeError, match=f"'{name}' was not kept.*keep='records'"):
            getattr(found, name)
    with pytest.raises(AttributeError, match="has no attribute 'job'"):
        found.job  # noqa: B018, looked up on purpose
    with pytest.raises(
        ValueError, match="skip_jobs must be 0 for a run that kept no records, got 2"
    ):
        found.summary(skip_jobs=2)


# --- long runs ---


def test_an_interrupt_leaves_the_figures_of_the_jobs_so_far():
    """A longer run begins with the same jobs, so it is a shorter run, and says so."""
    step, begun = totals_run.TotalsRun.step, []

    def tired(run):
        begun.append(True)
        if len(begun) > 3:
            raise KeyboardInterrupt
        return step(run)

    jobs = 3 * totals_run.BLOCK
    with (
        mock.patch.object(totals_run.TotalsRun, "step", tired),
        pytest.warns(UserWarning, match=f"interrupted: {jobs:,} of 1,000,000 jobs"),
    ):
        found = tk.simulate(MM1, jobs=1_000_000, keep="summary")

    assert found.warnings[-1].startswith(f"interrupted: {jobs:,} of")
    whole = tk.simulate(MM1, jobs=jobs, keep="summary")
    assert found.summary().tolist() == whole.summary().tolist()


def test_an_interrupt_before_the_first_block_is_an_interrupt():
    """There is nothing to return."""
    with (
        mock.patch.object(totals_run.TotalsRun, "step", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        tk.simulate(MM1, jobs=5, keep="summary")


def test_a_long_run_shows_how_far_it_is(monkeypatch):
    """All jobs are counted, and a bar waits two seconds before it appears."""
    bar = mock.MagicMock()
    monkeypatch.setattr("tqdm.auto.tqdm", bar)
    monkeypatch.setattr(totals, "SHORT_JOBS", 40_000)
    tk.simulate(MM1, jobs=40_000, keep="summary")
    bar.assert_not_called()

    tk.simulate(MM1, jobs=40_001, keep="summary")
    bar.assert_called_once_with(total=40_001, unit="job", unit_scale=True, delay=2)
    shown = bar.return_value.__enter__.return_value.update.call_args_list
    assert sum(call.args[0] for call in shown) == 40_001


@pytest.mark.slow
def test_ten_million_jobs_take_the_memory_of_one_million():
    """Seen from outside, each in a fresh process."""

    def peak_bytes(jobs):
        program = (
            "import toolkit as tk\n"
            "work = tk.Stage(name='work', service=tk.Exponential(mean_s=1.0), workers=4)\n"
            "design = tk.Design(arrivals=tk.Poisson(rate_per_s=3.2), stages=[work])\n"
            f"print(tk.simulate(design, jobs={jobs}, keep='summary').summary()['done'])\n"
            "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        count, peak = done.stdout.split()
        assert float(count) == jobs
        return 1024 * int(peak)

    # 9 million records would be 216 MB
    assert peak_bytes(10_000_000) - peak_bytes(1_000_000) < 16e6
