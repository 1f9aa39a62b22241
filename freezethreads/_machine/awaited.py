"""What lock a thread waits for, and which ones it has: read from its stack.

For plain locks, which know no owner. Only with a GIL: without one nobody may read the frames of
threads that run. (What a thread holds that stands between two bytecodes, `bar` knows.)
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FrameType
from typing import NamedTuple

from freezethreads._ground.frames import HAS_GIL, current_frames, uncollected
from freezethreads._ground.original import LockType, RLock
from freezethreads._machine.sections import calls_of_acquire, sections_of
from freezethreads._machine.stacks import held_by, kind_of, programs_frame, programs_place
from freezethreads._machine.values import UNKNOWN, Chain, attribute_of, value_of
from freezethreads._registry.places import Place, code_of, place_at

_PLAIN = (LockType, type(RLock()))


class Held(NamedTuple):
    """A lock that a thread has, where it acquired it, and where that is in the program's code."""

    lock: object
    acquired: Place
    place: Place


def is_plain(value: object) -> bool:
    """Whether it is a lock or re-entrant lock of the standard library's."""
    return type(value) in _PLAIN


def awaited_in(frame: FrameType) -> tuple[object, bool] | None:
    """The plain lock for which a thread with this innermost frame waits, if it does not move, and
    whether that is sure to have no time-out; None if it waits for none, or nobody can tell."""
    at: FrameType | None = frame
    while at is not None and kind_of(at.f_code) == "own":
        at = at.f_back
    found = None if at is None else _acquiring(at.f_code, at.f_lasti)
    if at is None or found is None:
        return None
    chain, for_ever = found
    lock = _lock_in(chain, at)
    return None if lock is None else (lock, for_ever)


@lru_cache(1000)
def _acquiring(code: CodeType, offset: int) -> tuple[Chain, bool] | None:
    """What the call at that offset acquires, and whether it is sure to wait for ever; None if it
    is no such call."""
    if not 0 <= offset < len(code.co_code):
        return None
    if not dis.opname[code.co_code[offset]].startswith(("CALL", "BEFORE_WITH")):
        return None
    instructions = [one for one in dis.get_instructions(code) if one.offset <= offset]
    before, one = instructions[-2:]
    if one.opname == "BEFORE_WITH" or before.opname == "LOAD_SPECIAL":  # the latter from 3.14 on
        entered = [found for found in sections_of(code) if found.entering and found.start == offset]
        return next(((found.chain, True) for found in entered if found.chain is not None), None)
    chain = calls_of_acquire(code).get(offset)
    return None if chain is None else (chain, one.opname == "CALL" and not one.arg)


def _lock_in(chain: Chain, frame: FrameType) -> object | None:
    return next(filter(is_plain, _locks_of(value_of(chain, frame))), None)


def _locks_of(value: object) -> list[object]:
    """A lock, and those that it stands for: a condition has one, and a handler of logging."""
    found = (value, attribute_of(value, "_lock"), attribute_of(value, "lock"))
    return [one for one in found if one is not UNKNOWN]


def held_in(frame: FrameType) -> Iterator[Held]:
    """The locks that a thread with this innermost frame has, if it does not move."""
    for value, at, offset in held_by(frame, running=False):
        for one in _locks_of(value):
            yield Held(one, place_at(at.f_code, offset), programs_place(at, offset))


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
    at: FrameType | None = programs_frame(frame)
    while at is not None:
        outside.add(at.f_code)
        at = at.f_back
    return [one for one in held_in(frame) if code_of(one.acquired) in outside]
