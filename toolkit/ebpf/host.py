"""The lab on this machine's own kernel: a helper that is root, and a socket to it.

As root the helper is started here and ends with the connection.  Anybody else needs one that the
administrator started for them: ``sudo python -m toolkit ebpf serve --uid 1000``.  It keeps only the
rights that it needs, and listens where only that user may come in.
"""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from pathlib import Path

from toolkit.ebpf.channel import BackendUnavailable, Channel

HERE = Path(__file__).parent
PYTHON = "/usr/bin/python3"  # Debian's own, for which there is bcc
SOCKETS = Path("/run/goodput-lab")
RIGHTS = ["bpf", "net_admin", "net_raw", "perfmon", "sys_admin", "sys_resource"]
RIGHTS += ["chown", "dac_read_search"]
"""The last two since the socket becomes the user's, and the agent's folder may be so already."""

PACKAGES = [Path("/usr/lib/python3/dist-packages"), Path("/usr/lib/python3/site-packages")]
BTF, LOCKDOWN = Path("/sys/kernel/btf/vmlinux"), Path("/sys/kernel/security/lockdown")
STATUS = Path("/proc/self/status")
NEEDED = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21, "CAP_BPF": 39}
Missing = tuple[str, str]  # what is missing, and the one command that provides it


def agent_command(*arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the agent's command line and its environment."""
    environment = {
        "PYTHONPATH": str(HERE),
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
    }
    return [PYTHON, "-s", "-B", "-m", "agent", *arguments], environment


def why_not() -> list[Missing]:
    """Return what keeps this machine's kernel from being the lab, each with its remedy."""
    if sys.platform != "linux":
        return [(f"{platform.system()} has no eBPF", "use the recorded sessions, or Binder")]
    if os.geteuid() != 0:
        if os.access(user_socket(), os.R_OK | os.W_OK):
            return []
        remedy = f"sudo {sys.executable} -m toolkit ebpf serve --uid {os.getuid()}"
        return [("not root, and no helper is running", remedy)]
    return [
        finding
        for finding in (_no_bcc(), _no_headers(), _no_btf(), _no_rights(), _locked())
        if finding
    ]


def user_socket() -> Path:
    """Return where this user's helper listens."""
    return SOCKETS / f"{os.getuid()}.sock"


def _no_bcc() -> Missing | None:
    if any((folder / "bcc").exists() for folder in PACKAGES):
        return None
    return "BCC for Debian's Python (package python3-bpfcc)", "make ebpf"


def _no_headers() -> Missing | None:
    from toolkit.ebpf.agent.kernel import header_folders  # noqa: PLC0415, of the agent's world

    return None if header_folders() else ("kernel headers for BCC to compile with", "make ebpf")


def _no_btf() -> Missing | None:
    if BTF.exists():
        return None
    return f"type information (BTF) in kernel {platform.release()}", "use the micro-VM"


def _no_rights() -> Missing | None:
    held = int(STATUS.read_text().split("CapEff:\t")[1].split()[0], 16)
    lacking = [name for name, bit in NEEDED.items() if not held >> bit & 1]
    return (f"root without {' '.join(lacking)}", "use the micro-VM") if lacking else None


def _locked() -> Missing | None:
    if LOCKDOWN.exists() and "[confidentiality]" in LOCKDOWN.read_text():
        return "the kernel is locked down (confidentiality)", "use the micro-VM"
    return None


class Host:
    """A connection to a helper beside this machine's kernel."""

    name = "host"

    def __init__(self) -> None:
        if missing := why_not():
            raise BackendUnavailable("; ".join(f"{what} ({remedy})" for what, remedy in missing))
        self._helper: subprocess.Popen[bytes] | None = None
        self.channel = Channel(self._own_helper() if os.geteuid() == 0 else _joined(user_socket()))

    def _own_helper(self) -> socket.socket:
        """Start one; the line to it has no name, so nobody else can come in."""
        ours, theirs = socket.socketpair()
        with theirs:
            command, environment = agent_command("--line", str(theirs.fileno()))
            self._helper = subprocess.Popen(  # noqa: S603
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        return ours

    def close(self) -> None:
        """Hang up; a helper of our own ends with it, and all that it made."""
        self.channel.close()
        if self._helper:
            self._helper.wait(timeout=10)


def _joined(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    try:
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        raise BackendUnavailable(f"the helper at {path} does not answer ({error})") from None
    return connection


def serve(uid: int) -> None:
    """Be the helper of one user until ended; this process becomes the agent.

    Raises ``PermissionError`` when it is not root, ``BackendUnavailable`` for what is missing.
    """
    if os.geteuid() != 0:
        raise PermissionError("the helper has to be root: put sudo before the command")
    if missing := why_not():
        raise BackendUnavailable("; ".join(f"{what} ({remedy})" for what, remedy in missing))
    SOCKETS.mkdir(mode=0o755, exist_ok=True)
    command, environment = agent_command(
        "--socket", str(SOCKETS / f"{uid}.sock"), "--uid", str(uid)
    )
    bounds = "-all" + "".join(f",+{right}" for right in RIGHTS)
    os.execvpe("setpriv", ["setpriv", f"--bounding-set={bounds}", *command], environment)  # noqa: S606, S607
