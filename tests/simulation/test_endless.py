"""A run that would never end is refused, or stopped with a word."""

import pytest

import toolkit as tk

AT_ONCE = tk.ConstantBackoff(delay_s=0)


def design(stage, **more):
    return tk.Design(arrivals=tk.Trace(times_s=[0.0]), stages=[stage], **more)


def test_what_never_ends_by_its_rules_is_refused_without_a_horizon():
    """Every attempt fails and is made again for ever."""
    retry = tk.Retry(max_retries=None, backoff=tk.ConstantBackoff(delay_s=1.0))
    stage = tk.Stage(name="work", service=tk.Deterministic(value_s=1), failure=1.0, retry=retry)

    with pytest.raises(ValueError, match=r"horizon_s must be given.*every attempt fails"):
        tk.simulate(design(stage))
    assert len(tk.simulate(design(stage), horizon_s=9.5).attempts) == 5


@pytest.mark.parametrize("horizon_s", [None, 100.0])
def test_callers_who_ask_an_open_breaker_without_a_pause_are_stopped(horizon_s):
    """Their tries leave no rows, and no time passes between them."""
    retry = tk.Retry(max_retries=None, backoff=AT_ONCE, rejected=True)
    caller = tk.Caller(retry=retry, breaker=tk.Breaker(failures=1, open_s=50.0))
    failing = tk.Stage(name="work", service=tk.Deterministic(value_s=1), failure=0.999999)
    run = tk.simulate(design(failing, callers=[caller]), horizon_s=horizon_s)

    assert any("this would hardly have ended" in warning for warning in run.warnings)
    assert run.jobs["outcome"].tolist() == ["unfinished"]
