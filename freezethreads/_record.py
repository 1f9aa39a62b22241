"""What the freezer knows of one thread, and how it learns of the thread's end."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Protocol

from freezethreads._completion import Bell, Completion
from freezethreads._frames import current_frames
from freezethreads._original import (
    Thread,
    current_thread,
    get_ident,
    get_native_id,
    getpid,
    local,
)
from freezethreads._states import State
from freezethreads._todo import (
    AWAY,
    Freeze,
    Place,
    Todo,
    TodoList,
    pending_freezes,
)

logger = logging.getLogger("freezethreads")


class StepsAside(Protocol):
    """A wait that gives others what it was woken for, when its thread is parked instead.

    `occupied` says that the thread does something else before it looks.
    """

    occupied: bool

    def step_aside(self) -> None: ...


class Parking(local):
    """What a thread has one of, with however many freezers it is enrolled.

    Parked for one of them it hears what a world of another asks it to call. `shut`, if not 0, keeps
    every door of every freezer closed to it: it holds what others wait for without being stopped.
    """

    def __init__(self) -> None:
        self.shut = 0
        self.bell = Bell()
        self.errands: dict[Todo, None] = {}


parking = Parking()


class Record:
    """One enrolled thread. `depth`, `shut`, `standing`, `last`, `ran` are written by it alone.

    `depth` counts the blocking regions it is in. `shut`, if not 0, keeps the refrigerator closed:
    `no_freeze()` counts it up, and the library itself does while it makes the thread's todos;
    `shut_at` is where the outermost `no_freeze()` was entered, for reports.
    The thread is marked as away if and only if it is in
    a region and not shut; `region` keeps that mark while a `no_freeze()` suspends it. `standing`
    is the freeze for which it is parked, or going to. `granted` is the last mark that a thaw has
    taken off with nothing left to stand for: who had set it is RUNNING since then. `beneath` says
    that an installation enrolled it, and that its own `register()` goes before that. `waiter` is
    the freezable wait that it is in, or on its way out of. `world` is the completion of the last
    world that it asked for with its turn.
    """

    __slots__ = (
        "bell",
        "beneath",
        "depth",
        "errands",
        "exited",
        "granted",
        "group",
        "ident",
        "last",
        "name",
        "native_id",
        "ran",
        "region",
        "shut",
        "shut_at",
        "standing",
        "thread",
        "todo",
        "waiter",
        "waker",
        "world",
    )

    def __init__(self, name: str | None, group: str, waker: Callable[[], object] | None) -> None:
        self.thread: Thread = current_thread()
        self.ident = get_ident()
        self.native_id = get_native_id()
        self.name = self.thread.name if name is None else name
        self.group = group
        self.beneath = False
        self.waker = waker
        self.todo: TodoList = {}
        self.errands = parking.errands
        self.bell = parking.bell
        self.depth = 0
        self.shut = 0
        self.shut_at: Place | None = None
        self.region: Place | None = None
        self.standing: Freeze | None = None
        self.granted: Place | None = None
        self.waiter: StepsAside | None = None
        self.world: Completion | None = None
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
        return State.BLOCKED if self.freeze_to_stop_for() is None else State.FROZEN

    @property
    def commands(self) -> bool:
        """Whether it has a world, or waits for all to stop for one. From any thread.

        It stops for nobody then: whoever asks it to may stand frozen in that very world, and never
        come to thaw. Its regions do not count either. So another freeze waits for its thaw.
        """
        return self.world is not None and not self.world.done

    def freeze_to_stop_for(self) -> Freeze | None:
        """The first freeze that it must not run before, or None. From any thread."""
        for freeze in pending_freezes(self.todo):
            if not (self.commands and self in freeze.awaited):
                return freeze
        return None

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

    def rouse(self) -> None:
        """Wake it from a freezable wait, so that it looks at its list. From any thread.

        Put something on the list, then call this.
        """
        place = self.todo.get(AWAY)
        if place is not None and place[6] is not None:
            place[6].ring()

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

    def __del__(self, _is_over: Callable[[], bool] = sys.is_finalizing) -> None:
        # In the child of a fork, the locals of all other threads die before anything is in order.
        # At the interpreter's end nobody is left who could be told, and a free-threaded build may
        # have handed a dict's lock to a daemon thread that does not run any more.
        if self._pid == getpid() and not _is_over():
            self._at_end(*self._args)
