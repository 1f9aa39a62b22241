"""Freezable waits: the third door to the refrigerator, for every freezer of the calling thread.

The pattern is the kernel's `wait_event_freezable()`. A wait is made of *bouts*: in each the thread
sets its `away`, sleeps, comes back to RUNNING as soon as no freeze forbids it, and only then
looks at what it waits for and takes it. So nobody who stands frozen owns anything. A bout ends when
somebody rings, which decides nothing: whoever wakes looks again. That is why a todo can wake a
waiting thread, which makes its todo and goes on waiting with the rest of its time.

A thread that is woken for something which it cannot take now, since it is to be frozen or has a
todo to make, passes it on before (`pass_on`).

Inside `blocking()`, `no_freeze()` and a todo such a wait is a plain one for that freezer: what
counts there is the region around it. That `away` is the thread's own, so it counts for all the
others with which the thread is enrolled, or is going to be: a todo or a signal handler may enrol
it.
"""

from __future__ import annotations

import queue
import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Final, Self

from freezethreads._ground.completion import Bell
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import local
from freezethreads._ground.uninterruptible import covered
from freezethreads._refrigerator.flat import wait_flat
from freezethreads._refrigerator.refrigerator import come_back, make, tell
from freezethreads._registry.doors import call_shut
from freezethreads._registry.places import closed_at, wait_at
from freezethreads._registry.record import Parking, Record, here
from freezethreads._registry.registry import Registry
from freezethreads._registry.todos import pending_todos

# Files whose frames are not where a wait *is*: its place is the line that asked for it.
plumbing: Final = {__file__, threading.__file__, queue.__file__}


class Waiting:
    """`with Waiting(label):` around one call of C that waits and takes nothing shared.

    It counts as stopped for every freezer with which the calling thread is enrolled, and its end
    is a safepoint for each. `pass_on` is called before the thread parks or makes a todo at that
    end, by itself, perhaps twice. `occupied` says that the thread does something else before it
    looks again at what it waits for. If it is `plain` it does not count, nor end in a safepoint.
    `shut`: how often the thread's doors are shut by what it will have released before it waits. For
    one thread and one use at a time.
    """

    __slots__ = ("_parking", "_pass_on", "_place", "occupied")

    def __init__(
        self,
        label: str,
        *,
        fork_safe: bool = False,
        bell: Bell | None = None,
        pass_on: Callable[[], object] | None = None,
        plain: bool = False,
        shut: int = 0,
    ) -> None:
        self._pass_on = pass_on
        self.occupied = False
        self._parking = None if plain or not waits_count(shut) else here.parking
        if self._parking is not None:
            frame = caller_of(sys._getframe(1))
            self._place = wait_at(frame, label, fork_safe, bell, _closed(self._parking))

    @covered
    def __enter__(self) -> Self:
        try:
            if self._parking is not None:
                self._go_away()
            return self
        except BaseException:
            self._come_back()
            raise

    @covered
    def __exit__(self, *exc_info: object) -> None:
        try:
            if self._parking is not None:
                self._come_back()
        except BaseException:
            self._come_back()
            raise

    @property
    def barred(self) -> bool:
        """Whether its thread is to stop, or stands, or is occupied. From any thread."""
        if self.occupied:
            return True
        parking = self._parking
        if parking is None or parking.word.is_quiet():
            return False
        status = parking.word.value
        if status.stay is not None and status.holder() is not None:
            return True
        return status.due(_doors(parking.members), parking.unfinished) is not None

    def pass_on(self) -> None:
        """Its thread does not look now. By that thread, which has said so; may be repeated."""
        if self._pass_on is not None:
            self._pass_on()

    def _go_away(self) -> None:
        """RUNNING to BLOCKED, for all. May be repeated."""
        parking = self._parking
        assert parking is not None
        parking.waiter = self
        parking.away = self._place
        status, after = parking.word._last  # without a call, unless there may be something
        if (after or status.freezes) and not parking.word.is_quiet():
            status = parking.word.value
            for registry, record in parking.members:
                if not record.shut:
                    tell(registry, record, status, self._place, closed_at(self._place))

    @covered
    def _come_back(self, kept: BaseException | None = None) -> None:
        """To RUNNING, for all. What is raised meanwhile is raised when that is done.

        May be repeated: who is back already has nothing to wait for. Where the stack has no room
        for it the thread waits without it, and makes its todos another time. `kept` is for itself
        alone, as in `come_back`.
        """
        try:
            parking = self._parking
            if parking is None:
                return
            while True:
                try:
                    for _, record in parking.members:
                        record.last = self._place
                    parking.away = None
                    status, after = parking.word._last  # as above
                    if (after or status.freezes) and not parking.word.is_quiet():
                        come_back(parking, self._place, _doors(parking.members))
                    self._make_todos(parking)
                    break
                except (RecursionError, MemoryError) as error:
                    kept = kept or error
                    parking.away = None
                    wait_flat(parking, self._place)
                    break
                except BaseException as error:  # noqa: BLE001 - raised below
                    kept = kept or error
            parking.waiter = None
            self.occupied = False
        except BaseException as error:  # noqa: BLE001 - raised by the call
            self._come_back(kept or error)
        if kept is not None:
            raise kept

    def _make_todos(self, parking: Parking) -> None:
        """Make the todos that are there by now. A freeze does not wait for all of them."""
        for registry, record in parking.members:
            has_todo = record.todo and not (record.depth or record.shut)
            for todo in pending_todos(record.todo) if has_todo else ():
                self.occupied = True
                self.pass_on()
                call_shut(make, registry, record, todo)
                self.occupied = False
                self._stop_again(parking)

    def _stop_again(self, parking: Parking) -> None:
        """Between two todos."""
        if not parking.word.is_quiet():
            come_back(parking, self._place, _doors(parking.members))


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
        pass_on: Callable[[], object] | None = None,
        plain: bool = False,
        shut: int = 0,
    ) -> None:
        self.bell = Bell()
        self.done = False
        self._thread = life.reference
        super().__init__(
            label, fork_safe=True, bell=self.bell, pass_on=pass_on, plain=plain, shut=shut
        )

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
        if self._parking is None:
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
        for _, record in self._parking.members if self._parking is not None else ():
            if record.todo and not (record.depth or record.shut):
                return True
        return False


