"""What a design refuses when it is made, and what it says then."""

import pytest

import toolkit as tk

SERVICE = tk.Exponential(mean_s=0.04)


def stage(**changes):
    return tk.Stage(**{"name": "work", "service": SERVICE} | changes)


NAN, INF = float("nan"), float("inf")


def bucket(**changes):
    return tk.TokenBucket(**{"rate_per_s": 1, "burst": 1} | changes)


def retry(**changes):
    return tk.Retry(**{"max_retries": 1, "backoff": tk.ConstantBackoff(delay_s=0)} | changes)


def whole(**changes):
    return tk.Design(**{"arrivals": tk.Poisson(rate_per_s=1), "stages": stage()} | changes)


def kill(**changes):
    return tk.Crash(at_s=1, **changes)


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
    (tk.Push, "to", "left", "to must be 'round robin', 'random', 'shortest' or 'each', got 'left'"),
    (tk.BlockingPop, "batch", 0, "batch must be a whole number >= 1, got 0"),
    (tk.BlockingPop, "refill_at", -1, "refill_at must be a whole number >= 0, got -1"),
    (tk.Poll, "every_s", 0, "every_s must be > 0, got 0"),
    (tk.Visibility, "timeout_s", 0, "timeout_s must be > 0, got 0"),
    (tk.InMemory, "most", 0, "most must be a whole number >= 1, got 0"),
    (tk.Crash, "at_s", -1, "at_s must be >= 0, got -1"),
    (kill, "restart_after_s", INF, "restart_after_s must be a finite number, got inf"),
    (tk.Hedge, "after_s", -1, "after_s must be >= 0, got -1"),
    (tk.Caller, "timeout", 0, "timeout must be > 0, got 0"),
    (tk.Caller, "retry", 3, r"retry must be a Retry\(...\) or None, got 3"),
    (
        tk.Caller,
        "on_timeout",
        "shout",
        "on_timeout must be 'nothing', 'skip' or 'cancel', got 'shout'",
    ),
    (
        tk.Delivery,
        "fetch",
        "push",
        r"fetch must be a Push\(...\), a BlockingPop\(...\), a Poll\(...\)",
    ),
    (
        tk.Delivery,
        "fetch",
        None,
        "fetch must be one of its kinds, got None",
    ),
    (tk.Delivery, "delayed", None, "delayed must be one of its kinds, got None"),
    (tk.Delivery, "delayed", "redis", r"delayed must be .*got 'redis'"),
    (tk.Delivery, "ack", "late", "ack must be 'fetch', 'start' or 'end', got 'late'"),
    (tk.Delivery, "prefetch", 1.5, "prefetch must be a whole number >= 0, got 1.5"),
    (tk.Delivery, "poison", 2, "poison must be from 0 to 1, got 2"),
    (tk.Delivery, "countdown", 3, "countdown must be a law of delays, got 3"),
    (tk.Delivery, "crashes", [3], r"crashes must be a list of Crash\(...\), got \[3\]"),
    (stage, "order", "best", "order must be 'fifo', .* or 'shared', got 'best'"),
    (stage, "when_full", "wait", "when_full must be 'reject', 'drop' or 'block', got 'wait'"),
    (stage, "patience", 3, "patience must be a law of waits or None, got 3"),
    (stage, "share", 1.5, "share must be from 0 to 1, got 1.5"),
    (stage, "fan_out", 3, r"fan_out must be a FanOut\(...\) or None, got 3"),
    (whole, "callers", "me", r"callers must be a list of Caller\(...\), got 'me'"),
    (
        retry,
        "budget",
        100,
        r"budget must be AwsRetryQuota\(...\), GrpcThrottle\(...\) or None, got 100",
    ),
    (tk.AwsRetryQuota, "capacity", -1, "capacity must be a whole number >= 0, got -1"),
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


# --- contradictions ---

visibility, poller, crash = tk.Visibility, tk.Poller, tk.Crash


def delivery(**changes):
    return tk.Delivery(**changes)


def behind(**changes):
    return stage(delivery=tk.Delivery(**changes))


LEASE, KILL, SHED = tk.Visibility(timeout_s=5), tk.Crash(at_s=1), tk.ControlledDelay()
OUT, LAW, FAN = tk.Outage(start_s=0, duration_s=1), tk.Exponential(mean_s=1), tk.FanOut(tasks=3)
EACH = tk.Delivery(instances=2, fetch=tk.Push(to="each"))
BLOCKS = {"name": "next", "capacity": 1, "when_full": "block"}

