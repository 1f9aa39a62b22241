"""`Lock`, and what `RLock` shares with it.

Their fast paths are a few operations of C, each of which is atomic, with a GIL and without. After
an asynchronous exception in the middle it can be told whether the thread has acquired the lock, so
that it can give it back, and whether it has released it, so that it can do what is left to do.
(`covered` has a release begin inside its `try`.) For a re-entrant lock there is one of the standard
library's inside, which counts for its owner; the raw lock tells nothing of the kind. So the state
of a `Lock` is a dict that has its owner under the key 0, or no such key. To acquire is
`setdefault`, to release is `pop`: the key is an int, which hashes and compares in C, and without a
GIL the dict locks itself. The owner is the int that `get_ident()` made for this very acquisition.
Its value says which thread it is; its identity, which acquisition: idents are addresses on POSIX
systems, and an int of that size is made anew each time.

Those who wait are in the same dict. Whoever releases the lock pops the owner and then looks for
waiters; whoever waits adds itself and then looks for an owner. The second to get the dict's own
lock sees what the first has done, on every processor: the looking needs no barrier. (An `RLock`
cannot have that: see `ORDERED`.)

Who finds a lock free takes it, also before those who wait: that is what makes it quick. Waiters
would starve if it were all, for with a GIL the thread that releases is back long before the one
that it has woken. So a lock with a waiter that starves is *fair* for a while: whoever wants it
queues up. (Mutexes of Go and WebKit do so after the same time.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import allocate_lock, get_ident
from freezethreads._ground.uninterruptible import covered, exit_too
from freezethreads._refrigerator.waits import caller_of, plumbing
from freezethreads._registry.places import place_of
from freezethreads._registry.record import here
from freezethreads._report import ownership
from freezethreads.sync._own_world import refuse_for_ever
from freezethreads.sync._waitable import Waitable

plumbing.add(__file__)

_STARVING = 0.001  # seconds of waiting in vain
DONE: Final = object()  # what `release` has in its first parameter when it has released the lock


class Mutex(Waitable):
    """What both locks share.

    `_try` is what acquires if that can be done at once, and is what does nothing of the kind for as
    long as the lock is fair. Any thread may set it at any time: it decides who tries, and no more.
    """

    __slots__ = ("_try",)
    _try: Callable[..., Any]
    _is_reentrant = False  # if it is, nobody but its owner can release it
    _is_noted = True  # among those that the program has made

    def __init__(self) -> None:
        super().__init__()
        self._note_left()
        if self._is_noted:
            ownership.note_made(self)

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

    def _look_first(self, *args: Any) -> object:
        """What `_try` is while the lock is fair."""
        raise NotImplementedError

    def _note_beaten(self, waited: float) -> None:
        if waited > _STARVING:
            self._try = self._look_first

    def _wait_to_take(self, take: Callable[[], bool], timeout: float) -> bool:
        """Somebody else has it: wait. `timeout` in seconds, -1 for ever, 0 not at all.

        Raises `FreezeError` if the calling thread has frozen the owner, and would wait for ever.
        """
        if timeout == 0:
            return take()
        if timeout < 0:
            refuse_for_ever(self)
        deadline = Deadline(None if timeout < 0 else timeout)
        label = f"{type(self).__name__}.acquire"
        before = ownership.note_waiting(self, timeout < 0)
        try:
            return self._wait(take, deadline, label)
        finally:
            ownership.note_waited(before)

    def _ring_all(self) -> None:
        """Have all who wait look, after a second exception in the middle of that."""
        for waiter in filter(None, list(self._waiters)):
            waiter.bell.ring()

    def _note_acquired(self) -> None:
        place = place_of(caller_of(sys._getframe(1)), "wait", "acquire")
        ownership.note_acquired(self, place)


class Lock(Mutex):
    """`threading.Lock`, waiting freezably. From any thread; any thread may release it."""

    __slots__ = ()

    @property
    def owner(self) -> int | None:
        """The ident of the thread that has it, or None. From any thread."""
        owner: Any = self._waiters.get(0)
        return owner  # type: ignore[no-any-return]

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire it; returns whether that succeeded. `timeout` in seconds, -1 for ever.

        Raises ValueError or OverflowError as the standard lock does; and `FreezeError` for a wait
        that would never end, since the calling thread has itself frozen the owner.
        """
        me = get_ident()
        try:
            if blocking is not True or timeout != -1:
                timeout = timeout_of(blocking, timeout)
            if self._try(0, me) is not me and not self._acquire_slow(me, timeout):
                return False
            if ownership.tracking:
                self._note_acquired()
            return True
        except BaseException:
            try:
                if self._waiters.get(0) is me:
                    self.release()
            except BaseException:  # another one, as the first is handled
                if self._waiters.get(0) is me:
                    self.release()
                raise
            raise

    @exit_too
    @covered
    def release(self, kind: object = None, error: object = None, traceback: object = None) -> None:
        """Release it, whoever has acquired it. Raises RuntimeError if nobody has."""
        try:
            if ownership.tracking:
                ownership.note_released(self)
            del self._waiters[0]
            kind = DONE  # not interrupted in between, since that is no call
            if self._waiters:
                self._wake_next()
        except BaseException as error:
            # Without a call of anything in Python: it may be a RecursionError. And with none at all
            # before it is released: after a call another exception may come.
            try:
                if kind is not DONE:
                    if error.__class__ is KeyError and error.args == (0,):
                        raise RuntimeError("release unlocked lock") from None
                    self._waiters.pop(0, None)
                for waiter in filter(None, list(self._waiters)):
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

    def _acquire_slow(self, me: Any, timeout: float) -> bool:
        return self._wait_to_take(lambda: self._waiters.setdefault(0, me) is me, timeout)

    def _is_available(self) -> bool:
        return 0 not in self._waiters

    def _note_left(self) -> None:
        self._try = self._waiters.setdefault  # another that starves will say so again

    def _look_first(self, key: int, me: int) -> object:
        return self._waiters.get(key)

    def _at_fork_reinit(self) -> None:
        """In the child of a fork: free, and nobody waits. As the standard locks have it."""
        self._waiters.clear()
        self._note_left()

    def _is_owned(self) -> bool:  # for Condition, which asks whether *somebody* has such a lock
        return 0 in self._waiters

    acquire_lock = acquire
    release_lock = release
    locked_lock = Mutex.locked


