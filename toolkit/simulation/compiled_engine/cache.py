"""Where compiled code is kept between processes, and when it is too old.

Numba keeps compiled functions on disk and looks at one source file to see whether they are too old.
Here a function is made of several files, so their common stamp decides.
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

HERE = Path(__file__).parent


@cache
def stamp() -> str:
    """Return a number for all sources of this engine together."""
    digest = hashlib.sha256(f"{sys.version} {version('numba')}".encode())
    for source in sorted(HERE.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@cache
def folder() -> str:
    """Return a folder that can be written, with a warning if it will not outlive the process."""
    given = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    home = Path(given) if given else Path("~/.cache").expanduser()
    place = home / "goodput-lab" / stamp()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return str(place)
    except OSError as error:
        text = (
            f"the compiled engine cannot be kept in {place} ({error.strerror}), so every new process "
            "compiles it again; NUMBA_CACHE_DIR names another folder"
        )
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        return tempfile.mkdtemp(prefix="goodput-lab-")
