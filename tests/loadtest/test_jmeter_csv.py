"""JMeter CSV: what is read, what is guessed aloud, and what is refused with its line."""

import pandas as pd
import pytest

from toolkit.errors import LoadTestError
from toolkit.loadtest import read_loadtest, statistics

MINIMAL = "timeStamp,elapsed,label,success\n"
T0 = 1_700_000_000_000
CONTROLLER = '"Number of samples in transaction : {}, number of failing samples : 0"'


def total(n, **cells):
    """Return the cells of a transaction controller that held ``n`` samples."""
    return {"label": "Txn", "responseMessage": CONTROLLER.format(n), **cells}


def test_a_row_arrives_in_every_column_of_the_schema(jtl):
    """The tidy table is the contract between readers and everything after them."""
    test = read_loadtest(jtl({"elapsed": 12, "Latency": 7, "Connect": 3, "bytes": 5}))

    row = test.requests.iloc[0]
    assert row["start"] == pd.Timestamp(T0, unit="ms", tz="UTC")
    assert row["end"] == pd.Timestamp(T0 + 12, unit="ms", tz="UTC")
    assert (row["elapsed_ms"], row["latency_ms"], row["connect_ms"]) == (12, 7, 3)
    assert (row["label"], row["code"], row["message"]) == ("GET /", "200", "OK")
    assert (row["bytes"], row["sent_bytes"], row["active_threads"]) == (5, 119, 2)
    assert (row["thread"], row["success"], row["is_controller"], row["level"]) == (
        "users 1-1",
        True,
        False,
        0,
    )
    assert (test.tool, test.version, test.warnings, test.users) == ("jmeter", None, (), None)


def test_columns_that_were_not_saved_are_absent(write):
    """An invented column would look like a measurement."""
    test = read_loadtest(write(MINIMAL + f"{T0},10,a,true\n"))

    assert list(test.requests) == [
        "start",
        "end",
        "elapsed_ms",
        "label",
        "success",
        "is_controller",
        "level",
    ]
    assert any("responseMessage" in note for note in test.warnings)


def test_columns_are_found_by_name_in_any_order(write):
    """Taurus and other writers keep JMeter's names but not its order."""
    path = write(f"success,label,elapsed,Connect,timeStamp\nfalse,b,7,2,{T0}\n")
    row = read_loadtest(path).requests.iloc[0]

    assert (row["label"], row["elapsed_ms"], row["connect_ms"], row["success"]) == (
        "b",
        7,
        2,
        False,
    )


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_any_usual_delimiter_is_read(write, delimiter):
    """``jmeter.save.saveservice.default_delimiter`` is a common local setting."""
    text = (MINIMAL + f"{T0},10,a,true\n{T0},20,b,false\n").replace(",", delimiter)

    assert read_loadtest(write(text)).requests["label"].tolist() == ["a", "b"]


def test_byte_order_mark_and_crlf_do_not_show(write):
    """Both come from Windows; neither may end up in a name or a value."""
    text = "\ufeff" + (MINIMAL + f"{T0},10,a,true\n").replace("\n", "\r\n")

    assert read_loadtest(write(text)).requests["label"].tolist() == ["a"]


def test_labels_that_look_like_missing_values_stay_labels(write):
    """Left alone, pandas would turn them into NaN, and their rows would leave the statistics."""
    words = ["null", "NA", "nan", "007", "true", "", '"']
    rows = "".join(f'{T0},10,"{word.replace(chr(34), chr(34) * 2)}",true\n' for word in words)

    assert read_loadtest(write(MINIMAL + rows)).requests["label"].tolist() == words


def test_quoted_cells_may_hold_delimiters_quotes_and_lines(jtl):
    """A failure message with a stack trace is the usual case."""
    trace = 'java.lang.X: a, b\n\tat c\r\nsays "no"'
    quoted = '"' + trace.replace('"', '""') + '"'
    test = read_loadtest(jtl({"success": "false", "failureMessage": quoted}, {}))

    assert test.requests["message"].tolist() == [trace, "OK"]


def test_the_failed_assertion_is_the_message_only_of_a_failed_request(jtl):
    """The response may well say OK when the assertion does not."""
    test = read_loadtest(
        jtl({"success": "false", "failureMessage": "too slow"}, {"failureMessage": "ignored"})
    )

    assert test.requests["message"].tolist() == ["too slow", "OK"]


def test_a_failure_message_serves_alone(write):
    """Without responseMessage it is the only explanation there is."""
    path = write(f"timeStamp,elapsed,label,success,failureMessage\n{T0},1,a,false,why\n")

    assert read_loadtest(path).requests["message"].tolist() == ["why"]


