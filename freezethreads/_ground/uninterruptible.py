"""What an asynchronous exception cannot break: functions without a gap before their `try`, and a
lock that is never left held.

Such an exception (what a signal handler raises, a KeyboardInterrupt, one that another thread sends)
arrives where CPython looks for it: when a function is entered, at a backward jump, and after a call
of C. So it can hit a function in Python before its first instruction, and with that before any
`try` in it.
"""

from __future__ import annotations

import sys
import warnings
from _thread import RLock
from collections.abc import Callable
from inspect import Parameter, Signature
from types import CodeType
from typing import Any, Final, TypeVar

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_MOST: Final = 32  # code units before the first statement of a function; a few are usual
_SHALLOW: Final = 100  # frames
_USUAL_LIMIT: Final = 1000
_COUNTS_C: Final = sys.version_info < (3, 12)  # among the calls: what C calls, which has no frame
_UNKNOWN: Final = (3, 16)  # from here on the format of exception tables may be another one
_left_alone: list[object] = []


def covered(function: F) -> F:
    """Let the `try` statement with which `function` begins cover its first instruction as well.

    A decorator. The handler must use parameters alone, which are the only names that are bound
    by then; whatever the `try` does must be repeatable, or be its last step, with no call after it.
    CPython looks the handler up in the function's exception table, whose entry for the `try` begins
    a few instructions too late for us. So the function gets the same entry once more, from 0 on.

    The table's format is the same from 3.11 to 3.15 (CPython, InternalDocs/exception_handling.md).
    On an interpreter to come, what was made is read by that interpreter's own `dis`. A function
    that does not look as expected there is left as it is, with one warning for all of them: only an
    exception at its very first instruction is not handled. Raises ValueError for a function without
    such a `try` on an interpreter that is known.
    """
    code: CodeType = function.__code__
    entry = _entry_from_zero(code.co_exceptiontable)
    longer = None
    if entry is not None:
        longer = code.replace(co_exceptiontable=entry + code.co_exceptiontable)
    if sys.version_info >= _UNKNOWN:
        if longer is None or not _is_as_expected(code, longer):
            _leave_alone(function)
            return function
    elif longer is None:
        raise ValueError(f"{function!r} does not begin with a try statement")
    function.__code__ = longer
    return function


def _is_as_expected(code: CodeType, longer: CodeType) -> bool:
    """Whether this interpreter reads in `longer` the first entry of `code`, from 0 on, and then all
    that `code` has."""
    try:
        from dis import Bytecode  # nobody else needs it

        before: list[Any] = list(Bytecode(code).exception_entries)  # type: ignore[attr-defined]
        after: list[Any] = list(Bytecode(longer).exception_entries)  # type: ignore[attr-defined]
        return after == [before[0]._replace(start=0, end=before[0].start), *before]
    except Exception:  # noqa: BLE001 - whatever it is, the format is another one
        return False


def _leave_alone(function: object) -> None:
    """Say so, once."""
    if not _left_alone:
        version = ".".join(map(str, sys.version_info[:2]))
        warnings.warn(
            f"this freezethreads does not know CPython {version}: an asynchronous exception (a "
            "KeyboardInterrupt, say) at the first instruction of some of its functions can leave a "
            "region entered; look for a newer freezethreads",
            RuntimeWarning,
            stacklevel=3,
        )
    _left_alone.append(function)


def _entry_from_zero(table: bytes) -> bytes | None:
    """The first entry of an exception table, extended so that it begins where the function does."""
    try:
        start, at = _number(table, 0)
        _, at = _number(table, at)  # its length
        _, end = _number(table, at)  # its handler
        depth, end = _number(table, end)
    except IndexError:
        return None
    if depth >> 1 or not 0 < start < _MOST:
        return None
    return bytes((0x80, start)) + table[at:end]


def _number(table: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where the next one begins: six bits a byte, the high ones first."""
    value = 0
    while True:
        byte = table[at]
        at += 1
        value = value << 6 | byte & 63
        if not byte & 64:
            return value, at


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


def call_if_free(lock: RLock, call: Callable[[], T], otherwise: T) -> T:
    """The same if nobody else holds the lock; else `otherwise`, at once."""
    try:
        if not lock.acquire(blocking=False):
            return otherwise
        result = call()
        lock.release()
        return result
    except BaseException:
        try:
            lock.release()
        except RuntimeError:
            pass  # not held: as it should be
        raise


def exit_too(method: F) -> F:
    """A method without arguments that is `__exit__` as well, whose arguments it ignores.

    So it has three that are optional, and does not show them.
    """
    itself = Parameter("self", Parameter.POSITIONAL_ONLY)
    vars(method)["__signature__"] = Signature((itself,), return_annotation="None")
    return method


def need_depth(calls: int = 40) -> None:
    """Raise RecursionError now, unless so many calls can be made, one inside the other.

    For what must not be cut short by one: to be called before anything was done. To make the calls
    costs as much as all the rest of a wait. So they are not made where the stack has few frames:
    then they fit. CPython 3.11 does not tell: there the `repr()` of a deep list uses up the room
    without a frame.
    """
    try:
        sys._getframe(_SHALLOW)
    except ValueError:  # there are not so many
        if not _COUNTS_C and sys.getrecursionlimit() >= _USUAL_LIMIT:
            return
    _call(calls)


def _call(calls: int) -> None:
    if calls:
        _call(calls - 1)
