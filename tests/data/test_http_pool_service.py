"""The service behind http-pool is the queue it claims to be."""

import itertools
import statistics
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

COLLECT = Path(__file__).parents[2] / "data" / "collect"


@pytest.fixture
def service(monkeypatch):
    monkeypatch.syspath_prepend(str(COLLECT))
    import http_pool_service

    return http_pool_service


@pytest.fixture
def running(tmp_path):
    """Start the service; give its address, and a function that stops it and returns its log."""
    log = tmp_path / "log.csv"
    command = [sys.executable, COLLECT / "http_pool_service.py", "--seed", "5", "--log", log]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:

        def stop():
            process.terminate()
            process.wait(timeout=10)
            return pd.read_csv(log)

        yield f"http://127.0.0.1:{process.stdout.readline().split()[-1]}", stop
        process.terminate()


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def test_23_requests_in_and_23_in_the_log(running):
    """Also under a burst no request is lost, every worker works, and the law's draws are used."""
    address, stop = running
    with ThreadPoolExecutor(23) as clients:
        answers = list(clients.map(get, [f"{address}/work"] * 23))
    log = stop()

    assert answers == [b"done\n"] * 23
    assert len(log) == 23
    assert set(log["worker"]) == {0, 1, 2, 3}
    assert (log["started_s"] >= log["arrived_s"]).all()
    assert (log["ended_s"] - log["started_s"] - log["intended_s"] > -0.001).all()


def test_the_warm_up_takes_no_draw_from_the_measured_requests(running, service):
    address, stop = running
    for path in ("warm-up", "work", "warm-up", "work"):
        get(f"{address}/{path}")
    log = stop().query("path == '/work'")

    expected = list(itertools.islice(service.durations("5/work"), 2))
    assert log["intended_s"].tolist() == pytest.approx(expected, abs=1e-6)


def test_an_unknown_path_is_refused_and_not_queued(running):
    address, stop = running
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        get(f"{address}/nothing")
    refused.value.close()

    assert len(stop()) == 0


def test_the_law_has_the_mean_and_the_scatter_it_is_said_to_have(service):
    """20 ms and scv 0.5; the standard error of the mean of 40,000 draws is 0.35%."""
    draws = list(itertools.islice(service.durations("law"), 40_000))
    mean = statistics.fmean(draws)

    assert mean == pytest.approx(service.MEAN_S, rel=4 * 0.0035)
    assert statistics.pvariance(draws, mean) / mean**2 == pytest.approx(service.SCV, rel=0.1)
