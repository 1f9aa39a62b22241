"""Who waits for whom, and where that goes round or ends: the deadlocks of a process.

A thread that waits for a lock, an import or the end of a thread is an edge to whoever has the lock,
makes the import, or is that thread; and one that merely stands frozen, to whoever is to thaw. Each
thread has one edge at most, so one walks along: a way that comes back is a circle, and one that
leads to a thread which has ended leads nowhere. (The wait-for graph of databases; it is walked like
this by HotSpot, `ThreadMXBean.findDeadlockedThreads` and
`ThreadService::find_deadlocks_at_safepoint`, and by Rust's `parking_lot::deadlock`. Linux' lockdep
warns of what *might* go round, from the order of locks; that is not done here. Nor what Go does,
where all goroutines have to sleep: some thread of a server always waits for the network.)

What says who has a lock:

* One of `freezethreads.sync` knows its owner, and so does a re-entrant lock, and that of a module
  that is imported.
* A plain lock belongs to the one thread whose stack is in a section of that very object. Where no
  stack tells, or more than one, there is no edge. Who waits for its own is an edge to itself if it
  is in a `with` block over it: else it may wait for a sign that another thread gives.

HotSpot stops the world to look. Here nobody is stopped, so a circle may be made of edges none of
which were there at one time. What holds at one time is this: between two readings of the clocks of
all its threads there was a look that found it, and by these clocks no thread of it has had a
processor in between, nor wanted one. Then each stood at what was found for as long as that look
took. A thread in a call that acquires may still have been handed the lock, and wait for the GIL:
such a one wakes up once in each switch interval, so the readings are further apart than that.
Whoever has had a processor is looked at again, some times; who never sleeps is in no deadlock.
(Where the system has no such clocks, two looks in a row that find the same make it probable.)

A circle is certain if nothing else ends any of its waits. A time-out does; a lock that is not
re-entrant any thread may release; and a signal handler may do anything in the main thread. As for a
thread that has ended: its ident may be another one's by now, to which a re-entrant lock belongs as
well. But whoever acquires it releases it as often, so it never becomes free.

Without a GIL nobody may read the frames of threads that run. There only locks that know their
waiters count, those of `freezethreads.sync` and of the import system.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` takes its time to load
import importlib._bootstrap
import math
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from types import FrameType
from typing import Any, Final, NamedTuple, TypeAlias

from freezethreads._ground.files import is_own
from freezethreads._ground.frames import HAS_GIL, current_frames, uncollected
from freezethreads._ground.original import (
    Thread,
    enumerate_threads,
    get_ident,
    main_thread,
    own_idents,
    sleep,
)
from freezethreads._machine.awaited import Held, awaited_in, held_in, is_plain, is_reentrant
from freezethreads._machine.stacks import programs_place
from freezethreads._registry.places import Place
from freezethreads._registry.registry import armed
from freezethreads._registry.requests import Freeze
from freezethreads._report.deadlocks import (
    ANYBODY,
    FOREIGN,
    SIGNAL,
    THAW,
    THE_END_OF,
    THE_THAW_OF,
    TIME_OUT,
    UNSEEN,
    Deadlock,
    Edge,
)
from freezethreads._report.looks import is_runnable, processor_time
from freezethreads._report.ownership import acquired_at, awaited_by, waits_for_ever
from freezethreads._report.stacks import INNERMOST, JOIN, Stack, nearest, read_stacks, summary_of
from freezethreads._report.statistics import Site, site_of

_bootstrap: Any = importlib._bootstrap  # keeps to itself who waits for which module
_MOMENT: Final = 0.02  # seconds between the readings of the clocks, at least
_LONGEST: Final = 1.0  # and at most: a program may set any switch interval
_LOOKS: Final = 10  # at most, at threads that have had a processor each time
_OWNER: Final = re.compile(r"<locked .* owner=(\d+) ")
_NAME: Final = vars(Thread)["name"]

_Clocks: TypeAlias = Mapping[int, float | None]


class _Way(NamedTuple):
    """What a thread waits for, who ends that wait (None: a thread that has ended), what else may,
    and where that one acquired it."""

    what: str
    key: int  # of the object, for comparing
    to: int | None
    way_out: str | None
    at: Place | None = None
    acquired: Place | None = None


_Ways: TypeAlias = Mapping[int, _Way]


def find_deadlocks() -> tuple[Deadlock, ...]:
    """The deadlocks of this process. From any thread; stops nobody.

    If there are none, it takes as long as to read all stacks; else 20 ms, or two switch intervals
    of the interpreter; and up to ten times that if something wakes these threads again and again.
    """
    first = _look()
    for looks in range(1, _LOOKS + 1):
        if not any(_ends(first)):
            break
        before = _clocks(first)
        sleep(min(max(_MOMENT, 2 * sys.getswitchinterval()), _LONGEST))
        later = _look()
        after = _clocks(first)
        same = {i: way for i, way in later.items() if _is_same(first.get(i), way)}
        moved = {i for i in same if _has_moved(before.get(i), after.get(i))}
        if looks == _LOOKS or all(moved.isdisjoint(end) for end in _ends(same)):
            still = {i: way for i, way in same.items() if i not in moved}
            return tuple(_told(still, {i for i in still if after.get(i) is None}))
        first = later
    return ()


def _is_same(first: _Way | None, later: _Way) -> bool:
    return first is not None and first[1:3] == later[1:3]


def _has_moved(before: float | None, after: float | None) -> bool:
    """Whether it has had a processor, or wanted one; not if nobody can tell."""
    return before is not None and after is not None and before != after


def _clocks(idents: Collection[int]) -> _Clocks:
    """What each of these has had of a processor; NaN if it wants one, None if nobody can tell."""
    numbers = {thread.ident: thread.native_id for thread in enumerate_threads()}
    return {ident: _clock(numbers.get(ident)) for ident in idents}


def _clock(native_id: int | None) -> float | None:
    if native_id is None:
        return None
    # In this order: if it sleeps by then, its clock has all it had.
    return math.nan if is_runnable(native_id) else processor_time(native_id)


def _path(ways: _Ways, start: int, stop: Collection[int] = ()) -> tuple[list[int], int | None]:
    """The threads from that one on along the ways, until one that is in `stop`, has none, or was
    passed before; and where that led: None, to one that has ended."""
    path: list[int] = []
    at: int | None = start
    while at is not None and at in ways and at not in stop and at not in path:
        path.append(at)
        at = ways[at].to
    return path, at


def _ends(ways: _Ways) -> Iterator[list[int]]:
    """Each circle once, as idents in its order, and each thread that waits for one that has
    ended."""
    seen: set[int] = set()
    for start in ways:
        path, at = _path(ways, start, seen)
        seen.update(path)
        if at is None and path:
            yield path[-1:]
        elif at in path:
            yield path[path.index(at) :]


def _behind(ways: _Ways, end: Collection[int]) -> Iterator[int]:
    """Who waits for one of these, perhaps by way of others."""
    for start in ways:
        path, at = _path(ways, start, end)
        if path and at in end:
            yield start


def _told(ways: _Ways, unseen: Collection[int]) -> Iterator[Deadlock]:
    names = {thread.ident: _NAME.__get__(thread) for thread in enumerate_threads()}
    signalled = main_thread().ident if _has_handlers() else None
    unread = [ident for ident, way in ways.items() if way.at is None]
    stacks = read_stacks(unread) if unread else {}

    def edge(ident: int) -> Edge:
        way = ways[ident]
        way_out = way.way_out
        if way_out != TIME_OUT and ident in unseen:
            way_out = UNSEEN
        return Edge(
            name=names.get(ident, f"thread {ident}"),
            ident=ident,
            awaited=way.what,
            owner="a thread that has ended"
            if way.to is None
            else names.get(way.to, f"thread {way.to}"),
            site=_site(way.at) if way.at is not None else _nearest(stacks.get(ident)),
            acquired=_site(way.acquired),
            way_out=way_out or (SIGNAL if ident == signalled else None),
        )

    for end in _ends(ways):
        yield Deadlock(
            edges=tuple(map(edge, end)),
            behind=tuple(map(edge, _behind(ways, end))),
            owner_ended=ways[end[-1]].to is None,
        )


def _has_handlers() -> bool:
    """Whether a signal may run code of the program in the main thread, Ctrl-C aside."""
    return any(map(_is_programs, map(_signal.getsignal, range(1, _signal.NSIG))))


def _is_programs(handler: Any) -> bool:
    if not callable(handler) or handler is _signal.default_int_handler:
        return False
    code = getattr(handler, "__code__", None)
    is_ours = type(handler).__module__.startswith("freezethreads.")
    return not (is_ours or (code is not None and is_own(code.co_filename)))


def _nearest(stack: Stack | None) -> Site | None:
    """Where such a stack is, in the program's own code."""
    line = nearest(summary_of(stack or ()))
    return None if line is None else Site(None, "call", line.filename, line.lineno or 0, line.name)


