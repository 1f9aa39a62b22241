"""Where the core touches what threads may share: its source, with a call before each access.

An *access* reads or writes an attribute, or uses a container by one operation of C. Everything
between two accesses concerns one thread alone. So each module of the core is compiled a second time
with calls of `_touches` put in, which change nothing else: not the order of evaluation, not the
line numbers, and not what is caught where. While the explorer is at work the core's functions have
that code in the place of their own.

No access is what reads an attribute that is set in `__init__` alone.
"""

from __future__ import annotations

import ast
import dis
import gc
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, TypeAlias, cast

from freezethreads._ground.uninterruptible import covered
from stress.exploration import _touches

PREFIX = "_touches_"
CALLS = {"add", "append", "appendleft", "clear", "copy", "count", "discard", "extend", "get"}
CALLS |= {"index", "insert", "items", "keys", "pop", "popitem", "popleft", "remove", "setdefault"}
CALLS |= {"update", "values"}
READERS = {"all", "any", "bool", "dict", "iter", "len", "list", "next", "set", "sorted"}
READERS |= {"sum", "tuple"}

Key: TypeAlias = tuple[str, int, bytes]
"""What tells a code object from all others of its file."""

_compiled: dict[tuple[str, ...], dict[Key, tuple[CodeType, CodeType]]] = {}
_codes: set[CodeType] = set()


@contextmanager
def instrumented(files: Iterable[str]) -> Iterator[None]:
    """While entered, the functions of these files make a call before each access."""
    paths = tuple(files)
    codes = _compiled.get(paths)
    if codes is None:
        codes = _compiled[paths] = _compile(paths)
        _codes.update(new for _, new in codes.values())
    changed: list[tuple[FunctionType, CodeType]] = []
    try:
        for function in _functions(set(paths)):
            old = function.__code__
            if _key_of(old) not in codes:
                continue  # it was compiled in another way, as pytest does with tests
            plain, new = codes[_key_of(old)]
            changed.append((function, old))
            function.__code__ = new
            if len(old.co_exceptiontable) > len(plain.co_exceptiontable):
                covered(function)
                codes[_key_of(old)] = old, function.__code__
                _codes.add(function.__code__)
            for name in _touches.__all__:
                function.__globals__[PREFIX + name] = getattr(_touches, name)
        yield
    finally:
        for function, old in changed:
            function.__code__ = old


def instrumented_codes() -> set[CodeType]:
    """The code of all these functions."""
    return _codes


def is_put_in(instruction: dis.Instruction) -> bool:
    """Whether this call stands in no source: it was put in before an access."""
    at = instruction.positions
    return at is not None and at.col_offset == at.end_col_offset == 0


def _functions(files: set[str]) -> list[FunctionType]:
    """The functions of these files: all that the collector knows, and those that modules name.

    A free-threaded 3.13 makes functions immortal when it starts its first thread, and does not
    collect them any more.
    """
    found = [one for one in gc.get_objects() if type(one) is FunctionType]
    modules = [module for module in list(sys.modules.values()) if _file_of(module) in files]
    for names in [vars(module) for module in modules]:
        classes = [value for value in names.values() if isinstance(value, type)]
        for value in [*names.values(), *(one for each in classes for one in vars(each).values())]:
            parts = (getattr(value, name, None) for name in ("fget", "fset", "__func__"))
            found.extend(one for one in (value, *parts) if isinstance(one, FunctionType))
    functions = {id(one): one for one in found if one.__code__.co_filename in files}
    left = files - {one.__code__.co_filename for one in functions.values()}
    if left:
        raise RuntimeError(f"no functions that could be explored: {', '.join(sorted(left))}")
    return list(functions.values())


def _file_of(module: object) -> object:
    return getattr(module, "__file__", None)


def _compile(files: tuple[str, ...]) -> dict[Key, tuple[CodeType, CodeType]]:
    """Each code object as it is, and as it is instrumented."""
    sources = {file: Path(file).read_text(encoding="utf-8") for file in files}
    trees = {file: ast.parse(source) for file, source in sources.items()}
    stored = {name for tree in trees.values() for name in _Stores.of(tree)}
    codes: dict[Key, tuple[CodeType, CodeType]] = {}
    for file, tree in trees.items():
        plain = compile(sources[file], file, "exec", dont_inherit=True)
        new = compile(_Instrumenter(stored).visit(tree), file, "exec", dont_inherit=True)
        for one, other in zip(_all_in(plain), _all_in(new), strict=True):
            assert one.co_qualname == other.co_qualname
            codes[_key_of(one)] = (one, other)
    return codes


