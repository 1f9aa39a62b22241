"""Names of code, ``package.module:Class.method``: what they stand for, and what is wrong with them.

Nothing is imported for that. So of a module that nobody has imported yet it is known whether there
is one, and no more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from importlib.machinery import ModuleSpec
from types import BuiltinFunctionType, ModuleType
from typing import Any, Final

PROGRAM: Final = ("__main__", "__mp_main__")
"""What the program's own module is called: in its first process, and in those of `multiprocessing`
by `spawn` or `forkserver`."""


def check_name(name: str) -> str:
    """Return the name of code. Raises ValueError if it is none, or of nothing that is there."""
    module, colon, inner = name.partition(":")
    parts = module.split(".") + (inner.split(".") if colon else [])
    if not all(part.isidentifier() or part == "<locals>" for part in parts):
        raise ValueError(
            "target must be named like 'package.module' or 'package.module:Class.method', "
            f"not {name!r}"
        )
    if module not in PROGRAM:  # whose names may come later
        _, problem = look_up(name, ())
        if problem:
            raise ValueError(problem)
    return name


def split_mark(mark: str) -> tuple[str, str | None]:
    """The name and the kind of ``NAME=KIND``; without ``=`` it is atomic for every freeze."""
    name, equals, kind = mark.partition("=")
    return name, kind if equals else None


def names_of_module(names: Mapping[str, Any]) -> tuple[str, ...]:
    """What the module with these globals may be called in a mark. The program's own one has also
    the name by which it was started, or that of its file."""
    name = str(names.get("__name__"))
    if name not in PROGRAM:
        return (name,)
    spec, file = names.get("__spec__"), names.get("__file__")
    if isinstance(spec, ModuleSpec):
        return (*PROGRAM, spec.name)
    own = os.path.splitext(os.path.basename(file))[0] if isinstance(file, str) else name
    return (*PROGRAM, own)


def look_up(name: str, folders: Iterable[str] | None = None) -> tuple[str | None, str]:
    """Under which name the code that a mark names is known, None: not found; and what is wrong with
    the mark, as far as it can be told. Nothing is imported for that.

    `folders` are where modules are that the interpreter would not find now; if there are none, no
    module is sought that is not loaded.
    """
    module, colon, inner = name.partition(":")
    loaded = _loaded(module)
    if loaded is None:
        return None, _why_no_module(name, folders)
    if not colon:
        return loaded.__name__, ""
    owner: Any = loaded
    for part in inner.split("."):
        if part == "<locals>":
            return name, ""
        found = _member(owner, part)
        if found is _MISSING:
            if getattr(loaded.__spec__, "_initializing", False):
                return None, ""  # it is being imported
            return None, f"there is no {name!r}: {owner!r} has no {part!r}"
        owner = getattr(found, "__func__", found)
    if isinstance(owner, BuiltinFunctionType):
        return None, f"{name!r} is {owner!r}, which is no code of Python"
    own, qualified = getattr(owner, "__module__", None), getattr(owner, "__qualname__", None)
    if isinstance(own, str) and isinstance(qualified, str):
        return f"{own}:{qualified}", ""
    return name, ""  # a property, say


_MISSING: Final = object()


def _member(owner: Any, name: str) -> Any:
    """What is defined in a module or class under that name, or in a class that it has it from."""
    places = owner.__mro__ if isinstance(owner, type) else (owner,)
    for place in places:
        try:
            return vars(place)[name]
        except (KeyError, TypeError):
            continue
    return _MISSING


def _loaded(module: str) -> ModuleType | None:
    loaded = sys.modules.get(module)
    main = sys.modules.get("__main__")
    if loaded is None and main is not None and module in names_of_module(vars(main)):
        return main
    return loaded


def _why_no_module(name: str, folders: Iterable[str] | None) -> str:
    """What is wrong with a name whose module is not loaded; nothing if it may come."""
    module, _, inner = name.partition(":")
    parts, at = module.split("."), ""
    path: Iterable[str] | None = folders
    for n, part in enumerate(parts):
        at = f"{at}.{part}" if at else part
        loaded = sys.modules.get(at)
        if loaded is not None:
            path = getattr(loaded, "__path__", None)
            rest = ".".join(parts[n + 1 :])
            if path is None or (n + 2 == len(parts) and _member(loaded, rest) is not _MISSING):
                return _no_module(name, at, rest, inner)
        elif folders == ():
            return ""
        else:
            spec = _find_spec(at, path)
            if spec is None:
                return f"there is no module {at!r}, so that nothing is named {name!r}"
            path = spec.submodule_search_locations
            if path is None and n + 1 < len(parts):
                return _no_module(name, at, ".".join(parts[n + 1 :]), inner)
    return ""


def _no_module(name: str, module: str, *inner: str) -> str:
    """What is in a module was taken for a module in it."""
    meant = ".".join(filter(None, inner))
    return f"there is no module {name.partition(':')[0]!r}; write '{module}:{meant}'"


def _find_spec(module: str, path: Iterable[str] | None) -> ModuleSpec | None:
    """As the interpreter finds it, in the folders of its package; nothing is imported for that."""
    for finder in list(sys.meta_path):
        spec = finder.find_spec(module, None if path is None else list(path))
        if spec is not None:
            return spec
    return None
