"""The public API as text, one page a module: what `tests/house/public/` has, and a test compares.

``python tests/support/public_api.py`` writes the pages anew. A page is the same on every Python
that is supported: what the standard library's classes have, and we leave as it is, is not on it.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "tests" / "house" / "public"

MODULES = (
    "freezethreads",
    "freezethreads.checkpoint",
    "freezethreads.cli",
    "freezethreads.control",
    "freezethreads.integrations.asyncio_loop",
    "freezethreads.integrations.snapshots",
    "freezethreads.sync",
    "freezethreads.testing",
    "freezethreads.testing.pytest_fixtures",
    "freezethreads.testing.pytest_plugin",
)

SPECIAL = ("__init__", "__enter__", "__exit__")
"""The methods that are public in spite of their names. What any object has is not named."""


def page_of(name: str) -> str:
    """What can be used of a module: each name, how it is called, and what its members are."""
    module = importlib.import_module(name)
    lines: list[str] = []
    for each in names_of(module):
        lines += entry_of(each, getattr(module, each))
    if hasattr(module, "pytest_addoption"):
        module.pytest_addoption(Options(lines))
    wrapped = [part for line in lines for part in wrap(line) or [""]]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(wrapped)).strip() + "\n"


def wrap(line: str) -> list[str]:
    """A long line in several, broken at commas, each indented more than the first one."""
    further = " " * (len(line) - len(line.lstrip()) + 8)
    glued = line.replace(" ", "\xa0").replace(",\xa0", ", ")
    parts = textwrap.wrap(
        glued, 100, subsequent_indent=further, break_long_words=False, break_on_hyphens=False
    )
    return [part.replace("\xa0", " ") for part in parts]


def names_of(module: Any) -> list[str]:
    """The names that are public; of a plugin of pytest those are its fixtures."""
    fixtures = [name for name, value in vars(module).items() if fixture_of(value) is not None]
    return sorted(getattr(module, "__all__", fixtures))


def entry_of(name: str, value: Any) -> Iterator[str]:
    """The lines of one name."""
    fixture = fixture_of(value)
    if fixture is not None:
        yield f"fixture {name}{signature_of(fixture)}"
    elif inspect.isclass(value):
        yield ""
        yield from class_of(value)
        yield ""
    elif inspect.isroutine(value):
        yield f"def {name}{signature_of(value)}"
    elif type(value).__module__.startswith("freezethreads"):
        yield f"{name}: {type(value).__name__}"
    else:
        yield f"{name} = {value!r}"


class Options:
    """What a plugin of pytest names its options to."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def getgroup(self, name: str) -> Options:
        return self

    def addoption(self, name: str, **more: Any) -> None:
        default = f" = {more['const']}" if "const" in more else ""
        self._lines.append(f"option {name}{default}")

    def addini(self, name: str, help: str, *, default: str) -> None:
        self._lines.append(f"ini {name} = {default}")


def fixture_of(value: Any) -> Any:
    """The function of a fixture of pytest, which has changed its wrapping in 8.4."""
    is_one = type(value).__name__ == "FixtureFunctionDefinition"
    return inspect.unwrap(value) if is_one or hasattr(value, "_pytestfixturefunction") else None


def class_of(cls: type) -> Iterator[str]:
    """A class and its members, in the order of their names."""
    params = getattr(cls, "__dataclass_params__", None)
    if params is not None:
        yield f"@dataclass(frozen={params.frozen})"
    bases = ", ".join(dict.fromkeys(bases_of(cls)))
    yield f"class {cls.__name__}({bases}):" if bases else f"class {cls.__name__}:"
    found = {name: line for base in reversed(own_classes(cls)) for name, line in members_of(base)}
    if params is not None:
        found |= {each.name: field_of(each) for each in dataclasses.fields(cls)}
        found.pop("__init__", None)  # which follows from the fields
    # The fields of a dataclass, and the members of an Enum, are in their order: it matters.
    ordered = sorted(found) if params is None and not issubclass(cls, enum.Enum) else found
    lines = [found[name] for name in ordered]
    yield from (f"    {line}" for line in lines or ["..."])


def bases_of(cls: type) -> Iterator[str]:
    """The public bases: in the place of a private one those that it has itself."""
    for base in cls.__bases__:
        if "._" in base.__module__ and base.__module__.startswith("freezethreads"):
            yield from bases_of(base)
        elif base is not object:
            own = base.__module__ in ("builtins", cls.__module__)
            yield base.__name__ if own else f"{base.__module__}.{base.__name__}"