def _all_in(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all_in(constant)


def _key_of(code: CodeType) -> Key:
    return code.co_qualname, code.co_firstlineno, code.co_linetable


class _Stores(ast.NodeVisitor):
    """The attributes that are set anywhere but by `__init__` for its own object."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self._is_init = False

    @classmethod
    def of(cls, tree: ast.AST) -> set[str]:
        """Those in one module."""
        visitor = cls()
        visitor.visit(tree)
        return visitor.found

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        outer, self._is_init = self._is_init, node.name == "__init__"
        self.generic_visit(node)
        self._is_init = outer

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load) and not (self._is_init and _is_self(node.value)):
            self.found.add(node.attr)
        self.generic_visit(node)


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


class _Instrumenter(ast.NodeTransformer):
    """Puts the calls in. Each is at column 0 and has no width, by which it is known again."""

    def __init__(self, stored: set[str]) -> None:
        self._stored = stored
        self._is_init = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outer, self._is_init = self._is_init, node.name == "__init__"
        self.generic_visit(node)
        self._is_init = outer
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        node.value = self.visit(node.value)
        if node.attr in self._stored:
            name = "load" if isinstance(node.ctx, ast.Load) else "change"
            node.value = self._put_in(name, node, node.value, ast.Constant(node.attr))
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if len(node.targets) != 1:
            return self.generic_visit(node)
        return self._store(node, node.targets[0], node.value) or self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        # (What an annotation says is not looked at.)
        stored = node.value and self._store(node, node.target, node.value)
        if stored:
            return stored
        node.value = node.value and self.visit(node.value)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        target = node.target
        if isinstance(target, ast.Name):
            return self.generic_visit(node)
        assert isinstance(target, ast.Attribute), "an in-place change of an item"
        source = ast.parse(ast.unparse(target), mode="eval").body
        read = ast.copy_location(_located(source, target), target)
        value = ast.copy_location(ast.BinOp(read, node.op, node.value), node)
        return self.visit_Assign(ast.copy_location(ast.Assign([target], value), node))

    def _store(self, node: ast.stmt, target: ast.expr, value: ast.expr) -> ast.AST | None:
        """The statement that stores one thing in an attribute or an item, or None."""
        if isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Slice):
            key = self.visit(target.slice)
            call = self._put_in(
                "put_item", target, self.visit(value), self.visit(target.value), key
            )
        elif isinstance(target, ast.Attribute):
            is_made = self._is_init and _is_self(target.value)
            parts = (self.visit(value), self.visit(target.value), ast.Constant(target.attr))
            call = self._put_in("make" if is_made else "put", target, *parts)
        else:
            return None
        return ast.copy_location(ast.Expr(call), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        name = "look" if isinstance(node.ctx, ast.Load) else "alter"
        node.value = self._put_in(name, node, node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in CALLS:
            name = ast.copy_location(ast.Name(f"{PREFIX}call", ast.Load()), function)
            attribute = ast.copy_location(ast.Constant(function.attr), function)
            node.args = [function.value, attribute, *node.args]
            node.func = name
        elif isinstance(function, ast.Name) and function.id in READERS and node.args:
            node.args[0] = self._look(node.args[0])
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ops[0], (ast.In, ast.NotIn)):
            node.comparators[0] = self._look(node.comparators[0])
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        node.iter = self._look(node.iter)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        node.iter = self._look(node.iter)
        node.ifs = [self._look(test) for test in node.ifs]
        return node

    def visit_If(self, node: ast.If | ast.While | ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        node.test = self._look(node.test)
        return node

    visit_While = visit_IfExp = visit_If

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        node.values = [self._look(value) for value in node.values]
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not):
            node.operand = self._look(node.operand)
        return node

    def _look(self, node: ast.expr) -> ast.expr:
        """The contents of what this gives are about to be read, if it is a container."""
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self._put_in("look", node, node)
        return node

    def _put_in(self, name: str, at: ast.expr, *args: ast.expr) -> ast.expr:
        function = ast.Name(PREFIX + name, ast.Load())
        call = ast.Call(function, list(args), [])
        for node in (function, call, *(arg for arg in args if isinstance(arg, ast.Constant))):
            if not hasattr(node, "lineno"):
                cast(Any, node).lineno = cast(Any, node).end_lineno = at.end_lineno
                cast(Any, node).col_offset = cast(Any, node).end_col_offset = 0
        return call


def _located(tree: ast.expr, at: ast.expr) -> ast.expr:
    for node in ast.walk(tree):
        if isinstance(node, ast.expr):
            ast.copy_location(node, at)
    return tree
