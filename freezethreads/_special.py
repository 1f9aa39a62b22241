"""What an asynchronous exception cannot break: special methods that run no Python of ours, a lock
that is never left held, and functions that are never left before their first line.

Such an exception can hit a function in Python before its first instruction, and each such function
costs a call. What C code can do by itself is spared both.
"""

from __future__ import annotations

import sys
from _thread import RLock
from collections.abc import Callable, Iterator
from inspect import Parameter, Signature
from types import FunctionType
from typing import TypeVar

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])


class Unbound(property):
    """A property whose value is called. On the class it can be called like a function."""

    def __call__(self, instance: object, *args: object) -> object:
        assert self.fget is not None
        return self.fget(instance)(*args)


def call_with(lock: RLock, call: Callable[[], T]) -> T:
    """Return `call()`, made with the lock held, and never leave it held.

    `with` alone does not do that: an exception that arrives after the block and before its
    `__exit__` would. Only the owner can release a re-entrant lock, hence the second try.
    """
    try:
        with lock:
            return call()
    except BaseException:
        try:
            lock.release()
        except RuntimeError:
            pass  # not held: as it should be
        raise


def covered(function: F) -> F:
    """Have the `try` that a function begins with cover the function's very beginning as well.

    The first instruction of each function in Python looks for signals and asynchronous exceptions.
    It comes before the line of the `try`, so what is raised there is not caught, however the
    source is written. But which instructions a `try` covers is only a table beside the bytecode
    (CPython's `InternalDocs/exception_handling.md`), and this moves the start of its first entry.
    The arguments are all that an `except` can count on then: no variable has a value yet.

    The `try` has to be the outermost, and at the very beginning. The format is that of CPython 3.11
    to 3.15; a function stays what it is on what is newer, or on another Python.
    """
    assert isinstance(function, FunctionType)
    if sys.implementation.name != "cpython" or sys.version_info >= (3, 16):
        return function
    code = function.__code__
    numbers = iter(code.co_exceptiontable)
    start, size = _read_number(numbers), _read_number(numbers)
    rest = bytes(numbers)
    table = bytes((*_written(0, 0x80), *_written(start + size), *rest))
    function.__code__ = code.replace(co_exceptiontable=table)
    return function


def exit_too(method: F) -> F:
    """A method without arguments that is `__exit__` as well, whose arguments it ignores.

    So it has three that are optional, and does not show them.
    """
    itself = Parameter("self", Parameter.POSITIONAL_ONLY)
    vars(method)["__signature__"] = Signature((itself,), return_annotation="None")
    return method


def _read_number(numbers: Iterator[int]) -> int:
    """Digits of six bits, the greatest first; a bit in each says whether another follows."""
    value = 0
    for each in numbers:
        value = value << 6 | each & 0x3F
        if not each & 0x40:
            break
    return value


def _written(value: int, begins_an_entry: int = 0) -> list[int]:
    digits = [value & 0x3F]
    while value := value >> 6:
        digits.insert(0, value & 0x3F | 0x40)
    digits[0] |= begins_an_entry
    return digits


def need_depth(calls: int = 40) -> None:
    """Raise RecursionError now, unless so many calls can be made, one inside the other.

    For what must not be cut short by one: to be called before anything was done.
    """
    if calls:
        need_depth(calls - 1)
