"""Gatling text logs: one rule for all versions, and every line accounted for."""

import pandas as pd
import pytest

from toolkit.errors import LoadTestError
from toolkit.loadtest import read_loadtest

T0 = 1_700_000_000_000
RUN = f"RUN\tpkg.Sim\tsim\t{T0}\t \t3.10.5\n"


def log(*lines, run=RUN):
    """Join cells with TAB and lines with LF, as Gatling does."""
    return run + "".join("\t".join(map(str, line)) + "\n" for line in lines)


def request(*, name="Home", start=T0, end=T0 + 10, status="OK", message=" ", groups=""):
    """Return the cells of a request as 3.4 to 3.12 write them."""
    return ("REQUEST", groups, name, start, end, status, message)


LAYOUTS = {
    "3.10.5": (
        RUN,
        ("REQUEST", "A,B", "Home", T0, T0 + 10, "KO", "why"),
        [("USER", "Scn", "START", T0), ("USER", "Scn", "END", T0 + 9)],
        None,
    ),
    "3.3.1": (
        f"RUN\tpkg.Sim\tsim\t{T0}\t \t3.3.1\n",
        ("REQUEST", 7, "A,B", "Home", T0, T0 + 10, "KO", "why"),
        [("USER", "Scn", 7, "START", T0, T0), ("USER", "Scn", 7, "END", T0, T0 + 9)],
        "7",
    ),
    "2.x": (
        f"RUN\tpkg.Sim\t\tsim\t{T0}\t \t2.0\n",
        ("REQUEST", "Scn", 7, "A,B", "Home", T0, T0 + 10, "KO", "why", "extra", "info"),
        [("USER", "Scn", 7, "START", T0, T0), ("USER", "Scn", 7, "END", T0, T0 + 9)],
        "7",
    ),
    "2.x of 2.1": (
        f"pkg.Sim\tsim\tRUN\t{T0}\t \t2.0\n",
        ("Scn", 7, "REQUEST", "A,B", "Home", T0, T0 + 1, T0 + 8, T0 + 10, "KO", "why"),
        [("Scn", 7, "USER", "START", T0, 0), ("Scn", 7, "USER", "END", T0, T0 + 9)],
        "7",
    ),
}


