"""Waiting and waking: the doorbell of one thread, and the completion that lets many go.

What is assumed of CPython, with and without the GIL: `acquire` and `release` of a lock are
atomic, a lock may be released by another thread than the one that acquired it, and releasing an
unlocked lock raises RuntimeError (all documented). Of `dict`, that setting, popping, `popitem` and
`list(d)` are each one operation: with a GIL since keys here hash and compare in C alone, without
one since the dict locks itself.

Everything here is *level-triggered*: a waiter looks at a condition in a loop, and a ring only makes
it look again. A ring too many is harmless, and an operation that an asynchronous exception
has cut in two is mended by doing it again from the start. That is why there is no lock to be
left held.
"""

from __future__ import annotations

from freezethreads._ground.original import allocate_lock, get_ident, main, monotonic
from freezethreads._ground.uninterruptible import covered

_SLOW = 0.002  # seconds from ring to run: fewer with a free processor, more without


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
        except RecursionError:  # a RuntimeError: it has not rung
            raise
        except RuntimeError:
            pass  # it rings already

    def wait(self, timeout: float = -1) -> bool:
        """Wait for a ring for at most `timeout` seconds (-1: for ever), and return whether it came.

        By its thread alone. A ring may be an old one: the caller looks at its condition in a loop.
        """
        return self._lock.acquire(timeout=timeout)


class Completion:
    """Not done, then done for good: the kernel's ``struct completion`` with ``complete_all()``.

    Completing wakes *two* of the waiters, and each that leaves wakes one more. So it costs the
    controller the same for two waiters as for a thousand, and with a GIL the woken do not fight
    for it. Whoever leaves once it is done takes one off `_chain` and wakes it. So there are always
    two who were rung and have still to leave, until one is left; and the chain goes on if one of
    the two does not come: the main thread, which may be in a signal handler for as long as it
    likes, and no other thread can be. Since that handler may come as the thread has taken one and
    has yet to wake it, the main thread takes none, and wakes all that are left. Should an exception
    cut the taking from the waking, all are woken as well.

    Threads that compute make such a chain slow with a GIL, since each that is woken has to win
    it from all who are back, a switch interval at a time. So a thread that took long to come
    wakes two: the chain becomes a tree as wide as it has to be.
    """

    __slots__ = ("_chain", "_rung_at", "_waiting", "done")

    def __init__(self) -> None:
        self.done = False
        self._waiting: dict[Bell, None] = {}
        self._chain: list[Bell] = []
        self._rung_at = 0.0

    def enter(self, bell: Bell) -> None:
        """Join those who wait: wait for `bell` until `done`, then `leave`. May be repeated."""
        self._waiting[bell] = None

    def leave(self, bell: Bell) -> None:
        """Once `done`, and in any case after `enter`: wake the next. May be repeated."""
        self._waiting.pop(bell, None)
        if self.done and get_ident() == main.ident:
            self._wake_all()
        elif self.done:
            slow = monotonic() - self._rung_at > _SLOW
            self._wake_one()
            if slow:
                self._wake_one()

    def end_in_child(self) -> None:
        """In the child of a fork, whose only thread has nobody to wake. (See `inherited`.)"""
        self.done = True
        self._waiting, self._chain = {}, []

    def complete_all(self) -> None:
        """Let everybody go. May be repeated.

        Who enters after the list was made finds it done, since both go through the same dict.
        """
        self.done = True
        self._chain = list(self._waiting)
        self._wake_one()
        self._wake_one()

    def _wake_one(self) -> None:
        try:
            while (bell := self._chain.pop()) not in self._waiting:
                pass  # it has left on its own, and has woken another
            self._rung_at = monotonic()
            bell.ring()
        except IndexError:
            pass  # everybody was rung
        except BaseException:
            self._wake_all()
            raise

    @covered
    def _wake_all(self) -> None:
        try:
            for bell in list(self._waiting):
                bell.ring()
        except BaseException:
            self._wake_all()
            raise
