"""What lock a thread waits for, and which ones it has: read from its stack.

For plain locks, and those of `multiprocessing` that this process has, which know no owner. Only
with a GIL: without one nobody may read the frames of threads that run. (What a thread holds that
stands between two bytecodes, `bar` knows.)

Names are looked up when somebody looks. So this assumes of a program that it does not bind the name
of a lock anew while somebody has that lock, or waits for it.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import Final, NamedTuple

from freezethreads._ground.frames import HAS_GIL, current_frames, uncollected
from freezethreads._ground.original import Condition, LockType, RLock
from freezethreads._machine.sections import Calls, calls_of, sections_of
from freezethreads._machine.stacks import held_by, kind_of, programs_frame, programs_place
from freezethreads._machine.values import UNKNOWN, Chain, Frame, attribute_of, value_of
from freezethreads._registry.places import Place, code_of, place_at

_PLAIN: Final = (LockType, type(RLock()))
_SHARED: Final = "multiprocessing.synchronize"
_WAIT: Final = Condition.wait.__code__


class Held(NamedTuple):
    """A lock that a thread has, where it acquired it, and where that is in the program's code.

    `in_block` is whether a `with` block is what tells so.
    """

    lock: object
    acquired: Place
    place: Place
    in_block: bool


def is_plain(value: object) -> bool:
    """Whether it is a lock or re-entrant lock of the standard library's."""
    return type(value) in _PLAIN or _is_between_processes(value)


def _is_between_processes(value: object) -> bool:
    kind = type(value)
    return kind.__module__ == _SHARED and kind.__name__ in ("Lock", "RLock")


def is_reentrant(value: object) -> bool:
    """Whether it is a re-entrant lock of the standard library's, which its owner alone releases."""
    return type(value) is _PLAIN[1]


def awaited_in(frame: Frame) -> tuple[object, bool] | None:
    """The plain lock for which a thread with this innermost frame waits, if it does not move, and
    whether that is sure to have no time-out; None if it waits for none, or nobody can tell."""
    at: Frame | None = frame
    while at is not None and kind_of(at.f_code) == "own":
        at = at.f_back
    if at is not None and at.f_globals.get("__name__") == _SHARED:
        lock = at.f_locals.get("self")  # in `SemLock.__enter__`
        return (lock, True) if _is_between_processes(lock) else None
    found = None if at is None else _acquiring(at.f_code, at.f_lasti)
    if at is None or found is None:
        return None
    chain, for_ever = found
    lock = next(filter(is_plain, _locks_of(value_of(chain, at))), None)
    return None if lock is None else (lock, for_ever)


@lru_cache(1000)
def _acquiring(code: CodeType, offset: int) -> tuple[Chain, bool] | None:
    """What the call at that offset acquires, and whether it is sure to wait for ever; None if it
    is no such call."""
    if not 0 <= offset < len(code.co_code):
        return None
    if not dis.opname[code.co_code[offset]].startswith(("CALL", "BEFORE_WITH")):
        return None
    before, one = [one for one in dis.get_instructions(code) if one.offset <= offset][-2:]
    if one.opname == "BEFORE_WITH" or before.opname == "LOAD_SPECIAL":  # the latter from 3.14 on
        entered = [found for found in sections_of(code) if found.entering and found.start == offset]
        return next(((found.chain, True) for found in entered if found.chain is not None), None)
    if code is _WAIT and offset in _restoring():
        return ("fast", "self", "_lock"), True
    calls = _calls_of(code)
    chain = calls.acquire.get(offset)
    return None if chain is None else (chain, offset in calls.for_ever)


@lru_cache(1)
def _restoring() -> frozenset[int]:
    """Where `Condition.wait` acquires the lock again, if that is a re-entrant one: in one call of
    C."""
    found, loaded = set[int](), False
    for one in dis.get_instructions(_WAIT):
        loaded = loaded or one.argval == "_acquire_restore"
        if loaded and one.opname.startswith("CALL"):
            found.add(one.offset)
            loaded = False
    return frozenset(found)


@lru_cache(1000)
def _calls_of(code: CodeType) -> Calls:
    return calls_of(code)


def _locks_of(value: object) -> list[object]:
    """A lock, and those that it stands for: a condition has one, and a handler of logging."""
    found = (value, attribute_of(value, "_lock"), attribute_of(value, "lock"))
    return [one for one in found if one is not UNKNOWN]


def held_in(frame: Frame) -> Iterator[Held]:
    """The locks that a thread with this innermost frame has, if it does not move.

    One that its stack may have released meanwhile is left out: as a condition does that somebody
    wrote by hand, within a `with` block over the lock.
    """
    for value, at, offset in held_by(frame, running=False):
        in_block = any(
            one.entered == offset and not one.guessed and not one.entering
            for one in sections_of(at.f_code)
        )
        for lock in _locks_of(value):
            if not _may_have_released(frame, at, lock, in_block):
                yield Held(lock, place_at(at.f_code, offset), programs_place(at, offset), in_block)


def _may_have_released(frame: Frame, holder: Frame, lock: object, in_block: bool) -> bool:
    """Whether code from the innermost frame up to the one that acquired the lock releases it by
    name, other than at the end of what acquired it."""
    at: Frame | None = frame
    while at is not None and (in_block or at is not holder):
        if "release" in at.f_code.co_names and kind_of(at.f_code) != "own":
            for chain in set(_calls_of(at.f_code).release.values()):
                if any(one is lock for one in _locks_of(value_of(chain, at))):
                    return True
        if at is holder:
            break
        at = at.f_back
    return False


def held_now(ident: int) -> list[Held]:
    """The locks that a thread which seems to stay where it is has there, for all one can tell.

    Those alone that it had before the program's own code made the call in which it is. From any
    thread. Nothing is known without a GIL.
    """
    return uncollected(lambda: _held_now(ident)) if HAS_GIL else []


def _held_now(ident: int) -> list[Held]:
    frame = current_frames().get(ident)
    if frame is None:
        return []
    outside = set[CodeType]()
    at: Frame | None = programs_frame(frame)
    while at is not None:
        outside.add(at.f_code)
        at = at.f_back
    return [one for one in held_in(frame) if code_of(one.acquired) in outside]
