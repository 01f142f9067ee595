"""The micro-VM: it starts, it answers, and it ends with whoever holds it.

The agent is a small one of the tests' own, so that a failure here is the machine's.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toolkit.ebpf import image, microvm
from toolkit.ebpf.channel import BackendUnavailable

MISSING = microvm.why_not()
WHY_NOT = "; ".join(f"{what} ({remedy})" for what, remedy in MISSING)
PATIENCE_S = 60  # a start takes 3 s on an idle machine

AGENT = """
import json, os, subprocess, sys

line = os.open(sys.argv[2], os.O_RDWR)
os.write(line, json.dumps({"hello": os.uname().release}).encode() + b"\\n")
while asked := os.read(line, 65536):
    done = subprocess.run(asked.decode(), shell=True, capture_output=True, text=True)
    os.write(line, json.dumps([done.returncode, done.stdout + done.stderr]).encode() + b"\\n")
"""


def needs_vm(test):
    """Mark a test that starts a guest; where none can be had it is skipped, with the reason."""
    return pytest.mark.microvm(pytest.mark.skipif(bool(MISSING), reason=WHY_NOT)(test))


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    """Return a folder with an agent that runs shell commands."""
    folder = tmp_path_factory.mktemp("agents")
    (folder / "agent").mkdir()
    (folder / "agent/__init__.py").write_text("")
    (folder / "agent/__main__.py").write_text(AGENT)
    return folder


def read_line(line):
    """Return the next line, or nothing when the line is closed, with or without something unread."""
    line.settimeout(PATIENCE_S)
    read = b""
    with contextlib.suppress(ConnectionResetError):
        while not read.endswith(b"\n") and (chunk := line.recv(4096)):
            read += chunk
    return read


def ask(guest, command):
    guest.socket.sendall(command.encode())
    return json.loads(read_line(guest.socket))


@pytest.fixture(scope="module")
def guest(agent):
    """Return a guest that the tests share: they look and change nothing."""
    with microvm.start(agent=agent, accelerator="tcg") as guest:
        hello = read_line(guest.socket)
        assert hello, guest.console()
        assert json.loads(hello) == {"hello": image.find().release}
        yield guest


def is_running(pid):
    """Say whether there is such a process; one that only waits to be reaped has ended."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_until(reached, *, within_s=PATIENCE_S):
    until = time.monotonic() + within_s
    while not reached() and time.monotonic() < until:
        time.sleep(0.02)
    return reached()


# --- what a guest is and has ---


@needs_vm
def test_two_in_a_row_say_hello(agent):
    for _ in range(2):
        with microvm.start(agent=agent) as guest:
            assert "hello" in json.loads(read_line(guest.socket))


@needs_vm
def test_it_takes_no_more_memory_than_it_was_given_and_qemu_needs(guest):
    assert 100 < guest.rss_mb() <= 600


@needs_vm
def test_it_sees_the_hosts_files_and_cannot_change_them(guest, agent):
    assert ask(guest, f"cat {agent}/agent/__main__.py") == [0, AGENT]

    assert ask(guest, f"echo changed > {agent}/agent/__init__.py")[0] == 0
    assert (agent / "agent/__init__.py").read_text() == ""


@needs_vm
def test_its_own_proc_and_sys_hide_the_hosts(guest):
    """Without ``multidevs=remap`` the mounts went astray and /proc was the host's."""
    assert ask(guest, "cat /proc/1/comm")[1] == "init\n"
    assert ask(guest, "cat /proc/sys/kernel/osrelease")[1].strip() == image.find().release
    mounted = ask(guest, "cut -d' ' -f2 /proc/mounts")[1].split()
    assert {"/run", "/sys/fs/cgroup", "/sys/fs/bpf", "/sys/kernel/tracing"} <= set(mounted)


@needs_vm
def test_it_has_no_network_but_its_own(guest):
    assert ask(guest, "ls /sys/class/net")[1].split() == ["lo"]
    assert "inet 127.0.0.1/8" in ask(guest, "ip address show up")[1]


@needs_vm
def test_home_and_scratch_can_be_written(guest):
    assert ask(guest, "touch $HOME/a $TMPDIR/b && stat -c %a $HOME")[1] == "700\n"


@needs_vm
@pytest.mark.parametrize(
    "command",
    [
        "ip link add one type veth peer name other && ip link del one",
        "tc qdisc add dev lo clsact && tc qdisc del dev lo clsact",
        (
            "tc qdisc add dev lo root fq && tc qdisc replace dev lo root tbf rate 1mbit burst 9k latency 9ms"
            " && tc qdisc del dev lo root"
        ),
        (
            "nft add table netdev t && nft 'add chain netdev t c { type filter hook ingress device lo"
            " priority 0; }' && nft 'add set netdev t s { type ipv4_addr; size 9; flags dynamic; }' && nft"
            " 'add rule netdev t c update @s { ip saddr limit rate over 9/second } drop'"
            " && nft delete table netdev t"
        ),
        (
            "iptables-nft -t raw -A PREROUTING -m hashlimit --hashlimit-above 9/sec --hashlimit-mode srcip"
            " --hashlimit-name h -j DROP && iptables-nft -t raw -F"
        ),
    ],
    ids=["veth", "clsact", "shapers", "nft", "hashlimit"],
)
def test_the_kernel_loads_what_it_is_asked_for(guest, command):
    """From inside the new root, through the modules of the archive."""
    code, said = ask(guest, command)

    assert code == 0, said


@needs_vm
def test_headers_are_where_bcc_looks(guest):
    release = image.find().release
    places = ask(guest, f"readlink /lib/modules/{release}/build /lib/modules/{release}/source")[1]

    assert places.split() == [str(path) for path in image.headers(release).values()]


