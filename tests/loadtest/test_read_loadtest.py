"""The door: which reader gets the file, and what a file that nobody can read is told."""

import gzip
import subprocess
import sys

import pytest

import toolkit.loadtest
from toolkit.errors import LoadTestError
from toolkit.loadtest import LoadTest, read_loadtest
from toolkit.loadtest.schema import COLUMNS, tidy

T0 = 1_700_000_000_000
JTL = (
    f"timeStamp,elapsed,label,success,responseMessage\n{T0},10,a <b>,true,OK\n{T0},30,b,false,no\n"
)
GATLING = f"RUN\tSim\tsim\t{T0}\t \t3.9.5\nREQUEST\t\tHome\t{T0}\t{T0 + 5}\tOK\t \n"
H2LOAD = f"{T0}000\t200\t5000\n"
TSUNG = (
    "#date;pid;id;http method;host;URL;HTTP status;size;duration;transaction;match;error;tag\n"
    f"{T0 / 1000};<0.194.0>;1;get;h;/;200;172;5.000;-;;;\n"
)
FILES = {"jmeter": JTL, "gatling": GATLING, "h2load": H2LOAD, "tsung": TSUNG}


@pytest.mark.parametrize("tool", FILES)
@pytest.mark.parametrize("name", ["results.jtl", "simulation.log", "download (1).txt"])
def test_the_content_decides_and_not_the_name(write, tool, name):
    """Files are renamed on their way to the person who reads them."""
    content = FILES[tool]

    assert read_loadtest(write(content, name)).tool == tool
    assert read_loadtest(str(write(content, name)), tool=tool).tool == tool


@pytest.mark.parametrize("name", ["results.jtl.gz", "results.jtl"])
def test_gzip_is_unpacked_whatever_the_name(write, name):
    """Downloads lose and gain .gz."""
    assert len(read_loadtest(write(gzip.compress(JTL.encode()), name)).requests) == 2


def test_damaged_gzip_is_refused(write):
    """Half a download must not look like half a test."""
    with pytest.raises(LoadTestError, match="gzip data is damaged"):
        read_loadtest(write(gzip.compress(JTL.encode() * 100)[:-20]))


XML = '<?xml version="1.0" encoding="UTF-8"?>\n<testResults version="1.2">\n'
BINARY = b"\0\0\0\0\x063.13.5\0\0\0\0\x03Sim\0"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["empty"]),
        (" \n\n", ["empty"]),
        (gzip.compress(b"", mtime=0), ["empty"]),
        ("\ufeff" + XML, ["XML", "not supported yet", "output_format=csv"]),
        ("<testResults>", ["XML", "not supported yet"]),
        (BINARY, ["Gatling 3.13.5", "not supported yet", "3.12"]),
        (b"\x89PNG\r\n\x1a\n\0\0\0", ["binary", "89 50 4e 47", "JMeter CSV", "Gatling text"]),
        (b"\0\0\0\0\0\0\0\0\0", ["binary", "00 00"]),
        ("\nDear all,\nthe test went well\n", ["'Dear all,'", "JMeter CSV", "Gatling text"]),
        ("time,url,label\n1,2,3\n", ["'time,url,label'", "timeStamp, elapsed, success"]),
        ("1,2,3\n", ["'1,2,3'"]),
        ('{"type":"Metric"}\n', ['{"type":"Metric"}']),
    ],
)
@pytest.mark.parametrize("tool", ["auto", *FILES])
def test_a_file_of_another_kind_is_refused_in_two_lines(write, content, words, tool):
    """What was seen, what would be understood, what to do; never a traceback of pandas."""
    path = write(content)

    with pytest.raises(LoadTestError) as caught:
        read_loadtest(path, tool=tool)

    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.count("\n") <= 1
    if tool == "auto":
        assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("tool", ["gatling", "h2load", "tsung"])
def test_arguments_for_jmeter_are_refused_by_the_others(write, tool):
    """Ignoring them would look like obeying them."""
    with pytest.raises(ValueError, match=r"timestamp= and columns= are for JMeter; .* neither"):
        read_loadtest(write(FILES[tool]), timestamp="end")
    with pytest.raises(ValueError, match="are for JMeter"):
        read_loadtest(write(FILES[tool]), tool=tool, columns=["timeStamp", "elapsed"])


