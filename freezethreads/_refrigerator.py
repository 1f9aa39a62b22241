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
from types import FrameType

from freezethreads._original import OWN_THREADS, monotonic
from freezethreads._ownership import check_nothing_owned
from freezethreads._record import Record, parking
from freezethreads._registry import Registry, call_shut
from freezethreads._states import Mover, State, check_move
from freezethreads._todo import (
    ABSENT,
    AWAY,
    Freeze,
    Kind,
    Place,
    Todo,
    pending_freezes,
    pending_todos,
)


def place_of(frame: FrameType, kind: Kind, label: str | None) -> Place:
    """Where `frame` is now."""
    return (kind, label, frame.f_code, frame.f_lasti, monotonic(), True, None)


def visit_safepoint(registry: Registry, label: str | None, frame: FrameType) -> None:
    """What `safepoint()` does when the flag is up: stop if asked to, then make one's todos."""
    if parking.shut:
        return
    record = registry.own.record
    if registry.debug and not (record and record.shut):
        check_nothing_owned(place_of(frame, "safepoint", label))
    if record is None:
        _visit_as_stranger(registry, label, frame)
    elif not record.shut and record.todo:
        visit(registry, record, place_of(frame, "safepoint", label))


def visit(registry: Registry, record: Record, place: Place) -> None:
    """Stop while a freeze asks for it, then make the todos that were there by then.

    By the owner. Within a blocking region the thread leaves the region for as long as this takes.
    Todos that come while others are made wait for the next visit; a freeze does not.
    """
    region = record.todo.get(AWAY) if record.depth else None
    try:
        record.shut = 1
        come_back(registry, record, place)
        for todo in pending_todos(record.todo):
            make(registry, record, todo)
            stop_again(registry, record, place)
        _reopen(registry, record, region)
    except BaseException:
        come_back(registry, record, place)
        _reopen(registry, record, region)
        raise
    record.last = place


def make(registry: Registry, record: Record, todo: Todo) -> None:
    """Make one todo, and strike it off the list. By the owner, with its doors shut."""
    todo.run()
    record.todo.pop(todo, None)
    registry.settle(todo)
    record.ran += 1


def stop_again(registry: Registry, record: Record, place: Place) -> None:
    """`come_back` between two todos, if there may be a freeze on the list."""
    # Not in the loop: of an `if` at a loop's end CPython 3.13 leaves a jump out of the `try`.
    if registry.active:
        come_back(registry, record, place)


def _reopen(registry: Registry, record: Record, region: Place | None) -> None:
    record.shut = 0
    if region is not None:
        go_away(registry, record, region)


def go_away(registry: Registry, record: Record, place: Place) -> None:
    """RUNNING to BLOCKED, and tell those who wait for it. By the owner; may be repeated."""
    record.todo[AWAY] = place
    if len(record.todo) > 1:
        _tell(registry, record, place, AWAY)


def come_back(registry: Registry, record: Record, place: Place) -> None:
    """To RUNNING, from anywhere, as soon as no freeze forbids it. By the owner; may be repeated.

    All doors are shut meanwhile, to signal handlers and to what a world calls in this thread.
    """
    shut = record.shut
    kept: BaseException | None = None
    while True:
        try:
            record.shut = shut + 1
            if kept is not None:
                for turns in registry.turns.values():
                    turns.ring()  # which it may have kept this thread from doing
            _stand(registry, record, place)
            record.shut = shut
            break
        except BaseException as error:  # noqa: BLE001 - raised below, when the thread runs again
            kept = kept or error
    if kept is not None:
        raise kept


def _stand(registry: Registry, record: Record, place: Place) -> None:
    """The refrigerator. May be begun again at any point."""
    todo = record.todo
    mark: Place | None = None
    _step_out(record)
    while True:
        freeze = record.freeze_to_stop_for()
        # Afterwards: the next world is asked for when the thaw of the last one has decided.
        if mark is not None and record.granted is mark:
            break  # it is RUNNING since then: what came later waits for the next visit
        if freeze is not None:
            todo.pop(AWAY, None)  # its own wait is over
            mark = _park(registry, record, freeze, place)
        elif todo.pop(AWAY, ABSENT) is ABSENT:
            break
        # A freeze that came before a mark was taken off has counted on it: look again.
    for item in list(todo):
        if type(item) is Freeze and item.done:
            todo.pop(item, None)  # the mark of one that was done before it was set


def _tell(registry: Registry, record: Record, place: Place, mark: object) -> None:
    """Tell those who wait for it, unless a thaw was quicker, and has taken its mark: it runs."""
    waiting = pending_freezes(record.todo)
    if not record.commands and record.todo.get(mark) is not None:
        for freeze in waiting:
            if freeze.arrive(record):
                registry.recorder.visited(place)


