"""The two forms of the pipeline as texts: to be counted, changed, broken, and loaded again.

A form is a mapping from file to text, such as ``layered/steps.py``, the files as they stand in this folder.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

from toolkit import _check

FORMS = ("direct", "layered")
FOLDER = Path(__file__).parent
_PACKAGE = "toolkit.exhibits"

Texts = Mapping[str, str]


def texts(form: str) -> dict[str, str]:
    """Return the text of every file of a form, by name."""
    _check.choice("form", form, FORMS)
    files = sorted([*FOLDER.glob(f"{form}.py"), *FOLDER.glob(f"{form}/*.py")])
    return {path.relative_to(FOLDER).as_posix(): path.read_text(encoding="utf-8") for path in files}


@contextmanager
def loaded(form: str, files: Texts) -> Iterator[ModuleType]:
    """Import a form from ``files`` instead of its own, as long as the ``with`` block lasts.

    What the form imports while it runs comes from them, too; afterwards all is as before.
    """
    root = f"{_PACKAGE}.{form}"
    finder = _Finder({_module_name(file): (file, text) for file, text in files.items()})
    before = _take_out(root)
    sys.meta_path.insert(0, finder)
    try:
        yield importlib.import_module(root)
    finally:
        sys.meta_path.remove(finder)
        _take_out(root)
        sys.modules.update(before)
        setattr(sys.modules[_PACKAGE], form, before[root])


def _take_out(root: str) -> dict[str, ModuleType]:
    """Make Python forget a module and those inside it, and return them."""
    names = [name for name in sys.modules if name == root or name.startswith(f"{root}.")]
    return {name: sys.modules.pop(name) for name in names}


def _module_name(file: str) -> str:
    return f"{_PACKAGE}.{file.removesuffix('.py').removesuffix('/__init__').replace('/', '.')}"


class _Finder(MetaPathFinder, InspectLoader):
    """Finds modules among texts, and loads them from there."""

    def __init__(self, found: Mapping[str, tuple[str, str]]) -> None:
        self._found = found

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        return spec_from_loader(fullname, self) if fullname in self._found else None

    def get_source(self, fullname: str) -> str:
        return self._found[fullname][1]

    def is_package(self, fullname: str) -> bool:
        return self._found[fullname][0].endswith("/__init__.py")