def test_a_jtl_is_no_gatling_log_even_when_insisted_on(write):
    """The reader's own error says what it misses."""
    with pytest.raises(LoadTestError, match="no REQUEST line"):
        read_loadtest(write(JTL), tool="gatling")


def test_a_missing_file_is_named(tmp_path):
    """The usual cause is the working directory, so the path is in the message."""
    with pytest.raises(LoadTestError, match=r"nowhere\.jtl: there is no such file"):
        read_loadtest(tmp_path / "nowhere.jtl")


def test_a_folder_is_told_apart_from_a_file(tmp_path):
    """Gatling makes a folder for each run, and it is the folder that people name."""
    with pytest.raises(LoadTestError, match="this is a folder"):
        read_loadtest(tmp_path)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"tool": "k9"}, "tool must be one of auto, jmeter, gatling, h2load, tsung, got 'k9'"),
        ({"tz": "Berlin"}, "tz must be a time zone .* got 'Berlin'"),
        ({"tz": "../etc"}, "tz must be a time zone"),
        ({"tz": ""}, "tz must be a time zone"),
        ({"timestamp": "middle"}, "timestamp must be start or end, got 'middle'"),
    ],
)
def test_a_wrong_argument_is_a_value_error(write, argument, message):
    """It is the program's mistake and not the file's."""
    with pytest.raises(ValueError, match=message):
        read_loadtest(write(JTL), **argument)


@pytest.mark.parametrize("content", FILES.values())
def test_the_frame_keeps_the_order_and_types_of_the_schema(write, content):
    """Code that works on one tool's table works on the other's."""
    frame = read_loadtest(write(content)).requests

    known = {column.name: column.dtype for column in COLUMNS}
    always = {column.name for column in COLUMNS if column.always}
    assert list(frame) == [name for name in known if name in frame]
    assert always <= set(frame)
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        name: known[name] for name in frame
    }


def test_a_reader_that_forgets_a_column_is_caught():
    """The schema is checked where the table is made."""
    with pytest.raises(AssertionError, match=r"forgot .*'start'"):
        tidy({"label": 1})


def test_changing_samples_leaves_requests_alone(write):
    """A notebook that scribbles in one table must not change the other."""
    test = read_loadtest(write(JTL))
    samples = test.samples
    samples["elapsed_ms"] = 0.0

    assert test.requests["elapsed_ms"].tolist() == [10, 30]


def test_only_the_top_level_counts(write):
    """Parts of a request are inside its time already."""
    read = read_loadtest(write(JTL))
    test = LoadTest(
        requests=read.requests.assign(level=[0, 1]),
        tool="jmeter",
        version=None,
        warnings=(),
        source="x",
    )

    assert test.samples["label"].tolist() == ["a <b>"]


def test_the_display_says_what_a_reader_wants_first(write):
    """File, tool, requests, rate, errors, percentiles, warnings."""
    test = read_loadtest(write(JTL.rstrip()))

    for text in (repr(test), test._repr_html_()):
        assert "results.jtl" in text
        assert "jmeter" in text
        assert "2 in 0.03 s, 66.67 per s" in text
        assert "1 (50.00%)" in text
        assert "p50 20 ms, p99 29.8 ms" in text
        assert "no line end" in text


def test_the_html_display_escapes_what_the_file_says(write):
    """A warning may quote the file, and a notebook would run it."""
    path = write(GATLING + f"ERROR\t<script>\t{T0}\n")

    assert "<script>" not in read_loadtest(path)._repr_html_()


def test_the_public_names_are_these():
    """``statistics`` is the function, though a module has the name too."""
    assert toolkit.loadtest.__all__ == ["LoadTest", "read_loadtest", "statistics"]
    assert callable(toolkit.loadtest.statistics)


def test_importing_needs_neither_scipy_nor_matplotlib():
    """They would double the time that ``import toolkit`` takes."""
    code = (
        "import sys, toolkit.loadtest; "
        "print([m for m in ('scipy', 'matplotlib', 'hdrh', 'dask') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
