"""What the source says about the line of a frame.

Source that is not there, or is no Python, is no error: nothing is said about it then.
"""

from __future__ import annotations

import ast
import linecache
from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from traceback import FrameSummary

Loop = ast.For | ast.While | ast.AsyncFor
_LOOPS = (ast.For, ast.While, ast.AsyncFor)
# What has a frame of its own within a statement, by the name of that.
_INLINE: dict[str, type[ast.AST]] = {"<lambda>": ast.Lambda, "<genexpr>": ast.GeneratorExp}
_PARTS = 7  # of a name that is longer, the last ones
_TRIES = 5
TAKERS = ("acquire", "get", "put")
"""Methods that take something shared, as a lock or an item of a queue."""

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def line_of(filename: str, lineno: int) -> str:
    """A line of source without its indentation, or ""."""
    return linecache.getline(filename, lineno).strip()


def is_with(line: str) -> bool:
    """Whether a line of source begins a `with` statement."""
    return line.strip().startswith(("with ", "async with "))


def call_of(entry: FrameSummary, callee: str = "") -> str:
    """What a frame calls at the moment, as it is written there, without arguments; or "".

    Where its columns are not known it is a call at that line of something that is named `callee`,
    or else one that takes something shared, or else the outermost.
    """
    line = linecache.getline(entry.filename, entry.lineno or 0)
    if is_with(line):
        return line.partition("  #")[0].strip()
    known = entry.colno is not None and entry.end_colno is not None
    if known and entry.end_lineno == entry.lineno:
        text = line.encode()[entry.colno : entry.end_colno].decode(errors="replace")
        # The last pair of parentheses is that of the call: `poll().recv(1)` calls `poll().recv`.
        return _before_last_parenthesis(text)
    calls = calls_at(entry)
    if known:
        end = entry.end_lineno, entry.end_colno
        calls = [call for call in calls if (call.end_lineno, call.end_col_offset) == end]
    calls.sort(key=lambda call: name_of(call) not in TAKERS)
    calls.sort(key=lambda call: name_of(call) != callee)
    return written(calls[0].func) if calls else line.strip().partition("(")[0]


def has_call(entry: FrameSummary) -> bool:
    """Whether what a frame is at calls something, or enters a `with` statement."""
    line = linecache.getline(entry.filename, entry.lineno or 0)
    return is_with(line) or bool(calls_at(entry))


def calls_at(entry: FrameSummary) -> list[ast.Call]:
    """The calls that a frame can be in at its line, what is around another one first.

    A call belongs to the line where it begins, and one of a method to that of the method's name.
    """
    lineno = entry.lineno or 0
    path = _path_to(_tree_of(entry.filename), lineno)
    roots: Sequence[ast.AST] = [node for node in path if isinstance(node, ast.stmt)][-1:]
    if inline := _INLINE.get(entry.name):
        roots = [node for root in roots for node in ast.walk(root) if isinstance(node, inline)]
    return [
        node
        for root in roots
        for node in _evaluated_in(root, lineno)
        if isinstance(node, ast.Call) and lineno in (node.lineno, node.func.end_lineno)
    ]


def _evaluated_in(root: ast.AST, lineno: int) -> Iterator[ast.AST]:
    """What a statement, lambda or generator evaluates in its own frame, the outermost first; with
    other statements on the same line."""
    left = deque(ast.iter_child_nodes(root))
    while left:
        node = left.popleft()
        elsewhere = isinstance(node, ast.stmt) and node.lineno != lineno
        if not elsewhere and not isinstance(node, tuple(_INLINE.values())):
            yield node
            left.extend(ast.iter_child_nodes(node))


def written(func: ast.expr) -> str:
    """The last parts of the name of what is called, without arguments."""
    text = ""
    for _ in range(_PARTS):
        if isinstance(func, ast.Name):
            return f"{func.id}{text}"
        if isinstance(func, ast.Attribute):
            text, func = f".{func.attr}{text}", func.value
        elif isinstance(func, ast.Call):
            text, func = f"(){text}", func.func
        elif isinstance(func, ast.Subscript):
            text, func = f"[...]{text}", func.value
        else:
            break
    return f"(...){text}"


def name_of(call: ast.Call) -> str:
    func = call.func
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


def path_to_line(entry: FrameSummary) -> Iterator[ast.AST]:
    """The nodes around the line of a frame, the outermost first; none without its source."""
    return _path_to(_tree_of(entry.filename), entry.lineno or 0)


def holder_around(entry: FrameSummary) -> str:
    """What a `with` block around the line of a frame is about, as written there, if it may be a
    lock: a name, or an attribute; or ""."""
    lineno, found = entry.lineno or 0, ""
    for node in path_to_line(entry):
        if isinstance(node, _SCOPES):
            found = ""
        elif isinstance(node, ast.With) and node.body[0].lineno <= lineno:
            contexts = [item.context_expr for item in node.items]
            locks = [one for one in contexts if isinstance(one, (ast.Name, ast.Attribute))]
            found = ast.unparse(locks[0]) if locks else found
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
        if isinstance(node, ast.Call) and name_of(node) == "safepoint":
            return True
        if _has_safepoint(node):
            return True
    return False


def _tree_of(filename: str) -> ast.AST | None:
    text = "".join(linecache.getlines(filename))
    for _ in range(_TRIES):
        try:
            return _parse(text)
        except SystemError:
            # CPython 3.11 counts the depth of all parsers of a process in one number, and takes two
            # threads that parse at once for a mistake of its own: python/cpython issue 106905.
            continue
    return None


@lru_cache(maxsize=32)
def _parse(text: str) -> ast.AST | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
