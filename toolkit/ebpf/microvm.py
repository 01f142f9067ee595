"""A kernel of our own for the lab, without root: QEMU boots one, and the agent answers inside.

The guest has one CPU, some memory, the host's files to read, and one line to talk on.  It has no
network and no disk, so a program that crashes its kernel harms nothing.  The line is a socket pair:
it has no name, so nobody else can come in and nothing is left to remove.

A guest ends with whoever holds it, in three ways.  ``close`` kills it.  When the holder's end of the
line is closed, the agent ends and the guest switches itself off.  When the process that started it is
gone, the kernel kills QEMU (``PR_SET_PDEATHSIG``).
"""

from __future__ import annotations

import functools
import os
import platform
import shutil
import socket
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from toolkit import _check
from toolkit.ebpf.channel import BackendUnavailable, Channel

if TYPE_CHECKING:
    from toolkit.ebpf.image import Image

HERE = Path(__file__).parent
QEMU = "qemu-system-x86_64"
KEPT_BYTES = 16_384  # of what the console said, the end
MEMORY_MB = 256  # BCC takes 145 MB to compile; with 192 it is killed
TRANSLATED_MB = 64  # QEMU's store of translated code; with 32 clang takes a quarter longer
OWN_MB = 190  # of QEMU itself, that store included
PROBE_S = 6.0  # KVM boots in 1 s; here it opens, starts and never prints a line
Missing = tuple[str, str]  # what is missing, and the one command that provides it

KERNEL_WORDS = (
    "console=ttyS0 quiet panic=-1 "  # after a panic reboot, which -no-reboot makes an end
    # a busy host lets timers look broken, and without a timer that works a kernel does not boot
    "no_timer_check tsc=reliable "
    # neither enemies nor old hardware in here; without these a start takes 0.2 s longer
    "mitigations=off audit=0 apparmor=0 cryptomgr.notests rcupdate.rcu_expedited=1"
)


# --- can it be had here? ---


def why_not(*, memory_mb: int = MEMORY_MB) -> list[Missing]:
    """Return what keeps a micro-VM of that size from starting here, each with its remedy."""
    if sys.platform != "linux":
        return [(f"the micro-VM needs Linux, this is {platform.system()}", "use Binder")]
    if platform.machine() != "x86_64":
        return [(f"the micro-VM needs x86_64, this is {platform.machine()}", "use Binder")]
    return [finding for finding in (*_no_programs(), _no_image(), _no_memory(memory_mb)) if finding]


def _no_programs() -> list[Missing]:
    packages = {QEMU: "qemu-system-x86", "setpriv": "util-linux"}
    return [
        (f"{program} is not installed", f"apt-get install --no-install-recommends {package}")
        for program, package in packages.items()
        if not shutil.which(program)
    ]


def _image() -> Image | None:
    """Find the image; loaded here because ``image`` is a program too, and ``lab`` loads this module."""
    from toolkit.ebpf import image  # noqa: PLC0415, see above

    return image.find()


def _no_image() -> Missing | None:
    if _image():
        return None
    if not shutil.which("busybox"):
        return "no image of the guest, and no BusyBox to make one", "apt-get install busybox-static"
    where = os.environ.get("GOODPUT_LAB_IMAGE")
    into = f" in {where} (GOODPUT_LAB_IMAGE)" if where else ""
    return f"no image of the guest{into}", f"{sys.executable} -m toolkit.ebpf.image"


def _no_memory(memory_mb: int) -> Missing | None:
    words = Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()
    free_mb, needed_mb = int(words[0]) // 1024, memory_mb + OWN_MB
    if free_mb >= needed_mb:
        return None
    return (
        f"{needed_mb} MB of memory are needed, {free_mb} are free",
        "end other notebooks' kernels",
    )


