"""Whatever JMeter can write comes back as it was: any columns, any order, any delimiter."""

import csv
import io
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.loadtest import read_loadtest

# A lone CR or an odd control character is no text that JMeter would write.
words = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")) | st.sampled_from("\n\t,;\"' "),
    max_size=12,
) | st.from_regex(r"[-+ ]?0*[0-9]+([.][0-9]+)?(e[0-9])?", fullmatch=True)  # no number, though
durations = st.integers(0, 10**7)
CELLS = {
    "timeStamp": st.integers(10**12, 2 * 10**12),
    "elapsed": durations,
    "label": words,
    "success": st.sampled_from(["true", "false"]),
    "responseCode": words,
    "responseMessage": words,
    "threadName": words,
    "bytes": st.integers(0, 2**40),
    "sentBytes": st.integers(0, 2**40),
    "allThreads": st.integers(0, 10_000),
    "Latency": durations,
    "Connect": durations,
    "URL": words,
    "Hostname": words,
}
NAMES = {
    "label": "label",
    "elapsed": "elapsed_ms",
    "responseCode": "code",
    "responseMessage": "message",
    "threadName": "thread",
    "bytes": "bytes",
    "sentBytes": "sent_bytes",
    "allThreads": "active_threads",
    "Latency": "latency_ms",
    "Connect": "connect_ms",
}
REQUIRED = {"timeStamp", "elapsed", "label", "success"}


@st.composite
def files(draw):
    """Draw the columns of a file, its rows, and its dialect."""
    optional = draw(st.sets(st.sampled_from(sorted(set(CELLS) - REQUIRED))))
    names = draw(st.permutations(sorted(REQUIRED | optional)))
    row = st.tuples(*(CELLS[name] for name in names))
    rows = draw(st.lists(row, min_size=1, max_size=8))
    return names, rows, draw(st.sampled_from(",\t;|")), draw(st.sampled_from(["\n", "\r\n"]))


@given(file=files())
@settings(max_examples=80, deadline=None)
def test_requests_come_back_as_they_were_written(file):
    """An independent writer, Python's csv, against the reader."""
    names, rows, delimiter, line_end = file
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end)
    writer.writerows([names, *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.jtl"
        path.write_bytes(text.getvalue().encode())
        frame = read_loadtest(path).requests

    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    for name in set(names) & set(NAMES):
        assert frame[NAMES[name]].tolist() == list(columns[name]), name
    assert (frame["start"].astype("int64") // 10**6).tolist() == list(columns["timeStamp"])
    assert (frame["end"] - frame["start"]).dt.total_seconds().mul(1000).round().tolist() == list(
        columns["elapsed"]
    )
    assert frame["success"].tolist() == [word == "true" for word in columns["success"]]
    assert {NAMES[name] for name in NAMES if name not in names}.isdisjoint(frame)