# --- however its holder ends, nothing of a guest remains ---


@needs_vm
def test_close_leaves_no_process_and_no_file(agent, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    guest = microvm.start(agent=agent)
    read_line(guest.socket)
    assert is_running(guest.pid)

    guest.close()
    guest.close()

    assert not is_running(guest.pid)
    assert list(tmp_path.iterdir()) == []
    assert guest.rss_mb() == 0


@needs_vm
def test_it_switches_itself_off_when_the_line_is_closed(agent):
    with microvm.start(agent=agent) as guest:
        read_line(guest.socket)
        guest.socket.shutdown(socket.SHUT_RDWR)
        guest.socket.close()

        assert guest.ended(within_s=PATIENCE_S)
        assert "Power down" in guest.console()


@needs_vm
@pytest.mark.parametrize(
    "after_s", [0.0, 0.5, 2.0, None], ids=["at once", "early", "late", "in use"]
)
def test_it_ends_when_its_parent_is_killed(agent, after_s):
    """Killed while it boots, and while the agent is at work; started from a thread that is over."""
    program = (
        "import sys, time, threading\n"
        "from pathlib import Path\n"
        "from toolkit.ebpf import microvm\n"
        "made = []\n"
        "def boot(): made.append(microvm.start(agent=Path(sys.argv[1])))\n"
        "thread = threading.Thread(target=boot); thread.start(); thread.join()\n"
        "print(made[0].pid, flush=True)\n"
        "print(made[0].socket.recv(4096), flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", program, str(agent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        if after_s is None:
            assert "hello" in parent.stdout.readline()
        else:
            time.sleep(after_s)
        assert is_running(pid)
        parent.kill()

    assert wait_until(lambda: not is_running(pid), within_s=5)


@needs_vm
def test_a_guest_that_is_killed_is_an_end_of_line_and_not_a_wait(agent):
    with microvm.start(agent=agent) as guest:
        read_line(guest.socket)
        guest.socket.sendall(b"sleep 600")
        os.kill(guest.pid, signal.SIGKILL)

        assert read_line(guest.socket) == b""
        assert guest.ended(within_s=5)


@needs_vm
def test_a_guest_whose_kernel_panics_ends_and_says_why(agent):
    with microvm.start(agent=agent) as guest:
        read_line(guest.socket)
        guest.socket.sendall(b"echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger")

        assert read_line(guest.socket) == b""
        assert guest.ended(within_s=PATIENCE_S)
        assert "Kernel panic" in guest.console()


@needs_vm
def test_an_agent_that_cannot_be_found_is_said_on_the_console(tmp_path):
    with microvm.start(agent=tmp_path) as guest:
        assert read_line(guest.socket) == b""
        assert guest.ended(within_s=PATIENCE_S)
        assert "No module named agent" in guest.console()


# --- one line on what is missing, and the command that provides it ---


def test_an_image_folder_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("GOODPUT_LAB_IMAGE", str(tmp_path / "nowhere"))
    monkeypatch.setattr(microvm.shutil, "which", lambda name: f"/usr/bin/{name}")

    with pytest.raises(BackendUnavailable, match=r"nowhere .*-m toolkit\.ebpf\.image"):
        microvm.start()


def test_no_qemu_and_no_busybox(tmp_path, monkeypatch):
    monkeypatch.setenv("GOODPUT_LAB_IMAGE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    remedies = " ".join(remedy for _, remedy in microvm.why_not())

    assert "qemu-system-x86" in remedies
    assert "busybox-static" in remedies


def test_too_little_memory():
    what, _ = microvm.why_not(memory_mb=10**7)[-1]

    assert what.startswith("10000190 MB of memory are needed")


@pytest.mark.parametrize(("system", "machine"), [("darwin", "x86_64"), ("linux", "aarch64")])
def test_another_system(monkeypatch, system, machine):
    monkeypatch.setattr(microvm.sys, "platform", system)
    monkeypatch.setattr(microvm.platform, "machine", lambda: machine)

    assert [remedy for _, remedy in microvm.why_not()] == ["use Binder"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cpus": 0}, "cpus must be a whole number >= 1"),
        ({"memory_mb": 64}, "memory_mb must be a whole number >= 128"),
        ({"accelerator": "hax"}, "accelerator must be 'auto', 'tcg' or 'kvm'"),
        ({"agent": Path('/a"b')}, "without quotation marks"),
    ],
)
def test_a_wrong_argument_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        microvm.start(**wrong)


# --- KVM: that it opens means little; what counts is a boot, and it is tried once ---


@needs_vm
@pytest.mark.parametrize("boots", [True, False])
def test_the_verdict_is_kept(monkeypatch, tmp_path, boots):
    tried = []
    monkeypatch.setattr(microvm, "_verdict_files", lambda: [tmp_path / "new/kvm-verdict"])
    monkeypatch.setattr(microvm.os, "access", lambda *_: True)
    monkeypatch.setattr(microvm, "_boots_with_kvm", lambda image: tried.append(image) or boots)
    for _ in range(2):
        microvm.kvm_works.cache_clear()
        assert microvm.kvm_works() == boots
    microvm.kvm_works.cache_clear()

    assert len(tried) == 1


@needs_vm
def test_a_guest_without_an_agent_says_so_and_ends():
    """What the probe looks for: here with TCG, which always boots."""
    machine = microvm.Machine(image=image.find(), accelerator="tcg")
    with microvm.MicroVM(machine) as guest:
        assert guest.ended(within_s=PATIENCE_S)
        assert "lab: no agent" in guest.console()
