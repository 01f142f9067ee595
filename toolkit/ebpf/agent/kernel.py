"""The kernel's doors that BCC leaves closed: links, test runs, and where the headers are.

Numbers of commands and the layout of their arguments are those of ``include/uapi/linux/bpf.h``.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Any

SYS_BPF = 321  # x86_64
PROG_TEST_RUN, INFO_BY_FD, LINK_CREATE = 10, 15, 28
ATTACH_XDP = 37
MODES = {"xdp": 1 << 2, "xdp-generic": 1 << 1}  # XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE
LIVE_FRAMES = 1 << 1

HERE = Path(__file__).parent
_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):  # noqa: N818, it is what the other side is told
    """What was asked for is not to be had; the message says why, for people."""


def header_folders() -> tuple[Path, Path] | None:
    """Return the folders of Debian's kernel headers: the common ones and the architecture's."""
    running = os.uname().release
    for pattern in (
        f"linux-headers-{running}",
        "linux-headers-6.1*-amd64",
        "linux-headers-*-amd64",
    ):
        for own in sorted(Path("/usr/src").glob(pattern), reverse=True):
            common = Path(str(own).rsplit("-", 1)[0] + "-common")
            if (common / "include/linux/kconfig.h").exists():
                return common, own
    return None


def compile_flags() -> list[str]:
    """Point BCC to the headers, and return the flags that it needs besides; nothing is written."""
    folders = header_folders()
    if folders is None:
        raise Refused("no kernel headers for BCC; as root: make ebpf")
    common, own = folders
    os.environ["BCC_KERNEL_SOURCE"] = str(common)
    parts = ("include", "arch/x86/include/generated", "include/generated/uapi")
    includes = [own / part for part in (*parts, "arch/x86/include/generated/uapi")]
    return [f"-I{folder}" for folder in includes] + ["-Wno-everything"]


def compiled(*names: str) -> Any:
    """Return BCC's object for programs of this folder, taken together: most of the time goes to headers."""
    from bcc import BPF  # noqa: PLC0415, takes a second, and not every verb needs it

    text = "".join(f'#line 1 "{name}"\n{(HERE / name).read_text()}' for name in names)
    return BPF(text=text, cflags=compile_flags())


def bpf(command: int, attributes: ctypes.Array[ctypes.c_char]) -> int:
    """Make the system call; raises ``OSError``."""
    result = _libc.syscall(SYS_BPF, command, ctypes.byref(attributes), len(attributes))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)


def link(program_fd: int, target: int, kind: int, flags: int = 0) -> int:
    """Attach by a link and return its file descriptor: the program is gone when that is closed.

    A program attached over netlink would stay in a namespace that lives on (seen after ``kill -9``).
    """
    attributes = ctypes.create_string_buffer(64)
    struct.pack_into("IIII", attributes, 0, program_fd, target, kind, flags)
    return bpf(LINK_CREATE, attributes)


def attach_xdp(program_fd: int, interface: int, hook: str) -> int:
    """Attach to an interface's XDP hook, native or generic; return the link."""
    return link(program_fd, interface, ATTACH_XDP, MODES[hook])


def run_program(
    program_fd: int, packet: bytes, *, repeat: int = 1, live_on: int | None = None
) -> tuple[int, int]:
    """Run a program on a packet; return what it said and the mean nanoseconds a run.

    ``live_on``: the number of an interface; then frames are real, and what the program sends goes out
    of it.  One long call: each call with ``repeat`` above 1 costs milliseconds of its own.
    """
    data = ctypes.create_string_buffer(packet, len(packet))
    attributes = ctypes.create_string_buffer(80)
    # prog_fd, retval, data_size_in, data_size_out, data_in, data_out, repeat, duration,
    # ctx_size_in, ctx_size_out, ctx_in, ctx_out, flags, cpu, batch_size
    ctx, ctx_size, flags = None, 0, 0
    if live_on is not None:
        ctx = ctypes.create_string_buffer(struct.pack("6I", 0, len(packet), 0, live_on, 0, 0))
        ctx_size, flags = 24, LIVE_FRAMES
    struct.pack_into(
        "IIIIQQIIIIQQIII",
        attributes,
        0,
        *(program_fd, 0, len(packet), 0, ctypes.addressof(data), 0, repeat, 0),
        *(ctx_size, 0, ctypes.addressof(ctx) if ctx else 0, 0, flags, 0, 0),
    )
    bpf(PROG_TEST_RUN, attributes)
    said, duration_ns = (
        struct.unpack_from("I", attributes, 4)[0],
        struct.unpack_from("I", attributes, 36)[0],
    )
    return said, duration_ns


def instructions_verified(program_fd: int) -> int:
    """Return how many instructions the verifier walked through (``bpf_prog_info.verified_insns``)."""
    info = ctypes.create_string_buffer(256)
    attributes = ctypes.create_string_buffer(16)
    struct.pack_into("IIQ", attributes, 0, program_fd, len(info), ctypes.addressof(info))
    bpf(INFO_BY_FD, attributes)
    return int(struct.unpack_from("I", info, 216)[0])
