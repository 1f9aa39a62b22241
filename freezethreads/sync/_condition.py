"""`Condition`: the standard one, whose waits are freezable ones.

The thread waits with its lock released, comes back when nothing keeps it frozen, and only then
acquires the lock again. So it never stands frozen with the lock, unless it has another hold on it.
Both methods work on any `threading.Condition`, and with a raw lock in it as well.
"""

from __future__ import annotations

import operator
import threading
from itertools import islice
from typing import TYPE_CHECKING, Any

from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import TIMEOUT_MAX, LockType, get_ident
from freezethreads._ground.original import RLock as ReentrantLock
from freezethreads._ground.uninterruptible import Unbound, need_depth
from freezethreads._refrigerator.waits import Waiter, Waiting, plumbing
from freezethreads.sync._locks import Latch, Lock, timeout_of
from freezethreads.sync._reentrant import RLock

plumbing.add(__file__)


class Condition(threading.Condition):
    """`threading.Condition`, waiting freezably. From any thread.

    `lock` of None: a new `RLock` of this package. Any other lock will do, but one of the standard
    library's that is handed over during a freeze is owned for a moment by a thread that stands
    frozen, which gives it back.

    A notification goes to somebody who is not frozen, if there is one. Who is frozen after it has
    been notified keeps it until the thaw.
    """

    def __init__(self, lock: Any = None) -> None:
        mutex: Any = RLock() if lock is None else lock
        super().__init__(mutex)
        self._enter = mutex.__enter__
        self._exit = mutex.__exit__

    if not TYPE_CHECKING:
        # The lock's own, without a function in between.
        __enter__ = Unbound(operator.attrgetter("_enter"), doc="Acquires the lock.")
        __exit__ = Unbound(operator.attrgetter("_exit"), doc="Releases the lock.")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until notified; returns False if `timeout` seconds were over before (None: never).

        Raises RuntimeError if the calling thread has not acquired the lock, and ValueError for a
        time-out of NaN, as the standard one does from 3.14.10 on (before, some waits never end).
        """
        if not self._is_owned():  # type: ignore[attr-defined]
            raise RuntimeError("cannot wait on un-acquired lock")
        need_depth()
        deadline = _deadline_of(timeout)
        waiters = self._waiters  # type: ignore[attr-defined]
        mutex = self._lock  # type: ignore[attr-defined]
        waiter = Waiter("Condition.wait", shut=isinstance(mutex, Latch))
        grip = _Grip(mutex) if isinstance(mutex, (Lock, RLock)) else _ForeignGrip(mutex)
        try:
            waiters.append(waiter)
            grip.release()
            try:
                waiter.wait(deadline)
            finally:
                grip.acquire_again()
            if not waiter.done:
                _discard(waiters, waiter)
            return waiter.done
        except BaseException:
            try:
                _withdraw(self, waiter, grip)
            except BaseException:
                _withdraw(self, waiter, grip)
                raise
            raise

    def notify(self, n: int = 1) -> None:
        """Wake `n` of those who wait, in order of arrival, but those last who are to be frozen.

        Raises RuntimeError if the calling thread has not acquired the lock.
        """
        waiters = self._waiters  # type: ignore[attr-defined]
        if not waiters and self._is_owned():  # type: ignore[attr-defined]
            return
        if (
            n < len(waiters)
            and self._is_owned()  # type: ignore[attr-defined]
            and any(map(_is_barred, islice(waiters, n)))
        ):
            for waiter in reversed([one for one in waiters if not _is_barred(one)][:n]):
                waiters.remove(waiter)
                waiters.appendleft(waiter)
        _notify(self, n)


_notify = threading.Condition.notify


def _withdraw(condition: Any, waiter: Waiter, grip: _Grip | _ForeignGrip) -> None:
    """An exception has cut a wait short: acquire the lock again, and leave the list. May be
    repeated.

    A notification is of no use to an exception: the next one has it, or perhaps the next two if
    another exception comes as it is handed on.
    """
    grip.acquire_again()
    if not waiter.done:
        _discard(condition._waiters, waiter)
    elif condition._is_owned():
        condition.notify()


class _Grip:
    """One of our locks, which a wait releases and acquires again. It tells whether one has it."""

    __slots__ = ("_count", "_lock")

    def __init__(self, lock: Lock | RLock) -> None:
        self._lock = lock
        self._count = lock._recursion_count() if isinstance(lock, RLock) else 1

    def release(self) -> None:
        if isinstance(self._lock, RLock):
            self._lock._release_save()
        else:
            self._lock.release()

    def acquire_again(self) -> None:
        """Unless one has it. May be repeated."""
        if isinstance(self._lock, RLock):
            self._lock._acquire_restore(self._count)
        elif self._lock.owner != get_ident():
            self._lock.acquire(True, TIMEOUT_MAX)  # with one, it is never refused: `_own_world`


class _ForeignGrip:
    """The same for any other lock, which does not tell: so each step is noted as it is made.

    A step and its note are one call of C, for the locks of the standard library: an exception comes
    before it, or after it. What another lock has done when it is cut short, nobody knows; so that
    is not tried again, and leaves the wait with the lock or without.
    """

    __slots__ = ("_acquire", "_is_certain", "_is_cut", "_release", "_restore", "_saved", "_taken")

    def __init__(self, lock: Any) -> None:
        self._is_certain = isinstance(lock, (LockType, type(ReentrantLock())))
        self._is_cut = False
        self._release = getattr(lock, "_release_save", lock.release)
        self._restore = getattr(lock, "_acquire_restore", None)
        self._acquire = lock.acquire
        self._saved: list[object] = []  # what each release has returned
        self._taken: list[object] = []  # and each acquisition

    @property
    def mine(self) -> bool:
        """Whether one has it."""
        return len(self._taken) == len(self._saved)

    def release(self) -> None:
        """If one has it. May be repeated."""
        if self.mine:
            self._saved.extend(map(operator.call, (self._release,)))

    def acquire_again(self) -> None:
        """Unless one has it. May be repeated.

        It is handed over in C, also to a thread that is frozen, which gives it back in this case.
        """
        while not (self.mine or self._is_cut):
            with Waiting("lock", pass_on=self.release):
                self._is_cut = not self._is_certain
                if self._restore is not None:
                    self._taken.extend(map(self._restore, self._saved[-1:]))
                else:
                    self._taken.extend(map(operator.call, (self._acquire,)))
                self._is_cut = False


def _deadline_of(timeout: float | None) -> Deadline:
    if timeout is None:
        return Deadline(None)
    return Deadline(0.0 if timeout <= 0 else timeout_of(True, timeout))


def _is_barred(waiter: Any) -> bool:
    return isinstance(waiter, Waiter) and (waiter.barred or waiter.lost)


def _discard(waiters: Any, waiter: Waiter) -> None:
    if waiter in waiters:  # and not so in the child of a fork, where the list was emptied
        waiters.remove(waiter)
