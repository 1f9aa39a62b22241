"""What a chain of names leads to, and whether that is a lock, found out without calling anything.

A lock is what has ``acquire`` and ``release``. A name whose value cannot be told (a property, say,
or an item of something), or is no lock any more, is taken for a lock if it is called like one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final, Protocol

from freezethreads._ground.original import LockType, RLock

Chain = tuple[str, ...]
"""The kind of the first name (`fast`, `global`, `name`), the name, and the attributes after it."""

UNKNOWN: Final = object()

_PLAIN: Final = (LockType, type(RLock()))
_LOCKLIKE: Final = ("lock", "mutex", "sem", "cond", "cv")


class Names(Protocol):
    """Where names are looked up: a frame, or what has the same of one that is not there yet."""

    @property
    def f_globals(self) -> Mapping[str, Any]: ...
    @property
    def f_locals(self) -> Mapping[str, Any]: ...
    @property
    def f_builtins(self) -> Mapping[str, Any]: ...


def value_of(chain: Chain, names: Names) -> Any:
    """What the chain leads to now, without a call; `UNKNOWN` if nobody can tell.

    By the thread of the frame, or while that cannot go on.
    """
    kind, name, *attributes = chain
    spaces: list[Any] = [names.f_globals, names.f_builtins]
    if kind != "global":
        spaces.insert(0, names.f_locals)
    value = next((space[name] for space in spaces if name in space), UNKNOWN)
    for attribute in attributes:
        if value is UNKNOWN:
            break
        value = attribute_of(value, attribute)
    return value


def attribute_of(owner: Any, name: str) -> Any:
    """An attribute, if it can be had without code of the program."""
    kind = type(owner)
    found = _in_type(kind, name)
    if found is not UNKNOWN and type(found).__name__ in ("member_descriptor", "getset_descriptor"):
        try:
            return found.__get__(owner, kind)
        except AttributeError:
            return UNKNOWN
    if found is not UNKNOWN and isinstance(found, property):
        return UNKNOWN
    try:
        own = object.__getattribute__(owner, "__dict__")
    except AttributeError:
        own = {}
    if isinstance(owner, (ModuleType, type)) or name in own:
        own = own if name in own else {}
        if name in own:
            return own[name]
        return _in_type(owner, name) if isinstance(owner, type) else UNKNOWN
    return found


def _in_type(kind: type, name: str) -> Any:
    for base in type.__dict__["__mro__"].__get__(kind):
        if name in (space := type.__dict__["__dict__"].__get__(base)):
            return space[name]
    return UNKNOWN


def is_lock(value: Any) -> bool:
    """Whether it looks like a lock of threads: it has `acquire` and `release`."""
    if type(value).__module__.startswith("asyncio"):
        return False
    # A condition has these of its own, from the lock that it was made with.
    return UNKNOWN not in (attribute_of(value, "acquire"), attribute_of(value, "release"))


def is_called_like_a_lock(chain: Chain) -> bool:
    """What is left to go by where its value cannot be told."""
    return any(part in chain[-1].lower() for part in _LOCKLIKE)


def is_free(lock: object) -> bool:
    """Whether it is a lock of `threading` that nobody holds."""
    return type(lock) in _PLAIN and repr(lock).startswith("<unlocked")
