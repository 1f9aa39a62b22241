"""What each thread did last: a bounded ring of events a thread, and a freezer that fills it.

An event is ``(time, kind, detail)``: seconds on the monotonic clock, and two strings. Five kinds
begin a stretch of a thread's life and last until the next one of the five (`LANES`); every other
kind is a moment in it: ``freezing``, ``stood``, ``timed out``, ``thawed`` of a controller, and
whatever a scenario notes.

A ring is written by its own thread and read by others. Appending to a deque and copying one are
atomic with the GIL; without it a copy may find that the deque grew meanwhile, and is made again.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from time import monotonic
from types import FrameType
from typing import Any, TypeAlias, TypeVar, TypeVarTuple

from freezethreads import Freezer, FreezeTimeout, Hold, Hook, Registration, ThreadInfo, World
from freezethreads._refrigerator.blocking import Blocking
from freezethreads._refrigerator.refrigerator import visit_safepoint

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Event: TypeAlias = tuple[float, str, str]

LANES = ("running", "blocking", "parked", "todo", "hook")
"""The kinds of event that begin a stretch. A thread in a door of the freezer is *parked*: most
likely it stands there, since nothing is noted of a door that was passed in no time."""

LENGTH = 256
"""Events that a ring keeps."""
_IN_NO_TIME = 50e-6
"""Seconds within which a thread that passed a safepoint did not stop there."""


class Ring:
    """The last events of one thread, and how many safepoints it has passed."""

    __slots__ = ("_depth", "_lane", "events", "ident", "name", "passed")

    def __init__(self) -> None:
        thread = threading.current_thread()
        self.name: str = thread.name
        self.ident: int = threading.get_ident()
        self.events: deque[Event] = deque(maxlen=LENGTH)
        self.passed = 0
        self._lane = "running"
        self._depth = 0

    def note(self, kind: str, detail: str = "") -> None:
        """Something happened, now. By the ring's own thread."""
        self.events.append((monotonic(), kind, detail))

    def enter(self, lane: str, detail: str = "") -> str:
        """Begin a stretch; returns what kind of stretch has ended. By the ring's own thread."""
        before, self._lane = self._lane, lane
        self.note(lane, detail)
        return before

    def leave(self, before: str) -> None:
        """Back to the stretch that was there before. What took no time is forgotten."""
        last = self.events[-1] if self.events else None
        self._lane = before
        if last is not None and last[1] == "parked" and monotonic() - last[0] < _IN_NO_TIME:
            self.events.pop()
        else:
            self.note(before)

    def deepen(self, by: int) -> str:
        """Count blocking regions; returns the kind of stretch that the thread is in then."""
        self._depth += by
        return "blocking" if self._depth else "running"

    def copy(self) -> list[Event]:
        """The events, the oldest first. From any thread."""
        while True:
            try:
                return list(self.events)
            except RecursionError:
                raise
            except RuntimeError:
                pass  # it grew meanwhile


class _Own(threading.local):
    def __init__(self, rings: dict[int, Ring]) -> None:
        self.ring = Ring()
        gone = rings.get(self.ring.ident)
        if gone is not None:
            self.ring.passed = gone.passed
        rings[self.ring.ident] = self.ring


class Rings:
    """One ring for each thread, made when the thread first asks for it.

    It takes the place of that of a thread which is gone and whose ident is used again, so there are
    never many more rings than threads; and it goes on with that one's count.
    """

    def __init__(self) -> None:
        self._rings: dict[int, Ring] = {}
        self._own = _Own(self._rings)

    def own(self) -> Ring:
        """The calling thread's."""
        return self._own.ring

    def all(self) -> list[Ring]:
        """Everybody's. From any thread."""
        return list(self._rings.values())

    def passed(self) -> int:
        """The safepoints passed so far. From any thread."""
        return sum(ring.passed for ring in self.all())


