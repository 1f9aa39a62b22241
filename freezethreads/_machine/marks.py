"""What the program has declared from outside: `atomic` code, in which nobody is stopped, and
`freezable` code, whose entry and whose loops are safepoints.

A mark is a name, so that it can be made before there is what it names, and is looked up once for
each code object: by the name of its module and by its own qualified name.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Final, TypeVar

from freezethreads._ground.errors import FreezeError

T = TypeVar("T")


class Marks:
    """One kind of mark. From any thread: each step is one operation on a dict."""

    def __init__(self) -> None:
        # By name: "module:Qualified.name", or "module" for all of it; and the label, if it has one.
        self._names: dict[str, str | None] = {}
        self._known: dict[int, tuple[weakref.ref[CodeType], str | None]] = {}

    def add(self, target: Any, label: str | None = None) -> None:
        """Mark a function, a class, a module, or what ``"module:Qualified.name"`` names.

        May be repeated. Raises TypeError or ValueError for anything else.
        """
        self._names[name_of(target)] = label
        self._known = {}

    def __bool__(self) -> bool:
        return bool(self._names)

    def name_in(self, frame: FrameType) -> str | None:
        """Under which name the code of a frame is marked, or what it is defined in; None: it is
        not."""
        if not self._names:
            return None
        code, known = frame.f_code, self._known
        entry = known.get(id(code))
        if entry is not None and entry[0]() is code:
            return entry[1]
        name = self._find(str(frame.f_globals.get("__name__")), code.co_qualname)
        key = id(code)

        def forget(ref: weakref.ref[CodeType]) -> None:
            if (one := known.get(key)) is not None and one[0] is ref:
                known.pop(key, None)

        known[key] = (weakref.ref(code, forget), name)
        return name

    def label_of(self, name: str) -> str | None:
        """The label with which it was marked."""
        return self._names.get(name)

    def _find(self, module: str, qualified: str) -> str | None:
        parts = qualified.split(".")
        names = [f"{module}:{'.'.join(parts[:n])}" for n in range(1, len(parts) + 1)]
        found = [name for name in (module, *names) if name in self._names]
        return found[0] if found else None


atomic: Final = Marks()
freezable: Final = Marks()


def mark(marks: Marks, target: T, label: str | None, wrap: Callable[[Any, str | None], Any]) -> T:
    """Mark `target` and return it; before CPython 3.12 return what `wrap` makes of a function."""
    if sys.version_info >= (3, 12):
        marks.add(target, label)
        return target
    name_of(target)
    if not isinstance(target, FunctionType):
        raise FreezeError(
            f"only a function can be marked on CPython 3.11, not {target!r}: mark what it has, "
            "one by one, or use 3.12 or newer"
        )
    wrapped: T = wrap(target, label)
    return wrapped


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
