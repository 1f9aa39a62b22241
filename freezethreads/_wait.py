"""Freezable waits: the third door to the refrigerator, for every freezer of the calling thread.

The pattern is the kernel's `wait_event_freezable()`. A wait is made of *bouts*: in each the thread
marks itself as away, sleeps, comes back to RUNNING as soon as no freeze forbids it, and only then
looks at what it waits for and takes it. So nobody who stands frozen owns anything. A bout ends when
somebody rings, which decides nothing: whoever wakes looks again. That is why a todo can wake a
waiting thread, which makes its todo and goes on waiting with the rest of its time.

A thread that is woken for something which it cannot take now, since it is to be frozen or has a
todo to make, gives others the chance before (`step_aside`).

Inside `blocking()`, `no_freeze()` and a todo such a wait is a plain one: what counts there is the
region around it. A thread that is parked for one freezer is away for its others as well; before it
makes a todo it runs for all, since a todo is the application's code.
"""

from __future__ import annotations

import queue
import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Final, Self

from freezethreads._completion import Bell
from freezethreads._deadline import Deadline
from freezethreads._original import local
from freezethreads._record import Record, parking
from freezethreads._refrigerator import come_back, go_away, make, place_of
from freezethreads._registry import Registry, enrolments
from freezethreads._todo import AWAY, Place, pending_todos

# Files whose frames are not where a wait *is*: its place is the line that asked for it.
plumbing: Final = {__file__, threading.__file__, queue.__file__}


class Waiting:
    """`with Waiting(label):` around one call of C that waits and takes nothing shared.

    It counts as stopped for every freezer with which the calling thread is enrolled, and its end
    is a safepoint for each. `aside` is called before the thread parks or makes a todo at that end,
    by itself, perhaps twice. `occupied` says that the thread does something else before it looks
    again at what it waits for. If it is `plain` it does not count, nor end in a safepoint. `shut`:
    how often the thread's doors are shut by what it will have released before it waits. For one
    thread and one use at a time.
    """

    __slots__ = ("_aside", "_members", "_place", "occupied")

    def __init__(
        self,
        label: str,
        *,
        fork_safe: bool = False,
        bell: Bell | None = None,
        aside: Callable[[], object] | None = None,
        plain: bool = False,
        shut: int = 0,
    ) -> None:
        self._aside = aside
        self.occupied = False
        self._members = members = () if plain else members_waiting(shut)
        if members:
            place = place_of(caller_of(sys._getframe(1)), "wait", label)
            self._place: Place = (*place[:5], fork_safe, bell)

    def __enter__(self) -> Self:
        if self._members:
            try:
                self._go_away()
            except BaseException:
                self._come_back()
                raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._members:
            self._come_back()

    @property
    def barred(self) -> bool:
        """Whether its thread is to stop, or stands, or is occupied. From any thread."""
        if self.occupied:
            return True
        for registry, record in self._members:
            if registry.active and record.freeze_to_stop_for() is not None:
                return True
        return False

    def step_aside(self) -> None:
        """Its thread does not look now. By that thread, which has said so; may be repeated."""
        if self._aside is not None:
            self._aside()

    def _go_away(self) -> None:
        """RUNNING to BLOCKED, for all. May be repeated."""
        for registry, record in self._members:
            record.depth = 1
            record.waiter = self
            go_away(registry, record, self._place)

    def _come_back(self) -> None:
        """To RUNNING, for all. What is raised meanwhile is raised when that is done."""
        kept: BaseException | None = None
        back: dict[Record, None] = {}
        while True:
            try:
                self._stand(back)
                self._make_todos(back)
                for _, record in self._members:
                    record.waiter = None
                self.occupied = False
                break
            except BaseException as error:  # noqa: BLE001 - raised below
                kept = kept or error
        if kept is not None:
            raise kept

    def _stand(self, back: dict[Record, None]) -> None:
        """To RUNNING for all, as soon as none forbids it. May be repeated, also with shut doors."""
        while self._has_to_stand(back):
            pass  # for one of them, and then look at the others again
        for _, record in self._members:
            record.depth = record.shut = 0

    def _has_to_stand(self, back: dict[Record, None]) -> bool:
        """Take the marks off, and note who is back. Whoever has a freeze to wait for is parked for
        it, with the marks of all others on; returns whether there was one.

        What asks after that waits for the next visit, so that it cannot keep the thread.
        """
        for registry, record in self._members:
            if record not in back:
                record.last = record.todo.pop(AWAY, record.last)
                if record.freeze_to_stop_for() is not None:
                    back.clear()
                    self._mark_others(record)
                    come_back(registry, record, self._place)
                    back[record] = None
                    return True
                back[record] = None
        return False

    def _mark_others(self, record: Record) -> None:
        for registry, other in self._members:
            if other is not record:
                go_away(registry, other, self._place)

    def _make_todos(self, back: dict[Record, None]) -> None:
        """Make the todos that are there by now. A freeze does not wait for all of them."""
        for registry, record in self._members:
            for todo in pending_todos(record.todo) if record.todo else ():
                self.occupied = True
                self.step_aside()
                record.shut = 1
                make(registry, record, todo)
                record.shut = 0
                self.occupied = False
                if self.barred:
                    back.clear()
                    self._go_away()
                    self._stand(back)