def stop_if_asked(label: str) -> None:
    """A safepoint for all of the calling thread's freezers, of the kind "wait".

    For a wait that does not have to wait; called if anything is `armed`.
    """
    parking = here.parking
    if any([record.is_asked for _, record in parking.members]) and waits_count():
        # With its own bell: it is about to stand, and nothing keeps it from what it is asked there.
        with Waiting(label, fork_safe=True, bell=parking.bell):
            pass


class Plain:
    """`with Plain():` while it lasts the calling thread's freezable waits are plain ones.

    For waits that are short by themselves and made while something is held that others need. May
    be nested.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        here.parking.plain += 1

    @covered
    def __exit__(self, *exc_info: object) -> None:
        try:
            here.parking.plain -= 1
        except BaseException:
            here.parking.plain -= 1  # it was not done: that is the last step of the one above
            raise


def waits_count(shut: int = 0) -> bool:
    """Whether a wait of the calling thread, now, is one of its own for one of its freezers.

    It is not where the thread is in a region, or out: whom an installation has unregistered keeps
    its record, perhaps for a freeze that stands. For `shut` see `Waiting`.
    """
    parking = here.parking
    if not parking.members or parking.plain or parking.shut > shut or parking.waiter is not None:
        return False
    for _, record in parking.members:  # noqa: SIM110 - a generator costs as much as all the rest
        if not (record.exited or record.depth or record.shut):
            return True
    return False


def _doors(members: tuple[tuple[Registry, Record], ...]) -> tuple[Registry, ...]:
    """The freezers for whose freezes a wait stops its thread."""
    return tuple([registry for registry, record in members if not (record.depth or record.shut)])


def _closed(parking: Parking) -> tuple[object, ...]:
    """The other freezers, and what some freezes do not stop a thread in."""
    closed: tuple[object, ...] = parking.unfinished
    for registry, record in parking.members:
        if record.depth or record.shut:
            closed = (registry, *closed)
    return closed


def caller_of(frame: FrameType) -> FrameType:
    """The innermost frame from `frame` on outwards that is not plumbing."""
    outer: FrameType | None = frame
    while outer is not None and outer.f_code.co_filename in plumbing:
        outer = outer.f_back
    return outer or frame
