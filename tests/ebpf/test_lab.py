"""The lab without a kernel: what it asks, how it counts, what it does where nothing can be asked."""

import json
import socket
import threading
import time

import pytest

from toolkit.ebpf import BackendUnavailable, Lab, LabError, doctor, host, measurements, microvm
from toolkit.ebpf.channel import Channel
from toolkit.ebpf.recorded import Recorded, keep
from toolkit.ebpf.seen import Source, seen

GUEST = Source(backend="microvm", kernel="6.1.0-test")


class Scripted:
    """An agent that counts as it is told: two looks, 0.1 s apart on the kernel's clock."""

    def __init__(self, **last):
        self.asked = []
        first = dict.fromkeys(("sent", "passed", "dropped", "allowed", "newcomers", "raced"), 0)
        times = {"first_ns": 10**9, "exempt": 0}
        self.looks = [
            first | times | {"last_ns": 0, "now_ns": 10**9, "sending": True},
            first | times | {"last_ns": 2 * 10**9, "now_ns": 2 * 10**9, "sending": False} | last,
        ]

    def ask(self, verb, **arguments):
        """Answer as an agent would."""
        self.asked.append((verb, arguments))
        if verb == "counts":
            return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return {
            "sources": {"sources": 1},
            "drops": {"drops": []},
            "set": {"at_ns": 15 * 10**8},
        }.get(verb, {})


LIMITS = {"rate_per_s": 100, "burst": 10, "newcomers_per_s": 0, "newcomers_burst": 1}
LOAD = {"offered_per_s": 0, "seconds": 1, "law": "constant", "sources": 1, "ip6": False}
QUESTION = LIMITS | LOAD | {"hook": "xdp", "changes": [], "report_gap_s": 0, "always_in": []}


def answered(agent, **different):
    return seen(measurements.limit(agent, **(QUESTION | different)), GUEST)


def test_the_bound_is_burst_plus_rate_times_the_time_between_first_and_last_decision():
    got = answered(Scripted(sent=500, passed=110, dropped=380))

    assert got.seconds == 1.0
    assert got.bound == 10 + 100 * 1 + 1
    assert got.lost == 10
    assert "was kept" in str(got)
    assert "6.1.0-test, in a micro-VM, measured now" in str(got)


def test_a_promise_that_is_broken_is_called_so():
    assert "was BROKEN" in str(answered(Scripted(sent=500, passed=112, dropped=388)))


def test_the_bound_of_a_change_adds_up_both_phases():
    """Half a second at 100 a second, half a second at 1,000 with a burst of its own."""
    got = answered(Scripted(), changes=[[0.0, 1_000, 20]])

    assert got.changed_s == (0.5,)
    assert got.bound == 10 + 50 + 20 + 500 + 1


def test_each_source_has_a_bucket_and_newcomers_share_one():
    assert answered(Scripted(), sources=7).bound == 7 * 110 + 1
    guarded = answered(Scripted(), sources=10_000, newcomers_per_s=3, newcomers_burst=2)

    assert guarded.bound == (2 + 3) * 110 + 1


def test_the_lab_closes_the_door_behind_an_error():
    agent = Scripted()
    agent.looks = []
    with pytest.raises(IndexError):
        answered(agent)

    assert agent.asked[-1][0] == "close"


def test_arrivals_go_in_pieces_and_only_the_first_begins_with_a_full_bucket():
    class Judge:
        sizes, fresh = [], []

        def ask(self, _verb, *, arrivals_ns, fresh, **_):
            self.sizes.append(len(arrivals_ns))
            self.fresh.append(fresh)
            return {"passed": [1] * len(arrivals_ns)}

    got = measurements.decide(Judge(), arrivals_ns=list(range(4_500)), rate_per_s=1, burst=1)

    assert len(got["passed"]) == 4_500
    assert Judge.sizes == [2_000, 2_000, 500]
    assert Judge.fresh == [True, False, False]


def test_a_rung_that_cannot_be_had_is_left_out_with_its_reason():
    class Poor:
        def ask(self, _verb, *, name, **_):
            if name == "nftables":
                raise LabError("no nft here")
            return {"ns": 5.0, "sent": 10}

    answer = measurements.ladder(Poor(), rungs=["xdp", "nftables"], packets=10, rounds=2)

    assert answer == {
        "rungs": {"xdp": [{"ns": 5.0, "sent": 10}] * 2},
        "missing": {"nftables": "no nft here"},
    }


