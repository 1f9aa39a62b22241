"""What can be asked of a thread: a `Todo`, and a `Freeze`, which is a todo ahead of all others.

The freezes of a thread stand in its `Word` (see `_status`), and its todos on a list of each
enrolment: a plain `dict`, used as an ordered set. At a thread's end two parties meet there. The
thread marks itself exited and then empties the list; who posts, posts and then looks whether it
exited. Setting and popping a key and `list(d)` are each one operation, since all keys hash and
compare by identity, in C; a free-threaded build does each of them under the dict's own lock.
(`d.copy()` is not among them: in CPython 3.11 the garbage collector may run in the middle of it.)
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
from freezethreads._special import covered

if TYPE_CHECKING:
    from freezethreads._lease import Lease
    from freezethreads._record import Record

Kind: TypeAlias = Literal["safepoint", "blocking", "wait"]

# kind, label, code and offset of the last instruction there, when it came there (monotonic),
# whether a child of fork() may run while a thread stands there, and the bell that wakes the thread
# from there, if it can be woken. A bare tuple, since one is made for each blocking region;
# `_statistics` turns it into a `Site`.
Place: TypeAlias = tuple[Kind, str | None, CodeType, int, float, bool, Bell | None]

ABSENT: Final = object()


def covers(group: str, other: str) -> bool:
    """Whether `other` is `group` or below it; "" is above all."""
    return not group or other == group or other.startswith(group + ".")


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

    def orphan(self, error: Exception) -> None:
        """In the child of a fork: fail the future, whose lock a thread that is gone may hold."""
        self.future._condition = Condition()
        self._fail(error)

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


Ending: TypeAlias = Literal["thaw", "lease", "owner gone", "dropped", "given up", "exit", "fork"]
"""What ended a freeze: its thaw, also of one that did not come to stand; its lease; the end of its
thread; that nobody referred to it; somebody in its place; the end of the main thread; a fork."""


class Freeze:
    """One request to stop a group of threads: the same object stands in every member's word.

    Made by its controller: `thread` and `owner` are that thread and its ident, and `users` the
    worlds that stand on it (freezing again inside one's own world adds one). `barred` while it has
    yet to come back from waiting for its turn, so that a freeze of its thread can keep it there.
    `members` are whom it was posted to, `awaited` those of them that have not stopped yet.

    It is `done` when it was thawed, or given up: it holds nobody any more. A moment later
    `completion` wakes those who stood for it.
    """

    __slots__ = (
        "asked_at",
        "awaited",
        "barred",
        "bell",
        "completion",
        "done",
        "ending",
        "errands",
        "group",
        "kind",
        "leases",
        "members",
        "owner",
        "owner_native",
        "reason",
        "registry",
        "stood_at",
        "thread",
        "users",
    )

    def __init__(self, registry: object, kind: str, group: str, reason: str) -> None:
        self.registry = registry
        self.kind = kind
        self.group = group
        self.reason = reason
        self.thread = current_thread()
        self.owner = get_ident()
        self.owner_native = get_native_id()
        self.users: dict[object, None] = {}
        self.barred = False
        self.members: dict[Record, None] = {}
        self.awaited: dict[Record, None] = {}
        self.errands: dict[Todo, None] = {}
        self.leases: dict[Lease, None] = {}
        self.bell = Bell()
        self.done = False
        self.completion = Completion()
        self.ending: dict[int, Ending] = {}
        self.asked_at = monotonic()
        self.stood_at: float | None = None

    def __repr__(self) -> str:
        why = f" for {self.reason!r}" if self.reason else ""
        group = f" of group {self.group!r}" if self.group else ""
        return f"<{self.kind}{group} by {self.thread.name}{why}>"

    @property
    def ended_by(self) -> Ending | None:
        """What ended it, or is about to; None: nothing yet. From any thread."""
        return self.ending.get(0)

    def end_by(self, ending: Ending) -> None:
        """Say what ends it, unless something else was first. From any thread; may be repeated."""
        self.ending.setdefault(0, ending)  # one operation: see `_status`

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
        self.end_by("fork")
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


TodoList: TypeAlias = dict[Todo, None]


def pending_todos(todo: TodoList) -> list[Todo]:
    """The todos on a list: by priority, the highest first, and then in order of arrival."""
    return sorted(list(todo), key=lambda item: -item.priority)
