"""Whose code a frame is, and what the source says about its line.

Source that is not there, or is no Python, is no error: nothing is said about it then.
"""

from __future__ import annotations

import ast
import linecache
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from traceback import FrameSummary

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PROGRAMS = os.path.join(PACKAGE, "demo")  # is in the package, and a program that uses it
_STANDARD = os.path.dirname(os.path.abspath(os.__file__))
_THIRD = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

Loop = ast.For | ast.While | ast.AsyncFor
_LOOPS = (ast.For, ast.While, ast.AsyncFor)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def is_own(filename: str) -> bool:
    """Whether a file is this library's."""
    return _is_below(filename, PACKAGE) and not _is_below(filename, _PROGRAMS)


def remoteness(filename: str) -> int:
    """How far a file is from whoever reads a report: 0 is the program's own code, then come
    installed packages, the standard library, and this one."""
    if is_own(filename):
        return 3
    if any(folder in filename for folder in _THIRD):
        return 1
    return 2 if _is_below(filename, _STANDARD) or filename.startswith("<frozen") else 0


def _is_below(filename: str, folder: str) -> bool:
    return filename.startswith(folder + os.sep)


def nearest(stack: Iterable[FrameSummary]) -> FrameSummary | None:
    """Of a stack, the innermost frame last, the innermost one of the code nearest to the reader."""
    return min(reversed(list(stack)), key=lambda entry: remoteness(entry.filename), default=None)


def line_of(filename: str, lineno: int) -> str:
    """A line of source without its indentation, or ""."""
    return linecache.getline(filename, lineno).strip()


def call_of(entry: FrameSummary, callee: str = "") -> str:
    """What a frame calls at the moment, as it is written there, without arguments; or "".

    Where its columns are not known it is a call at that line of something that is named `callee`,
    or else the outermost.
    """
    line = linecache.getline(entry.filename, entry.lineno or 0)
    if line.strip().startswith(("with ", "async with ")):
        return line.partition("  #")[0].strip()
    if entry.end_lineno != entry.lineno or entry.colno is None or entry.end_colno is None:
        called = [node.func for node in _calls_at(entry.filename, entry.lineno or 0)]
        called.sort(key=lambda func: _name_of(func) != callee)
        return ast.unparse(called[0]) if called else line.strip()
    text = line.encode()[entry.colno : entry.end_colno].decode(errors="replace")
    # The last pair of parentheses is that of the call: `poll().recv(1)` calls `poll().recv`.
    return _before_last_parenthesis(text)


def has_call(filename: str, lineno: int) -> bool:
    """Whether something is called at a line."""
    return bool(_calls_at(filename, lineno))


def _calls_at(filename: str, lineno: int) -> list[ast.Call]:
    """The calls that are written at a line, what is around another one first."""
    tree = _tree_of(filename)
    return [
        node
        for node in (() if tree is None else ast.walk(tree))
        if isinstance(node, ast.Call) and node.lineno <= lineno <= (node.end_lineno or 0)
    ]


def _name_of(func: ast.expr) -> str:
    name: str = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    return name


def _before_last_parenthesis(text: str) -> str:
    depth = 0
    for index in range(len(text) - 1, -1, -1):
        depth += (text[index] == ")") - (text[index] == "(")
        if text[index] == "(" and not depth:
            return text[:index].strip()
    return text.strip()


def loop_around(filename: str, lineno: int) -> int | None:
    """The line where the innermost loop around a line begins, in the same function; or None.

    A loop that has a safepoint already, by itself and not in a loop further in, does not count.
    """
    loop = _innermost_loop(filename, lineno)
    return None if loop is None or _has_safepoint(loop) else loop.lineno


def has_safepoint_around(filename: str, lineno: int) -> bool:
    """Whether the innermost loop around a line, in the same function, passes a safepoint."""
    loop = _innermost_loop(filename, lineno)
    return loop is not None and _has_safepoint(loop)


def _innermost_loop(filename: str, lineno: int) -> Loop | None:
    """The last loop on the way in, unless a function or class begins after it."""
    found = None
    for node in _path_to(_tree_of(filename), lineno):
        if isinstance(node, _SCOPES):
            found = None
        elif isinstance(node, _LOOPS) and lineno <= (node.body[-1].end_lineno or 0):
            found = node
    return found


def _path_to(tree: ast.AST | None, lineno: int) -> Iterator[ast.AST]:
    """The nodes around a line, the outermost first."""
    while tree is not None:
        yield tree
        tree = next(
            (
                node
                for node in _statements(tree)
                if _first_line(node) <= lineno <= (getattr(node, "end_lineno", None) or 0)
            ),
            None,
        )


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """What is one step further in, and has lines: expressions are passed through for lambdas."""
    for child in ast.iter_child_nodes(node):
        if hasattr(child, "lineno"):
            yield child
        else:
            yield from _statements(child)


def _first_line(node: ast.AST) -> int:
    lineno: int = getattr(node, "lineno", 0)
    return lineno


def _has_safepoint(loop: ast.AST) -> bool:
    for node in ast.iter_child_nodes(loop):
        if isinstance(node, (*_LOOPS, *_SCOPES)):
            continue
        if isinstance(node, ast.Call) and _name_of(node.func) == "safepoint":
            return True
        if _has_safepoint(node):
            return True
    return False


def _tree_of(filename: str) -> ast.AST | None:
    return _parse("".join(linecache.getlines(filename)))


@lru_cache(maxsize=32)
def _parse(text: str) -> ast.AST | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
