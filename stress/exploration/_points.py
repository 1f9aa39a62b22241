"""Where the core touches what threads may share: found in its source, met in its bytecode.

An *access* reads or writes an attribute, or uses a container, a lock or a future by one operation
of C. The source says which expressions these are; the positions in the bytecode say at which
instruction each of them takes place. Everything between two accesses concerns one thread alone.

Which object is touched is known at run time: its expression is a name with attributes, which is
looked up in the frame. An access to what `threading.local` keeps is none.
"""

from __future__ import annotations

import ast
import dis
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import TypeAlias

Cell: TypeAlias = tuple[int, str]
"""The identity of an object, and which part of it: an attribute, or "" for its contents."""

LOOKS = {"copy", "count", "done", "empty", "exception", "get", "index", "items", "keys"}
LOOKS |= {"locked", "owner", "result", "values"}
CHANGES = {"acquire", "add", "append", "appendleft", "cancel", "clear", "discard", "extend"}
CHANGES |= {"insert", "pop", "popitem", "popleft", "put", "release", "remove", "set_exception"}
CHANGES |= {"set_result", "set_running_or_notify_cancel", "setdefault", "update"}
READERS = {"all", "any", "bool", "dict", "iter", "len", "list", "next", "set", "sorted"}
READERS |= {"sum", "tuple"}

Key: TypeAlias = tuple[str, int, int]
"""What kind of instruction, and the line and the column where its expression ends."""


@dataclass(frozen=True)
class Access:
    """One access: to `part` of the object that `root` and then `attributes` lead to."""

    root: str
    attributes: tuple[str, ...]
    part: str
    writes: bool

    def cell(self, frame: FrameType) -> Cell | None:
        """What it touches now, or None if no other thread can touch that."""
        names = frame.f_locals if self.root in frame.f_locals else frame.f_globals
        found = names.get(self.root)
        for attribute in self.attributes:
            found = getattr(found, attribute, None)
        if found is None or isinstance(found, threading.local):
            return None
        return id(found), self.part


Table: TypeAlias = dict[int, tuple[Access, ...]]
"""The accesses of one code object, by the offset of the instruction that makes them."""


class Points:
    """The accesses in some source files."""

    def __init__(self, files: Iterable[str]) -> None:
        self._accesses: dict[str, dict[Key, list[Access]]] = {}
        trees = {file: ast.parse(Path(file).read_text(encoding="utf-8")) for file in files}
        stored = {name for tree in trees.values() for name in _stored(tree)}
        for file, tree in trees.items():
            finder = _Finder(stored)
            finder.visit(tree)
            self._accesses[file] = finder.found

    def covers(self, code: CodeType) -> bool:
        """Whether the code is of one of these files."""
        return code.co_filename in self._accesses

    def table(self, code: CodeType) -> Table:
        """The accesses of one code object."""
        accesses = self._accesses[code.co_filename]
        table: Table = {}
        for instruction in dis.get_instructions(code):
            kind, place = _kind_of(instruction.opname), instruction.positions
            if kind and place and place.end_lineno and place.end_col_offset is not None:
                found = accesses.get((kind, place.end_lineno, place.end_col_offset))
                if found:
                    table[instruction.offset] = tuple(found)
        return table


def _stored(tree: ast.AST) -> Iterator[str]:
    """The attributes that are set anywhere; to read any other is no access."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            yield node.attr


def _kind_of(opname: str) -> str:
    if opname in ("LOAD_ATTR", "LOAD_METHOD"):
        return "load"
    if opname in ("STORE_ATTR", "DELETE_ATTR"):
        return "store"
    if "SUBSCR" in opname or opname == "BINARY_OP":
        return "subscript"
    if opname == "CONTAINS_OP":
        return "in"
    return "call" if opname.startswith("CALL") and "INTRINSIC" not in opname else ""


class _Finder(ast.NodeVisitor):
    """Fills `found`."""

    def __init__(self, stored: set[str]) -> None:
        self.found: dict[Key, list[Access]] = {}
        self._stored = stored

    def visit_Attribute(self, node: ast.Attribute) -> None:
        loads = isinstance(node.ctx, ast.Load)
        if node.attr in self._stored:
            self._add("load" if loads else "store", node, node.value, node.attr, not loads)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in LOOKS | CHANGES:
            self._add("call", node, function.value, "", function.attr in CHANGES)
        elif isinstance(function, ast.Name) and function.id in READERS and node.args:
            self._add("call", node, node.args[0], "", False)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if isinstance(node.ops[0], (ast.In, ast.NotIn)):
            self._add("in", node, node.comparators[0], "", False)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        writes = not isinstance(node.ctx, ast.Load)
        self._add("subscript", node, node.value, "", writes)
        self.generic_visit(node)

    def visit_If(self, node: ast.If | ast.While | ast.IfExp) -> None:
        self._add_truth(node.test)
        self.generic_visit(node)

    visit_While = visit_IfExp = visit_If

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for value in node.values:
            self._add_truth(value)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._add_truth(node.operand)
        self.generic_visit(node)

    def _add_truth(self, node: ast.expr) -> None:
        """A test of a container reads it, as its attribute is loaded."""
        if isinstance(node, ast.Attribute):
            self._add("load", node, node, "", False)

    def _add(self, kind: str, at: ast.expr, target: ast.expr, part: str, writes: bool) -> None:
        names: list[str] = []
        while isinstance(target, ast.Attribute):
            names.append(target.attr)
            target = target.value
        if isinstance(target, ast.Name):
            access = Access(target.id, tuple(reversed(names)), part, writes)
            key = (kind, at.end_lineno or 0, at.end_col_offset or 0)
            accesses = self.found.setdefault(key, [])
            if access not in accesses:
                accesses.append(access)
