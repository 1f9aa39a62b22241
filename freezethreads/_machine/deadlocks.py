"""Who waits for whom, and where that goes round or ends: the deadlocks of a process.

A thread that waits for a lock, an import or the end of a thread is an edge to whoever has the lock,
makes the import, or is that thread; and one that merely stands frozen, to whoever is to thaw. A
wait for the result of a job is an edge to the worker that has the job, or to all workers of the
pool, any of which may take it; and one for a sign (`reach`), to all threads that may give it. So a
thread goes on as soon as one of those does that it has an edge to. Whoever is left when all are
struck off who go on like this goes on no more. Each way among them comes back, which is a circle,
or ends at a thread that has ended. (The wait-for graph of databases. That of locks is walked by
HotSpot, `ThreadMXBean.findDeadlockedThreads` and `ThreadService::find_deadlocks_at_safepoint`, and
by Rust's `parking_lot::deadlock`; that all threads sleep is what Go's runtime reports. Linux'
lockdep warns of what *might* go round, from the order of locks; that is not done here.)

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
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from types import FrameType
from typing import Any, Final, NamedTuple, TypeAlias

from freezethreads._ground.files import is_own
from freezethreads._ground.frames import HAS_GIL, current_frames, uncollected
from freezethreads._ground.original import (
    Thread,
    calling_idents,
    enumerate_threads,
    get_ident,
    main_thread,
    own_idents,
    sleep,
)
from freezethreads._machine.awaited import Held, awaited_in, held_in, is_plain, is_reentrant
from freezethreads._machine.jobs import has_job, jobs_in
from freezethreads._machine.reach import Reached, Sign, awaited_sign, is_over
from freezethreads._machine.stacks import programs_place
from freezethreads._registry.places import Place
from freezethreads._registry.registry import armed
from freezethreads._registry.requests import Freeze
from freezethreads._report.deadlocks import (
    A_SIGN_BY,
    ANYBODY,
    BY_REFERENCES,
    CANCELLED,
    FOREIGN,
    NO_THREAD,
    SIGNAL,
    THAW,
    THE_END_OF,
    THE_RESULT_OF,
    THE_THAW_OF,
    THE_TURN_AFTER,
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
_NAMES: Final = 3  # of those who may end a wait
_LOOKS: Final = 10  # at most, at threads that have had a processor each time
_OWNER: Final = re.compile(r"<locked .* owner=(\d+) ")
_NAME: Final = vars(Thread)["name"]

_Clocks: TypeAlias = Mapping[int, float | None]


class _Way(NamedTuple):
    """What a thread waits for, who ends that wait (any of these, itself aside; nobody, if who would
    has ended), what else may, and where that one acquired it."""

    what: str
    key: int  # of the object, for comparing
    to: tuple[int, ...]
    way_out: str | None
    at: Place | None = None
    acquired: Place | None = None


_Ways: TypeAlias = Mapping[int, _Way]


def find_deadlocks(reach: bool = False) -> tuple[Deadlock, ...]:
    """The deadlocks of this process. From any thread; stops nobody.

    If there are none, it takes as long as to read all stacks; else 20 ms, or two switch intervals
    of the interpreter; and up to ten times that if something wakes these threads again and again.
    With `reach` it is also looked who can give a sign, as references tell. For that the program
    stands while its objects are gone through: for 0.1 to 0.2 s for each million of them and each
    such wait, and for a second or two of processor time at most.
    """
    able = Reached() if reach else None
    first = _stuck(_look(able))
    for looks in range(1, _LOOKS + 1):
        if not first:
            break
        before = _clocks(first)
        sleep(min(max(_MOMENT, 2 * sys.getswitchinterval()), _LONGEST))
        later = _look(able)
        after = _clocks(first)
        same = {i: way for i, way in later.items() if _is_same(first.get(i), way)}
        moved = {i for i in same if _has_moved(before.get(i), after.get(i))}
        if looks == _LOOKS or all(moved.isdisjoint(end) for end, _ in _ends(same)):
            still = {i: way for i, way in same.items() if i not in moved}
            return tuple(_told(still, {i for i in still if after.get(i) is None}))
        first = _stuck(later)
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


def _stuck(ways: _Ways) -> dict[int, _Way]:
    """The ways of those who go on no more."""
    left = dict(ways)
    while True:
        # Each once: thousands of threads may wait for a sign by the same ones.
        ends = {id(way.to): way.to for way in left.values()}
        going = {key for key, to in ends.items() if any(one not in left for one in to)}
        if not going:
            return left
        left = {ident: way for ident, way in left.items() if id(way.to) not in going}


def _from(edges: Mapping[int, Collection[int]], starts: Iterable[int]) -> list[int]:
    """All that one comes to along these edges, first where one begins, in order."""
    found = dict.fromkeys(starts)
    left = [*found]
    while left:
        for to in edges.get(left.pop(0), ()):
            if to not in found:
                found[to] = None
                left.append(to)
    return [*found]


def _ends(ways: _Ways) -> Iterator[tuple[list[int], list[int]]]:
    """Each circle once, as idents in its order, and each thread that waits for one that has ended,
    or for a sign that nobody can give; with those that wait for one of these, perhaps by way of
    others."""
    edges = {ident: way.to for ident, way in _stuck(ways).items()}
    back: dict[int, list[int]] = {}
    for ident, others in edges.items():
        for to in others:
            back.setdefault(to, []).append(ident)
    seen: set[int] = set()
    for start in edges:
        if start not in seen:
            end = _from(edges, [start])
            leading = _from(back, [start])
            if set(end) <= set(leading):  # else there is an end that does not lead back
                seen.update(end)
                yield end, [ident for ident in edges if ident in set(leading) - set(end)]


def _told(ways: _Ways, unseen: Collection[int]) -> Iterator[Deadlock]:
    names: dict[int | None, str] = {
        thread.ident: _NAME.__get__(thread) for thread in enumerate_threads()
    }
    signalled = main_thread().ident if _has_handlers() else None
    unread = [ident for ident, way in ways.items() if way.at is None]
    stacks = read_stacks(unread) if unread else {}

    def name_of(ident: int) -> str:
        return names.get(ident, f"thread {ident}")

    def owner_of(ident: int) -> str:
        way = ways[ident]
        others = [to for to in way.to if to != ident]
        if _is_sign(way) and not others:
            return "nobody"
        if not way.to:
            return "a thread that has ended"
        return _some([name_of(to) for to in others or way.to])

    def edge(ident: int) -> Edge:
        way = ways[ident]
        way_out = way.way_out
        if way_out != TIME_OUT and ident in unseen:
            way_out = UNSEEN
        return Edge(
            name=name_of(ident),
            ident=ident,
            awaited=way.what,
            owner=owner_of(ident),
            site=_site(way.at) if way.at is not None else _nearest(stacks.get(ident)),
            acquired=_site(way.acquired),
            way_out=way_out or (SIGNAL if ident == signalled else None),
        )

    for end, behind in _ends(ways):
        yield Deadlock(
            edges=tuple(map(edge, end)),
            behind=tuple(map(edge, behind)),
            owner_ended=not ways[end[-1]].to and not _is_sign(ways[end[-1]]),
        )


def _some(names: list[str]) -> str:
    """These, or the first of many."""
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" or {more} more" if more > 0 else "")


def _is_sign(way: _Way) -> bool:
    return way.what.startswith(A_SIGN_BY)


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
    joins, the future and the plain lock that it waits for, each with whether that has no time-out;
    the sign that it waits for; the job and the pool that it works for; and whether it is the main
    thread at its end."""

    at: Place
    joined: tuple[Any, bool] | None
    future: tuple[Any, bool] | None
    awaited: tuple[Any, bool] | None
    sign: Sign | None
    job: Any
    pool: Any
    over: bool


