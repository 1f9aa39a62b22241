"""The bar: what a thread meets between two bytecodes while a freeze of the second engine is there.

Each such freeze has a `Bar`. While there is any, `trap` has every thread call the trap before
its next instruction. A thread has *arrived* for a bar if its ident is in `Bar.stopped`::

                       its next instruction is in no section (the thread, in the trap)
    on its way  -------------------------------------------------------------------> ARRIVED
        |                                                                               ^
        +--- it is in a call of C that does not compute, and in no section -------------+
                                (the controller, in a look)

    ARRIVED ---- the freeze is done ----> on its way

Who has arrived executes nothing of the program any more: before its next instruction it comes to
the trap, finds itself in `stopped`, and stands in the refrigerator until the thaw. So it does not
matter when a call of C returns. What anybody may ask of it later (the locks that it holds, the
atomic code that it is in, the code to which it comes back) is noted as it arrives: nobody looks at
its frames any more, which run on in the library until it stands.

A thread that comes to the trap decides by itself; one that does not is decided about in a look, all
those that have yet to arrive at once. A look has *claimed* them: whoever wakes meanwhile waits in
the trap until the look has ended, and then decides. How that is sure, and why their frames may be
read, is told in `looks`. Of those in the trap it counts who stands there for another bar alone; the
others are about to decide.

A look first sees to it that nobody runs: two glances, at the processor time of each thread and at
whether it wants a processor, have to be the same, with a pause in between in which the GIL is free;
and so has a third one, with all of them claimed. Only then is "it has not come to the trap" the
same as "it is in a call that waits". While somebody runs, in a section say, nobody is claimed.

A thread that has just been given a lock, and has yet to say so, owns it. It has woken, and waits
for the GIL. Of those who do the system wakes one at a time, so that it may sleep on in a short
pause; but it wakes by itself once in each switch interval, and moves its clock. So where somebody
waits for a lock that is held, although nobody is left in a section, the pause is as long as that.

Why nobody waits for ever. A thread in a section is not stopped, and needs nobody who has arrived,
but what it waits for itself: if that is one of them, the freeze fails at its deadline and says so.
A freeze that is done stops nobody, and whoever has stood for it executes an instruction before the
next one stops it. Of two controllers each of which would stop the other the one
that came first is let be until its world has ended, and the second waits for it. Threads of this
library are never stopped, nor is anybody in the middle of its code.

An exception in the trap (a KeyboardInterrupt, say) is raised in the thread when it may go on: the
refrigerator keeps it. One that comes before leads from that instruction to its handler, before
which is the trap again. And it is raised where the interpreter might have raised it: see `trap`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from types import CodeType, FrameType
from typing import Any, Final

from freezethreads._ground.arguments import Where
from freezethreads._ground.foreign import ForeignThread
from freezethreads._ground.frames import HAS_GIL, current_frames
from freezethreads._ground.original import (
    Thread,
    get_ident,
    get_native_id,
    monotonic,
    own_idents,
    sleep,
)
from freezethreads._machine import trap
from freezethreads._machine.looks import Look, LookEnded, StillFrame, make
from freezethreads._machine.marks import heeded_by, kinds_in
from freezethreads._machine.stacks import (
    OF_A_LOCK,
    Shelter,
    find_shelter,
    held_by,
    kind_of,
    may_own,
    programs_frame,
    shelter_of,
)
from freezethreads._machine.values import UNKNOWN, Frame, is_free
from freezethreads._refrigerator.refrigerator import come_back, visit_only
from freezethreads._registry import places, unfinished
from freezethreads._registry.places import Kind, Place, code_of, offset_of, place_at
from freezethreads._registry.record import Parking, Record, here
from freezethreads._registry.registry import Registry, registries
from freezethreads._registry.requests import Freeze
from freezethreads._registry.status import Status
from freezethreads._report.looks import is_runnable, processor_time
from freezethreads._report.ownership import acquired_at, owned

_PAUSE: Final = 0.0002  # seconds between two glances
_GLANCES: Final = 16  # in one look, at most
_INTERVALS: Final = 2  # of the switch interval, between two glances at somebody who may own a lock
_LONGEST: Final = 0.1  # seconds of such a pause, however long the switch interval is
_UNKNOWN: Final = 0.01  # seconds for which a thread without a clock has not to come to the trap


class Bar:
    """One freeze's part in the engine. `freeze` is its request, `where` its kind.

    `stopped` says where each thread is that has arrived, by ident; `awaited` who has not, and what
    it is in. `strangers` are the records of threads that are not registered. `has_all`: all have
    arrived. From then on the events of each instruction are needed only in `codes`, to which those
    in a call of C come back, and newcomers; the controller's own code is as fast as ever, but for
    its calls. `sheltered` tells of a thread in a section the frame that is in it (its id, since
    what that refers to is not to live longer), its code, and the call that it has made there; and
    `owned` a lock that it owns. `pause` is how long a look waits between two glances, in seconds.
    Of a thread that has arrived `caught` tells of which kinds the atomic code is that it is in, and
    where; `locks` what it holds, and where it acquired that; and `ways_back`, if it is in a call of
    C, the code to which it comes back. Of a newcomer, which has yet to arrive, that is all the code
    that it is in.
    """

    __slots__ = (
        "awaited",
        "caught",
        "first_seen",
        "freeze",
        "has_all",
        "locks",
        "owned",
        "parking",
        "pause",
        "registry",
        "sheltered",
        "stopped",
        "strangers",
        "ways_back",
        "where",
    )

    def __init__(self, freeze: Freeze, registry: Registry, where: Where) -> None:
        self.freeze = freeze
        self.registry = registry
        self.where: Where = where
        self.stopped: dict[int, Place] = {}
        self.awaited: dict[int, Shelter | None] = {}
        self.strangers: dict[int, Record] = {}
        self.sheltered: dict[int, tuple[int, CodeType, int]] = {}
        self.owned: dict[int, Any] = {}
        self.caught: dict[int, list[tuple[str, Place]]] = {}
        self.locks: dict[int, list[tuple[object, Place | None]]] = {}
        self.ways_back: dict[int, list[CodeType]] = {}
        self.first_seen: dict[int, float] = {}
        self.has_all = False
        self.parking = here.parking
        self.pause = _PAUSE

    def put_up(self) -> None:
        """From here on each thread meets it. By its controller; may be repeated.

        Raises `FreezeError` if the interpreter's ids for tools are all taken.
        """
        trap.put_up(self)

    def take_down(self) -> None:
        """The freeze is done. From any thread; may be repeated."""
        trap.take_down(self)
        self.locks.clear()

    @property
    def codes(self) -> frozenset[CodeType] | None:
        """Where the events of each instruction are needed; None: everywhere."""
        if not self.has_all:
            return None
        return frozenset(chain.from_iterable(self.ways_back.copy().values()))

    # The threads' side.

    def concerns(self, ident: int, frame: FrameType) -> bool:
        """Whether the calling thread may have to stand before the next instruction of `frame`."""
        if self.freeze.done or not self._is_meant(ident) or kind_of(frame.f_code) == "own":
            return False
        if ident in self.stopped:
            # (One that stands at a door makes what a world calls in it outside the trap.)
            return not here.parking.word.unsettled.calling
        return not self._is_as_before(ident, frame)

    def stops(self, ident: int, frame: FrameType) -> bool:
        """Whether it does. By a thread that no look has claimed, and that has said where it is."""
        if not self.concerns(ident, frame):
            return False
        if (place := self.stopped.get(ident)) is not None:
            if places.kind_of(place) != "anywhere":  # it was in a call of C
                mine = owned().get(ident, [])
                self._note_locks(ident, frame, False, mine)  # it has done nothing more since
            return True
        return self._decide(ident, frame)

    def _is_as_before(self, ident: int, frame: FrameType) -> bool:
        """Whether the calling thread is in the section of which it has found that it is in it: the
        frame is on its stack, in the same call, or the lock is its own. That is quicker than to
        find it anew."""
        lock = self.owned.get(ident)
        if lock is not None and lock.owner == ident:
            return True
        known = self.sheltered.get(ident)
        at = None if known is None else frame.f_back
        while at is not None:
            if (id(at), at.f_code, at.f_lasti) == known:
                return True
            at = at.f_back
        return False

    def _decide(self, ident: int, frame: FrameType) -> bool:
        self.sheltered.pop(ident, None)
        self.owned.pop(ident, None)
        if here.parking.shut or any([record.shut for _, record in here.parking.members]):
            return False
        if any([self.freeze.minds(region) for region in here.parking.unfinished]):
            return False
        found = find_shelter(frame, self.where, True, heeded_by(self.freeze.asked))
        if found is not None:
            shelter, at = found
            if at is not frame:  # that one may be in it only for as long as it calls nobody
                self.sheltered[ident] = id(at), at.f_code, at.f_lasti
            self._note_shelter(ident, shelter)
            return False
        if self._commands(ident) or trap.is_in_child():
            return False
        mine = owned().get(ident, [])
        if mine and self.where == "unlocked":
            self.owned[ident] = mine[0]
            self._note_shelter(ident, _shelter_of_lock(mine[0], frame))
            return False
        self._join(ident)  # whoever finds that it has arrived finds it there
        self._note(ident, frame, True, mine)
        self.ways_back.pop(ident, None)
        self._arrive(ident, place_at(frame.f_code, frame.f_lasti))
        return True

    def _note_shelter(self, ident: int, shelter: Shelter) -> None:
        """For whoever is told at the deadline. A lock that it has tells more than the shared code
        that it happens to call meanwhile (the `is_set` of an event, say)."""
        noted = self.awaited.get(ident)
        if noted is None or (noted.lock is UNKNOWN and shelter.lock is not UNKNOWN):
            self.awaited[ident] = shelter

    def holds(self, ident: int) -> bool:
        """Whether that thread has arrived, and is not let go."""
        return ident in self.stopped and not self.freeze.done

    def stand(self, ident: int) -> None:
        """In the refrigerator, until the freeze is done. By a thread that has arrived."""
        parking, place = here.parking, self.stopped.get(ident)
        if place is None:
            return  # it has been moved out of the group
        record = self._join(ident)
        if record is self.registry.own.record:
            self._look_again(record)
            visit_only(self.registry, record, place)
        else:
            come_back(parking, place, (self.registry,))

    def _join(self, ident: int) -> Record:
        """The calling thread's record. From here on the thread is asked to stop, and then among
        those of the world."""
        record = self.registry.own.record
        if record is None or record.exited:
            record = self.strangers.get(ident)
            if record is None:
                record = self.strangers[ident] = self._make_stranger(ident)
            record.parking = here.parking
        self._ask(record)
        return record

    # The controller's side.

    def look(self) -> bool:
        """Whether all have arrived. By its controller; takes some milliseconds, 0.1 s at most."""
        return trap.call_in_trap(self._look)

    def _look(self) -> bool:
        before = self._glance()
        for _ in range(_GLANCES if self.pause == _PAUSE else 1):
            sleep(self.pause)
            now = self._glance()
            if now == before and not _want_to_run(now):
                return self._look_at(now)
            before = now
        return False

    def _look_at(self, quiet: Mapping[int, float | None]) -> bool:
        """When nobody has run for a while: unless somebody runs now, count who may be stopped."""
        arrived = make(self, quiet, partial(self._count_all, quiet))
        if arrived:
            trap.change()
        return arrived

    def _count_all(self, quiet: Mapping[int, float | None], look: Look) -> bool:
        """The same, of threads that are claimed."""
        frames: dict[int, FrameType] = {}
        inside: dict[int, FrameType] = {}
        try:
            inside.update(trap.inside())
            frames.update(current_frames())
            frames.update(inside)
            if not trap.is_up(self) or self._glance() != quiet or _want_to_run(quiet):
                return False
            self.awaited = dict.fromkeys(ident for ident in quiet if ident in frames)
            locks, waiting = owned(), {}
            for ident in list(self.awaited):
                frame, running = look.through(frames.pop(ident)), ident in inside
                if not running and not self._is_known_to_wait(ident):
                    continue
                mine = locks.get(ident, [])
                self.awaited[ident] = shelter = self._shelter_of(ident, frame, running, mine)
                if shelter is None and not running:
                    waiting[ident] = frame
                elif shelter is None and trap.stands(ident):
                    self._count(look, ident, frame, "anywhere", mine)
            if self._all_wait(waiting) and not self._is_in_doubt(waiting.values()):
                for ident in list(waiting):
                    self._count(look, ident, waiting.pop(ident), "call", locks.get(ident, []))
            if self.awaited:
                return False
            self.has_all = True
            return True
        finally:
            frames.clear()
            inside.clear()

    def _glance(self) -> dict[int, float | None]:
        """Who has yet to arrive, and what each has had of a processor; None: nobody can tell."""
        threads = known_threads()
        glances: dict[int, float | None] = {}
        for ident in current_frames():
            if ident not in self.stopped and self._is_meant(ident) and ident not in own_idents:
                thread = threads.get(ident)
                native_id = None if thread is None else thread.native_id
                glances[ident] = None if native_id is None else processor_time(native_id)
        return glances

    def _all_wait(self, waiting: Collection[int]) -> bool:
        """Whether those that wait in C may be counted: whoever is in a section may yet give a lock
        to one of them, who would own it and have arrived."""
        return len(waiting) == len(self.awaited) or self.where == "anywhere"

    def _is_in_doubt(self, frames: Iterable[Frame]) -> bool:
        """Whether one of those that wait in C may own a lock, for all that so short a look tells.
        The next one is longer."""
        if self.where != "unlocked" or self.pause != _PAUSE or not any(map(may_own, frames)):
            return False
        self.pause = min(_INTERVALS * sys.getswitchinterval() + _PAUSE, _LONGEST)
        return True

    def _is_known_to_wait(self, ident: int) -> bool:
        """Whether a thread that has not come to the trap is in a call of C: if it is slow to."""
        thread = known_threads().get(ident)
        if thread is not None and thread.native_id is not None:
            return True
        return monotonic() - self.first_seen.setdefault(ident, monotonic()) > _UNKNOWN

    def _shelter_of(
        self, ident: int, frame: Frame, running: bool, mine: list[Any]
    ) -> Shelter | None:
        """What keeps another thread, whose locks are `mine`, from being stopped where it is."""
        if self._commands(ident):
            return Shelter("a world of its own", frame.f_code, frame.f_lasti)
        enrolments = [freezer.records.get(ident) for freezer in registries]
        if any([record is not None and _is_shut(record) for record in enrolments]):
            return Shelter("no_freeze() or a todo", frame.f_code, frame.f_lasti)
        record = self.registry.records.get(ident)
        stranger = unfinished.strangers.get(ident)
        regions = () if stranger is None else stranger.unfinished
        for region in regions if record is None else record.unfinished:
            if self.freeze.minds(region):
                what = f"pending({region.kind!r})"
                return Shelter(what, code_of(region.place), offset_of(region.place))
        shelter = shelter_of(frame, self.where, running, heeded_by(self.freeze.asked))
        if shelter is None and mine and self.where == "unlocked":
            return _shelter_of_lock(mine[0], frame)
        return shelter

    def _count(
        self, look: Look, ident: int, frame: StillFrame, kind: Kind, mine: list[Any]
    ) -> None:
        """Another thread has arrived: it does not run, and is in no section."""
        record = self.registry.records.get(ident)
        if record is None or record.exited:
            record = self.strangers[ident] = self._make_stranger(ident)
        at = programs_frame(frame)
        place = record.place or place_at(at.f_code, at.f_lasti, kind)
        self._note(ident, frame, kind == "anywhere", mine)
        if kind == "call":
            self.ways_back[ident] = list(_codes_to_watch(frame))
        self._ask(record)
        self._arrive(ident, place, look)
        self._look_again(record)

    def _look_again(self, record: Record) -> None:
        """Whether a thread that was made to stop has been moved out meanwhile. By whoever has done
        that, afterwards; whoever moves it looks the other way round."""
        if self.freeze.group and not self.freeze.covers(record.group):
            self.stopped.pop(record.ident, None)
            self.registry.withdraw(self.freeze, record)

    def _note(self, ident: int, frame: Frame, running: bool, mine: list[Any]) -> None:
        """What anybody may ask of a thread that has arrived there, when nobody can look any more.
        By itself; or in a look."""
        self.caught[ident] = [
            (kind, place_at(at.f_code, at.f_lasti)) for kind, at in kinds_in(frame).items()
        ]
        self._note_locks(ident, frame, running, mine)

    def _note_locks(self, ident: int, frame: Frame, running: bool, mine: list[Any]) -> None:
        """What it holds: `mine`, as the locks say, and what its stack tells."""
        locks: dict[int, tuple[object, Place | None]] = {
            id(lock): (lock, acquired_at(lock)) for lock in mine
        }
        for lock, at, offset in held_by(frame, running):
            locks[id(lock)] = lock, place_at(at.f_code, offset)
        self.locks[ident] = list(locks.values())

    def _arrive(self, ident: int, place: Place, look: Look | None = None) -> None:
        """By itself; or in a look."""
        others = self.awaited
        if look is not None and look.ended:
            raise LookEnded
        self.stopped[ident] = place  # (no call since)
        if others.pop(ident, None) is not None and not any(list(others.values())):
            self.freeze.bell.ring()  # the last one that was in a section

    def stragglers(self) -> dict[Record, Shelter | None]:
        """Who has not arrived, as a record, and what it is in. By its controller.

        Also those that no look has come to; but not those that only wait in C, if it is for others
        that they have not been counted.
        """
        found, shelters = {}, dict(self.awaited)
        is_for_others = any(shelters.values())
        for ident in self._glance():
            shelter = shelters.get(ident)
            if is_for_others and shelter is None and ident in shelters:
                continue
            record = self.registry.records.get(ident) or self._make_stranger(ident)
            found[record] = shelter
        return found

    def follow(self, record: Record) -> None:
        """The thread has come into the group, or has left it. By whoever moved it, afterwards.

        A newcomer that nobody waits for any more is stopped all the same. (One that another thread
        has moved without a GIL, so that nobody may read where it is, when it next calls a function
        of Python's.)
        """
        ident = record.ident
        if not self._is_meant(ident):
            self.stopped.pop(ident, None)
        elif self.freeze.group and ident not in self.stopped:
            frame = sys._getframe() if ident == get_ident() else _frame_of(ident)
            self.ways_back[ident] = list(_codes_of_program(frame))
            if self.has_all:  # first that, and then the look; whoever counts the other way round
                trap.change()

    def late(self) -> int:
        """How many have not arrived. By its controller."""
        return len(self._glance())

    def pending(self) -> list[tuple[Record, str, Place]]:
        """Who has arrived in atomic code of which kind, and where that is. From any thread."""
        members = {record.ident: record for record in list(self.freeze.members)}
        return [
            (members[ident], kind, place)
            for ident, caught in self.caught.copy().items()
            if ident in members
            for kind, place in caught
        ]

    def held(self) -> list[tuple[Record, object, Place | None]]:
        """The locks that those who have arrived hold, for all one can tell, and where each was
        acquired, if that is known. From any thread."""
        members = {record.ident: record for record in list(self.freeze.members)}
        return [
            (members[ident], lock, place)
            for ident, held in self.locks.copy().items()
            if ident in members and ident in self.stopped
            for lock, place in held
            if not is_free(lock)  # one that was guessed to be its own, and was another one's
        ]

    def _make_stranger(self, ident: int) -> Record:
        thread = known_threads().get(ident) or ForeignThread(ident)
        return Record(self.registry, None, "", None, thread, Parking())

    # Both.

    def _ask(self, record: Record) -> None:
        """Whoever is among the members has been asked to stop."""
        record.parking.word.ask(Status((self.freeze,)))
        self.freeze.members[record] = None

    def _is_meant(self, ident: int) -> bool:
        """Whether it stops that thread: all, or the registered ones of its group."""
        freeze = self.freeze
        if ident == freeze.asked.ident and not self._is_reused(ident):
            return False
        if not freeze.group:
            return True
        record = self.registry.records.get(ident)
        return record is not None and freeze.covers(record.group)

    def _is_reused(self, ident: int) -> bool:
        """Whether another thread has the ident of its controller, which has ended."""
        return ident == get_ident() and get_native_id() != self.freeze.asked.native_id

    def _commands(self, ident: int) -> bool:
        """Whether a thread has a world, or freezes for one, that was there before this one.

        One that waits for a call that the controller makes for its world commands nothing here: it
        can do nothing before that is made.
        """
        mine, own = self.freeze.whole, self.registry.turns["freeze"].current
        if own is not None and own.asked.ident == ident and own.keeps_turn and own is not mine:
            return not self._is_called_by(own)
        for bar in list(trap.bars):
            freeze = bar.freeze
            if bar is self or (freeze.whole is mine and mine.asked.kind == "freeze"):
                break
            is_busy = not freeze.done and (freeze.asked.kind == "freeze" or freeze.stood_at is None)
            waits_for_this = own is mine and freeze.registry is self.registry  # which has the turn
            if freeze.asked.ident == ident and is_busy and not waits_for_this:
                return not self._is_called_by(freeze)
        return False

    def _is_called_by(self, world: Freeze) -> bool:
        """Whether the controller makes a call for that world just now."""
        is_calling = self.parking.word.value.calling
        return is_calling and world.whole in [
            one.whole for one in list(self.parking.calls.values())
        ]


def _shelter_of_lock(lock: Any, frame: Frame) -> Shelter:
    """What its owner is in: since the line at which it acquired the lock, if that is known."""
    at = acquired_at(lock)
    code, offset = (frame.f_code, frame.f_lasti) if at is None else (code_of(at), offset_of(at))
    return Shelter(f"{OF_A_LOCK}{lock!r}", code, offset, lock)


def _want_to_run(idents: Iterable[int]) -> bool:
    """Whether any of these threads wants a processor, though it may have had none for a while."""
    threads = known_threads()
    known = [threads.get(ident) for ident in idents]
    return any(
        is_runnable(thread.native_id) for thread in known if thread and thread.native_id is not None
    )


def _codes_to_watch(frame: Frame) -> Iterator[CodeType]:
    """The code to which a thread comes back first from a call of C, and further if that is the
    library's, which nobody is stopped in."""
    at: Frame | None = frame
    while at is not None:
        yield at.f_code
        at = at.f_back if kind_of(at.f_code) == "own" else None


def _codes_of_program(frame: FrameType | None) -> Iterator[CodeType]:
    """All the code that is not the library's, from that frame on outwards."""
    at = frame
    while at is not None:
        if kind_of(at.f_code) != "own":
            yield at.f_code
        at = at.f_back


def _frame_of(ident: int) -> FrameType | None:
    """The innermost frame of another thread, if anybody may read it."""
    return current_frames().get(ident) if HAS_GIL else None


def _is_shut(record: Record) -> bool:
    """Whether a thread that does not move keeps its doors shut, and does not stand behind them."""
    status = record.parking.word.value
    return bool(record.shut or (record.parking.shut and (status.stay is None or status.calling)))


def known_threads() -> dict[int, Thread]:
    """The threads that `threading` knows, by ident. From any thread; takes no lock.

    (`threading.enumerate` takes one, and whoever has it may be about to stand.)
    """
    return threading._active  # type: ignore[attr-defined, no-any-return]


def reset() -> None:
    """In the child of a fork."""
    trap.reset()
