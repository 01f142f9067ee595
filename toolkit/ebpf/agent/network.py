"""Two network namespaces without a name, joined by a pair of virtual interfaces.

``client`` sends, ``server`` receives; the limiter sits on the server's end.  Nobody else can enter them,
nothing of the machine's own network is in them, and the kernel takes them away with the last process
that holds them.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NEW_NETWORK, NEW_MOUNTS = 0x40000000, 0x00020000
PRIVATE_FOR_ALL_BELOW = (1 << 14) | (1 << 18)  # MS_REC | MS_PRIVATE
SERVER, CLIENT = "lab0", "lab1"
SERVER_MAC, CLIENT_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
SERVER_IP, CLIENT_IP = "10.203.0.1", "10.203.0.2"
SERVER_IP6, CLIENT_IP6 = "fd00:cb::1", "fd00:cb::2"  # in frames only
PORT = 9000

_libc = ctypes.CDLL(None, use_errno=True)


def run(*command: str, given: str | None = None) -> str:
    """Run a program of ours without a shell; its words on failure are the error."""
    done = subprocess.run(command, capture_output=True, text=True, input=given, check=False)  # noqa: S603
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def unshare(flags: int) -> None:
    """Leave the namespaces of the process behind for new ones."""
    if _libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")


def mount(what: str, where: str, kind: str | None, flags: int) -> None:
    """Mount a file system, or change how one is mounted."""
    if _libc.mount(what.encode(), where.encode(), kind and kind.encode(), flags, None):
        number = ctypes.get_errno()
        raise OSError(number, f"mount {where}: {os.strerror(number)}")


def enter(namespace_fd: int) -> None:
    """Go into a network namespace."""
    if _libc.setns(namespace_fd, NEW_NETWORK):
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


class Network:
    """The two ends; this process is in the server's from now on."""

    def __init__(self) -> None:
        self.client_fd = self._new_namespace()
        self.server_fd = self._new_namespace()
        pair = ("link", "add", SERVER, "address", SERVER_MAC, "type", "veth")
        run("ip", *pair, "peer", "name", CLIENT, "address", CLIENT_MAC)
        run("ip", "link", "set", CLIENT, "netns", f"/proc/{os.getpid()}/fd/{self.client_fd}")
        self._bring_up(SERVER, SERVER_IP, CLIENT_IP, CLIENT_MAC)
        with self.at_client():
            self._bring_up(CLIENT, CLIENT_IP, SERVER_IP, SERVER_MAC)
            self.client_index = socket.if_nametoindex(CLIENT)
        self.server_index = socket.if_nametoindex(SERVER)
        receive_in_batches(SERVER)

    @staticmethod
    def _new_namespace() -> int:
        """Make one, in which IPv6 talks to nobody of itself: what is counted is what was sent."""
        unshare(NEW_NETWORK)
        with suppress(OSError):  # a container may have it read-only: then a stray packet is counted
            Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @staticmethod
    def _bring_up(name: str, ip: str, peer: str, peer_mac: str) -> None:
        lines = [
            "link set lo up",
            f"addr add {ip}/24 dev {name}",
            f"link set {name} up",
            f"neigh replace {peer} lladdr {peer_mac} dev {name} nud permanent",
            f"route add 198.18.0.0/15 dev {name}",  # the range for benchmarks: made-up sources
        ]
        run("ip", "-batch", "-", given="\n".join(lines))

    @contextmanager
    def at_client(self) -> Iterator[None]:
        """Be at the client's end for a while."""
        enter(self.client_fd)
        try:
            yield
        finally:
            enter(self.server_fd)


def receive_in_batches(interface: str) -> None:
    """Switch GRO on: without it, and without XDP, a virtual interface takes no frames from XDP."""
    set_gro = 0x2C  # ETHTOOL_SGRO
    value = ctypes.create_string_buffer(struct.pack("II", set_gro, 1))
    request = struct.pack("16sQ8x", interface.encode(), ctypes.addressof(value))
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8946, request)  # SIOCETHTOOL


def udp_packet(source: str, payload: bytes = bytes(18), *, ip6: bool = False) -> bytes:
    """Return an Ethernet frame from the client's end to the server's; UDP without a checksum."""
    macs = bytes.fromhex((SERVER_MAC + CLIENT_MAC).replace(":", ""))
    udp = struct.pack("!HHHH", 40_000, PORT, 8 + len(payload), 0) + payload
    if ip6:
        addresses = (
            socket.inet_pton(socket.AF_INET6, source),
            socket.inet_pton(socket.AF_INET6, SERVER_IP6),
        )
        ip = struct.pack("!IHBB", 6 << 28, len(udp), socket.IPPROTO_UDP, 64) + b"".join(addresses)
        return macs + b"\x86\xdd" + ip + udp
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0)
    ip = head + socket.inet_aton(source) + socket.inet_aton(SERVER_IP)
    total = sum(struct.unpack("!10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return macs + b"\x08\x00" + ip[:10] + struct.pack("!H", check) + ip[12:] + udp