class Latch(Lock):
    """A lock that is held for a few steps only: who waits for it is not stopped there.

    Nor is who has it, since a freeze would wait for those who wait: a signal handler that calls
    `safepoint()` meanwhile finds the doors of its thread shut. For one acquisition by a thread at a
    time, and released by the same.
    """

    __slots__ = ()
    _is_freezable = False
    _is_noted = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As a lock's."""
        shut = here.parking.shut
        try:
            here.parking.shut = shut + 1
            if super().acquire(blocking, timeout):
                return True
            here.parking.shut = shut
            return False
        except BaseException:
            try:
                self._give_back(shut)
            except BaseException:
                self._give_back(shut)
                raise
            raise

    @exit_too
    @covered
    def release(self, kind: Any = None, error: object = None, traceback: object = None) -> None:
        """As a lock's."""
        try:
            kind = here.parking.shut
            Lock.release(self)
            here.parking.shut = kind - 1
        except BaseException:
            shut = kind if kind.__class__ is int else here.parking.shut
            try:
                self._give_back(shut - 1)
            except BaseException:
                self._give_back(shut - 1)
                raise
            raise

    __enter__ = acquire
    __exit__ = release

    def _give_back(self, shut: int) -> None:
        """Release it if the calling thread has it, and then leave the doors so. May be repeated."""
        if self.owner == get_ident():
            Lock.release(self)
        here.parking.shut = shut


def timeout_of(blocking: bool, timeout: float) -> float:
    """Check `acquire`'s arguments; return the time-out they mean, 0 for not waiting."""
    allocate_lock().acquire(blocking, timeout)  # a free one, for its errors on this interpreter
    return timeout if blocking else 0
