"""Who waits for whom, and where that goes round: the deadlocks of a process.

A thread that waits for a lock or for the end of a thread is an edge to whoever has the lock, or to
that thread. Each thread has one edge at most, so a cycle is found by walking along. What says who
has a lock:

* One of `freezethreads.sync` knows its owner, and so does a re-entrant lock, and that of a module
  that is imported.
* A plain lock belongs to the one thread whose stack is in a section of that very object. Where no
  stack tells, or more than one, there is no edge.

A cycle is certain if nobody in it has a time-out, and if nobody has had a processor between two
looks that found the same: then each has been in this one wait from the first to the second. One in
which that cannot be told is probable.

Without a GIL nobody may read the frames of threads that run. There only locks that know their
waiters count, those of `freezethreads.sync` and of the import system.
"""

from __future__ import annotations

import importlib._bootstrap
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import FrameType
from typing import Any, Final, NamedTuple, TypeAlias

from freezethreads._ground.frames import HAS_GIL, current_frames, uncollected
from freezethreads._ground.original import Thread, enumerate_threads, get_ident, own_idents, sleep
from freezethreads._machine.awaited import Held, awaited_in, held_in, is_plain
from freezethreads._machine.stacks import programs_place
from freezethreads._registry.places import Place
from freezethreads._report.deadlocks import Deadlock, Edge
from freezethreads._report.looks import is_runnable, processor_time
from freezethreads._report.ownership import acquired_at, awaited_by, waits_for_ever
from freezethreads._report.stacks import INNERMOST, JOIN, nearest, stack_of
from freezethreads._report.statistics import Site, site_of

_bootstrap: Any = importlib._bootstrap  # keeps to itself who waits for which module
_MOMENT: Final = 0.02  # seconds between the two looks
_OWNER: Final = re.compile(r"<locked .* owner=(\d+) ")


class _Way(NamedTuple):
    """What a thread waits for, who ends that wait, and where that one acquired it."""

    what: str
    key: int  # of the object, for comparing
    to: int
    for_ever: bool
    at: Place | None = None
    acquired: Place | None = None


def find_deadlocks() -> tuple[Deadlock, ...]:
    """The deadlocks of this process. From any thread; takes some 20 ms, and stops nobody."""
    first, before = _look(), _clocks()
    cycles = list(_cycles(first))
    if not cycles:
        return ()
    sleep(_MOMENT)
    later, after = _look(), _clocks()
    names = {thread.ident: thread.name for thread in enumerate_threads()}
    return tuple(
        _deadlock(cycle, later, names, all(_slept(one, before, after) for one in cycle))
        for cycle in cycles
        if all(_is_same(first.get(ident), later.get(ident)) for ident in cycle)
    )


def _is_same(first: _Way | None, later: _Way | None) -> bool:
    return first is not None and later is not None and first[1:3] == later[1:3]


def _slept(
    ident: int, before: Mapping[int, float | None], after: Mapping[int, float | None]
) -> bool:
    """Whether it is sure not to have run in between."""
    return before.get(ident) is not None and before.get(ident) == after.get(ident)


def _clocks() -> dict[int, float | None]:
    """What each thread has had of a processor; None if it wants one, or if nobody can tell."""
    return {
        thread.ident or 0: None
        if thread.native_id is None or is_runnable(thread.native_id)
        else processor_time(thread.native_id)
        for thread in enumerate_threads()
    }


def _cycles(edges: Mapping[int, _Way]) -> Iterator[list[int]]:
    """Each cycle once, as idents in its order."""
    seen: set[int] = set()
    for start in edges:
        path: list[int] = []
        at = start
        while at in edges and at not in seen:
            seen.add(at)
            path.append(at)
            at = edges[at].to
        if at in path:
            yield path[path.index(at) :]