class _Look(NamedTuple):
    """What is to be seen at one moment, more or less. `held` tells of a lock, by its id, who has
    acquired it. `givers` are the threads that may give a sign to any other; None if somebody may
    who is no thread of the program."""

    seen: Mapping[int, _Seen]
    held: Mapping[int, Mapping[int, Held]]
    living: Collection[int]
    frozen: Mapping[int, Freeze]
    givers: tuple[int, ...] | None = None


def _look(able: Reached | None = None) -> dict[int, _Way]:
    """Who waits for whom now. With `able`, a wait for a sign leads to those alone who can give it,
    as references tell."""
    seen, held = uncollected(_see) if HAS_GIL else ({}, {})
    # Afterwards: who has acquired anything by then that is seen here, lives or has ended.
    living = {*current_frames(), *(thread.ident or 0 for thread in enumerate_threads())}
    program = living - {get_ident(), *own_idents}
    givers = None
    if _knows_all() and not _has_handlers():
        able_to = living - (own_idents.keys() - calling_idents.keys())
        givers = tuple(sorted(i for i in able_to if i not in seen or not seen[i].over))
    look = _Look(seen, held, living, _frozen(), givers)
    found = {ident: _way(ident, look) for ident in program}
    ways = {ident: way for ident, way in found.items() if way is not None}
    return ways if able is None else _narrowed(ways, look, able)


