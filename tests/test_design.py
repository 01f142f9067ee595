"""A design is checked when made, knows its load, and its token bucket keeps its promise."""

import dataclasses
import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from toolkit.design import RunningBucket

SERVICE = tk.Exponential(mean_s=0.04)
gaps_s = st.lists(st.one_of(st.floats(0, 5), st.sampled_from([0.0, 0.25, 1.0])), max_size=60)
# every moment a multiple of a token's time or near one, so that ties are the rule
whole_gaps = st.lists(st.integers(0, 12), max_size=60)


def stage(**changes):
    return tk.Stage(**{"name": "work", "service": SERVICE} | changes)


def design(*stages, rate_per_s=90.0):
    return tk.Design(arrivals=tk.Poisson(rate_per_s=rate_per_s), stages=stages)


# --- the token bucket ---


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


# --- designs as data ---


def test_one_stage_may_stand_alone_and_a_list_becomes_a_tuple():
    """A frozen design must not hold a list that somebody can still append to."""
    alone = tk.Design(arrivals=tk.Poisson(rate_per_s=1.0), stages=stage())

    assert alone == design(stage(), rate_per_s=1.0)
    assert isinstance(alone.stages, tuple)
    assert hash(alone) == hash(design(stage(), rate_per_s=1.0))


@pytest.mark.parametrize("thing", [design(stage()), stage(), tk.TokenBucket(rate_per_s=1, burst=1)])
def test_a_design_cannot_be_changed_only_replaced(thing):
    """Two runs of "the same" design are of the same design."""
    field = dataclasses.fields(thing)[0].name

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(thing, field, None)


def test_a_faster_design_has_more_load_and_the_same_stages():
    """Load is one thing, the system another."""
    faster = design(stage()).faster(2.0)

    assert faster.arrivals == tk.Poisson(rate_per_s=180.0)
    assert faster.stages == design(stage()).stages


def mean_attempts(failure, most):
    """Count attempts one by one: attempt k + 1 is made if the k before it failed."""
    return sum(failure**k for k in range(most))


@given(failure=st.floats(0, 1), retries=st.integers(0, 30))
def test_attempts_per_job_is_the_sum_over_attempts(failure, retries):
    """The closed form divides by 1 - p, so it is checked up to p = 1."""
    retry = tk.Retry(max_retries=retries, backoff=tk.ConstantBackoff(delay_s=1.0))
    made = stage(failure=failure, retry=retry)

    assert made.max_attempts == retries + 1
    assert made.attempts_per_job == pytest.approx(mean_attempts(failure, retries + 1))


def loads(*stages, rate_per_s=90.0):
    return design(*stages, rate_per_s=rate_per_s).offered_load()


def test_retries_count_as_load():
    """Half of the attempts fail and one is retried: half as much again is to be carried."""
    retry = tk.Retry(max_retries=1, backoff=tk.ConstantBackoff(delay_s=1.0))
    (load,) = loads(stage(failure=0.5, retry=retry, workers=9))

    assert load.utilisation == pytest.approx(90 * 0.04 * 1.5 / 9)
    assert load.passed_per_s == pytest.approx(90 * 0.75)


def test_each_stage_is_offered_what_the_stage_before_hands_on():
    """A limiter, failures and too few workers each hold back a part of the traffic."""
    limited = stage(name="a", workers=9, limiter=tk.TokenBucket(rate_per_s=60, burst=5))
    failing = stage(name="b", workers=9, failure=0.1)
    narrow = stage(name="c", workers=1)
    last = stage(name="d")

    assert [load.rate_per_s for load in loads(limited, failing, narrow, last)] == pytest.approx(
        [90, 60, 54, 25]
    )


def test_a_design_that_keeps_up_is_not_warned_of():
    """Nor is one that turns away what it cannot do."""
    drops = tk.TokenBucket(rate_per_s=10, burst=5)

    assert design(stage(workers=4)).overloads() == []
    assert design(stage(capacity=3)).overloads() == []
    assert design(stage(limiter=drops)).overloads() == []


def test_an_overload_is_said_in_a_sentence_with_its_remedy():
    """3.6 workers' worth of work: three do not keep up, four would."""
    (sentence,) = design(stage(workers=3)).overloads()

    assert sentence == (
        "stage 'work' is overloaded: offered utilisation 1.20 >= 1, so its queue grows as long as "
        "the run lasts; 4 workers would keep up, 3 do not"
    )


def test_load_of_exactly_one_is_an_overload():
    """At 1 there is no steady state either, and as many workers as erlangs are one too few."""
    (sentence,) = design(stage(service=tk.Deterministic(value_s=0.5)), rate_per_s=2.0).overloads()

    assert "utilisation 1.00 >= 1" in sentence
    assert "2 workers would keep up, 1 do not" in sentence


