"""`RLock`, on one of the standard library's: see `_locks`."""

from __future__ import annotations

import re
from typing import Any, Final

from freezethreads._ground.original import TIMEOUT_MAX
from freezethreads._ground.original import RLock as ReentrantLock
from freezethreads._ground.uninterruptible import covered, exit_too
from freezethreads._refrigerator.waits import plumbing
from freezethreads._report import ownership
from freezethreads.sync._locks import DONE, Mutex, timeout_of
from freezethreads.sync._waitable import ORDERED

plumbing.add(__file__)

_OWNER: Final = re.compile(r"<locked .* owner=(\d+) ")


class RLock(Mutex):
    """`threading.RLock`, waiting freezably. From any thread; its owner alone may release it."""

    __slots__ = ("_raw",)
    _is_reentrant = True

    def __init__(self) -> None:
        self._raw: Any = ReentrantLock()
        super().__init__()

    def __repr__(self) -> str:
        inside = repr(self._raw)
        counts = inside[inside.index(" owner=") : inside.index(" at ")]
        return super().__repr__().replace(" object at ", f" object{counts} at ")

    @property
    def owner(self) -> int | None:
        """The ident of the thread that has it, or None. From any thread."""
        found = _OWNER.match(repr(self._raw))  # before Python 3.14 nothing else tells
        return int(found[1]) if found else None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire it, perhaps again; returns whether that succeeded.

        `timeout` in seconds, -1 for ever. Raises ValueError or OverflowError as the standard one;
        and `FreezeError` for a wait that would never end, since the calling thread has itself
        frozen the owner.
        """
        before = self._raw._recursion_count()
        try:
            if blocking is not True or timeout != -1:
                timeout = timeout_of(blocking, timeout)
            if not self._try(False) and not self._acquire_slow(timeout):
                return False
            if ownership.tracking and not before:
                self._note_acquired()
            return True
        except BaseException:
            try:
                if self._raw._recursion_count() > before:
                    self.release()
            except BaseException:  # another one, as the first is handled
                if self._raw._recursion_count() > before:
                    self.release()
                raise
            raise

    @exit_too
    @covered
    def release(self, kind: object = None, error: object = None, traceback: object = None) -> None:
        """Release it once. Raises RuntimeError if the calling thread does not have it."""
        try:
            if ownership.tracking:
                self._note_released()
            kind = DONE  # not interrupted before the call, which does it or raises
            self._raw.release()
            if not ORDERED:
                self._waiters.pop(None, None)
            if self._waiters:
                self._wake_next()
        except BaseException:
            # Without a call of anything in Python: it may be a RecursionError. And with none at all
            # before it is released: after a call another exception may come.
            try:
                if kind is not DONE:
                    try:
                        self._raw.release()
                    except RuntimeError:
                        pass  # the calling thread does not have it
                for waiter in list(self._waiters):
                    try:
                        waiter.bell._lock.release()
                    except RuntimeError:
                        pass  # it rings already
            except BaseException:
                self._ring_all()
                raise
            raise

    __enter__ = acquire
    __exit__ = release

    def _note_released(self) -> None:
        if self._raw._recursion_count() == 1:
            ownership.note_released(self)

    def _acquire_slow(self, timeout: float) -> bool:
        return self._wait_to_take(lambda: bool(self._raw.acquire(False)), timeout)

    def _is_available(self) -> bool:
        return self.owner is None

    def _note_left(self) -> None:
        self._try = self._raw.acquire

    def _look_first(self, blocking: bool) -> bool:
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
        if ownership.tracking:
            ownership.note_released(self)
        try:
            self._raw._release_save()
        finally:
            self._waiters.pop(None, None)  # see `ORDERED`
            self._wake_next()
        return count

    def _acquire_restore(self, count: int) -> None:
        while self._raw._recursion_count() < count:  # so it may be repeated
            self.acquire(True, TIMEOUT_MAX)  # with one, it is never refused: see `_own_world`
