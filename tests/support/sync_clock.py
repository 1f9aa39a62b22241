"""A clock that a test turns, and how the tests of `freezethreads.sync` have threads wait."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from freezethreads import World
from freezethreads._ground import deadline as deadline_module
from freezethreads._ground.completion import Bell
from freezing import Puppet, at_bell
from helpers import WAIT, wait_for


class Clock:
    """The clock of all deadlines and time-outs but the main thread's; stands until it is turned.

    Who sleeps until a deadline sleeps until somebody rings; turning the clock rings everybody.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self._seen = threading.local()
        self._sleepers: dict[Bell, None] = {}
        self._real_wait = Bell.wait
        patch.setattr(deadline_module, "monotonic", self.read)
        patch.setattr(threading, "_time", self.read)
        patch.setattr(queue, "time", self.read)
        patch.setattr(Bell, "wait", lambda bell, timeout=-1: self._wait(bell, timeout))

    def read(self) -> float:
        """The time."""
        if is_test():
            return time.monotonic()
        self._seen.time = now = self.now
        return now

    def advance(self, seconds: float) -> None:
        """Turn it."""
        self.now += seconds
        for bell in list(self._sleepers):
            bell.ring()

    def _wait(self, bell: Bell, timeout: float) -> None:
        if is_test() or timeout <= 0:
            self._real_wait(bell, timeout)
            return
        self._sleepers[bell] = None
        if self._seen.time == self.now:  # else it was turned since the time-out was worked out
            self._real_wait(bell)
        self._sleepers.pop(bell, None)


def is_test() -> bool:
    """Whether this is the test's own thread, whose waits are bounded by the real clock."""
    return threading.current_thread() is threading.main_thread()


def begin(
    patch: pytest.MonkeyPatch, thread: Puppet, wait: Callable[..., object], *args: object
) -> Future[object]:
    """Have a puppet call `wait(*args)`; returns when it sleeps there, or is just about to."""
    with patch.context() as inner:
        asleep = at_bell(inner, thread.worker)
        future: Future[object] = thread.tell(wait, *args)
        wait_for(asleep)
    return future


def turn_over(world: World) -> None:
    """Return when each thread has been awake since, and has looked whether it may go on."""
    for info in world.threads:
        assert world.call(info, threading.get_ident) == info.ident


def outcome(future: Future[object]) -> object:
    """What the call returned, or the class of what it raised."""
    error = future.exception(WAIT)
    return type(error) if error is not None else future.result()
