"""The bar: what a thread meets between two bytecodes while a freeze of the second engine is there.

Each such freeze has a `Bar`. While there is any, `monitoring` has every thread call `_trap` before
its next instruction. A thread has *arrived* for a bar if its ident is in `Bar.stopped`::

                       its next instruction is in no section (the thread, in the trap)
    on its way  -------------------------------------------------------------------> ARRIVED
        |                                                                               ^
        +--- it is in a call of C that does not compute, and in no section -------------+
                                (the controller, in a look)

    ARRIVED ---- the freeze is done ----> on its way

Who has arrived executes nothing of the program any more: before its next instruction it comes to
the trap, finds itself in `stopped`, and stands in the refrigerator until the thaw. So it does not
matter in which order the trap and the look come to it, nor when a call of C returns.

Whoever decides about a thread has *claimed* it, in one step on `_claims`: the thread itself, before
each instruction while it is in a section; or a look, all those that it looks at. A thread that is
claimed by a look waits in the trap for its end. So whatever frames a look reads, their threads are
there, or have yet to come to the end of one instruction. (That is what makes it sound without a
GIL, where nobody may read the frames of a thread that runs: those that are read belong to threads
that are asleep in the system, and meet the trap when they wake.) There is one look at a time, with
the lock `_looking` held; so a claim that is there without it, an exception has left behind.

A look first sees to it that nobody runs: two glances, at the processor time of each thread and at
whether it wants a processor, have to be the same, with a pause in between in which the GIL is free;
and so has a third one, with all of them claimed. Only then is "it has not come to the trap" the
same as "it is in a call that waits". In particular nobody has just been given a lock and has yet to
say so: he would have woken, and moved his clock. While somebody runs, in a section say, nobody is
claimed.

Why nobody waits for ever. A thread in a section is not stopped, and needs nobody who has arrived,
but what it waits for itself: if that is one of them, the freeze fails at its deadline and says so.
A freeze that is done stops nobody. Of two controllers each of which would stop the other the one
that came first is let be until its world has ended, and the second waits for it. Threads of this
library are never stopped, nor is anybody in the middle of its code.

An exception in the trap (a KeyboardInterrupt, say) is raised in the thread when it may go on: the
refrigerator keeps it. One that comes before leads from that instruction to its handler, before
which is the trap again. And it is raised where the interpreter might have raised it: not between
the end of a `with` block and the call of its `__exit__`, say, which would be left out. There it is
kept, and the events stay on for the few instructions until it is raised.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from opcode import opname
from types import CodeType, FrameType
from typing import Any, Final, TypeAlias, TypeVar

from freezethreads._ground.arguments import Where
from freezethreads._ground.files import is_standard
from freezethreads._ground.frames import current_frames
from freezethreads._ground.original import (
    ForeignThread,
    RLock,
    Thread,
    get_ident,
    get_native_id,
    getpid,
    monotonic,
    own_idents,
    sleep,
)
from freezethreads._ground.uninterruptible import call_with, covered
from freezethreads._machine.marks import freezable
from freezethreads._machine.monitoring import (
    AT_ENTRIES_AND_LOOPS,
    BEFORE_EACH_INSTRUCTION,
    is_available,
    switch,
)
from freezethreads._machine.sections import is_on_the_way_out
from freezethreads._machine.stacks import Shelter, held_by, kind_of, shelter_of
from freezethreads._refrigerator.refrigerator import come_back, visit_door, visit_only
from freezethreads._registry import places
from freezethreads._registry.doors import call_shut
from freezethreads._registry.places import Kind, Place, place_at, place_of
from freezethreads._registry.record import Parking, Record, here
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Freeze
from freezethreads._registry.status import Status
from freezethreads._report.looks import is_runnable, processor_time

T = TypeVar("T")

_PAUSE: Final = 0.0002  # seconds between two glances
_GLANCES: Final = 16  # in one look, at most
_MOST_PAUSES: Final = 500  # before a freeze, for those whom the one before has let go
_UNKNOWN: Final = 0.01  # seconds for which a thread without a clock has not to come to the trap

# What a thread has had of a processor, None if the system does not say; and whether it wants one.
Glance: TypeAlias = tuple[float | None, bool]

# Those that stand or are on their way to, the oldest first.
_bars: dict[Bar, None] = {}
# The ident of the controller of the only bar, when all have arrived: it passes without a look.
_free: dict[int, None] = {}
# Those who stand in the trap, or have yet to come out of it, by ident.
_stays: dict[int, Parking] = {}
# What a thread is to call when it comes to the trap, by ident: for itself alone.
_calls: dict[int, Callable[[], object]] = {}
# What is to be raised in a thread as soon as that may be, by ident.
_kept: dict[int, BaseException] = {}
# Who forks just now, by ident; and under 0, that the events are being switched.
_forking: dict[int, None] = {}
_switching: dict[int, None] = {}
# Guards whether the events are on. Nests in nothing; nothing waits under it.
_engine = RLock()
# Who decides about a thread just now, by its ident: that ident itself, or `_LOOK`.
_claims: dict[int, int] = {}
_LOOK: Final = -1
# One look at a time. Nests in nothing, and no code of the program runs under it.
_looking = RLock()
_pid = getpid()


class Bar:
    """One freeze's part in the engine. `freeze` is its request, `where` its kind.

    `stopped` says where each thread is that has arrived, by ident; `awaited` who has not, and what
    it is in. `strangers` are the records of threads that are not registered. `codes`, when all have
    arrived, is the code to which those in a call of C come back: from then on the events of each
    instruction are needed there alone, and the controller's own code is as fast as ever, but for
    its calls.
    """

    __slots__ = (
        "awaited",
        "codes",
        "first_seen",
        "freeze",
        "registry",
        "stopped",
        "strangers",
        "where",
    )

    def __init__(self, freeze: Freeze, registry: Registry, where: Where) -> None:
        self.freeze = freeze
        self.registry = registry
        self.where: Where = where
        self.stopped: dict[int, Place] = {}
        self.awaited: dict[int, Shelter | None] = {}
        self.strangers: dict[int, Record] = {}
        self.first_seen: dict[int, float] = {}
        self.codes: frozenset[CodeType] | None = None

    def put_up(self) -> None:
        """From here on each thread meets it. By its controller; may be repeated.

        Raises `FreezeError` if the interpreter's ids for tools are all taken.
        """
        _wait_for_leavers()
        call_shut(call_with, _engine, self._put_up)

    def _put_up(self) -> None:
        _bars[self] = None
        _switch()

    def take_down(self) -> None:
        """The freeze is done. From any thread; may be repeated."""
        _bars.pop(self, None)
        if not _bars:
            call_shut(call_with, _engine, _switch)

    # The threads' side.

    def stops(self, ident: int, frame: FrameType) -> bool:
        """Whether the calling thread has to stand before the next instruction of `frame`."""
        if self.freeze.done or not self._is_meant(ident) or kind_of(frame.f_code) == "own":
            return False
        if ident in self.stopped:
            return True
        try:
            while _claims.setdefault(ident, ident) != ident:
                if getpid() != _pid:
                    return False  # in the child of a fork, which has yet to be put in order
                call_with(_looking, partial(_claims.pop, ident, None))  # it waits for the look
            return self._decide(ident, frame)
        finally:
            if _claims.get(ident) == ident:
                _claims.pop(ident, None)

    def _decide(self, ident: int, frame: FrameType) -> bool:
        """By a thread that has claimed itself."""
        if ident in self.stopped:
            return True
        record = self.registry.own.record
        if here.parking.shut or (record is not None and record.shut):
            return False
        if shelter_of(frame, self.where, running=True) is not None:
            return False
        if self._commands(ident) or getpid() != _pid:
            return False
        self._arrive(ident, place_of(frame, "anywhere", None))
        return True

    def stand(self, ident: int) -> None:
        """In the refrigerator, until the freeze is done. By a thread that has arrived."""
        parking, place = here.parking, self.stopped[ident]
        _stays[ident] = parking
        record = self.registry.own.record
        if record is None or record.exited:
            stranger = self.strangers.get(ident) or self._make_stranger(ident)
            stranger.parking = parking
            self.freeze.members[stranger] = None
            parking.word.ask(Status((self.freeze,)))
            come_back(parking, place, (self.registry,))
        else:
            self.freeze.members[record] = None
            parking.word.ask(Status((self.freeze,)))
            visit_only(self.registry, record, place)

    # The controller's side.

    def look(self) -> bool:
        """Whether all have arrived. By its controller; takes some milliseconds at most."""
        return _call_in_trap(self._look)

    def _look(self) -> bool:
        before = self._glance()
        for _ in range(_GLANCES):
            sleep(_PAUSE)
            now = self._glance()
            if now == before and not any(wants for _, wants in now.values()):
                return call_with(_looking, partial(self._look_at, now))
            before = now
        return False

    def _look_at(self, quiet: Mapping[int, Glance]) -> bool:
        """Called with _looking held, when nobody has run for a while.

        Unless somebody runs now, count who may be stopped.
        """
        frames: dict[int, FrameType] = {}
        try:
            if any([_claims.setdefault(ident, _LOOK) != _LOOK for ident in quiet]):
                return False
            if self._glance() != quiet:
                return False
            frames.update(current_frames())
            self.awaited = dict.fromkeys(ident for ident in quiet if ident in frames)
            waiting = {}
            for ident in list(self.awaited):
                below, running = _below_trap(frames.pop(ident))
                self.awaited[ident] = shelter = self._shelter_of(ident, below, running)
                if shelter is None and running:
                    self._count(ident, below, "anywhere")
                elif shelter is None and self._is_known_to_wait(ident):
                    waiting[ident] = below
            # Whoever is in a section may yet give a lock to somebody who waits for it, and who
            # would own it, once he has arrived.
            if len(waiting) == len(self.awaited) or self.where == "anywhere":
                for ident in list(waiting):
                    self._count(ident, waiting.pop(ident), "call")
            if self.awaited:
                return False
            self.codes = frozenset(_codes_to_watch(list(self.stopped)))
        finally:
            frames.clear()
            for ident in quiet:
                if _claims.get(ident) == _LOOK:
                    _claims.pop(ident, None)
        call_with(_engine, _switch)
        return True

    def _glance(self) -> dict[int, Glance]:
        """Who has yet to arrive, and what each has had of a processor."""
        threads = known_threads()
        glances: dict[int, Glance] = {}
        for ident in current_frames():
            if ident not in self.stopped and self._is_meant(ident) and ident not in own_idents:
                thread = threads.get(ident)
                native_id = None if thread is None else thread.native_id
                if native_id is None:
                    glances[ident] = (None, False)
                else:
                    glances[ident] = (processor_time(native_id), is_runnable(native_id))
        return glances

    def _is_known_to_wait(self, ident: int) -> bool:
        """Whether a thread that has not come to the trap is in a call of C: if it is slow to."""
        thread = known_threads().get(ident)
        if thread is not None and thread.native_id is not None:
            return True
        return monotonic() - self.first_seen.setdefault(ident, monotonic()) > _UNKNOWN

    def _shelter_of(self, ident: int, frame: FrameType, running: bool) -> Shelter | None:
        """What keeps another thread from being stopped where it is."""
        if self._commands(ident):
            return Shelter("a world of its own", frame.f_code, frame.f_lasti)
        record = self.registry.records.get(ident)
        if record is not None and _is_shut(record):
            return Shelter("no_freeze() or a todo", frame.f_code, frame.f_lasti)
        return shelter_of(frame, self.where, running)

    def _count(self, ident: int, frame: FrameType, kind: Kind) -> None:
        """Another thread has arrived: it does not run, and is in no section."""
        record = self.registry.records.get(ident)
        if record is None or record.exited:
            record = self.strangers[ident] = self._make_stranger(ident)
        record.parking.word.ask(Status((self.freeze,)))
        self.freeze.members[record] = None
        self._arrive(ident, record.place or place_of(_programs(frame), kind, None))

    def _arrive(self, ident: int, place: Place) -> None:
        """By whoever has claimed it."""
        self.stopped[ident] = place
        others = self.awaited
        if others.pop(ident, None) is not None and not any(list(others.values())):
            self.freeze.bell.ring()  # the last one that was in a section

    def stragglers(self) -> dict[Record, Shelter | None]:
        """Who has not arrived, as a record, and what it is in. By its controller."""
        found, shelters = {}, dict(self.awaited)
        for ident in self._glance():  # also those that no look has come to
            shelter = shelters.get(ident)
            record = self.registry.records.get(ident) or self._make_stranger(ident)
            found[record] = shelter
        return found

    def held(self) -> list[tuple[Record, object, Place]]:
        """The locks that those who have arrived hold, for all one can tell, and where each was
        acquired. By its controller."""
        return _call_in_trap(lambda: call_with(_looking, self._held))

    def _held(self) -> list[tuple[Record, object, Place]]:
        """Called with _looking held. Who has arrived needs no claim."""
        members = {record.ident: record for record in list(self.freeze.members)}
        frames = current_frames()
        found: list[tuple[Record, object, Place]] = []
        try:
            for ident, at in self.stopped.items():
                frame, record = frames.pop(ident, None), members.get(ident)
                if frame is not None and record is not None:
                    below, _ = _below_trap(frame)
                    # Who has come back from its call has done nothing since.
                    running = places.kind_of(at) == "anywhere"
                    for lock, code, offset in held_by(below, running):
                        found.append((record, lock, place_at(code, offset)))
            return found
        finally:
            frames.clear()

    def _make_stranger(self, ident: int) -> Record:
        thread = known_threads().get(ident) or ForeignThread(ident)
        return Record(self.registry, None, "", None, thread, Parking())

    # Both.

    def _is_meant(self, ident: int) -> bool:
        """Whether it stops that thread: all, or the registered ones of its group."""
        freeze = self.freeze
        if ident == freeze.ident and not self._is_reused(ident):
            return False
        if not freeze.group:
            return True
        record = self.registry.records.get(ident)
        return record is not None and freeze.covers(record.group)

    def _is_reused(self, ident: int) -> bool:
        """Whether another thread has the ident of its controller, which has ended."""
        return ident == get_ident() and get_native_id() != self.freeze.native_id

    def _commands(self, ident: int) -> bool:
        """Whether a thread has a world, or freezes for one, that was there before this one."""
        own = self.registry.turns["freeze"].current
        if own is not None and own.ident == ident and own.keeps_turn and own is not self.freeze:
            return True
        for bar in list(_bars):
            if bar is self:
                break
            freeze = bar.freeze
            is_busy = not freeze.done and (freeze.kind == "freeze" or freeze.stood_at is None)
            if freeze.ident == ident and is_busy:
                return True
        return False


@covered
def _trap(code: CodeType, offset: int, *rest: object) -> None:
    """What the interpreter calls before an instruction, in the thread that is to execute it."""
    try:
        ident = get_ident()
        if ident in _free and not _calls and not _kept:
            return
        if _calls and (call := _calls.pop(ident, None)) is not None:
            call()
        else:
            _meet(sys._getframe(1))
        if ident in _kept:
            raise _kept[ident]
    except BaseException as error:
        _meet(sys._getframe(1))
        if _may_raise(code, offset):
            _forget(error)
            raise
        _keep(error)


def _may_raise(code: CodeType, offset: int) -> bool:
    """Whether the interpreter might raise there what somebody has sent: nobody is prepared for it
    anywhere else."""
    if kind_of(code) == "own":
        return opname[code.co_code[offset]].startswith(("RESUME", "JUMP_BACKWARD"))
    return not is_on_the_way_out(code, offset)


def _keep(error: BaseException) -> None:
    """Raise it later, in the calling thread: at the next instruction where that may be."""
    _kept.setdefault(get_ident(), error)
    call_shut(call_with, _engine, _switch)  # whoever has taken the last bar down has not seen it


def _forget(error: BaseException) -> None:
    """It is about to be raised."""
    if _kept.get(get_ident()) is error:
        del _kept[get_ident()]
        if not (_bars or _kept):
            call_shut(call_with, _engine, _switch)


def _call_in_trap(call: Callable[[], T]) -> T:
    """Return `call()`, made by the calling thread in the trap, where it has no events itself.

    Outside, each instruction of the library costs as much as one of the program.
    """
    ident, results = get_ident(), list[T]()
    try:
        _calls[ident] = lambda: results.append(call())
        _knock()
    finally:
        is_left = _calls.pop(ident, None) is not None
    return call() if is_left else results[0]  # the former if everybody has been let go meanwhile


def _knock() -> None:
    """Come to the trap, if there is one."""


def _meet(frame: FrameType) -> None:
    ident = get_ident()
    if ident in own_idents:
        return
    try:
        while (bar := _first_bar(ident, frame)) is not None:
            bar.stand(ident)
    finally:
        _stays.pop(ident, None)


def _wait_for_leavers() -> None:
    """Let those who have been let go come out, for a while: of one world after the other nobody
    would ever execute anything in between."""
    for _ in range(_MOST_PAUSES):
        if all(parking.word.value.stay is not None for parking in list(_stays.values())):
            break
        sleep(_PAUSE)


def _first_bar(ident: int, frame: FrameType) -> Bar | None:
    """The first one that stops the calling thread."""
    for bar in list(_bars):
        if bar.stops(ident, frame):
            return bar
    return None


# Freezes that stop threads at their doors, while code is marked as a door.
_doors: dict[Freeze, None] = {}


def open_doors(freeze: Freeze) -> None:
    """Have `freeze` stop threads in freezable code as well. By its controller."""
    if freezable and is_available():
        _doors[freeze] = None
        call_shut(call_with, _engine, _switch)


def close_doors(freeze: Freeze) -> None:
    """It is done. From any thread; may be repeated."""
    if freeze in _doors:
        _doors.pop(freeze, None)
        call_shut(call_with, _engine, _switch)


def _at_door(code: object, offset: object, *rest: object) -> None:
    """What the interpreter calls when a function begins, or jumps, in the thread that does."""
    frame = sys._getframe(1)
    name = freezable.name_in(frame)
    if name is not None and getpid() == _pid:
        for freeze in list(_doors):
            registry: Any = freeze.registry
            visit_door(registry, freezable.label_of(name), frame)


def before_fork() -> None:
    """Nobody switches events while the calling thread forks.

    Without a GIL that stops the world of the interpreter, and CPython 3.13 leaves the child the
    lock for it as it was: held by a thread that is not there. Neither waits long for the other: a
    thread that forks may have to wait for locks of the program, or to stand, on its way.
    """
    _forking[get_ident()] = None
    for _ in range(_MOST_PAUSES):
        if not _switching:
            break
        sleep(_PAUSE)


def after_fork_in_parent() -> None:
    """It has forked, or failed to."""
    _forking.pop(get_ident(), None)


def _switch() -> None:
    """Have what is needed now, and nothing else. Called with _engine held."""
    try:
        for _ in range(_MOST_PAUSES):
            _switching[0] = None
            if not _forking or get_ident() in _forking:
                break
            _switching.pop(0, None)
            sleep(_PAUSE)
        _switch_now()
    finally:
        _switching.pop(0, None)


def _switch_now() -> None:
    global _pid
    _pid = getpid()
    traps: dict[str, Callable[..., object]] = {}
    if _doors:
        traps.update(dict.fromkeys(AT_ENTRIES_AND_LOOPS, _at_door))
    bars = list(_bars)
    codes = [bar.codes for bar in bars]
    if bars or _kept:
        traps.update(dict.fromkeys(BEFORE_EACH_INSTRUCTION, _trap))
    _free.clear()
    if bars and None not in codes and not _kept:
        if len(bars) == 1 and bars[0].freeze.kind == "freeze":  # which ends with its thread
            _free[bars[0].freeze.ident] = None
        switch(traps, {code for some in codes for code in some or ()})
    else:
        switch(traps)


def _below_trap(frame: FrameType) -> tuple[FrameType, bool]:
    """The innermost frame that is not the trap's, and whether there is a trap above it."""
    at: FrameType | None = frame
    while at is not None and kind_of(at.f_code) in ("own", "threading"):
        if at.f_code is _trap.__code__ and at.f_back is not None:
            return at.f_back, True
        at = at.f_back
    return frame, False


