"""`Lock` and `RLock`.

Their fast paths are a few operations of C, each of which is atomic, with a GIL and without. After
an asynchronous exception in the middle it can be told whether the thread has acquired the lock, so
that it can give it back. (One that hits a release is not to keep those who wait from being woken,
hence the `try` in each.) For a re-entrant lock there is one of the standard library's inside,
which counts for its owner; the raw lock tells nothing of the kind. So the state of a `Lock` is a
dict that is empty, or holds its owner under the key 0. To acquire is `setdefault`, to release is
`pop`: the key is an int, which hashes and compares in C, and without a GIL the dict locks itself.
The owner is the int that `get_ident()` made for this very acquisition. Its value says which thread
it is; its identity, which acquisition: idents are addresses on POSIX systems, and an int of that
size is made anew each time.

Who finds a lock free takes it, also before those who wait: that is what makes it quick. Waiters
would starve if it were all, for with a GIL the thread that releases is back long before the one
that it has woken. So a lock with a waiter that starves is *fair* for a while: whoever wants it
queues up. (Mutexes of Go and WebKit do so after the same time.)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, Final

from freezethreads import _ownership
from freezethreads._deadline import Deadline
from freezethreads._original import RLock as ReentrantLock
from freezethreads._original import allocate_lock, get_ident
from freezethreads._refrigerator import place_of
from freezethreads._wait import caller_of, plumbing
from freezethreads.sync._waitable import Waitable

plumbing.add(__file__)

_STARVING = 0.001  # seconds of waiting in vain
_OWNER: Final = re.compile(r"<locked .* owner=(\d+) ")


class _Mutex(Waitable):
    """What both locks share.

    `_try` is what acquires if that can be done at once, and is what does nothing of the kind for as
    long as the lock is fair. Any thread may set it at any time: it decides who tries, and no more.
    """

    __slots__ = ("_try",)
    _try: Callable[..., Any]

    def __init__(self) -> None:
        super().__init__()
        self._note_left()

    def __repr__(self) -> str:
        cls = type(self)
        state = "unlocked" if self._is_available() else "locked"
        return f"<{state} {cls.__module__}.{cls.__qualname__} object at {id(self):#x}>"

    def locked(self) -> bool:
        """Whether somebody has it."""
        return not self._is_available()

    @property
    def owner(self) -> int | None:
        """The ident of the thread that has it, or None. From any thread."""
        raise NotImplementedError

    def _wait_to_take(self, take: Callable[[], bool], timeout: float) -> bool:
        """Somebody else has it: wait. `timeout` in seconds, -1 for ever, 0 not at all."""
        if timeout == 0:
            return take()
        deadline = Deadline(None if timeout < 0 else timeout)
        label = f"{type(self).__name__}.acquire"
        before = _ownership.note_waiting(self)
        try:
            return self._wait(take, deadline, label)
        finally:
            _ownership.note_waiting(before)

    def _note_acquired(self) -> None:
        place = place_of(caller_of(sys._getframe(1)), "wait", "acquire")
        _ownership.note_acquired(self, place)


class Lock(_Mutex):
    """`threading.Lock`, waiting freezably. From any thread; any thread may release it."""

    __slots__ = ("_owner",)

    def __init__(self) -> None:
        self._owner: dict[int, int] = {}
        super().__init__()

    @property
    def owner(self) -> int | None:
        """The ident of the thread that has it, or None. From any thread."""
        return self._owner.get(0)

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire it; returns whether that succeeded. `timeout` in seconds, -1 for ever.

        Raises ValueError or OverflowError as the standard lock does.
        """
        me = get_ident()
        try:
            if blocking is not True or timeout != -1:
                timeout = _timeout_of(blocking, timeout)
            if self._try(0, me) is not me and not self._acquire_slow(me, timeout):
                return False
            if _ownership.tracking:
                self._note_acquired()
            return True
        except BaseException:
            if self._owner.get(0) is me:
                _ownership.note_released(self)
                self._owner.pop(0, None)
                self._wake_next()
            raise

    def release(self) -> None:
        """Release it, whoever has acquired it. Raises RuntimeError if nobody has."""
        if _ownership.tracking:
            _ownership.note_released(self)
        try:
            if self._owner.pop(0, None) is None:
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
            if self._owner.pop(0, None) is None:
                raise RuntimeError("release unlocked lock")
            if self._waiters:
                self._wake()
        except BaseException:
            self._wake_next()
            raise

    def _acquire_slow(self, me: int, timeout: float) -> bool:
        return self._wait_to_take(lambda: self._owner.setdefault(0, me) is me, timeout)

    def _is_available(self) -> bool:
        return not self._owner

    def _note_beaten(self, waited: float) -> None:
        if waited > _STARVING:
            self._try = self._look

    def _note_left(self) -> None:
        self._try = self._owner.setdefault  # another that starves will say so again

    def _look(self, key: int, me: int) -> int | None:
        return self._owner.get(key)

    def _at_fork_reinit(self) -> None:
        """In the child of a fork: free, and nobody waits. As the standard locks have it."""
        self._owner.clear()
        self._waiters.clear()
        self._note_left()

    def _is_owned(self) -> bool:  # for Condition, which asks whether *somebody* has such a lock
        return bool(self._owner)

    acquire_lock = acquire
    release_lock = release
    locked_lock = _Mutex.locked


