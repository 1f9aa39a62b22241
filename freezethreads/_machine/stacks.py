"""Whether a thread is in a section: by its stack, frame by frame.

What is atomic by default, since everybody shares it, is told by the file that its code is from. All
of it counts wherever it is on the stack, but for the few functions in it that run the program's own
code and hold nothing meanwhile. A thread that waits there in a call of C has let go what it held:
so in its waits it can be stopped. In particular who is in the `wait` of a condition has given its
lock back, whatever `with` block is around.
"""

from __future__ import annotations

import concurrent.futures
import logging
import os
import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import thread as pool
from functools import cache
from inspect import unwrap
from types import CodeType
from typing import Final, Literal, NamedTuple, TypeAlias

from freezethreads._ground.arguments import Where
from freezethreads._ground.files import is_own, remoteness
from freezethreads._ground.frames import HAS_GIL, current_frames, uncollected
from freezethreads._machine.contexts import lock_in
from freezethreads._machine.marks import Marks, atomic
from freezethreads._machine.sections import Section, calls_of, sections_of
from freezethreads._machine.values import UNKNOWN, Frame, attribute_of, is_lock
from freezethreads._registry.places import Place, place_at
from freezethreads._report.ownership import where

_Kind: TypeAlias = Literal["own", "import", "threading", "shared", "program"]


def includes(where: Where, other: Where) -> bool:
    """Whether a world of threads that were stopped so has what the other one promises."""
    return where == other or where == "unlocked" or (where == "anywhere" and other == "safepoint")


OF_A_LOCK: Final = "a section of "
"""How the words for a shelter begin that is about a lock."""


class Shelter(NamedTuple):
    """Why a thread must not be stopped where it is: what it is in, and in which frame.

    `lock` is set if that is a lock, as far as it can be told which.
    """

    what: str
    code: CodeType
    offset: int
    lock: object = UNKNOWN

    def __str__(self) -> str:
        return f"{self.what}, at {where(place_at(self.code, self.offset))}"


def _folder(file: str | None) -> str:
    return os.path.dirname(file or "")


_THREADING: Final = threading.Thread.run.__code__.co_filename
_SHARED: Final = (
    queue.Queue.get.__code__.co_filename,
    _folder(logging.Logger.handle.__code__.co_filename),
    # (Not what else is in its package: a process pool's manager waits for its processes, in code
    # that is nobody's own, and what it locks is in `with` blocks.)
    concurrent.futures.Future.result.__code__.co_filename,
    pool._worker.__code__.co_filename,
)
# What runs the program's own code, and holds nothing meanwhile. (Before and after, nobody is
# stopped there: whoever starts a thread waits until it says that it has begun.)
# (By id: the hash of a code object takes a while, and these live for ever.)
_PASSING: Final = frozenset(
    id(function.__code__)
    for function in (
        threading.Thread._bootstrap,  # type: ignore[attr-defined]
        threading.Thread._bootstrap_inner,  # type: ignore[attr-defined]
        concurrent.futures.Future._invoke_callbacks,  # type: ignore[attr-defined]
        pool._worker,
        pool._WorkItem.run,
        *[
            vars(context)["run"]
            for context in [getattr(pool, "WorkerContext", None)]
            if context is not None
        ],
    )
)
_RUN: Final = threading.Thread.run.__code__
_WAIT: Final = unwrap(threading.Condition.wait).__code__  # without what may be installed
_TIMER_RUN: Final = threading.Timer.run.__code__
_files: dict[str, _Kind] = {}


def kind_of(code: CodeType) -> _Kind:
    """Whose code it is. A thread's `run` is as good as the program's: it runs a target."""
    if code is _RUN or code is _TIMER_RUN:
        return "program"
    name = code.co_filename
    kind = _files.get(name)
    if kind is None:
        kind = _files[name] = _classify(name)
    return kind


def _classify(name: str) -> _Kind:
    if is_own(name):
        return "own"
    if name.startswith("<frozen importlib._bootstrap"):
        return "import"
    if name == _THREADING:
        return "threading"
    if name in _SHARED or _folder(name) in _SHARED:
        return "shared"
    return "program"


def shelter_of(
    frame: Frame, where: Where, running: bool, marks: Iterable[Marks] = (atomic,)
) -> Shelter | None:
    """What keeps a thread with this innermost frame from being stopped; None: it may be.

    `running` is whether it is about to execute an instruction there, and not in a call of C.
    `marks` are those that count. By its thread, or while that cannot go on.
    """
    found = find_shelter(frame, where, running, marks)
    return None if found is None else found[0]


def find_shelter(
    frame: Frame, where: Where, running: bool, marks: Iterable[Marks] = (atomic,)
) -> tuple[Shelter, Frame] | None:
    """The same, and the frame that is in it.

    While the thread runs, and that frame is in the same call, nothing changes about it.
    """
    if running and kind_of(frame.f_code) == "own":
        return Shelter("this library's own code", frame.f_code, frame.f_lasti), frame
    waits = not running  # everything from the innermost frame to here only waits
    given_back: list[object] = []
    at: Frame | None = frame
    while at is not None:
        kind = kind_of(at.f_code)
        waits = waits and kind in ("own", "threading", "shared")
        passes = id(at.f_code) in _PASSING and not (running and at is frame)
        shelter = _marked(at, marks)
        if shelter is None:
            shelter = _shelter_of_frame(at, kind, where, running, waits or passes, given_back)
        if shelter is not None:
            return shelter, at
        if not running and at.f_code.co_name == "wait":
            given_back += _given_back_by(at)
        at = at.f_back
    return None


