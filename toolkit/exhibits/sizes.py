"""How large a form is, and how far a reader has to go to follow one job through it.

Counted from the syntax tree, and from one job that is really run.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

import pandas as pd

from toolkit.exhibits import direct, layered
from toolkit.exhibits.forms import FOLDER, FORMS, Texts, texts

_ONE_JOB = '{"job": "a", "customer": "acme", "kind": "report", "size_mb": 1}'
_IDLE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
_IDLE |= {tokenize.ENDMARKER}
_DECISIONS = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.match_case)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DOCUMENTED = (ast.Module, ast.ClassDef, *_FUNCTIONS)
_COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}


def size_table() -> pd.DataFrame:
    """Return a row a form: what it is made of, and what one job that is done goes through.

    ``lines`` are all lines, ``code_lines`` those that are neither empty nor comment nor docstring;
    ``branches`` are decisions: if, loop, except, and, or, also within comprehensions.
    ``calls_a_job``, ``functions_a_job`` and ``modules_a_job`` count the form's own functions called for
    one job, each time, once each, and the modules they are in; ``deepest_stack`` is how many of them
    wait for each other at most.
    """
    rows = {form: {**counted(texts(form)), **_journey(form)} for form in FORMS}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("form")


def counted(files: Texts) -> dict[str, int]:
    """Return how many modules, lines, classes, functions and branches these files have."""
    trees = [ast.parse(text) for text in files.values()]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return {
        "modules": len(files),
        "lines": sum(len(text.splitlines()) for text in files.values()),
        "code_lines": sum(len(_code_lines(text)) for text in files.values()),
        "classes": sum(isinstance(node, ast.ClassDef) for node in nodes),
        "functions": sum(isinstance(node, _FUNCTIONS) for node in nodes),
        "branches": sum(map(_decisions, nodes)),
    }


def _code_lines(text: str) -> set[int]:
    """Return the numbers of the lines with code on them."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _IDLE:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        for constant in _docstrings(node):
            lines -= set(range(constant.lineno, (constant.end_lineno or 0) + 1))
    return lines


def _docstrings(node: ast.AST) -> Iterator[ast.Expr]:
    """Yield the texts that stand by themselves: docstrings, also those after a constant or a field."""
    if isinstance(node, _DOCUMENTED):
        for child in node.body:
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                yield child


def _decisions(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    return int(isinstance(node, _DECISIONS))


def _journey(form: str) -> dict[str, int]:
    """Run one job, and count the calls of the form's own functions."""
    own = {str(FOLDER / file) for file in texts(form)}
    calls: list[CodeType] = []
    depths = [0]

    def is_own(code: CodeType) -> bool:
        return code.co_filename in own and code.co_name not in _COMPREHENSIONS

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and is_own(frame.f_code):
            calls.append(frame.f_code)
            depths.append(sum(is_own(outer.f_code) for outer in _stack(frame)))

    def lines() -> Iterator[str]:
        sys.setprofile(watch)
        try:
            yield _ONE_JOB
        finally:
            sys.setprofile(None)

    process = {"direct": direct.process, "layered": layered.process}[form]
    process(lines(), lambda *_: None, lambda _: None, io.StringIO())
    return {
        "calls_a_job": len(calls),
        "functions_a_job": len(set(calls)),
        "modules_a_job": len({code.co_filename for code in calls}),
        "deepest_stack": max(depths),
    }


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame and those that wait for it."""
    while frame is not None:
        yield frame
        frame = frame.f_back
