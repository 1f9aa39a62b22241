"""The threads' side: the refrigerator and the doors to it.

`come_back` is the refrigerator: it brings the calling thread to RUNNING, however many freezes
stand in between. It may be begun again at any point, and an exception that arrives in there
(a KeyboardInterrupt, an asynchronous exception) is kept and raised when the thread runs again, as a
signal to a frozen Linux task is: nothing but the thaw lets a thread out.

The doors lead here: a safepoint, the end of a blocking region (`blocking`) and of a freezable wait
(`waits`). They look at one flag and return if it is down; everything else is another function.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from types import FrameType
from typing import Final

from freezethreads._ground.errors import ThreadBlocked
from freezethreads._ground.original import OwnThread, get_ident, main
from freezethreads._ground.uninterruptible import covered, need_depth
from freezethreads._refrigerator.flat import wait_flat
from freezethreads._refrigerator.gathering import about_to_ask, wait_to_be_asked
from freezethreads._registry.places import (
    Kind,
    Place,
    in_refrigerator,
    in_unfinished,
    place_of,
)
from freezethreads._registry.record import Parking, Record, here
from freezethreads._registry.registry import Registry
from freezethreads._registry.requests import Freeze
from freezethreads._registry.status import (
    Status,
    Stay,
    answered,
    calling,
    parked,
    settled,
)
from freezethreads._registry.todos import Todo, pending_todos
from freezethreads._registry.unfinished import Unfinished
from freezethreads._report.interrupts import tell_interrupted
from freezethreads._report.ownership import check_nothing_owned

_LISTEN: Final = 1.0  # seconds after which a main thread that stands looks for signals


def visit_safepoint(
    registry: Registry, label: str | None, frame: FrameType, kind: Kind = "safepoint"
) -> None:
    """What `safepoint()` does when the flag is up: stop if asked to, then make one's todos.

    In code that was marked as a safepoint from outside `kind` is "freezable".
    """
    record = registry.own.record
    parking = here.parking
    is_shut = parking.shut or (record is not None and record.shut)
    if registry.debug and not is_shut:
        check_nothing_owned(place_of(frame, kind, label))
    if is_shut:
        return
    if record is None:
        visit_as_stranger(registry, parking, place_of(frame, kind, label))
        return
    if registry.settling and parking.waiter is None:
        for freeze in about_to_ask(registry, record):
            wait = partial(wait_to_be_asked, registry, freeze)
            wait_away(registry, place_of(frame, kind, label), wait)
    status, after = parking.word._last
    if record.todo or after or status.freezes:  # one that is done is dropped by the visit
        visit(registry, record, place_of(frame, kind, label))


def visit_only(registry: Registry, record: Record, place: Place) -> None:
    """The same without the todos, between two instructions of which nobody says that they are safe
    for that. A `no_freeze()` region that was entered since the freeze stands keeps nobody going."""
    shut, record.shut = record.shut, 0
    try:
        visit(registry, record, place, makes_todos=False)
    finally:
        record.shut = shut


def visit(registry: Registry, record: Record, place: Place, makes_todos: bool = True) -> None:
    """Stop while a freeze asks for it, then make the todos that were there by then.

    By its thread. Within a blocking region the thread leaves the region for as long as this takes.
    Todos that come while others are made wait for the next visit; a freeze does not.
    """
    parking = record.parking
    region = record.away
    shut = parking.shut
    if region is not None:
        need_depth()  # what goes back into the region must not be cut short
    try:
        parking.shut = shut + 1
        record.away = None
        come_back(parking, place, (registry,))
        if makes_todos and record.todo:
            make_todos(registry, record, place)
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


def make_todos(registry: Registry, record: Record, place: Place) -> None:
    """Make the todos that are there now, and stop in between if a freeze asks for it."""
    for todo in pending_todos(record.todo):
        make(registry, record, todo)
        stop_again(registry, record.parking, place)


def make(registry: Registry, record: Record, todo: Todo) -> None:
    """Make one todo, and strike it off the list. By its thread, with its doors shut.

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


