"""The three services really run, do the same work, and keep their promises; a few seconds each."""

import importlib.util
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

COLLECT = Path(__file__).parents[2] / "data" / "collect"
JOBS = [str(number) for number in range(24)]

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture
def parts():
    """Import the starter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(COLLECT))
        import lean_overbuilt_parts

        yield lean_overbuilt_parts


@pytest.fixture
def run(parts, tmp_path):
    """Give a function that runs a service, or skips with its reason."""
    import servers

    def start(name, **options):
        if importlib.util.find_spec("celery") is None and name != "lean":
            pytest.skip("Celery isn't installed: `pip install -e .[live]` brings it")
        if reason := servers.missing(*parts.NEEDS[name]):
            pytest.skip(reason)
        if len(os.sched_getaffinity(0)) < 2:
            pytest.skip("needs two processors")
        return parts.running(name, tmp_path, seed="5", **options)

    return start


def ask(service, path, body=None):
    """Send a request; return status and answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{service.port}/jobs{path}", data)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def post_all(service, jobs=JOBS):
    with ThreadPoolExecutor(8) as clients:
        return list(clients.map(lambda job: ask(service, "", {"job": job}), jobs))


def crash(service):
    """Kill all parts at once; who waits for an answer gets none."""
    import servers

    service.closing = True
    for part in service.parts:
        servers.kill_group(part.process)


def stamps(folder, event):
    """Return the jobs that have an event, as often as they have it."""
    lines = [line for file in folder.glob("[0-9]*.csv") for line in file.read_text().split()]
    return sorted(line.split(",")[1] for line in lines if line.startswith(f"{event},"))


@pytest.mark.parametrize("name", ["lean", "celery", "overbuilt"])
def test_24_jobs_in_and_24_done_once_each_and_stored(name, run, tmp_path):
    """The same jobs have the same results in all three: the work is drawn from seed and name."""
    with run(name) as service:
        answers = post_all(service)
        stored = ask(service, "/7")
        unknown = ask(service, "/no-such-job")

    from services import shared

    expected = [round(shared.work_s("5", job) * 1e6) for job in JOBS]
    assert [status for status, _ in answers] == [200] * len(JOBS)
    assert [answer["worked_us"] for _, answer in answers] == expected
    assert stored == answers[7]
    assert unknown[0] == 404
    for event in ("arrived", "started", "ended", "200"):
        assert stamps(tmp_path, event) == sorted(JOBS)


@pytest.mark.parametrize("name", ["lean", "celery", "overbuilt"])
def test_the_65th_unfinished_job_is_refused(name, run, tmp_path):
    """Every job takes 50 times as long, so few are done before all have asked."""
    with run(name, slow=50.0) as service, ThreadPoolExecutor(72) as clients:
        for job in range(72):
            clients.submit(ask, service, "", {"job": str(job)})
        deadline = time.monotonic() + 20
        while len(stamps(tmp_path, "arrived")) < 72 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        refused, accepted = stamps(tmp_path, "503"), stamps(tmp_path, "queued")
        crash(service)

    assert 0 < len(refused) <= 72 - 64
    assert len(refused) + len(accepted) == 72
    assert set(accepted).isdisjoint(refused)


def test_a_killed_worker_of_the_overbuilt_service_loses_no_job(run, tmp_path):
    """It acknowledges after the work, so the broker hands its job to another."""
    with run("overbuilt", slow=10.0) as service:
        worker = service.part("worker-1").process.pid
        answers = []
        asking = threading.Thread(target=lambda: answers.extend(post_all(service)))
        asking.start()
        while not (tmp_path / f"{worker}.csv").read_text().rpartition("started,")[1]:
            time.sleep(0.01)
        os.kill(worker, signal.SIGKILL)
        asking.join(60)

    assert [status for status, _ in answers] == [200] * len(JOBS)
    assert set(stamps(tmp_path, "ended")) == set(JOBS)
    assert len(stamps(tmp_path, "started")) == len(JOBS) + 1


def test_whoever_waits_while_redis_is_restarted_is_answered(run, tmp_path):
    """What was told while nobody listened is looked up; its store is on disk."""
    with run("overbuilt", slow=10.0) as service:
        answers = []
        asking = threading.Thread(target=lambda: answers.extend(post_all(service)))
        asking.start()
        while len(stamps(tmp_path, "started")) < 6:
            time.sleep(0.01)
        service.kill("redis")
        asking.join(60)

    assert [status for status, _ in answers] == [200] * len(JOBS)


def test_jobs_accepted_by_the_lean_service_outlive_it(run, tmp_path):
    """What the table holds unfinished is done by the next process."""
    with run("lean", slow=20.0) as service:
        with ThreadPoolExecutor(8) as clients:
            asked = [clients.submit(ask, service, "", {"job": job}) for job in JOBS[:8]]
            while len(stamps(tmp_path, "queued")) < 8:
                time.sleep(0.01)
            service.kill("service")
            assert all(isinstance(each.exception(20), OSError) for each in asked)
        deadline = time.monotonic() + 30
        while set(stamps(tmp_path, "ended")) != set(JOBS[:8]) and time.monotonic() < deadline:
            time.sleep(0.1)

    assert set(stamps(tmp_path, "ended")) == set(JOBS[:8])


def test_a_stored_job_of_the_overbuilt_service_can_be_replayed(run, tmp_path):
    with run("overbuilt") as service:
        first = ask(service, "", {"job": "7"})
        again = ask(service, "/7/replay", {})

    assert again == first
    assert stamps(tmp_path, "ended") == ["7", "7"]
