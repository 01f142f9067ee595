"""What this machine can do for the kernel lab, and the one command for each piece that is missing."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.ebpf import host, microvm, recorded
from toolkit.ebpf.channel import BackendUnavailable
from toolkit.ebpf.lab import BACKENDS, Lab


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked for: whether it is there, what was seen, and what would help."""

    what: str
    found: bool
    seen: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        mark = "yes" if self.found else "NO"
        said = self.seen + (f"; {self.remedy}" if self.remedy and not self.found else "")
        return f"  {self.what:<28}{mark:<5}{said}".rstrip()


def findings() -> dict[str, list[Finding]]:
    """Look at what each backend needs; nothing is started."""
    return {
        "host": _findings(host.why_not(), f"Linux {platform.release()}" if _linux() else ""),
        "microvm": [*_findings(microvm.why_not(), "QEMU and an image of the guest"), _kvm()],
        "recorded": [_sessions()],
    }


def _linux() -> bool:
    return platform.system() == "Linux"


def _findings(missing: list[tuple[str, str]], seen: str) -> list[Finding]:
    if not missing:
        return [Finding(what="all that it needs", found=True, seen=seen)]
    return [Finding(what=what, found=False, remedy=remedy) for what, remedy in missing]


def _kvm() -> Finding:
    what = "KVM (a faster start)"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return Finding(what=what, found=False, seen="cannot be opened; everything works without")
    verdict = microvm.kvm_verdict() if shutil.which(microvm.QEMU) else None
    if verdict is None:
        return Finding(what=what, found=False, seen="not tried yet; the first start will")
    seen = "" if verdict else "opens, but no guest boots with it; everything works without"
    return Finding(what=what, found=verdict, seen=seen)


def _sessions() -> Finding:
    try:
        kept = recorded.Recorded()
    except BackendUnavailable as error:
        return Finding(what="recorded sessions", found=False, seen=str(error))
    return Finding(what="recorded sessions", found=True, seen=f"Linux {kept.kernel}, {kept.when}")


def trial(backend: str) -> list[Finding]:
    """Start a live backend and have it try what the notebooks use."""
    try:
        with Lab(backend) as lab:  # type: ignore[arg-type]
            tried: dict[str, Any] = lab.probe()
    except (RuntimeError, ValueError) as error:
        return [Finding(what="a start", found=False, seen=str(error))]
    return [Finding(what=what, found=not why, seen=why) for what, why in tried.items()]


def report(*, live: bool) -> str:
    """Return the table; ``live`` starts each backend that can be started, which takes half a minute."""
    found, lines = findings(), []
    usable = [name for name in BACKENDS if all(one.found for one in _needed(found[name]))]
    for name in BACKENDS:
        lines.append(f"{name}: {'ready' if name in usable else 'not to be had'}")
        lines += [str(one) for one in found[name]]
        if live and name in usable and name != "recorded":
            lines += [str(one) for one in trial(name)]
    best = usable[0] if usable else "nothing"
    return "\n".join([*lines, "", f"tk.ebpf.Lab() uses: {best}", _advice(usable)]).rstrip()


def _needed(found: list[Finding]) -> list[Finding]:
    return [one for one in found if not one.what.startswith("KVM")]


def _advice(usable: list[str]) -> str:
    if "microvm" in usable:
        return ""
    made = Path("Makefile").exists() and _linux()
    return "For everything at once: make ebpf (as root on Debian)" if made else ""