@pytest.mark.parametrize("version", LAYOUTS)
def test_every_layout_gives_the_same_request(write, version):
    """The columns moved four times; the request did not."""
    run, row, users, user = LAYOUTS[version]
    test = read_loadtest(write(log(*users, row, run=run)))

    first = test.requests.iloc[0]
    assert (first["label"], first["group"], first["message"]) == ("Home", "A / B", "why")
    assert (first["elapsed_ms"], first["success"]) == (10, False)
    assert first["start"] == pd.Timestamp(T0, unit="ms", tz="UTC")
    assert first.get("thread") == user
    assert (test.tool, test.version) == ("gatling", version.split(" ")[0])
    assert test.users["event"].tolist() == ["start", "end"]
    assert test.users["scenario"].tolist() == ["Scn", "Scn"]
    assert (test.users["time"].astype("int64") // 10**6).tolist() == [T0, T0 + 9]
    assert test.warnings == ()


def test_numbers_and_status_words_as_names_do_not_move_the_anchor(write):
    """A request may be called OK, 404 or null."""
    names = ["OK", "404", "null", "KO", '"quoted']
    test = read_loadtest(write(log(*(request(name=name, groups="5") for name in names))))

    assert test.requests["label"].tolist() == names
    assert test.requests["group"].tolist() == ["5"] * 5


def test_names_that_could_be_numbers_stay_as_they_are(write):
    """Also where all of them could be."""
    lt = read_loadtest(write(log(request(name="007"), request(name="1e3", message="0.50"))))

    assert lt.requests["label"].tolist() == ["007", "1e3"]
    assert lt.requests["message"].tolist()[1] == "0.50"


def test_assertions_come_first_and_are_skipped(write):
    """They are written before the RUN line."""
    test = read_loadtest(write("ASSERTION\tAAEDAAE=\n" + log(request())))

    assert (test.version, len(test.requests), test.warnings) == ("3.10.5", 1, ())


def test_a_name_missing_at_the_end_of_the_line_is_no_damage(write):
    """Editors strip the lone space that stands for no message."""
    test = read_loadtest(write(log(request()[:-1], request())))

    assert test.requests["message"].tolist() == ["", ""]


def test_groups_are_controllers_inside_the_groups_around_them(write):
    """A group lasts as long as its requests together, so it must not count beside them."""
    test = read_loadtest(
        write(
            log(
                request(groups="Shop,Pay"),
                ("GROUP", "Shop,Pay", T0, T0 + 50, 10, "KO"),
                request(end=T0 + 20),
                ("GROUP", "Shop", T0, T0 + 60, 30, "OK"),
            )
        )
    )

    assert test.requests["label"].tolist() == ["Home", "Pay", "Home", "Shop"]
    assert test.requests["group"].tolist() == ["Shop / Pay", "Shop", "", ""]
    assert test.requests["elapsed_ms"].tolist() == [10, 50, 20, 60]
    assert test.requests["success"].tolist() == [True, False, True, True]
    assert test.samples["elapsed_ms"].tolist() == [10, 20]


@pytest.mark.parametrize("kind", ["ERROR", "GROUP"])
def test_errors_outside_of_requests_become_a_warning(write, kind):
    """2.2 and 2.3 write them under the name GROUP."""
    test = read_loadtest(write(log(request(), (kind, "no attribute x ", T0), (kind, "b", T0))))

    assert test.warnings == ("2 errors outside of requests, the first: no attribute x",)
    assert len(test.requests) == 1


def test_requests_without_an_answer_are_dropped_aloud(write):
    """Gatling marks them by the smallest Long as end and leaves them out of every figure."""
    test = read_loadtest(write(log(request(), request(end=-(2**63), status="KO"))))

    assert len(test.requests) == 1
    assert test.warnings == ("1 requests without an answer (unmatched) were dropped",)


def test_nothing_but_unanswered_requests_is_no_test(write):
    """There is nothing to compute from."""
    with pytest.raises(LoadTestError, match="unmatched"):
        read_loadtest(write(log(request(end=-(2**63), status="KO"))))


@pytest.mark.parametrize("cut", [5, 20, 34, 38])
def test_a_last_line_cut_short_is_dropped_and_named(write, cut):
    """A killed Gatling leaves half a line."""
    half = log(request())[len(RUN) :][:cut]
    test = read_loadtest(write(log(request(), request()) + half))

    assert len(test.requests) == 2
    assert test.warnings == ("line 4: the last line is cut short and was dropped",)


def test_a_complete_last_line_without_line_end_is_kept(write):
    """Its status proves that times and name are whole."""
    test = read_loadtest(write(log(request(), request()).rstrip("\n\t ")))

    assert len(test.requests) == 2
    assert test.warnings == ()


def test_crlf_and_gaps_do_not_show(write):
    """A log that went through Windows, or was pasted together."""
    test = read_loadtest(
        write((log(request()) + "\n" + log(request(), run="")).replace("\n", "\r\n"))
    )

    assert test.requests["message"].tolist() == ["", ""]
    assert test.warnings == ()


def test_unknown_lines_are_skipped_aloud(write):
    """A later version may add a kind of event."""
    test = read_loadtest(write(log(request(), ("NEWS", 1), ("NEWS", 2), request())))

    assert len(test.requests) == 2
    assert test.warnings == (
        "2 lines of an unknown kind were skipped, the first is line 3: 'NEWS\\t1'",
    )


def test_two_logs_in_one_file_are_said_aloud(write):
    """Injectors' logs are often joined by hand."""
    test = read_loadtest(write(log(request()) + log(request())))

    assert any("2 RUN lines" in note for note in test.warnings)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (request(status="FINE"), "line 3: the status must be OK or KO .*got 'FINE'"),
        (request(start="soon"), "line 3: start must be epoch milliseconds .*got 'soon'"),
        (request(end=T0 - 5), "line 3: end - start must be .*got '-5.0'"),
        (("REQUEST", "", "Home"), "line 3: the status must be OK or KO .*got ''"),
    ],
)
def test_a_bad_line_is_named_with_its_number(write, line, message):
    """The user must be able to look at it."""
    with pytest.raises(LoadTestError, match=message):
        read_loadtest(write(log(request(), line, request())))


def test_an_unknown_layout_is_refused(write):
    """Without the anchor every cell would be a guess."""
    path = write(log(("REQUEST", "Home", "fast", "OK"), request()))

    with pytest.raises(LoadTestError, match="line 2: a REQUEST line must have OK or KO behind 2"):
        read_loadtest(path)


def test_a_user_line_without_event_is_refused(write):
    """Concurrency is counted from starts and ends."""
    with pytest.raises(LoadTestError, match="line 2: a USER line must have START or END"):
        read_loadtest(write(log(("USER", "Scn", "PAUSE", T0), request())))


def test_a_log_without_requests_is_no_test(write):
    """The run was stopped before anything was sent."""
    with pytest.raises(LoadTestError, match="no REQUEST line"):
        read_loadtest(write(RUN))
