"""Versions of products, as numbers that can be compared.

We speak only for the lines that somebody has read or run; a version of any other line is refused,
for a guess about it would look like knowledge.
"""

from __future__ import annotations

import re
from functools import cache

Version = tuple[int, int, int]


@cache
def parse(product: str, lines: tuple[str, ...], version: str) -> Version:
    """Return ``version`` as three numbers; two are taken as the first of their line.

    ``lines`` are the known lines of ``product``, such as ``("5.6", "5.7")``.
    Raises ``ValueError`` for a version of another line, or none at all.

    >>> parse("Celery", ("5.6", "5.7"), "5.7"), parse("Celery", ("5.6", "5.7"), "5.6.3")
    ((5, 7, 0), (5, 6, 3))
    """
    found = re.fullmatch(r"(\d+)\.(\d+)(?:\.(\d+))?", version) if isinstance(version, str) else None
    if found is None or f"{found[1]}.{found[2]}" not in lines:
        raise ValueError(
            f"version must be one of the known {product} versions ({', '.join(lines)}, and their "
            f"patches such as {lines[-1]}.0), got {version!r}"
        )
    return int(found[1]), int(found[2]), int(found[3] or 0)
