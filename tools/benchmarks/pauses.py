"""What a program might use instead of a freezer to make its threads stand still.

Each has three sides: what a thread does once, what it does in each turn of its loop, and how the
controller stops everybody and lets them go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from fasteners import ReaderWriterLock  # type: ignore[import-untyped]
from readerwriterlock.rwlock import RWLockable, RWLockFair, RWLockRead, RWLockWrite

from freezethreads import Freezer, World

GIVE_UP = 0.5
"""Seconds after which the controller stops waiting for a lock that running threads never free."""


class Pause(Protocol):
    """A way to make threads stand still."""

    def visit(self) -> AbstractContextManager[Callable[[], object]]:
        """Take part, and get what to call in each turn. By each thread."""

    def stop(self) -> bool:
        """Return True when all stand still, or False if it was given up. By the controller."""

    def go(self) -> None:
        """Let them run. By the controller."""


class FreezerPause:
    """This project's freezer."""

    def __init__(self, _: int) -> None:
        self._freezer = Freezer("pause")
        self._world: World | None = None

    @contextmanager
    def visit(self) -> Iterator[Callable[[], object]]:
        with self._freezer.register():
            yield self._freezer.safepoint

    def stop(self) -> bool:
        self._world = self._freezer.freeze()
        return True

    def go(self) -> None:
        assert self._world is not None
        self._world.thaw()


class HandWritten:
    """The pattern that programs write by hand: an Event, and a Condition that counts."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._running = threading.Event()
        self._running.set()
        self._changed = threading.Condition()
        self._paused = 0

    @contextmanager
    def visit(self) -> Iterator[Callable[[], object]]:
        yield self._check

    def _check(self) -> None:
        if not self._running.is_set():
            with self._changed:
                self._paused += 1
                self._changed.notify()
            self._running.wait()
            with self._changed:
                self._paused -= 1

    def stop(self) -> bool:
        self._running.clear()
        with self._changed:
            return self._changed.wait_for(lambda: self._paused == self._threads, GIVE_UP)

    def go(self) -> None:
        self._running.set()


class BarrierPause:
    """Two visits to a `threading.Barrier`, when a flag asks for them."""

    def __init__(self, threads: int) -> None:
        self._asked = False
        self._barrier = threading.Barrier(threads + 1)

    @contextmanager
    def visit(self) -> Iterator[Callable[[], object]]:
        yield self._check

    def _check(self) -> None:
        if self._asked:
            self._barrier.wait()
            self._barrier.wait()

    def stop(self) -> bool:
        self._asked = True
        self._barrier.wait()
        return True

    def go(self) -> None:
        self._asked = False
        self._barrier.wait()


class FastenersPause:
    """The threads hold a read lock of fasteners, and free it for a moment in each turn."""

    def __init__(self, _: int) -> None:
        self._lock = ReaderWriterLock()

    @contextmanager
    def visit(self) -> Iterator[Callable[[], object]]:
        with self._lock.read_lock():
            yield self._check

    def _check(self) -> None:
        self._lock.release_read_lock()
        self._lock.acquire_read_lock()

    def stop(self) -> bool:
        self._lock.acquire_write_lock()
        return True

    def go(self) -> None:
        self._lock.release_write_lock()


class ReaderWriterPause:
    """The same with a lock of readerwriterlock, which has three kinds."""

    def __init__(self, lock: RWLockable) -> None:
        self._lock = lock
        self._writer = lock.gen_wlock()

    @contextmanager
    def visit(self) -> Iterator[Callable[[], object]]:
        reader = self._lock.gen_rlock()

        def check() -> None:
            reader.release()
            reader.acquire()

        with reader:
            yield check

    def stop(self) -> bool:
        return self._writer.acquire(timeout=GIVE_UP)

    def go(self) -> None:
        self._writer.release()


OURS = "freezer"
PAUSES: dict[str, Callable[[int], Pause]] = {
    OURS: FreezerPause,
    "Event and counting Condition": HandWritten,
    "threading.Barrier": BarrierPause,
    "fasteners ReaderWriterLock": FastenersPause,
    "readerwriterlock RWLockFair": lambda _: ReaderWriterPause(RWLockFair()),
    "readerwriterlock RWLockRead": lambda _: ReaderWriterPause(RWLockRead()),
    "readerwriterlock RWLockWrite": lambda _: ReaderWriterPause(RWLockWrite()),
}
