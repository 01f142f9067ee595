"""h2load's log: every microsecond arrives, and what h2load printed about its run agrees."""

import re
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.errors import LoadTestError
from toolkit.loadtest import read_loadtest, statistics

SAMPLES = Path(__file__).parent / "samples"
MEASURED = Path(__file__).parents[2] / "data" / "http-pool" / "rate-060.jtl"
T0 = 1_795_545_023_140_605  # µs
SILENT = ("no sizes", "no answer", "coordinated omission")
"""What is in the warnings of every log, as no log can tell it."""

requests = st.tuples(
    st.integers(10**15, 9 * 10**15), st.just(-1) | st.integers(200, 599), st.integers(0, 10**10)
)


def log(*rows):
    """Write rows as h2load does: TAB between the cells, a line feed behind each row."""
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def notes(test):
    """Return the warnings that are not about every log."""
    return [note for note in test.warnings if not any(words in note for words in SILENT)]


@given(rows=st.lists(requests, min_size=1, max_size=8), line_end=st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=80, deadline=None)
def test_requests_come_back_as_they_were_written(rows, line_end):
    """Times are whole microseconds, and nothing may be lost on the way through floats."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.tsv"
        path.write_bytes(log(*rows).replace("\n", line_end).encode())
        test = read_loadtest(path)

    frame, (start_us, status, elapsed_us) = test.requests, zip(*rows, strict=True)
    assert (test.tool, test.version, notes(test)) == ("h2load", None, [])
    assert frame["start"].astype("int64").tolist() == [1000 * us for us in start_us]
    lasted_ns = (frame["end"] - frame["start"]).astype("timedelta64[ns]").astype("int64")
    assert lasted_ns.tolist() == [1000 * us for us in elapsed_us]
    assert frame["elapsed_ms"].tolist() == [us / 1000 for us in elapsed_us]
    assert frame["code"].tolist() == [str(code) for code in status]
    assert frame["success"].tolist() == [200 <= code < 400 for code in status]


def test_a_line_becomes_a_request(write):
    """What the log does not say is absent or said to be a guess."""
    test = read_loadtest(write(log((T0, 200, 1500))))
    row = test.requests.iloc[0]

    assert row["start"] == pd.Timestamp("2026-11-24 18:30:23.140605", tz="UTC")
    assert row["end"] == pd.Timestamp("2026-11-24 18:30:23.142105", tz="UTC")
    assert (row["elapsed_ms"], row["label"], row["code"]) == (1.5, "request", "200")
    assert {"bytes", "thread", "message", "group"}.isdisjoint(test.requests)
    assert all(any(words in note for note in test.warnings) for words in SILENT)


@pytest.mark.parametrize("name", ["rps", "reset"])
def test_h2load_said_the_same_about_its_run(name):
    """Counts exactly; times to the digits that it prints, and without resets as it takes them."""
    said = (SAMPLES / f"h2load-{name}.txt").read_text()
    total, good, bad, errored = map(
        int,
        re.search(
            r"requests: (\d+) total.* (\d+) succeeded, (\d+) failed, (\d+) errored", said
        ).groups(),
    )
    test = read_loadtest(SAMPLES / f"h2load-{name}.tsv")
    frame = test.requests

    assert len(frame) == total
    assert (frame["success"].sum(), (~frame["success"]).sum()) == (good, bad)
    assert (frame["code"] == "-1").sum() == errored
    answered_ms = frame["elapsed_ms"][frame["code"] != "-1"]
    times = re.search(r"time for request: +(\S+) +(\S+) +(\S+)", said).groups()
    for ours, text in zip(answered_ms.agg(["min", "max", "mean"]), times, strict=True):
        number, unit = re.fullmatch(r"([\d.]+)(us|ms)", text).groups()
        digit = {"us": 1e-3, "ms": 1e-2}[unit]  # h2load cuts or rounds the digits behind it
        assert ours == pytest.approx(float(number) * {"us": 1e-3, "ms": 1}[unit], abs=digit)


def test_the_samples_have_failures_of_every_kind():
    """Otherwise the test above would show little."""
    codes = {
        code
        for name in ("rps", "reset")
        for code in read_loadtest(SAMPLES / f"h2load-{name}.tsv").requests["code"]
    }

    assert codes == {"-1", "200", "302", "404", "500"}


def test_columns_that_a_later_h2load_may_add_are_left_alone(write):
    """Its manual promises some."""
    test = read_loadtest(write(log((T0, 200, 10, "new"), (T0, 200, 20, "new"))))

    assert test.requests["elapsed_ms"].tolist() == [0.01, 0.02]


@pytest.mark.parametrize("cut", [1, 16, 17, 20, 21, 24])
def test_a_last_line_cut_short_is_dropped_and_named(write, cut):
    """Half a duration looks like a shorter one, so no unfinished line is kept."""
    test = read_loadtest(write(log((T0, 200, 10), (T0, 200, 20)) + log((T0, 200, 9876))[:cut]))

    assert test.requests["elapsed_ms"].tolist() == [0.01, 0.02]
    assert notes(test) == ["line 3: the last line is cut short and was dropped"]


def test_nothing_but_half_a_line_is_no_test(write):
    """There is nothing left to compute from."""
    with pytest.raises(LoadTestError, match="no complete line"):
        read_loadtest(write(f"{T0}\t200\t98"), tool="h2load")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((T0, 200), "line 4: duration must be a whole number of microseconds .*got ''"),
        ((T0, 200, -5), "line 4: duration must be .*got '-5'"),
        ((T0, 200, 1.5), "line 4: duration must be .*got '1.5'"),
        ((T0, "OK", 10), "line 4: status must be -1 or a status of three digits, got 'OK'"),
        ((T0, -2, 10), "line 4: status must be .*got '-2'"),
        ((T0 // 1000, 200, 10), r"line 4: start must be microseconds .*got '1795545023140'"),
        ((f"{T0}{T0}", 200, 10), "line 4: start must be microseconds"),
        (("soon", 200, 10), "line 4: start must be .*got 'soon'"),
    ],
)
def test_a_bad_line_is_named_with_its_number(write, row, message):
    """The user must be able to look at it; blank lines count."""
    text = log((T0, 200, 10), (T0, 200, 10)) + "\n" + log(row, (T0, 200, 10))

    with pytest.raises(LoadTestError, match=message):
        read_loadtest(write(text))


def test_the_same_requests_have_the_same_fit(write):
    """A recording of JMeter's, written as h2load would: labels and sizes are no part of a fit."""
    theirs = read_loadtest(MEASURED)
    frame = theirs.samples
    start_us = frame["start"].astype("int64") // 1000
    rows = zip(start_us, frame["success"].map({True: 200, False: 500}), frame["elapsed_ms"], strict=True)  # fmt: skip
    ours = read_loadtest(write(log(*((us, code, round(1000 * ms)) for us, code, ms in rows))))

    assert tk.fit(ours).design == tk.fit(theirs).design


def test_a_fit_says_why_it_cannot_be_made():
    """Sixty requests are too few, whichever tool sent them."""
    with pytest.raises(LoadTestError, match="needs at least 100 requests, this test has 60"):
        tk.fit(read_loadtest(SAMPLES / "h2load-rps.tsv"))


def test_statistics_have_one_label(write):
    """The table of a log without names is its total."""
    table = statistics(read_loadtest(write(log((T0, 200, 1000), (T0, 404, 3000)))))

    assert table.index.tolist() == ["request", "Total"]
    assert table["mean_ms"].tolist() == [2, 2]