# --- QEMU ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is to be booted; without an ``agent`` it says so and switches itself off."""

    image: Image
    accelerator: str
    cpus: int = 1
    memory_mb: int = MEMORY_MB
    agent: Path | None = None

    def command(self, line: int) -> list[str]:
        """Return QEMU's command line; ``line`` is the descriptor of its end of the socket pair."""
        words = KERNEL_WORDS + (f' lab_agent="{self.agent}"' if self.agent else "")
        return [
            *("setpriv", "--pdeathsig", "KILL", "--no-new-privs", QEMU, "-M", "q35"),
            *self._processor(),
            *("-smp", str(self.cpus), "-m", str(self.memory_mb)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-kernel", str(self.image.kernel), "-initrd", str(self.image.initramfs)),
            *("-append", words),
            *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
            *("-chardev", f"socket,id=line,fd={line}", "-device", "virtio-serial-pci"),
            *("-device", "virtserialport,chardev=line,name=lab"),
            # /proc and /sys count files anew: without `remap` 9p takes one of theirs for another
            *("-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"),
            *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
            *(
                "-sandbox",
                "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            ),
        ]

    def _processor(self) -> list[str]:
        if self.accelerator == "kvm":
            return ["-accel", "kvm", "-cpu", "host"]
        threads = "multi" if self.cpus > 1 else "single"
        # RDRAND seeds the guest's random numbers, for which Python's start would wait a second
        return ["-accel", f"tcg,tb-size={TRANSLATED_MB},thread={threads}", "-cpu", "qemu64,+rdrand"]


class _Keeper(threading.Thread):
    """Starts QEMU, keeps the end of what it and its console say, and sees it end.

    The kernel's signal at a parent's death goes by the thread that forked, so the thread that
    starts QEMU has to live as long as QEMU does; a lab may well be started from one that does not.
    """

    def __init__(self, words: list[str], line: int) -> None:
        super().__init__(name="micro-VM", daemon=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.said, self.error = b"", ""
        self._words, self._line, self._begun = words, line, threading.Event()

    def begin(self) -> subprocess.Popen[bytes]:
        """Start the thread and return QEMU's process; raises ``BackendUnavailable``."""
        self.start()
        self._begun.wait()
        if self.process is None:
            raise BackendUnavailable(f"QEMU does not start: {self.error}")
        return self.process

    def run(self) -> None:
        """Be QEMU's parent until it ends."""
        try:
            self.process = subprocess.Popen(  # noqa: S603
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[self._line],
            )
        except OSError as error:
            self.error = str(error)
            return
        finally:
            self._begun.set()
        assert self.process.stdout
        with self.process.stdout as console:
            while chunk := os.read(console.fileno(), 4096):
                self.said = (self.said + chunk)[-KEPT_BYTES:]
        self.process.wait()


class MicroVM:
    """A guest that was started; ``socket`` is the line to the agent, whose hello comes first."""

    def __init__(self, machine: Machine) -> None:
        self.accelerator = machine.accelerator
        self.socket, theirs = socket.socketpair()
        with theirs:
            self._keeper = _Keeper(machine.command(theirs.fileno()), theirs.fileno())
            process = self._keeper.begin()
        self.pid = process.pid
        self._end = weakref.finalize(self, _end, self.socket, process, self._keeper)

    def rss_mb(self) -> float:
        """Return the memory that QEMU holds now, in MB (2^20 bytes); 0 when it has ended."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return 0.0
        return int(status.split("VmRSS:")[1].split()[0]) / 1024 if "VmRSS:" in status else 0.0

    def console(self) -> str:
        """Return the last that the guest's console and QEMU said."""
        return self._keeper.said.decode(errors="replace").replace("\r\n", "\n").strip()

    def ended(self, *, within_s: float = 0.0) -> bool:
        """Wait so long for the guest to end by itself; say whether it has."""
        self._keeper.join(timeout=within_s)
        return not self._keeper.is_alive()

    def close(self) -> None:
        """End the guest now; there is nothing in it that would have to be kept."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _end(line: socket.socket, process: subprocess.Popen[bytes], keeper: threading.Thread) -> None:
    line.close()
    process.kill()
    keeper.join(timeout=10)


def start(
    *,
    cpus: int = 1,
    memory_mb: int = MEMORY_MB,
    accelerator: Literal["auto", "tcg", "kvm"] = "auto",
    agent: Path = HERE,
) -> MicroVM:
    """Boot a guest and return at once; the agent says hello about 3 s later.

    ``agent``: the folder that holds the package ``agent``, by its path here.
    Raises ``BackendUnavailable`` with what would help.
    """
    _check.count("cpus", cpus)
    _check.count("memory_mb", memory_mb, least=128)
    _check.choice("accelerator", accelerator, ("auto", "tcg", "kvm"))
    if '"' in str(agent):
        raise ValueError(f"agent must be a path without quotation marks, got {agent}")
    missing = why_not(memory_mb=memory_mb)
    image = _image()
    if missing or image is None:
        raise BackendUnavailable("; ".join(f"{what} ({remedy})" for what, remedy in missing))
    machine = Machine(
        image=image,
        accelerator=("kvm" if kvm_works() else "tcg") if accelerator == "auto" else accelerator,
        cpus=cpus,
        memory_mb=memory_mb,
        agent=agent.resolve(),
    )
    return MicroVM(machine)


# --- KVM ---


@functools.cache
def kvm_works() -> bool:
    """Say whether a guest boots with KVM here; that it can be opened means little in a cloud.

    Tried once for a kernel and a QEMU; the verdict is kept beside the image.
    """
    image = _image()
    if image is None or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    verdict = kvm_verdict()
    if verdict is None:
        verdict = _boots_with_kvm(image)
        _keep([*_verdicts(), _here() + ("yes" if verdict else "no")])
    return verdict


def kvm_verdict() -> bool | None:
    """Return what was found here before, ``None`` if it has not been tried."""
    known, here = _verdicts(), _here()
    return here + "yes" in known if {here + "yes", here + "no"} & set(known) else None


def _here() -> str:
    version = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    return f"{platform.release()}, {version.stdout.partition(chr(10))[0]}: "


def _boots_with_kvm(image: Image) -> bool:
    with MicroVM(Machine(image=image, accelerator="kvm", memory_mb=256)) as guest:
        return guest.ended(within_s=PROBE_S) and "lab: no agent" in guest.console()


def _verdict_files() -> list[Path]:
    from toolkit.ebpf import image  # noqa: PLC0415, as in `_image`

    return [folder / "kvm-verdict" for folder in image.cache_folders()]


def _verdicts() -> list[str]:
    return [
        line
        for file in _verdict_files()
        if file.is_file()
        for line in file.read_text().splitlines()
    ]


def _keep(verdicts: list[str]) -> None:
    for file in _verdict_files():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"{line}\n" for line in verdicts))
        except OSError:
            continue  # a system's folder is not ours to write; without any it is tried again next time
        return


# --- for the lab ---


class Guest:
    """A connection to an agent beside a kernel of our own."""

    name = "microvm"

    def __init__(self, *, cpus: int = 1, memory_mb: int = MEMORY_MB) -> None:
        self.machine = start(cpus=cpus, memory_mb=memory_mb)
        try:
            self.channel = Channel(self.machine.socket)
        except BackendUnavailable as error:
            self.machine.close()
            said = self.machine.console()[-300:] or "nothing"
            raise BackendUnavailable(f"{error}; the guest's console said: {said}") from None

    def close(self) -> None:
        """End the guest and all that is in it."""
        self.machine.close()
