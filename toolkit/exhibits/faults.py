"""Seeded faults: every small mistake of a few sorts, at every place of both forms where it can be made.

None is picked by hand.  What is left out cannot change what a pipeline does: docstrings, annotations,
imports, the flags of dataclasses, names given to the type checker.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd

from toolkit.exhibits.forms import texts

SORTS = {
    "comparison": "a comparison says the opposite",
    "boundary": "a bound is in where it was out, or out where it was in",
    "number": "a number is one more, one less, or doubled where it is no whole number",
    "text": "a text is another",
    "truth": "true is false, and false is true",
    "arithmetic": "another operator: plus for minus, times for divided",
    "logic": "and is or, or is and, not is left out",
    "condition": "a condition says the opposite",
    "statement": "a statement is left out; a return returns nothing",
}
"""The sorts of faults, in words."""

_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_NEIGHBOUR: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
_SWAPPED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
}
_LEFT_OUT = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Continue, ast.Break)


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake: where, of which sort, the line ``before`` and ``after``, and the whole file's ``text``."""

    form: str
    file: str
    line: int
    sort: str
    before: str
    after: str
    text: str

    def files(self) -> dict[str, str]:
        """Return the files of the form with this fault, by name."""
        return {**texts(self.form), self.file: self.text}


def seeded(form: str) -> list[Fault]:
    """Return all faults that can be seeded in a form, in the order of its text."""
    found = []
    for file, text in texts(form).items():
        tree = ast.parse(text)
        for place in list(_places(tree)):
            old = place.node
            for sort, new in _mistakes(old):
                before, after = _said(old), _said(new)
                place.put(new)
                whole = ast.unparse(ast.fix_missing_locations(tree))
                found.append(Fault(form, file, place.line, sort, before, after, whole))
            place.put(old)
    return found


def fault_table(form: str) -> pd.DataFrame:
    """Return a row a fault that can be seeded: ``file``, ``line``, ``sort``, and the code before and after."""
    columns = ("form", "file", "line", "sort", "before", "after")
    return pd.DataFrame(
        [{name: getattr(fault, name) for name in columns} for fault in seeded(form)]
    )


def _said(node: ast.AST) -> str:
    """Return the first line of a piece of code."""
    return ast.unparse(node).splitlines()[0]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node hangs in the tree: below ``parent``, in a field, perhaps in a list."""

    parent: ast.AST
    field: str
    index: int | None
    node: ast.AST
    line: int

    def put(self, node: ast.AST) -> None:
        """Hang another node there."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def _places(parent: ast.AST, line: int = 0) -> Iterator[_Place]:
    """Yield all places below a node that can change what a program does, in order."""
    for name, value in ast.iter_fields(parent):
        if _is_for_readers(parent, name):
            continue
        for index, node in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(node, ast.AST) or _does_nothing(node):
                continue
            here = getattr(node, "lineno", line)
            yield _Place(parent, name, index if isinstance(value, list) else None, node, here)
            yield from _places(node, here)


def _is_for_readers(parent: ast.AST, name: str) -> bool:
    """Return whether a field holds annotations, the flags of a class, or the type that `cast` names."""
    if name == "decorator_list":
        return isinstance(parent, ast.ClassDef)
    is_cast = isinstance(parent, ast.Call) and ast.unparse(parent.func) == "cast"
    return name in {"annotation", "returns"} or (is_cast and name == "args")


def _does_nothing(node: ast.AST) -> bool:
    """Return whether a node is for readers and type checkers only."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign):
        named = {target.id for target in node.targets if isinstance(target, ast.Name)}
        return "__all__" in named or _is_a_type(node.value)
    return False


def _is_a_type(value: ast.expr) -> bool:
    """Return whether a value is a name for the type checker, such as ``Callable[[], None]``."""
    match value:
        case ast.Subscript(value=ast.Name(id="Callable")) | ast.Call(func=ast.Name(id="TypeVar")):
            return True
    return False


def _mistakes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the sort and the wrong node for all mistakes that can be made here."""
    match node:
        case ast.Compare():
            yield from _compared(node)
        case ast.Constant():
            yield from ((sort, ast.Constant(value)) for sort, value in _constants(node.value))
        case ast.BinOp(op=op) if type(op) in _SWAPPED:
            yield "arithmetic", ast.BinOp(node.left, _SWAPPED[type(op)](), node.right)
        case ast.BoolOp(op=ast.And()):
            yield "logic", ast.BoolOp(ast.Or(), node.values)
        case ast.BoolOp():
            yield "logic", ast.BoolOp(ast.And(), node.values)
        case ast.UnaryOp(op=ast.Not()):
            yield "logic", node.operand
        case ast.If(test=ast.Name() | ast.Call() | ast.Attribute()):
            opposite = ast.UnaryOp(ast.Not(), node.test)
            yield "condition", ast.If(opposite, node.body, node.orelse)
        case ast.IfExp(test=ast.Name() | ast.Call() | ast.Attribute()):
            opposite = ast.UnaryOp(ast.Not(), node.test)
            yield "condition", ast.IfExp(opposite, node.body, node.orelse)
    yield from _statements(node)


def _compared(node: ast.Compare) -> Iterator[tuple[str, ast.AST]]:
    for sort, others in (("comparison", _OPPOSITE), ("boundary", _NEIGHBOUR)):
        for index, op in enumerate(node.ops):
            if type(op) in others:
                ops = [*node.ops[:index], others[type(op)](), *node.ops[index + 1 :]]
                yield sort, ast.Compare(node.left, ops, node.comparators)


def _constants(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, bool):
        yield "truth", not value
    elif isinstance(value, int):
        yield "number", value + 1
        yield "number", value - 1
    elif isinstance(value, float):
        yield "number", 2 * value
    elif isinstance(value, str):
        yield "text", f"{value}?"


def _statements(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.AugAssign) and type(node.op) in _SWAPPED:
        swapped = _SWAPPED[type(node.op)]()
        yield "arithmetic", ast.AugAssign(node.target, swapped, node.value)
    if isinstance(node, _LEFT_OUT):
        yield "statement", ast.Pass()
    if isinstance(node, ast.Return) and node.value is not None:
        yield "statement", cast("ast.AST", ast.Return(ast.Constant(None)))