def _narrowed(ways: dict[int, _Way], look: _Look, able: Reached) -> dict[int, _Way]:
    """With waits for a sign as edges to those alone who reach what gives it, where that matters."""
    stuck = _stuck(ways)
    # A main thread that waits for nothing but Ctrl-C, while the others work, is as it should be.
    is_parked = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
    parked = main_thread().ident if is_parked else None
    for ident, way in ways.items():
        sign = look.seen[ident].sign if ident in look.seen else None
        if not (ident in stuck or ident == parked or sign is None) and _is_sign(way):
            reaching = able.by(sign.thing, ident, way.to)
            if reaching is not None:
                ways[ident] = way._replace(to=tuple(sorted(reaching)), way_out=BY_REFERENCES)
    return ways


def _see() -> tuple[dict[int, _Seen], dict[int, dict[int, Held]]]:
    frames = current_frames()
    held: dict[int, dict[int, Held]] = {}
    try:
        for ident in frames:
            for one in held_in(frames[ident]):
                held.setdefault(id(one.lock), {})[ident] = one
        others = frames.keys() - {get_ident(), *own_idents}
        return {ident: _seen(frames[ident]) for ident in others}, held
    finally:
        frames.clear()


def _seen(frame: FrameType) -> _Seen:
    future, job, pool = jobs_in(frame)
    return _Seen(
        programs_place(frame),
        _joined_in(frame),
        future,
        awaited_in(frame),
        awaited_sign(frame),
        job,
        pool,
        is_over(frame),
    )


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
        to = () if other is None or other not in look.living else (other,)
        return _Way(what, id(thread), to, None if for_ever else TIME_OUT, at)
    if seen is not None and seen.future is not None:
        way = _way_to_result(*seen.future, at, look)
        if way is not None:
            return way
    module = _awaited_module(ident)
    if module is not None:
        return _Way(f"the import of {module.name}", id(module), (module.owner,), None, at)
    if seen is not None and seen.awaited is not None:
        way = _way_to_lock(ident, *seen.awaited, at, look)
        if way is not None:
            return way
    freeze = _has_turn_before(ident)
    if freeze is not None:
        what = f"{THE_TURN_AFTER}{freeze!r}"
        return _Way(what, id(freeze), (freeze.asked.ident,), TIME_OUT, at)
    freeze = look.frozen.get(ident)
    if freeze is not None:
        way_out = TIME_OUT if freeze.whole.leases else THAW
        return _Way(f"{THE_THAW_OF}{freeze!r}", id(freeze), (freeze.asked.ident,), way_out, at)
    if seen is not None and seen.sign is not None and look.givers is not None:
        sign = seen.sign
        what = f"{A_SIGN_BY}{sign.call} of {object.__repr__(sign.thing)}"
        return _Way(what, id(sign.thing), look.givers, NO_THREAD, at)
    return None


def _way_to_result(future: Any, for_ever: bool, at: Place | None, look: _Look) -> _Way | None:
    """To the worker that has that job, or to all workers of the pool in whose queue it is."""
    to = [ident for ident, seen in look.seen.items() if seen.job is future]
    if not to:
        pool = next((one.pool for one in look.seen.values() if has_job(one.pool, future)), None)
        to = [i for i, one in look.seen.items() if pool is not None and one.pool is pool]
    if not to:
        return None
    what = f"{THE_RESULT_OF}{object.__repr__(future)}"
    return _Way(what, id(future), tuple(sorted(to)), CANCELLED if for_ever else TIME_OUT, at)


def _frozen() -> dict[int, Freeze]:
    """Who stands, by ident, and for which freeze: any of them, where there are more."""
    return {
        record.ident: freeze
        for registry in list(armed.registries)
        for freeze in list(registry.active)
        if freeze.stands
        for record in list(freeze.members)
        if record.stopped and not record.exited
    }


def _has_turn_before(ident: int) -> Freeze | None:
    """The freeze that has the turn for which that thread waits; None if it waits for none."""
    for registry in list(armed.registries):
        for turns in registry.turns.values():
            queue = turns.waiting()
            if any(one.asked.ident == ident for one in queue[1:]):
                return queue[0]
    return None


def _way_to_lock(
    ident: int, lock: Any, for_ever: bool, at: Place | None, look: _Look
) -> _Way | None:
    holders = look.held.get(id(lock), {})
    owner, only_owner = _owner_of(lock, list(holders))
    if owner is None:
        return None
    to: tuple[int, ...] = (owner,)
    if only_owner and owner == ident:
        to = ()  # it would have got its own: it was that of a thread with the same ident
    elif owner == ident and not (ident in holders and holders[ident].in_block):
        return None
    elif owner in calling_idents and owner not in holders:
        return None  # a thread of ours has its ident, and may have acquired it for the program
    elif owner not in look.living or (HAS_GIL and owner in own_idents and owner not in holders):
        to = ()
    way_out = None if only_owner else ANYBODY
    if not to and way_out is None and not _knows_all():
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
    ours = list(own_idents.values())  # in one operation: a thread may come meanwhile
    known = {*map(str, ours), *(str(one.native_id) for one in enumerate_threads())}
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