def own_classes(cls: type) -> list[type]:
    """The class and its bases, as far as they are this library's."""
    return [base for base in cls.__mro__ if base.__module__.startswith("freezethreads")]


def members_of(cls: type) -> Iterator[tuple[str, str]]:
    """What a class itself has, by name."""
    yield from attributes_of(cls)
    for name, annotation in inspect.get_annotations(cls).items():
        if not name.startswith("_"):
            yield name, f"{name}: {annotation}"
    for name, value in vars(cls).items():
        if name in SPECIAL or not name.startswith("_"):
            line = member_of(cls, name, value)
            if line is not None:
                yield name, line


def member_of(cls: type, name: str, value: Any) -> str | None:
    """A method, a property, or what else stands in the class; None for what is not for others."""
    if isinstance(value, property) and isinstance(value.fget, FunctionType):
        return f"{name}: {inspect.get_annotations(value.fget)['return']} (read-only)"
    if isinstance(value, (classmethod, staticmethod)):
        return f"{type(value).__name__} {name}{signature_of(value.__func__, skip=1)}"
    if isinstance(value, FunctionType):
        hidden = name == "__init__" and (hasattr(cls, "_WRITE") or is_private(value))
        return None if hidden else f"def {name}{signature_of(value, skip=1)}"
    if isinstance(value, enum.Enum):
        return f"{name} = {value.value!r}"
    if inspect.ismemberdescriptor(value):  # a slot, which `__init__` fills
        return None
    if hasattr(value, "__get__"):
        return f"def {name}(...)"
    annotation = inspect.get_annotations(cls).get(name)
    return f"{name}: {annotation} = {value!r}" if annotation else f"{name} = {value!r}"


def is_private(init: FunctionType) -> bool:
    """Whether nobody else can make an object by it, for it takes what is private, or any object."""
    words = re.findall(r"\w+", " ".join(map(str, inspect.get_annotations(init).values())))
    takes = [init.__globals__.get(word) for word in words]
    ours = [each.__module__ for each in takes if inspect.isclass(each)]
    return not words or any(re.match(r"freezethreads\..*\b_", module) for module in ours)


def attributes_of(cls: type) -> Iterator[tuple[str, str]]:
    """What `__init__` gives an instance, with its type as far as that is written there."""
    function = vars(cls).get("__init__")
    if not isinstance(function, FunctionType) or dataclasses.is_dataclass(cls):
        return
    types = {name: str(each) for name, each in inspect.get_annotations(function).items()}
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)):
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Attribute) and not target.attr.startswith("_"):
                kind = type_of(node, types)
                yield target.attr, f"{target.attr}: {kind}" if kind else target.attr


def type_of(node: ast.Assign | ast.AnnAssign, types: dict[str, str]) -> str | None:
    """What is assigned there: annotated, a parameter, or a constant."""
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node.annotation)
    if isinstance(node.value, ast.Name):
        return types.get(node.value.id)
    return type(node.value.value).__name__ if isinstance(node.value, ast.Constant) else None


def field_of(field: dataclasses.Field[Any]) -> str:
    """A field of a dataclass. What a factory makes is named by the factory."""
    line = f"{field.name}: {field.type}"
    if field.default is not dataclasses.MISSING:
        return f"{line} = {field.default!r}"
    factory: Any = field.default_factory
    return line if factory is dataclasses.MISSING else f"{line} = {factory.__name__}()"


class Written:
    """An annotation as it is written. Pythons differ in whether they quote it."""

    def __init__(self, annotation: str) -> None:
        self._annotation = annotation

    def __repr__(self) -> str:
        return self._annotation


def signature_of(function: Any, skip: int = 0) -> str:
    """How it is called, without so many of its first parameters."""
    found = inspect.signature(function)
    parameters = [
        each.replace(annotation=written(each.annotation))
        for each in list(found.parameters.values())[skip:]
    ]
    return str(inspect.Signature(parameters, return_annotation=written(found.return_annotation)))


def written(annotation: Any) -> Any:
    return Written(annotation) if isinstance(annotation, str) else annotation


def path_of(name: str) -> Path:
    """Where the page of a module lies."""
    return PAGES / f"{name}.txt"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for module in MODULES:
        path_of(module).write_text(page_of(module))