def test_latin1_is_read_with_a_warning(write):
    """JMeter before 3.0 wrote the platform's charset."""
    path = write((MINIMAL + f"{T0},10,Straße,true\n").encode("latin-1"))
    test = read_loadtest(path)

    assert test.requests["label"].tolist() == ["Straße"]
    assert "line 2 is not UTF-8" in test.warnings[0]


def test_timestamps_of_the_end_are_turned_round(jtl):
    """``sampleresult.timestamp.start=false`` moves every request by its own duration."""
    test = read_loadtest(jtl({"elapsed": 250}), timestamp="end")

    assert test.requests["end"].iloc[0] == pd.Timestamp(T0, unit="ms", tz="UTC")
    assert test.requests["start"].iloc[0] == pd.Timestamp(T0 - 250, unit="ms", tz="UTC")


@pytest.mark.parametrize(
    ("written", "tz", "utc"),
    [
        ("2014/02/24 07:42:21.256", "UTC", "2014-02-24 07:42:21.256"),
        ("2014/02/24 07:42:21", "Europe/Berlin", "2014-02-24 06:42:21"),
        ("2014-07-24 07:42:21.256", "Europe/Berlin", "2014-07-24 05:42:21.256"),
        ("2014-02-24 07:42:21", "UTC", "2014-02-24 07:42:21"),
        ("02/24/14 07:42:21", "UTC", "2014-02-24 07:42:21"),
    ],
)
def test_times_without_zone_are_read_in_tz_and_said_so(write, written, tz, utc):
    """The writer's zone is nowhere in the file."""
    test = read_loadtest(write(MINIMAL + f"{written},10,a,true\n"), tz=tz)

    assert test.requests["start"].iloc[0] == pd.Timestamp(utc, tz="UTC")
    assert any("no zone" in note and tz in note and "tz=" in note for note in test.warnings)


def test_times_with_an_offset_need_no_guess(write):
    """An ISO pattern with Z is the careful user's choice; no warning for them."""
    test = read_loadtest(write(MINIMAL + "2014-02-24T07:42:21.256+0100,10,a,true\n"))

    assert test.requests["start"].iloc[0] == pd.Timestamp("2014-02-24 06:42:21.256", tz="UTC")
    assert not any("zone" in note for note in test.warnings)


@pytest.mark.parametrize("time", ["2024-10-27 02:30:00", "2024-03-31 02:30:00"])
def test_a_time_that_the_clock_change_makes_unclear_is_refused(write, time):
    """The hour exists twice, or not at all; choosing would shift requests by an hour."""
    path = write(MINIMAL + f"2024-10-27 01:59:59,1,a,true\n{time},1,a,true\n")

    with pytest.raises(LoadTestError, match=r"line 3.*exactly once.*tz='Etc/GMT-1'"):
        read_loadtest(path, tz="Europe/Berlin")


def test_times_in_seconds_raise_suspicion(write):
    """A simulated test may start at zero, so this is a warning and no error."""
    test = read_loadtest(write(MINIMAL + "1700000000,10,a,true\n"))

    assert any("1970" in note for note in test.warnings)


@pytest.mark.parametrize(
    ("row", "column", "rule", "value"),
    [
        ("1700000000000000,1,a,true", "timeStamp", "epoch milliseconds", "1700000000000000"),
        ("soon,1,a,true", "timeStamp", "epoch milliseconds", "soon"),
        (f"{T0},-5,a,true", "elapsed", "from 0 to 1e11", "-5"),
        (f"{T0},NaN,a,true", "elapsed", "from 0 to 1e11", "NaN"),
        (f"{T0},,a,true", "elapsed", "from 0 to 1e11", ""),
        (f"{T0},inf,a,true", "elapsed", "from 0 to 1e11", "inf"),
        (f"{T0},1e300,a,true", "elapsed", "from 0 to 1e11", "1e\\+300"),
        (f"{T0},true,a,true", "elapsed", "from 0 to 1e11", "[Tt]rue"),
        (f"{T0},1,a,yes", "success", "true or false", "yes"),
        (
            "timeStamp,elapsed,label,success",
            "elapsed",
            "from 0",
            "elapsed'; this is a second header",
        ),
    ],
)
def test_a_bad_cell_is_named_with_line_column_rule_and_value(write, row, column, rule, value):
    """The user has to find it among a million others: the lines of quoted cells count."""
    path = write(MINIMAL + f'{T0},1,"two\nlines",true\n\n{row}\n{T0},1,a,true\n')

    with pytest.raises(LoadTestError, match=f"line 5: {column} must be .*{rule}.*got '{value}"):
        read_loadtest(path)


def test_every_row_bad_is_the_same_error(write):
    """A column of true/false is numeric for pandas."""
    with pytest.raises(LoadTestError, match="line 2: elapsed must be"):
        read_loadtest(write(MINIMAL + f"{T0},true,a,true\n"))


