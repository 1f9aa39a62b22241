"""What one thread is to do for another: a `Todo`, on a list of each enrolment.

The list is a plain `dict`, used as an ordered set. At a thread's end two parties meet there. The
thread marks itself exited and then empties the list; who posts, posts and then looks whether it
exited. Setting and popping a key and `list(d)` are each one operation, since all keys hash and
compare by identity, in C; a free-threaded build does each of them under the dict's own lock.
(`d.copy()` is not among them: in CPython 3.11 the garbage collector may run in the middle of it.)
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any, Final, TypeAlias

from freezethreads._ground.errors import FreezeError, ThreadExited
from freezethreads._ground.original import allocate_lock
from freezethreads._ground.uninterruptible import covered

ABSENT: Final = object()


class Todo:
    """One call that one thread is to make, and the future of its result.

    Exactly once: `_claim` is a lock which nobody releases, so only one can ever get it.
    """

    __slots__ = ("_args", "_begun", "_claim", "_fn", "future", "priority")

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], priority: float) -> None:
        self._fn = fn
        self._args = args
        self._begun = False
        self._claim = allocate_lock()
        self.priority = priority
        self.future: Future[Any] = Future()

    def run(self) -> None:
        """Make the call, in the thread that it was meant for. Raises nothing that the call raises.

        A todo which an asynchronous exception interrupted on its way in is failed, not repeated.
        """
        try:
            if self._begun:
                self._fail(FreezeError("the todo was interrupted before it was done"))
                return
            self._begun = True
            if self._claim.acquire(False) and self.future.set_running_or_notify_cancel():
                self.future.set_result(self._fn(*self._args))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the asker
            self._fail(error)

    def refuse(self, error: Exception) -> bool:
        """Fail the future with `error`, unless the call has been begun. From any thread.

        Returns whether this decided it: the call is never made then.
        """
        if self.future.done() or not self._claim.acquire(False):
            return False
        try:
            if self.future.set_running_or_notify_cancel():
                self._fail(error)
        except BaseException:
            self._fail(error)  # nobody else has the claim to do it
            raise
        return True

    def orphan(self) -> None:
        """In the child of a fork: fail it, and let nobody make it who has not begun."""
        self._claim.acquire(False)
        self.free_future()
        self._fail(ThreadExited("the process was forked before the call was made"))

    def free_future(self) -> None:
        """In the child of a fork: a thread that is gone does not hold the future's lock.

        Not another lock in its place: the calling thread may wait for the future just now.
        """
        condition: Any = self.future._condition
        if not condition._is_owned():
            condition._lock._at_fork_reinit()

    def is_begun(self) -> bool:
        """Whether its thread has begun to make the call."""
        return self._begun

    @covered
    def _fail(self, error: BaseException) -> None:
        try:
            self.future.set_exception(error)
        except InvalidStateError:
            pass  # it is done, or was cancelled
        except BaseException:
            self._fail(error)  # nobody else will, and somebody may wait for it
            raise


TodoList: TypeAlias = dict[Todo, None]


def pending_todos(todo: TodoList) -> list[Todo]:
    """The todos on a list: by priority, the highest first, and then in order of arrival."""
    return sorted(list(todo), key=lambda item: -item.priority)
