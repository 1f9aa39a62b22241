"""`blocking()`: the region in which a thread counts as stopped. Its end is a door."""

from __future__ import annotations

import sys
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE
from types import FrameType
from typing import ClassVar, Final

from freezethreads._ground.original import monotonic
from freezethreads._ground.uninterruptible import covered
from freezethreads._refrigerator.flat import have_room
from freezethreads._refrigerator.greenlets import may_switch
from freezethreads._refrigerator.refrigerator import (
    come_back,
    tell,
    visit,
    visit_as_stranger,
)
from freezethreads._refrigerator.unentered import Made
from freezethreads._registry.places import Place, not_fork_safe, place_of
from freezethreads._registry.record import Record, here
from freezethreads._registry.registry import Registry
from freezethreads._registry.states import Mover, State, check_move
from freezethreads._registry.status import settled
from freezethreads._report.ownership import check_nothing_owned

_SUSPENDS: Final = CO_COROUTINE | CO_ASYNC_GENERATOR


class Blocking:
    """A blocking region: `with freezer.blocking(label):`. May be entered again, by any thread.

    The way in sets `away`, and the way out clears it and looks whether anything was asked
    meanwhile. An exception on either way is raised when the thread runs again. Whether a way was
    gone, `depth` tells: it changes in the last step of the way in, and on the way out before `away`
    does, or last where it is not set. So the handlers know what to take back.

    A region of a coroutine is not counted: other coroutines run in its thread while it awaits. Nor
    is a region of a greenlet. Both are doors as any other, when they are left.

    A handler clears `away` and calls `come_back`, with nothing in between at which a second
    exception could arrive. That the stack has room for this call, and for one in which it waits if
    it has no more, the way in has found out before it set `away`.
    """

    __slots__ = ("_fork_safe", "_label", "_registry")

    _frames: ClassVar = 1  # how far out the program is that enters it

    def __init__(self, registry: Registry, label: str | None, fork_safe: bool) -> None:
        self._registry = registry
        self._label = label
        self._fork_safe = fork_safe

    @covered
    def __enter__(self) -> None:
        try:
            record = self._registry.own.record
            if record is None:
                return
            parking = record.parking
            if record.depth or record.shut or parking.shut:
                self._enter_nested(record)
                record.depth += 1
                return
            frame = sys._getframe(self._frames)
            code, offset, safe = frame.f_code, frame.f_lasti, self._fork_safe
            if code.co_flags & _SUSPENDS or ("greenlet" in sys.modules and may_switch()):
                record.depth = 1
                return
            have_room()
            closed = parking.unfinished
            place: Place = ("blocking", self._label, code, offset, monotonic(), safe, None, closed)
            record.away = place
            status, after = parking.word._last  # without a call, unless there may be something
            if (after or status.freezes) and not parking.word.is_quiet():
                tell(self._registry, record, parking.word.value, place, closed)
            record.depth = 1
        except BaseException:
            record = self._registry.own.record
            if record is not None and not record.depth:
                at = record.away
                if at is not None:
                    record.away = None
                    come_back(record.parking, at, (self._registry,))
            raise

    @covered
    def __exit__(self, *exc_info: object) -> None:
        try:
            record = self._registry.own.record
            if record is None or record.depth != 1 or record.shut or record.parking.shut:
                self._leave_nested(record, sys._getframe(1))
                return
            record.depth = 0
            place = record.away or place_of(sys._getframe(1), "blocking", self._label)
            record.last = place
            record.away = None
            status, after = record.parking.word._last  # as above
            if record.todo or after or status.freezes:
                if record.is_asked:
                    visit(self._registry, record, place)
                else:
                    record.parking.word.change(settled)  # so that the next region need not look
        except BaseException:
            record = self._registry.own.record
            if record is not None:
                at = record.away or record.last
                record.depth = (record.depth or 1) - 1
                if at is not None and not (record.depth or record.shut or record.parking.shut):
                    record.away = None
                    come_back(record.parking, at, (self._registry,))
            raise

    def _enter_nested(self, record: Record) -> None:
        """The outer region stays the thread's place, but is as unsafe as what is in it."""
        place = record.away
        if place is not None and not self._fork_safe:
            record.away = not_fork_safe(place)

    def _leave_nested(self, record: Record | None, frame: FrameType) -> None:
        if record is None:
            if self._registry.active and not here.parking.shut:
                place = place_of(frame, "blocking", self._label)
                visit_as_stranger(self._registry, here.parking, place)
            return
        if not record.depth:
            check_move(record.state, State.RUNNING, Mover.THREAD)
        record.depth -= 1


class WatchedBlocking(Blocking):
    """A blocking region in development mode: it tells if it was never entered."""

    __slots__ = ("_made",)

    _frames: ClassVar = 2

    def __init__(self, registry: Registry, label: str | None, fork_safe: bool) -> None:
        super().__init__(registry, label, fork_safe)
        call = f"blocking({'' if label is None else repr(label)})"
        self._made = Made(registry, call, "stops nobody")

    def __enter__(self) -> None:
        self._made.entered()
        super().__enter__()


class CheckedBlocking(WatchedBlocking):
    """A blocking region in debug mode: also refused to a thread that owns a lock."""

    __slots__ = ()

    _frames: ClassVar = 3

    def __enter__(self) -> None:
        self._made.entered()  # also if it is refused
        record = self._registry.own.record
        if not (record and (record.shut or record.parking.shut)):
            check_nothing_owned(place_of(sys._getframe(1), "blocking", self._label))
        super().__enter__()
