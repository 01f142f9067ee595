"""Replications say how sure we may be, and pairing says it with fewer of them."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import toolkit as tk
from toolkit import experiments
from toolkit.experiments import confidence, crew
from toolkit.experiments.confidence import JUDGED
from toolkit.experiments.work import Seen, figure_names


def pool(workers=1, rate_per_s=0.5, **more):
    stage = tk.Stage(name="work", service=tk.Exponential(mean_s=1.0), workers=workers, **more)
    return tk.Design(arrivals=tk.Poisson(rate_per_s=rate_per_s), stages=[stage])


def replicated(design=None, **more):
    return tk.replicate(
        design or pool(), **{"jobs": 60, "replications": 3, "progress": False} | more
    )


def compared(designs, **more):
    return tk.compare(designs, **{"jobs": 60, "replications": 3, "progress": False} | more)


# --- replicate ---


def test_there_is_a_row_of_figures_for_each_replication():
    """The figures are those of the runs themselves, in order."""
    result = replicated(seed=5, warmup=10)
    runs = [tk.simulate(pool(), jobs=60, seed=5, replication=k) for k in range(3)]

    assert result.figures.index.tolist() == [0, 1, 2]
    assert result.figures.index.name == "replication"
    for replication, run in enumerate(runs):
        figures = run.summary(skip_jobs=10).to_dict() | {"warmup_jobs": 10}
        assert result.figures.loc[replication].to_dict() == figures


def test_the_summary_has_a_mean_and_an_interval_for_every_figure():
    """Student's t interval, spelled out here once more."""
    result = replicated(replications=4)
    values = result.figures["wait_mean_s"]
    half = 3.182446305284263 * values.std(ddof=1) / 2  # t, 3 degrees of freedom, 97.5 %

    assert list(result.summary()) == ["mean", "low", "high"]
    assert list(result.summary().index) == list(result.figures)
    assert result.summary().loc["wait_mean_s"].tolist() == pytest.approx(
        [values.mean(), values.mean() - half, values.mean() + half]
    )


def test_more_replications_begin_with_the_same_ones():
    """To be surer, add runs; those that were made stay."""
    few, many = replicated(replications=2), replicated(replications=5)

    pd.testing.assert_frame_equal(many.figures[:2], few.figures)


def test_a_trace_needs_no_number_of_jobs():
    """It brings its own, and chance is left to the services."""
    design = dataclasses.replace(pool(), arrivals=tk.Trace(times_s=np.arange(30)))

    assert (replicated(design, jobs=None, warmup=0).figures["jobs"] == 30).all()


def test_a_higher_confidence_is_a_wider_interval():
    """99 % reaches further than 95 %."""
    wide, narrow = (replicated(confidence=level).summary() for level in (0.99, 0.95))

    assert wide.loc["wait_mean_s", "low"] < narrow.loc["wait_mean_s", "low"]
    assert wide.loc["wait_mean_s", "high"] > narrow.loc["wait_mean_s", "high"]


def test_the_warnings_of_all_runs_are_said_once():
    """Three runs of one overload are one sentence."""
    overload = pool(rate_per_s=2.0)

    warnings = replicated(overload, jobs=400, replications=20, warmup=0).warnings
    assert warnings[: len(overload.overloads())] == tuple(overload.overloads())
    assert len(set(warnings)) == len(warnings)


@pytest.mark.parametrize("samples", [2, 5, 20])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_intervals_hold_the_truth_as_often_as_they_say(samples, confidence):
    """On 4,000 sets of normal numbers: the share is within four binomial standard errors."""
    rng, trials, hits = np.random.default_rng(samples), 4_000, 0
    reach = experiments.student(confidence, samples)
    for row in rng.normal(3.0, 2.0, (trials, samples)):
        hits += abs(row.mean() - 3.0) <= reach * row.std(ddof=1) / math.sqrt(samples)
    _, low, high = experiments.interval(pd.Series(row), confidence)

    assert (high - low) / 2 == pytest.approx(reach * row.std(ddof=1) / math.sqrt(samples))
    error = math.sqrt(confidence * (1 - confidence) / trials)
    assert abs(hits / trials - confidence) <= 4 * error


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_intervals_of_a_queue_hold_the_exact_value_as_often_as_they_say(seed):
    """M/M/1 at a load of 0.3: 80 experiments of 10 runs, and the formula in 95 % of the intervals."""
    exact_s = tk.theory.mm1(arrival_rate_per_s=0.3, service_rate_per_s=1.0).sojourn_s
    experiments_made, hits = 80, 0
    for number in range(experiments_made):
        rows = replicated(
            pool(rate_per_s=0.3), jobs=150, replications=10, seed=1_000 * seed + number, warmup=40
        ).summary()
        hits += rows.loc["sojourn_mean_s", "low"] <= exact_s <= rows.loc["sojourn_mean_s", "high"]

    error = math.sqrt(0.95 * 0.05 / experiments_made)
    assert abs(hits / experiments_made - 0.95) <= 4 * error