class Latch(Lock):
    """A lock that is held for a few steps only: who waits for it is not stopped there."""

    __slots__ = ()
    _is_freezable = False


class RLock(_Mutex):
    """`threading.RLock`, waiting freezably. From any thread; its owner alone may release it."""

    __slots__ = ("_raw",)

    def __init__(self) -> None:
        self._raw: Any = ReentrantLock()
        super().__init__()

    def __repr__(self) -> str:
        inside = repr(self._raw)
        return f"{super().__repr__()[:-1]}{inside[inside.index(' owner=') : inside.index(' at ')]}>"

    @property
    def owner(self) -> int | None:
        """The ident of the thread that has it, or None. From any thread."""
        found = _OWNER.match(repr(self._raw))  # before Python 3.14 nothing else tells
        return int(found[1]) if found else None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire it, perhaps again; returns whether that succeeded.

        `timeout` in seconds, -1 for ever. Raises ValueError or OverflowError as the standard one.
        """
        before = self._raw._recursion_count()
        try:
            if blocking is not True or timeout != -1:
                timeout = _timeout_of(blocking, timeout)
            if not self._try(False) and not self._acquire_slow(timeout):
                return False
            if _ownership.tracking and not before:
                self._note_acquired()
            return True
        except BaseException:
            if self._raw._recursion_count() > before:
                self.release()
            raise

    def release(self) -> None:
        """Release it once. Raises RuntimeError if the calling thread does not have it."""
        if _ownership.tracking:
            self._note_released()
        try:
            self._raw.release()
            if self._waiters:
                self._wake_next()
        except BaseException:
            self._wake_next()
            raise

    __enter__ = acquire

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if _ownership.tracking:  # as `release` does, whose call would cost as much again
            self._note_released()
        try:
            self._raw.release()
            if self._waiters:
                self._wake_next()
        except BaseException:
            self._wake_next()
            raise

    def _note_released(self) -> None:
        if self._raw._recursion_count() == 1:
            _ownership.note_released(self)

    def _acquire_slow(self, timeout: float) -> bool:
        return self._wait_to_take(lambda: bool(self._raw.acquire(False)), timeout)

    def _is_available(self) -> bool:
        return self.owner is None

    def _note_beaten(self, waited: float) -> None:
        if waited > _STARVING:
            self._try = self._try_again

    def _note_left(self) -> None:
        self._try = self._raw.acquire

    def _try_again(self, blocking: bool) -> bool:
        return self._is_owned() and self._raw.acquire(blocking)

    def _at_fork_reinit(self) -> None:
        """In the child of a fork: free, and nobody waits. As the standard locks have it."""
        self._raw._at_fork_reinit()
        self._waiters.clear()
        self._note_left()

    # What Condition, and the standard library's tests, ask of a re-entrant lock.

    def _is_owned(self) -> bool:
        return bool(self._raw._is_owned())

    def _recursion_count(self) -> int:
        return int(self._raw._recursion_count())

    def _release_save(self) -> int:
        count = self._recursion_count()
        if _ownership.tracking:
            _ownership.note_released(self)
        try:
            self._raw._release_save()
        finally:
            self._wake_next()
        return count

    def _acquire_restore(self, count: int) -> None:
        while self._raw._recursion_count() < count:  # so it may be repeated
            self.acquire()


def _timeout_of(blocking: bool, timeout: float) -> float:
    """Check `acquire`'s arguments; return the time-out they mean, 0 for not waiting."""
    allocate_lock().acquire(blocking, timeout)  # a free one, for its errors on this interpreter
    return timeout if blocking else 0
