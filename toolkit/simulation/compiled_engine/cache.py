"""Where compiled code is kept between processes, for which processor, and when it is too old.

The code of a part is made of several files, so the stamp of all sources of this engine decides.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import warnings
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from toolkit.simulation import codes

HERE = Path(__file__).parent
COMPILES = False  # whether this process does
_KEPT: list[tempfile.TemporaryDirectory[str]] = []  # until this process ends


@cache
def stamp() -> str:
    """Return a number for all sources of this engine together, and the codes that they know."""
    digest = hashlib.sha256(f"{sys.version} {version('numba')}".encode())
    for source in (*sorted(HERE.rglob("*.py")), Path(codes.__file__)):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@cache
def folder() -> Path:
    """Return a folder that can be written, with a warning if it will not outlive the process."""
    given = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    home = Path(given) if given else Path("~/.cache").expanduser()
    place = home / "goodput-lab" / stamp()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return place
    except OSError as error:
        text = (
            f"the compiled engine cannot be kept in {place} ({error.strerror}), so every new process "
            "compiles it again; NUMBA_CACHE_DIR names another folder"
        )
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        _KEPT.append(tempfile.TemporaryDirectory(prefix="goodput-lab-", ignore_cleanup_errors=True))
        return Path(_KEPT[0].name)


def machine() -> Any:
    """Return LLVM's description of this processor; code made for one may stop another."""
    import llvmlite.binding as llvm  # noqa: PLC0415, not needed before there is code

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = processor()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=name, features=features, opt=3, jit=True)


def processor() -> tuple[str, str]:
    """Return what LLVM calls this processor, and what it can do."""
    import llvmlite.binding as llvm  # noqa: PLC0415, as above

    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


@cache
def file_of(part: str, place: Path | None = None) -> Path:
    """Return the file with a part's code for this processor, in ``folder()`` or another place."""
    name, features = processor()
    digest = hashlib.sha256(features.encode()).hexdigest()
    return (place or folder()) / f"{part}-{name}-{digest[:8]}.o"
