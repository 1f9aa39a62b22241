"""Which step of a model is which line of the code: the markers in stress/models/*.pml.

A marker is a comment that names a function by its module in the package and its qualified name, and
may quote what that function does at this step, in this order:

    /* code: _registry/status.Word.change: "step(old" ; "setdefault(0, link)" */
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MARKER = re.compile(r'/\* code: ([\w/]+)\.([\w.]+)(?:: ("[^"]*"(?: ; "[^"]*")*))? \*/')


@dataclass(frozen=True)
class Marker:
    """One step of a model. `line` is where it is in the model."""

    line: int
    module: str
    function: str
    operations: tuple[str, ...]

    @property
    def name(self) -> str:
        """The function, with its module."""
        return f"{self.module}.{self.function}"


@dataclass(frozen=True)
class Step:
    """A marker and the lines of the code that it names, one for each operation; 0 if missing."""

    marker: Marker
    path: Path
    lines: tuple[int, ...]


def markers_of(model: str) -> list[Marker]:
    """The markers in the text of a model. Raises ValueError for one that cannot be read."""
    markers = []
    for number, text in enumerate(model.splitlines(), 1):
        found = list(_MARKER.finditer(text))
        if len(found) != text.count("/* code:"):
            raise ValueError(f"line {number} is no marker: {text.strip()}")
        for match in found:
            quoted = tuple(re.findall(r'"([^"]*)"', match[3] or ""))
            markers.append(Marker(number, match[1], match[2], quoted))
    return markers


def steps_of(model: str, package: Path) -> Iterator[Step]:
    """Where in the package each step is. Raises LookupError for a function that is not there.

    The operations of one function have to come in the code in the order that the model has.
    """
    begins: dict[str, int] = {}
    for marker in markers_of(model):
        path = package / f"{marker.module}.py"
        source = path.read_text()
        node = _find(ast.parse(source), marker.function.split("."), marker)
        lines = source.splitlines()
        at = begins.get(marker.name, node.lineno - 1)
        found = []
        for operation in marker.operations:
            numbers = range(at, node.end_lineno or at)
            at = next((number for number in numbers if operation in lines[number]), -1)
            found.append(at + 1)
            if at < 0:
                break
        begins[marker.name] = max(at, node.lineno - 1)
        yield Step(marker, path, tuple(found) or (node.lineno,))


def _find(tree: ast.AST, names: list[str], marker: Marker) -> ast.stmt:
    for name in names:
        for node in ast.iter_child_nodes(tree):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
                tree = node
                break
        else:
            raise LookupError(f"line {marker.line}: there is no {marker.name}")
    assert isinstance(tree, ast.stmt)
    return tree