def _marked(frame: Frame, marks: Iterable[Marks]) -> Shelter | None:
    for one in marks:
        if (name := one.name_in(frame)) is not None:
            what = "which is atomic" if one.kind is None else f"in which {one.kind!r} is pending"
            return Shelter(f"{name}, {what}", frame.f_code, frame.f_lasti)
    return None


def _shelter_of_frame(
    frame: Frame,
    kind: _Kind,
    where: Where,
    running: bool,
    passes: bool,
    given_back: list[object],
) -> Shelter | None:
    code, offset = frame.f_code, frame.f_lasti
    if kind == "import":
        return Shelter("an import", code, offset)
    is_shared = kind == "threading" or (kind == "shared" and where == "unlocked")
    if is_shared and not passes:
        return Shelter(f"code of {frame.f_globals.get('__name__')}", code, offset)
    if not running and _reads_from_processes(frame):
        return None
    for section in sections_of(code):
        if section.covers(offset, running):
            lock = _lock_of(section, frame, where, given_back)
            if lock is not None:
                what = "no_freeze()" if section.chain is None else _name(section)
                return Shelter(what, code, section.entered, lock)
    return None


def _reads_from_processes(frame: Frame) -> bool:
    """Whether it waits for an item of a queue of `multiprocessing`: as long as it does, it has the
    lock of that queue's readers, which is there for nothing else."""
    module = frame.f_globals.get("__name__")
    return module == "multiprocessing.queues" and frame.f_code.co_name == "get"


def _lock_of(
    section: Section, frame: Frame, where: Where, given_back: list[object]
) -> object | None:
    """The lock that a section is about, `UNKNOWN`, or None if nothing is held there."""
    if where != "unlocked" and section.chain is not None:
        return None
    lock = lock_in(section, frame)
    return None if any(one is held for held in _same(lock) for one in given_back) else lock


def _name(section: Section) -> str:
    assert section.chain is not None
    return OF_A_LOCK + ".".join(section.chain[1:])


def _given_back_by(frame: Frame) -> list[object]:
    """What a thread has let go that waits in this call of `wait`: of a condition, the lock."""
    condition = frame.f_locals.get("self", UNKNOWN)
    return _same(condition) if is_lock(condition) else []


def _same(lock: object) -> list[object]:
    """A lock, and what it stands for: a condition has one."""
    inner = attribute_of(lock, "_lock")
    return [lock] if inner is UNKNOWN else [lock, inner]


def may_own(frame: Frame) -> bool:
    """Whether a thread with this innermost frame waits for a lock, in a call of C that acquires it.

    It may have been given that by now, and wait for the GIL to say so: until then (on CPython 3.12
    and 3.13) the lock itself says that it is free. While the thread cannot go on.
    """
    if _restores(frame):
        return True
    at: Frame | None = frame
    while at is not None:
        for section in sections_of(at.f_code):
            offset = at.f_lasti
            is_there = section.covers(offset, running=True) and section.is_entered_at(offset)
            if is_there and lock_in(section._replace(guessed=False), at) is not None:
                return True
        at = at.f_back
    return False


def _restores(frame: Frame) -> bool:
    """Whether it is about to have the lock again that it gave back in the `wait` of a condition."""
    code = frame.f_code
    if kind_of(code) != "threading":
        return False
    is_back = code is _WAIT and frame.f_lasti not in _calls_that_wait()
    return is_back or code.co_name == "_acquire_restore"


@cache
def _calls_that_wait() -> frozenset[int]:
    """Where a condition's `wait` waits for the sign, by offset."""
    return frozenset(calls_of(_WAIT).acquire)


def held_by(frame: Frame, running: bool) -> Iterator[tuple[object, Frame, int]]:
    """The locks that a thread holds, as far as its stack tells, with the frame and the offset at
    which it acquired each.

    By its thread, or while that cannot go on.
    """
    given_back: list[object] = []
    at: Frame | None = frame
    while at is not None:
        for section in sections_of(at.f_code):
            if section.covers(at.f_lasti, running=False) and section.chain is not None:
                lock = _lock_of(section, at, "unlocked", given_back)
                if lock is not None and lock is not UNKNOWN:
                    yield lock, at, section.entered
        if not running and at.f_code.co_name == "wait":
            given_back += _given_back_by(at)
        at = at.f_back


def acquired_by(ident: int, lock: object) -> Place | None:
    """Where a thread that stands has acquired `lock`, in the program's own code; None if its stack
    does not tell, or if there is no GIL: then nobody can be sure that it has come to sleep."""
    return uncollected(lambda: _acquired_by(ident, lock)) if HAS_GIL else None


def _acquired_by(ident: int, lock: object) -> Place | None:
    frame = current_frames().get(ident)
    for held, at, offset in () if frame is None else held_by(frame, running=False):
        if any(one is lock for one in (*_same(held), attribute_of(held, "lock"))):
            return programs_place(at, offset)
    return None


def programs_place(frame: Frame, offset: int | None = None) -> Place:
    """Where the code is that is nearest to the reader, from that frame on outwards: an offset of
    the frame itself, or the call that another one makes."""
    nearest = programs_frame(frame)
    if nearest is not frame or offset is None:
        offset = nearest.f_lasti
    return place_at(nearest.f_code, offset)


def programs_frame(frame: Frame) -> Frame:
    """The innermost frame of the code that is nearest to the reader, from that one on outwards."""
    nearest, least, at = frame, remoteness(frame.f_code.co_filename), frame.f_back
    while least and at is not None:
        further = remoteness(at.f_code.co_filename)
        if further < least:
            nearest, least = at, further
        at = at.f_back
    return nearest
