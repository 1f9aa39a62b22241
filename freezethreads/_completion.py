"""Waiting and waking: the doorbell of one thread, and the completion that lets many go.

What is assumed of CPython, with and without the GIL: `acquire` and `release` of a lock are
atomic, a lock may be released by another thread than the one that acquired it, and releasing an
unlocked lock raises RuntimeError (all documented). Of `dict`, that setting, popping, `popitem` and
`copy` are each one operation: with a GIL since keys here hash and compare in C alone, without
one since the dict locks itself.

Everything here is *level-triggered*: a waiter looks at a condition in a loop, and a ring only makes
it look again. A ring too many is harmless, and an operation that an asynchronous exception
has cut in two is mended by doing it again from the start. That is why there is no lock to be
left held.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from freezethreads._original import allocate_lock

Waiter = TypeVar("Waiter")


class Bell:
    """One thread's doorbell: one waits, anybody rings. Rings do not add up."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Make the waiter look again, now or at its next `wait`. From any thread; never blocks."""
        try:
            self._lock.release()
        except RuntimeError:
            pass  # it rings already

    def wait(self, timeout: float = -1) -> None:
        """Wait for a ring for at most `timeout` seconds (-1: for ever). By the owner alone.

        May return without a ring: the caller looks at its condition in a loop.
        """
        self._lock.acquire(timeout=timeout)


class Completion(Generic[Waiter]):
    """Not done, then done for good: the kernel's ``struct completion`` with ``complete_all()``.

    Completing wakes *one* of the waiters, and each that leaves wakes one more. So it costs the
    controller the same for one waiter as for a thousand, and with a GIL the woken do not fight
    for it. The chain cannot stop short: of the waiters taken off `_chain` there is always one
    more than have left, hence one that was rung and has still to leave, and it will take off
    the next. Should an exception cut the taking off from the ringing, all are rung.
    """

    __slots__ = ("_chain", "_waiting", "done")

    def __init__(self) -> None:
        self.done = False
        self._waiting: dict[Bell, Waiter] = {}
        self._chain: list[Bell] = []

    def enter(self, bell: Bell, waiter: Waiter) -> None:
        """Join those who wait: wait for `bell` until `done`, then `leave`. May be repeated."""
        self._waiting[bell] = waiter

    def leave(self, bell: Bell) -> None:
        """Once `done`, and in any case after `enter`: wake the next. May be repeated."""
        self._waiting.pop(bell, None)
        if self.done:
            self._wake_one()

    def finish(self) -> list[Waiter]:
        """Say that it is done, and return who waits. Wakes nobody yet. May be repeated.

        Who enters after the list was made finds it done, since both go through the same dict.
        """
        self.done = True
        waiting = self._waiting.copy()
        self._chain = list(waiting)
        return list(waiting.values())

    def complete_all(self) -> None:
        """After `finish`: let everybody go. May be repeated."""
        self._wake_one()

    def _wake_one(self) -> None:
        try:
            self._chain.pop().ring()
        except IndexError:
            pass  # everybody was rung
        except BaseException:
            for bell in self._waiting.copy():
                bell.ring()
            raise
