"""How compiled code sees memory: records by their address, and nothing to count or to copy.

All state of a run lies in tables of records, made as numpy arrays in Python.  Compiled functions get
the address of one record, the *world*, which holds the addresses of all tables; so every function
takes one number, a table is replaced by a larger one by writing its new address, and a run can stop
at any event and go on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import cfunc, njit, types
from numba.core import caching, cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype
from numba.np.random._constants import fe_double, ke_double, we_double, ziggurat_exp_r

from toolkit.simulation.compiled_engine import cache


class Locator(caching._CacheLocator):  # noqa: SLF001, the way numba has for it
    """Says where the code of this engine's functions is kept, and when it is too old."""

    def __init__(self, function: Any, source: str) -> None:
        self._function, self._source = function, source

    def get_cache_path(self) -> str:
        """Return the folder."""
        return cache.folder()

    def get_source_stamp(self) -> str:
        """Return what must be the same for compiled code to be still good."""
        return cache.stamp()

    def get_disambiguator(self) -> str:
        """Return what tells functions of one name apart."""
        return f"{Path(self._source).stem}-{self._function.__code__.co_firstlineno}"

    @classmethod
    def from_function(cls, function: Any, source: str) -> Locator | None:
        """Return a locator for a function of this engine, ``None`` for any other."""
        return cls(function, source) if cache.HERE in Path(source).parents else None


if Locator not in caching.CacheImpl._locator_classes:  # noqa: SLF001
    caching.CacheImpl._locator_classes.insert(0, Locator)  # noqa: SLF001


def compiled(function: Callable[..., Any]) -> Any:
    """Compile ``function`` for use from compiled code and from Python, without Python's global lock."""
    return njit(nogil=True, cache=True, error_model="numpy")(function)


def inline(function: Callable[..., Any]) -> Any:
    """Compile ``function`` into every compiled function that calls it."""
    return njit(nogil=True, error_model="numpy", forceinline=True)(function)


def called(function: Callable[..., Any]) -> Any:
    """Compile a larger ``function`` that compiled code calls; it becomes part of every caller's code."""
    return njit(nogil=True, error_model="numpy")(function)


_UNITS: dict[str, Any] = {}  # kept alive


def unit(function: Callable[..., Any]) -> Any:
    """Compile ``function`` by itself, for compiled code to call by its address.

    What is part of every caller is compiled with every caller; a unit is compiled once.  It takes
    whole numbers, the first the world's address.
    """
    return _unit(function, types.void)


def answering_unit(function: Callable[..., Any]) -> Any:
    """Compile a unit that returns a whole number."""
    return _unit(function, types.int64)


def _unit(function: Callable[..., Any], answer: Any) -> Any:
    kind = answer(*[types.int64] * function.__code__.co_argcount)
    made = cfunc(kind, cache=True, error_model="numpy")(function)
    symbol = f"goodput_lab_{function.__name__}"
    _UNITS[symbol] = made
    llvmlite.binding.add_symbol(symbol, made.address)
    return types.ExternalFunction(symbol, kind)


def records(name: str, fields: dict[str, str]) -> np.dtype[np.void]:
    """Return the layout of a record, the widest fields first so that there are no gaps."""
    widths = sorted(fields.items(), key=lambda item: -np.dtype(item[1]).itemsize)
    layout = np.dtype(widths, align=True)
    assert layout.itemsize % 8 == 0 or layout.itemsize <= 64, name
    return layout


def record_at(layout: np.dtype[np.void]) -> Any:
    """Return a compiled function ``(address, index) -> record`` for tables of ``layout``."""
    kind = from_dtype(layout)
    size = layout.itemsize

    @intrinsic
    def at(typingctx: Any, address: Any, index: Any) -> Any:  # noqa: ARG001
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            place = context.cast(builder, values[1], signature.args[1], types.int64)
            offset = builder.mul(place, context.get_constant(types.int64, size))
            return builder.inttoptr(builder.add(values[0], offset), context.get_value_type(kind))

        return kind(types.int64, index), codegen

    return at


