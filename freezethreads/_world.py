"""What a controller holds in its hands while others stand still: a `World`, or a `Hold`."""

from __future__ import annotations

import functools
import operator
import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, TypeVar

from freezethreads._controller import Controller
from freezethreads._errors import FreezeError, LeaseExpired, ThreadBlocked
from freezethreads._original import Thread
from freezethreads._registry import Registry, check_callable
from freezethreads._report import ThreadInfo, infos_of, other_threads
from freezethreads._special import Unbound
from freezethreads._todo import ABSENT, AWAY, Freeze, Todo
from freezethreads._unique import Unique

T = TypeVar("T")


class _Exit(functools.partial[None]):
    """What a `with` block calls at its end, and what thaws if that call is cut short.

    An asynchronous exception can hit any function in Python before its first instruction, so a
    method `__exit__` may never get to do anything, with its world left frozen and, by the
    traceback, alive. The `with` statement is the only one to hold this object, and drops it
    when it is left, however it is left.
    """

    def __del__(self, _is_over: Callable[[], bool] = sys.is_finalizing) -> None:
        if not _is_over():  # as below
            self.args[0].thaw()


class _Stopped(Unique):
    """Threads that were stopped, and their thaw."""

    _IS = "the hold on threads of this process, which its end lets go"

    def __init__(
        self,
        registry: Registry,
        controller: Controller,
        freeze: Freeze,
        user: object,
        lease: float | None,
    ) -> None:
        self._registry = registry
        self._controller = controller
        self._freeze = freeze
        self._user = user
        self._enter = weakref.ref(self)  # called, it returns this object: `__enter__` in C
        freeze.users[user] = None
        if lease is not None:
            controller.start_lease(freeze, lease)

    def __repr__(self) -> str:
        state = "thawed" if self._freeze.done else "standing"
        return f"<{type(self).__name__} of {self._freeze!r}, {state}>"

    @property
    def reason(self) -> str:
        """Why this was asked for: the argument of that name. From any thread."""
        return self._freeze.reason

    @property
    def threads(self) -> tuple[ThreadInfo, ...]:
        """The threads that this stopped, as they are now. From any thread."""
        return infos_of(list(self._freeze.members))

    @property
    def waited(self) -> float:
        """Seconds from the request until all stood. From any thread."""
        return (self._freeze.stood_at or self._freeze.armed_at) - self._freeze.armed_at

    @property
    def expired(self) -> bool:
        """Whether the lease ran out, and its watchdog thawed. From any thread."""
        return self._freeze.expired

    def thaw(self) -> None:
        """Let the threads go on, each if nothing else stops it. From any thread; may be repeated.

        A world that was got inside another one of the same thread leaves the thaw to that one.
        """
        try:
            self._controller.let_go(self._freeze, self._user)
        except BaseException:
            self._controller.let_go(self._freeze, self._user)
            raise

    def _leave(self, kind: type[BaseException] | None, *_: object) -> None:
        self.thaw()
        if self.expired and (kind is None or issubclass(kind, Exception)):
            raise LeaseExpired(
                f"the lease of {self._freeze!r} ran out before it was thawed; the threads have "
                "been running since, so what was read here may not be consistent"
            )

    def __del__(self, _is_over: Callable[[], bool] = sys.is_finalizing) -> None:
        # At the interpreter's end nobody is left to be let go, and what is global is gone.
        if not _is_over() and self._user in self._freeze.users and not self._freeze.done:
            self._freeze.users.pop(self._user, None)
            if not self._freeze.users:
                self._controller.abandon(self._freeze, "nobody refers to it any more")

    if TYPE_CHECKING:

        def __enter__(self) -> Self: ...

        def __exit__(self, *exc_info: object) -> None: ...

    else:
        __enter__ = Unbound(operator.attrgetter("_enter"), doc="Returns this object itself.")
        __exit__ = Unbound(
            functools.partial(_Exit, _leave),
            doc="Thaws. Raises `LeaseExpired` if the lease ran out before.",
        )


class World(_Stopped):
    """The threads of a group, stopped for the calling thread, which may change what it likes.

    Got from `Freezer.freeze`. A context manager: leaving the block thaws, and raises
    `LeaseExpired` if the lease had run out before (an exception that is already on its way becomes
    its context). Should it be dropped without a thaw, or its thread end, the freezer thaws
    and logs a warning.
    """

    @property
    def unregistered(self) -> tuple[Thread, ...]:
        """The live Python threads that this freeze did not cover, its own thread apart."""
        return other_threads(list(self._freeze.members), self._freeze.owner)

    def call(self, thread: Any, fn: Callable[..., T], /, *args: object) -> T:
        """Run `fn(*args)` in a frozen thread's own context, now, and return what it returns.

        `thread` is a `threading.Thread`, an ident or a `ThreadInfo`. From the thread that has the
        world. What `fn` raises is raised here. In `fn`, safepoints and blocking regions do
        nothing. A thread in a freezable wait is woken for it, and goes on waiting after the thaw.
        Raises `ThreadBlocked` if the thread stands in any other blocking call, where it
        cannot run anything; `NotRegistered` and `ThreadExited`; `FreezeError` if this world
        does not hold that thread, or was thawed.
        """
        check_callable("fn", fn)
        record = self._registry.find(thread)
        if record not in self._freeze.members or self._freeze.done:
            raise FreezeError(f"{self!r} does not hold thread {record.name!r}; nothing was called")
        errand = Todo(fn, args, 0)
        self._freeze.errands[errand] = None
        record.errands[errand] = None
        place = record.todo.get(AWAY)
        if place is None:
            pass  # it stands
        elif place[6] is not None:
            place[6].ring()  # it leaves its wait for the refrigerator, or was about to stand
        elif record.errands.pop(errand, ABSENT) is not ABSENT:
            raise ThreadBlocked(f"thread {record.name!r} is in a blocking call; nothing was called")
        if self._freeze.done:
            errand.refuse(FreezeError("the world was thawed before the call was made"))
        record.bell.ring()
        try:
            result: T = errand.future.result()
        finally:
            self._freeze.errands.pop(errand, None)
        return result


class Hold(_Stopped):
    """A group of threads that stays stopped until `thaw()`, whoever has stopped it besides.

    Got from `Freezer.hold`; any thread may thaw it. A context manager as well. Should nobody refer
    to it any more, the freezer thaws and logs a warning.
    """