# --- until it is precise ---


def normal(monkeypatch, mean, sd, seed):
    """Let the sojourn time of a run be a normal number."""
    values_s = np.random.default_rng(seed).normal(mean, sd, 2_000)

    def measure(one):
        figures = dict.fromkeys(figure_names(), 1.0)
        found_s = float(values_s[one.replication])
        return {name: Seen(figures | {"sojourn_mean_s": found_s}, ()) for name in one.designs}

    monkeypatch.setattr(crew, "measure", measure)


@pytest.mark.parametrize("seed", range(3))
def test_replications_go_on_until_the_interval_is_as_narrow_as_asked_for(seed):
    """Not one more, and none that is not the same as in a longer series."""
    share = 0.1
    found = replicated(precision=share, replications=5, seed=seed)
    longer = replicated(replications=len(found.figures) + 5, seed=seed)
    values = longer.figures["sojourn_mean_s"]
    is_narrow = []
    for count in range(5, len(found.figures) + 1):
        mean, low, high = experiments.interval(values[:count], 0.95)
        is_narrow.append((high - low) / 2 / mean <= share / (1 + share))

    assert is_narrow == [False] * (len(is_narrow) - 1) + [True]
    assert len(is_narrow) > 3, "it stopped at once: take another seed"
    pd.testing.assert_frame_equal(found.figures, longer.figures[: len(found.figures)])
    assert not any("precision" in text or "asked for" in text for text in found.warnings)


def test_a_precision_that_is_not_reached_is_said():
    """All that were allowed are there, and it says how near they are."""
    found = replicated(precision=0.001, replications=3, max_replications=12)
    _, low, high = experiments.interval(found.figures["sojourn_mean_s"], 0.95)
    share = (high - low) / 2 / found.figures["sojourn_mean_s"].mean()

    assert len(found.figures) == 12
    text = (
        f"sojourn_mean_s is known to ± {share:.1%} after 12 replications, not to the 0.1% asked for"
    )
    assert any(text in warning for warning in found.warnings)


def test_another_figure_can_be_the_one_to_be_known():
    """How much is done varies less from run to run than how long it waits."""
    goodput, wait = (
        len(replicated(precision=0.2, replications=5, figure=figure).figures)
        for figure in ("goodput_per_s", "wait_mean_s")
    )

    assert goodput < wait


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("share", [0.05, 0.2])
def test_a_precise_interval_holds_the_truth_nearly_as_often_as_it_says(monkeypatch, share, seed):
    """Looking after every run costs a little: 0.95 less 0.03, and four standard errors of 300 trials.

    And the estimate is within the share of the truth in as many cases, which is what was asked for.
    """
    trials, holds, near = 300, 0, 0
    for trial in range(trials):
        normal(monkeypatch, 10.0, 3.0, 1_000 * seed + trial)
        found = replicated(precision=share, replications=10, max_replications=2_000, parallel=1)
        row = found.summary().loc["sojourn_mean_s"]
        holds += row["low"] <= 10.0 <= row["high"]
        near += abs(row["mean"] - 10.0) <= share * 10.0

    allowed = 0.92 - 4 * math.sqrt(0.92 * 0.08 / trials)
    assert holds / trials >= allowed
    assert near / trials >= allowed


# --- too noisy to trust ---


def doubts(values):
    figures = pd.DataFrame(dict.fromkeys(JUDGED, values))
    return list(confidence.doubts(figures, 0.95))


