"""The lookout: says which controller waits, in its own world, for a thread that it has stopped.

With a lock of `freezethreads.sync` that is an error at once. With a plain one nothing is to be seen
but that the program hangs. So whoever has a world notes that, and somebody else looks a second
later. A freeze is over in less time than a thread takes to start, and most are. So the lookout's
thread is kept while freezes follow each other:

    away --`call()` claims it--> on watch --a pause without a freeze, or `end()`--> away

One thread at a time has the claim, which is set and taken away in one operation each, and leaves
as soon as it has it no more. A controller notes that it was here, and then tries to claim. The
lookout gives up the claim, and then looks whether anybody was here: so one of them sees the other.

`threading` does not know the thread, so no program meets it among its own. It ends before a fork,
of which CPython warns where there is more than one thread, and before its interpreter does. Who
counts the threads of the system finds it, and can do without: ``FREEZETHREADS_LOOKOUT=0``.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from freezethreads._ground.completion import Bell
from freezethreads._ground.frames import HAS_GIL
from freezethreads._ground.original import (
    OwnThread,
    get_ident,
    get_native_id,
    monotonic,
    own_idents,
    sleep,
    start_new_thread,
)
from freezethreads._ground.text import clean_lines, tell_stderr
from freezethreads._machine.deadlocks import find_deadlocks
from freezethreads._registry.record import logger
from freezethreads._registry.registry import armed
from freezethreads._registry.requests import Freeze
from freezethreads._report.deadlocks import TIME_OUT, Deadlock

_PAUSE: Final = 0.5  # seconds between two looks; without a freeze in it, nobody looks any more
_PATIENCE: Final = 1.0  # seconds that a world stands before it is looked at; and then twice as long
_wait: Final = Bell.wait  # saved: who puts a substitute in its place means those who stand
_TEXT = "%r is not thawed: its controller waits for what it has stopped. %s"
_GONE: Final = 0.1  # seconds that the thread has to be gone before a fork
_MOMENT: Final = 0.0002
_IS_WANTED: Final = os.environ.get("FREEZETHREADS_LOOKOUT") != "0"


class _Watch:
    """One thread that is on watch, from its start to its end."""

    def __init__(self) -> None:
        self.bell = Bell()
        self.native_id = 0  # the system's number, once it is known


class Lookout:
    """The one of this process."""

    def __init__(self) -> None:
        self._was_called = False
        self._is_over = False
        self._claim: dict[int, _Watch] = {}
        self._watches: dict[_Watch, None] = {}  # that have not ended
        # When each world that stands is looked at next, in seconds since it stood.
        self._next: dict[Freeze, float] = {}

    @property
    def is_on(self) -> bool:
        """Whether anybody is on watch. From any thread."""
        return bool(self._claim)

    def call(self) -> None:
        """Have it look at the world that the calling thread has from now on. Waits for nobody.

        If no thread is to be had, the world is as good without.
        """
        self._was_called = True
        if self._claim or self._is_over:
            return
        me, has_begun = _Watch(), False
        try:
            if self._claim.setdefault(0, me) is me:
                self._watches[me] = None
                start_new_thread(self._watch, (me,))
                has_begun = True
        except RuntimeError:
            logger.debug("no thread could be had that looks out for controllers that hang")
        finally:
            if not has_begun:
                self._give_up(me)
                self._watches.pop(me, None)

    def end(self) -> None:
        """Have its thread end now, and wait for that, but not for ever."""
        self._claim.clear()
        ending = list(self._watches)
        for watch in ending:
            watch.bell.ring()
        left = _GONE / _MOMENT
        while left > 0 and any(watch in self._watches or _is_there(watch) for watch in ending):
            sleep(_MOMENT)
            left -= 1

    def end_for_good(self) -> None:
        """The same, at the end of the interpreter."""
        self._is_over = True
        self.end()

    def go_on(self) -> None:
        """After a fork, in the parent: whoever has a world still has it."""
        if any(True for _ in _worlds()):
            self.call()

    def forget(self) -> None:
        """In the child of a fork, where nobody is on watch."""
        self.__init__()  # type: ignore[misc]

    def _give_up(self, me: _Watch) -> None:
        if self._claim.get(0) is me:
            self._claim.pop(0, None)

    def _watch(self, me: _Watch) -> None:
        ident = get_ident()
        own_idents[ident] = me.native_id = get_native_id()
        try:
            while self._claim.get(0) is me:
                self._was_called = False
                _wait(me.bell, _PAUSE)
                if not self._look() and not self._was_called:
                    self._give_up(me)  # and then look
                    if self._was_called and self._claim.setdefault(0, me) is not me:
                        break
        finally:
            self._give_up(me)
            own_idents.pop(ident, None)
            self._watches.pop(me, None)

    def _look(self) -> bool:
        """Look at those that have stood for long; return whether any world stands."""
        now = monotonic()
        stood = {freeze: now - (freeze.stood_at or now) for freeze in _worlds()}
        for freeze in [one for one in self._next if one not in stood]:
            del self._next[freeze]
        for freeze, seconds in stood.items():
            if seconds >= self._next.get(freeze, _PATIENCE):
                self._next[freeze] = 2 * seconds
                for deadlock in find_deadlocks():
                    if _is_in(freeze, deadlock):
                        self._next[freeze] = float("inf")
                        _say(freeze, deadlock)
        return bool(stood)


def _is_there(watch: _Watch) -> bool:
    """Whether its thread is still there, for all that the system says."""
    return os.path.exists(f"/proc/self/task/{watch.native_id}")


def _worlds() -> Iterator[Freeze]:
    """Those that stand, and that nothing ends by itself."""
    for registry in list(armed.registries):
        for freeze in registry.freezes():
            if freeze.asked.kind == "freeze" and freeze.stands and not freeze.leases:
                yield freeze


def _is_in(freeze: Freeze, deadlock: Deadlock) -> bool:
    """Whether the controller of that world is in the circle, with a wait that does not end."""
    return any(
        edge.ident == freeze.asked.ident and edge.way_out != TIME_OUT for edge in deadlock.edges
    )


def _say(freeze: Freeze, deadlock: Deadlock) -> None:
    if _can_be_logged():
        with _known():
            logger.warning(_TEXT, freeze, deadlock)
    else:  # a thread that stands has a lock of the log itself
        tell_stderr(clean_lines(f"freezethreads: {_TEXT % (freeze, deadlock)}"))


@contextmanager
def _known() -> Iterator[None]:
    """In this block `threading` knows the calling thread as one of this library's own.

    `logging` asks it who that is. So it would make one of the program's threads of it: up to
    CPython 3.12 for good.
    """
    ident = get_ident()
    known = threading._active  # type: ignore[attr-defined]
    known[ident] = OwnThread(name="freezethreads-lookout")
    try:
        yield
    finally:
        known.pop(ident, None)


def _can_be_logged() -> bool:
    """Whether nobody has a lock of what the log is written to."""
    at: logging.Logger | None = logger
    while at is not None:
        for handler in at.handlers:
            if handler.lock is not None:
                if not handler.lock.acquire(blocking=False):
                    return False
                handler.lock.release()
        at = at.parent if at.propagate else None
    return True


_lookout: Final = Lookout()


def look_out() -> None:
    """Have somebody look, in a second, whether the calling thread waits for what it has stopped.

    For a controller whose world stands. Without a GIL nobody can tell.
    """
    if HAS_GIL and _IS_WANTED:
        _lookout.call()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lookout.end, after_in_parent=_lookout.go_on, after_in_child=_lookout.forget
    )
try:
    # Before the interpreter waits for its threads, as a pool of `concurrent.futures` has it.
    threading._register_atexit(_lookout.end_for_good)  # type: ignore[attr-defined]
except RuntimeError:
    _lookout.end_for_good()  # it is about to end
