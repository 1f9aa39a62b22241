"""Whether a `with` block over a call, `with self.locked():`, holds a lock.

What the call has returned nobody can tell any more: the interpreter keeps it where Python does not
look. So what is called has to tell, without being called:

* A function that `contextlib.contextmanager` has made holds one if its only way to wait for the
  block, a `yield`, is in a section of its own. What the names there lead to is looked up as far as
  it can be while the function does not run: globals, what it closes over, and its `self`.
* A class does, if its ``__enter__`` calls ``acquire``.
* Anything else, if it is called like a lock: ``get_lock()``, ``write_mutex()``. It is words that
  count: nothing is locked by ``blocking()``, nor by ``clock()``.
"""

from __future__ import annotations

import builtins
import dis
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any, Final

from freezethreads._machine.sections import Section, sections_of
from freezethreads._machine.values import (
    UNKNOWN,
    Chain,
    Names,
    attribute_of,
    is_called_like_a_lock,
    is_lock,
    value_of,
)

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_DEPTH: Final = 3  # context managers whose block is in another one's
_WORDS: Final = {
    *("lock", "locks", "locked", "locking", "rlock", "rwlock", "mutex", "mutexes", "cv"),
    *("semaphore", "semaphores", "sem", "condition", "cond", "synchronized", "exclusive"),
}


def is_call(chain: Chain) -> bool:
    """Whether the chain leads to what is called."""
    return chain[-1].endswith("()")


@dataclass(frozen=True)
class _Idle:
    """The names of a function that does not run: it has no locals yet but these."""

    f_globals: Mapping[str, Any]
    f_locals: Mapping[str, Any]
    f_builtins: Mapping[str, Any] = field(default_factory=lambda: vars(builtins))


def takes_a_lock(chain: Chain, names: Names, depth: int = _DEPTH) -> bool:
    """Whether what is called there returns a lock, or what holds one. Nothing is called."""
    *before, last = chain
    called = value_of((*before, last.removesuffix("()")), names)
    if isinstance(called, type):
        code = getattr(attribute_of(called, "__enter__"), "__code__", None)
        return isinstance(code, CodeType) and "acquire" in code.co_names
    function = getattr(called, "__func__", called)  # of a class method, say
    inner: Any = vars(function).get("__wrapped__") if type(function) is FunctionType else None
    if type(inner) is FunctionType and depth:
        owner = value_of(tuple(before), names) if len(before) > 1 else UNKNOWN
        idle = _Idle(inner.__globals__, _known_locals(inner, owner))
        if any(_is_held(section, idle, depth - 1) for section in _around_yields(inner.__code__)):
            return True
    return _is_called_like_one(last)


def _known_locals(function: FunctionType, owner: object) -> dict[str, Any]:
    """What it closes over, and its first argument, if it is called as a method of `owner`."""
    code, known = function.__code__, dict[str, Any]()
    if owner is not UNKNOWN and code.co_argcount:
        known[code.co_varnames[0]] = owner
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            known[name] = cell.cell_contents
        except ValueError:  # nobody has given it a value yet
            continue
    return known


def _is_held(section: Section, names: Names, depth: int) -> bool:
    """Whether a function that is in that section holds a lock, as far as these names tell."""
    if section.chain is None:
        return True
    if is_call(section.chain):
        return takes_a_lock(section.chain, names, depth)
    value = value_of(section.chain, names)
    return is_called_like_a_lock(section.chain) if value is UNKNOWN else is_lock(value)


@lru_cache(1000)
def _is_called_like_one(name: str) -> bool:
    return not _WORDS.isdisjoint(word.lower() for word in _WORD.findall(name))


@lru_cache(1000)
def _around_yields(code: CodeType) -> tuple[Section, ...]:
    """The sections in which it yields."""
    yields = [one.offset for one in dis.get_instructions(code) if one.opname == "YIELD_VALUE"]
    found = sections_of(code)
    return tuple(
        one for one in found if any(one.covers(offset, running=False) for offset in yields)
    )
