"""The data sets are what their datasheets say."""

import gzip
import hashlib
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

DATA = Path(__file__).parents[2] / "data"
POOL = DATA / "http-pool"
RATES = (60, 120, 160)
WORKERS = 4
SETS = sorted(path for path in DATA.iterdir() if path.is_dir() and path.name != "collect")


def manifest():
    """Return the checksums by relative path."""
    lines = (DATA / "MANIFEST.sha256").read_text(encoding="utf-8").splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def client(rate):
    return pd.read_csv(
        POOL / f"rate-{rate:03d}.jtl", dtype={"responseCode": str}, keep_default_na=False
    )


def server(rate):
    with gzip.open(POOL / f"server-{rate:03d}.csv.gz", "rt") as file:
        return pd.read_csv(file).cumsum(axis=1)[["arrived_us", "wait_us", "work_us", "reply_us"]]


def datasheet_row(name):
    """Return the cells of a row of the datasheet's table of facts, a cell a rate."""
    text = (POOL / "README.md").read_text(encoding="utf-8").partition("## Facts")[2]
    cells = re.search(rf"^\| {re.escape(name)} \|(.+)\|$", text, re.MULTILINE)[1]
    return dict(zip(RATES, (cell.strip() for cell in cells.split("|")), strict=True))


@pytest.fixture(scope="module")
def pool_facts():
    """Import the program that wrote the datasheet's tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DATA / "collect"))
        import http_pool_facts

        yield http_pool_facts


def test_every_file_is_the_one_in_the_manifest():
    """A data file which changed unseen would change every conclusion drawn from it."""
    changed = [
        path
        for path, digest in manifest().items()
        if hashlib.sha256((DATA / path).read_bytes()).hexdigest() != digest
    ]

    assert changed == []


def test_every_data_file_is_in_the_manifest():
    """What has no checksum can't be trusted either."""
    files = {
        path.relative_to(DATA).as_posix()
        for folder in SETS
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".md"
    }

    assert files == set(manifest())


@pytest.mark.parametrize("folder", SETS, ids=lambda path: path.name)
def test_a_datasheet_says_whether_its_data_are_measured_simulated_or_invented(folder):
    """The three are different words, and a reader must know which one holds."""
    text = (folder / "README.md").read_text(encoding="utf-8")

    assert re.search(r"\b(measured|simulated|invented)\b", text, re.IGNORECASE)
    assert re.search(r"licen[cs]e", text, re.IGNORECASE)


@pytest.mark.parametrize("folder", SETS, ids=lambda path: path.name)
def test_the_index_has_a_line_for_every_set(folder):
    assert f"({folder.name}/README.md)" in (DATA / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("rate", RATES)
def test_the_datasheet_counts_the_rows_and_names_the_label(rate):
    seen = client(rate)

    assert len(seen) == int(datasheet_row("requests")[rate]) == len(server(rate))
    assert set(seen["label"]) == {datasheet_row("label")[rate]}
    assert (seen["responseCode"] == "200").all()
    assert seen.shape[1] == 17


def test_the_datasheet_has_the_facts_the_program_prints(pool_facts):
    """Numbers in prose that nobody computes again are wrong one day."""
    table = pool_facts.facts_table(pool_facts.load_all(POOL))

    assert table in (POOL / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("rate", RATES)
def test_arrivals_are_nearly_poisson(rate):
    """Open means open: no arrival waited for a thread, so counts scatter as Poisson counts do."""
    start_s = np.sort(client(rate)["timeStamp"].to_numpy()) / 1000
    counts = np.bincount((start_s - start_s[0]).astype(int))[:-1]
    sampling_error = math.sqrt(2 / (len(counts) - 1))  # of a variance, in units of the variance

    assert counts.mean() == pytest.approx(rate, rel=0.02)
    assert counts.var(ddof=1) / counts.mean() == pytest.approx(1, abs=4 * sampling_error)


@pytest.mark.parametrize("rate", RATES)
def test_gaps_between_arrivals_scatter_like_exponential_ones(rate):
    """The second sign of Poisson; stalls of the load generator itself are allowed a little."""
    gaps = np.diff(server(rate)["arrived_us"])

    assert gaps.var() / gaps.mean() ** 2 == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("rate", RATES)
def test_work_starts_in_the_order_of_arrival(rate):
    """First in, first out, but for two workers who read their clocks crosswise."""
    started = server(rate)["wait_us"]

    assert (started.cummax() - started).quantile(0.999) < 1000


@pytest.mark.parametrize("rate", RATES)
def test_never_more_jobs_in_service_than_workers_and_sometimes_all(rate):
    seen = server(rate)
    changes = pd.concat([pd.Series(1, index=seen["wait_us"]), pd.Series(-1, index=seen["work_us"])])

    assert changes.sort_index(kind="stable").groupby(level=0).sum().cumsum().max() == WORKERS


@pytest.mark.parametrize("rate", RATES)
def test_no_request_overtakes_more_others_than_a_pool_of_four_allows(rate, pool_facts):
    """Whoever starts finds three others in service at most, and everybody earlier has started."""
    seen = server(rate)
    start, end = (seen[name].to_numpy(dtype=float) for name in ("arrived_us", "work_us"))

    assert pool_facts.most_overtaken(start, end) == WORKERS - 1


def test_a_queue_that_is_not_fifo_would_be_noticed(pool_facts):
    """The last of six leaves first, having overtaken five."""
    start = np.arange(6.0)

    assert pool_facts.most_overtaken(start, np.array([20.0, 20, 20, 20, 20, 6])) == 5


@pytest.mark.parametrize("rate", RATES)
def test_the_client_adds_less_than_two_milliseconds(rate):
    """So that the file shows the service, and not JMeter."""
    seen = server(rate)
    sojourn_ms = (seen["reply_us"] - seen["arrived_us"]) / 1000

    assert 0 < client(rate)["elapsed"].mean() - sojourn_ms.mean() < 2


def test_a_job_waits_for_the_worker_that_is_free_first(pool_facts):
    """Two workers, by hand: the third job finds both busy and waits until 3."""
    sojourns = pool_facts.sojourns(np.array([0.0, 0, 1]), np.array([3.0, 4, 1]), workers=2)

    assert sojourns.tolist() == [3, 4, 3]


@pytest.mark.slow
@pytest.mark.parametrize("rate", RATES)
def test_four_workers_and_the_known_law_predict_the_percentiles(rate, pool_facts):
    """What the set is for: a queue on paper foretells a real service within 15%."""
    seen = pool_facts.load_all(POOL)
    overhead_s = np.median(pool_facts.client_overhead_ms(seen[60])) / 1000
    predicted = pool_facts.predicted(seen[rate], overhead_s).mean(axis=0)
    measured = np.percentile(seen[rate].client["elapsed"], pool_facts.PERCENTILES)

    assert measured == pytest.approx(predicted, rel=0.15)
