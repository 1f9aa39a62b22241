"""How a line of the program can wait in a blocking region, and do nothing else in there.

What a thread does in a region it does while others are sure that it stands. So only the call that
waits belongs in there, and neither what is done with its result nor the block of a `for`, `while`
or `with`. A call that calls back, as an event loop does, belongs in no region.

What is written anew is only what surely means the same: whoever gets no lines gets words.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from traceback import FrameSummary
from typing import TypeVar

from freezethreads._explain._source import calls_at, name_of, path_to_line
from freezethreads._ground.files import is_standard
from freezethreads._report.stacks import nearest

N = TypeVar("N", bound=ast.AST)

_LOOPS = re.compile(
    "cmdloop|exec_?|interact|loop_forever|main_?loop|run_forever|run_until_complete|serve_forever"
)
"""Methods that call the program's code until somebody ends them."""
_SOMETIMES = re.compile("main|run")  # the same, unless what they call first is standard
_WAITS = re.compile(
    "accept|acquire|communicate|connect|flush|get|get_nowait|input|join|next|pause|poll|put|"
    "read(1|all|into|lines?)?|recv(_into|from|msg)?|result|select|send(all|msg|to)?|"
    "sig(timed)?wait(info)?|sleep|wait([34]|id|pid)?|write"
)
"""What only waits, as far as names tell. Of the standard library more is known."""
_CALLERS = re.compile("(drop|take)while|filter(false)?|map|reduce|starmap")
"""Functions whose first argument is called."""
_CONDITIONAL = (ast.BoolOp, ast.IfExp)
_INNER = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SUSPENDED = (ast.Await, ast.Yield, ast.YieldFrom)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BODY = "    ..."


