"""`Lock` and `RLock`.

The state of a lock is a dict that is empty, or holds its owner under the key 0. To acquire is
`setdefault`, to release is `pop`: each atomic, with a GIL since the key is an int, which hashes and
compares in C, without one since the dict locks itself. A raw lock inside would do the same quicker,
but it could not tell a thread that was hit by an asynchronous exception whether it has it. (One
that hits a release is not to keep those who wait from being woken, hence the `try` in each.)

The owner is the int that `get_ident()` made for this very acquisition. Its value says which thread
it is; its identity, which acquisition: idents are addresses on POSIX systems, and an int of that
size is made anew each time.

Who finds it free takes it, also before those who wait: that is what makes a lock quick. Waiters
would starve if it were all, for with a GIL the thread that releases is back long before the one
that it has woken. So a lock with a waiter that starves is *fair* for a while: whoever wants it
queues up. (Mutexes of Go and WebKit do so after the same time; CPython's has it from there.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from freezethreads import _ownership
from freezethreads._deadline import Deadline
from freezethreads._original import allocate_lock, get_ident
from freezethreads._refrigerator import place_of
from freezethreads._wait import caller_of, plumbing
from freezethreads.sync._waitable import Waitable

plumbing.add(__file__)


_STARVING = 0.001  # seconds of waiting in vain


class _Mutex(Waitable):
    """What both locks share.

    `_take(0, me)` returns `me` if that is the owner now, or whoever else is. It is `setdefault` of
    the owner, but for as long as the lock is fair. Any thread may set it at any time: it decides
    who tries, and nothing else.
    """

    __slots__ = ("_drop", "_owner", "_take")

    def __init__(self) -> None:
        super().__init__()
        self._owner: dict[int, int] = {}
        self._take: Callable[[int, int], int | None] = self._owner.setdefault
        self._drop = self._owner.pop

    def __repr__(self) -> str:
        state = "locked" if self._owner else "unlocked"
        cls = type(self)
        return f"<{state} {cls.__module__}.{cls.__qualname__} object at {id(self):#x}>"

    def locked(self) -> bool:
        """Whether somebody has it."""
        return bool(self._owner)

    @property
    def owner(self) -> int | None:
        """The ident of the thread that has it, or None. From any thread."""
        return self._owner.get(0)

    def _is_available(self) -> bool:
        return not self._owner

    def _acquire_slow(self, me: int, timeout: float = -1) -> bool:
        """Somebody else has it: wait. `timeout` in seconds, -1 for ever, 0 not at all."""
        if timeout == 0:
            return self._owner.setdefault(0, me) is me
        deadline = Deadline(None if timeout < 0 else timeout)
        label = f"{type(self).__name__}.acquire"
        before = _ownership.note_waiting(self)
        try:
            return self._wait(lambda: self._owner.setdefault(0, me) is me, deadline, label)
        finally:
            _ownership.note_waiting(before)

    def _note_beaten(self, waited: float) -> None:
        if waited > _STARVING:
            self._take = self._look

    def _note_left(self) -> None:
        self._take = self._owner.setdefault  # another that starves will say so again

    def _look(self, key: int, me: int) -> int | None:
        return self._owner.get(key)

    def _take_back(self, me: int) -> None:
        """An exception has cut an acquisition short: undo it, if it had been successful."""
        if self._owner.get(0) is me:
            _ownership.note_released(self)
            self._drop(0, None)
            self._wake_next()

    def _note_acquired(self) -> None:
        place = place_of(caller_of(sys._getframe(1)), "wait", "acquire")
        _ownership.note_acquired(self, place)

    def _at_fork_reinit(self) -> None:
        """In the child of a fork: free, and nobody waits. As the standard locks have it."""
        self._owner.clear()
        self._waiters.clear()
        self._note_left()


class Lock(_Mutex):
    """`threading.Lock`, waiting freezably. From any thread; any thread may release it."""

    __slots__ = ()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire it; returns whether that succeeded. `timeout` in seconds, -1 for ever.

        Raises ValueError or OverflowError as the standard lock does.
        """
        me = get_ident()
        try:
            if blocking is not True or timeout != -1:
                timeout = _timeout_of(blocking, timeout)
            if self._take(0, me) is not me and not self._acquire_slow(me, timeout):
                return False
            if _ownership.tracking:
                self._note_acquired()
            return True
        except BaseException:
            self._take_back(me)
            raise

    def release(self) -> None:
        """Release it, whoever has acquired it. Raises RuntimeError if nobody has."""
        if _ownership.tracking:
            _ownership.note_released(self)
        try:
            if self._drop(0, None) is None:
                raise RuntimeError("release unlocked lock")
            if self._waiters:
                self._wake()
        except BaseException:
            self._wake_next()
            raise

    __enter__ = acquire

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if _ownership.tracking:
            _ownership.note_released(self)
        try:
            if self._drop(0, None) is None:
                raise RuntimeError("release unlocked lock")
            if self._waiters:
                self._wake()
        except BaseException:
            self._wake_next()
            raise

    # For Condition, which asks whether *somebody* has such a lock.
    _is_owned = _Mutex.locked
    acquire_lock = acquire
    release_lock = release
    locked_lock = _Mutex.locked