def _deadlock(
    cycle: list[int], edges: Mapping[int, _Way], names: Mapping[int | None, str], slept: bool
) -> Deadlock:
    return Deadlock(
        edges=tuple(
            Edge(
                name=names.get(ident, f"thread {ident}"),
                ident=ident,
                awaited=edges[ident].what,
                site=_site_of(ident, edges[ident]),
                acquired=_site(edges[ident].acquired),
            )
            for ident in cycle
        ),
        certain=slept and all(edges[ident].for_ever for ident in cycle),
    )


def _site_of(ident: int, way: _Way) -> Site | None:
    """Where it waits, in the program's own code."""
    if way.at is not None:
        return _site(way.at)
    line = nearest(stack_of(ident))
    return None if line is None else Site(None, "call", line.filename, line.lineno or 0, line.name)


def _site(place: Place | None) -> Site | None:
    return None if place is None else replace(site_of(place), kind="call")


class _Seen(NamedTuple):
    """What the stack of one thread tells: where it is in the program's own code, the thread that it
    joins, the plain lock that it waits for, each with whether that has no time-out."""

    at: Place
    joined: tuple[Any, bool] | None
    awaited: tuple[Any, bool] | None


_Held: TypeAlias = list[tuple[int, Held]]


def _look() -> dict[int, _Way]:
    """Who waits for whom now."""
    seen, held = uncollected(_see) if HAS_GIL else ({}, [])
    ways = {ident: _way(ident, seen.get(ident), held) for ident in list(current_frames())}
    return {ident: way for ident, way in ways.items() if way is not None}


def _see() -> tuple[dict[int, _Seen], _Held]:
    frames = current_frames()
    try:
        others = [i for i in frames if i != get_ident() and i not in own_idents]
        held = [(ident, one) for ident in others for one in held_in(frames[ident])]
        return {i: _seen(frames[i]) for i in others}, held
    finally:
        frames.clear()


def _seen(frame: FrameType) -> _Seen:
    return _Seen(programs_place(frame), _joined_in(frame), awaited_in(frame))


def _way(ident: int, seen: _Seen | None, held: _Held) -> _Way | None:
    at = None if seen is None else seen.at
    lock, for_ever = awaited_by(ident), waits_for_ever(ident)
    if lock is None and seen is not None and seen.joined is not None:
        thread, for_ever = seen.joined
        other = Thread.ident.__get__(thread)  # not as the program may have it
        name = vars(Thread)["name"].__get__(thread)
        return _Way(f"the end of {name}", id(thread), other, for_ever, at)
    if lock is None:
        module = _awaited_module(ident)
        if module is not None:
            what = f"the import of {module.name}"
            return _Way(what, id(module), module.owner, True, at)
        if seen is None or seen.awaited is None:
            return None
        lock, for_ever = seen.awaited
    places = {who: one.place for who, one in held if one.lock is lock}
    owner = _owner_of(lock, list(places))
    if owner is None or owner == ident:  # who waits for its own may wait for a sign of another's
        return None
    acquired = acquired_at(lock) or places.get(owner)
    return _Way(repr(lock), id(lock), owner, for_ever, at, acquired)


def _owner_of(lock: Any, holders: list[int]) -> int | None:
    if not is_plain(lock):
        return None if lock.owner is None else int(lock.owner)
    known = _OWNER.match(repr(lock))
    if known is not None:
        return int(known[1])
    return holders[0] if len(holders) == 1 else None


def _awaited_module(ident: int) -> Any:
    """The lock of a module for which that thread waits, or None."""
    awaited = _bootstrap._blocking_on.get(ident) or ()
    locks = [awaited] if hasattr(awaited, "owner") else list(awaited)  # on 3.11 it is one
    return next((one for one in locks if one.owner not in (None, ident)), None)


def _joined_in(frame: FrameType) -> tuple[Any, bool] | None:
    """The thread for whose end one waits in there, and whether that wait has no time-out."""
    at: FrameType | None = frame
    for _ in range(INNERMOST):
        if at is None:
            break
        if at.f_code is JOIN:
            names = at.f_locals
            thread = names.get("self")
            return (thread, names.get("timeout") is None) if isinstance(thread, Thread) else None
        at = at.f_back
    return None
