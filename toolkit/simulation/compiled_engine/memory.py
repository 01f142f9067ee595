"""How compiled code sees memory: records by their address, and nothing to count or to copy.

All state of a run lies in tables of records, made as numpy arrays in Python.  Compiled functions get
the address of one record, the *world*, which holds the addresses of all tables; so every function
takes one number, a table is replaced by a larger one by writing its new address, and a run can stop
at any event and go on.

What compiled functions are made with has two meanings: for the process that compiles (``making``) it
is numba's, and for any other it stands for nothing but the code that was left (``loading``).
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.simulation.compiled_engine import cache, loading

way: Any = loading  # most processes load what one of them has made
if cache.COMPILES:
    way = importlib.import_module("toolkit.simulation.compiled_engine.making")

entry, answering_entry = way.entry, way.answering_entry
unit, answering_unit, called, inline = way.unit, way.answering_unit, way.called, way.inline
record_at, copies_of = way.record_at, way.copies_of
read_float, write_float = way.read_float, way.write_float
read_int, write_int = way.read_int, way.write_int
read_short, write_short = way.read_short, way.write_short
read_byte, write_byte = way.read_byte, way.write_byte
is_less, lowest_bit, high_product = way.is_less, way.lowest_bit, way.high_product
EXP_INSIDE, EXP_SCALE, EXP_HEIGHT, EXP_TAIL = way.EXP_TABLES


def records(name: str, fields: dict[str, str]) -> np.dtype[np.void]:
    """Return the layout of a record, the widest fields first so that there are no gaps."""
    widths = sorted(fields.items(), key=lambda item: -np.dtype(item[1]).itemsize)
    layout = np.dtype(widths, align=True)
    assert layout.itemsize % 8 == 0 or layout.itemsize <= 64, name
    return layout


def address(table: npt.NDArray[Any]) -> int:
    """Return where a table lies; whoever keeps the number keeps the table."""
    return int(table.ctypes.data)