def go_away(
    registry: Registry,
    record: Record,
    place: Place,
    unfinished: tuple[Unfinished, ...] | None = None,
) -> None:
    """RUNNING to BLOCKED, and tell those who wait for it. By its thread; may be repeated.

    `unfinished` is what it is about to have unfinished there (None: what it has).
    """
    parking = record.parking
    closed = parking.unfinished if unfinished is None else unfinished
    record.away = place = in_unfinished(place, closed)
    if not parking.word.is_quiet():
        tell(registry, record, parking.word.value, place, closed)


def tell(
    registry: Registry, record: Record, status: Status, place: Place, closed: tuple[object, ...]
) -> None:
    """Tell those who wait for it that it has stopped, in what is `closed`. By its thread; may be
    repeated.

    `status` is what it was when the thread had just stopped, or has been since. A freeze that was
    listed afterwards is not told: its controller looks by itself, and the thread may be on its way.
    """
    if not (status.commands and status.commands_in(registry)):
        for freeze in status.freezes:
            is_meant = freeze.registry is registry and not freeze.done
            if is_meant and not (closed and freeze.spares(closed)) and freeze.arrive(record):
                registry.recorder.visited(place)


def wait_away(registry: Registry, place: Place, wait: Callable[[], None]) -> None:
    """Make the call, which waits, in a region of its own. By its thread.

    Not in one if the thread is in a region already, or is not to stop, or is not registered.
    """
    record = registry.own.record
    if record is None or record.depth or record.shut or record.parking.shut:
        return wait()
    try:
        record.depth = 1
        go_away(registry, record, place)
        wait()
        record.depth = 0
        record.away = None
        come_back(record.parking, place, (registry,))
    except BaseException:
        record.depth = 0
        record.away = None
        come_back(record.parking, place, (registry,))
        raise


@covered
def come_back(
    parking: Parking,
    place: Place,
    doors: Iterable[Registry],
    shut: int | None = None,
    stay: Stay | None = None,
    kept: BaseException | None = None,
) -> None:
    """To RUNNING, from anywhere, as soon as no freeze of these freezers forbids it. By its thread;
    may be repeated.

    All doors are shut meanwhile, to signal handlers and to what a world calls in this thread. Where
    the stack has no room for that the thread waits without it, before it raises RecursionError. The
    caller has seen to the room for this, before it did anything that has to be taken back.

    `shut`, `stay` and `kept` are for itself alone: an exception between two tries makes a new call,
    which goes on with what this one has.
    """
    try:
        if shut is None:
            shut = parking.shut
        while True:
            try:
                parking.shut = shut + 1
                if stay is None:
                    stay = Stay(in_refrigerator(place), _closed(parking))
                _stand(parking, stay, doors, kept)
                break
            except (RecursionError, MemoryError) as error:
                kept = kept or error
                parking.shut = shut
                wait_flat(parking, place)
                break
            except BaseException as error:  # noqa: BLE001 - raised below, when the thread runs again
                kept = kept or error
        parking.shut = shut
    except BaseException as error:  # noqa: BLE001 - raised by the call
        if shut is not None:
            parking.shut = shut
        come_back(parking, place, doors, shut, stay, kept or error)
    if kept is not None:
        raise kept


def _closed(parking: Parking) -> tuple[object, ...]:
    """What the thread is in, that some freezes do not stop a thread in. By itself.

    A function, since of an `if` at a loop's end CPython 3.13 leaves a jump out of the `try` around.
    """
    closed: tuple[object, ...] = parking.unfinished
    for registry, record in parking.members:
        if record.shut:
            closed = (registry, *closed)
    return closed


