"""The threads' side: the refrigerator and the doors to it.

`come_back` is the refrigerator: it brings the calling thread to RUNNING, however many freezes
stand in between. It may be begun again at any point, and an exception that arrives in there
(a KeyboardInterrupt, an asynchronous exception) is kept and raised when the thread runs again, as a
signal to a frozen Linux task is: nothing but the thaw lets a thread out.

The doors lead here from a safepoint and from the end of a blocking region. They look at one flag
and return if it is down; everything else is another function.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import FrameType

from freezethreads._errors import ThreadBlocked
from freezethreads._original import OWN_THREADS, monotonic
from freezethreads._ownership import check_nothing_owned
from freezethreads._record import Parking, Record, here
from freezethreads._registry import Registry
from freezethreads._special import covered
from freezethreads._states import Mover, State, check_move
from freezethreads._status import (
    Status,
    Stay,
    answered,
    calling,
    listed,
    parked,
    settled,
)
from freezethreads._todo import Freeze, Kind, Place, Todo, pending_todos


_FLAT_PAUSE = 0.01  # seconds between two looks, where nobody can wake it


def place_of(frame: FrameType, kind: Kind, label: str | None) -> Place:
    """Where `frame` is now."""
    return (kind, label, frame.f_code, frame.f_lasti, monotonic(), True, None)


def visit_safepoint(registry: Registry, label: str | None, frame: FrameType) -> None:
    """What `safepoint()` does when the flag is up: stop if asked to, then make one's todos."""
    record = registry.own.record
    parking = here.parking
    is_shut = parking.shut or (record is not None and record.shut)
    if registry.debug and not is_shut:
        check_nothing_owned(place_of(frame, "safepoint", label))
    if is_shut:
        return
    if record is None:
        _visit_as_stranger(registry, parking, place_of(frame, "safepoint", label))
    elif record.is_asked:
        visit(registry, record, place_of(frame, "safepoint", label))


def visit(registry: Registry, record: Record, place: Place) -> None:
    """Stop while a freeze asks for it, then make the todos that were there by then.

    By the owner. Within a blocking region the thread leaves the region for as long as this takes.
    Todos that come while others are made wait for the next visit; a freeze does not.
    """
    parking = record.parking
    region = record.away
    shut = parking.shut
    try:
        parking.shut = shut + 1
        record.away = None
        come_back(parking, place, (registry,))
        for todo in pending_todos(record.todo):
            make(registry, record, todo)
            stop_again(registry, parking, place)
        if region is not None:
            go_away(registry, record, region)
        parking.shut = shut
    except BaseException:
        parking.shut = shut + 1
        record.away = None
        try:
            come_back(parking, place, (registry,))
        finally:
            # No calls, for which the stack may have no room.
            record.away = region
            parking.shut = shut
        if region is not None:
            go_away(registry, record, region)
        raise
    record.last = place


def make(registry: Registry, record: Record, todo: Todo) -> None:
    """Make one todo, and strike it off the list. By the owner, with its doors shut.

    In this order, so that one that was cut short is met again by the next visit.
    """
    todo.run()
    registry.settle(todo)
    record.todo.pop(todo, None)
    record.ran += 1


def stop_again(registry: Registry, parking: Parking, place: Place) -> None:
    """`come_back` between two todos, if there may be a freeze to stop for."""
    # Not in the loop: of an `if` at a loop's end CPython 3.13 leaves a jump out of the `try`.
    if registry.active:
        come_back(parking, place, (registry,))


def go_away(registry: Registry, record: Record, place: Place) -> None:
    """RUNNING to BLOCKED, and tell those who wait for it. By the owner; may be repeated."""
    record.away = place
    if not record.parking.word.is_quiet():
        tell(registry, record, record.parking.word.value, place)


def tell(registry: Registry, record: Record, status: Status, place: Place) -> None:
    """Tell those who wait for it that it has stopped. By the owner; may be repeated.

    `status` is what it was when the thread had just stopped, or has been since. A freeze that was
    listed afterwards is not told: its controller looks by itself, and the thread may be on its way.
    """
    if status.freezes and not status.commands_in(registry):
        for freeze in status.freezes:
            if freeze.registry is registry and not freeze.done and freeze.arrive(record):
                registry.recorder.visited(place)


def come_back(parking: Parking, place: Place, doors: Iterable[Registry]) -> None:
    """To RUNNING, from anywhere, as soon as no freeze of these freezers forbids it. By the owner;
    may be repeated.

    All doors are shut meanwhile, to signal handlers and to what a world calls in this thread. Where
    the stack has no room for that the thread waits without it, before it raises RecursionError.
    """
    shut = parking.shut
    kept: BaseException | None = None
    stay: Stay | None = None
    while True:
        try:
            parking.shut = shut + 1
            if stay is None:
                stay = Stay((*place[:5], True, None), _closed(parking))
            _stand(parking, stay, doors, is_again=kept is not None)
            parking.shut = shut
            break
        except BaseException as error:  # noqa: BLE001 - raised below, when the thread runs again
            kept = kept or error
            if isinstance(error, (RecursionError, MemoryError)):
                parking.shut = shut
                wait_flat(parking, place)
                break
    if kept is not None:
        raise kept