class _Token:
    __slots__ = ("__weakref__",)


class Life(local):
    """`reference` is dead when the calling thread is, or has not come along in a fork."""

    def __init__(self) -> None:
        self._token = _Token()
        self.reference = weakref.ref(self._token)


life = Life()


class Waiter(Waiting):
    """A wait that others can end: they call `release`, or ring to have it look again."""

    __slots__ = ("_thread", "bell", "done")

    def __init__(
        self,
        label: str,
        *,
        aside: Callable[[], object] | None = None,
        plain: bool = False,
        shut: int = 0,
    ) -> None:
        self.bell = Bell()
        self.done = False
        self._thread = life.reference
        super().__init__(label, fork_safe=True, bell=self.bell, aside=aside, plain=plain, shut=shut)

    @property
    def lost(self) -> bool:
        """Whether its thread is no more: it stayed in the process that this one was forked from."""
        return self._thread() is None

    def release(self) -> None:
        """End the wait for good: its thread was chosen. From any thread, one at a time.

        Raises RuntimeError if that was done before, as a raw lock does that stands for a waiter.
        """
        done_before, self.done = self.done, True
        self.bell.ring()
        if done_before:
            raise RuntimeError("this wait was ended before")

    def wait(self, deadline: Deadline) -> bool:
        """Sleep until `release`, or the deadline; returns whether it was `release`."""
        while not self.done:
            self.sleep(deadline.remaining())
            if deadline.passed():
                break
        return self.done

    def sleep(self, timeout: float) -> None:
        """One bout: sleep until somebody rings, for at most `timeout` seconds (-1: for ever).

        When it returns the thread runs, has made its todos, and looks at what it waits for.
        """
        if not self._members:
            self.bell.wait(timeout)
            return
        try:
            self._go_away()
            if not self._is_asked():
                self.bell.wait(timeout)
            self._come_back()
        except BaseException:
            self._come_back()
            raise

    def _is_asked(self) -> bool:
        """Whether there is a todo to make, posted before the poster could find the bell."""
        return any(
            len(record.todo) > 1 and pending_todos(record.todo) for _, record in self._members
        )


def stop_if_asked(label: str) -> None:
    """A safepoint for all of the calling thread's freezers, of the kind "wait".

    For a wait that does not have to wait; called if anything is `armed`.
    """
    members = members_waiting()
    if any(record.todo for _, record in members):
        # With its own bell: it is about to stand, and nothing keeps it from what it is asked there.
        with Waiting(label, fork_safe=True, bell=members[0][1].bell):
            pass


class Plain:
    """`with Plain():` while it lasts the calling thread's freezable waits are plain ones.

    For waits that are short by themselves and made while something is held that others need. May
    be nested.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        enrolments.plain += 1

    def __exit__(self, *exc_info: object) -> None:
        enrolments.plain -= 1


def members_waiting(shut: int = 0) -> tuple[tuple[Registry, Record], ...]:
    """The calling thread's enrolments for which a wait of it, now, is one of its own.

    For `shut` see `Waiting`.
    """
    if not enrolments.members or enrolments.plain or parking.shut > shut:
        return ()
    return tuple(member for member in enrolments.members if not _is_elsewhere(member[1]))


def _is_elsewhere(record: Record) -> bool:
    """Whether its thread is in a region, in a wait that a signal handler has interrupted, or out:
    whom an installation has dismissed keeps its record, perhaps for a freeze that stands."""
    return bool(record.exited or record.depth or record.shut or record.waiter)


def caller_of(frame: FrameType) -> FrameType:
    """The innermost frame from `frame` on outwards that is not plumbing."""
    outer: FrameType | None = frame
    while outer is not None and outer.f_code.co_filename in plumbing:
        outer = outer.f_back
    return outer or frame