class RecordingFreezer(Freezer):
    """A freezer that notes in each thread's ring what the thread does in it.

    Costs some 0.1 us a safepoint and 2 us a blocking region. Its regions are not proof against
    asynchronous exceptions; a scenario that throws those has a plain `Freezer` made. In reports,
    a site without a label gets the place as its label. Waits of `freezethreads.sync` are not noted.
    """

    __slots__ = ("rings",)

    def __init__(self, name: str, rings: Rings) -> None:
        super().__init__(name)
        self.rings = rings

    def register(
        self,
        name: str | None = None,
        *,
        group: str = "",
        waker: Callable[[], object] | None = None,
    ) -> Registration:
        ring = self.rings.own()
        ring.name = name or ring.name
        before = ring.enter("parked", "register")
        try:
            return super().register(name, group=group, waker=waker)
        finally:
            ring.leave(before)

    def safepoint(self, label: str | None = None) -> None:
        ring = self.rings.own()
        ring.passed += 1
        if self.armed:
            frame = sys._getframe(1)
            label = label or _place(frame)
            before = ring.enter("parked", label)
            try:
                visit_safepoint(self._registry, label, frame)
            finally:
                ring.leave(before)

    def blocking(
        self, label: str | None = None, *, fork_safe: bool = False
    ) -> AbstractContextManager[None]:
        return _Region(self, label or _place(sys._getframe(1)), fork_safe)

    def todo(
        self,
        thread: threading.Thread | ThreadInfo | int,
        fn: Callable[[*Ts], T],
        /,
        *args: *Ts,
        priority: float = 0,
    ) -> Future[T]:
        return super().todo(thread, self._noting_todo(fn), *args, priority=priority)

    def todo_all(
        self, fn: Callable[[*Ts], T], /, *args: *Ts, priority: float = 0, group: str = ""
    ) -> list[Future[T]]:
        return super().todo_all(self._noting_todo(fn), *args, priority=priority, group=group)

    def freeze(self, **options: Any) -> World:
        return self._noting_controller(super().freeze, options)

    def hold(self, **options: Any) -> Hold:
        return self._noting_controller(super().hold, options)

    def hook(
        self,
        before: Callable[[], object] | None = None,
        after: Callable[[], object] | None = None,
        *,
        phase: float = 0,
        name: str | None = None,
    ) -> Hook:
        name = name or _place(sys._getframe(1))
        return super().hook(
            self._noting_hook(before, f"before {name}"),
            self._noting_hook(after, f"after {name}"),
            phase=phase,
            name=name,
        )

    def _noting_hook(
        self, call: Callable[[], object] | None, detail: str
    ) -> Callable[[], object] | None:
        return self._noting(call, "hook", detail) if callable(call) else call

    def _noting_controller(self, stop: Callable[..., T], options: dict[str, Any]) -> T:
        ring = self.rings.own()
        group = options.get("group", "")
        ring.note("freezing", group if isinstance(group, str) else ", ".join(group))
        try:
            stopped = stop(**options)
        except FreezeTimeout:
            ring.note("timed out")
            raise
        ring.note("stood")
        return stopped

    def _noting_todo(self, fn: Callable[[*Ts], T]) -> Callable[[*Ts], T]:
        if not callable(fn):
            return fn  # the freezer says what is wrong
        return self._noting(fn, "todo", getattr(fn, "__name__", ""))

    def _noting(self, fn: Callable[[*Ts], T], lane: str, detail: str) -> Callable[[*Ts], T]:
        def call(*args: *Ts) -> T:
            ring = self.rings.own()
            before = ring.enter(lane, detail)
            try:
                return fn(*args)
            finally:
                ring.leave(before)

        return call


class _Region(Blocking):
    """A blocking region that is noted. Once, by one thread."""

    __slots__ = ("_freezer", "_name")

    _frames = 2

    def __init__(self, freezer: RecordingFreezer, label: str, fork_safe: bool) -> None:
        super().__init__(freezer._registry, label, fork_safe)
        self._freezer = freezer
        self._name = label

    def __enter__(self) -> None:
        super().__enter__()
        ring = self._freezer.rings.own()
        ring.enter(ring.deepen(1), self._name)

    def __exit__(self, *exc_info: Any) -> None:
        ring = self._freezer.rings.own()
        if self._freezer.armed:
            ring.enter("parked", self._name)
        try:
            super().__exit__(*exc_info)
        finally:
            ring.enter(ring.deepen(-1))


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_name}, line {frame.f_lineno}"
