"""The house: which room may import which, what stays out of it, and how large a file may be."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from helpers import ROOT, run_python

PACKAGE = ROOT / "freezethreads"

# The lowest room first: what is in a room imports only from rooms that are named before it, or from
# its own. A room is a module of the package, or a whole folder in it.
CORE = (
    "_ground",
    "_registry",
    "_report",
    "_refrigerator",
    "_machine",
    "sync",  # so that it cannot reach the controller
    "_controller",
    "_explain",
    "_freezer",
    "_default",
    "_signals",
    "_threads",
    "_pool",
    "_install",
    "__init__",
)
# These stand on the public package, and on nothing else of the core but this.
UPPER = ("checkpoint", "integrations", "control", "_attach", "demo", "testing", "cli", "__main__")
GROUND = (
    "_explain",
    "_ground",
    "_controller.fork",
    "_controller.nowait",
    "_report.ended",
    "_report.reports",
    "_report.stacks",
    "_controller.standing",
    "_controller.clock",
    "_machine.caught",
    "_machine.marks",
    "_install._patches",  # and the next: what `install()` replaces in a foreign library
    "_install._wrappers",
    "_registry.registry",
    "_registry.record",
    "_refrigerator.waits",
    "_refrigerator.blocking",  # and the next: a freezer that notes what it does has the same sites
    "_refrigerator.refrigerator",
)
HOUSE = (*CORE, *UPPER)
# What is opened from below only when somebody asks for it: `Freezer.serve()` and `guard_forks()`.
# (`_install` opens a module of `integrations` by its name, when that library is imported.)
DOORS = {("_freezer", "control"), ("_freezer", "_install")}

FILES = sorted(PACKAGE.rglob("*.py"))

LONGEST = 400  # lines, prose not counted
SILENT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}

FOLDERS = ("freezethreads", "tests", "tools", "stress", "docs", "examples")


def room_of(path: Path) -> str:
    """The room that a file of the package belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    """What a file of the package is called in it."""
    return str(path.relative_to(PACKAGE))


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported when the code runs, also from inside a function.

    An import for annotations alone (`if TYPE_CHECKING:`) does not count, since it never happens.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: import by the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imports_of(ast.Module(node.orelse, []))
        else:
            yield from imports_of(node)


def modules_imported(path: Path) -> set[tuple[str, ...]]:
    """What a file imports from other rooms, as room, module, name."""
    names = [name.split(".") for name in imports_of(ast.parse(path.read_text()))]
    inside = [name[1:] for name in names if name[0] == "freezethreads"]
    # A name that is no room is one of the package's own: `from freezethreads import Freezer`.
    found = {tuple(name) if name and name[0] in HOUSE else ("__init__",) for name in inside}
    return {name for name in found if name[0] != room_of(path)}


def rooms_imported(path: Path) -> set[str]:
    """The rooms that a file imports from, its own left out."""
    return {name[0] for name in modules_imported(path)}


def test_every_file_belongs_to_a_room() -> None:
    strays = [name_of(path) for path in FILES if room_of(path) not in HOUSE]
    assert not strays, "a new room: say in HOUSE where it stands"


def test_imports_point_downwards() -> None:
    upwards = {
        (name_of(path), room)
        for path in FILES
        for room in rooms_imported(path)
        if HOUSE.index(room) >= HOUSE.index(room_of(path)) and (room_of(path), room) not in DOORS
    }
    assert not upwards, "each file that must not import the room beside it"


def test_every_room_of_the_core_is_there() -> None:
    rooms = {room_of(path) for path in FILES}
    missing = {room for room in CORE if room.startswith("_")} - rooms
    assert not missing, "no longer there"


def test_upper_rooms_use_the_public_names() -> None:
    below = set(CORE) - {"__init__", "sync"}
    upper = [path for path in FILES if room_of(path) not in CORE]
    private = {
        (name_of(path), ".".join(name[:2]))
        for path in upper
        for name in modules_imported(path)
        if name[0] in below and not {name[0], ".".join(name[:2])} & set(GROUND)
    }
    assert not private, "each file that must not import the module beside it"


def test_the_standard_library_is_enough() -> None:
    """For the core at any time; for a room above it when it is imported (without an extra it has to
    say so in one line). An integration's own library is what it is for, and pytest has its plugin
    imported."""
    foreign = {(name_of(path), root) for path in FILES for root in foreign_roots(path)}
    assert not foreign, "each file that must not import what is beside it"


def foreign_roots(path: Path) -> set[str]:
    """What a file imports that is neither ours nor the standard library's."""
    room = room_of(path)
    tree = ast.parse(path.read_text())
    if room in UPPER:
        statements = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        tree = ast.Module([] if room == "integrations" else list(statements), [])
    roots = {name.split(".")[0] for name in imports_of(tree)}
    own = {"freezethreads", "pytest"} if "pytest" in path.stem else {"freezethreads"}
    return roots - sys.stdlib_module_names - own


def test_importing_the_package_imports_little_else() -> None:
    result = run_python("import freezethreads, sys; print(*sys.modules, sep='\\n')")
    loaded = set(result.stdout.split())
    assert "freezethreads" in loaded
    upper = {f"freezethreads.{room}" for room in UPPER}
    unwanted = {"asyncio", "multiprocessing", "sqlite3", "subprocess", "rich", "matplotlib"}
    assert not loaded & (upper | unwanted)


def python_files() -> list[Path]:
    """All Python of the project, the scripts without a suffix among it."""
    folders = [ROOT / name for name in FOLDERS]
    scripts = [path for path in (ROOT / "tools").iterdir() if path.is_file() and not path.suffix]
    return [*scripts, *(path for folder in folders for path in sorted(folder.rglob("*.py")))]


def lines_of_code(source: str) -> set[int]:
    """The lines that are more than prose: no docstring, no comment, and not empty."""
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in SILENT
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def test_prose_is_not_counted() -> None:
    source = '"""Two\nlines."""\n\n# A comment.\nx = """not\nprose"""\n\n\ndef f():\n    "It."\n'
    assert lines_of_code(source) == {5, 6, 9}


def test_files_stay_short() -> None:
    texts = {path: path.read_text() for path in python_files()}
    # What has no more lines at all, has no more of code: to find these takes a while.
    large = {path: text for path, text in texts.items() if text.count("\n") >= LONGEST}
    assert large
    lengths = {path: len(lines_of_code(text)) for path, text in large.items()}
    long = {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > LONGEST}
    assert not long, "does it do more than one thing?"