def _site(place: Place | None) -> Site | None:
    return None if place is None else replace(site_of(place), kind="call")


class _Seen(NamedTuple):
    """What the stack of one thread tells: where it is in the program's own code, the thread that it
    joins, the plain lock that it waits for, each with whether that has no time-out."""

    at: Place
    joined: tuple[Any, bool] | None
    awaited: tuple[Any, bool] | None


class _Look(NamedTuple):
    """What is to be seen at one moment, more or less."""

    seen: Mapping[int, _Seen]
    held: list[tuple[int, Held]]
    living: Collection[int]
    frozen: Mapping[int, Freeze]


def _look() -> dict[int, _Way]:
    """Who waits for whom now."""
    seen, held = uncollected(_see) if HAS_GIL else ({}, [])
    # Afterwards: who has acquired anything by then that is seen here, lives or has ended.
    living = {*current_frames(), *(thread.ident or 0 for thread in enumerate_threads())}
    look = _Look(seen, held, living, _frozen())
    ways = {ident: _way(ident, look) for ident in living - {get_ident(), *own_idents}}
    return {ident: way for ident, way in ways.items() if way is not None}


def _see() -> tuple[dict[int, _Seen], list[tuple[int, Held]]]:
    frames = current_frames()
    try:
        others = [i for i in frames if i not in own_idents]
        held = [(ident, one) for ident in others for one in held_in(frames[ident])]
        return {i: _seen(frames[i]) for i in others if i != get_ident()}, held
    finally:
        frames.clear()


