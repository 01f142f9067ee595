"""The agent on a machine's own kernel: who may ask, what is refused, and what stays behind (nothing)."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from in_kernel import ours_in_kernel, running_agents, settled

from toolkit.ebpf import BackendUnavailable, LabError, host
from toolkit.ebpf.channel import Channel

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
MISSING = host.why_not()
if MISSING:
    pytestmark.append(
        pytest.mark.skip(reason="; ".join(f"{what} ({remedy})" for what, remedy in MISSING))
    )
NOBODY = 65_534


@contextmanager
def agent(folder, *arguments):
    """Run an agent that listens in a folder; yield its process and the socket's path."""
    path = folder / "lab.sock"
    command, environment = host.agent_command("--socket", str(path), *arguments)
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 30
            while not path.exists() and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.1)
            yield process, path
        finally:
            process.kill()


def connected(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(str(path))
    return connection


def turned_away(path):
    """Return the words that somebody hears who may not come in now."""
    with connected(path) as connection, pytest.raises(BackendUnavailable) as error:
        Channel(connection)
    return str(error.value)


@pytest.fixture
def channel(tmp_path):
    with agent(tmp_path) as (_, path):
        channel = Channel(connected(path))
        yield channel
        channel.close()


@pytest.mark.parametrize(
    ("verb", "arguments", "words"),
    [
        ("rm", {}, "unknown verb 'rm'; known: allow, close"),
        ("set", {"rate_per_s": 0}, "rate_per_s must be a number from 0.001 to 10,000,000, got 0"),
        ("set", {"rate_per_s": 1e30, "burst": 1}, "rate_per_s must be a number"),
        ("set", {"rate_per_s": True}, "rate_per_s must be a number"),
        ("set", {"burst": 1.5}, "burst must be a whole number from 1 to 1,000,000, got 1.5"),
        ("open", {"hook": "eth0"}, "hook must be one of xdp, xdp-generic, tc, tc-egress"),
        ("open", {"hook": "xdp", "interface": "eth0"}, "open does not take interface"),
        ("open", {}, "missing 1 required"),
        ("send", {"count": 2**40}, "count must be a whole number"),
        ("send", {"seconds": 3_600}, "seconds must be a number from 0.001 to 30"),
        ("allow", {"prefix": "10.0.0.0/8; reboot"}, "prefix must be an IPv4 or IPv6 prefix"),
        ("decide", {"arrivals_ns": "all"}, "arrivals_ns must be a list"),
        ("counts", {}, "no limiter is attached"),
        ("learn", {"source": "int x;", "packets": 1}, "micro-VM only"),
        ("share", {"rates_per_s": [1]}, "micro-VM only"),
    ],
)
def test_what_is_not_on_the_list_is_refused_with_its_reason(channel, verb, arguments, words):
    with pytest.raises(ValueError, match=words):
        channel.ask(verb, **arguments)

    assert channel.ask("ping") == {}


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"3", b'"x"', b"\xff\xfe", b'{"verb": 3}', b'{"verb": "set", "args": 7}']
)
def test_a_line_that_is_no_request_is_refused_and_the_agent_lives_on(tmp_path, line):
    with agent(tmp_path) as (_, path), connected(path) as connection:
        reader = connection.makefile("rb")
        assert b"hello" in reader.readline()
        connection.sendall(line + b'\n{"id": 2, "verb": "ping"}\n')

        assert "refused" in json.loads(reader.readline())
        assert json.loads(reader.readline()) == {"id": 2, "ok": {}}


def test_a_line_of_a_megabyte_is_refused_and_the_agent_lives_on(tmp_path):
    with agent(tmp_path) as (process, path), connected(path) as connection:
        reader = connection.makefile("rb")
        reader.readline()
        connection.sendall(b"x" * 1_000_000 + b'\n{"id": 2, "verb": "ping"}\n')

        assert "65,536 bytes" in json.loads(reader.readline())["refused"]
        assert json.loads(reader.readline()) == {"id": 2, "ok": {}}
        assert int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096 < 200 * 2**20


def test_a_second_client_is_told_to_come_later(tmp_path):
    with agent(tmp_path) as (_, path):
        first = Channel(connected(path))
        words = turned_away(path)

        assert "in use by another client" in words
        assert first.ask("ping") == {}
        first.close()
        time.sleep(0.3)
        second = Channel(connected(path))
        assert second.ask("ping") == {}
        second.close()


