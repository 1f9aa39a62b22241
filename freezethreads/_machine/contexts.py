"""Which lock a section is about, also if it is a `with` block over a call, `with self.locked():`.

What the call has returned nobody can tell any more: the interpreter keeps it where Python does not
look. So what is called has to tell, without being called:

* A function that `contextlib.contextmanager` has made holds one if its only way to wait for the
  block, a `yield`, is in a section of its own. What the names there lead to is looked up as far as
  it can be while the function does not run: globals, what it closes over, and its `self`.
* A class does, if its ``__enter__`` calls ``acquire``.
* A dict's ``get`` and ``setdefault`` do, if that has locks in it.
* Anything else, if it is called like a lock: ``get_lock()``, ``write_mutex()``.
"""

from __future__ import annotations

import builtins
import dis
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
    has_locks,
    is_called_like_a_lock,
    is_free,
    lock_of,
    value_of,
)

_ITEM_OF: Final = ("get()", "setdefault()")  # a dict
_DEPTH: Final = 3  # context managers whose block is in another one's


@dataclass(frozen=True)
class _Idle:
    """The names of a function that does not run: it has no locals yet but these."""

    f_globals: Mapping[str, Any]
    f_locals: Mapping[str, Any]
    f_builtins: Mapping[str, Any] = field(default_factory=lambda: vars(builtins))


def lock_in(section: Section, names: Names, depth: int = _DEPTH) -> object | None:
    """The lock that is held in a section, as far as these names tell; `UNKNOWN`: one of which
    nobody can tell more, or there is no lock and it is one all the same; None: none is held."""
    if section.chain is None:
        return UNKNOWN
    if section.chain[-1].endswith("()"):
        return UNKNOWN if takes_a_lock(section.chain, names, depth) else None
    lock = lock_of(section.chain, names)
    return None if section.guessed and is_free(lock) else lock


def takes_a_lock(chain: Chain, names: Names, depth: int) -> bool:
    """Whether what is called there returns a lock, or what holds one. Nothing is called."""
    *before, last = chain
    if last in _ITEM_OF and has_locks(value_of(tuple(before), names)):
        return True
    called = value_of((*before, last.removesuffix("()")), names)
    if isinstance(called, type):
        code = getattr(attribute_of(called, "__enter__"), "__code__", None)
        return isinstance(code, CodeType) and "acquire" in code.co_names
    function = getattr(called, "__func__", called)  # of a class method, say
    inner: Any = vars(function).get("__wrapped__") if type(function) is FunctionType else None
    if type(inner) is FunctionType and depth:
        owner = value_of(tuple(before), names) if len(before) > 1 else UNKNOWN
        idle = _Idle(inner.__globals__, _known_locals(inner, owner))
        found = _around_yields(inner.__code__)
        if any(lock_in(section, idle, depth - 1) is not None for section in found):
            return True
    return is_called_like_a_lock(last)


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


@lru_cache(1000)
def _around_yields(code: CodeType) -> tuple[Section, ...]:
    """The sections in which it yields."""
    yields = [one.offset for one in dis.get_instructions(code) if one.opname == "YIELD_VALUE"]
    found = sections_of(code)
    return tuple(
        one for one in found if any(one.covers(offset, running=False) for offset in yields)
    )
