"""The data set lean-overbuilt holds what its datasheet says, and its two records agree."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).parents[2] / "data" / "lean-overbuilt"
RUNS = pd.read_csv(FOLDER / "runs.csv").set_index("run", drop=False)
QUIET = sorted(RUNS.index[RUNS["action"].isna()])
JMETER = sorted(RUNS.index[RUNS["tool"] == "jmeter"])
STEADY = sorted(RUNS.index[RUNS["scenario"].str.startswith("steady")])
SERVICES = ("lean", "celery", "overbuilt")


@pytest.fixture(scope="module")
def facts():
    """Import the program that wrote the datasheet's tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER.parent / "collect"))
        import lean_overbuilt_facts

        yield lean_overbuilt_facts


@pytest.fixture(scope="module")
def collect():
    """Import the program that measured."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER.parent / "collect"))
        import collect_lean_overbuilt

        yield collect_lean_overbuilt


@pytest.mark.parametrize("table", ["load_table", "outage_table", "parts_table"])
def test_the_datasheet_has_the_tables_that_the_program_prints(table, facts):
    """Numbers in prose that nobody computes again are wrong one day."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")

    assert getattr(facts, table)(FOLDER) in text


def test_parts_are_counted_from_the_sources_as_they_are(facts):
    """Whoever changes a service changes what it is made of."""
    stored = pd.read_csv(FOLDER / "parts.csv")

    pd.testing.assert_frame_equal(facts.parts(), stored)


def test_a_line_of_code_is_no_comment_no_docstring_and_not_blank(facts, tmp_path, monkeypatch):
    text = '"""Doc\n\nmore."""\n\n# why\nx = f(  # here\n    """a\nb"""\n)\n\ndef g():\n    """Doc."""\n'
    (tmp_path / "program.py").write_text(text)
    monkeypatch.setattr(facts, "SOURCES", tmp_path)

    assert facts.lines_of_code("program") == 5


def test_every_run_has_its_files_and_every_file_its_run():
    files = {path.name for path in FOLDER.iterdir()} - {"README.md", "runs.csv", "parts.csv"}

    assert files == set(RUNS["file"]) | set(RUNS["truth"])


def test_every_run_that_can_be_measured_was(collect):
    """What is missing from the data is named in the datasheet."""
    missing = {run.name for run in collect.all_runs()} - set(RUNS.index)
    text = (FOLDER / "README.md").read_text(encoding="utf-8")

    assert [name for name in missing if f"`{name}` was not measured" not in text] == []


@pytest.mark.parametrize("name", QUIET)
def test_what_was_asked_is_what_arrived(name, facts):
    """Where nothing died, both records hold the same requests with the same answers."""
    client, truth = (
        facts.load_client(FOLDER, RUNS.loc[name]),
        facts.load_truth(FOLDER, RUNS.loc[name]),
    )

    assert len(client) == len(truth) == RUNS.loc[name, "arrived"]
    assert client["status"].value_counts().to_dict() == (
        truth["status"].astype(str).value_counts().to_dict()
    )


@pytest.mark.parametrize("name", JMETER)
def test_jmeter_and_the_service_name_the_same_jobs(name, facts):
    """A request that died on its way is in JMeter's file only."""
    client, truth = (
        facts.load_client(FOLDER, RUNS.loc[name]),
        facts.load_truth(FOLDER, RUNS.loc[name]),
    )

    assert set(truth["job"]) <= set(client["job"])
    assert client["job"].is_unique
    assert truth["job"].is_unique
    both = client.merge(truth.dropna(subset="status"), on="job", suffixes=("_seen", "_true"))
    got_through = both[both["status_seen"].str.isdigit()]
    assert (got_through["status_seen"].astype(int) == got_through["status_true"]).all()


@pytest.mark.parametrize("name", JMETER)
def test_an_answer_takes_the_client_as_long_as_the_service_and_little_more(name, facts):
    """So that the file shows the service, and not JMeter."""
    client, truth = (
        facts.load_client(FOLDER, RUNS.loc[name]),
        facts.load_truth(FOLDER, RUNS.loc[name]),
    )
    both = client[client["status"] == "200"].merge(truth, on="job")
    more_ms = both["elapsed_ms"] - both["answered_us"] / 1000

    # JMeter's milliseconds are cut; the service stamps after it has written, if it gets the processor
    assert more_ms.quantile(0.01) > -3
    assert 0 < more_ms.median() < 3


@pytest.mark.parametrize("name", sorted(RUNS.index))
def test_work_takes_what_was_drawn(name, facts):
    """A sleep never ends early by more than it aims early, and mostly not late."""
    late_ms = facts.lateness_ms(RUNS.loc[name], facts.load_truth(FOLDER, RUNS.loc[name]))

    assert len(late_ms) > 0
    assert late_ms.min() > -0.1
    assert np.median(late_ms) < 1