def test_bytes_must_be_whole(jtl):
    """Half a byte means that the columns have slipped."""
    with pytest.raises(LoadTestError, match="line 2: bytes must be a whole number"):
        read_loadtest(jtl({"bytes": "1.5"}))


def test_a_mixture_of_time_patterns_is_refused(write):
    """One of them would be read wrongly."""
    path = write(MINIMAL + "2014-02-24 07:42:21,1,a,true\n2014/02/24 07:42:21,1,a,true\n")

    with pytest.raises(LoadTestError, match=r"line 3: timeStamp .*pattern of its first"):
        read_loadtest(path)


def test_a_short_last_row_is_dropped_and_named(jtl):
    """A killed JMeter leaves half a row; the rest of the test is still good."""
    path = jtl({}, {}, {}, tail="")
    path.write_bytes(path.read_bytes()[:-40])
    test = read_loadtest(path)

    assert len(test.requests) == 2
    assert test.warnings == (
        "line 4: the last row has 6 of 17 columns and was dropped (was the test killed?)",
    )


def test_a_last_row_cut_inside_quotes_is_dropped_and_named(jtl):
    """A stack trace cut in the middle swallows the end of the file."""
    path = jtl({}, {"failureMessage": '"a\nb\nc"'}, tail="")
    path.write_bytes(path.read_bytes().split(b"\nc")[0])
    test = read_loadtest(path)

    assert len(test.requests) == 1
    assert "lines 3 to 4" in test.warnings[0]
    assert "never closed" in test.warnings[0]


def test_a_complete_last_row_without_line_end_is_kept_and_doubted(jtl):
    """Editors strip the last line end, and a kill may cut the last number."""
    test = read_loadtest(jtl({}, {}, tail=""))

    assert len(test.requests) == 2
    assert "no line end" in test.warnings[0]


def test_a_row_that_ends_in_an_empty_cell_is_not_short(write):
    """Short rows come from pandas padded with empty cells; only counting tells them apart."""
    path = write(f"timeStamp,elapsed,label,success,failureMessage\n{T0},1,a,true,\n")
    test = read_loadtest(path)

    assert len(test.requests) == 1


def test_a_short_row_in_the_middle_is_an_error(write):
    """Nothing known leaves half a row there, so nothing is known about the rest."""
    path = write(MINIMAL + f"{T0},1,a,true\n{T0},1\n{T0},1,a,true\n")

    with pytest.raises(LoadTestError, match="line 3: the row has 2 of 4 columns"):
        read_loadtest(path)


@pytest.mark.parametrize("extra", ["x", "x,y", "x,y,z"])
def test_a_long_row_is_an_error(write, extra):
    """An unquoted delimiter in a label shifts every later cell."""
    path = write(MINIMAL + f"{T0},1,a,true\n{T0},1,a,true,{extra}\n")

    with pytest.raises(LoadTestError, match="line 3: more than the 4 columns"):
        read_loadtest(path)


@pytest.mark.parametrize("row", [f'{T0},1,"a",true\n{T0},1,"b,true\n', f'{T0},1,"b,true\n'])
def test_a_quote_that_swallows_the_rest_is_never_a_pandas_error(write, row):
    """Either the rest is dropped aloud or the file is refused; both name the line."""
    path = write(MINIMAL + row + f"{T0},1,c,true\n" * 20_000)

    with pytest.raises(LoadTestError, match=r"line [23]"):
        read_loadtest(path)


def test_a_header_alone_is_no_test(write):
    """Zero requests have no percentiles."""
    with pytest.raises(LoadTestError, match="header but no sample"):
        read_loadtest(write(MINIMAL))


def test_a_missing_column_is_named_with_its_switch(write):
    """JMeter has a property for each column; the user should not have to look it up."""
    with pytest.raises(LoadTestError, match=r"no column elapsed, success; set .*\.time=true"):
        read_loadtest(write(f"timeStamp,label,bytes\n{T0},a,1\n"))


TEN = f"{T0},59,a,200,OK,users 1-1,text,true,3100,38"
TWELVE = f"{T0},59,a,200,OK,users 1-1,text,true,3100,3,4,38"


@pytest.mark.parametrize(
    ("row", "versions", "threads"), [(TEN, "2.3 to 2.11", None), (TWELVE, "2.12 and 2.13", 4)]
)
def test_old_files_without_header_are_recognised_aloud(write, row, versions, threads):
    """Before 3.0 there was no header; the number of columns tells the version."""
    test = read_loadtest(write(row + "\n"))

    first = test.requests.iloc[0]
    assert (first["latency_ms"], first["bytes"]) == (38, 3100)
    assert first.get("active_threads") == threads
    assert any("no header" in note and versions in note for note in test.warnings)