class RLock(_Mutex):
    """`threading.RLock`, waiting freezably. From any thread; its owner alone may release it.

    `_count` is how often its owner has acquired it. The owner alone writes it. It is never less
    than 1, so that a signal handler that comes before the owner has written it, and acquires and
    releases the lock as well, does not free it.
    """

    __slots__ = ("_count",)

    def __init__(self) -> None:
        super().__init__()
        self._count = 1

    def __repr__(self) -> str:
        owner = self._owner.get(0, 0)
        return f"{super().__repr__()[:-1]} owner={owner} count={self._count if owner else 0}>"

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire it, perhaps again; returns whether that succeeded.

        `timeout` in seconds, -1 for ever. Raises ValueError or OverflowError as the standard one.
        """
        me = get_ident()
        count = 0
        try:
            if blocking is not True or timeout != -1:
                timeout = _timeout_of(blocking, timeout)
            owner = self._take(0, me)
            if owner is not me:
                if owner == me:
                    count = self._count
                elif not self._acquire_slow(me, timeout):
                    return False
            self._count = count + 1
            if _ownership.tracking and not count:
                self._note_acquired()
            return True
        except BaseException:
            if count:
                self._count = count
            else:
                self._take_back(me)
            raise

    def release(self) -> None:
        """Release it once. Raises RuntimeError if the calling thread does not have it."""
        owner = self._owner
        if owner.get(0) != get_ident():
            raise RuntimeError("cannot release un-acquired lock")
        if self._count > 1:
            self._count -= 1
            return
        if _ownership.tracking:
            _ownership.note_released(self)
        try:
            del owner[0]
            if self._waiters:
                self._wake()
        except BaseException:
            self._wake_next()
            raise

    __enter__ = acquire

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        owner = self._owner  # as `release` does, whose call would cost as much again
        if owner.get(0) != get_ident():
            raise RuntimeError("cannot release un-acquired lock")
        if self._count > 1:
            self._count -= 1
            return
        if _ownership.tracking:
            _ownership.note_released(self)
        try:
            del owner[0]
            if self._waiters:
                self._wake()
        except BaseException:
            self._wake_next()
            raise

    def _free(self) -> None:
        if _ownership.tracking:
            _ownership.note_released(self)
        try:
            self._drop(0, None)
            if self._waiters:
                self._wake()
        except BaseException:
            self._wake_next()
            raise

    # What Condition, and the standard library's tests, ask of a re-entrant lock.

    def _is_owned(self) -> bool:
        return self._owner.get(0) == get_ident()

    def _recursion_count(self) -> int:
        return self._count if self._is_owned() else 0

    def _release_save(self) -> int:
        if not self._is_owned():
            raise RuntimeError("cannot release un-acquired lock")
        count = self._count
        self._free()
        return count

    def _acquire_restore(self, count: int) -> None:
        self.acquire()
        self._count = count


def _timeout_of(blocking: bool, timeout: float) -> float:
    """Check `acquire`'s arguments; return the time-out they mean, 0 for not waiting."""
    allocate_lock().acquire(blocking, timeout)  # a free one, for its errors on this interpreter
    return timeout if blocking else 0
