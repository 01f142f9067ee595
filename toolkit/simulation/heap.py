"""Memory that is used again: what a run frees stays in the process, for the next one to take.

The C library hands tables of some megabytes back to the system as soon as they are free, and asks for
them anew; each page of new memory costs as much as drawing hundreds of random numbers.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

KEPT_BYTES = 256 << 20
"""Free memory beyond this goes back to the system, for each of the C library's arenas by itself."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_LARGEST_BYTES = 32 << 20  # the most that glibc keeps in one piece, on 64 bits


@cache
def keep_what_is_freed() -> bool:
    """Tell the C library, once, to keep what is freed; return ``False`` if it is none that can be told."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    sizes = {_MMAP_THRESHOLD: _LARGEST_BYTES, _TRIM_THRESHOLD: KEPT_BYTES}
    return all(mallopt(what, size) for what, size in sizes.items())
