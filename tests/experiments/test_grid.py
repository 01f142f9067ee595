"""A sweep is a tidy table of runs, and its file brings it to the same end whatever happened on the way."""

import dataclasses
import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.experiments import crew, work
from toolkit.experiments.logbook import fingerprint


def pool(workers=1, rate_per_s=0.5, mean_s=1.0, capacity=None):
    service = tk.Exponential(mean_s=mean_s)
    stage = tk.Stage(name="work", service=service, workers=workers, capacity=capacity)
    return tk.Design(arrivals=tk.Poisson(rate_per_s=rate_per_s), stages=[stage])


QUICK = {"jobs": 40, "seed": 3, "engine": "simpy", "parallel": 1, "progress": False}


def swept(build=pool, *, replications=2, **more):
    axes = {} if {"workers", "capacity"} & set(more) else {"workers": [2, 1], "mean_s": [0.5, 1.0]}
    return tk.sweep(build, replications=replications, **QUICK | axes | more)


def count_runs(monkeypatch):
    """Return a list that grows with every run."""
    runs = []

    def measure(one):
        runs.append(one)
        return work.measure(one)

    monkeypatch.setattr(crew, "measure", measure)
    return runs


# --- the table ---


def test_there_is_a_row_for_each_point_and_replication():
    """In the order of the axes as given; a row is what a run says of itself."""
    table = swept(warmup=5)
    places = list(itertools.product([2, 1], [0.5, 1.0], range(2)))

    assert table[["workers", "mean_s", "replication"]].to_records(index=False).tolist() == places
    for (workers, mean_s, replication), (_, row) in zip(places, table.iterrows(), strict=True):
        design = pool(workers, mean_s=mean_s)
        run = tk.simulate(design, jobs=40, seed=3, replication=replication, engine="simpy")
        figures = run.summary(skip_jobs=5)
        assert row[figures.index].to_dict() == figures.to_dict()
        assert row["warmup_jobs"] == 5
        assert row["warnings"] == "; ".join(run.warnings)


def test_a_point_that_cannot_keep_up_says_so_in_its_rows():
    """And only there."""
    table = swept(workers=[1, 3], rate_per_s=[2.0])

    assert table.groupby("workers")["warnings"].unique().map(list).to_dict() == {
        1: ["; ".join(pool(1, 2.0).overloads())],
        3: [""],
    }


def test_the_warm_up_is_that_of_each_run():
    """Chosen by the same rule as everywhere, and shown."""
    table = swept(jobs=300, workers=[1, 9], rate_per_s=[0.95])
    cuts = [
        tk.experiments.warmup_jobs(
            tk.simulate(pool(workers, 0.95), jobs=300, seed=3, replication=k, engine="simpy")
        )
        for workers, k in itertools.product([1, 9], range(2))
    ]

    assert table["warmup_jobs"].tolist() == cuts
    assert len(set(cuts)) > 1, "the runs agree by chance: take another seed"


def test_values_stay_what_they_are():
    """``None`` is a value, and so is a law."""
    laws = [tk.Exponential(mean_s=1.0), tk.Deterministic(value_s=1.0)]
    stage = tk.Stage(name="work", service=laws[0])
    design = tk.Design(arrivals=tk.Poisson(rate_per_s=0.5), stages=[stage])

    def build(capacity, law):
        changed = dataclasses.replace(stage, capacity=capacity, service=law)
        return dataclasses.replace(design, stages=[changed])

    table = swept(build, capacity=[None, 3], law=laws, replications=5)

    assert table["capacity"].unique().tolist() == [None, 3]
    assert table["law"].unique().tolist() == laws
    assert len(tk.intervals(table, figure="rejected")) == 4


# --- its intervals ---


def test_intervals_are_those_of_replications():
    """A point's means and intervals are what ``replicate`` says of the design."""
    rows = tk.intervals(swept(replications=6), confidence=0.9)
    rows = rows[(rows["workers"] == 1) & (rows["mean_s"] == 0.5)].set_index("figure")
    alone = tk.replicate(pool(1, mean_s=0.5), replications=6, confidence=0.9, **QUICK).summary()

    pd.testing.assert_frame_equal(rows[list(alone)], alone, check_exact=True)


