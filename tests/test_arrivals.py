"""Arrivals come at the rate they promise, and a longer run begins with the same jobs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk

BURSTS = tk.OnOff(on_rate_per_s=40.0, mean_on_s=0.5, mean_off_s=1.5)
SOURCES = {
    "Poisson": tk.Poisson(rate_per_s=3.0),
    "metronome": tk.Renewal(law=tk.Deterministic(value_s=0.25)),
    "Gamma gaps": tk.Renewal(law=tk.Gamma(mean_s=0.5, scv=0.3)),
    "HyperExponential gaps": tk.Renewal(law=tk.HyperExponential(mean_s=0.5, scv=6.0)),
    "bursts and silence": BURSTS,
    "bursts over a murmur": tk.OnOff(
        on_rate_per_s=9.0, mean_on_s=0.01, mean_off_s=0.02, off_rate_per_s=2.0
    ),
    "a burst": tk.Profile(arrivals=tk.Poisson(rate_per_s=3.0), factors=(1, 8, 0.5), until_s=(5, 9)),
    "silence, then a trace": tk.Profile(
        arrivals=tk.Trace(times_s=np.cumsum(np.arange(300) % 7)), factors=(0, 2), until_s=(3,)
    ),
    "trace": tk.Trace(times_s=np.cumsum(np.arange(300) % 7)),
}
by_source = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
by_seed = pytest.mark.parametrize("seed", range(5))


def gaps(source, n, seed):
    return source.gaps_s(np.random.default_rng(seed), n)


@by_source
@given(n=st.integers(0, 300), m=st.integers(0, 300), seed=st.integers(0, 2**32))
def test_the_first_gaps_of_many_are_the_gaps_of_few(source, n, m, seed):
    """A longer run begins with the same jobs: common random numbers rest on it."""
    m, n = sorted([m, n])

    assert np.array_equal(gaps(source, n, seed)[:m], gaps(source, m, seed))


@by_source
@given(n=st.integers(0, 300), seed=st.integers(0, 2**32))
def test_gaps_are_finite_and_never_negative(source, n, seed):
    """Time does not run backwards, not even by a rounding error."""
    drawn = gaps(source, n, seed)

    assert drawn.shape == (n,)
    assert np.isfinite(drawn).all()
    assert (drawn >= 0).all()


@by_seed
def test_poisson_gaps_have_the_moments_of_an_exponential_law(seed):
    """E[X] = 1/r and E[X^2] = 2/r^2; their standard deviations are 1/r and sqrt(20)/r^2."""
    n, rate_per_s = 50_000, 3.0
    drawn = gaps(SOURCES["Poisson"], n, seed)

    assert abs(drawn.mean() - 1 / rate_per_s) <= 4 / rate_per_s / math.sqrt(n)
    assert abs(np.mean(drawn**2) - 2 / rate_per_s**2) <= 4 * math.sqrt(20 / n) / rate_per_s**2


@by_seed
@pytest.mark.parametrize("name", ["Gamma gaps", "HyperExponential gaps"])
def test_renewal_gaps_have_the_mean_of_their_law(name, seed):
    """The rate is one over the mean gap, also where gaps are far from exponential."""
    n, source = 50_000, SOURCES[name]
    deviation_s = math.sqrt(source.law.moment(2) - source.law.moment(1) ** 2)

    assert source.rate_per_s == pytest.approx(2.0)
    assert abs(gaps(source, n, seed).mean() - 0.5) <= 4 * deviation_s / math.sqrt(n)


def dispersion(source, window_s=math.inf):
    """Return the variance of the jobs in a window over their mean.

    Of a two-state Markov-modulated Poisson process (Heffes and Lucantoni 1986, equation 11).
    """
    on_ends, off_ends = 1 / source.mean_on_s, 1 / source.mean_off_s
    both = on_ends + off_ends
    apart = source.on_rate_per_s - source.off_rate_per_s
    in_the_end = 2 * apart**2 * on_ends * off_ends / both**3 / source.rate_per_s
    share = 1 + math.expm1(-both * window_s) / (both * window_s) if window_s < math.inf else 1
    return 1 + in_the_end * share


@by_seed
@pytest.mark.parametrize("name", ["bursts and silence", "bursts over a murmur"])
def test_on_off_sends_at_its_rate(name, seed):
    """The time until job n has mean n / rate and variance n x dispersion / rate^2."""
    n, source = 50_000, SOURCES[name]
    off_by = gaps(source, n, seed).sum() * source.rate_per_s - n

    assert abs(off_by) <= 4 * math.sqrt(n * dispersion(source))


def groups_of_counts(source, seed, window_s, groups=40, each=50):
    """Return how many jobs came in each window, after the first seconds, in rows of a group."""
    seconds = window_s * groups * each
    times_s = np.cumsum(gaps(source, int(1.5 * source.rate_per_s * (seconds + 20)), seed)) - 20
    assert times_s[-1] > seconds, "draw more jobs"
    return np.histogram(times_s, bins=groups * each, range=(0, seconds))[0].reshape(groups, each)


@by_seed
def test_on_off_comes_in_bursts(seed):
    """Bursts are the point of it: counts vary many times as much as those of a Poisson source."""
    counts = groups_of_counts(BURSTS, seed, window_s=2.0)
    # the rows are all but independent, so their scatter is the error of their mean
    variances = counts.var(axis=1, ddof=1)
    expected = dispersion(BURSTS, 2.0) * BURSTS.rate_per_s * 2.0
    # windows in a row lean to the same side, which takes a little of the variance from each row
    short = dispersion(BURSTS) * BURSTS.rate_per_s * 2.0 / counts.shape[1]

    assert dispersion(BURSTS, 2.0) > 8
    error = variances.std(ddof=1) / math.sqrt(variances.size)
    assert abs(variances.mean() - expected) <= 4 * error + short


@by_seed
def test_on_off_with_two_equal_rates_is_a_poisson_source(seed):
    """The limit case has a name, and its variance is its mean."""
    source = tk.OnOff(on_rate_per_s=10.0, off_rate_per_s=10.0, mean_on_s=0.3, mean_off_s=0.7)
    variances = groups_of_counts(source, seed, window_s=2.0).var(axis=1, ddof=1)

    assert dispersion(source, 2.0) == 1.0
    assert abs(variances.mean() - 20.0) <= 4 * variances.std(ddof=1) / math.sqrt(variances.size)


def test_on_off_starts_with_a_burst():
    """The state at time zero is part of the model, and the first phase lasts a thousand jobs."""
    source = tk.OnOff(on_rate_per_s=100.0, mean_on_s=1e6, mean_off_s=1e6)

    assert gaps(source, 1_000, seed=1).mean() == pytest.approx(0.01, rel=4 / math.sqrt(1_000))


@by_source
@given(factor=st.floats(0.01, 100))
def test_faster_means_that_many_times_the_rate(source, factor):
    """Load is changed in one way for all sources."""
    assert source.faster(factor).rate_per_s == pytest.approx(source.rate_per_s * factor)


@pytest.mark.parametrize("name", ["Poisson", "metronome", "Gamma gaps", "trace"])
@given(factor=st.floats(0.01, 100))
def test_faster_sends_the_same_jobs_in_less_time(name, factor):
    """Common random numbers: a design under more load meets the same jobs, closer together."""
    source = SOURCES[name]

    assert np.allclose(gaps(source.faster(factor), 100, 3), gaps(source, 100, 3) / factor)


@by_seed
def test_a_profile_sends_at_each_rate_while_it_lasts(seed):
    """Counts of a Poisson source have a variance that is their mean."""
    source = tk.Profile(
        arrivals=tk.Poisson(rate_per_s=50.0), factors=(1, 4, 0, 2), until_s=(40, 50, 60)
    )
    times_s = np.cumsum(gaps(source, 12_000, seed))
    for start_s, end_s, rate_per_s in [(0, 40, 50), (40, 50, 200), (50, 60, 0), (60, 100, 100)]:
        expected = rate_per_s * (end_s - start_s)
        found = np.count_nonzero((times_s >= start_s) & (times_s < end_s))
        assert abs(found - expected) <= 4 * math.sqrt(expected), (start_s, found)

    assert source.rate_per_s == 100.0


def test_a_profile_of_a_metronome_is_known_exactly():
    """Ten ticks a second, three times as many from 1 s to 2 s, then ten again."""
    ticks = tk.Renewal(law=tk.Deterministic(value_s=0.1))
    source = tk.Profile(arrivals=ticks, factors=(1, 3, 1), until_s=(1, 2))
    times_s = np.cumsum(gaps(source, 50, seed=0))
    slow, quick = np.arange(1, 11) / 10, 1 + np.arange(1, 31) / 30

    assert np.allclose(times_s, np.concatenate([slow, quick, 2 + slow]))


def test_faster_bursts_last_as_long():
    """Twice the visitors at lunch do not make lunch shorter."""
    faster = BURSTS.faster(2.0)

    assert (faster.mean_on_s, faster.mean_off_s) == (BURSTS.mean_on_s, BURSTS.mean_off_s)


@given(times_s=st.lists(st.integers(0, 50), min_size=1, max_size=30).map(sorted))
def test_a_trace_gives_its_times_back(times_s):
    """Nothing is left to chance: the generator is not even asked."""
    assert np.cumsum(tk.Trace(times_s=times_s).gaps_s(None, len(times_s))).tolist() == times_s


def test_a_trace_is_data():
    """It compares by its times, prints short, and cannot be changed from outside."""
    times_s = np.array([1.0, 2.0, 4.0])
    trace = tk.Trace(times_s=times_s)
    times_s[0] = 99.0

    assert trace == tk.Trace(times_s=[1, 2, 4])
    assert trace != tk.Trace(times_s=[1, 2, 5])
    assert hash(trace) == hash(tk.Trace(times_s=[1, 2, 4]))
    assert repr(trace) == "Trace(times_s=<3 times up to 4 s>)"
    assert trace.rate_per_s == 0.75
    with pytest.raises(ValueError, match="read-only"):
        trace.times_s[0] = 0.0


def test_jobs_that_all_come_at_once_have_no_rate():
    """A batch at time zero is a fair question, and its rate is infinite."""
    assert tk.Trace(times_s=[0, 0, 0]).rate_per_s == math.inf


def test_a_trace_does_not_invent_jobs():
    """Asked for more jobs than it has, it says how many it has."""
    with pytest.raises(ValueError, match="jobs must be <= 2, the length of the trace, got 3"):
        gaps(tk.Trace(times_s=[0.0, 1.0]), 3, seed=0)


NAN, INF = float("nan"), float("inf")
BAD = [
    (tk.Poisson, {"rate_per_s": 0}, "rate_per_s must be > 0, got 0"),
    (tk.Poisson, {"rate_per_s": -3}, "rate_per_s must be > 0, got -3"),
    (tk.Poisson, {"rate_per_s": NAN}, "rate_per_s must be a finite number, got nan"),
    (tk.Poisson, {"rate_per_s": INF}, "rate_per_s must be a finite number, got inf"),
    (tk.Poisson, {"rate_per_s": True}, "rate_per_s must be a finite number, got True"),
    (tk.Poisson, {"rate_per_s": "9"}, "rate_per_s must be a finite number, got '9'"),
    (tk.Renewal, {"law": 0.1}, "law must be a law of gaps with a mean > 0 s, got 0.1"),
    (tk.Renewal, {"law": tk.Deterministic(value_s=0)}, "law must be a law of gaps with a mean > 0"),
    (tk.Trace, {"times_s": []}, "times_s must hold at least one time in s, got none"),
    (tk.Trace, {"times_s": [-1.0, 2.0]}, "times_s must be finite and >= 0 s, got -1.0"),
    (tk.Trace, {"times_s": [0.0, NAN]}, "times_s must be finite and >= 0 s, got nan"),
    (tk.Trace, {"times_s": [0.0, INF]}, "times_s must be finite and >= 0 s, got inf"),
    (tk.Trace, {"times_s": [0, 2, 1]}, "times_s must be in order, got 1.0 s at index 2 after 2.0"),
    (
        tk.Profile,
        {"arrivals": tk.Poisson(rate_per_s=1), "factors": (1, 2), "until_s": (3, 4)},
        "factors must be one more than the times in until_s",
    ),
    (
        tk.Profile,
        {"arrivals": tk.Poisson(rate_per_s=1), "factors": (1, 2, 1), "until_s": (4, 4)},
        "until_s must rise",
    ),
    (
        tk.Profile,
        {"arrivals": tk.Poisson(rate_per_s=1), "factors": (1, 0), "until_s": (4,)},
        r"factors\[-1\] must be > 0, got 0",
    ),
    (
        tk.Profile,
        {
            "arrivals": tk.Closed(users=3, think=tk.Exponential(mean_s=1)),
            "factors": (1, 2),
            "until_s": (4,),
        },
        "arrivals must be open arrivals",
    ),
    (
        tk.OnOff,
        {"on_rate_per_s": 0, "mean_on_s": 1, "mean_off_s": 1},
        "on_rate_per_s must be > 0, got 0",
    ),
    (
        tk.OnOff,
        {"on_rate_per_s": 1, "mean_on_s": -1, "mean_off_s": 1},
        "mean_on_s must be > 0, got -1",
    ),
    (
        tk.OnOff,
        {"on_rate_per_s": 1, "mean_on_s": 1, "mean_off_s": None},
        "mean_off_s must be a finite number, got None",
    ),
    (
        tk.OnOff,
        {"on_rate_per_s": 1, "mean_on_s": 1, "mean_off_s": 1, "off_rate_per_s": -1},
        "off_rate_per_s must be >= 0, got -1",
    ),
]


@pytest.mark.parametrize(("source", "arguments", "message"), BAD)
def test_a_wrong_source_is_refused_with_its_field_rule_and_value(source, arguments, message):
    """A run must not fail half-way over a wrong number."""
    with pytest.raises(ValueError, match=message):
        source(**arguments)
