"""What a chain of names leads to, and whether that is a lock, found out without calling anything.

A lock is what has ``acquire`` and ``release``, and an item is one if it is of a list, tuple or dict
that has locks in it: which item it was, nobody can tell any more. Where the value of a name cannot
be told (a property, say), or is by now what nobody can have acquired or entered (None), it is words
that count: ``write_lock`` is called like a lock, and ``block`` and ``clock`` are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from types import CodeType, ModuleType
from typing import Any, Final, Protocol, cast

from freezethreads._ground.original import LockType, RLock

Chain = tuple[str, ...]
"""The kind of the first name (`fast`, `global`, `name`), the name, and the attributes after it."""

UNKNOWN: Final = object()

_PLAIN: Final = (LockType, type(RLock()))
_LOOKED_AT: Final = 8  # items of a container
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LOCKLIKE: Final = {
    *("locks", "locked", "locking", "mutexes", "semaphore", "semaphores", "sem", "sema", "cv"),
    *("condition", "cond", "condvar", "synchronized", "exclusive"),
}
_ENDS_LIKE_A_LOCK: Final = re.compile("((?<![bc])(?<!un)lock|mutex)$")  # rlock, and not unlock


class Names(Protocol):
    """Where names are looked up: a frame, or what has the same of one that is not there yet."""

    @property
    def f_globals(self) -> Mapping[str, Any]: ...
    @property
    def f_locals(self) -> Mapping[str, Any]: ...
    @property
    def f_builtins(self) -> Mapping[str, Any]: ...


class Frame(Names, Protocol):
    """A frame, or what a look may read of one."""

    @property
    def f_code(self) -> CodeType: ...
    @property
    def f_lasti(self) -> int: ...
    @property
    def f_back(self) -> Frame | None: ...


def value_of(chain: Chain, names: Names) -> Any:
    """What the chain leads to now, without a call; `UNKNOWN` if nobody can tell.

    By the thread of the frame, or while that cannot go on.
    """
    kind, name, *attributes = chain
    spaces: list[Any] = [] if kind == "global" else [names.f_locals]
    if kind != "fast":
        spaces += [names.f_globals, names.f_builtins]
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


def lock_of(chain: Chain, names: Names) -> object | None:
    """The lock that the chain leads to; `UNKNOWN`: one of which nobody can tell more; None: no
    lock."""
    *before, last = chain
    if last.endswith("[]") and has_locks(value_of((*before, last.removesuffix("[]")), names)):
        return UNKNOWN
    value: object = value_of(chain, names)
    if is_lock(value):
        return value
    is_another = any(attribute_of(value, one) is not UNKNOWN for one in ("acquire", "__enter__"))
    return UNKNOWN if not is_another and is_called_like_a_lock(chain[-1]) else None


def is_lock(value: Any) -> bool:
    """Whether it looks like a lock of threads: it has `acquire` and `release`."""
    if type(value).__module__.startswith("asyncio"):
        return False
    # A condition has these of its own, from the lock that it was made with.
    return UNKNOWN not in (attribute_of(value, "acquire"), attribute_of(value, "release"))


def has_locks(container: object) -> bool:
    """Whether it is a list, tuple or dict that has locks in it, as far as its first items tell."""
    kind = type(container)
    items: Iterable[object] = ()
    if issubclass(kind, dict):
        items = dict.values(cast("dict[object, object]", container))
    elif issubclass(kind, list):
        items = list.__iter__(cast("list[object]", container))
    elif issubclass(kind, tuple):
        items = tuple.__iter__(cast("tuple[object, ...]", container))
    try:
        return any([is_lock(item) for item in islice(items, _LOOKED_AT)])
    except RuntimeError:  # another thread has changed it meanwhile: its name tells
        return False


@lru_cache(1000)
def is_called_like_a_lock(name: str) -> bool:
    """What is left to go by where its value cannot be told."""
    words = [word.lower() for word in _WORD.findall(name)]
    return any(word in _LOCKLIKE or _ENDS_LIKE_A_LOCK.search(word) for word in words)


def is_free(lock: object) -> bool:
    """Whether it is a lock of `threading` that nobody holds."""
    return type(lock) in _PLAIN and repr(lock).startswith("<unlocked")