def _closed(parking: Parking) -> tuple[Registry, ...]:
    return tuple([registry for registry, record in parking.members if record.shut])


def _stand(parking: Parking, stay: Stay, doors: Iterable[Registry], is_again: bool) -> None:
    """The refrigerator. May be begun again at any point.

    (Before, everything that it was called for is in place: no mark of a region or a wait is on.)
    """
    word = parking.word
    _step_out(parking)
    if is_again:  # the exception may have kept this thread from waking the next in turn
        for registry, _ in parking.members:
            for turns in registry.turns.values():
                turns.ring()
    status = word.change(settled)
    waits_for = status.pending(doors)
    if waits_for is not None and not (stay.begun and status.stay is not stay):
        # (If it has begun and is over, what has come since waits for the next visit.)
        _get_ready(parking, waits_for)
        status = word.change(parked, stay, doors)
        if status.stay is stay:
            stay.begun = True
            _note_stop(parking, status, stay)
    while status.stay is stay:
        status = _wait_at(parking, status, stay)
    while status.stay is not None and status.pending(doors) is not None:
        # Its signal handler has come here while it stands.
        status = _wait_at(parking, status, status.stay)
    _step_out(parking)


def _get_ready(parking: Parking, freeze: Freeze) -> None:
    """Before it stands: give others what this thread cannot use now. May be repeated."""
    if parking.waiter is not None:
        parking.waiter.step_aside()
    for registry, record in parking.members:
        for turns in registry.turns.values():
            turns.pass_on(record, freeze)


def _note_stop(parking: Parking, status: Status, stay: Stay) -> None:
    """Tell those who wait for it. `status` is the one in which it began to stand, or still does."""
    for registry, record in parking.members:
        if registry not in stay.closed:
            record.last = stay.place
            tell(registry, record, status, stay.place)


def _wait_at(parking: Parking, status: Status, stay: Stay) -> Status:
    """Wait for the thaw of one freeze that holds this stay, or for a call; return what is now.

    To make a call it leaves those who wait to be woken: a thaw does not wait for such a call.
    """
    word = parking.word
    holder = status.holder()
    if holder is not None:
        _get_ready(parking, holder)
        completion = holder.completion
        parking.entered = completion
        completion.enter(parking.bell)
        status = word.change(settled)
        if status.stay is stay and status.holder() is holder and not parking.errands:
            parking.bell.wait()
        _step_out(parking)
        _make_calls(parking, stay)
    return word.change(settled)


def _make_calls(parking: Parking, stay: Stay) -> None:
    """Make what worlds ask of this thread. While it does so it counts as stopped for nobody else.

    Whoever stands for another freezer as well makes no call. One that has been cut short by an
    exception is over: it failed, or was refused.
    """
    word = parking.word
    for errand, world in list(parking.errands.items()):
        word.change(answered, stay)  # what an exception has cut short
        status = word.change(calling, stay, world)
        if status.stay is stay and status.calling:
            waiter = parking.waiter
            if waiter is not None:
                # Also for what comes when the freeze is gone: a thaw, or the child of a fork.
                waiter.occupied = True
            errand.run()
            if waiter is not None:
                waiter.occupied = False
            status = word.change(answered, stay)
            if status.stay is stay:
                _note_stop(parking, status, stay)
        elif status.stay is stay and not world.done:
            errand.refuse(ThreadBlocked("the thread is held by another freezer as well"))
        parking.errands.pop(errand, None)
    word.change(answered, stay)


def _step_out(parking: Parking) -> None:
    """Leave the completion, which wakes the next thread. Also what an exception cut short."""
    completion = parking.entered
    if completion is not None:
        completion.leave(parking.bell)
        parking.entered = None