def _seen(frame: FrameType) -> _Seen:
    return _Seen(programs_place(frame), _joined_in(frame), awaited_in(frame))


def _way(ident: int, look: _Look) -> _Way | None:
    seen = look.seen.get(ident)
    at = None if seen is None else seen.at
    # First of all what it waits for, and then whether for ever: it may go on in between, and is
    # seen to have moved then.
    lock, for_ever = awaited_by(ident), waits_for_ever(ident)
    if lock is not None:
        return _way_to_lock(ident, lock, for_ever, at, look)
    if seen is not None and seen.joined is not None:
        thread, for_ever = seen.joined
        other = Thread.ident.__get__(thread)  # not as the program may have it
        what = f"{THE_END_OF}{_NAME.__get__(thread)}"
        return _Way(what, id(thread), other, None if for_ever else TIME_OUT, at)
    module = _awaited_module(ident)
    if module is not None:
        return _Way(f"the import of {module.name}", id(module), module.owner, None, at)
    if seen is not None and seen.awaited is not None:
        way = _way_to_lock(ident, *seen.awaited, at, look)
        if way is not None:
            return way
    freeze = look.frozen.get(ident)
    if freeze is not None:
        way_out = TIME_OUT if freeze.leases else THAW
        return _Way(f"{THE_THAW_OF}{freeze!r}", id(freeze), freeze.asked.ident, way_out, at)
    return None


def _frozen() -> dict[int, Freeze]:
    """Who stands, by ident, and for which freeze: any of them, where there are more."""
    return {
        record.ident: freeze
        for registry in list(armed)
        for freeze in list(registry.active)
        if freeze.stands
        for record in list(freeze.members)
        if record.stopped and not record.exited
    }


def _way_to_lock(
    ident: int, lock: Any, for_ever: bool, at: Place | None, look: _Look
) -> _Way | None:
    holders = {who: one for who, one in look.held if one.lock is lock}
    owner, only_owner = _owner_of(lock, list(holders))
    if owner is None:
        return None
    to: int | None = owner
    if only_owner and owner == ident:
        to = None  # it would have got its own: it was that of a thread with the same ident
    elif owner == ident and not (ident in holders and holders[ident].in_block):
        return None
    elif owner not in look.living:
        to = None
    way_out = None if only_owner else ANYBODY
    if to is None and way_out is None and not _knows_all():
        way_out = FOREIGN
    acquired = acquired_at(lock)
    if acquired is None and owner in holders:
        acquired = holders[owner].place
    return _Way(repr(lock), id(lock), to, way_out if for_ever else TIME_OUT, at, acquired)


def _owner_of(lock: Any, holders: list[int]) -> tuple[int | None, bool]:
    """The ident of the thread that has it, None if nobody can tell; and whether that one alone can
    release it."""
    if not is_plain(lock):
        return lock.owner, lock._is_reentrant
    if is_reentrant(lock):
        known = _OWNER.match(repr(lock))
        return (None if known is None else int(known[1])), True
    return (holders[0] if len(holders) == 1 else None), False


def _knows_all() -> bool:
    """Whether each thread of the process is known to Python: one that is not is not seen to live,
    and may come back to release what it has."""
    known = {str(thread.native_id) for thread in enumerate_threads()}
    try:
        return known.issuperset(os.listdir("/proc/self/task"))
    except OSError:
        return False


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