@pytest.mark.parametrize("name", sorted(RUNS.index))
def test_the_row_of_a_run_is_what_its_truth_says(name, facts):
    run, truth = RUNS.loc[name], facts.load_truth(FOLDER, RUNS.loc[name])

    assert run["refused"] == (truth["status"] == 503).sum()
    assert run["done"] == (truth["ends"] > 0).sum()
    assert run["twice"] == (truth["ends"] > 1).sum()
    assert run["lost"] == (truth["queued_us"].notna() & (truth["ends"] == 0)).sum()
    assert (
        run["done_in_window"]
        == ((truth["arrived_us"] + truth["ended_us"]) <= run["seconds"] * 1e6).sum()
    )
    parts = RUNS.loc[name].filter(regex="^cpu_.*_s$").drop("cpu_client_s").sum()
    assert run["cpu_s"] == pytest.approx(parts, abs=0.05)


@pytest.mark.parametrize("name", sorted(RUNS.index))
def test_never_more_jobs_at_work_than_slots_nor_more_accepted_than_the_limit(name, facts):
    """The same limits for all three; a kill leaves work behind that nobody counts."""
    run, truth = RUNS.loc[name], facts.load_truth(FOLDER, RUNS.loc[name])
    if run["action"] in ("kill", "replace"):
        pytest.skip("a part died or was replaced")

    assert most_at_once(truth, "started_us", "ended_us") <= 4
    assert most_at_once(truth, "queued_us", "ended_us") <= 64


def most_at_once(truth, begin, end):
    """Count how many jobs were between two stamps at most."""
    seen = truth[truth["status"] == 200].dropna(subset=[begin, end])
    begins, ends = (np.sort(seen["arrived_us"] + seen[name]) for name in (begin, end))
    at = np.arange(1, len(begins) + 1)
    return int((at - np.searchsorted(ends, begins, side="right")).max())


@pytest.mark.parametrize("rate", sorted({RUNS.loc[name, "rate_per_s"] for name in STEADY}))
def test_all_services_got_the_same_jobs_at_the_same_times(rate, facts):
    """Common random numbers: what differs is the service."""
    runs = RUNS[(RUNS["rate_per_s"] == rate) & RUNS["scenario"].str.startswith("steady")]
    starts = [
        facts.load_client(FOLDER, run).set_index("job")["start_ms"].sort_index()
        for _, run in runs.iterrows()
    ]

    assert set(runs["service"]) == set(SERVICES)
    for other in starts[1:]:
        apart_ms = other - starts[0]
        assert other.index.equals(starts[0].index)
        assert (apart_ms - apart_ms.median()).abs().quantile(0.9) <= 3


@pytest.mark.parametrize("name", STEADY)
def test_arrivals_are_poisson(name, facts):
    """Gaps scatter as exponential ones do: four standard errors of the squared coefficient."""
    gaps = np.diff(facts.load_truth(FOLDER, RUNS.loc[name])["arrived_us"])
    error = np.sqrt(8 / len(gaps))  # of the squared coefficient of variation of exponential gaps

    assert gaps.var() / gaps.mean() ** 2 == pytest.approx(1, abs=4 * error + 0.05)


def test_the_overbuilt_service_loses_no_job_to_any_crash():
    """Its strong side; so it was built."""
    crashes = RUNS[RUNS["scenario"].str.startswith("crash") & (RUNS["service"] == "overbuilt")]

    assert crashes["lost"].sum() == 0


def test_a_row_of_truth_is_made_of_stamps(collect, tmp_path):
    """By hand: job 1 is done twice, job 2 refused, a warm-up and what came before zero left out."""
    (tmp_path / "1.csv").write_text(
        "arrived,w1,900\narrived,1,1000\nqueued,1,1010\narrived,2,1500\n503,2,1520\n200,1,2400\n"
    )
    (tmp_path / "2.csv").write_text("started,1,1100\nended,1,2200\nstarted,1,2250\nended,1,2300\n")
    rows = json.loads(collect.truth(tmp_path, 1000).to_json(orient="records"))

    times = {"arrived_us": 0, "queued_us": 10, "started_us": 100, "ended_us": 1200}
    assert rows[0] == {
        "job": "1",
        **times,
        "answered_us": 1400,
        "status": 200,
        "starts": 2,
        "ends": 2,
    }
    assert rows[1]["answered_us"] == 20
    assert rows[1]["status"] == 503
    assert rows[1]["started_us"] is None
    assert len(rows) == 2
