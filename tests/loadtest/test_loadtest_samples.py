"""Real files of real tools, against facts computed by an independent program.

The files are other people's and stay outside the repository; without them these tests skip.
Facts and conventions are in the samples' MANIFEST.md; every ``statistics.json`` is JMeter's own.
"""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from toolkit.errors import LoadTestError
from toolkit.loadtest import read_loadtest, statistics

SAMPLES = Path(__file__).parents[3] / "shared" / "loadtest_samples"

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no load-test samples at {SAMPLES}")


def _facts():
    """Return {file: facts} of every JMeter and Gatling sample."""
    if not SAMPLES.is_dir():
        return {}
    manifest = (SAMPLES / "MANIFEST.md").read_text(encoding="utf-8")
    entry = re.compile(
        r"^## ((?:jmeter|gatling)/\S+)\n(?:(?!^## ).*\n)*?```json\n(.*)\n```", re.MULTILINE
    )
    return {name: json.loads(facts) for name, facts in entry.findall(manifest)}


FACTS = _facts()
READ = sorted(name for name, fact in FACTS.items() if "n" in fact and fact.get("kind") != "binary")
REFUSED = sorted(set(FACTS) - set(READ))
ORACLES = {
    "jmeter/jmeter_cashi.jtl": "jmeter/jmeter_cashi.oracle.statistics.json",
    "jmeter/jmeter_demotm.jtl": "jmeter/jmeter_demotm.oracle.statistics.json",
    "jmeter/jmeter_lumia.jtl": "jmeter/jmeter_lumia.oracle.statistics.json",
    "jmeter/jmeter_puma.jtl": "jmeter/jmeter_puma.oracle.statistics.json",
    "jmeter/jmeter_htmlreport.csv": "jmeter/jmeter_htmlreport.jmeter55.statistics.json",
    "generated/jmeter55_default.jtl": "generated/jmeter55_default.statistics.json",
}


def _millis(time):
    return time.value // 10**6


def test_the_manifest_was_understood():
    """A pattern that finds nothing would make every test below pass."""
    assert len(READ) == 20
    assert len(REFUSED) == 9


@pytest.mark.parametrize("name", READ)
def test_a_real_file_has_the_facts_that_another_program_found(name):
    """Count, errors, moments, percentiles of both kinds, and the window of time."""
    fact = FACTS[name]
    fact = {**fact, **fact.get("without_controllers", {})}
    test = read_loadtest(SAMPLES / name)
    total = statistics(test, percentiles=(50, 95, 99)).loc["Total"]
    weibull = statistics(test, percentiles=(50, 90, 95, 99), estimator="weibull").loc["Total"]

    assert (total["count"], total["errors"]) == (fact["n"], fact["errors"])
    for ours, theirs in {"mean_ms": "mean", "std_ms": "std_pop"}.items():
        assert total[ours] == pytest.approx(fact[theirs], abs=5e-4)  # rounded in the manifest
    for ours in ("min", "max", "p50", "p95", "p99"):
        assert total[f"{ours}_ms"] == pytest.approx(fact[ours], rel=1e-12)
    for p in (50, 90, 95, 99):
        assert weibull[f"p{p}_ms"] == pytest.approx(fact[f"p{p}_w"], rel=1e-12)
    assert _millis(test.samples["start"].min()) == fact["min_start"]
    assert _millis(test.samples["end"].max()) == fact["max_end"]


@pytest.mark.parametrize("name", [name for name in READ if name.startswith("jmeter")])
def test_a_real_jtl_has_its_labels_and_controllers(name):
    """What the file is made of, beside how long it took."""
    fact, test = FACTS[name], read_loadtest(SAMPLES / name)

    assert test.requests["label"].nunique() == fact["labels"]
    assert test.requests["is_controller"].sum() == fact.get("controllers", 0)


@pytest.mark.parametrize("name", [name for name in READ if name.startswith("gatling")])
def test_a_real_gatling_log_has_its_names_users_and_version(name):
    """The users' window and Gatling's own rate follow from the same lines."""
    fact, test = FACTS[name], read_loadtest(SAMPLES / name)

    assert test.version == fact["run"][-1].replace("2.0", "2.x")
    names = test.samples[["group", "label"]].drop_duplicates()
    assert len(names) == fact["names"]
    events = test.users["event"].value_counts()
    assert events.get("start", 0) == fact["users_start"]
    assert events.get("end", 0) == fact["users_end"]
    times = pd.concat([test.users["time"], test.samples["start"], test.samples["end"]])
    assert _millis(times.min()) == fact["window_start"]
    assert _millis(times.max()) == fact["window_end"]
    if fact["first_error"]:
        assert fact["first_error"] in test.samples["message"].tolist()


@pytest.mark.parametrize("name", ORACLES)
def test_jmeters_own_dashboard_agrees(name):
    """Every row that is no controller, and the total, to float rounding."""
    oracle = json.loads((SAMPLES / ORACLES[name]).read_text(encoding="utf-8"))
    frame = statistics(read_loadtest(SAMPLES / name), estimator="weibull")

    figures = {
        "count": "sampleCount",
        "errors": "errorCount",
        "mean_ms": "meanResTime",
        "min_ms": "minResTime",
        "max_ms": "maxResTime",
        "p50_ms": "medianResTime",
        "p90_ms": "pct1ResTime",
        "p95_ms": "pct2ResTime",
        "p99_ms": "pct3ResTime",
        "throughput_per_s": "throughput",
    }
    for label, row in frame.iterrows():
        for ours, theirs in figures.items():
            if theirs in oracle[label]:  # old versions have no median
                assert row[ours] == pytest.approx(oracle[label][theirs], rel=1e-6), (label, ours)


def test_controllers_of_a_real_run_are_found():
    """320 transactions beside 640 requests: the dashboard's total is 640."""
    test = read_loadtest(SAMPLES / "generated/jmeter55_default.jtl")

    assert (len(test.requests), len(test.samples)) == (960, 640)
    assert test.warnings == ()


def test_a_real_run_of_jmeter_2_13_is_recognised_without_header():
    """Twelve columns and no names."""
    test = read_loadtest(SAMPLES / "generated/jmeter213_default.jtl")

    assert (len(test.requests), len(test.samples)) == (960, 640)
    assert "2.12 and 2.13" in test.warnings[0]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_yet_is_refused_by_name(name):
    """XML and binary files are known; the message says what to do instead."""
    with pytest.raises(LoadTestError, match="not supported yet; "):
        read_loadtest(SAMPLES / name)


def test_other_tools_files_are_refused_without_a_traceback():
    """No file of any kind may end in an error that is not ours."""
    others = ("k6", "locust", "wrk", "wrk2", "hdr")
    files = [path for folder in others for path in (SAMPLES / folder).iterdir()]

    assert files
    for path in files:
        with pytest.raises(LoadTestError, match="in no format that can be read"):
            read_loadtest(path)