# --- the line ---


def agent_that_says(*lines):
    """Return a channel to an agent that says hello, and to each request a line, or pieces of one."""
    ours, theirs = socket.socketpair()

    def serve():
        with theirs:
            theirs.sendall(b'{"hello": {"kernel": "6.1.0-test"}}\n')
            for line in lines:
                theirs.recv(65_536)
                for piece in [line] if isinstance(line, bytes) else line:
                    theirs.sendall(piece)
                    time.sleep(0.05)

    threading.Thread(target=serve, daemon=True).start()
    return Channel(ours)


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        (b'{"id": 1, "refused": "burst must be"}\n', ValueError, "burst must be"),
        (b'{"id": 1, "error": "OSError: no"}\n', LabError, "OSError: no"),
        (b'{"id": null, "error": "the session died"}\n', LabError, "the session died"),
        (b"", BackendUnavailable, "the lab is gone"),
    ],
)
def test_what_the_agent_answers_becomes_the_right_error(line, error, words):
    channel = agent_that_says(line)
    with pytest.raises(error, match=words):
        channel.ask("set")
    channel.close()


def test_an_answer_may_come_in_pieces_and_an_old_one_is_skipped():
    channel = agent_that_says((b'{"id": 0, "ok": {"old": 1}}\n{"id": 1, "ok"', b': {"x": 2}}\n'))

    assert channel.ask("ping") == {"x": 2}
    channel.close()


def test_an_agent_that_is_silent_is_not_waited_for_for_ever():
    ours, theirs = socket.socketpair()
    theirs.sendall(b'{"hello": {}}\n')
    channel = Channel(ours)
    with pytest.raises(BackendUnavailable, match="does not answer"):
        channel.ask("ping", deadline_s=0.05)
    channel.close()
    theirs.close()


# --- recordings ---


@pytest.fixture
def sessions(tmp_path):
    """Return a recording of one answer."""
    path = tmp_path / "sessions.json.gz"
    calls = [
        {
            "call": "decide",
            "arguments": {"arrivals_ns": [0, 1], "rate_per_s": 1, "burst": 1},
            "answer": {"passed": [1, 0]},
        }
    ]
    import datetime as dt

    keep(path, source=GUEST, date=dt.date(2026, 11, 24), calls=calls)
    return path


def test_a_recording_answers_what_was_asked_then_and_says_that_it_is_one(sessions, monkeypatch):
    monkeypatch.setattr("toolkit.ebpf.recorded.SESSIONS", sessions)
    lab = Lab("recorded")

    assert lab.decide([0, 1], rate_per_s=1, burst=1).tolist() == [True, False]
    assert (lab.backend, lab.kernel) == ("recorded", "6.1.0-test")
    assert str(lab.source) == "Linux 6.1.0-test, recorded: microvm, 2026-11-24"


def test_a_recording_knows_no_answer_to_a_new_question(sessions):
    kept = Recorded(sessions)
    with pytest.raises(ValueError, match=r"not recorded with these arguments.*rate_per_s=1"):
        kept.recall("decide", {"arrivals_ns": [0, 1], "rate_per_s": 2, "burst": 1})
    with pytest.raises(ValueError, match="race was not recorded"):
        kept.recall("race", {})


def test_a_recording_grows_and_writes_the_same_bytes_for_the_same_answers(sessions):
    import datetime as dt

    before = sessions.read_bytes()
    keep(sessions, source=GUEST, date=dt.date(2026, 11, 24), calls=[])
    assert sessions.read_bytes() == before
    more = [{"call": "race", "arguments": {}, "answer": {}}]
    keep(sessions, source=GUEST, date=dt.date(2026, 11, 24), calls=more)

    assert Recorded(sessions).recall("race", {}) == {}
    assert Recorded(sessions)._calls[0][0] == "decide"


# --- which backend ---


def test_auto_takes_the_first_that_works_and_says_why_the_others_do_not(sessions, monkeypatch):
    monkeypatch.setattr("toolkit.ebpf.recorded.SESSIONS", sessions)
    monkeypatch.setattr(host, "why_not", lambda: [("no BCC", "make ebpf")])
    monkeypatch.setattr(microvm, "why_not", lambda **_: [("no QEMU", "apt-get install it")])
    lab = Lab()

    assert lab.backend == "recorded"
    assert "no BCC (make ebpf)" in lab.passed_over["host"]
    assert "no QEMU (apt-get install it)" in lab.passed_over["microvm"]


