"""Threads that wait for a sign, which any thread may give that reaches what they wait at.

A sign is what ends a wait for an event, a condition, a semaphore, a barrier or a queue. Nobody owns
it. So the wait is an edge to *every* thread that could give it, and it never ends only if none of
these can ever go on. At first those are all threads of the program. Where that leaves somebody, the
garbage collector tells who refers to the thing: from there one goes back, from what is referred to
to what refers to it, until that is a variable in the stack of another thread, or one of a module,
which all can reach. (So does Go's profile of leaked goroutines, the other way round.)

What C code refers to without telling the collector is not seen, nor what has no name yet (a context
manager that a `with` is to leave), nor a weak reference. So this tells of a wait that may well be
for ever, and no more: it is a reason to look, and no fault. Where nobody can tell in time,
everybody reaches it. (Up to CPython 3.13 `tuple()` of a generator fails in a thread that runs, if
it is done in the very moment in which that tuple, half made, is among what is found.)
"""

from __future__ import annotations

import gc
import os
import queue
import sys
import threading
from collections.abc import Collection
from concurrent.futures import thread as pools
from types import FrameType, ModuleType
from typing import Any, Final, NamedTuple

from freezethreads._ground.files import PACKAGE, is_own
from freezethreads._ground.frames import current_frames, uncollected
from freezethreads._ground.original import Thread, enumerate_threads, thread_time

__all__ = ["Reached", "Sign", "awaited_sign", "is_over", "reachers"]

_STANDARD: Final = (threading.__file__, queue.__file__)
_OURS: Final = os.path.join(PACKAGE, "sync") + os.sep
_NAMES: Final = ("wait", "wait_for", "get", "put", "join", "acquire")
_WORKER: Final = pools._worker.__code__
_SHUTDOWN: Final = threading._shutdown.__code__  # type: ignore[attr-defined]
_NAMES_OF: Final = vars(ModuleType)["__dict__"].__get__  # not as a program may have it
_NAMES_OF_THREAD: Final = vars(Thread)["__dict__"].__get__
_MODULE_OF: Final = vars(type)["__module__"].__get__
_PRIVATE: Final = "freezethreads._"  # the beginning of the names of its own rooms
_CALLING: Final = ("freezethreads._controller.hooks", "freezethreads._registry.todos")
# CPython 3.12 begins with some hundred frozen objects; `gc.freeze()` freezes thousands.
_FROZEN_BY_PYTHON: Final = 1000 if sys.version_info[:2] == (3, 12) else 0
_LAYERS: Final = 8  # references that one goes back
_MOST: Final = 5000  # objects on the way
_LONGEST: Final = 1.0  # seconds of processor time, so that a busy machine finds as much


class Sign(NamedTuple):
    """What a thread waits for a sign of, and in which call."""

    thing: Any
    call: str


def awaited_sign(frame: FrameType) -> Sign | None:
    """What a thread with this innermost frame waits for a sign of, if it does not move, without a
    time-out; None if nobody can tell."""
    at: FrameType | None = frame
    found: FrameType | None = None
    while at is not None:
        file = at.f_code.co_filename
        is_wait = file in _STANDARD or file.startswith(_OURS)
        if not is_wait and not is_own(file):
            break
        if is_wait and at.f_code.co_name in _NAMES and "self" in at.f_code.co_varnames:
            found = at
        at = at.f_back
    if at is not None and at.f_code is _WORKER:
        return Sign(at.f_locals.get("work_queue"), "the queue of its pool")
    if found is None or not _is_for_ever(found):
        return None
    thing = found.f_locals.get("self")
    # A lock has an owner, and the end of a thread is no sign.
    if thing is None or isinstance(thing, Thread) or hasattr(type(thing), "owner"):
        return None
    return Sign(thing, found.f_code.co_qualname)


def _is_for_ever(frame: FrameType) -> bool:
    names = frame.f_locals
    timeout, blocks = names.get("timeout"), names.get("block", names.get("blocking", True))
    return timeout in (None, -1) and blocks is not False


