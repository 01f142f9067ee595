"""What of ours is in this machine's kernel, counted from outside."""

import ctypes
import struct
import time
from pathlib import Path

from toolkit.ebpf.agent import kernel

PROG_GET_NEXT_ID = 11
PATIENCE_S = 20


def programs():
    """Return the numbers of all eBPF programs that are loaded."""
    found, last = [], 0
    while True:
        attributes = ctypes.create_string_buffer(16)
        struct.pack_into("II", attributes, 0, last, 0)
        try:
            kernel.bpf(PROG_GET_NEXT_ID, attributes)
        except OSError:
            return found
        last = struct.unpack_from("I", attributes, 4)[0]
        found.append(last)


def processes():
    """Yield the folder and command line of every process that has not ended."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"State:\tZ" not in (folder / "status").read_bytes():
                yield folder, words
        except OSError:
            continue


def running_agents():
    """Return the processes of agents and what they started."""
    return [
        int(folder.name) for folder, words in processes() if words[4:6] == [b"agent", b"--line"]
    ]


def namespaces():
    """Return the network namespaces that some process is in."""
    found = set()
    for folder, _ in processes():
        try:
            found.add((folder / "ns/net").readlink())
        except OSError:
            continue
    return found


def interfaces():
    """Return the interfaces of this machine's own network."""
    return set(Path("/sys/class/net").iterdir())


def ours_in_kernel():
    """Return everything that a lab could leave behind."""
    return set(programs()), namespaces(), interfaces(), set(Path("/sys/fs/bpf").glob("*"))


def settled(condition):
    """Wait for something to become true; the kernel frees programs a moment after their last user."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return condition()