def test_intervals_of_one_figure_have_a_row_a_point():
    """Also of some rows only, as whoever plots would pick them."""
    table = swept(replications=6)
    rows = tk.intervals(table[table["mean_s"] == 1.0], figure="wait_mean_s")
    two = tk.intervals(table, figure=["jobs", "done"])

    assert list(rows) == ["workers", "mean_s", "mean", "low", "high", "noisy"]
    assert rows["workers"].tolist() == [2, 1]
    assert list(two)[:3] == ["workers", "mean_s", "figure"]
    assert two["figure"].tolist() == ["jobs", "done"] * 4


def invented(*values):
    """Return the table of a sweep that found these values."""
    numbers = range(len(values))
    return pd.DataFrame({"x": 1, "replication": numbers, "figure_s": values, "warnings": ""})


@pytest.mark.parametrize(
    ("values", "is_noisy"),
    [
        ([10.0, 10.1, 9.9, 10.0, 10.0], False),
        ([10.0, 10.1, 9.9, 10.0], True),  # four
        ([10.0], True),
        ([10.0, 14.0, 6.0, 10.0, 12.0], True),
        ([-10.0, -10.1, -9.9, -10.0, -10.0], False),
        ([0.0] * 5, False),
    ],
)
def test_what_is_too_noisy_to_trust_says_so(values, is_noisy):
    """Fewer than five runs, or an interval that reaches further than a fifth of the mean."""
    assert tk.intervals(invented(*values))["noisy"].tolist() == [is_noisy]


@pytest.mark.parametrize(
    ("table", "more", "message"),
    [
        (pd.DataFrame({"a": [1]}), {}, "table must be rows of a sweep"),
        (pd.DataFrame({"replication": [1]}), {}, "table must be rows of a sweep"),
        (invented(), {}, "got 0 rows"),
        (invented(1.0, 2.0), {"figure": "p99"}, "figure must be .*'figure_s', got 'p99'"),
        (invented(1.0, 2.0), {"confidence": 95}, "confidence must be between 0 and 1, got 95"),
    ],
)
def test_intervals_of_something_else_are_refused(table, more, message):
    with pytest.raises(ValueError, match=message):
        tk.intervals(table, **more)


# --- its file ---


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return an uninterrupted sweep and the bytes of its file."""
    path = tmp_path_factory.mktemp("sweep") / "runs"
    table = swept(file=path)
    return table, path.read_bytes()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_sweep_goes_on_from_wherever_its_file_was_cut_off(whole, tmp_path, data):
    """At any byte, as a kill in the middle of a line leaves it."""
    table, text = whole
    cut = data.draw(st.integers(0, len(text)))
    path = tmp_path / "cut"
    path.write_bytes(text[:cut])

    pd.testing.assert_frame_equal(swept(file=path), table, check_exact=True)
    assert path.read_bytes() == text


def test_what_is_in_the_file_is_not_run_again(tmp_path, monkeypatch):
    """And more replications are added to it."""
    runs, path = count_runs(monkeypatch), tmp_path / "runs"
    swept(file=path)
    assert len(runs) == 8
    swept(file=path)
    assert len(runs) == 8
    more = swept(file=path, replications=3)

    assert len(runs) == 12
    pd.testing.assert_frame_equal(more, swept(replications=3), check_exact=True)
    pd.testing.assert_frame_equal(swept(file=path), swept(), check_exact=True)


def test_an_interrupted_sweep_returns_what_it_has_and_goes_on_from_there(
    whole, tmp_path, monkeypatch
):
    """First replications of all points come first, so that a part shows the whole picture."""
    calls = itertools.count(1)

    def measure(one):
        if next(calls) == 6:
            raise KeyboardInterrupt
        return work.measure(one)

    monkeypatch.setattr(crew, "measure", measure)
    with pytest.warns(UserWarning, match="interrupted: 5 of 8 runs"):
        part = swept(file=tmp_path / "runs")

    assert part["replication"].tolist() == [0, 1, 0, 0, 0]
    pd.testing.assert_frame_equal(swept(file=tmp_path / "runs"), whole[0], check_exact=True)


def test_a_sweep_that_is_interrupted_before_its_first_run_stays_so(monkeypatch):
    def measure(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(crew, "measure", measure)
    with pytest.raises(KeyboardInterrupt):
        swept()


def slower(**point):
    return pool(**point | {"mean_s": 2.0})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"seed": 4}, "seed is 3 there and 4 here"),
        ({"jobs": 41, "warmup": 1}, 'jobs is 40 there and 41 here; warmup is "auto" there and 1'),
        ({"workers": [1, 2], "mean_s": [0.5, 1.0]}, r"workers is \[2, 1\] there and \[1, 2\] here"),
        ({"workers": [2, 1]}, r"mean_s is \[0.5, 1.0\] there and null here"),
        ({"build": slower}, "build makes other designs"),
    ],
)
def test_the_file_of_another_sweep_is_refused_and_left_alone(whole, tmp_path, more, message):
    """It says what differs."""
    path = tmp_path / "runs"
    path.write_bytes(whole[1])
    with pytest.raises(ValueError, match=message):
        swept(**{"file": path} | more)

    assert path.read_bytes() == whole[1]


@pytest.mark.parametrize(
    "text", [b"start,elapsed\n1,2\n", b"something", b"{}\n", b"[1]\n", b'{"sweep":1}\n', b"\0" * 40]
)
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path, text):
    """A slip in a name must not cost a file."""
    path = tmp_path / "runs"
    path.write_bytes(text)
    with pytest.raises(ValueError, match="file must be that of a sweep"):
        swept(file=path)

    assert path.read_bytes() == text


@pytest.mark.parametrize("bad", [b"rubbish\n", b'{"point":0}\n'])
def test_a_bad_line_in_the_middle_is_refused(whole, tmp_path, bad):
    """Only the last line can have been cut off by a kill; another one is somebody's doing."""
    path = tmp_path / "runs"
    first, rest = whole[1].split(b"\n", 1)
    path.write_bytes(first + b"\n" + bad + rest)
    with pytest.raises(ValueError, match=r"line 2|without 'replication'"):
        swept(file=path)