def test_the_socket_is_one_users_and_another_is_refused_even_with_a_path_to_it(tmp_path):
    """The file's rights keep others out; where they do not, the kernel says who is calling."""
    with agent(tmp_path, "--uid", "4242") as (_, path):
        assert path.stat().st_uid == 4242
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o666)
        program = (
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
            "print(s.recv(1000).decode())"
        )
        for folder in list(path.parents)[:3]:  # pytest's own, which are one user's
            folder.chmod(0o711)
        done = subprocess.run(
            ["setpriv", f"--reuid={NOBODY}", "--clear-groups", host.PYTHON, "-c", program, path],
            capture_output=True,
            text=True,
            check=False,
        )

    assert "belongs to another user" in done.stdout


# --- what stays behind ---

ASK = """
import sys, time
from toolkit.ebpf import Lab
lab = Lab("host")
channel = lab._backend.channel
stage = sys.argv[1]
if stage != "started":
    channel.ask("open", hook=sys.argv[2])
    channel.ask("set", rate_per_s=1000, burst=10)
if stage == "flooding":
    channel.ask("send", seconds=20)
print(lab._backend._helper.pid, channel.ask("hello")["pid"], flush=True)
if stage == "racing":
    lab.race(burst=1_000_000, each=10_000_000, rounds=20)
time.sleep(60)
"""


@pytest.mark.parametrize("victim", ["notebook", "agent", "session"])
@pytest.mark.parametrize(
    ("stage", "hook"),
    [
        ("started", "xdp"),
        ("attached", "xdp"),
        ("attached", "tc"),
        ("flooding", "xdp"),
        ("racing", "xdp"),
    ],
)
def test_kill_9_at_any_stage_leaves_nothing_behind(victim, stage, hook):
    """No program, no namespace, no interface, no process: the kernel clears up."""
    before, agents = ours_in_kernel(), running_agents()
    notebook = subprocess.Popen(
        [sys.executable, "-c", ASK, stage, hook],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with notebook:
        agent_pid, session_pid = map(int, notebook.stdout.readline().split())
        seen = ours_in_kernel()
        time.sleep(0.2)
        pids = {"notebook": notebook.pid, "agent": agent_pid, "session": session_pid}
        os.kill(pids[victim], signal.SIGKILL)
        notebook_lives = (
            victim != "notebook" and stage != "racing"
        )  # there it asks, and hears of it
        if notebook_lives:
            assert settled(lambda: ours_in_kernel() == before)
        notebook.kill()

    assert stage == "started" or seen != before
    assert settled(lambda: running_agents() == agents)
    assert settled(lambda: ours_in_kernel() == before)


def test_a_session_that_dies_is_told_and_the_lab_goes_on(tmp_path):
    with agent(tmp_path) as (_, path):
        channel = Channel(connected(path))
        os.kill(channel.ask("hello")["pid"], signal.SIGKILL)
        with pytest.raises(LabError, match=r"the session died \(signal 9\); a new one has begun"):
            channel.ask("ping")

        assert channel.ask("ping") == {}
        channel.close()


# --- a helper for somebody who is not root ---

USER = 4_242
AS_USER = """
from toolkit.ebpf import Lab
with Lab("host") as lab:
    seen = lab.limit(rate_per_s=1, burst=10, count=23, seconds=0.2)
    print(lab.backend, seen.passed, seen.dropped)
"""


@pytest.fixture
def helper():
    """Serve a user, with no more rights than are needed."""
    path = host.SOCKETS / f"{USER}.sock"
    path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "toolkit", "ebpf", "serve", "--uid", str(USER)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        assert settled(path.exists)
        time.sleep(0.1)
        yield process
        process.terminate()
    assert not path.exists()


def test_the_helper_has_only_the_rights_that_it_needs(helper):
    """None to read others' files as their owner, to change users, to load modules, to reboot."""
    status = Path(f"/proc/{helper.pid}/status").read_text()
    held = int(status.split("CapBnd:\t")[1].split()[0], 16)

    assert held.bit_count() <= len(host.RIGHTS)
    assert all(held >> bit & 1 for bit in host.NEEDED.values())


@pytest.mark.usefixtures("helper")
def test_an_ordinary_user_asks_this_machines_kernel_through_the_helper():
    packages = next(Path(place) for place in sys.path if place.endswith("site-packages"))
    everyone = all(folder.stat().st_mode & 0o005 == 0o005 for folder in packages.parents)
    if not everyone:
        pytest.skip(f"{packages} is not to be read by another user")
    words = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "env"]
    words += [f"PYTHONPATH={Path(host.__file__).parents[2]}:{packages}", "HOME=/nonexistent"]
    done = subprocess.run(
        [*words, host.PYTHON, "-B", "-c", AS_USER], capture_output=True, text=True, check=False
    )

    assert done.stdout == "host 10 13\n", done.stderr


def test_a_helper_that_is_gone_is_said_to_be(tmp_path):
    """A socket's file may outlive who listened."""
    path = tmp_path / "old.sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    with pytest.raises(BackendUnavailable, match="does not answer"):
        host._joined(path)
