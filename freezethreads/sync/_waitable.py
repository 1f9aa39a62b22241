"""What several threads wait for and one can take: a free lock, an item of a queue.

The kernel's `wait_queue_head`. Who wants it puts itself among the waiters and then looks; who makes
it available does so and then looks for waiters. Both go through operations of which each is
atomic, so that one of them sees the other. Waking somebody gives nothing away: the woken thread
has to take it, after its way back is clear, from whoever may have been quicker.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import local, monotonic
from freezethreads._ground.uninterruptible import need_depth
from freezethreads._refrigerator.waits import Waiter, plumbing

plumbing.add(__file__)

_X86: Final = {"x86_64", "i686"}
ORDERED: Final[bool] = getattr(sys, "_is_gil_enabled", lambda: True)() or (
    hasattr(os, "uname") and os.uname().machine in _X86
)
"""Whether a dict's length, when it is read, is not older than what this thread did before.

A free-threaded build reads it "relaxed" (`ma_used` in CPython's `dictobject.c`). What went before
was under another lock, and x86 does not let a later read overtake that; ARM may. There, whoever
makes something available takes the dict's own lock before it looks for those who wait:
`self._waiters.pop(None, None)`. Then one of the two had that lock first, and the other sees what it
has done. Where one dict has both, as a `Lock`'s, none of this is needed.
"""


class Own(local):
    """The wait that the calling thread is in: the innermost, if a signal handler has one too."""

    waiter: Waiter | None = None


own = Own()


class Waitable:
    """Base of what is taken by one of those who wait for it.

    As long as it is available and somebody waits, one has been woken who will look, or all who wait
    are barred (to be frozen, or occupied) and each looks when it is back. So each who was woken and
    leaves without it, is barred, or takes one of several, wakes the next. Who has been woken for
    anything else lets those go first who came before, unless they are barred.
    """

    __slots__ = ("__weakref__", "_waiters")
    _is_freezable = True

    def __init__(self) -> None:
        self._waiters: dict[Any, Any] = {}  # in order of arrival; for the key 0 see `Lock`

    def _is_available(self) -> bool:
        raise NotImplementedError

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    def _wait(self, take: Callable[[], bool], deadline: Deadline, label: str) -> bool:
        """Wait until `take()` succeeds; returns False at the deadline.

        Whoever waits close to the recursion limit gets its RecursionError before anything is done.
        """
        need_depth()
        waiter = Waiter(label, pass_on=self._wake_next, plain=not self._is_freezable)
        outer = own.waiter
        was_occupied = outer is not None and outer.occupied
        try:
            own.waiter = waiter
            if outer is not None:
                outer.occupied = True
                outer.pass_on()
            self._waiters[waiter] = None
            taken = self._wait_as(waiter, take, deadline)
            self._leave(waiter, outer, was_occupied)
        except BaseException:
            self._leave(waiter, outer, was_occupied)
            raise
        return taken

    def _wait_as(self, waiter: Waiter, take: Callable[[], bool], deadline: Deadline) -> bool:
        began = monotonic()
        while not (self._is_available() and self._is_turn_of(waiter) and take()):
            if deadline.passed():
                return take()
            self._note_beaten(monotonic() - began)
            waiter.sleep(deadline.remaining())
        return True

    def _note_beaten(self, waited: float) -> None:
        """Somebody has looked in vain, `waited` seconds after it came."""

    def _note_left(self) -> None:
        """Somebody waits no longer, with it or without."""

    def _leave(self, waiter: Waiter, outer: Waiter | None, was_occupied: bool) -> None:
        """Wait no longer, whatever has come of it. May be repeated."""
        self._waiters.pop(waiter, None)
        self._note_left()
        self._wake_next()
        own.waiter = outer
        if outer is not None:
            outer.occupied = was_occupied

    def _is_turn_of(self, waiter: Waiter) -> bool:
        """Whether nobody who came before can look now. Whoever can is woken, to be sure."""
        for other in filter(None, list(self._waiters)):
            if other is waiter:
                break
            if not (other.lost or other.barred):
                other.bell.ring()
                return False
        return True

    def _wake_next(self) -> None:
        """Wake somebody if there is something to take. From any thread; may be repeated."""
        if self._waiters and self._is_available():
            self._wake()

    def _wake(self) -> None:
        """Wake the first who may take it; and whoever is before it, since they look after a thaw.

        A waiter that did not come along in a fork is dropped.
        """
        for waiter in filter(None, list(self._waiters)):
            if waiter.lost:
                self._waiters.pop(waiter, None)
                continue
            waiter.bell.ring()
            if not waiter.barred:
                return
