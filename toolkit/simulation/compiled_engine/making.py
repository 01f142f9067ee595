"""What numba makes of this engine: object code, a file for each part, with no need of numba any more."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype
from numba.np.random._constants import fe_double, ke_double, we_double, ziggurat_exp_r

from toolkit.simulation.compiled_engine import cache
from toolkit.simulation.compiled_engine.compiler import PARTS
from toolkit.simulation.compiled_engine.loading import symbol_of

OUTSIDE = {"log1p", "exp"}  # what our code calls: C's mathematics
_MADE: dict[str, Any] = {}  # compiled functions by their symbol
_ENTRIES: dict[Callable[..., Any], Any] = {}  # and the kind of their answer


# --- functions ---


def inline(function: Callable[..., Any]) -> Any:
    """Compile ``function`` into every compiled function that calls it."""
    return njit(nogil=True, error_model="numpy", forceinline=True)(function)


def called(function: Callable[..., Any]) -> Any:
    """Compile a larger ``function`` that compiled code calls; it becomes part of every caller's code."""
    return njit(nogil=True, error_model="numpy")(function)


def unit(function: Callable[..., Any]) -> Any:
    """Compile ``function`` by itself, for compiled code to call by its symbol.

    What is part of every caller is compiled with every caller; a unit is compiled once.  It takes
    whole numbers, the first the world's address.
    """
    return _made(function, types.void)


def answering_unit(function: Callable[..., Any]) -> Any:
    """Compile a unit that returns a whole number."""
    return _made(function, types.int64)


def entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``function`` for Python to call, once its module has been read to the end."""
    _ENTRIES[function] = types.void
    return function


def answering_entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function for Python to call that returns a whole number."""
    _ENTRIES[function] = types.int64
    return function


def _made(function: Callable[..., Any], answer: Any) -> Any:
    kind = answer(*[types.int64] * function.__code__.co_argcount)
    symbol = symbol_of(function)
    _MADE[symbol] = made = cfunc(kind, error_model="numpy")(function)
    llvm.add_symbol(symbol, made.address)
    return types.ExternalFunction(symbol, kind)


# --- files ---


def write_parts(folder: str) -> None:
    """Compile all parts and leave them in a folder."""
    cache.COMPILES = True
    here = __name__.rpartition(".")[0]
    for part, modules in PARTS.items():
        for module in modules:
            importlib.import_module(f"{here}.{module}")
        compile_entries()
        write(cache.file_of(part, Path(folder)))


def compile_entries() -> None:
    """Compile what Python is to call; all that it calls is there by now."""
    for function, answer in _ENTRIES.items():
        _made(function, answer)


def write(place: Path) -> None:
    """Write what has been made as one file, all of it or none."""
    machine, whole = cache.machine(), _linked()
    passes = llvm.create_new_module_pass_manager()
    passes.add_ipsccp_pass()  # sees that nothing raises, and what numba has for that case is gone
    passes.add_simplify_cfg_pass()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(whole, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    asks = {one.name for one in whole.functions if one.is_declaration}
    odd = {name for name in asks - OUTSIDE if not name.startswith("llvm.")}
    if odd:
        raise RuntimeError(f"compiled code needs {', '.join(sorted(odd))}, which only numba has")
    beside = place.with_suffix(f".{os.getpid()}")
    beside.write_bytes(machine.emit_object(whole))
    beside.replace(place)
    _ENTRIES.clear()
    _MADE.clear()


def _linked() -> Any:
    """Return all that has been made as one module; nobody outside sees more of it than the entries."""
    modules = []
    for symbol, made in _MADE.items():
        module = llvm.parse_assembly(made.inspect_llvm())
        module.get_function(made.native_name).name = symbol
        modules.append(module)
    whole, *others = modules
    for other in others:
        whole.link_in(other)
    seen = set(map(symbol_of, _ENTRIES))
    for function in whole.functions:
        if not function.is_declaration and function.name not in seen:
            function.linkage = "internal"
    return whole


# --- memory ---


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
EXP_TABLES = ke_double, we_double, fe_double, ziggurat_exp_r
