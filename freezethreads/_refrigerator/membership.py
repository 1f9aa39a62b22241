"""Becoming and ceasing to be a thread that can be frozen."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType, TracebackType

from freezethreads._ground.arguments import check_callable, check_group
from freezethreads._ground.errors import AlreadyRegistered, FreezeError, NotRegistered
from freezethreads._ground.original import Thread, get_ident
from freezethreads._ground.uninterruptible import need_depth
from freezethreads._ground.unique import Given
from freezethreads._refrigerator.refrigerator import come_back
from freezethreads._registry.places import in_unfinished, place_of
from freezethreads._registry.record import Record, here
from freezethreads._registry.registry import Registry
from freezethreads._registry.states import Mover, State, check_move


class Registration(Given):
    """A thread's enrolment with a freezer; a context manager that unregisters it when left.

    Got from `Freezer.register`. The block is left by the registered thread: in another one that
    raises `FreezeError`, and the thread stays enrolled. If it has ended, nothing happens.
    """

    _IS = "the enrolment of one thread of this process"
    _WRITE = "with freezethreads.register():"

    __slots__ = ("_record", "_registry")

    def __init__(self, registry: Registry, record: Record) -> None:
        self._registry = registry
        self._record = record

    def __repr__(self) -> str:
        return f"<Registration of {self.name!r} in group {self.group!r}>"

    def __enter__(self) -> Registration:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._record.exited:
            self._check_thread()
            unregister(self._registry)

    @property
    def name(self) -> str:
        """The name under which the thread is enrolled. From any thread."""
        return self._record.name

    @property
    def group(self) -> str:
        """The group that it is in now. From any thread."""
        return self._record.group

    def move(self, group: str) -> None:
        """Move the thread to another group. From any thread.

        The thread itself waits here while the new group is frozen. Another thread does not wait:
        moved into a frozen group, the thread stands at once if it is blocked, and at its next
        safepoint if it runs. A freeze that was asked for before the move does not wait for that.
        Moved out of a frozen group, it goes on if nothing else holds it. (The Linux kernel moves
        tasks between frozen cgroups in this way.)

        Raises TypeError or ValueError if `group` is no dotted name, `NotRegistered` if the thread
        is no longer enrolled, and `FreezeError` in the thread itself if it is inside `no_freeze()`,
        a todo or a blocking region. Nothing was changed then.
        """
        check_group(group)
        need_depth()
        record = self._record
        if record.exited:
            raise NotRegistered(f"{self!r} has ended")
        if record.ident != get_ident():
            self._registry.move(record, group)
            if record.is_asked:
                record.call_waker()
            return
        check_own_move(record)
        move_oneself(self._registry, record, group, sys._getframe(1), "move")

    def _check_thread(self) -> None:
        if self._record.ident != get_ident():
            raise FreezeError(f"{self!r} belongs to another thread, which alone may end it")


def check_own_move(record: Record) -> None:
    """Raise `FreezeError` where the calling thread, which is enrolled so, cannot move itself."""
    if record.shut or record.parking.shut:
        raise FreezeError("a thread cannot move itself inside no_freeze() or a todo")
    check_move(record.state, State.BLOCKED, Mover.THREAD)


def move_oneself(
    registry: Registry, record: Record, group: str, caller: FrameType, label: str
) -> None:
    """Put the calling thread into another group; returns when no freeze of that stands. May be
    repeated."""
    place = place_of(caller, "safepoint", label)
    try:
        registry.move(record, group)
    finally:
        come_back(record.parking, place, (registry,))


def register(
    registry: Registry,
    name: str | None,
    group: str,
    waker: Callable[[], object] | None,
    caller: FrameType,
) -> Registration:
    """Enrol the calling thread; returns when no freeze of its group stands."""
    if name is not None and not isinstance(name, str):
        if isinstance(name, Thread):
            raise TypeError(f"a thread registers itself, not {name!r}: {registry.how_to_register}")
        raise TypeError(f"name must be a string or None, not {name!r}")
    check_group(group)
    need_depth()
    if waker is not None:
        check_callable("waker", waker)
    own = registry.own.record
    if own is not None and not (own.implicit or own.exited):
        raise AlreadyRegistered(
            f"{own.name!r} is registered with this freezer already: call register() once for each "
            "thread, and not at all in a freezethreads.Thread or a worker of a pool; `with "
            "freezer.group(...):` puts it into a group for a while"
        )
    record = Record(registry, name, group, waker)
    try:
        _enter(registry, record, caller)
    except BaseException:
        _fall_back(registry)
        raise
    return Registration(registry, record)


def unregister(registry: Registry) -> None:
    """Strike the calling thread off. Its todos that are still to be made fail."""
    record = registry.own.record
    if record is None or record.implicit or record.exited:
        raise NotRegistered(
            "the calling thread is not registered with this freezer, or is so by install() alone: "
            "unregister() ends what its own register() has begun"
        )
    check_move(record.state, State.EXITED, Mover.THREAD)
    try:
        _leave(registry, record)
    except BaseException:
        _leave(registry, record)
        raise
    finally:
        _fall_back(registry)


def enrol_implicitly(registry: Registry, group: str, again: Callable[[], object]) -> None:
    """Enrol the calling thread, until it registers by itself; for an installation.

    A thread that is registered stays as it is. Its own `register()` takes the place of this one,
    and the end of that one calls `again`. Returns when no freeze of the group stands.
    """
    registry.own.enrol_again = again
    own = registry.own.record
    if own is None or own.exited:
        record = Record(registry, None, group, None)
        record.implicit = True
        _enter(registry, record, sys._getframe(1))


def leave_implicitly(registry: Registry) -> None:
    """End what `enrol_implicitly` began. By the same thread; may be repeated."""
    registry.own.enrol_again = None
    record = registry.own.record
    if record is not None and record.implicit:
        _leave(registry, record)


def _enter(registry: Registry, record: Record, caller: FrameType) -> None:
    """Enrol the calling thread as `record`, and as nothing else."""
    place = in_unfinished(place_of(caller, "safepoint", "register"), here.parking.unfinished)
    record.away = place
    try:
        if registry.own.record is not None:
            _leave(registry, registry.own.record)
        registry.enter(record)
        record.away = None
        come_back(record.parking, place, (registry,))
    except BaseException:
        record.away = None
        come_back(record.parking, place, (registry,))
        _leave(registry, record)
        raise


def _fall_back(registry: Registry) -> None:
    """To what an installation has enrolled the calling thread as, if one has."""
    if registry.own.record is None and registry.own.enrol_again is not None:
        registry.own.enrol_again()


def _leave(registry: Registry, record: Record) -> None:
    """Forget the calling thread. May be repeated."""
    registry.leave(record)
    record.parking.remove(record)
    registry.own.record = None
    lifeline = registry.own.lifeline
    if lifeline is not None:
        lifeline.cut()
        registry.own.lifeline = None
