"""What the program has declared from outside: `atomic` code, in which nobody is stopped, or nobody
for a freeze that is to find a kind settled; and `freezable` code, whose entry and whose loops are
safepoints.

A mark is a name, so that it can be made before there is what it names, and is looked up once for
each code object: by the name of its module and by its own qualified name. What a name stands for
may be code of another name, which was imported there or inherited; then that is marked as well, as
soon as it is loaded. A name of nothing would be a mark that stops, or spares, nobody: so each name
is looked up before a freeze until it has been found.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, TypeVar

from freezethreads._ground.errors import FreezeError
from freezethreads._ground.names import PROGRAM, check_name, look_up, names_of_module
from freezethreads._machine.values import Frame
from freezethreads._registry.registry import warn_if_quiet
from freezethreads._registry.requests import Asked, Freeze

T = TypeVar("T")


class Marks:
    """One sort of mark, of atomic code that of one `kind`. From any thread: each step is one
    operation on a dict."""

    def __init__(self, word: str, kind: str | None = None) -> None:
        self.word = word
        self.kind = kind
        self.warned: dict[str, None] = {}
        # By name: "module:Qualified.name", or "module" for all of it; and the label, if it has one.
        self._names: dict[str, str | None] = {}
        # Names that have yet to be found, and what is wrong with each; None: nobody has looked.
        self.sought: dict[str, str | None] = {}
        self._known: dict[int, tuple[weakref.ref[CodeType], str | None]] = {}

    def add(self, target: Any, label: str | None = None) -> None:
        """Mark a function, a class, a module, or what ``"module:Qualified.name"`` names.

        May be repeated. Raises TypeError or ValueError for anything else.
        """
        name = name_of(target)
        self._names[name] = label
        self._known = {}
        if isinstance(target, str):
            self.sought[name] = None
            if name.partition(":")[0] not in PROGRAM:  # which may be another one by then
                self._follow(name, ())

    def clear(self) -> None:
        """Mark nothing any more. While nobody is being stopped."""
        for names in (self.warned, self._names, self.sought):
            names.clear()
        self._known = {}

    def __bool__(self) -> bool:
        return bool(self._names)

    def name_in(self, frame: Frame) -> str | None:
        """Under which name the code of a frame is marked, or what it is defined in; None: it is
        not."""
        if not self._names:
            return None
        code, known = frame.f_code, self._known
        entry = known.get(id(code))
        if entry is not None and entry[0]() is code:
            return entry[1]
        modules = names_of_module(frame.f_globals)
        name = next(filter(None, (self._find(one, code.co_qualname) for one in modules)), None)
        key = id(code)

        def forget(ref: weakref.ref[CodeType]) -> None:
            if (one := known.get(key)) is not None and one[0] is ref:
                known.pop(key, None)

        known[key] = (weakref.ref(code, forget), name)
        return name

    def label_of(self, name: str) -> str | None:
        """The label with which it was marked."""
        return self._names.get(name)

    def problems(self) -> dict[str, str]:
        """What is wrong with each name that names nothing, as far as that is known by now.

        Those of code that is loaded meanwhile are found. Modules are sought once for each name.
        """
        problems = {}
        for name, sought in list(self.sought.items()):
            problem = self._follow(name, None if sought is None else ())
            if name in self.sought and (problem or sought):
                problem = problem or str(sought)
                problems[name] = f"{name!r} is marked as {self.word}, but {problem}"
            if name in self.sought:
                self.sought[name] = problem
        return problems

    def _follow(self, name: str, folders: Iterable[str] | None) -> str:
        """Mark what `name` stands for by its own name as well; or return what is wrong with it."""
        found, problem = look_up(name, folders)
        if found is not None:
            self.sought.pop(name, None)
            if found not in self._names:
                self._names[found] = self._names.get(name)
                self._known = {}
        return problem

    def _find(self, module: str, qualified: str) -> str | None:
        parts = qualified.split(".")
        names = (f"{module}:{'.'.join(parts[:n])}" for n in range(1, len(parts) + 1))
        return next((name for name in (module, *names) if name in self._names), None)


atomic: Final = Marks("atomic")
freezable: Final = Marks("freezable")
# Atomic code for the freezes that are to find a kind settled, by that kind.
of_kinds: Final[dict[str, Marks]] = {}


def atomic_for(kind: str | None) -> Marks:
    """The marks of code that is atomic for freezes that find `kind` settled; None: for all."""
    return atomic if kind is None else of_kinds.setdefault(kind, Marks("atomic", kind))


def heeded_by(asked: Asked) -> list[Marks]:
    """The marks in whose code nobody is stopped for what was asked for."""
    marks = of_kinds.copy()
    return [atomic, *[one for kind, one in marks.items() if asked.settles(kind)]]


def all_marks() -> tuple[Marks, ...]:
    """The marks of every sort."""
    return (atomic, *of_kinds.copy().values(), freezable)


def kinds_in(frame: Frame) -> dict[str, Frame]:
    """Of which kinds the atomic code is that a thread with this innermost frame is in, and the
    outermost frame that is in it. By its thread, or while that cannot go on."""
    found = {}
    marks = of_kinds.copy()
    at: Frame | None = frame if marks else None
    while at is not None:
        for kind, one in marks.items():
            if one.name_in(at) is not None:
                found[kind] = at
        at = at.f_back
    return found


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
        return check_name(target)
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


def warn_of_marks(freeze: Freeze) -> None:
    """Before `freeze` is asked for: log a warning for each mark that names nothing, once."""
    for marks in [freezable] if freeze.bar is None else heeded_by(freeze.asked):
        for name, problem in marks.problems().items() if marks.sought else ():
            if name not in marks.warned and warn_if_quiet(problem):
                marks.warned[name] = None
