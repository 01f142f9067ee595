"""tsung's dump of requests: taken apart whatever the URL holds, and tsung's own sums agree."""

import re
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.errors import LoadTestError
from toolkit.loadtest import read_loadtest

SAMPLES = Path(__file__).parent / "samples"
MEASURED = Path(__file__).parents[2] / "data" / "http-pool" / "rate-060.jtl"
HEADER = "#date;pid;id;http method;host;URL;HTTP status;size;duration;transaction;match;error;tag\n"
T0 = 1_795_545_023_140_605  # µs
SILENT = "no connection or timed out"
"""What is in the warnings of every dump, as no dump can tell it."""


def row(**cells):
    """Return a line as tsung writes it; keywords replace cells by their name in the header."""
    usual = {
        "date": T0 / 1e6,
        "pid": "<0.194.0>",
        "id": 1,
        "method": "get",
        "host": "h",
        "url": "/",
        "status": 200,
        "size": 172,
        "duration": "10.000",
        "transaction": "-",
        "match": "",
        "error": "",
        "tag": "",
    }
    assert set(cells) <= set(usual)
    return ";".join(map(str, (usual | cells).values())) + "\n"


def notes(test):
    """Return the warnings that are not about every dump."""
    return [note for note in test.warnings if SILENT not in note]


# digits are left out, as only "status;size;duration" could be taken for the end of a URL
texts = st.text(st.sampled_from("aé/?=&%;\"'#, "), max_size=12)
words = st.text(st.sampled_from("aé_\"'"), max_size=6)
durations_us = st.integers(0, 10**10)
drawn = st.fixed_dictionaries(
    {
        "end_us": st.integers(10**15, 2**32 * 10**6),  # later floats of seconds are too coarse
        "elapsed_us": durations_us,
        "method": st.sampled_from(["get", "post", "head", "put"]),
        "url": texts,
        "status": st.integers(200, 599) | st.just("error_no_http_status"),
        "size": st.integers(0, 2**40),
        "id": st.integers(1, 10**6),
        "transaction": st.just("-") | words.map("tr_{}".format),
        "match": st.sampled_from(["", "match", "nomatch"]),
        "error": st.just("") | st.sampled_from(["error_http_bad_content_length"]),
        "tag": texts,
    }
)


