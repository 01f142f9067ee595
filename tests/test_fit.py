"""A fit finds the system behind a load test, and says what it could not tell."""

import dataclasses

import numpy as np
import pytest
from fakes import pool, simulated_test

import toolkit as tk
from toolkit.errors import LoadTestError

SERVICES = {
    "log-normal": tk.LogNormal(mean_s=0.02, scv=0.5),
    "exponential": tk.Exponential(mean_s=0.02),
    "constant": tk.Deterministic(value_s=0.02),
}


@pytest.mark.slow
@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES.keys())
@pytest.mark.parametrize(("workers", "utilisation"), [(1, 0.6), (4, 0.3), (4, 0.8), (8, 0.8)])
def test_the_workers_are_found_from_start_and_end_times_alone(service, workers, utilisation):
    """The heart of the fit: no other tool tells the number of workers from a load test."""
    rate_per_s = utilisation * workers / 0.02
    found = []
    for seed in (1, 2, 3):
        design = pool(workers, rate_per_s, service)
        found.append(tk.fit(simulated_test(design, jobs=12_000, seed=seed)).workers)

    assert found == [workers] * 3


def test_the_service_law_is_found_under_queueing():
    """At 80% utilisation half of the elapsed time is waiting; the law must come out without it."""
    fit = tk.fit(simulated_test(pool(4, 160), jobs=12_000))

    law = fit.design.stages[0].service
    assert isinstance(law, tk.LogNormal)
    assert law.mean_s == pytest.approx(0.02, rel=0.03)
    assert law.scv == pytest.approx(0.5, rel=0.12)


def test_a_law_of_two_lumps_stays_empirical():
    """No simple law has two lumps; pretending would put the tail in the wrong place."""
    lumps = tk.Empirical(samples_s=[0.01] * 9 + [0.1])
    fit = tk.fit(simulated_test(pool(4, 60, lumps)))

    assert isinstance(fit.design.stages[0].service, tk.Empirical)
    assert "no simple law" in " ".join(fit.assumptions)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_rate_that_the_fit_did_not_see_is_predicted(seed):
    """The promise of the whole road: fit at low load, know the high load."""
    fit = tk.fit(simulated_test(pool(4, 60), jobs=9_000, seed=seed))
    busy = simulated_test(pool(4, 150), jobs=12_000, seed=seed + 10)

    check = fit.check(busy, progress=False)

    assert (check["error"].abs() < 0.15).all()
    assert list(check.columns) == ["measured_ms", "predicted_ms", "low_ms", "high_ms", "error"]


def test_the_wrong_number_of_workers_fails_the_check():
    """A check that cannot fail is none."""
    fit = tk.fit(simulated_test(pool(4, 60), jobs=9_000), workers=3)
    busy = simulated_test(pool(4, 140), jobs=9_000, seed=5)

    assert fit.check(busy, progress=False).loc["p99", "error"] > 0.3


ARRIVALS = {
    "Poisson": (tk.Poisson(rate_per_s=60), tk.Poisson),
    "clockwork": (tk.Renewal(law=tk.Deterministic(value_s=0.02)), tk.Renewal),
    "steadier": (tk.Renewal(law=tk.Gamma(mean_s=0.02, scv=0.3)), tk.Renewal),
    "burstier": (tk.Renewal(law=tk.HyperExponential(mean_s=0.02, scv=4)), tk.Renewal),
}


@pytest.mark.parametrize(("arrivals", "kind"), ARRIVALS.values(), ids=ARRIVALS.keys())
def test_arrivals_keep_their_rate_and_their_spread(arrivals, kind):
    design = dataclasses.replace(pool(4), arrivals=arrivals)
    fitted = tk.fit(simulated_test(design)).design.arrivals

    gaps = [a.gaps_s(np.random.default_rng(0), 20_000) for a in (arrivals, fitted)]
    assert isinstance(fitted, kind)
    assert fitted.rate_per_s == pytest.approx(arrivals.rate_per_s, rel=0.1)
    assert np.std(gaps[1]) == pytest.approx(np.std(gaps[0]), rel=0.15, abs=0.001)


def test_a_test_that_made_nobody_wait_says_that_it_cannot_count_workers():
    fit = tk.fit(simulated_test(pool(50, 60), jobs=3_000))

    assert any("too few to tell" in warning for warning in fit.warnings)


def test_workers_that_are_known_are_taken():
    fit = tk.fit(simulated_test(pool(50, 60), jobs=3_000), workers=50)

    assert fit.workers == 50
    assert "50 workers: given" in fit.assumptions
    assert not any("too few" in warning for warning in fit.warnings)


def test_a_ramp_is_said_and_not_averaged_in_silence():
    test = simulated_test(pool(4, 60), jobs=3_000)
    seconds = (test.requests["start"] - test.requests["start"].min()).dt.total_seconds()
    slowed = test.requests["start"] + seconds.pow(2).apply(lambda s: s / 40).pipe(_timedelta)
    ramp = dataclasses.replace(test, requests=test.requests.assign(start=slowed))

    assert any("rate changes" in warning for warning in tk.fit(ramp).warnings)


def _timedelta(seconds):
    import pandas as pd

    return pd.to_timedelta(seconds, unit="s")


def test_a_closed_test_is_said():
    """All users waiting at once: the test could not send more, so open arrivals differ."""
    test = simulated_test(pool(2, 95), jobs=3_000, threads=3)

    assert any("closed" in warning for warning in tk.fit(test).warnings)


def test_failed_requests_become_the_chance_of_failure():
    fit = tk.fit(simulated_test(pool(4, 60, failure=0.1), jobs=4_000))

    assert fit.design.stages[0].failure == pytest.approx(0.1, abs=0.02)
    assert any("requests fail" in text for text in fit.assumptions)


def test_too_few_requests_are_refused():
    with pytest.raises(LoadTestError, match="at least 100 requests, this test has 99"):
        tk.fit(simulated_test(pool(), jobs=99))


@pytest.mark.parametrize("workers", [0, -1, 2.5, True])
def test_a_number_of_workers_that_is_none_is_refused(workers):
    with pytest.raises(ValueError, match="workers must be a whole number >= 1, got"):
        tk.fit(simulated_test(pool(), jobs=200), workers=workers)


def test_staffings_go_from_barely_stable_to_twice_the_workers():
    fit = tk.fit(simulated_test(pool(4, 100)), workers=4)

    assert list(fit.staffings()) == [f"{n} workers" for n in (3, 4, 5, 6, 7, 8)]
    assert next(iter(fit.staffings(load=0.2))) == "1 worker"
    many = tk.fit(simulated_test(pool(4, 100)), workers=60).staffings()
    assert len(many) <= 8
    assert "60 workers" in many
    assert "120 workers" in many


def test_a_variant_changes_what_was_asked_and_nothing_else():
    fit = tk.fit(simulated_test(pool(4, 60)))
    retry = tk.Retry(max_retries=1, backoff=tk.ConstantBackoff(delay_s=0))
    variant = fit.variant(workers=2, load=1.5, failure=0.2, retry=retry)

    stage = variant.stages[0]
    assert (stage.workers, stage.failure, stage.retry) == (2, 0.2, retry)
    assert stage.service == fit.design.stages[0].service
    assert variant.arrivals.rate_per_s == pytest.approx(1.5 * fit.design.arrivals.rate_per_s)
    assert fit.variant() == fit.design
