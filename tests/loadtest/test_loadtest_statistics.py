"""The figures, against numbers that can be checked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.loadtest import read_loadtest, statistics
from toolkit.loadtest.statistics import ESTIMATORS, sample_percentile

T0 = 1_700_000_000_000


@pytest.fixture
def test_of(write):
    """Make a load test of (start in ms after T0, elapsed, label, success)."""

    def _test_of(*rows):
        lines = [f"{T0 + at},{elapsed},{label},{ok},OK" for at, elapsed, label, ok in rows]
        header = "timeStamp,elapsed,label,success,responseMessage"
        return read_loadtest(write("\n".join([header, *lines]) + "\n"))

    return _test_of


def test_every_figure_is_what_its_name_says(test_of):
    """Four requests in two seconds."""
    frame = statistics(
        test_of(
            (0, 10, "b", "true"),
            (500, 30, "b", "false"),
            (1000, 20, "a", "true"),
            (1900, 100, "a", "true"),
        )
    )

    assert frame.index.tolist() == ["a", "b", "Total"]
    assert frame.index.name == "label"
    assert frame["count"].tolist() == [2, 2, 4]
    assert frame["errors"].tolist() == [0, 1, 1]
    assert frame["error_share"].tolist() == [0, 0.5, 0.25]
    assert frame["mean_ms"].tolist() == [60, 20, 40]
    assert frame["min_ms"].tolist() == [20, 10, 10]
    assert frame["max_ms"].tolist() == [100, 30, 100]
    assert frame["std_ms"].tolist() == pytest.approx([40, 10, math.sqrt(1250)])
    assert frame["p50_ms"].tolist() == [60, 20, 25]
    # Last end minus first start: the label a is at work from 1.0 to 2.0 s.
    assert frame["throughput_per_s"].tolist() == pytest.approx([2.0, 2 / 0.53, 2.0])


def test_the_two_estimators_differ_where_samples_are_few(test_of):
    """Of 1..9, linear puts p90 at position 8.2, JMeter's at position 9."""
    test = test_of(*((0, i, "a", "true") for i in range(1, 10)))

    linear = statistics(test, percentiles=(90,)).loc["Total", "p90_ms"]
    weibull = statistics(test, percentiles=(90,), estimator="weibull").loc["Total", "p90_ms"]
    assert (linear, weibull) == (pytest.approx(8.2), 9)


def test_columns_are_named_after_the_percentiles(test_of):
    """p99.9 is no p99, and 50.0 is 50."""
    frame = statistics(test_of((0, 1, "a", "true")), percentiles=(50.0, 99.9, 0, 100))

    assert list(frame)[7:-1] == ["p50_ms", "p99.9_ms", "p0_ms", "p100_ms"]


def test_rows_can_be_made_by_another_column(test_of):
    """Whether failures are slower is asked as often as which page is."""
    test = test_of((0, 1, "a", "true"), (0, 3, "a", "false"), (0, 5, "b", "false"))

    assert statistics(test, by="success")["mean_ms"].tolist() == [4, 1, 3]


def test_no_time_passing_means_no_throughput(test_of):
    """One request of 0 ms has a rate of nothing, not of infinity."""
    frame = statistics(test_of((0, 0, "a", "true")))

    assert np.isnan(frame.loc["Total", "throughput_per_s"])


@pytest.mark.parametrize(("count", "warned"), [(999, True), (1000, False)])
def test_a_percentile_of_too_few_samples_is_named(test_of, count, warned):
    """The p99.9 of 999 samples is their maximum in disguise."""
    test = test_of(*((i, i % 50, "only", "true") for i in range(count)))
    warnings = statistics(test, percentiles=(50, 99.9, 100)).attrs["warnings"]

    expected = ["p99.9_ms needs 1000 samples or more; 2 of 2 rows have fewer: only, Total"]
    assert warnings == (expected if warned else [])


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"estimator": "hdr"}, "estimator must be one of inverted_cdf, .*, locust, got 'hdr'"),
        ({"by": "colour"}, "by must be one of start, .*, got 'colour'"),
        ({"percentiles": (50, 101)}, "percentiles must be from 0 to 100, got 101"),
        ({"percentiles": (-1,)}, "percentiles must be from 0 to 100, got -1"),
        ({"percentiles": (float("nan"),)}, "percentiles must be from 0 to 100, got nan"),
    ],
)
def test_a_wrong_argument_names_the_allowed_ones(test_of, argument, message):
    """The allowed values are few; say them."""
    with pytest.raises(ValueError, match=message):
        statistics(test_of((0, 1, "a", "true")), **argument)


@given(
    samples=st.lists(st.integers(0, 1000), min_size=1, max_size=40),
    eighths=st.integers(0, 8),
    estimator=st.sampled_from(ESTIMATORS[:9]),
)
def test_the_nine_estimators_are_those_of_numpy(samples, eighths, estimator):
    """Where the share is exact in floating point; elsewhere numpy may miss a tie by one sample."""
    ours = sample_percentile(samples, 12.5 * eighths, estimator=estimator)

    assert ours == pytest.approx(np.quantile(samples, eighths / 8, method=estimator), abs=1e-9)


def test_a_tie_is_a_tie_whatever_floating_point_makes_of_it():
    """0.07 x 100 is 7.000000000000001 in floating point, and the 7th of 100 samples is then missed."""
    samples = list(range(1, 101))

    assert sample_percentile(samples, 7, estimator="inverted_cdf") == 7
    assert sample_percentile(samples, 7, estimator="averaged_inverted_cdf") == 7.5


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [("jmeter_report", [100, 300, 500, 1000]), ("locust", [100, 300, 600, 1000])],
)
def test_two_tools_have_rules_of_their_own(estimator, expected):
    """JMeter rounds half up, Locust takes the next one: worked out by hand from their sources."""
    samples = [100 * k for k in range(10, 0, -1)]

    assert [
        sample_percentile(samples, p, estimator=estimator) for p in (0, 25, 50, 100)
    ] == expected


def test_a_percentile_of_nothing_is_refused():
    """So is one beyond 100, and a rule that nobody has."""
    with pytest.raises(ValueError, match="samples must hold at least one value"):
        sample_percentile([], 50)
    with pytest.raises(ValueError, match="from 0 to 100, got 101"):
        sample_percentile([1], 101)
    with pytest.raises(ValueError, match="estimator must be one of inverted_cdf"):
        sample_percentile([1], 50, estimator="median")
