"""The token bucket keeps its promise, waits in order, and is exact where numbers are."""

import itertools
import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from toolkit.design import RunningBucket

gaps_s = st.lists(st.one_of(st.floats(0, 5), st.sampled_from([0.0, 0.25, 1.0])), max_size=60)
# every moment a multiple of a token's time or near one, so that ties are the rule
whole_gaps = st.lists(st.integers(0, 12), max_size=60)


def exact_bucket(rate, burst):
    """Return a bucket on exact numbers: tokens per unit of time, and tokens saved up."""
    interval = 1 / Fraction(rate)
    return RunningBucket(interval=interval, tolerance=(Fraction(burst) - 1) * interval)


class Tokens:
    """What a token bucket is by definition: a count that grows with time, up to the burst."""

    def __init__(self, rate, burst):
        self.rate, self.burst = Fraction(rate), Fraction(burst)
        self.tokens, self.seen = self.burst, 0

    def refill(self, now):
        """Count up to ``now``, and no further than the burst."""
        self.tokens = min(self.burst, self.tokens + self.rate * (now - self.seen))
        self.seen = now

    def admit(self, now):
        """Take a whole token if there is one."""
        self.refill(now)
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def reserve(self, now):
        """Wait behind those who wait already, then for a whole token."""
        self.refill(max(now, self.seen))
        if self.tokens < 1:
            self.refill(self.seen + (1 - self.tokens) / self.rate)
        self.tokens -= 1
        return self.seen


def widest_excess(admitted, rate, burst):
    """Return how far any window between two admissions goes beyond its promise, in jobs."""
    windows = itertools.combinations_with_replacement(enumerate(admitted), 2)
    return max(
        (j - i + 1 - burst - rate * (end - start) for (i, start), (j, end) in windows), default=0
    )


@given(gaps_s=gaps_s, rate=st.floats(0.01, 20), burst=st.floats(1, 20))
def test_no_window_admits_more_than_burst_plus_rate_times_width(gaps_s, rate, burst):
    """The promise holds for every window, not only from the start."""
    bucket = tk.TokenBucket(rate_per_s=rate, burst=burst).start()
    admitted = [now for now in itertools.accumulate(gaps_s) if bucket.admit(now)]

    assert widest_excess(admitted, rate, burst) <= 1e-6


@given(gaps_s=gaps_s, rate=st.floats(0.01, 20), burst=st.floats(1, 20))
def test_no_window_passes_more_when_jobs_wait_and_they_pass_in_order(gaps_s, rate, burst):
    """Waiting keeps the same promise, loses nobody, and nobody overtakes."""
    bucket = tk.TokenBucket(rate_per_s=rate, burst=burst, when_empty="wait").start()
    times_s = list(itertools.accumulate(gaps_s))
    passed = [bucket.reserve(now) for now in times_s]

    assert all(granted >= now for granted, now in zip(passed, times_s, strict=True))
    assert passed == sorted(passed)
    assert widest_excess(passed, rate, burst) <= 1e-6


@given(
    gaps=whole_gaps,
    rate=st.fractions(Fraction(1, 9), 9, max_denominator=12),
    burst=st.fractions(1, 6, max_denominator=4),
)
def test_it_decides_as_one_who_counts_tokens(gaps, rate, burst):
    """Two ways to keep one promise (one remembers a time, one a count) agree at every tie."""
    bucket, tokens = exact_bucket(rate, burst), Tokens(rate, burst)
    times = list(itertools.accumulate(gaps))

    assert [bucket.admit(now) for now in times] == [tokens.admit(now) for now in times]


@given(
    gaps=whole_gaps,
    rate=st.fractions(Fraction(1, 9), 9, max_denominator=12),
    burst=st.fractions(1, 6, max_denominator=4),
)
def test_it_makes_wait_as_one_who_counts_tokens(gaps, rate, burst):
    """The same for jobs that wait for their token."""
    bucket, tokens = exact_bucket(rate, burst), Tokens(rate, burst)
    times = list(itertools.accumulate(gaps))

    assert [bucket.reserve(now) for now in times] == [tokens.reserve(now) for now in times]


@given(gaps_ns=whole_gaps, interval_ns=st.integers(1, 9), burst=st.integers(1, 6))
def test_whole_nanoseconds_stay_whole_and_exact(gaps_ns, interval_ns, burst):
    """The kernel counts in nanoseconds: no float may creep in, and no tie be misjudged."""
    bucket = RunningBucket(interval=interval_ns, tolerance=(burst - 1) * interval_ns)
    tokens = Tokens(Fraction(1, interval_ns), burst)
    times_ns = list(itertools.accumulate(gaps_ns))

    assert [bucket.admit(now) for now in times_ns] == [tokens.admit(now) for now in times_ns]
    assert isinstance(bucket.due, int)


def test_a_full_bucket_lets_its_burst_through_at_once():
    """It starts full, and after a long silence it is full again but no fuller."""
    bucket = tk.TokenBucket(rate_per_s=2.0, burst=3).start()

    assert [bucket.admit(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.admit(1e6) for _ in range(4)] == [True, True, True, False]


def flow(params):
    """Return the times of a published flow, exactly."""
    gap, cycles = Fraction(params["gap"]), params.get("cycles", 1)
    if params["flow"] == "cbr":
        return [k * gap for k in range(params["n"])]
    if params["flow"] == "bursts":
        return [k * gap for k in range(params["n"]) for _ in range(params["size"])]
    on, off = Fraction(params["on"]), Fraction(params["off"])
    return [k * (on + off) + j * gap for k in range(cycles) for j in range(math.ceil(on / gap))]


def test_published_flows_are_limited_exactly_so(oracles):
    """Constant, bursty and on-off flows: how many get in, and who is the first who does not."""
    rows = oracles("limiter on deterministic flow", "token bucket")
    seen = {}
    for row_id, row in rows.items():
        bucket = exact_bucket(Fraction(row["params"]["rate"]), row["params"]["burst"])
        admitted = [bucket.admit(now) for now in flow(row["params"])]
        first = "first rejected" in row["metric"]
        seen[row_id] = admitted.index(False) if first else sum(admitted)

    assert seen == {row_id: int(row["value"]) for row_id, row in rows.items()}


def test_a_saturated_bucket_reaches_its_envelope_and_not_more(oracles):
    """The bound burst + rate x window is attained: it is a promise, not an estimate."""
    rows = oracles("token bucket envelope")
    most = {}
    for row_id, row in rows.items():
        rate, burst, window = (row["params"][name] for name in ("rate", "burst", "window"))
        bucket = exact_bucket(rate, burst)
        # four offers for each token, and as many as the bucket holds at the start
        offers = [Fraction(0)] * burst + [
            Fraction(k, 4 * rate) for k in range(4 * rate * window + 1)
        ]
        most[row_id] = sum(bucket.admit(now) for now in offers)

    assert most == {row_id: int(row["value"]) for row_id, row in rows.items()}
