"""Mutants: what to change in a module, and how to change it while it is imported."""

from __future__ import annotations

import ast
import copy
import difflib
import gc
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple, TypeAlias

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LOGGERS = {"log", "logger"}

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


class Mutant(NamedTuple):
    """One change of one module: the bytes from ``start`` to ``end`` become ``new``."""

    path: str
    start: int
    end: int
    new: str
    line: int
    lines: range
    """A test that executes none of these lines does not notice the change."""

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.new.encode() + source[self.end :]

    def diff(self, source: bytes) -> list[str]:
        """Return the lines of a unified diff."""
        old, new = source.decode().splitlines(), self.apply(source).decode().splitlines()
        return list(difflib.unified_diff(old, new, self.path, self.path, lineterm="", n=2))

    def change(self, source: bytes) -> tuple[str, str]:
        """Return the first lines that differ, before and after."""
        diff = self.diff(source)[2:]
        before, after = (next(x for x in diff if x.startswith(sign)) for sign in "-+")
        return before[1:].strip(), after[1:].strip()


# --- making mutants
def mutants_of(path: str, source: bytes) -> Iterator[Mutant]:
    """Yield all mutants of a module.

    Not changed: strings, annotations, log messages, assertions, and what runs on import (constants
    are limits and times there).
    """
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node, lines in _changeable(ast.parse(source), None):
        for new in _replacements(node):
            assert isinstance(node, ast.expr | ast.stmt)
            assert node.end_lineno is not None
            assert node.end_col_offset is not None
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            yield Mutant(path, start, end, new, node.lineno, lines)


def _changeable(node: ast.AST, lines: range | None) -> Iterator[tuple[ast.AST, range]]:
    """Yield what is inside ``node``, with the lines whose execution can notice a change of it.

    ``lines``: those of the statement around it. None outside functions.
    """
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            # Positions in f-strings are unreliable before Python 3.12.
            if not isinstance(child, ast.AST) or isinstance(child, ast.Assert | ast.JoinedStr):
                continue
            if isinstance(child, ast.Expr) and _is_text(child.value):
                continue
            own = lines
            if isinstance(child, FUNCTIONS):
                own = _all_lines(child)
            elif lines is not None and isinstance(child, ast.stmt):
                own = _head(child)
            if lines is not None and own is not None:
                yield child, own
            yield from _changeable(child, own)


def _all_lines(node: ast.stmt | ast.expr) -> range:
    assert node.end_lineno is not None
    return range(node.lineno, node.end_lineno + 1)


def _head(statement: ast.stmt) -> range:
    """The lines of a statement, without those of the statements in it."""
    lines = _all_lines(statement)
    inner = [each.lineno for each in ast.walk(statement) if isinstance(each, ast.stmt)][1:]
    return range(lines.start, max(min([lines.stop, *inner]), lines.start + 1))


def _is_text(value: ast.expr) -> bool:
    """Whether it is a docstring or writes to a log."""
    match value:
        case ast.Constant():
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
            return name in LOGGERS
    return False


def _replacements(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Delete():
            yield "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "pass"
        case ast.Continue():
            yield "break"
        case ast.Break():
            yield "continue"
        case ast.Return(value=ast.expr() as value) if not _is_false(value):
            yield "return None"
        case ast.Constant(value=bool() as value):
            yield repr(not value)
        case ast.Constant(value=int() as value):
            yield repr(value + 1)
        case ast.UnaryOp(op=ast.Not()):
            yield f"({ast.unparse(node.operand)})"
        case ast.Compare(ops=[operator]) if type(operator) in SWAPPED:
            changed = copy.copy(node)
            changed.ops = [SWAPPED[type(operator)]()]  # type: ignore[list-item]  # same kind
            yield f"({ast.unparse(changed)})"
        case ast.BoolOp() | ast.BinOp() if type(node.op) in SWAPPED:
            swapped = copy.copy(node)
            swapped.op = SWAPPED[type(node.op)]()  # type: ignore[assignment]  # same kind
            yield f"({ast.unparse(swapped)})"


def _is_false(value: ast.expr) -> bool:
    """Whether it is None, or False: to most callers that is the same."""
    return isinstance(value, ast.Constant) and (value.value is None or value.value is False)


# --- changing what is imported
Place: TypeAlias = tuple[str, str, int]
"""Where a function is: its file, its qualified name, its first line."""


def living_functions(paths: set[str]) -> dict[Place, list[FunctionType]]:
    """Return the functions of these imported modules, also those behind decorators."""
    found: dict[Place, list[FunctionType]] = {}
    gc.unfreeze()  # get_objects() leaves out what is frozen
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename in paths:
            code = each.__code__
            place = code.co_filename, code.co_qualname, code.co_firstlineno
            found.setdefault(place, []).append(each)
    gc.freeze()
    return found


def change_functions(
    functions: dict[Place, list[FunctionType]], path: Path, source: bytes, new: bytes
) -> bool:
    """Give the functions of a module the code and the defaults of its ``new`` source.

    What has run on import stays as it is. Returns whether a function has changed.
    """
    changed = False
    before, after = (compile(text, str(path), "exec", dont_inherit=True) for text in (source, new))
    unchanged = {_place(code): code for code in _codes(before)}
    for code in _codes(after):
        place = _place(code)
        if place in unchanged and unchanged[place] != code:
            for function in functions.get(place, ()):
                function.__code__ = code
                changed = True
    old_defaults = _defaults(source)
    for at, arguments in _defaults(new).items():
        old = old_defaults.get(at)
        if old is None or ast.dump(old) == ast.dump(arguments):
            continue
        for (file, _, line), living in functions.items():
            if file == str(path) and line == at:
                for function in living:
                    _set_defaults(function, arguments)
                    changed = True
    return changed


def _place(code: CodeType) -> Place:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _defaults(source: bytes) -> dict[int, ast.arguments]:
    """Return the arguments of each function that has defaults, by its first line."""
    return {
        min([node.lineno, *(each.lineno for each in node.decorator_list)]): node.args
        for node in ast.walk(ast.parse(source))
        if isinstance(node, FUNCTIONS) and (node.args.defaults or any(node.args.kw_defaults))
    }


def _set_defaults(function: FunctionType, arguments: ast.arguments) -> None:
    def value(node: ast.expr) -> object:
        return eval(compile(ast.Expression(node), "", "eval"), function.__globals__)

    function.__defaults__ = tuple(map(value, arguments.defaults))
    function.__kwdefaults__ = {
        argument.arg: value(default)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is not None
    }
