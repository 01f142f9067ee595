"""What this project's own dependencies cost, each with the reason that it is given in DESIGN.md.

Counted from what is installed here: files on disk, distributions brought along, time to import.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from toolkit import _check
from toolkit.errors import ToolkitError

ROOT = Path(__file__).parents[2]
RUN = "run"
_OURSELVES = "goodput-lab"
_TIMED = (
    "import time; begun_s = time.perf_counter(); import {}; print(time.perf_counter() - begun_s)"
)
_LOADED = "import sys, toolkit; print(*{name.split('.')[0] for name in sys.modules})"
_ROW = re.compile(
    r"^\| (?!package |system)(?:(?:extra )?`?(\w+)`?: )?([^|]+) \| ([^|]+) \|$", re.MULTILINE
)


def dependencies(*, rounds: int = 5, extras: bool = False) -> pd.DataFrame:
    """Measure the dependencies in ``pyproject.toml``; with ``extras`` those of the extras as well.

    A row a dependency; what is not installed here has no numbers:

    - ``own_mb``: its own files, without byte code; ``brings``: how many other distributions must be
      there with it; ``with_all_mb``: the size of all of them with its own;
    - ``shared``: how many of those it brings are needed by other dependencies, too; ``frees_mb``: what
      would go if only this dependency were given up, nothing where others bring it anyway;
    - ``import_ms``, and its least and most: medians of fresh processes; ``loads_with_toolkit``: whether
      ``import toolkit`` imports it; ``reason``: as DESIGN.md says.

    Those of an extra are counted beside what is needed to run and the rest of that extra.
    Takes about half a second a round and dependency.  Raises ``ToolkitError`` away from the repository.
    """
    _check.count("rounds", rounds)
    groups, why, loaded, modules = declared(), reasons(), _loaded_with_toolkit(), _modules()
    rows = []
    for group in groups if extras else [RUN]:
        beside = {**groups[RUN], **groups[group]}
        for name, wanted in groups[group].items():
            row: dict[str, Any] = {"dependency": name, "for": group}
            if module := modules.get(canonicalize_name(name)):
                row |= _sizes(wanted, [other for other in beside.values() if other.name != name])
                row |= _import_ms(module, rounds) | {"loads_with_toolkit": module in loaded}
            rows.append(row | {"reason": why.get((group, name), "")})
    return pd.DataFrame(rows)


def declared() -> dict[str, dict[str, Requirement]]:
    """Return what ``pyproject.toml`` asks for, by group (``run`` and the extras) and name."""
    project = tomllib.loads(_read("pyproject.toml"))["project"]
    groups = {RUN: project["dependencies"], **project["optional-dependencies"]}
    parsed = {group: map(Requirement, lines) for group, lines in groups.items()}
    return {
        group: {one.name: one for one in wanted if one.name != _OURSELVES}
        for group, wanted in parsed.items()
    }


def reasons() -> dict[tuple[str, str], str]:
    """Return the reasons in DESIGN.md's table, by group and dependency; the system's packages left out."""
    table = _read("DESIGN.md").partition("## Dependencies")[2].partition("\n## ")[0]
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for group, names, reason in _ROW.findall(table):
        for name in names.split(", "):
            found[group or RUN, name].append(reason)
    return {key: "; ".join(several) for key, several in found.items()}


def brought(wanted: Requirement) -> set[str]:
    """Return the names of all installed distributions that a requirement needs, its own included."""
    found: set[tuple[str, frozenset[str]]] = set()
    todo = [wanted]
    while todo:
        one = todo.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key not in found and _is_installed(one.name):
            found.add(key)
            needs = map(Requirement, metadata.requires(one.name) or [])
            todo += [need for need in needs if _applies(need, {"", *one.extras})]
    return {name for name, _ in found}


def _applies(need: Requirement, extras: Iterable[str]) -> bool:
    return need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras)


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _sizes(wanted: Requirement, others: list[Requirement]) -> dict[str, float]:
    ours = brought(wanted)
    theirs: set[str] = set().union(*map(brought, others))
    own = canonicalize_name(wanted.name)
    return {
        "own_mb": _mb([own]),
        "brings": len(ours) - 1,
        "with_all_mb": _mb(ours),
        "shared": len((ours - {own}) & theirs),
        "frees_mb": _mb(ours - theirs),
    }


def _mb(names: Iterable[str]) -> float:
    """Return the size of the files of distributions, byte code left out."""
    paths = (Path(file.locate()) for name in names for file in metadata.files(name) or [])
    sizes = (path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file())
    return round(sum(sizes) / 1e6, 2)


def _modules() -> dict[str, str]:
    """Return what to import of each distribution: the module of its name, or else the first."""
    found: dict[str, str] = {}
    for module, owners in metadata.packages_distributions().items():
        for owner in map(canonicalize_name, owners):
            if owner == module or owner not in found:
                found[owner] = module
    return found


def _import_ms(module: str, rounds: int) -> dict[str, float]:
    program = _TIMED.format(module)
    times_ms = [1000 * float(_python(program)) for _ in range(rounds + 1)][
        1:
    ]  # the first reads files
    figures = {"": statistics.median(times_ms), "_low": min(times_ms), "_high": max(times_ms)}
    return {f"import{which}_ms": round(ms, 1) for which, ms in figures.items()}


def _loaded_with_toolkit() -> set[str]:
    return set(_python(_LOADED).split())


def _python(program: str) -> str:
    """Run a program in a fresh process and return the last line that it prints."""
    command: list[Any] = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603
    return done.stdout.splitlines()[-1]


def _read(file: str) -> str:
    """Return the text of a file of the repository."""
    path = ROOT / file
    if not path.is_file():
        raise ToolkitError(f"{file} is not here: {path} is missing; it comes with the repository")
    return path.read_text(encoding="utf-8")