def _park(registry: Registry, record: Record, freeze: Freeze, place: Place) -> Place:
    """Wait for the thaw, and make the calls that a world asks of its parked thread meanwhile.

    To do so it leaves those who wait to be woken: a thaw does not wait for such a call. Returns the
    mark that it has set.
    """
    completion = freeze.completion
    record.standing = freeze
    record.last = place
    if record.waiter is not None:
        record.waiter.step_aside()
    for turns in registry.turns.values():
        turns.pass_on(record, freeze)
    # Whatever a region has called has returned, so no lock of a C library is held any more.
    record.todo[freeze] = mark = (*place[:5], True, None)
    _tell(registry, record, place, freeze)
    while not completion.done:
        for errand in list(record.errands):
            completion.leave(record.bell)
            if record.waiter is not None:
                # Also for what comes when the freeze is gone: a thaw, or the child of a fork.
                record.waiter.occupied = True
            errand.run()
            record.errands.pop(errand, None)
            if record.waiter is not None:
                record.waiter.occupied = False
        completion.enter(record.bell)
        if not completion.done and not record.errands:
            record.bell.wait()
    _step_out(record)
    record.todo.pop(freeze, None)
    return mark


def _step_out(record: Record) -> None:
    """Leave the completion, which wakes the next thread. Also what an exception cut short."""
    if record.standing is not None:
        record.standing.completion.leave(record.bell)
        record.standing = None


def _visit_as_stranger(registry: Registry, label: str | None, frame: FrameType) -> None:
    """Who is not enrolled parks too while all are to stop; not who is stopping others, nor ours."""
    record = Record(None, "", None)
    for freeze in list(registry.active):
        if freeze.is_by(record):
            if freeze.stood_at is None:
                return
        elif freeze.covers(""):
            record.todo[freeze] = None
    if record.todo and not (registry.own.shut or record.name.startswith(OWN_THREADS)):
        place = place_of(frame, "safepoint", label)
        call_shut(registry.own, lambda: come_back(registry, record, place))


class Blocking:
    """A blocking region: `with freezer.blocking(label):`. May be entered again, by any thread.

    The way in marks the thread as away, and the way out takes the mark off and looks whether
    anything was asked meanwhile. An exception on either way is raised when the thread runs again.
    (If an asynchronous one hits `__exit__` before its first instruction, the thread stays marked
    until it leaves another region: no code in Python can prevent that.)
    """

    __slots__ = ("_fork_safe", "_label", "_registry")

    def __init__(self, registry: Registry, label: str | None, fork_safe: bool) -> None:
        self._registry = registry
        self._label = label
        self._fork_safe = fork_safe

    def __enter__(self) -> None:
        record = self._registry.own.record
        if record is None:
            return
        if record.depth or record.shut:
            record.depth += 1
            self._enter_nested(record)
            return
        frame = sys._getframe(1)
        code, offset, safe = frame.f_code, frame.f_lasti, self._fork_safe
        place: Place = ("blocking", self._label, code, offset, monotonic(), safe, None)
        try:
            record.depth = 1
            record.todo[AWAY] = place
            if len(record.todo) > 1:
                _tell(self._registry, record, place, AWAY)
        except BaseException:
            record.depth = 0
            come_back(self._registry, record, place)
            raise

    def __exit__(self, *exc_info: object) -> None:
        record = self._registry.own.record
        if record is None or record.depth != 1 or record.shut:
            self._leave_nested(record, sys._getframe(1))
            return
        try:
            record.depth = 0
            record.last = record.todo.pop(AWAY, record.last)
            if record.todo:
                visit(self._registry, record, self._place(record))
        except BaseException:
            come_back(self._registry, record, self._place(record))
            raise

    def _enter_nested(self, record: Record) -> None:
        """The outer region stays the thread's place, but is as unsafe as what is in it."""
        place = record.todo.get(AWAY)
        if place is not None and not self._fork_safe:
            record.todo[AWAY] = (*place[:5], False, None)

    def _leave_nested(self, record: Record | None, frame: FrameType) -> None:
        if record is None:
            if self._registry.active:
                _visit_as_stranger(self._registry, self._label, frame)
            return
        if not record.depth:
            check_move(record.state, State.RUNNING, Mover.OWNER)
        record.depth -= 1

    def _place(self, record: Record) -> Place:
        return record.last or place_of(sys._getframe(2), "blocking", self._label)


class CheckedBlocking(Blocking):
    """A blocking region in debug mode: refused to a thread that owns a lock."""

    __slots__ = ()

    def __enter__(self) -> None:
        record = self._registry.own.record
        if not (record and record.shut):
            check_nothing_owned(place_of(sys._getframe(1), "blocking", self._label))
        super().__enter__()