def _stand(
    parking: Parking, stay: Stay, doors: Iterable[Registry], kept: BaseException | None
) -> None:
    """The refrigerator. May be begun again at any point, after the exception that is `kept`.

    (Before, everything that it was called for is in place: the thread is not away.)
    """
    word = parking.word
    if parking.entered is not None:  # by an earlier try; or by a call that this one interrupts
        stay.interrupts = True
        _step_out(parking)
    if kept is not None:  # it may have kept this thread from waking the next in turn
        for registry, _ in parking.members:
            for turns in registry.turns.values():
                turns.ring()
    # (If its stay has begun and is over, what has come since waits for the next visit.)
    status = word.change(settled) if stay.begun else word.unsettled
    holder = status.due(doors, stay.closed)
    if holder is None:
        status = word.change(settled)
    elif not stay.begun or status.stay is stay:
        _get_ready(parking, holder)
        status = word.change(parked, stay, doors)
        if status.stay is stay:
            stay.begun = True
            _note_stop(parking, status, stay)
            if isinstance(kept or sys.exception(), KeyboardInterrupt):
                tell_interrupted(status.freezes)
    while status.stay is stay or (
        status.stay is not None and status.due(doors, stay.closed) is not None
    ):
        # (The latter: its signal handler has come here while it stands.)
        if holder is None or holder.done or holder not in status.freezes:
            holder = status.holder()
            if holder is not None:
                _get_ready(parking, holder)
        if holder is not None and status.stay is not None:
            _wait_at(parking, holder, status.stay)
        status = word.change(settled)
    if parking.entered is not None:
        _step_out(parking)
    if stay.interrupts:
        parking.bell.ring()  # nobody else wakes that call any more


def _get_ready(parking: Parking, freeze: Freeze) -> None:
    """Before it stands: give others what this thread cannot use now. May be repeated."""
    if parking.waiter is not None:
        parking.waiter.pass_on()
    for registry, record in parking.members:
        for turns in registry.turns.values():
            if turns.queue:
                turns.pass_on(record, freeze)


def _note_stop(parking: Parking, status: Status, stay: Stay) -> None:
    """Tell those who wait for it. `status` is the one in which it began to stand, or still does."""
    for registry, record in parking.members:
        if registry not in stay.closed:
            record.last = stay.place
            tell(registry, record, status, stay.place, stay.closed)


def _wait_at(parking: Parking, holder: Freeze, stay: Stay) -> None:
    """Wait for the thaw of one freeze that holds this stay, or for a call of a world.

    To make a call it leaves those who wait to be woken: a thaw does not wait for such a call.
    """
    parking.entered = holder.completion
    holder.completion.enter(parking.bell)
    is_held = not holder.done and parking.word.unsettled.stay is stay  # it may be asked no more
    if is_held and not parking.calls:
        # Handlers of signals run in the main thread alone. One that comes just before the system
        # call, or to another thread, does not wake it, as in any `acquire()`: so it looks.
        parking.bell.wait(_LISTEN if get_ident() == main.ident else -1)
    _step_out(parking)
    if parking.calls or parking.word.unsettled.calling:
        _make_calls(parking, stay)


def _make_calls(parking: Parking, stay: Stay) -> None:
    """Make what worlds ask of this thread. While it does so it counts as stopped for nobody else.

    Whoever stands for another freezer as well makes no call.
    """
    word = parking.word
    for call, world in list(parking.calls.items()):
        if call.is_begun():
            parking.calls.pop(call, None)  # an exception came afterwards, or this is inside it
            continue
        word.change(answered, stay)  # what an exception has cut short
        status = word.change(calling, stay, world)
        if status.stay is stay and status.calling:
            waiter = parking.waiter
            if waiter is not None:
                # Also for what comes when the freeze is gone: a thaw, or the child of a fork.
                waiter.occupied = True
            call.run()
            if waiter is not None:
                waiter.occupied = False
            status = word.change(answered, stay)
            if status.stay is stay:
                _note_stop(parking, status, stay)
        elif status.stay is stay and not world.done:
            call.refuse(ThreadBlocked("the thread is held by another freezer as well"))
        parking.calls.pop(call, None)
    word.change(answered, stay)


def _step_out(parking: Parking) -> None:
    """Leave the completion, which wakes the next thread. Also what an exception cut short."""
    completion = parking.entered
    if completion is not None:
        completion.leave(parking.bell)
        parking.entered = None


def visit_as_stranger(registry: Registry, parking: Parking, place: Place) -> None:
    """Who is not enrolled parks too while all are to stop; not who is stopping others, nor ours."""
    record = Record(registry, None, "", None)
    for freeze in list(registry.active):
        if freeze.asked.is_by(record):
            if freeze.whole.stood_at is None:
                return
        elif freeze.covers("") and freeze.bar is None and not isinstance(record.thread, OwnThread):
            parking.word.ask(Status((freeze,)))
    if not parking.word.is_quiet():
        come_back(parking, place, (registry,))
