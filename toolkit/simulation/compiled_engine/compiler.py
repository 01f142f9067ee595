"""Have this engine compiled: once on a machine, in a process of its own, part by part.

It takes three quarters of a minute, and then everybody loads what it left (``loading``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from toolkit.simulation.compiled_engine.cache import file_of, folder

PARTS = {
    "recursion": ("columns", "draws", "recursion", "totals"),
    "plain": ("plain",),
    "full": ("full.loop",),
}
"""The modules with the functions that Python calls, by part, the quickest first."""

PATIENCE_S = 300  # with a compiler that somebody has started


class Compiler(subprocess.Popen[bytes]):
    """A process that compiles; it may outlive this one, which need not say so."""

    def __del__(self) -> None:
        """Leave it alone."""


_READY: set[str] = set()
_OWN: list[Compiler] = []


def is_ready(part: str) -> bool:
    """Say whether a part has been compiled on this machine."""
    # who finds nothing has not loaded LLVM for it
    if part not in _READY and any(folder().glob(f"{part}-*.o")) and file_of(part).exists():
        _READY.add(part)
    return part in _READY


def compile_elsewhere() -> None:
    """Have all parts compiled, unless that is being done."""
    if not is_being_compiled():
        start()


def start() -> Compiler:
    """Start to compile all parts."""
    code = "import sys; from toolkit.simulation.compiled_engine import making; making.write_parts(sys.argv[1])"
    with log().open("wb") as said:
        process = Compiler(
            [sys.executable, "-c", code, str(folder())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
    _OWN.append(process)
    note().write_text(str(process.pid))
    return process


def log() -> Path:
    """Return the file with what the compiling process complains about."""
    return folder() / "compiler.log"


def note() -> Path:
    """Return the file with the number of the process that compiles."""
    return folder() / "compiler.pid"


def is_being_compiled() -> bool:
    """Say whether some process on this machine is at it."""
    if _OWN:
        return _OWN[-1].poll() is None
    try:
        os.kill(int(note().read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def wait_for(part: str) -> Path:
    """Return the file with a part's code, as soon as it is there.

    Raises ``RuntimeError`` if it cannot be compiled.
    """
    since_s, place, own = time.monotonic(), file_of(part), None
    while not place.exists():
        if own is None and (not is_being_compiled() or time.monotonic() - since_s > PATIENCE_S):
            own = start()
        elif own is not None and own.poll() is not None and not place.exists():
            raise RuntimeError(
                f"the compiled engine could not be compiled, {log()} says why; "
                "engine='simpy' gives the same records"
            )
        time.sleep(0.02)
    return place


def compile_all() -> None:
    """Have all parts compiled, and wait for them."""
    for part in PARTS:
        wait_for(part)
