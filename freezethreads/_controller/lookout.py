"""The lookout: says which controller waits, in its own world, for a thread that it has stopped.

With a lock of `freezethreads.sync` that is an error at once. With a plain one nothing is to be seen
but that the program hangs. So whoever has a world notes that, and somebody else looks a second
later. A freeze is over in less time than a thread takes to start, and most are. So the lookout's
thread is kept while freezes follow each other:

    away --`look_out()` finds it away--> on watch --a pause without a freeze--> away

`_is_on` is written by that thread alone. A controller notes that it was here, and then looks if
somebody is on watch. The lookout notes that it is away, and then looks whether anybody was here: so
one of them sees the other. Two controllers may each find it away; then there are two for a while,
who do no harm: the world that one has looked at is not looked at by the other.

`threading` does not know the thread, so no program meets it among its own, and it ends before a
fork, which CPython warns of where there is more than one thread.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Final

from freezethreads._ground.completion import Bell
from freezethreads._ground.frames import HAS_GIL
from freezethreads._ground.original import (
    get_ident,
    get_native_id,
    monotonic,
    own_idents,
    sleep,
    start_new_thread,
)
from freezethreads._ground.text import clean_lines
from freezethreads._machine.deadlocks import find_deadlocks
from freezethreads._registry.record import logger
from freezethreads._registry.registry import armed
from freezethreads._registry.requests import Freeze
from freezethreads._report.deadlocks import TIME_OUT, Deadlock

_PAUSE: Final = 0.5  # seconds between two looks; without a freeze in it, nobody looks any more
_PATIENCE: Final = 1.0  # seconds that a world stands before it is looked at; and then twice as long
_TEXT = "%r is not thawed: its controller waits for what it has stopped. %s"
_GONE: Final = 0.1  # seconds that the thread has to be gone before a fork
_MOMENT: Final = 0.001


class Lookout:
    """The one of this process."""

    def __init__(self) -> None:
        self._was_called = False
        self._is_on = False
        self._native_id = 0
        self._leave = False
        self._bell = Bell()
        # When each world that stands is looked at next, in seconds since it stood.
        self._next: dict[Freeze, float] = {}

    def call(self) -> None:
        """Have it look at the world that the calling thread has from now on. Waits for nobody.

        If no thread is to be had, the world is as good without.
        """
        self._was_called = True
        if not self._is_on:
            try:
                start_new_thread(self._watch, ())
            except RuntimeError:
                logger.debug("no thread could be had that looks out for controllers that hang")

    def end(self) -> None:
        """Have its thread end now, and wait for that, but not for ever."""
        if self._is_on:
            self._leave = True
            self._bell.ring()
            left = _GONE / _MOMENT
            task = f"/proc/self/task/{self._native_id}"
            while left > 0 and (self._is_on or os.path.exists(task)):
                sleep(_MOMENT)
                left -= 1
            self._leave = False

    def forget(self) -> None:
        """In the child of a fork, where nobody is on watch."""
        self.__init__()  # type: ignore[misc]

    def _watch(self) -> None:
        ident = get_ident()
        own_idents[ident] = get_native_id()
        try:
            self._native_id = own_idents[ident]
            self._is_on = True
            while not self._leave:
                self._was_called = False
                self._bell.wait(_PAUSE)
                if not self._look() and not self._was_called:
                    self._is_on = False  # and then look
                    if not self._was_called:
                        break
                    self._is_on = True
        finally:
            self._is_on = False
            own_idents.pop(ident, None)

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


def _worlds() -> Iterator[Freeze]:
    for registry in list(armed):
        for freeze in list(registry.active):
            if freeze.asked.kind == "freeze" and freeze.stands:
                yield freeze


def _is_in(freeze: Freeze, deadlock: Deadlock) -> bool:
    """Whether the controller of that world is in the circle, with a wait that does not end."""
    return any(
        edge.ident == freeze.asked.ident and edge.way_out != TIME_OUT for edge in deadlock.edges
    )


def _say(freeze: Freeze, deadlock: Deadlock) -> None:
    if _can_be_logged():
        logger.warning(_TEXT, freeze, deadlock)
        return
    # A thread that stands has a lock of the log itself.
    line = clean_lines(f"freezethreads: {_TEXT % (freeze, deadlock)}\n")
    try:
        os.write(2, line.encode(errors="backslashreplace"))
    except OSError:
        pass  # closed, or its reader is gone: there is nobody to be told


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
    if HAS_GIL:
        _lookout.call()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lookout.end, after_in_child=_lookout.forget)