def copies_of(layout: np.dtype[np.void]) -> tuple[Any, Any]:
    """Return compiled functions that make a local copy of a record, and write it back.

    Nobody else can change a local copy, so its fields stay in registers.
    """
    kind, size = from_dtype(layout), ir.Constant(ir.IntType(64), layout.itemsize)

    def copy(builder: Any, target: Any, source: Any) -> None:
        byte = ir.IntType(8).as_pointer()
        move = builder.module.declare_intrinsic("llvm.memcpy", [byte, byte, ir.IntType(64)])
        ends = [builder.bitcast(pointer, byte) for pointer in (target, source)]
        builder.call(move, [*ends, size, ir.Constant(ir.IntType(1), 0)])

    @intrinsic
    def local(typingctx: Any, record: Any) -> Any:  # noqa: ARG001
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
            place = cgutils.alloca_once(builder, context.get_data_type(kind))
            copy(builder, place, values[0])
            return place

        return kind(kind), codegen

    @intrinsic
    def write_back(typingctx: Any, record: Any, copied: Any) -> Any:  # noqa: ARG001
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
            copy(builder, values[0], values[1])

        return types.void(kind, kind), codegen

    return local, write_back


def _number_at(kind: Any, bits: Any, width: int) -> Any:
    """Return compiled functions that read and write one number of a table; whole ones become long."""
    wide = kind if kind is types.float64 else types.int64

    def pointer(context: Any, builder: Any, values: Any, index: Any) -> Any:
        place = context.cast(builder, values[1], index, types.int64)
        offset = builder.mul(place, context.get_constant(types.int64, width))
        return builder.inttoptr(builder.add(values[0], offset), bits.as_pointer())

    @intrinsic
    def read(typingctx: Any, address: Any, index: Any) -> Any:  # noqa: ARG001
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            number = builder.load(pointer(context, builder, values, signature.args[1]))
            return context.cast(builder, number, kind, wide)

        return wide(types.int64, index), codegen

    @intrinsic
    def write(typingctx: Any, address: Any, index: Any, value: Any) -> Any:  # noqa: ARG001
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            number = context.cast(builder, values[2], signature.args[2], kind)
            builder.store(number, pointer(context, builder, values, signature.args[1]))

        return types.void(types.int64, index, value), codegen

    return read, write


read_float, write_float = _number_at(types.float64, ir.DoubleType(), 8)
read_int, write_int = _number_at(types.int64, ir.IntType(64), 8)
read_short, write_short = _number_at(types.int32, ir.IntType(32), 4)
read_byte, write_byte = _number_at(types.int8, ir.IntType(8), 1)


@intrinsic
def _high_product(typingctx: Any, first: Any, second: Any) -> Any:  # noqa: ARG001
    """Return the upper 64 of the 128 bits of a product of two unsigned numbers."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(value, wide) for value in values))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), codegen


@intrinsic
def _is_less(typingctx: Any, one: Any, other: Any) -> Any:  # noqa: ARG001
    """Say whether the number of 128 bits at one address, without a sign, is less than at another."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
        wide = ir.IntType(128).as_pointer()
        numbers = [builder.load(builder.inttoptr(value, wide), align=8) for value in values]
        return builder.zext(builder.icmp_unsigned("<", *numbers), ir.IntType(64))

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def _lowest_bit(typingctx: Any, word: Any) -> Any:  # noqa: ARG001
    """Return the place of the lowest bit of a word that is set."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ARG001
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


is_less: Any = _is_less
lowest_bit: Any = _lowest_bit
high_product: Any = _high_product  # numba's own type of it counts the typing context as an argument


# numpy's ziggurat of exponential numbers: of each layer, the numbers that lie inside for certain, their
# scale, and the height; and where the tail begins
EXP_INSIDE, EXP_SCALE, EXP_HEIGHT, EXP_TAIL = ke_double, we_double, fe_double, ziggurat_exp_r


def address(table: npt.NDArray[Any]) -> int:
    """Return where a table lies; whoever keeps the number keeps the table."""
    return int(table.ctypes.data)