class Line:
    """The program's own line that a thread waits at, and how it could be written."""

    def __init__(self, stack: Sequence[FrameSummary]) -> None:
        self._entry = nearest(stack)
        self._inside = stack[stack.index(self._entry) + 1 :] if self._entry else ()
        self._path: list[ast.AST] = []
        self._call: ast.Call | None = None
        if self._entry is not None:
            self._path = list(path_to_line(self._entry))
            self._call = self._find_call(self._entry)
        within = [node for node in self._path if isinstance(node, (ast.stmt, *_INNER))]
        self._statement = within[-1] if within and isinstance(within[-1], ast.stmt) else None

    def _find_call(self, entry: FrameSummary) -> ast.Call | None:
        """The call that the thread is in, if that is sure."""
        calls = calls_at(entry)
        if entry.colno is not None:
            span = (entry.lineno, entry.colno, entry.end_lineno, entry.end_colno)
            calls = [call for call in calls if _span(call) == span]
        elif self._inside:
            calls = [call for call in calls if name_of(call) == self._inside[0].name]
        return calls[0] if len(calls) == 1 else None

    @property
    def calls_back(self) -> bool:
        """Whether what it calls may run code of the program, for all that its words tell."""
        calls = [self._call] if self._call else calls_at(self._entry) if self._entry else []
        return any(self._may_call_back(call) for call in calls)

    @property
    def is_known(self) -> bool:
        """Whether what it calls is known to wait, and to do nothing else."""
        if self._inside:
            return is_standard(self._inside[0].filename)
        return self._call is not None and bool(_WAITS.fullmatch(name_of(self._call)))

    def _may_call_back(self, call: ast.Call) -> bool:
        name = name_of(call)
        values = [*call.args, *(keyword.value for keyword in call.keywords)]
        return bool(
            _LOOPS.fullmatch(name)
            or (_SOMETIMES.fullmatch(name) and not self._is_standard_inside())
            or (_CALLERS.fullmatch(name) and call.args)
            or any(isinstance(value, ast.Lambda) for value in values)
            or any(keyword.arg in ("key", "callback") for keyword in call.keywords)
        )

    def _is_standard_inside(self) -> bool:
        return bool(self._inside) and is_standard(self._inside[0].filename)

    @property
    def is_alone(self) -> bool:
        """Whether the statement is the call and nothing else, so that it can be in a region."""
        statement = self._statement
        if self._call is None or not _is_plain(self._call):
            return False
        if isinstance(statement, (ast.Expr, ast.Return)):
            return statement.value is self._call
        return (
            isinstance(statement, ast.Assign)
            and statement.value is self._call
            and len(statement.targets) == 1
            and self._is_own(statement.targets[0])
        )

    @property
    def is_loop(self) -> bool:
        """Whether it is the head of a `for`, which waits for the next item."""
        statement, entry = self._statement, self._entry
        if entry is None or not isinstance(statement, ast.For):
            return False
        span = (entry.lineno, entry.colno, entry.end_lineno, entry.end_colno)
        # Of which of both the instruction is said to be depends on the Python.
        return entry.colno is None or span in (_span(statement.iter), _span(statement))

    @property
    def is_block(self) -> bool:
        """Whether it is the head of a block."""
        return hasattr(self._statement, "body")

    @property
    def is_entry(self) -> bool:
        """Whether a `with` waits for what it is of, or to enter that, for all that can be told:
        unless it is in a call further in."""
        if self._call is None or not isinstance(self._statement, ast.With):
            return True
        return self._call in [item.context_expr for item in self._statement.items]

    @property
    def is_end(self) -> bool:
        """Whether it is the end of a `with` block that waits."""
        return bool(self._inside) and self._inside[0].name in ("__exit__", "__aexit__")

    def rewritten(self, called: str) -> tuple[str, ...]:
        """The lines that could take its place; "..." is the block as it is. None if unsure.

        `called` is what the program calls the freezer.
        """
        statement, region = self._statement, f"with {called}.blocking():"
        if isinstance(statement, ast.For):
            return tuple(self._rewrite_for(statement, region)) if self.is_loop else ()
        call = self._call
        if (
            not self.is_known
            or statement is None
            or call is None
            or not self._can_be_first(statement, call)
        ):
            return ()
        got = self._new_name("got")
        first = [region, f"    {got} = {ast.unparse(call)}"]
        if isinstance(statement, (ast.While, ast.If)):
            test = _replaced(statement.test, call, got)
            if isinstance(statement, ast.If):
                head = f"if {ast.unparse(test)}:"
                return () if self._is_elif(statement) else (*first, head, _BODY)
            if statement.orelse:
                return ()
            loop = [*first, f"if {ast.unparse(ast.UnaryOp(ast.Not(), test))}:", "    break"]
            return ("while True:", *(f"    {line}" for line in loop), _BODY)
        if isinstance(statement, ast.With):
            if self._inside and self._inside[0].name in ("__enter__", "__exit__"):
                return ()
            items = [_replaced(item, call, got) for item in statement.items]
            return (*first, f"with {', '.join(map(ast.unparse, items))}:", _BODY)
        if hasattr(statement, "body") or not isinstance(
            statement, (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return)
        ):
            return ()
        return (*first, ast.unparse(_replaced(statement, call, got)))

    def _rewrite_for(self, loop: ast.For, region: str) -> Iterator[str]:
        is_call = isinstance(loop.iter, ast.Call)
        if loop.orelse or self.calls_back or not _is_plain(loop.iter):
            return
        items = self._new_name("items")
        begin = f"{items} = iter({ast.unparse(loop.iter)})"
        yield from [region, f"    {begin}"] if is_call else [begin]
        own = self._is_own(loop.target)
        got = ast.unparse(loop.target) if own else self._new_name("got")
        yield "while True:"
        yield f"    {region}"
        yield f"        {got} = next({items}, {items})"
        yield f"    if {got} is {items}:"
        yield "        break"
        if not own:
            yield f"    {ast.unparse(loop.target)} = {got}"
        yield _BODY

    def _can_be_first(self, statement: ast.stmt, call: ast.Call) -> bool:
        """Whether the statement does nothing before the call, and makes it in any case."""
        if not _is_plain(call) or not any(one is call for one in _heads(statement)):
            return False
        node: ast.AST = statement
        while node is not call:
            if isinstance(node, (*_CONDITIONAL, *_INNER, *_SUSPENDED)):
                return False
            node = next(child for child in ast.iter_child_nodes(node) if _contains(child, call))
        calls = [one for one in _heads(statement) if isinstance(one, (ast.Call, *_SUSPENDED))]
        return not any(_end(one) <= _begin(call) for one in calls)

    def _is_own(self, target: ast.AST) -> bool:
        """Whether nobody but the function itself has a variable."""
        scope = next((node for node in reversed(self._path) if isinstance(node, _FUNCTIONS)), None)
        if scope is None or not isinstance(target, ast.Name):
            return False
        if any(isinstance(node, ast.ClassDef) for node in self._path[self._path.index(scope) :]):
            return False
        inner = [node for node in ast.walk(scope) if isinstance(node, (*_FUNCTIONS, *_INNER))]
        inner.remove(scope)
        shared = {name for one in inner for name in _names(one)}
        for node in ast.walk(scope):
            if isinstance(node, (ast.Global, ast.Nonlocal)):
                shared.update(node.names)
        return target.id not in shared

    def _is_elif(self, statement: ast.If) -> bool:
        before = self._path[self._path.index(statement) - 1]
        return isinstance(before, ast.If) and statement in before.orelse

    def _new_name(self, name: str) -> str:
        used = set(_names(self._path[0]))
        while name in used:
            name += "_"
        return name


def _is_plain(node: ast.AST) -> bool:
    """Whether an expression makes no other call than it is, nor anything that runs elsewhere."""
    kinds = (ast.Call, ast.NamedExpr, *_INNER, *_SUSPENDED)
    return not any(isinstance(one, kinds) for one in ast.walk(node) if one is not node)


def _contains(node: ast.AST, call: ast.Call) -> bool:
    return any(one is call for one in ast.walk(node))


def _heads(statement: ast.stmt) -> Iterator[ast.AST]:
    """What a statement evaluates, without the statements in it."""
    left: list[ast.AST] = [statement]
    while left:
        node = left.pop()
        yield node
        left += [one for one in ast.iter_child_nodes(node) if not isinstance(one, ast.stmt)]


def _replaced(node: N, call: ast.Call, name: str) -> N:
    """A copy of it that has the name in the place of the call."""

    class Replacing(ast.NodeTransformer):
        def visit_Call(self, found: ast.Call) -> ast.AST:
            if _span(found) == _span(call):
                return ast.Name(name, ast.Load())
            return self.generic_visit(found)

    changed: N = Replacing().visit(deepcopy(node))
    return changed


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} | {
        one.arg for one in ast.walk(node) if isinstance(one, ast.arg)
    }


def _span(node: ast.expr | ast.stmt) -> tuple[int, int, int | None, int | None]:
    return (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)


def _begin(node: ast.expr) -> tuple[int, int]:
    return (node.lineno, node.col_offset)


def _end(node: ast.AST) -> tuple[int, int]:
    return (getattr(node, "end_lineno", 0), getattr(node, "end_col_offset", 0))