def _codes_to_watch(idents: list[int]) -> Iterator[CodeType]:
    """The code to which these threads come back first, and further if that is the library's, which
    nobody is stopped in. Called with _looking held."""
    frames = current_frames()
    for ident in idents:
        frame = frames.pop(ident, None)
        while frame is not None:
            if frame.f_code is _trap.__code__:
                break  # it stands, and comes back to the trap itself
            yield frame.f_code
            frame = frame.f_back if kind_of(frame.f_code) == "own" else None
    frames.clear()


def _is_shut(record: Record) -> bool:
    """Whether a thread that does not move keeps its doors shut, and does not stand behind them."""
    return bool(record.shut or (record.parking.shut and record.parking.word.value.stay is None))


def _programs(frame: FrameType) -> FrameType:
    """The innermost frame of the program's own, or the innermost one if it has none."""
    at: FrameType | None = frame
    while at is not None:
        if kind_of(at.f_code) == "program" and not is_standard(at.f_code.co_filename):
            return at
        at = at.f_back
    return frame


def known_threads() -> dict[int, Thread]:
    """The threads that `threading` knows, by ident. From any thread; takes no lock.

    (`threading.enumerate` takes one, and whoever has it may be about to stand.)
    """
    return threading._active  # type: ignore[attr-defined, no-any-return]


def reset() -> None:
    """In the child of a fork: no bar, no event."""
    global _engine, _looking
    _bars.clear()
    _doors.clear()
    _calls.clear()
    _claims.clear()
    _free.clear()
    _kept.clear()
    _stays.clear()
    _forking.clear()
    _switching.clear()
    _engine, _looking = RLock(), RLock()
    switch({})