def test_lines_are_counted_right_without_header(write):
    """The first line is a row then."""
    with pytest.raises(LoadTestError, match="line 1: bytes must be"):
        read_loadtest(write(TEN.replace("3100", "many") + "\n" + TEN + "\n"))


def test_other_files_without_header_are_read_when_their_columns_are_named(write):
    """The user knows what a custom writer has left out."""
    path = write(f"a;{T0};true;12\nb;{T0};false;13\n")
    test = read_loadtest(path, columns=["label", "timeStamp", "success", "elapsed"])

    assert test.requests["elapsed_ms"].tolist() == [12, 13]


def test_column_names_must_fit_the_file(write):
    """A wrong number of names would shift every column."""
    path = write(f"a;{T0};true;12\n")

    with pytest.raises(LoadTestError, match="columns= has 2 names"):
        read_loadtest(path, columns=["label", "timeStamp"])


def test_column_names_are_refused_when_the_file_has_its_own(jtl):
    """The header would become a first row."""
    with pytest.raises(LoadTestError, match="columns= is for a file without header"):
        read_loadtest(jtl({}), columns=["timeStamp", "elapsed", "label", "success"])


def test_cells_without_names_ask_for_them_when_jmeter_is_insisted_on(write):
    """Seven columns could be anything."""
    with pytest.raises(LoadTestError, match="pass columns="):
        read_loadtest(write("1,2,3\n"), tool="jmeter")


def test_rows_that_stand_for_many_samples_are_said_aloud(write):
    """The statistical sender has added them up; their percentiles are gone."""
    path = write(MINIMAL.strip() + f",SampleCount\n{T0},90,a,true,9\n{T0},1,a,true,1\n")
    test = read_loadtest(path)

    assert any("1 rows stand for 9 samples" in note for note in test.warnings)


def test_an_extra_column_of_a_known_name_does_not_replace_jmeters_own(write):
    """Sample variables come last and may be called anything."""
    path = write(f'{MINIMAL.strip()},"label"\n{T0},1,mine,true,variable\n')

    assert read_loadtest(path).requests["label"].tolist() == ["mine"]


def test_controllers_are_marked_and_left_out_of_samples(jtl):
    """A transaction beside its children would count the same work twice."""
    test = read_loadtest(
        jtl(
            {"elapsed": 30},
            {"elapsed": 40, "timeStamp": T0 + 30},
            total(2, elapsed=70),
        )
    )

    assert test.requests["is_controller"].tolist() == [False, False, True]
    assert test.samples["elapsed_ms"].tolist() == [30, 40]
    assert statistics(test).loc["Total", "count"] == 2
    assert test.warnings == ()


def test_a_file_of_controllers_alone_keeps_them_as_samples(jtl):
    """With "generate parent sample" they are the only trace of the work."""
    test = read_loadtest(jtl(total(2, elapsed=70), total(3, elapsed=80)))

    assert test.samples["elapsed_ms"].tolist() == [70, 80]
    assert any("every row is a transaction controller" in note for note in test.warnings)


def test_controllers_that_hide_their_children_among_plain_requests_are_reported(jtl):
    """They are left out of samples, so their work would vanish silently."""
    test = read_loadtest(
        jtl(
            {"elapsed": 30, "threadName": "other 1-1"},
            {"elapsed": 5, "timeStamp": T0 - 10},
            total(2, elapsed=70),
        )
    )

    assert test.samples["elapsed_ms"].tolist() == [30, 5]
    assert any("1 transaction controllers hold samples" in note for note in test.warnings)


def test_pauses_inside_a_controller_do_not_make_it_look_empty(jtl):
    """Its elapsed time leaves pauses out, so its child may end after it seems to."""
    test = read_loadtest(
        jtl({"elapsed": 30, "timeStamp": T0 + 100}, total(1, elapsed=30, IdleTime=100))
    )

    assert test.warnings == ()


def test_empty_controllers_are_dropped_aloud(jtl):
    """JMeter's own dashboard ignores them everywhere."""
    test = read_loadtest(jtl({}, total(0, elapsed=0)))

    assert test.requests["label"].tolist() == ["GET /"]
    assert test.warnings == ("1 empty transaction controllers were dropped",)


def test_nothing_but_empty_controllers_is_no_test(jtl):
    """There was no request at all."""
    with pytest.raises(LoadTestError, match="nothing but empty"):
        read_loadtest(jtl(total(0), total(0)))


def test_a_test_in_which_everything_failed_is_a_fine_file(jtl):
    """It is even an interesting one."""
    test = read_loadtest(jtl({"success": "false"}, {"success": "false"}))

    assert statistics(test).loc["Total", "error_share"] == 1