def wait_flat(parking: Parking, place: Place) -> None:
    """`come_back` where the stack, or the memory, has no room for it: by itself, in one frame.

    The thread counts as stopped, and tells so. It makes no calls of worlds, and is not woken by the
    thaw but looks for it, since nothing below can be done by a function in Python. Where not even a
    function of C can be called (CPython 3.11, at the very limit) it looks without pauses. By the
    owner, for all of its freezers; may be repeated.
    """
    before = parking.away
    kept: BaseException | None = None
    is_away, is_back = True, False
    while not is_back:
        try:
            parking.away = place if is_away else None
            is_asked = False
            status = parking.word._last
            while status.next:
                status = status.next[0]
            for registry, record in parking.members:
                is_closed: object = record.shut  # no comparison, which counts as a call in 3.11
                for freeze in status.commands:
                    is_closed = is_closed or (freeze.registry is registry and not freeze.done)
                for freeze in () if is_closed else status.freezes:
                    if freeze.registry is registry and not freeze.done:
                        is_asked = True
                        if is_away and record in freeze.awaited:
                            del freeze.awaited[record]
                        if is_away and not freeze.awaited:
                            try:
                                freeze.bell._lock.release()
                            except RuntimeError:
                                pass  # it rings already
            if is_asked and is_away:
                parking.bell._lock.acquire(True, _FLAT_PAUSE)
            is_back = not is_asked and not is_away
            is_away = is_asked  # what is found with the mark off sets it again
        except BaseException as error:  # noqa: BLE001 - raised below
            kept = kept or error
    parking.away = before
    entered, parking.entered = parking.entered, None
    if entered is not None:
        entered._waiting.pop(parking.bell, None)
        for bell in list(entered._waiting) if entered.done else ():
            try:
                bell._lock.release()
            except RuntimeError:
                pass
    if kept is not None:
        raise kept


def _visit_as_stranger(registry: Registry, parking: Parking, place: Place) -> None:
    """Who is not enrolled parks too while all are to stop; not who is stopping others, nor ours."""
    record = Record(registry, None, "", None)
    for freeze in list(registry.active):
        if freeze.is_by(record):
            if freeze.stood_at is None:
                return
        elif freeze.covers("") and not record.name.startswith(OWN_THREADS):
            parking.word.change(listed, freeze)
    if not parking.word.is_quiet():
        come_back(parking, place, (registry,))


class Blocking:
    """A blocking region: `with freezer.blocking(label):`. May be entered again, by any thread.

    The way in marks the thread as away, and the way out takes the mark off and looks whether
    anything was asked meanwhile. An exception on either way is raised when the thread runs again.
    Whether a way was gone, `depth` tells: it changes in the last step of the way in, and on the way
    out before the mark does, or last where there is none. So the handlers know what to take back.
    """

    __slots__ = ("_fork_safe", "_label", "_registry")

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
            frame = sys._getframe(1)
            code, offset, safe = frame.f_code, frame.f_lasti, self._fork_safe
            place: Place = ("blocking", self._label, code, offset, monotonic(), safe, None)
            record.away = place
            if not parking.word.is_quiet():
                tell(self._registry, record, parking.word.value, place)
            record.depth = 1
        except BaseException:
            record = self._registry.own.record
            if record is not None and not record.depth:
                at = record.away or place_of(sys._getframe(1), "blocking", self._label)
                record.away = None
                self._come_back(record, at)
            raise

    @covered
    def __exit__(self, *exc_info: object) -> None:
        try:
            record = self._registry.own.record
            if record is None or record.depth != 1 or record.shut or record.parking.shut:
                self._leave_nested(record, sys._getframe(1))
                return
            record.depth = 0
            record.last = place = record.away
            record.away = None
            if place is not None and (record.todo or not record.parking.word.is_quiet()):
                visit(self._registry, record, place)
        except BaseException:
            record = self._registry.own.record
            if record is not None:
                at = record.away or record.last
                record.depth = (record.depth or 1) - 1
                if not (record.depth or record.shut or record.parking.shut):
                    record.away = None
                    self._come_back(record, at or place_of(sys._getframe(1), "blocking", None))
            raise

    def _come_back(self, record: Record, place: Place) -> None:
        """Once more, after an exception, which is raised when the thread runs again."""
        try:
            come_back(record.parking, place, (self._registry,))
        except RecursionError:
            wait_flat(record.parking, place)
            raise

    def _enter_nested(self, record: Record) -> None:
        """The outer region stays the thread's place, but is as unsafe as what is in it."""
        place = record.away
        if place is not None and not self._fork_safe:
            record.away = (*place[:5], False, None)

    def _leave_nested(self, record: Record | None, frame: FrameType) -> None:
        if record is None:
            if self._registry.active and not here.parking.shut:
                place = place_of(frame, "blocking", self._label)
                _visit_as_stranger(self._registry, here.parking, place)
            return
        if not record.depth:
            check_move(record.state, State.RUNNING, Mover.OWNER)
        record.depth -= 1


class CheckedBlocking(Blocking):
    """A blocking region in debug mode: refused to a thread that owns a lock."""

    __slots__ = ()

    def __enter__(self) -> None:
        record = self._registry.own.record
        if not (record and (record.shut or record.parking.shut)):
            check_nothing_owned(place_of(sys._getframe(1), "blocking", self._label))
        super().__enter__()