def is_over(frame: FrameType) -> bool:
    """Whether the thread with this innermost frame is the main thread at its end, which only waits
    for the others."""
    at: FrameType | None = frame
    while at is not None:
        if at.f_code is _SHUTDOWN:
            return True
        at = at.f_back
    return False


class Reached:
    """Who reaches what, found out once for each wait: it takes long where there are many objects.

    After a second of processor time no other one is begun, and everybody may reach what is asked
    for.
    """

    def __init__(self) -> None:
        self._deadline = thread_time() + _LONGEST
        self._known: dict[tuple[int, int], set[int] | None] = {}

    def by(self, thing: object, waiter: int, living: Collection[int]) -> set[int] | None:
        """What `reachers` says, or has said."""
        key = id(thing), waiter
        if key not in self._known:
            is_late = thread_time() > self._deadline
            self._known[key] = None if is_late else reachers(thing, waiter, living)
        found = self._known[key]
        return None if found is None else found & {*living}


def reachers(thing: object, waiter: int, living: Collection[int]) -> set[int] | None:
    """Which of these threads reach that thing, `waiter` aside; None if all may.

    From any thread.
    """
    if gc.get_freeze_count() > _FROZEN_BY_PYTHON:
        return None  # what is frozen, the collector does not look into
    in_stacks = uncollected(lambda: _in_stacks({*living} - {waiter}))
    modules = {id(_NAMES_OF(one)) for one in list(sys.modules.values()) if type(one) is ModuleType}
    targets = {id(one): thread for thread in enumerate_threads() for one in _begun_with(thread)}
    deadline = thread_time() + _LONGEST
    found: set[int] = set()
    known = {id(thing)}
    layer = [thing]
    for _ in range(_LAYERS):
        for one in layer:
            found |= in_stacks.get(id(one), set())
        layer = [one for one in _referrers(layer, targets) if id(one) not in known]
        known.update(map(id, layer))
        if any(id(one) in modules for one in layer):
            return None
        if not layer:
            return found
        if len(known) > _MOST or thread_time() > deadline:
            return None
    return None


def _in_stacks(idents: Collection[int]) -> dict[int, set[int]]:
    """The id of each object that a variable of the program in one of these stacks has, or that has
    the variables of its modules, with the idents of the threads."""
    found: dict[int, set[int]] = {}
    frames = current_frames()
    try:
        for ident in idents:
            at: FrameType | None = frames.get(ident)
            while at is not None:
                if not is_own(at.f_code.co_filename):
                    for value in (at.f_globals, *at.f_locals.values()):
                        found.setdefault(id(value), set()).add(ident)
                at = at.f_back
        return found
    finally:
        frames.clear()


def _begun_with(thread: Thread) -> list[object]:
    """What `threading` keeps of the call that a thread was begun with, which only it makes."""
    kept = _NAMES_OF_THREAD(thread)
    values = (kept.get(name) for name in ("_target", "_args", "_kwargs"))
    return [one for one in values if one is not None]


def _referrers(layer: list[Any], targets: dict[int, Thread]) -> list[Any]:
    """What refers to any of these, but for frames of calls that are under way, which are in the
    stacks; threads that were begun with it; this library's own notes; and what looks just now."""
    plain = tuple([one for one in layer if id(one) not in targets])
    found = gc.get_referrers(*plain)
    for one in layer:
        thread = targets.get(id(one))
        if thread is not None:
            keepers = (id(thread), id(_NAMES_OF_THREAD(thread)))
            found += [other for other in gc.get_referrers(one) if id(other) not in keepers]
    # What is found may be half made. So nothing is done with it that looks into it, or that the
    # program may have a part in. (The call above is made with `plain` itself, and no copy of it.)
    return [
        one
        for one in found
        if one is not layer
        and one is not plain
        and type(one) is not FrameType
        and not _is_own(type(one))
    ]


def _is_own(kind: type) -> bool:
    """Whether that is one of the classes of this library's own rooms, but for what calls the
    program: its hooks, and the calls that are to be made."""
    name = _MODULE_OF(kind)
    return type(name) is str and name.startswith(_PRIVATE) and name not in _CALLING