def test_a_shaper_that_is_too_slow_is_said():
    """It protects the workers; its own queue is what grows."""
    shaper = tk.TokenBucket(rate_per_s=50, burst=5, when_empty="wait")
    (sentence,) = design(stage(workers=4, limiter=shaper)).overloads()

    assert sentence == (
        "stage 'work': its limiter lets 50 jobs/s through and 90 come: the wait for a token grows "
        "as long as the run lasts"
    )


def test_a_batch_at_time_zero_is_not_an_overload():
    """Its rate is infinite and its end is near; the next stage sees what the workers hand on."""
    batch = tk.Design(
        arrivals=tk.Trace(times_s=[0, 0, 0]), stages=[stage(), stage(name="next", workers=2)]
    )

    assert batch.overloads() == []
    assert batch.offered_load()[1].rate_per_s == pytest.approx(25)


# --- what is refused ---

NAN, INF = float("nan"), float("inf")


def bucket(**changes):
    return tk.TokenBucket(**{"rate_per_s": 1, "burst": 1} | changes)


def retry(**changes):
    return tk.Retry(**{"max_retries": 1, "backoff": tk.ConstantBackoff(delay_s=0)} | changes)


def whole(**changes):
    return tk.Design(**{"arrivals": tk.Poisson(rate_per_s=1), "stages": stage()} | changes)


BAD = [
    (stage, "name", "", "name must be a word, got ''"),
    (stage, "name", 3, "name must be a word, got 3"),
    (stage, "service", 0.04, r"service must be a law such as Exponential\(mean_s=0.04\), got 0.04"),
    (stage, "workers", 0, "workers must be a whole number >= 1, got 0"),
    (stage, "workers", -2, "workers must be a whole number >= 1, got -2"),
    (stage, "workers", 1.5, "workers must be a whole number >= 1, got 1.5"),
    (stage, "workers", True, "workers must be a whole number >= 1, got True"),
    (stage, "workers", "4", "workers must be a whole number >= 1, got '4'"),
    (stage, "capacity", 0, "capacity must be a whole number >= 1, got 0"),
    (stage, "capacity", INF, "capacity must be a whole number >= 1, got inf"),
    (stage, "failure", NAN, "failure must be a finite number, got nan"),
    (stage, "failure", 1.01, "failure must be from 0 to 1, got 1.01"),
    (stage, "failure", -0.1, "failure must be from 0 to 1, got -0.1"),
    (stage, "failure", False, "failure must be a finite number, got False"),
    (stage, "retry", 5, r"retry must be a Retry\(...\) or None, got 5"),
    (stage, "limiter", 100, r"limiter must be a TokenBucket\(...\) or None, got 100"),
    (retry, "max_retries", -1, "max_retries must be a whole number >= 0, got -1"),
    (retry, "max_retries", NAN, "max_retries must be a whole number >= 0, got nan"),
    (retry, "backoff", 1.0, r"backoff must be a backoff such as FullJitter\(...\), got 1.0"),
    (bucket, "rate_per_s", 0, "rate_per_s must be > 0, got 0"),
    (bucket, "rate_per_s", -3, "rate_per_s must be > 0, got -3"),
    (bucket, "rate_per_s", INF, "rate_per_s must be a finite number, got inf"),
    (bucket, "burst", 0.5, r"burst must be >= 1 token \(a job takes a whole one\), got 0.5"),
    (bucket, "burst", NAN, "burst must be a finite number, got nan"),
    (bucket, "burst", "20", "burst must be a finite number, got '20'"),
    (bucket, "when_empty", "queue", "when_empty must be 'drop' or 'wait', got 'queue'"),
    (whole, "arrivals", 90, r"arrivals must be arrivals such as Poisson\(rate_per_s=90\), got 90"),
    (whole, "stages", [], r"stages must be one or more Stage\(...\), got \[\]"),
    (whole, "stages", ["work"], r"stages must be one or more Stage\(...\), got \['work'\]"),
    (whole, "stages", [stage(), stage()], "stages must have different names, got .*'work', 'work'"),
    (whole().faster, "factor", 0, "factor must be > 0, got 0"),
    (whole().faster, "factor", NAN, "factor must be a finite number, got nan"),
]


@pytest.mark.parametrize(("make", "field", "value", "message"), BAD)
def test_a_wrong_value_is_refused_with_its_field_rule_and_value(make, field, value, message):
    """A run must not fail half-way over a wrong number, and the message is half of the lesson."""
    with pytest.raises(ValueError, match=message):
        make(**{field: value})


def test_a_cap_below_the_workers_is_refused():
    """The cap counts jobs in service, so some workers could never work."""
    with pytest.raises(ValueError, match=r"must be >= workers \(4\), got 3"):
        stage(workers=4, capacity=3)