@given(requests=st.lists(drawn, min_size=1, max_size=8), header=st.booleans())
@settings(max_examples=120, deadline=None)
def test_requests_come_back_as_they_were_written(requests, header):
    """URLs and tags with semicolons, dates to the microsecond, with a header or without."""
    lines = []
    for request in requests:
        cells = {k: v for k, v in request.items() if not k.endswith("_us")}
        date, duration = request["end_us"] / 1e6, f"{request['elapsed_us'] / 1000:.3f}"
        lines.append(row(date=date, duration=duration, **cells))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tsung.dump"
        path.write_bytes((HEADER * header + "".join(lines)).encode())
        test = read_loadtest(path)

    frame, columns = test.requests, pd.DataFrame(requests)
    assert (test.tool, test.version) == ("tsung", None)
    assert (frame["end"].astype("int64") // 1000).tolist() == columns["end_us"].tolist()
    lasted_ns = (frame["end"] - frame["start"]).astype("timedelta64[ns]").astype("int64")
    assert lasted_ns.tolist() == [1000 * us for us in columns["elapsed_us"]]
    for name, cells in {"bytes": "size", "code": "status", "thread": "id"}.items():
        assert frame[name].astype("str").tolist() == columns[cells].astype("str").tolist()
    for ours, theirs in zip(frame.to_dict("records"), requests, strict=True):
        assert ours["label"] == (theirs["tag"] or f"{theirs['method'].upper()} {theirs['url']}")
        assert ours["group"] == theirs["transaction"].removeprefix("-")
        assert ours["message"] == (theirs["error"] or theirs["match"])
        good = theirs["status"] in range(200, 400) and not theirs["error"]
        assert ours["success"] == good


def test_a_line_becomes_a_request(write):
    """The date is the end of the request, and the start lies a duration before it."""
    test = read_loadtest(write(HEADER + row(duration="2.605", tag="basket", transaction="tr_buy")))
    only = test.requests.iloc[0]

    assert only["end"] == pd.Timestamp("2026-11-24 18:30:23.140605", tz="UTC")
    assert only["start"] == pd.Timestamp("2026-11-24 18:30:23.138", tz="UTC")
    assert (only["elapsed_ms"], only["bytes"], only["thread"]) == (2.605, 172, "1")
    assert (only["label"], only["group"], only["code"]) == ("basket", "tr_buy", "200")
    assert notes(test) == []
    assert len(test.warnings) == 1


@pytest.mark.parametrize("date", ["1.8e9", "1795545000.0", "1.795545e9"])
def test_a_round_date_may_be_written_with_an_exponent(write, date):
    """Erlang prints whichever is shorter, and without a header it is what the file begins with."""
    test = read_loadtest(write(row(date=date)))

    assert test.requests["end"].iloc[0] == pd.Timestamp(float(date), unit="s", tz="UTC")


def test_tsung_summed_up_the_same_run():
    """Count, mean, extremes, bytes and codes against the last lines of its own log."""
    said = {
        name: figures.split()
        for name, figures in re.findall(
            r"^stats: (\w+) (.*)$", (SAMPLES / "tsung.log").read_text(), re.MULTILINE
        )
    }
    frame = read_loadtest(SAMPLES / "tsung.dump").requests

    most, least, mean, count = map(float, said["request"][-4:])
    assert len(frame) == count
    assert frame["elapsed_ms"].agg(["max", "min"]).tolist() == [most, least]
    assert frame["elapsed_ms"].mean() == pytest.approx(mean, rel=1e-9)
    assert frame["bytes"].sum() == int(said["size_rcv"][-1])
    assert frame["thread"].nunique() == int(said["page"][-1])  # each user asks for one page
    codes = {code: int(figures[-1]) for code, figures in said.items() if code.isdigit()}
    none = {"error_no_http_status": len(frame) - sum(codes.values())}
    assert frame["code"].value_counts().to_dict() == codes | none
    wrong = frame[frame["message"] == "error_http_bad_content_length"]
    assert len(wrong) == int(said["error_http_bad_content_length"][-1])
    assert not wrong["success"].any()
    assert (wrong["code"] == "200").all()
    transaction = frame[frame["group"] == "tr_buy"]
    assert transaction["thread"].nunique() == int(said["tr_buy"][-1])
    assert {"basket", "GET /item;jsessionid=7?a=b"} == set(transaction["label"])


def test_the_refused_connections_are_in_no_line():
    """So the warning about them is in every test: this run had four attempts refused."""
    said = (SAMPLES / "tsung.log").read_text()
    test = read_loadtest(SAMPLES / "tsung.dump")

    assert re.findall(r"error_connect_econnrefused \d+ (\d+)", said)[-1] == "4"
    assert "econnrefused" not in (SAMPLES / "tsung.dump").read_text()
    assert SILENT in test.warnings[0]


def test_what_a_match_means_is_left_open(write):
    """A scenario may look for a word that must be there, or for one that must not."""
    test = read_loadtest(write(HEADER + row(match="nomatch") + row(match="match")))

    assert test.requests["success"].tolist() == [True, True]
    assert test.requests["message"].tolist() == ["nomatch", "match"]
    assert len(notes(test)) == 1
    assert "known to the scenario only" in notes(test)[0]


def test_a_local_dump_has_no_header_and_no_errors():
    """The plan is that of the other sample, and there the long answers are errors."""
    test = read_loadtest(SAMPLES / "tsung-local.dump")

    assert len(test.requests) == 27
    assert any("protocol_local" in note for note in test.warnings)
    assert not test.requests["message"].str.contains("error").any()


def test_two_dumps_in_one_file_are_said_aloud(write):
    """Each run has a folder of its own, and people join them by hand."""
    test = read_loadtest(write((HEADER + row()) * 2))

    assert len(test.requests) == 2
    assert notes(test) == ["there are 2 header lines instead of one: read as one test"]


@pytest.mark.parametrize("name", ["tsung.log", "tsung-json.log", "tsung-light.dump"])
@pytest.mark.parametrize("tool", ["auto", "tsung"])
def test_tsungs_other_files_are_refused_with_the_setting_to_use(name, tool):
    """There is no way back from sums of ten seconds to requests."""
    with pytest.raises(LoadTestError) as caught:
        read_loadtest(SAMPLES / name, tool=tool)

    message = str(caught.value)
    assert 'set dumptraffic="protocol" in the <tsung> tag' in message
    assert ("tsung.log, which sums up every 10 s" in message) == name.endswith(".log")


@pytest.mark.parametrize("cut", [1, 17, 30, 60, 80, 88])
def test_a_last_line_cut_short_is_dropped_and_named(write, cut):
    """It is written in blocks, so a killed tsung ends in the middle of a line."""
    half = row(url="/item;x=1", tag="a tag, as long as can be, for a line of some length")[:cut]
    assert len(half) == cut
    test = read_loadtest(write(HEADER + row() + row() + half))

    assert len(test.requests) == 2
    assert notes(test) == ["line 4: the last line is cut short and was dropped"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (row(duration="fast"), "line 4: duration must be a number of ms .*got 'fast'"),
        (row(duration="-1.0"), "line 4: duration must be .*got '-1.0'"),
        (row(size="big"), "line 4: size must be a whole number >= 0, got 'big'"),
        (row(status="OK"), "line 4: HTTP status must be a status of three digits .*got 'OK'"),
        (row(date="soon"), "line 4: date must be seconds since the epoch .*got 'soon'"),
        (row(date=T0), "line 4: date must be seconds"),
        (row()[20:], "line 4: a line must have 13 cells"),
        (row(url="/a;b", duration="fast"), "line 4: a line must have 13 cells"),
        (row(url="/a;b").replace(";172", ""), "line 4: HTTP status must be .*got 'b'"),
        ("#date;pid;id\n", "line 4: the columns must be those of tsung 1.7"),
    ],
)
def test_a_bad_line_is_named_with_its_number(write, line, message):
    """The user must be able to look at it; header and blank lines count."""
    with pytest.raises(LoadTestError, match=message):
        read_loadtest(write(HEADER + row() + "\n" + line + row()))


def test_a_dump_without_requests_is_no_test(write):
    """Such a dump is all that tsung writes for XMPP, databases and everything but HTTP."""
    with pytest.raises(LoadTestError, match="no request; did the test run"):
        read_loadtest(write(HEADER))


def test_the_same_requests_have_the_same_fit(write):
    """A recording of JMeter's, written as tsung would."""
    theirs = read_loadtest(MEASURED)
    lines = [
        row(
            date=(start.value // 1000 + round(1000 * ms)) / 1e6,
            duration=f"{ms:.3f}",
            status=200 if success else 500,
            id=user,
        )
        for user, (start, ms, success) in enumerate(
            theirs.samples[["start", "elapsed_ms", "success"]].itertuples(index=False), start=1
        )
    ]
    ours = read_loadtest(write(HEADER + "".join(lines)))

    assert tk.fit(ours).design == tk.fit(theirs).design


def test_a_fit_of_the_sample_doubts_its_workers():
    """A hundred easy requests cannot show how many workers there are, and the fit says so."""
    fitted = tk.fit(read_loadtest(SAMPLES / "tsung.dump"))

    assert any("too few to tell" in warning for warning in fitted.warnings)
