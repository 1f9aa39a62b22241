"""What the program has declared from outside: code in which nobody is stopped.

A mark is a name, so that it can be made before there is what it names, and is looked up once for
each code object: by the name of its module and by its own qualified name.
"""

from __future__ import annotations

import sys
import weakref
from types import CodeType, FrameType, ModuleType
from typing import Any, Final

# "module:Qualified.name", or "module" for all of it.
_atomic: Final[dict[str, None]] = {}
_known: dict[int, tuple[weakref.ref[CodeType], bool]] = {}


def is_atomic(frame: FrameType) -> bool:
    """Whether the code of a frame is marked, or what it is defined in."""
    if not _atomic:
        return False
    code = frame.f_code
    entry = _known.get(id(code))
    if entry is not None and entry[0]() is code:
        return entry[1]
    found = _is_marked(str(frame.f_globals.get("__name__")), code.co_qualname)
    key = id(code)

    def forget(ref: weakref.ref[CodeType]) -> None:
        if (known := _known.get(key)) is not None and known[0] is ref:
            _known.pop(key, None)

    _known[key] = (weakref.ref(code, forget), found)
    return found


def _is_marked(module: str, name: str) -> bool:
    if module in _atomic:
        return True
    parts = name.split(".")
    return any(f"{module}:{'.'.join(parts[:n])}" in _atomic for n in range(1, len(parts) + 1))


def mark_atomic(target: Any) -> None:
    """Mark a function, a class, a module, or what ``"module:Qualified.name"`` names.

    From any thread; may be repeated. Raises TypeError or ValueError for anything else.
    """
    _atomic[name_of(target)] = None
    _known.clear()


def name_of(target: Any) -> str:
    """What a mark of `target` is called. Raises TypeError or ValueError if it can have none."""
    if isinstance(target, str):
        return _check_name(target)
    if isinstance(target, ModuleType):
        return target.__name__
    if isinstance(target, (staticmethod, classmethod)):
        target = target.__func__
    target = getattr(target, "__func__", target)  # of a method
    code = getattr(target, "__code__", None)
    if isinstance(code, CodeType):
        return f"{target.__globals__.get('__name__')}:{code.co_qualname}"
    if isinstance(target, type):
        return f"{target.__module__}:{target.__qualname__}"
    raise TypeError(
        "target must be a function, a class, a module, or a name such as "
        f"'package.module:Class.method', not {target!r}"
    )


def _check_name(name: str) -> str:
    module, colon, inner = name.partition(":")
    parts = module.split(".") + (inner.split(".") if colon else [])
    if not all(part.isidentifier() for part in parts):
        raise ValueError(
            "target must be named like 'package.module' or 'package.module:Class.method', "
            f"not {name!r}"
        )
    loaded = sys.modules.get(module)
    if loaded is not None and colon and module != "__main__":
        _check_that_it_is_there(loaded, name, inner)
    return name


def _check_that_it_is_there(module: ModuleType, name: str, inner: str) -> None:
    """A module that is loaded has what is marked in it, unless it is defined within a function."""
    owner: Any = module
    for part in inner.split("."):
        if part == "<locals>":
            return
        try:
            owner = vars(owner)[part]
        except (KeyError, TypeError):
            raise ValueError(f"there is no {name!r}: {owner!r} has no {part!r}") from None
        owner = getattr(owner, "__func__", owner)