# what is called, with what, and both fields that its message must name
CONTRADICTIONS = [
    (tk.Push, {"choices": 2}, "choices is for to='shortest', got choices=2 with to='round robin'"),
    (
        visibility,
        {"timeout_s": 5, "renew_every_s": 5},
        r"timeout_s must be > renew_every_s \(5 s\)",
    ),
    (visibility, {"timeout_s": 5, "renew_for_s": 9}, "renew_for_s needs renew_every_s, got 9"),
    (poller, {"low_s": 2, "high_s": 1}, r"high_s must be >= low_s \(2\), got 1"),
    (
        poller,
        {"low_s": 1, "high_s": 1, "first_low_s": 2},
        r"first_high_s must be >= first_low_s \(2\), got 0.0",
    ),
    (
        crash,
        {"at_s": 1, "slot": 0, "grace_s": 2},
        "grace_s is for an instance that is stopped, got grace_s=2 with slot=0",
    ),
    (
        delivery,
        {"ack": "start", "slot_crash": "requeue"},
        "slot_crash must be 'lose' with ack='start'",
    ),
    (
        delivery,
        {"ack": "fetch", "slot_crash": "retry"},
        "slot_crash must be 'lose' with ack='fetch'",
    ),
    (
        delivery,
        {"ack": "start", "on_failure": "return"},
        "on_failure must be 'retry' with ack='start'",
    ),
    (delivery, {"ack": "fetch", "visibility": LEASE}, "visibility must be None with ack='fetch'"),
    (delivery, {"ack": "fetch", "disconnect_s": 0}, "disconnect_s must be None with ack='fetch'"),
    (delivery, {"ack": "fetch", "prefetch": 4}, "prefetch must be 0 with ack='fetch'"),
    (delivery, {"ack": "fetch", "groups": 2}, "groups must be None with ack='fetch'"),
    (
        delivery,
        {"ack": "fetch", "max_deliveries": 2},
        "max_deliveries must be None with ack='fetch'",
    ),
    (delivery, {"on_failure": "leave"}, "on_failure='leave' needs visibility"),
    (
        delivery,
        {"instances": 2, "crashes": tk.Crash(at_s=1, instance=2)},
        "crashes must name an instance below 2, got instance=2",
    ),
    (tk.Caller, {"on_timeout": "cancel"}, "on_timeout='cancel' needs a timeout, got timeout=None"),
    (tk.FanOut, {"tasks": 2, "needed": 3}, r"needed must be <= tasks \(2\), got 3"),
    (
        tk.ControlledDelay,
        {"target_s": 2, "interval_s": 1},
        r"interval_s must be >= target_s \(2\), got 1",
    ),
    (stage, {"workers": 4, "capacity": 3}, r"capacity .* must be >= workers \(4\), got 3"),
    (
        stage,
        {"workers": 3, "delivery": tk.Delivery(instances=2)},
        "workers must be in equal parts for 2 delivery.instances, got 3",
    ),
    (
        stage,
        {"workers": 2, "delivery": tk.Delivery(instances=2, crashes=tk.Crash(at_s=1, slot=1))},
        "delivery.crashes must name a slot below 1, got slot=1",
    ),
    (stage, {"when_full": "block"}, "when_full='block' needs a capacity, got capacity=None"),
    (stage, {"order": "shared", "delivery": tk.Delivery()}, "order='shared' .* delivery"),
    (stage, {"order": "shared", "patience": LAW}, "order='shared' .* patience"),
    (stage, {"order": "shared", "shed": SHED}, "order='shared' .* shed"),
    (stage, {"order": "shared", "fan_out": FAN}, "order='shared' .* fan_out"),
    (stage, {"order": "shared", "outages": OUT}, "order='shared' .* outages"),
    (
        stage,
        {"order": "shared", "capacity": 1, "when_full": "block"},
        "order='shared' .* when_full",
    ),
    (
        stage,
        {"order": "lifo", "delivery": tk.Delivery(groups=2)},
        "delivery.groups keep their order, so order must be 'fifo', got 'lifo'",
    ),
    (
        stage,
        {"order": "preemptive", "delivery": tk.Delivery()},
        "order='preemptive' needs delivery=None",
    ),
    (stage, {"workers": 2, "delivery": EACH}, r"delivery.fetch=Push\(to='each'\) needs a fan_out"),
    (
        stage,
        {"workers": 2, "delivery": EACH, "fan_out": FAN},
        r"delivery.fetch=Push\(to='each'\) needs a fan_out with at most as many tasks",
    ),
    (stage, {"routes": {"a": 0.7, "b": 0.7}}, "routes must add up to at most 1, got 1.4"),
    (
        whole,
        {"classes": [tk.JobClass(name="a", share=0.7)]},
        r"classes must have shares that add up to 1, got \[0.7\]",
    ),
    (
        whole,
        {"stages": stage(routes={"nowhere": 1.0})},
        r"stage 'work': routes must name stages, got \['nowhere'\]",
    ),
    (whole, {"stages": stage(order="priority")}, "order='priority' needs classes in the design"),
    (
        whole,
        {"stages": stage(order="preemptive")},
        "order='preemptive' needs classes in the design",
    ),
    (
        whole,
        {"stages": [stage(routes={"next": 1.0}), stage(**BLOCKS)]},
        "stage 'next': when_full='block' and routes may block each other for ever",
    ),
    (
        whole,
        {"classes": [tk.JobClass(name="a", share=1.0, service={"nowhere": LAW})]},
        r"class 'a': service must name stages, got \['nowhere'\]",
    ),
]


@pytest.mark.parametrize(("make", "arguments", "message"), CONTRADICTIONS)
def test_a_contradiction_is_refused_with_both_its_fields(make, arguments, message):
    """Each field alone is right; the message says which two cannot be together."""
    with pytest.raises(ValueError, match=message):
        make(**arguments)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (tk.Visibility, {"timeout_s": 5, "renew_every_s": 4, "renew_for_s": 9}),
        (tk.Push, {"to": "shortest", "choices": 2, "replacement": True}),
        (tk.Caller, {"timeout": 5, "on_timeout": "skip"}),
        (delivery, {"ack": "start", "visibility": LEASE, "disconnect_s": 1, "groups": 2}),
        (delivery, {"visibility": LEASE, "on_failure": "leave", "slot_crash": "requeue"}),
        (delivery, {"prefetch": INF, "crashes": [KILL, tk.Crash(at_s=2, grace_s=INF)]}),
        (stage, {"workers": 3, "delivery": EACH.__class__(instances=3), "fan_out": FAN}),
    ],
)
def test_what_is_no_contradiction_is_taken(kind, more):
    """The rules refuse no more than they must."""
    made = kind(**more)

    assert all(
        getattr(made, name) in (value, tuple(value) if isinstance(value, list) else value)
        for name, value in more.items()
    )
