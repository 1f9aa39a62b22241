"""What can be asked of a thread: a `Todo`, and a `Freeze`, which is a todo ahead of all others.

A thread's todo list is a plain `dict`, used as an ordered set: the requests in order of arrival,
and marks of where the thread is. The key `AWAY` has the thread's `Place` as its value while the
thread is in a wait of its own; a freeze has it while the thread is parked for it. Marks and
requests share one dict *because the dict's own lock then orders them*, and that decides
every race in this library:

* A controller puts its freeze on the list, then looks for the mark. The thread takes the mark
  off, then looks for a freeze. Whoever touches the dict second sees what the other did, so
  either the controller sees that the thread is away, and the thread will find the freeze before
  it runs any of the application's code; or the controller waits for it. Never neither.
* The same holds the other way about: the thread sets the mark, then looks for a freeze that
  waits to hear of it.
* And at the end: a thread marks itself exited and then empties its list; who posts, posts and
  then looks whether it exited.

What this assumes of CPython: setting and popping a key and `list(d)` are atomic, and ordered with
each other. With a GIL they are, since all keys hash and compare by identity, in C; a
free-threaded build does each of them under the dict's own lock. (`d.copy()` is not among them: in
CPython 3.11 the garbage collector may run in the middle of it.)
Deciding by a lock of our own would cost a blocking region twice as much, could be left held by an
asynchronous exception, and would deadlock with a signal handler that calls `todo()`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from types import CodeType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from freezethreads._completion import Bell, Completion
from freezethreads._errors import FreezeError
from freezethreads._original import (
    Condition,
    allocate_lock,
    current_thread,
    get_ident,
    get_native_id,
    monotonic,
)

if TYPE_CHECKING:
    from freezethreads._lease import Lease
    from freezethreads._record import Record

Kind: TypeAlias = Literal["safepoint", "blocking", "wait"]

# kind, label, code and offset of the last instruction there, when it came there (monotonic),
# whether a child of fork() may run while a thread stands there, and the bell that wakes the thread
# from there, if it can be woken. A bare tuple, since one is made for each blocking region;
# `_report` turns it into a `Site`.
Place: TypeAlias = tuple[Kind, str | None, CodeType, int, float, bool, Bell | None]

ABSENT: Final = object()


def covers(group: str, other: str) -> bool:
    """Whether `other` is `group` or below it; "" is above all."""
    return not group or other == group or other.startswith(group + ".")


class _Away:
    """The type of the marker."""

    def __repr__(self) -> str:
        return "AWAY"


AWAY: Final = _Away()


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

    def refuse(self, error: Exception) -> None:
        """Fail the future with `error`, unless the call has been begun. From any thread."""
        if self.future.done() or not self._claim.acquire(False):
            return
        if self.future.set_running_or_notify_cancel():
            self._fail(error)

    def orphan(self, error: Exception) -> None:
        """In the child of a fork: fail the future, whose lock a thread that is gone may hold."""
        self.future._condition = Condition()
        self._fail(error)

    def is_begun(self) -> bool:
        """Whether its thread has begun to make the call."""
        return self._begun

    def _fail(self, error: BaseException) -> None:
        try:
            self.future.set_exception(error)
        except InvalidStateError:
            pass  # it is done, or was cancelled


class Freeze:
    """One request to stop a group of threads: the same object stands on every member's todo list.

    Made by its controller: `thread` and `owner` are that thread and its ident, and `users` the
    worlds that stand on it (freezing again inside one's own world adds one). `barred` while it has
    yet to come back from waiting for its turn, so that a freeze of its thread can keep it there.
    `members` are whom it was posted to, `awaited` those of them that have not stopped yet. On a
    list its value is the `Place` of a thread that is parked for it, else None: its mark.

    It is `done` when it was thawed, or given up: it parks nobody any more. A moment later, when
    all marks are off, `completion` lets those go who are parked.
    """

    __slots__ = (
        "armed_at",
        "awaited",
        "barred",
        "bell",
        "completion",
        "done",
        "errands",
        "expired",
        "group",
        "kind",
        "leases",
        "members",
        "owner",
        "owner_native",
        "reason",
        "stood_at",
        "thread",
        "users",
    )

    def __init__(self, kind: str, group: str, reason: str) -> None:
        self.kind = kind
        self.group = group
        self.reason = reason
        self.thread = current_thread()
        self.owner = get_ident()
        self.owner_native = get_native_id()
        self.users: dict[object, None] = {}
        self.expired = False
        self.barred = False
        self.members: dict[Record, None] = {}
        self.awaited: dict[Record, None] = {}
        self.errands: dict[Todo, None] = {}
        self.leases: dict[Lease, None] = {}
        self.bell = Bell()
        self.done = False
        self.completion = Completion()
        self.armed_at = monotonic()
        self.stood_at: float | None = None

    def __repr__(self) -> str:
        why = f" for {self.reason!r}" if self.reason else ""
        group = f" of group {self.group!r}" if self.group else ""
        return f"<{self.kind}{group} by {self.thread.name}{why}>"

    @property
    def stands(self) -> bool:
        """Whether all have stopped for it, and it was not thawed."""
        return self.stood_at is not None and not self.done

    def covers(self, group: str) -> bool:
        """Whether a thread of `group` is meant: the same group or one below it."""
        return covers(self.group, group)

    def is_by(self, record: Record) -> bool:
        """Whether `record` is the thread that made this request; idents alone are used again."""
        return self.owner == record.ident and self.owner_native == record.native_id

    def cancel(self) -> None:
        """In the child of a fork: whoever waits for it, or in it, is to wait no longer."""
        self.done = self.completion.done = True
        self.members.clear()
        self.awaited.clear()
        self.leases.clear()
        self.bell.ring()

    def arrive(self, record: Record) -> bool:
        """Note that `record` stopped, or exited; the last one wakes the controller.

        From any thread, and may be repeated. Returns whether it had been waited for.
        """
        was_awaited = self.awaited.pop(record, ABSENT) is not ABSENT
        if not self.awaited:
            self.bell.ring()
        return was_awaited


TodoList: TypeAlias = dict[object, Place | None]


def pending_freezes(todo: TodoList) -> list[Freeze]:
    """The freezes on a list which are not done; those which are, are dropped. From any thread.

    None means that there was a moment without any: one that is found to be done may have hidden a
    later one, which has counted on it. So this looks again until it finds no other. With a mark
    they are not dropped: that is for the thaw to take, or for the parked thread when it runs.
    """
    known: list[Freeze] = []
    while True:
        freezes = [item for item in list(todo) if type(item) is Freeze]
        pending = [freeze for freeze in freezes if not freeze.done]
        if pending or all([freeze in known for freeze in freezes]):
            return pending
        known = freezes
        for freeze in freezes:
            if todo.get(freeze) is None:
                todo.pop(freeze, None)


def pending_freeze(todo: TodoList) -> Freeze | None:
    """The first of them, or None."""
    pending = pending_freezes(todo)
    return pending[0] if pending else None


def pending_todos(todo: TodoList) -> list[Todo]:
    """The todos on a list: by priority, the highest first, and then in order of arrival."""
    todos = [item for item in list(todo) if type(item) is Todo]
    return sorted(todos, key=lambda item: -item.priority)
