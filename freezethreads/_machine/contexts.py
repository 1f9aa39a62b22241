"""Whether a `with` block over a call, `with self.locked():`, holds a lock.

What the call has returned nobody can tell any more: the interpreter keeps it where Python does not
look. So what is called has to tell, without being called:

* A function that `contextlib.contextmanager` has made holds one if its only way to wait for the
  block, a `yield`, is in a section of its own.
* A class does, if its ``__enter__`` calls ``acquire``.
* Anything else, if it is called like a lock: ``get_lock()``, ``write_mutex()``. It is words that
  count: nothing is locked by ``blocking()``, nor by ``clock()``.
"""

from __future__ import annotations

import dis
import re
from functools import lru_cache
from types import CodeType, FrameType, FunctionType
from typing import Any, Final

from freezethreads._machine.sections import Chain, attribute_of, sections_of, value_of

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_WORDS: Final = {
    *("lock", "locks", "locked", "locking", "rlock", "rwlock", "mutex", "mutexes", "cv"),
    *("semaphore", "semaphores", "sem", "condition", "cond", "synchronized", "exclusive"),
}


def is_call(chain: Chain) -> bool:
    """Whether the chain leads to what is called."""
    return chain[-1].endswith("()")


def takes_a_lock(chain: Chain, frame: FrameType) -> bool:
    """Whether what is called there returns a lock, or what holds one. Nothing is called."""
    *before, last = chain
    called = value_of((*before, last.removesuffix("()")), frame)
    if isinstance(called, type):
        code = getattr(attribute_of(called, "__enter__"), "__code__", None)
        return isinstance(code, CodeType) and "acquire" in code.co_names
    function = getattr(called, "__func__", called)  # of a class method, say
    inner: Any = vars(function).get("__wrapped__") if type(function) is FunctionType else None
    if type(inner) is FunctionType and _yields_in_section(inner.__code__):
        return True
    return _is_called_like_one(last)


@lru_cache(1000)
def _is_called_like_one(name: str) -> bool:
    return not _WORDS.isdisjoint(word.lower() for word in _WORD.findall(name))


@lru_cache(1000)
def _yields_in_section(code: CodeType) -> bool:
    yields = [one.offset for one in dis.get_instructions(code) if one.opname == "YIELD_VALUE"]
    found = sections_of(code)
    return any(one.covers(offset, running=False) for offset in yields for one in found)