def test_where_nothing_works_every_reason_is_given(tmp_path, monkeypatch):
    monkeypatch.setattr("toolkit.ebpf.recorded.SESSIONS", tmp_path / "none")
    monkeypatch.setattr(host, "why_not", lambda: [("no BCC", "make ebpf")])
    monkeypatch.setattr(microvm, "why_not", lambda **_: [("no QEMU", "apt-get install it")])
    with pytest.raises(BackendUnavailable, match=r"(?s)host: .*microvm: .*recorded: "):
        Lab()


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="backend must be 'auto', 'host'"):
        Lab("docker")


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_elsewhere_than_on_linux_one_line_says_so(monkeypatch, system):
    monkeypatch.setattr("sys.platform", system)

    assert len(host.why_not()) == len(microvm.why_not()) == 1


def test_an_ordinary_user_is_told_how_to_get_a_helper(monkeypatch, tmp_path):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(host, "SOCKETS", tmp_path)
    ((what, remedy),) = host.why_not()

    assert "not root" in what
    assert "ebpf serve --uid" in remedy
    with pytest.raises(PermissionError, match="sudo"):
        host.serve(1000)


@pytest.fixture
def well_equipped(monkeypatch, tmp_path):
    """Pretend to be root on a machine that has everything; return its folder."""
    (tmp_path / "bcc").mkdir()
    (tmp_path / "status").write_text("Name:\tx\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n")
    (tmp_path / "lockdown").write_text("[none] integrity confidentiality")
    (tmp_path / "btf").touch()
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("toolkit.ebpf.agent.kernel.header_folders", lambda: (tmp_path, tmp_path))
    monkeypatch.setattr(host, "PACKAGES", [tmp_path])
    for name in ("STATUS", "LOCKDOWN", "BTF"):
        monkeypatch.setattr(host, name, tmp_path / name.lower())
    return tmp_path


@pytest.mark.usefixtures("well_equipped")
def test_a_machine_with_everything_lacks_nothing():
    assert host.why_not() == []


@pytest.mark.parametrize(
    ("spoil", "words", "remedy"),
    [
        (lambda place: (place / "bcc").rmdir(), "python3-bpfcc", "make ebpf"),
        (lambda place: (place / "btf").unlink(), "BTF", "use the micro-VM"),
        (
            lambda place: (place / "status").write_text("CapEff:\t0000000000001000\n"),
            "without CAP_SYS_ADMIN CAP_BPF",
            "use the micro-VM",
        ),
        (
            lambda place: (place / "lockdown").write_text("none integrity [confidentiality]"),
            "locked down",
            "use the micro-VM",
        ),
    ],
)
def test_each_piece_that_is_missing_has_its_line_and_its_remedy(
    well_equipped, spoil, words, remedy
):
    spoil(well_equipped)
    ((what, help_with_it),) = host.why_not()

    assert words in what
    assert help_with_it == remedy


@pytest.mark.usefixtures("well_equipped")
def test_missing_headers_are_named_with_the_command_that_brings_them(monkeypatch):
    monkeypatch.setattr("toolkit.ebpf.agent.kernel.header_folders", lambda: None)

    assert host.why_not() == [("kernel headers for BCC to compile with", "make ebpf")]


# --- the doctor ---


def test_the_doctor_says_what_is_missing_and_what_would_help(monkeypatch, tmp_path):
    monkeypatch.setattr("toolkit.ebpf.recorded.SESSIONS", tmp_path / "none")
    monkeypatch.setattr(host, "why_not", lambda: [("kernel headers", "make ebpf")])
    monkeypatch.setattr(microvm, "why_not", lambda **_: [])
    report = doctor.report(live=False)

    assert "host: not to be had\n  kernel headers              NO   ; make ebpf" in report
    assert "microvm: ready" in report
    assert "tk.ebpf.Lab() uses: microvm" in report
    assert max(map(len, report.splitlines())) <= 200


def test_the_agents_answers_are_json():
    """What the stored sessions hold must survive being stored."""
    answer = measurements.limit(Scripted(sent=5, passed=5), **QUESTION)

    assert json.loads(json.dumps(answer)) == answer