def test_an_answer_too_noisy_to_trust_says_so():
    """Which figures, and how wide they are."""
    noisy = replicated(pool(rate_per_s=0.9), jobs=100, replications=5)
    mean, low, high = experiments.interval(noisy.figures["sojourn_p99_s"], 0.95)

    [text] = [text for text in noisy.warnings if "too noisy to trust" in text]
    assert f"sojourn_p99_s ± {(high - low) / 2 / mean:.0%}" in text
    assert not replicated(jobs=2_000, replications=10, engine="auto").warnings


def test_too_few_replications_say_so():
    """Two runs can agree by chance; five hardly do."""
    assert "4 replications are too few" in doubts([1.0, 1.1, 0.9, 1.0])[0]
    assert doubts([1.0, 1.1, 0.9, 1.0, 1.0]) == []
    assert any("design: 3 replications" in text for text in compared({"design": pool()}).warnings)


@pytest.mark.parametrize("values", [[0.0] * 5, [float("nan")] * 5])
def test_what_does_not_vary_or_does_not_exist_is_not_noisy(values):
    """No warning where there is nothing to be unsure of."""
    assert doubts(values) == []


# --- compare ---


def test_the_first_design_is_the_baseline_and_the_table_has_the_differences():
    """Design less baseline, replication by replication; figures and designs in the order given."""
    designs = {"z lean": pool(1), "more": pool(3), "a few": pool(2)}
    comparison = compared(designs)
    table, runs = comparison.table(), comparison.replications
    difference = runs["more"].figures["wait_mean_s"] - runs["z lean"].figures["wait_mean_s"]

    assert comparison.baseline == "z lean"
    assert list(table) == ["baseline", "mean", "difference", "low", "high", "clear"]
    assert table.index.names == ["figure", "design"]
    figures = [
        figure for figure in runs["more"].figures for _ in range(2) if figure != "warmup_jobs"
    ]
    assert table.index.tolist() == list(
        zip(figures, ["more", "a few"] * len(figures), strict=False)
    )
    row = table.loc[("wait_mean_s", "more")]
    assert row["difference"] == pytest.approx(difference.mean())
    assert row["mean"] - row["baseline"] == pytest.approx(difference.mean())
    assert (row["low"] + row["high"]) / 2 == pytest.approx(difference.mean())


def test_a_difference_is_clear_when_its_interval_leaves_out_zero():
    """Whichever way it goes; no difference at all is not clear."""
    designs = {"two": pool(2, 1.5), "three": pool(3, 1.5), "same": pool(2, 1.5)}
    table = compared(designs, jobs=200, replications=10).table()
    clear = table["clear"]

    assert clear[("wait_mean_s", "three")]
    assert clear[("utilisation", "three")]
    assert not clear[("wait_mean_s", "same")]
    assert (clear == ((table["low"] > 0) | (table["high"] < 0))).all()


