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

from freezethreads._deadline import Deadline
from freezethreads._original import TIMEOUT_MAX, get_ident
from freezethreads._special import Unbound
from freezethreads._wait import Waiter, Waiting, plumbing
from freezethreads.sync._locks import Latch, Lock
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

        Raises RuntimeError if the calling thread has not acquired the lock.
        """
        if not self._is_owned():  # type: ignore[attr-defined]
            raise RuntimeError("cannot wait on un-acquired lock")
        deadline = _deadline_of(timeout)
        waiters = self._waiters  # type: ignore[attr-defined]
        mutex = self._lock  # type: ignore[attr-defined]
        waiter = Waiter("Condition.wait", shut=isinstance(mutex, Latch))
        saved: Any = mutex._recursion_count() if isinstance(mutex, RLock) else None
        try:
            waiters.append(waiter)
            saved = self._release_save()  # type: ignore[attr-defined]
            try:
                waiter.wait(deadline)
            finally:
                _acquire_again(self, saved)
            if not waiter.done:
                _discard(waiters, waiter)
            return waiter.done
        except BaseException:
            _withdraw(self, waiter, saved)
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


def _withdraw(condition: Any, waiter: Waiter, saved: Any) -> None:
    """An exception has cut a wait short: acquire the lock again, and leave the list.

    A notification is of no use to an exception: the next one has it. Whether a lock of the standard
    library's has been acquired cannot be told, so this looks after ours alone.
    """
    lock = condition._lock
    if isinstance(lock, RLock):
        lock._acquire_restore(saved)
    elif isinstance(lock, Lock) and lock.owner != get_ident():
        lock.acquire()
    if not waiter.done:
        _discard(condition._waiters, waiter)
    elif condition._is_owned():
        condition.notify()


def _acquire_again(condition: Any, saved: Any) -> None:
    if isinstance(condition._lock, (Lock, RLock)):
        condition._acquire_restore(saved)
        return
    while not _acquire_foreign(condition, saved):
        pass


def _acquire_foreign(condition: Any, saved: Any) -> bool:
    """Wait for a lock that is handed over in C, also to a frozen thread; give it back in this case.

    Returns whether the thread has it and runs.
    """
    mine = False

    def give_back() -> None:
        nonlocal mine
        if mine:
            mine = False
            condition._release_save()

    with Waiting("lock", aside=give_back):
        condition._acquire_restore(saved)
        mine = True
    return mine


def _deadline_of(timeout: float | None) -> Deadline:
    if timeout is not None and timeout > TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    return Deadline(None if timeout is None else max(0.0, timeout))  # which is 0 for NaN


def _is_barred(waiter: Any) -> bool:
    return isinstance(waiter, Waiter) and (waiter.barred or waiter.lost)


def _discard(waiters: Any, waiter: Waiter) -> None:
    if waiter in waiters:  # and not so in the child of a fork, where the list was emptied
        waiters.remove(waiter)
