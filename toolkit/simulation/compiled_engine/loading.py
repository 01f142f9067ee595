"""The compiled code, loaded and called without numba, which takes longer to load than most runs take.

For this process the functions that only compiled code calls are Python's, and nobody calls them.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite.binding as llvm

from toolkit.simulation.compiled_engine.cache import machine
from toolkit.simulation.compiled_engine.compiler import PARTS, wait_for

_PART_OF = {module: part for part, modules in PARTS.items() for module in modules}
_LOADS = threading.Lock()


class Entry:
    """A compiled function that takes whole numbers; its part is loaded when it is first called.

    Python's global lock is free meanwhile.
    """

    def __init__(self, function: Callable[..., Any], answer: Any) -> None:
        self.__doc__ = function.__doc__
        _, module = function.__module__.split("compiled_engine.")
        self._part = _PART_OF[module]
        self._symbol = symbol_of(function)
        self._kind = ctypes.CFUNCTYPE(answer, *[ctypes.c_int64] * function.__code__.co_argcount)
        self._call: Callable[..., Any] | None = None

    def __call__(self, *numbers: int) -> Any:
        """Call it."""
        if self._call is None:
            with _LOADS:
                where = loaded(self._part).get_function_address(self._symbol)
            self._call = self._kind(where)
        return self._call(*numbers)


def symbol_of(function: Callable[..., Any]) -> str:
    """Return the name of a function in object code."""
    return f"goodput_lab_{function.__name__}"


@cache
def loaded(part: str) -> Any:
    """Load the code of a part, and keep it."""
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine())
    engine.add_object_file(llvm.ObjectFileRef.from_path(str(wait_for(part))))
    engine.finalize_object()
    return engine


def entry(function: Callable[..., Any]) -> Entry:
    """Let Python call ``function``, which answers nothing."""
    return Entry(function, None)


def answering_entry(function: Callable[..., Any]) -> Entry:
    """Let Python call ``function``, which answers a whole number."""
    return Entry(function, ctypes.c_int64)


def as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    """Leave a function to those who compile."""
    return function


inline = called = unit = answering_unit = as_it_is


def record_at(layout: Any) -> Any:  # noqa: ARG001
    """Return nothing: who compiles has a function here."""
    return None


def copies_of(layout: Any) -> tuple[Any, Any]:  # noqa: ARG001
    """Return nothing, twice."""
    return None, None


read_float = write_float = read_int = write_int = None
read_short = write_short = read_byte = write_byte = None
is_less = lowest_bit = high_product = None
EXP_TABLES = (None, None, None, None)