def test_the_designs_of_a_replication_meet_the_same_jobs():
    """A design compared with itself differs by nothing at all."""
    table = compared({"one": pool(), "again": pool()}).table()

    assert (table["difference"].dropna() == 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_same_jobs_make_a_difference_easier_to_see(seed):
    """Common random numbers: the paired difference varies less than that of independent runs."""
    stage = tk.Stage(name="work", service=tk.Exponential(mean_s=0.9), workers=2)
    quicker = dataclasses.replace(pool(2, 1.4), stages=[stage])
    designs = {"slow": pool(2, 1.4), "quick": quicker}
    both = compared(designs, jobs=200, replications=30, seed=seed, warmup=0).replications
    slow, quick = (both[name].figures["sojourn_mean_s"] for name in designs)

    assert (quick - slow).var() < 0.3 * (slow.var() + quick.var())


@pytest.mark.parametrize("seed", [0, 3])
def test_one_cut_serves_all_designs(seed):
    """Each replication leaves out the same jobs everywhere: else they would not be the same jobs."""
    designs = {"busy": pool(1, 0.95), "idle": pool(9, 0.95)}
    result = compared(designs, jobs=300, replications=4, seed=seed).replications
    cuts = [
        [
            experiments.warmup_jobs(
                tk.simulate(design, jobs=300, seed=seed, replication=replication)
            )
            for design in designs.values()
        ]
        for replication in range(4)
    ]

    assert any(busy != idle for busy, idle in cuts), (
        "the designs agree by chance: take another seed"
    )
    for name in designs:
        assert result[name].figures["jobs"].tolist() == [300 - max(pair) for pair in cuts]


def test_a_table_of_one_design_is_refused():
    """There is nothing to compare it with."""
    with pytest.raises(ValueError, match="at least two designs, got one"):
        compared({"alone": pool()}).table()


# --- warm-up ---


def seen(sojourn_s, outcome="done"):
    """Return a run as far as the warm-up rule looks at it."""
    sojourn_s = np.asarray(sojourn_s, dtype=float)
    codes = np.broadcast_to(
        [tk.design.OUTCOMES.index(word) for word in np.atleast_1d(outcome)], sojourn_s.shape
    )
    arrived_s = np.zeros_like(sojourn_s)
    records = SimpleNamespace(outcome=codes, arrived_s=arrived_s, finished_s=sojourn_s)
    return SimpleNamespace(records=records)


def by_definition(sojourn_s):
    """MSER-5 word by word: for each cut the squared error of the mean of what is left."""
    usable = len(sojourn_s) // 5 * 5
    batches = np.asarray(sojourn_s[:usable]).reshape(-1, 5).mean(axis=1)
    errors = [
        np.sum((batches[cut:] - batches[cut:].mean()) ** 2) / len(batches[cut:]) ** 2
        for cut in range(len(batches) // 2)
    ]
    return 5 * int(np.argmin(errors))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ramp", [0, 40, 100, 190])
def test_the_cut_is_where_a_ramp_ends(ramp, seed):
    """400 jobs, the first ones on their way up from nought: those go, and hardly any other."""
    noise = np.random.default_rng(seed).normal(0.0, 0.2, 400)
    sojourn_s = 10 * np.minimum(1.0, (np.arange(400) + 1) / (ramp + 1)) + noise
    cut = experiments.warmup_jobs(seen(sojourn_s))

    assert cut == by_definition(sojourn_s)
    # the last steps of a ramp are within the noise, and noise may make a batch or two look odd
    assert ramp - 15 <= cut <= ramp + 60


def test_only_jobs_that_are_done_decide_the_cut():
    """The others have no sojourn to speak of; the cut is counted in all jobs."""
    noise = np.random.default_rng(1).normal(0.0, 0.2, 400)
    sojourn_s = np.repeat([0.0, 10.0], [100, 300]) + noise
    outcome = np.where(np.arange(400) % 2, "done", "rejected")
    sojourn_s[::2] = 1e6

    assert experiments.warmup_jobs(seen(sojourn_s, outcome)) == 101


@pytest.mark.parametrize("jobs", [1, 5, 19])
def test_a_short_run_is_not_cut(jobs):
    """Below four batches there is nothing to judge by."""
    assert experiments.warmup_jobs(seen(np.arange(jobs) * 1.0)) == 0


# --- what is refused ---

NAN = float("nan")
BAD = [
    ({"replications": 1}, "replications must be a whole number >= 2, got 1"),
    ({"replications": 2.0}, "replications must be a whole number >= 2, got 2.0"),
    ({"confidence": 0}, "confidence must be between 0 and 1, got 0"),
    ({"confidence": 1.0}, "confidence must be between 0 and 1, got 1.0"),
    ({"confidence": 95}, "confidence must be between 0 and 1, got 95"),
    ({"confidence": NAN}, "confidence must be a finite number, got nan"),
    ({"warmup": -1}, "warmup must be a whole number >= 0, got -1"),
    ({"warmup": "MSER"}, "warmup must be a whole number >= 0, got 'MSER'"),
    ({"warmup": True}, "warmup must be a whole number >= 0, got True"),
    ({"warmup": 60}, "skip_jobs must leave a job, got 60 of 60"),
    ({"jobs": None}, "jobs must be given"),
    ({"jobs": 0}, "jobs must be a whole number >= 1, got 0"),
    ({"precision": 0}, "precision must be > 0, got 0"),
    ({"precision": "5%"}, "precision must be a finite number, got '5%'"),
    ({"precision": 0.1, "max_replications": 2}, "max_replications must be a whole number >= 3"),
    ({"figure": "p99"}, "figure must be 'jobs', .*'warmup_jobs', got 'p99'"),
    ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_a_wrong_argument_is_refused_with_its_name_rule_and_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        replicated(**arguments)


def test_no_design_is_refused():
    with pytest.raises(ValueError, match="at least one design by name, got none"):
        compared({})