def test_designs_differ_when_any_part_of_them_does():
    """Arrays too, which show only the first numbers of themselves; a copy is the same."""
    times_s = np.arange(5_000.0)
    moved_s = np.append(times_s[:-1], 4_999.5)
    designs = [
        dataclasses.replace(pool(), arrivals=tk.Trace(times_s=times_s)),
        dataclasses.replace(pool(), arrivals=tk.Trace(times_s=moved_s)),
        pool(),
        pool(2),
        pool(mean_s=1.0 + 1e-15),
    ]

    assert len({fingerprint(design) for design in designs}) == len(designs)
    for design in designs:
        assert fingerprint(pickle.loads(pickle.dumps(design))) == fingerprint(design)


# --- what is refused ---


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"workers": 4}, "workers must be a list of values, got 4"),
        ({"workers": []}, r"workers must be a list of values, got \[\]"),
        ({"workers": "12"}, "workers must be a list of values, got '12'"),
        ({"workers": [1, 1]}, "workers must be a list of different values"),
        ({"workers": [[1]]}, r"workers must be a list of values that do not change.*got \[\[1\]\]"),
        ({"workers": [1], "utilisation": [1]}, "must not be named like a column.*'utilisation'"),
        ({"workers": [1], "mean": [1]}, "must not be named like a column.*'mean'"),
        ({"workers": [1], "replication": [1]}, "must not be named like a column.*'replication'"),
        ({"workers": [0]}, "workers must be a whole number >= 1, got 0"),
        ({"replications": 0}, "replications must be a whole number >= 1, got 0"),
        ({"build": lambda **_: None}, r"build must return a Design\(...\), got None for workers=2"),
        ({"jobs": -1}, "jobs must be a whole number >= 1, got -1"),
        ({"jobs": None}, "jobs must be given"),
        ({"warmup": "MSER"}, "warmup must be a whole number >= 0, got 'MSER'"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_name_rule_and_value(more, message):
    with pytest.raises(ValueError, match=message):
        swept(**more)


def test_a_sweep_without_axes_is_refused():
    with pytest.raises(ValueError, match="axes must be given"):
        tk.sweep(pool, **QUICK)


def test_an_error_in_build_says_at_which_point():
    def build(workers):
        return pool(workers - 1)

    with pytest.raises(ValueError, match="got 0") as caught:
        swept(build, workers=[2, 1])

    assert caught.value.__notes__ == ["while building the design of workers=1"]
