"""The errors of this library. Each says in what state things were left, and each pickles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from freezethreads._report.stragglers import Straggler

__all__ = [
    "AlreadyRegistered",
    "ForkUnsafe",
    "FreezeError",
    "FreezeTimeout",
    "HookFailed",
    "LeaseExpired",
    "NotRegistered",
    "SafepointViolation",
    "ThreadBlocked",
    "ThreadExited",
    "shorten",
    "starting_thread",
]


class FreezeError(RuntimeError):
    """Something about freezing could not be done. The base of all errors of this library.

    Raised as itself for a request that contradicts the state of the freezer, such as an inner
    ``freeze()`` that its own world does not cover, or an illegal move of a thread's state, and for
    one that lacks what it takes (a daemon thread, a place for a socket); and for a wait without a
    time-out for a lock of `freezethreads.sync` whose owner the waiting thread has itself frozen,
    for the end of a `Thread` that it has, or for a `ThreadPoolExecutor` whose workers it has (all
    of them; for `shutdown()`, one). Nothing was changed, nor acquired, but that `shutdown()` has
    shut the pool down, and `map()` has cancelled its jobs, as at any error. At the end of a block
    it says that the freezer has thawed before: what was read inside may not be consistent.
    """

    _advice = ""  # what would help, if no thread is to blame


class FreezeTimeout(FreezeError, TimeoutError):
    """Not every thread stopped by the deadline.

    Everybody who had stopped was let go again and nothing stays armed: the program runs on as if
    ``freeze()`` had not been called. ``stragglers`` tells who did not stop, and where each was; it
    is empty if the time ran out while waiting for another controller's turn to end or for what was
    outstanding, or in hooks.
    """

    def __init__(self, message: str, stragglers: tuple[Straggler, ...] = ()) -> None:
        super().__init__(message, stragglers)
        self.stragglers = stragglers

    def __str__(self) -> str:
        return str(self.args[0])


class LeaseExpired(FreezeError):
    """The lease ran out before the controller thawed.

    The threads were let go at that moment and have been running since, so what was read inside
    the ``with`` block may not be consistent.
    """


class ForkUnsafe(FreezeError):
    """A fork would have copied a lock that another thread holds, or could not be seen not to.

    Nothing was forked, and everybody was let go again. ``stragglers`` are the threads that did not
    come out of what they are in by the deadline, as in `FreezeTimeout`. ``held`` says of those that
    stood, one a line, what they hold and where they have acquired it.
    """

    def __init__(
        self,
        message: str,
        *,
        stragglers: tuple[Straggler, ...] = (),
        held: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.stragglers = stragglers
        self.held = held


class HookFailed(FreezeError):
    """The ``before`` of a hook raised, and so there was no freeze. What it raised is the cause.

    ``hook`` is the name of the hook. The afters of those that had been called before it were
    called, everybody was let go, and nothing stays armed. What these raised is in a note.
    """

    def __init__(self, message: str, hook: str = "") -> None:
        super().__init__(message, hook)
        self.hook = hook

    def __str__(self) -> str:
        return str(self.args[0])


class AlreadyRegistered(FreezeError):
    """The calling thread is already enrolled with this freezer. It stays enrolled as it was."""


class NotRegistered(FreezeError):
    """The thread is not enrolled with this freezer. Nothing was asked of anybody."""


class ThreadExited(FreezeError):
    """The thread has exited, or left the registry, before it made the call. It was not made."""


class ThreadBlocked(FreezeError):
    """The thread stands inside a blocking call, where it cannot run anything. It was not asked."""


class SafepointViolation(FreezeError):
    """In debug mode: a thread came to a safepoint while it owned a lock of `freezethreads.sync`.

    It was not stopped, and still owns the lock.
    """


def shorten(error: FreezeError, debug: bool) -> None:
    """Have its traceback end at the line of the program, if a bare `raise` comes next.

    That adds no entry for its own frame. What is below the program's line says nothing to whoever
    reads it; in debug mode it stays.
    """
    if not debug:
        error.__traceback__ = None


@contextmanager
def starting_thread(what: str) -> Iterator[None]:
    """Make and start in this block a daemon thread of the library's own, for which `what` asked.

    Raises `FreezeError` if it cannot be had: the system has none left, or this is an interpreter
    that allows no daemon threads, as isolated ones do.
    """
    try:
        yield
    except RecursionError:
        raise
    except RuntimeError as error:
        raise FreezeError(f"{what} needs a daemon thread, and has none: {error}") from error
