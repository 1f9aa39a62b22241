"""The registry: who is enrolled, what is asked, and the flag that says whether anything is.

No lock guards it. Each step below is one operation on one dict (see `_todo` for what is assumed
of it), and where two parties meet, each first writes and then looks, through the same dict:

* arming: a controller adds its freeze to `active`, then copies `records`; a thread that registers
  adds itself to `records`, then copies `active`. So every newcomer is in the copy, or finds
  the freeze, or both.
* asking: whoever has changed `pending` sets the flag and then looks at `pending` once more.
  Between these two steps of another a thread may pass one safepoint without noticing, and the
  next one will do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from freezethreads._completion import Bell
from freezethreads._errors import NotRegistered, ThreadExited
from freezethreads._original import (
    Thread,
    current_frames,
    current_thread,
    get_ident,
    get_native_id,
    getpid,
    local,
)
from freezethreads._states import State
from freezethreads._statistics import Recorder
from freezethreads._todo import (
    ABSENT,
    AWAY,
    Freeze,
    Place,
    Todo,
    TodoList,
    pending_freeze,
    pending_freezes,
)

logger = logging.getLogger("freezethreads")


class Flagged(Protocol):
    """Whatever shows the flag: a freezer, and for the default one the module as well."""

    armed: bool


class Record:
    """One enrolled thread. `depth`, `shut`, `standing`, `last`, `ran` are written by it alone.

    `depth` counts the blocking regions it is in. `shut`, if not 0, keeps the refrigerator closed:
    `no_freeze()` counts it up, and the library itself does while it makes the thread's todos.
    The thread is marked as away if and only if it is in
    a region and not shut; `region` keeps that mark while a `no_freeze()` suspends it. `standing`
    is the freeze for which it is parked, or going to.
    """

    __slots__ = (
        "bell",
        "depth",
        "errands",
        "exited",
        "group",
        "ident",
        "last",
        "name",
        "native_id",
        "ran",
        "region",
        "shut",
        "standing",
        "thread",
        "todo",
        "waker",
    )

    def __init__(self, name: str | None, group: str, waker: Callable[[], object] | None) -> None:
        self.thread: Thread = current_thread()
        self.ident = get_ident()
        self.native_id = get_native_id()
        self.name = self.thread.name if name is None else name
        self.group = group
        self.waker = waker
        self.todo: TodoList = {}
        self.errands: dict[Todo, None] = {}
        self.bell = Bell()
        self.depth = 0
        self.shut = 0
        self.region: Place | None = None
        self.standing: Freeze | None = None
        self.exited = False
        self.last: Place | None = None
        self.ran = 0

    def __repr__(self) -> str:
        return f"<Record of {self.name} ({self.ident}), {self.state.name}>"

    @property
    def stopped(self) -> bool:
        """Whether it runs nothing of the application, and cannot before a freeze that asks it
        to stop is done. From any thread: post the freeze, then look.

        A thread without a mark that a standing freeze covers is on its way through this library,
        from a blocking region or another freeze into the refrigerator; or it took that hold itself.
        """
        if AWAY in self.todo:
            return True
        for freeze in pending_freezes(self.todo):
            if self.todo.get(freeze) is not None:
                return True
            if freeze.stood_at is not None and not freeze.is_by(self):
                return True
        return False

    @property
    def state(self) -> State:
        """Derived from the todo list. From any thread; true at some moment during the call."""
        if self.exited:
            return State.EXITED
        if not self.stopped:
            return State.RUNNING
        return State.BLOCKED if pending_freeze(self.todo) is None else State.FROZEN

    @property
    def place(self) -> Place | None:
        """Where it stands, or None if it runs. From any thread."""
        marks = [self.todo.get(freeze) for freeze in pending_freezes(self.todo)]
        for mark in (self.todo.get(AWAY), *marks):
            if mark is not None:
                return mark
        return self.last if self.stopped else None

    def is_dead(self) -> bool:
        """Whether the thread has ended, even if nobody was told. Asked at deadlines only."""
        return self.exited or not self.thread.is_alive() or self.ident not in current_frames()

    def call_waker(self) -> None:
        """Tell the thread that something is on its list. A waker that raises is reported."""
        if self.waker is None:
            return
        try:
            self.waker()
        except Exception:
            logger.exception("the waker of thread %r raised, and is ignored", self.name)


class Lifeline:
    """Dies with its thread's locals, and then does something: notices a thread's end.

    It works for every thread that runs Python code, however it was started and however it ended.
    """

    __slots__ = ("_args", "_at_end", "_pid")

    def __init__(self, at_end: Callable[..., object], *args: object) -> None:
        self._at_end = at_end
        self._args = args
        self._pid = getpid()

    def __del__(self) -> None:
        # In the child of a fork, the locals of all other threads die before anything is in order.
        if self._pid == getpid():
            self._at_end(*self._args)


class Own(local):
    """What the calling thread knows of itself."""

    record: Record | None = None
    lifeline: Lifeline | None = None
    world: Lifeline | None = None


class Registry:
    """The threads enrolled with one freezer, and what is asked of them."""

    def __init__(self, face: Flagged) -> None:
        self.records: dict[int, Record] = {}
        self.active: dict[Freeze, None] = {}
        self.pending: dict[object, None] = {}
        self.faces: list[Flagged] = [face]
        self.own = Own()
        self.recorder = Recorder()

    def enter(self, record: Record) -> None:
        """Enrol the calling thread, whose record has the marker set, so that it counts as stopped.

        It is asked for what a standing freeze asks of all, and must look before it goes on.
        """
        self.own.record = record
        self.own.lifeline = Lifeline(self.expel, record)
        self.records[record.ident] = record
        self.submit_to_active(record)

    def submit_to_active(self, record: Record) -> None:
        """Put on `record`'s list every active freeze of its group but those of its own thread."""
        for freeze in self.active.copy():
            if freeze.covers(record.group) and not freeze.is_by(record):
                freeze.members[record] = None
                record.todo[freeze] = None

    def expel(self, record: Record) -> None:
        """Strike the calling thread off: it exits, or unregisters. May be repeated."""
        if self.records.get(record.ident) is record:
            self.records.pop(record.ident, None)
        self.retire(record)

    def retire(self, record: Record) -> None:
        """Expect nothing of a thread any more. From any thread, and may be repeated."""
        record.exited = True
        for item in record.todo.copy():
            if record.todo.pop(item, ABSENT) is not ABSENT and type(item) is Todo:
                item.refuse(ThreadExited(f"thread {record.name!r} exited before it made the call"))
                self.settle(item)
        for freeze in self.active.copy():
            freeze.arrive(record)
        self.recorder.todos_run(record)

    def post(self, record: Record, todo: Todo) -> None:
        """Put a todo on a list: certain to run if this returns, refused by ThreadExited if not."""
        try:
            self.announce(todo)
            record.todo[todo] = None
            if record.exited and record.todo.pop(todo, ABSENT) is not ABSENT:
                raise ThreadExited(f"thread {record.name!r} has exited; nothing was asked of it")
        except BaseException:
            record.todo.pop(todo, None)
            self.settle(todo)
            raise
        record.call_waker()

    def announce(self, request: object) -> None:
        """Raise the flag for a request, which is about to be put on lists."""
        self.pending[request] = None
        self._show()

    def settle(self, request: object) -> None:
        """The request is done: lower the flag if it was the last. May be repeated."""
        self.pending.pop(request, None)
        self._show()

    def reset(self) -> None:
        """In the child of a fork: only the calling thread is left, with nothing pending.

        It may be anywhere in this library, having been interrupted by a signal handler that
        forks. So its list and its bell stay what they are, and it is made to look.
        """
        record = self.own.record
        for freeze in self.active:
            freeze.cancel()
        self.records, self.active, self.pending = {}, {}, {}
        self.recorder.reset()
        self._show()
        if record is not None and not record.exited:
            record.native_id = get_native_id()
            self.records[record.ident] = record
            for item in record.todo.copy():
                record.todo.pop(item, None)
                if type(item) is Todo:
                    item.refuse(ThreadExited("the process was forked before the call was made"))
            record.bell.ring()

    def find(self, thread: Any) -> Record:
        """The record of a Thread, a native ident, or a ThreadInfo.

        Raises `NotRegistered`, `ThreadExited`, or TypeError if it is nothing of the kind.
        """
        if isinstance(thread, bool) or not (
            isinstance(thread, int) or hasattr(thread, "ident") and hasattr(thread, "native_id")
        ):
            raise TypeError(
                f"thread must be a threading.Thread, an ident or a ThreadInfo, not {thread!r}"
            )
        ident = thread if isinstance(thread, int) else thread.ident
        record = self.records.get(ident)
        known = isinstance(thread, int) or (record and record.native_id == thread.native_id)
        if record is not None and known and not record.exited:
            return record
        if isinstance(thread, Thread) and (thread.is_alive() or ident is None):
            raise NotRegistered(f"{thread!r} is not registered with this freezer")
        if isinstance(thread, int):
            raise NotRegistered(f"no registered thread has the ident {thread}")
        raise ThreadExited(f"thread {thread.name!r} has exited; nothing was asked of it")

    def _show(self) -> None:
        """Set the flag. Who sets it last has looked after that, and found it right."""
        while True:
            armed = bool(self.pending.copy())
            for face in self.faces:
                face.armed = armed
            if bool(self.pending.copy()) == armed:
                return


def check_group(group: object) -> str:
    """Return `group` if it is a dotted name or "", else raise TypeError or ValueError."""
    if not isinstance(group, str):
        raise TypeError(f"group must be a dotted name such as 'io.disk', not {group!r}")
    if group and not all(part and part == part.strip() for part in group.split(".")):
        raise ValueError(f"group must be a dotted name such as 'io.disk', not {group!r}")
    return group


def check_callable(name: str, fn: object) -> None:
    """Raise TypeError unless `fn` can be called."""
    if not callable(fn):
        raise TypeError(f"{name} must be callable, not {fn!r}")

